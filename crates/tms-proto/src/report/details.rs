//! What a report can say beyond what every terminal says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Body, put, put_text, tag},
    error::ProtocolError,
    plan::PlanStatus,
    task::{MAX_NAME_BYTES, MAX_TEXT_BYTES},
};

use super::MAX_ROLES;

/// Most applications in a report.
pub const MAX_APPLICATIONS: usize = 16;

const NAME: &str = "report details";

/// What a report can say beyond what every terminal says. A terminal leaves out what it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The plan in force and what became of its actions.
    pub plan: Option<PlanStatus>,
    /// Whether the terminal takes no payments because it was told so.
    pub lock: Option<Lock>,
    /// Of each administrator role, whether the credential is still the one that it was delivered with.
    pub default_credentials: BTreeMap<String, bool>,
    /// Free room for files, in bytes.
    pub free_storage_bytes: Option<u64>,
    /// Time since the last start, in seconds.
    pub uptime_s: Option<u64>,
    /// Transactions since manufacture.
    pub transactions: Option<u64>,
    /// Connections to the host that were tried since manufacture.
    pub comm_attempts: Option<u64>,
    /// Those of them on which the terminal signed on.
    pub comm_successes: Option<u64>,
    /// How far the clock was moved when it was last set, in seconds.
    pub clock_step_s: Option<i64>,
    /// SHA-256 of the CA public keys (CAPK) in force.
    pub capk_sha256: Option<[u8; 32]>,
    /// SHA-256 of the application parameters (AID) in force.
    pub aid_sha256: Option<[u8; 32]>,
    /// SHA-256 of the card blacklist in force.
    pub blacklist_sha256: Option<[u8; 32]>,
    /// The current batch.
    pub batch: Option<u32>,
    /// Revision of the parameters in force.
    pub parameters_revision: Option<u64>,
    /// [`content_hash`](crate::parameters::content_hash) of the parameters in force.
    pub parameters_sha256: Option<[u8; 32]>,
    /// Sequence of the last alarm that was raised.
    pub last_alarm: Option<u64>,
    /// Versions of the installed applications, by name; at most [`MAX_APPLICATIONS`] on the wire.
    pub applications: BTreeMap<String, String>,
}

/// Whether a terminal is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Whether it takes no payments.
    pub locked: bool,
    /// What the display says meanwhile.
    pub message: String,
}

impl Details {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if let Some(plan) = &self.plan {
            put(&mut out, tag::PLAN, &plan.encode());
        }
        if let Some(Lock { locked, message }) = &self.lock {
            put(&mut out, tag::LOCKED, &[u8::from(*locked)]);
            put_text(&mut out, tag::MESSAGE, message, MAX_TEXT_BYTES);
        }
        for (role, default) in self.default_credentials.iter().take(MAX_ROLES) {
            put_pair(&mut out, tag::DEFAULT_CREDENTIAL, role, if *default { "1" } else { "0" });
        }
        for (tag, value) in [
            (tag::FREE_STORAGE, self.free_storage_bytes),
            (tag::UPTIME, self.uptime_s),
            (tag::TRANSACTIONS, self.transactions),
            (tag::COMM_ATTEMPTS, self.comm_attempts),
            (tag::COMM_SUCCESSES, self.comm_successes),
            (tag::REVISION, self.parameters_revision),
            (tag::SEQUENCE, self.last_alarm),
        ] {
            if let Some(value) = value {
                put(&mut out, tag, &value.to_be_bytes());
            }
        }
        if let Some(step) = self.clock_step_s {
            put(&mut out, tag::CLOCK_STEP, &step.to_be_bytes());
        }
        if let Some(batch) = self.batch {
            put(&mut out, tag::BATCH, &batch.to_be_bytes());
        }
        for (tag, hash) in [
            (tag::CAPK_HASH, &self.capk_sha256),
            (tag::AID_HASH, &self.aid_sha256),
            (tag::BLACKLIST_HASH, &self.blacklist_sha256),
            (tag::PARAMETERS_HASH, &self.parameters_sha256),
        ] {
            if let Some(hash) = hash {
                put(&mut out, tag, hash);
            }
        }
        for (name, version) in self.applications.iter().take(MAX_APPLICATIONS) {
            put_pair(&mut out, tag::APPLICATION, name, version);
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let body = Body::parse(bytes)?;
        let number = |tag| Ok::<_, ProtocolError>(body.optional_array(tag, NAME)?.map(u64::from_be_bytes));
        let hash = |tag| body.optional_array::<32>(tag, NAME);
        let mut default_credentials = BTreeMap::new();
        for (role, flag) in pairs(&body, tag::DEFAULT_CREDENTIAL, MAX_ROLES)? {
            let default = match flag.as_str() {
                "0" => false,
                "1" => true,
                _ => return Err(ProtocolError::body(NAME, "a default credential is neither 0 nor 1")),
            };
            default_credentials.insert(role, default);
        }
        let lock = match body.find(tag::LOCKED) {
            Some(_) => Some(Lock {
                locked: body.flag(tag::LOCKED, NAME)?,
                message: body.optional_text(tag::MESSAGE, NAME, MAX_TEXT_BYTES)?.unwrap_or_default(),
            }),
            None => None,
        };
        Ok(Self {
            plan: body.find(tag::PLAN).map(PlanStatus::decode).transpose()?,
            lock,
            default_credentials,
            free_storage_bytes: number(tag::FREE_STORAGE)?,
            uptime_s: number(tag::UPTIME)?,
            transactions: number(tag::TRANSACTIONS)?,
            comm_attempts: number(tag::COMM_ATTEMPTS)?,
            comm_successes: number(tag::COMM_SUCCESSES)?,
            clock_step_s: body.optional_array(tag::CLOCK_STEP, NAME)?.map(i64::from_be_bytes),
            capk_sha256: hash(tag::CAPK_HASH)?,
            aid_sha256: hash(tag::AID_HASH)?,
            blacklist_sha256: hash(tag::BLACKLIST_HASH)?,
            batch: body.optional_array(tag::BATCH, NAME)?.map(u32::from_be_bytes),
            parameters_revision: number(tag::REVISION)?,
            parameters_sha256: hash(tag::PARAMETERS_HASH)?,
            last_alarm: number(tag::SEQUENCE)?,
            applications: pairs(&body, tag::APPLICATION, MAX_APPLICATIONS)?,
        })
    }
}

/// A pair that would be cut is left out: half a version is a wrong one.
fn put_pair(out: &mut Vec<u8>, tag: u32, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    if pair.len() <= MAX_NAME_BYTES && !name.contains('=') {
        put_text(out, tag, &pair, MAX_NAME_BYTES);
    }
}

fn pairs(body: &Body<'_>, tag: u32, most: usize) -> Result<BTreeMap<String, String>, ProtocolError> {
    let mut pairs = BTreeMap::new();
    for element in body.all(tag).take(most) {
        let pair = body::text(element, NAME, MAX_NAME_BYTES)?;
        let (name, value) =
            pair.split_once('=').ok_or_else(|| ProtocolError::body(NAME, "an element is not name=value"))?;
        pairs.insert(name.to_owned(), value.to_owned());
    }
    Ok(pairs)
}
