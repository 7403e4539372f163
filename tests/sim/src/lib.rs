//! A deterministic simulation of an estate: the server's own sessions and services over a store in
//! memory, the terminals' own agent over disks that fail, lines on which everything goes wrong, and
//! people who have things done. One thread, one virtual clock, one queue of events; everything random
//! follows from a seed, so that a run which violates an invariant can be seen again.
//!
//! ```
//! use tms_sim::{Options, run};
//!
//! let outcome = run(&Options::new(1, 2, 10));
//! assert_eq!(outcome.violation, None);
//! assert_eq!(run(&Options::new(1, 2, 10)).trace_hash, outcome.trace_hash);
//! ```
//!
//! Reading order: [`options`] (what a run is), `world` (how it goes on), `world/check` (what must
//! hold), [`outcome`] (what is told of it), [`shrink`](mod@shrink) (a smaller run with the same violation).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a simulation that cannot go on is a failed test"
)]

mod firmware;
mod host;
mod ledger;
pub mod options;
pub mod outcome;
mod panics;
pub mod regressions;
pub mod report;
mod show;
pub mod shrink;
mod storage;
mod terminal;
mod trace;
mod varieties;
mod world;

pub use options::{Fault, Options, Sabotage, Work};
pub use outcome::{Counts, Outcome, Violation, invariant};
pub use shrink::shrink;

/// Runs one world to its end, or to the first invariant that does not hold.
#[must_use]
pub fn run(options: &Options) -> Outcome {
    world::run(options)
}
