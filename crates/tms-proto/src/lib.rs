//! The terminal management protocol as pure state machines: bytes and `now` in, events and
//! bytes out. No socket, file, thread or clock is named here, so the same code runs in a server,
//! in a terminal and in a simulation.
//!
//! ```
//! use std::sync::Arc;
//! use jiff::Timestamp;
//! use tms_proto::{HostEvent, HostSession, Answer, Identity, Profile, TerminalEvent, TerminalSession};
//!
//! let profile = Arc::new(Profile::builtin("iso87").expect("built in"));
//! let now = Timestamp::UNIX_EPOCH;
//! let mut terminal = TerminalSession::new(profile.clone(), Identity::new("10000001", "102310060510002"));
//! let mut host = HostSession::new(profile, None);
//!
//! terminal.sign_on(b"", now).unwrap();
//! let request = terminal.poll_transmit().unwrap();
//! host.receive(&request, now).unwrap();
//! let Some(HostEvent::SignOn { exchange, .. }) = host.poll_event() else { panic!() };
//! host.answer(exchange, Answer::Approved, now).unwrap();
//! terminal.receive(&host.poll_transmit().unwrap(), now).unwrap();
//! assert!(matches!(terminal.poll_event(), Some(TerminalEvent::SignedOn { .. })));
//! ```
//!
//! Where a profile's `[mac]` section asks for MACs, a session acts on no message whose MAC it has not
//! checked: its handlers take admitted messages only. The key comes with [`Answer::Keys`] and
//! [`TerminalSession::set_working_keys`], or from [`HostSession::set_mac_key`] and
//! [`TerminalSession::set_mac_key`].
//!
//! Reading order: [`profile`] (which message carries what), [`HostSession`] and
//! [`TerminalSession`] (the two ends of a connection), [`task`] (what a terminal is told to do),
//! then the machines that outlive a connection: [`transfer`] (a file pulled in blocks),
//! [`rotation`] (an administrator credential changed without locking anyone out),
//! [`journal`] (every operation takes effect once), [`plan`] (what a terminal does when),
//! [`settlement`] (a batch closed, its details sent once each), [`alarm`] (what it tells unasked) and
//! [`address`] (where it finds its host). Whatever tries again waits by [`backoff`].

mod alive;
mod authentic;
mod body;
mod bounded;
mod counts;
mod error;
mod host;
mod label;
mod message;
mod mutation;
mod reason;
mod saved;
mod terminal;

pub mod address;
pub mod alarm;
pub mod backoff;
pub mod emv;
pub mod file;
pub mod journal;
pub mod parameters;
pub mod plan;
pub mod profile;
pub mod report;
pub mod rotation;
pub mod settlement;
pub mod task;
pub mod tms_parameters;
pub mod transactions;
pub mod transfer;
pub mod upload;

pub use counts::Counts;
pub use error::{ProfileError, ProtocolError};
pub use host::{Answer, Exchange, HostEvent, HostSession};
pub use label::{Code, Label, Name};
pub use message::Identity;
pub use profile::{Function, PendingWork, Profile, Refusal, Remedy};
pub use reason::{MacFault, Reason};
pub use terminal::{Asked, HostRequest, KeyBlock, OpenKeys, TerminalEvent, TerminalSession};
