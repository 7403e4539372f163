//! Rows of the database and the types of the estate that they stand for.

use jiff::Timestamp;
use sqlx::FromRow;
use tms_core::{
    Alarm, Credential, EstateSet, FirmwareRecord, Generation, Group, Lease, LogBundle, Operation,
    OperationId, PendingGeneration, Place, Progress, RolloutTarget, Terminal, TerminalId,
    configuration::Revision, selector::SavedSelector,
};

use crate::error::StoreError;
use crate::store::{Admin, Result, Token};
use crate::work::Tried;

/// Microseconds since 1970, as the database keeps times.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time as the database keeps it.
pub(crate) fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| StoreError::corrupt(format!("{micros} microseconds since 1970 are no time")))
}

/// The same time without what the database cannot keep.
pub(crate) fn kept(at: Timestamp) -> Result<Timestamp> {
    time(micros(at))
}

/// A count as the database keeps it. Counts beyond 2⁶³ are beyond anything that is counted here.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(count: i64) -> Result<u64> {
    u64::try_from(count).map_err(|_| StoreError::corrupt(format!("a count is {count}")))
}

fn small(count: i64) -> Result<u32> {
    u32::try_from(count).map_err(|_| StoreError::corrupt(format!("a count is {count}")))
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt(error.to_string()))
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(error.to_string()))
}

pub(crate) fn name<T>(text: &str) -> Result<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse::<T>().map_err(|error| StoreError::corrupt(error.to_string()))
}

#[derive(FromRow)]
pub(crate) struct TerminalRow {
    tid: String,
    merchant: String,
    profile: String,
    model: String,
    hardware_revision: String,
    serial: String,
    enrolled_at: i64,
    sealing_public_key: Vec<u8>,
    tmk_sealed: Vec<u8>,
    certificate_sha256: Option<String>,
    desired: String,
    reported: String,
    last_contact: Option<i64>,
    vendor: String,
    time_zone: String,
    life_cycle: String,
    replaced_by: Option<String>,
    group_id: Option<String>,
    tags: String,
    attributes: String,
    version: i64,
}

impl TryFrom<TerminalRow> for Terminal {
    type Error = StoreError;

    fn try_from(row: TerminalRow) -> Result<Self> {
        Ok(Self {
            id: name(&row.tid)?,
            merchant: name(&row.merchant)?,
            profile: name(&row.profile)?,
            model: row.model,
            hardware_revision: row.hardware_revision,
            serial: row.serial,
            enrolled_at: time(row.enrolled_at)?,
            sealing_public_key: row.sealing_public_key,
            tmk_sealed: row.tmk_sealed,
            certificate_sha256: row.certificate_sha256,
            desired: from_json(&row.desired)?,
            reported: from_json(&row.reported)?,
            last_contact: row.last_contact.map(time).transpose()?,
            place: Place {
                vendor: row.vendor,
                time_zone: name(&row.time_zone)?,
                life_cycle: name(&row.life_cycle)?,
                replaced_by: row.replaced_by.as_deref().map(name).transpose()?,
                group: row.group_id.as_deref().map(name).transpose()?,
                tags: from_json(&row.tags)?,
                attributes: from_json(&row.attributes)?,
                version: unsigned(row.version)?,
            },
        })
    }
}

#[derive(FromRow)]
pub(crate) struct GroupRow {
    id: String,
    parent: Option<String>,
    kind: String,
    name: String,
    templates: String,
    attributes: String,
    version: i64,
}

impl TryFrom<GroupRow> for Group {
    type Error = StoreError;

