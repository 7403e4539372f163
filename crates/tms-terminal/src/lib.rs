//! A simulated POS terminal: real sockets, real certificates, real messages, real files. One process
//! runs one of them or thousands; each survives being killed at any moment.
//!
//! ```no_run
//! use std::path::Path;
//! use tms_terminal::{Fleet, Scenario};
//!
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = Fleet::new();
//! let terminal = fleet.start(Scenario::load(Path::new("terminals/10000001/terminal.toml"))?)?;
//! while !terminal.snapshot().link.signed_on {
//!     tokio::time::sleep(std::time::Duration::from_millis(50)).await;
//! }
//! let login = terminal.try_login("99", "73920418")?;
//! println!("version {}, login {login:?}", terminal.snapshot().firmware_version);
//! terminal.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Device`] is the same terminal without sockets, files and clock, for a program that drives it by
//! itself.
//!
//! Modules in reading order: [`scenario`] (what `terminal.toml` says), [`fleet`] (running terminals),
//! [`device`] (one of them, driven from outside) and what it is given ([`Materials`], [`hardware`]),
//! [`console`] (what a person does at it), [`keypad`], [`flash`], [`log`] and [`trade`] (virtual hardware), [`state`] (what survives) and [`storage`]
//! (where), [`tls`], [`failure`] (why there is no session, and what to do) and [`backoff`].

mod agent;
mod clock;
mod faults;
mod line;
mod machine;
mod materials;
mod status;

pub mod backoff;
pub mod console;
pub mod device;
pub mod failure;
pub mod flash;
pub mod fleet;
pub mod hardware;
pub mod keypad;
pub mod log;
pub mod scenario;
pub mod state;
pub mod storage;
pub mod tls;
pub mod trade;

pub use agent::{Connection, Exit};
pub use device::{Device, Next, Snapshot};
pub use failure::{Failure, FailureKind};
pub use fleet::{Fleet, Handle, StartError};
pub use keypad::Login;
pub use machine::Downloads;
pub use materials::{Entropy, Materials};
pub use scenario::{Scenario, ScenarioError};
pub use status::Link;
