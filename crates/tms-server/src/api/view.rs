//! What callers are shown. Sealed values, leases and object paths stay inside.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use tms_core::{
    Alarm, Desired, EstateSet, FirmwareId, FirmwareRecord, LogBundle, MerchantId, Operation, OperationId,
    OperationKind, OperationState, Place, Profile, Progress, Reported, SetName, Terminal, TerminalId,
    reconcile,
};
use utoipa::ToSchema;

use crate::{
    app::App,
    downloads::{Loaded, reported_as},
};

/// A terminal: who it is, what it should be, what it last said it is.
#[derive(Serialize, ToSchema)]
pub(super) struct TerminalView {
    id: TerminalId,
    merchant: MerchantId,
    profile: Profile,
    model: String,
    hardware_revision: String,
    serial: String,
    /// Whether it has its keys; one that was only imported has none yet.
    enrolled: bool,
    /// When it was enrolled or, before that, imported.
    enrolled_at: Timestamp,
    /// Where it stands and what people know it by.
    place: Place,
    /// Whether it has a session with this server right now.
    connected: bool,
    last_contact: Option<Timestamp>,
    /// Whether nothing is missing between desired and reported state.
    converged: bool,
    desired: Desired,
    /// Version of the desired firmware, if there is one.
    desired_firmware_version: Option<String>,
    reported: Reported,
    /// The sets of the estate whose content the terminal reports; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<TerminalSetView>,
}

/// A set of the estate beside what a terminal last reported.
#[derive(Serialize, ToSchema)]
struct TerminalSetView {
    name: SetName,
    /// The revision that every terminal should have.
    revision: u64,
    /// Whether what the terminal last reported is that.
    agrees: bool,
}

impl TerminalView {
    pub(super) fn new(app: &App, terminal: Terminal, versions: &Versions) -> Self {
        let version = terminal.desired.firmware.as_ref().and_then(|id| versions.get(id)).cloned();
        let enrolled = tms_store::estate::is_enrolled(&terminal);
        Self {
            connected: app.wake.is_connected(&terminal.id),
            converged: reconcile(&terminal.desired, &terminal.reported, version.as_deref(), &[]).is_empty(),
            desired_firmware_version: version,
            id: terminal.id,
            merchant: terminal.merchant,
            profile: terminal.profile,
            model: terminal.model,
            hardware_revision: terminal.hardware_revision,
            serial: terminal.serial,
            enrolled,
            enrolled_at: terminal.enrolled_at,
            place: terminal.place,
            last_contact: terminal.last_contact,
            desired: terminal.desired,
            reported: terminal.reported,
            sets: Vec::new(),
        }
    }

    /// With what its last report says of the sets that were put.
    pub(super) fn with_sets(mut self, loaded: &Loaded) -> Self {
        let sets = loaded.revisions.iter().filter_map(|(name, revision)| {
            let mut sha256 = [0; 32];
            let reported = self.reported.details.get(reported_as(*name)?)?;
            hex::decode_to_slice(reported, &mut sha256).ok()?;
            let agrees = loaded.is_the_one(*name, sha256)?;
            Some(TerminalSetView { name: *name, revision: *revision, agrees })
        });
        self.sets = sets.collect();
        self
    }
}

/// Versions of packages, by id.
pub(super) type Versions = HashMap<FirmwareId, String>;

pub(super) async fn versions(app: &App) -> tms_store::Result<Versions> {
    let firmwares = app.store.firmwares().await?;
    Ok(firmwares.into_iter().map(|record| (record.id, record.version)).collect())
}

/// A piece of work for one terminal.
#[derive(Serialize, ToSchema)]
pub(super) struct OperationView {
    id: OperationId,
    terminal: TerminalId,
    kind: OperationKind,
    state: OperationState,
    attempts: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Timestamp,
    detail: Option<String>,
    progress: Option<Progress>,
    /// What the terminal found, by name.
    result: BTreeMap<String, String>,
}

impl From<Operation> for OperationView {
    fn from(operation: Operation) -> Self {
        Self {
            id: operation.id,
            terminal: operation.terminal,
            kind: operation.kind,
            state: operation.state,
            attempts: operation.attempts,
            created_at: operation.created_at,
            updated_at: operation.updated_at,
            expires_at: operation.expires_at,
            detail: operation.detail,
            progress: operation.progress,
            result: operation.result,
        }
    }
}

/// A published firmware package.
#[derive(Serialize, ToSchema)]
pub(super) struct FirmwareView {
    id: FirmwareId,
    version: String,
    models: Vec<String>,
    size_bytes: u64,
    sha256: String,
    published_at: Timestamp,
}

impl From<FirmwareRecord> for FirmwareView {
    fn from(record: FirmwareRecord) -> Self {
        Self {
            id: record.id,
            version: record.version,
            models: record.models,
            size_bytes: record.size_bytes,
            sha256: record.sha256,
            published_at: record.published_at,
        }
    }
}

/// A log that a terminal sent.
#[derive(Serialize, ToSchema)]
pub(super) struct LogView {
    operation: OperationId,
    terminal: TerminalId,
    size_bytes: u64,
    sha256: String,
    collected_at: Timestamp,
}

impl From<LogBundle> for LogView {
    fn from(bundle: LogBundle) -> Self {
        Self {
            operation: bundle.operation,
            terminal: bundle.terminal,
            size_bytes: bundle.size_bytes,
            sha256: bundle.sha256,
            collected_at: bundle.collected_at,
        }
    }
}

/// What a terminal said unasked.
#[derive(Serialize, ToSchema)]
pub(super) struct AlarmView {
    number: u64,
    terminal: TerminalId,
    sequence: u64,
    kind: String,
    severity: String,
    at: Timestamp,
    text: String,
    received_at: Timestamp,
}

impl From<Alarm> for AlarmView {
    fn from(alarm: Alarm) -> Self {
        Self {
            number: alarm.number,
            terminal: alarm.terminal,
            sequence: alarm.sequence,
            kind: alarm.kind,
            severity: tms_proto::alarm::Severity(alarm.severity).to_string(),
            at: alarm.at,
            text: alarm.text,
            received_at: alarm.received_at,
        }
    }
}

/// A set that all terminals download.
#[derive(Serialize, ToSchema)]
pub(super) struct SetView {
    name: SetName,
    revision: u64,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<serde_json::Value>,
}

impl SetView {
    pub(super) fn new(set: EstateSet, with_content: bool) -> Self {
        let content = with_content.then(|| serde_json::from_str(&set.content).unwrap_or_default());
        Self { name: set.name, revision: set.revision, updated_at: set.updated_at, content }
    }
}
