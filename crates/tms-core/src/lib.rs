//! The estate: its types, rules and decisions, without I/O.
//!
//! One idea runs through it: people change what a terminal *should* be ([`Desired`]), every contact
//! tells what it *is* ([`Reported`]), and [`reconcile()`] says which operations are missing until the
//! two agree. Nothing here knows a clock, a socket or a file; `now` is always an argument.
//!
//! ```
//! use tms_core::{Desired, OperationKind, Reported, parameters, reconcile};
//!
//! // A person's change is validated and brought into its one canonical spelling …
//! let timeout = parameters::canonical("timeout_s", "045")?;
//! assert_eq!(timeout, "45");
//! let typo = parameters::canonical("timeuot_s", "45").unwrap_err();
//! assert!(typo.to_string().contains("timeout_s"));
//!
//! // … becomes the desired state, and is missing from what the terminal reported.
//! let mut desired = Desired::default();
//! desired.parameters.insert("timeout_s".into(), timeout);
//! desired.parameters_revision = 1;
//! let missing = reconcile(&desired, &Reported::default(), None, &[]);
//! assert_eq!(missing, [OperationKind::SetParameters { revision: 1 }]);
//! # Ok::<(), tms_core::parameters::ParameterError>(())
//! ```
//!
//! Read in this order: [`id`] (names of things), [`group`], [`tag`] and [`attribute`] (how an estate is arranged),
//! [`terminal`] (desired and reported state), [`selector`] (which terminals are meant), [`parameters`] (what may
//! be set, and to what), [`configuration`] (what is set where, and what a terminal gets of it), [`kind`] and
//! [`operation`] (work for one terminal and its state machine), [`terms`], [`schedule`] and [`retry`] (when it is
//! carried out, and how often), [`rollout`] (one change for many terminals), [`credential`] (administrator
//! credentials and their rotation), [`artifact`] (firmware and log bundles), [`alarm`] (what terminals say
//! unasked), [`set`] (what all of them download), [`user`] (who may do how much), [`mod@reconcile`] (the
//! decision).

pub mod alarm;
pub mod artifact;
pub mod attribute;
pub mod configuration;
pub mod credential;
pub mod group;
pub mod id;
pub mod kind;
pub mod operation;
pub mod parameters;
pub mod reconcile;
pub mod retry;
pub mod rollout;
pub mod schedule;
pub mod selector;
pub mod set;
pub mod tag;
pub mod terminal;
pub mod terms;
pub mod user;

pub use alarm::Alarm;
pub use artifact::{FirmwareRecord, LogBundle};
pub use attribute::{AttributeName, AttributeValue, Attributes};
pub use credential::{Credential, Generation, PendingGeneration, RotationPhase};
pub use group::{Group, GroupId, GroupKind, TemplateName, Tree};
pub use id::{BatchId, FirmwareId, IdError, MerchantId, OperationId, Profile, Role, RolloutId, TerminalId};
pub use kind::{KindError, OperationKind};
pub use operation::{Lease, NewOperation, Operation, OperationState, Progress};
pub use reconcile::reconcile;
pub use retry::{Attempt, Outcome, RetryPolicy};
pub use rollout::{Rollout, RolloutTarget};
pub use schedule::{Window, Zone};
pub use selector::Selector;
pub use set::{EstateSet, SetName};
pub use tag::Tag;
pub use terminal::{Desired, DeviceState, Health, LifeCycle, Place, Reported, Terminal};
pub use terms::{Priority, Terms, Trigger};
pub use user::UserRole;
