//! What a store holds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tms_core::{
    Alarm, Credential, EstateSet, FirmwareId, FirmwareRecord, Group, GroupId, LogBundle, Operation,
    OperationId, Role, Rollout, RolloutId, RolloutTarget, TemplateName, Terminal, TerminalId,
    configuration::{Revision, Scope},
    selector::SavedSelector,
};
use tms_store::work::Tried;
use tms_store::{Admin, StoreError, Token};

/// Everything in a store. A copy of it is a backup.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Terminals with their desired and reported state.
    pub terminals: BTreeMap<TerminalId, Terminal>,
    /// All operations.
    pub operations: BTreeMap<OperationId, Operation>,
    /// The order of each terminal's operations.
    pub queues: BTreeMap<TerminalId, Queue>,
    /// Groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// Selectors that people have saved.
    pub selectors: BTreeMap<TemplateName, SavedSelector>,
    /// Revisions of each scope, the first one first.
    pub revisions: BTreeMap<Scope, Vec<Revision>>,
    /// The attempts at operations.
    pub tried: BTreeMap<OperationId, Tried>,
    /// Until when operations are put off.
    pub due: BTreeMap<OperationId, Timestamp>,
    /// Operations that wait for a settlement.
    pub awaiting_settlement: BTreeSet<OperationId>,
    /// When terminals last settled.
    pub settled: BTreeMap<TerminalId, Timestamp>,
    /// Rollouts.
    pub rollouts: BTreeMap<RolloutId, Rollout>,
    /// The targets of those that were started, in their order.
    pub targets: BTreeMap<RolloutId, Vec<RolloutTarget>>,
    /// Credentials with their rotations.
    pub credentials: BTreeMap<(TerminalId, Role), Credential>,
    /// Published packages.
    pub firmware: BTreeMap<FirmwareId, FirmwareRecord>,
    /// Logs that terminals sent.
    pub log_bundles: BTreeMap<OperationId, LogBundle>,
    /// Alarms of each terminal by their sequence.
    pub alarms: BTreeMap<TerminalId, BTreeMap<u64, Alarm>>,
    /// Sets that all terminals download, by name.
    pub sets: BTreeMap<&'static str, EstateSet>,
    /// Documents about terminals by name.
    pub documents: BTreeMap<(TerminalId, String), String>,
    /// Who has which duty, and until when.
    pub duties: BTreeMap<String, (String, Timestamp)>,
    /// People.
    pub admins: BTreeMap<String, Admin>,
    /// Bearer tokens by the digest of their text.
    pub tokens: BTreeMap<String, Token>,
    /// Requests that callers may repeat, by caller and key.
    pub requests: BTreeMap<(String, String), Request>,
    pub(super) certificates: BTreeMap<String, TerminalId>,
    pub(super) last_alarm: u64,
    pub(super) leased: BTreeSet<OperationId>,
}

/// A request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it asked for.
    pub fingerprint: String,
    /// When it began.
    pub began_at: Timestamp,
    /// What it was answered, if it was.
    pub answer: Option<Vec<u8>>,
}

/// The operations of one terminal, in the order in which they were made durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// All of them.
    pub all: Vec<OperationId>,
    /// Those that are open.
    pub open: Vec<OperationId>,
}

/// Times are kept to the microsecond, as every back end does.
pub(super) fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

pub(super) fn not_found(what: &'static str, name: impl ToString) -> StoreError {
    StoreError::NotFound { what, name: name.to_string() }
}

pub(super) fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::Invalid { reason: reason.into() }
}

pub(super) fn conflict(reason: impl Into<String>) -> StoreError {
    StoreError::Conflict { reason: reason.into() }
}
