//! What a store holds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tms_core::{
    Alarm, Credential, Delivery, DeliveryId, EstateSet, FirmwareId, FirmwareRecord, LogBundle, Operation,
    OperationId, Role, Terminal, TerminalId, Webhook, WebhookId,
};
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
    /// People.
    pub admins: BTreeMap<String, Admin>,
    /// Bearer tokens by the digest of their text.
    pub tokens: BTreeMap<String, Token>,
    /// Requests that callers may repeat, by caller and key.
    pub requests: BTreeMap<(String, String), Request>,
    /// Addresses that are told what happens.
    pub webhooks: BTreeMap<WebhookId, Webhook>,
    /// What was or is to be delivered to them.
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
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

pub(super) fn conflict(reason: impl Into<String>) -> StoreError {
    StoreError::Conflict { reason: reason.into() }
}
