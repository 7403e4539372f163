//! Development only: a clock that a test turns, a network and a disk that fail, and a whole estate in a
//! temporary folder with peers that misbehave.
//!
//! Always there, and light enough for the tests of the protocol crates:
//!
//! - [`clock`]: virtual time, and clocks that go wrong;
//! - [`rng`]: randomness that a seed repeats;
//! - [`link`]: a connection that delays, loses, repeats, cuts, changes and breaks;
//! - [`pair`]: both ends of the protocol on such a link;
//! - [`disk`]: files that lose what was not safe when the power goes.
//!
//! With the feature `store` also `store`: the server's durable state in memory.
//!
//! With the feature `estate`, which is on by default, also a server with terminals over real sockets:
//!
//! ```no_run
//! # #[cfg(feature = "estate")]
//! # mod example {
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
//! # }
//! ```
//!
//! Its reading order: `Site` (an estate at rest: configuration, authority, update key), `Estate` (one
//! with a server in this process, which can be drained, killed and started again), `Terminal` (an
//! enrolled one, to be simulated or impersonated), `Wire` (a terminal's end of a connection, byte by
//! byte), `Bystander` (a healthy terminal that must not notice anything), `Certificate` (right and
//! wrong ones), `Proxy` (a network that breaks after so many bytes), `Rest` (a person) and
//! `until` (waiting for a condition, never for a time).
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

pub mod clock;
pub mod disk;
pub mod link;
pub mod pair;
pub mod rng;
#[cfg(feature = "store")]
pub mod store;

#[cfg(feature = "estate")]
mod bystander;
#[cfg(feature = "estate")]
mod certificate;
#[cfg(feature = "estate")]
mod estate;
#[cfg(feature = "estate")]
mod proxy;
#[cfg(feature = "estate")]
mod rest;
#[cfg(feature = "estate")]
mod site;
#[cfg(feature = "estate")]
mod terminal;
#[cfg(feature = "estate")]
mod wait;
#[cfg(feature = "estate")]
mod wire;

#[cfg(feature = "estate")]
pub use bystander::Bystander;
#[cfg(feature = "estate")]
pub use certificate::Certificate;
#[cfg(feature = "estate")]
pub use estate::Estate;
#[cfg(feature = "estate")]
pub use proxy::Proxy;
#[cfg(feature = "estate")]
pub use rest::Rest;
#[cfg(feature = "estate")]
pub use site::{Release, Site};
#[cfg(feature = "store")]
pub use store::MemoryStore;
#[cfg(feature = "estate")]
pub use terminal::{Speaks, Terminal};
#[cfg(feature = "estate")]
pub use wait::{PATIENCE, soon, until};
#[cfg(feature = "estate")]
pub use wire::{Reply, Wire};

pub use tms_proto::{Asked, Function, Refusal, TerminalEvent};