    fn try_from(row: GroupRow) -> Result<Self> {
        Ok(Self {
            id: name(&row.id)?,
            parent: row.parent.as_deref().map(name).transpose()?,
            kind: name(&row.kind)?,
            name: row.name,
            templates: from_json(&row.templates)?,
            attributes: from_json(&row.attributes)?,
            version: unsigned(row.version)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct SelectorRow {
    name: String,
    selector: String,
    description: String,
    author: String,
    version: i64,
}

impl TryFrom<SelectorRow> for SavedSelector {
    type Error = StoreError;

    fn try_from(row: SelectorRow) -> Result<Self> {
        Ok(Self {
            name: name(&row.name)?,
            selector: name(&row.selector)?,
            description: row.description,
            author: row.author,
            version: unsigned(row.version)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct OperationRow {
    id: String,
    tid: String,
    kind: String,
    state: String,
    attempts: i64,
    created_at: i64,
    updated_at: i64,
    expires_at: i64,
    lease_holder: Option<String>,
    lease_until: Option<i64>,
    detail: Option<String>,
    progress_done: Option<i64>,
    progress_total: Option<i64>,
    result: Option<String>,
    terms: Option<String>,
}

impl TryFrom<OperationRow> for Operation {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self> {
        let lease = match (row.lease_holder, row.lease_until) {
            (Some(holder), Some(until)) => Some(Lease { holder, until: time(until)? }),
            _ => None,
        };
        let progress = match (row.progress_done, row.progress_total) {
            (Some(done), Some(total)) => Some(Progress { done: unsigned(done)?, total: unsigned(total)? }),
            _ => None,
        };
        Ok(Self {
            id: name(&row.id)?,
            terminal: name(&row.tid)?,
            kind: from_json(&row.kind)?,
            state: name(&row.state)?,
            attempts: small(row.attempts)?,
            created_at: time(row.created_at)?,
            updated_at: time(row.updated_at)?,
            expires_at: time(row.expires_at)?,
            lease,
            detail: row.detail,
            progress,
            result: row.result.as_deref().map(from_json).transpose()?.unwrap_or_default(),
            terms: row.terms.as_deref().map(from_json).transpose()?.unwrap_or_default(),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct TriedRow {
    began_at: Option<i64>,
    node: Option<String>,
    tried: Option<String>,
}

impl TryFrom<TriedRow> for Tried {
    type Error = StoreError;

    fn try_from(row: TriedRow) -> Result<Self> {
        Ok(Self {
            began_at: row.began_at.map(time).transpose()?,
            node: row.node,
            ended: row.tried.as_deref().map(from_json).transpose()?.unwrap_or_default(),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct RevisionRow {
    scope: String,
    number: i64,
    content: String,
    author: String,
    reason: String,
    at: i64,
    rolled_back_from: Option<i64>,
}

impl TryFrom<RevisionRow> for Revision {
    type Error = StoreError;

    fn try_from(row: RevisionRow) -> Result<Self> {
        Ok(Self {
            scope: name(&row.scope)?,
            number: unsigned(row.number)?,
            values: from_json(&row.content)?,
            author: row.author,
            reason: row.reason,
            at: time(row.at)?,
            rolled_back_from: row.rolled_back_from.map(unsigned).transpose()?,
        })
    }
}

#[derive(Clone, FromRow)]
pub(crate) struct TargetRow {
    rollout: String,
    tid: String,
    wave: i64,
    state: String,
    operation: Option<String>,
    started_at: Option<i64>,
    soak_until: Option<i64>,
    judge_by: Option<i64>,
    reason: Option<String>,
}

impl TargetRow {
    pub(crate) fn rollout(&self) -> &str {
        &self.rollout
    }

    pub(crate) fn tid(&self) -> &str {
        &self.tid
    }
}

impl TryFrom<TargetRow> for RolloutTarget {
    type Error = StoreError;

    fn try_from(row: TargetRow) -> Result<Self> {
        Ok(Self {
            terminal: name(&row.tid)?,
            wave: small(row.wave)?,
            state: name(&row.state)?,
            operation: row.operation.as_deref().map(name).transpose()?,
            started_at: row.started_at.map(time).transpose()?,
            soak_until: row.soak_until.map(time).transpose()?,
            judge_by: row.judge_by.map(time).transpose()?,
            reason: row.reason,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct AlarmRow {
    number: i64,
    tid: String,
    sequence: i64,
    kind: String,
    severity: i64,
    at: i64,
    text: String,
    received_at: i64,
}

impl TryFrom<AlarmRow> for Alarm {
    type Error = StoreError;

    fn try_from(row: AlarmRow) -> Result<Self> {
        Ok(Self {
            number: unsigned(row.number)?,
            terminal: name(&row.tid)?,
            sequence: unsigned(row.sequence)?,
            kind: row.kind,
            severity: u8::try_from(row.severity)
                .map_err(|_| StoreError::corrupt(format!("a severity is {}", row.severity)))?,
            at: time(row.at)?,
            text: row.text,
            received_at: time(row.received_at)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct SetRow {
    name: String,
    revision: i64,
    content: String,
    updated_at: i64,
}

impl TryFrom<SetRow> for EstateSet {
    type Error = StoreError;

    fn try_from(row: SetRow) -> Result<Self> {
        Ok(Self {
            name: name(&row.name)?,
            revision: unsigned(row.revision)?,
            content: row.content,
            updated_at: time(row.updated_at)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct CredentialRow {
    tid: String,
    role: String,
    current_generation: Option<i64>,
    current_sealed: Option<Vec<u8>>,
    current_since: Option<i64>,
    pending_generation: Option<i64>,
    pending_sealed: Option<Vec<u8>>,
    pending_phase: Option<String>,
    pending_operation: Option<String>,
    foreign_generation: Option<i64>,
    highest_generation: i64,
    version: i64,
}

impl TryFrom<CredentialRow> for Credential {
    type Error = StoreError;

    fn try_from(row: CredentialRow) -> Result<Self> {
        let current = match (row.current_generation, row.current_sealed, row.current_since) {
            (Some(generation), Some(sealed), Some(since)) => {
                Some(Generation { generation: small(generation)?, sealed, since: time(since)? })
            }
            _ => None,
        };
        let pending =
            match (row.pending_generation, row.pending_sealed, row.pending_phase, row.pending_operation) {
                (Some(generation), Some(sealed), Some(phase), Some(operation)) => Some(PendingGeneration {
                    generation: small(generation)?,
                    sealed,
                    phase: name(&phase)?,
                    operation: name::<OperationId>(&operation)?,
                }),
                _ => None,
            };
        Ok(Self {
            terminal: name::<TerminalId>(&row.tid)?,
            role: name(&row.role)?,
            current,
            pending,
            foreign_generation: row.foreign_generation.map(small).transpose()?,
            highest_generation: small(row.highest_generation)?,
            version: unsigned(row.version)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct FirmwareRow {
    id: String,
    version: String,
    models: String,
    size_bytes: i64,
    sha256: String,
    envelope: String,
    object: String,
    published_at: i64,
}

impl TryFrom<FirmwareRow> for FirmwareRecord {
    type Error = StoreError;

    fn try_from(row: FirmwareRow) -> Result<Self> {
        Ok(Self {
            id: name(&row.id)?,
            version: row.version,
            models: from_json(&row.models)?,
            size_bytes: unsigned(row.size_bytes)?,
            sha256: row.sha256,
            envelope: row.envelope,
            object: row.object,
            published_at: time(row.published_at)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct LogBundleRow {
    operation: String,
    tid: String,
    object: String,
    size_bytes: i64,
    sha256: String,
    collected_at: i64,
}

impl TryFrom<LogBundleRow> for LogBundle {
    type Error = StoreError;

    fn try_from(row: LogBundleRow) -> Result<Self> {
        Ok(Self {
            operation: name(&row.operation)?,
            terminal: name(&row.tid)?,
            object: row.object,
            size_bytes: unsigned(row.size_bytes)?,
            sha256: row.sha256,
            collected_at: time(row.collected_at)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct AdminRow {
    name: String,
    role: String,
    password_hash: String,
    one_time: bool,
    consumed: bool,
}

impl TryFrom<AdminRow> for Admin {
    type Error = StoreError;

    fn try_from(row: AdminRow) -> Result<Self> {
        Ok(Self {
            user: row.name,
            role: name(&row.role)?,
            password_hash: row.password_hash,
            one_time: row.one_time,
            consumed: row.consumed,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct TokenRow {
    name: String,
    role: String,
    expires_at: i64,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self> {
        Ok(Self { user: row.name, role: name(&row.role)?, expires_at: time(row.expires_at)? })
    }
}
