//! Development only: a whole estate in a temporary folder, and peers that misbehave.
//!
//! ```no_run
//! use testkit::{Estate, Speaks, TerminalEvent};
//!
//! # async fn test() {
//! let estate = Estate::start().await;
//! let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
//! let mut wire = estate.wire(&terminal).await;
//! wire.sign_on().await;
//! wire.send(b"\xFF\xFFgarbage").await;
//! wire.is_closed_by_the_host().await;
//! assert_eq!(estate.counters().frames_too_large.get(), 1);
//! # }
//! ```
//!
//! Reading order: [`Site`] (an estate at rest: configuration, authority, update key), [`Estate`] (one
//! with a server in this process, which can be drained, killed and started again), [`Terminal`] (an
//! enrolled one, to be simulated or impersonated), [`Wire`] (a terminal's end of a connection, byte by
//! byte), [`Bystander`] (a healthy terminal that must not notice anything), [`Certificate`] (right and
//! wrong ones), [`Proxy`] (a network that breaks after so many bytes), [`Rest`] (a person) and
//! [`until`] (waiting for a condition, never for a time).
//!
//! Everything here panics with a sentence when it does not get what it was asked for: that is how a
//! test fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "helpers of tests are tests too"
)]

mod bystander;
mod certificate;
mod estate;
mod proxy;
mod rest;
mod site;
pub mod store;
mod terminal;
mod wait;
mod wire;

pub use bystander::Bystander;
pub use certificate::Certificate;
pub use estate::Estate;
pub use proxy::Proxy;
pub use rest::Rest;
pub use site::{Release, Site};
pub use store::MemoryStore;
pub use terminal::{Speaks, Terminal};
pub use wait::{PATIENCE, soon, until};
pub use wire::{Reply, Wire};

pub use tms_proto::{Asked, Function, Refusal, TerminalEvent};
