//! The program itself: what it prints, what it exits with, and how it takes signals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

mod demo;
mod help;
mod process;
mod refusals;
#[cfg(unix)]
mod stopping;
#[cfg(unix)]
mod stores;
