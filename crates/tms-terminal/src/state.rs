//! What a terminal remembers, in one JSON file that is replaced as a whole: the process can be killed
//! at any moment and the next start finds the old state or the new one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tms_firmware::SlotState;
use tms_proto::{
    address::Addresses,
    alarm::{AlarmKind, AlarmLog},
    journal::Journal,
    plan::{PlanRunner, PlanSource},
    rotation::CredentialSlots,
    task::{Outcome, TaskResult},
};
use uuid::Uuid;

use crate::{keypad::Lockout, storage::Storage, trade::Trade};

const VERSION: u32 = 1;
const FILE_NAME: &str = "state.json";

/// Everything durable but the flash and the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Layout of this file.
    pub version: u32,
    /// Whose state it is.
    pub tid: String,
    /// Starts since manufacture.
    pub boot_count: u32,
    /// Both firmware slots and the installation.
    pub slots: SlotState,
    /// Tasks and their results.
    pub journal: Journal,
    /// Administrator credentials.
    pub credentials: CredentialSlots,
    /// Failed logins.
    pub lockout: Lockout,
    /// Parameters that the host has set.
    pub parameters: BTreeMap<String, String>,
    /// Revision of that set, where the host told it.
    pub parameters_revision: Option<u64>,
    /// A restart that was ordered and has not happened yet.
    pub reboot: Option<TaskKey>,
    /// The installation that is going on.
    pub install: Option<Install>,
    /// The log or journal that is being sent.
    pub upload: Option<Upload>,
    /// The plan in force and how far it has come.
    #[serde(default)]
    pub plan: PlanRunner,
    /// The operation that brought the plan in force, and the plan's id.
    #[serde(default)]
    pub plan_from: Option<(Uuid, Uuid)>,
    /// A plan that is being fetched.
    #[serde(default)]
    pub plan_file: Option<PlanFile>,
    /// Where the host is, once it was told to move; before, the scenario says.
    #[serde(default)]
    pub addresses: Option<Addresses>,
    /// What the display says while the terminal takes no payments; none when it takes them.
    #[serde(default)]
    pub lock: Option<String>,
    /// What the host shows on the display.
    #[serde(default)]
    pub message: Option<Message>,
    /// The terminal's own clock.
    #[serde(default)]
    pub clock: OwnClock,
    /// Alarms that the host may not have yet.
    #[serde(default)]
    pub alarms: AlarmLog,
    /// What is wrong and was told; told again only after it was right in between.
    #[serde(default)]
    pub wrong: BTreeSet<AlarmKind>,
    /// The books.
    #[serde(default)]
    pub trade: Trade,
    /// Connections to the host that were tried.
    #[serde(default)]
    pub comm_attempts: u64,
    /// Those on which the terminal signed on.
    #[serde(default)]
    pub sign_ons: u64,
    /// Starts of the payment application.
    #[serde(default)]
    pub application_starts: u64,
}

/// A message on the display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The text.
    pub text: String,
    /// From then on it is not shown any more.
    pub until: Option<Timestamp>,
}

/// The terminal's own clock beside the true one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnClock {
    /// How far it is ahead, in milliseconds.
    pub ahead_ms: i64,
    /// How far it was moved when it was last set, in seconds.
    pub last_step_s: Option<i64>,
    /// Local time less UTC, in seconds.
    pub utc_offset_s: i32,
}

impl OwnClock {
    /// What it says.
    #[must_use]
    pub fn reads(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(SignedDuration::from_millis(self.ahead_ms)).unwrap_or(now)
    }

    /// When it will say this.
    #[must_use]
    pub fn when(&self, own: Timestamp) -> Timestamp {
        own.saturating_sub(SignedDuration::from_millis(self.ahead_ms)).unwrap_or(own)
    }
}

/// A plan on its way from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Who ordered it.
    pub task: TaskKey,
    /// Where it is.
    pub source: PlanSource,
}

/// One step of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskKey {
    /// The operation.
    pub operation: Uuid,
    /// The step.
    pub step: u8,
}

impl TaskKey {
    /// Its result.
    pub(crate) fn result(self, outcome: Outcome) -> TaskResult {
        TaskResult::new(self.operation, self.step, outcome)
    }
}

/// A firmware installation, from the task until the image is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// Who ordered it.
    pub task: TaskKey,
    /// Name of the image on the host.
    pub file: String,
    /// Announced size.
    pub size_bytes: u64,
    /// Announced SHA-256, hexadecimal.
    pub sha256: String,
    /// How much of the image is safe in the slot.
    pub durable_bytes: u64,
}

/// A bundle of the log or of the journal on its way to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Who ordered it.
    pub task: TaskKey,
    /// Size of the bundle.
    pub total_bytes: u64,
    /// SHA-256 of the bundle, hexadecimal.
    pub sha256: String,
    /// Whether it is the journal of transactions and not the log.
    #[serde(default)]
    pub journal: bool,
}

impl State {
    /// A terminal that has never started.
    #[must_use]
    pub fn new(tid: &str, slots: SlotState, credentials: CredentialSlots) -> Self {
        Self {
            version: VERSION,
            tid: tid.to_owned(),
            boot_count: 0,
            slots,
            journal: Journal::default(),
            credentials,
            lockout: Lockout::default(),
            parameters: BTreeMap::new(),
            parameters_revision: None,
            reboot: None,
            install: None,
            upload: None,
            plan: PlanRunner::default(),
            plan_from: None,
            plan_file: None,
            addresses: None,
            lock: None,
            message: None,
            clock: OwnClock::default(),
            alarms: AlarmLog::default(),
            wrong: BTreeSet::new(),
            trade: Trade::default(),
            comm_attempts: 0,
            sign_ons: 0,
            application_starts: 0,
        }
    }

    /// Notes the result of a task, or of a plan's action.
    pub(crate) fn finish(&mut self, result: TaskResult, now: Timestamp) {
        if self.plan.running() == Some((result.operation, result.step)) {
            if let Err(error) = self.plan.finished(result, self.clock.reads(now)) {
                tracing::warn!(tid = %self.tid, %error, "the plan did not take a result");
            }
        } else {
            self.journal.finish(result);
        }
    }

    /// The next result that the host may not have.
    pub(crate) fn next_result(&self) -> Option<&TaskResult> {
        self.journal.unacknowledged().chain(self.plan.unreported()).next()
    }

    /// The host has a result.
    pub(crate) fn acknowledge(&mut self, task: TaskKey) {
        self.journal.acknowledge(task.operation, task.step);
        self.plan.acknowledge(task.operation, task.step);
    }
}

/// Why the state cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file is there and is no state.
    #[error(
        "{} is damaged ({reason}); restore it from a backup, or delete the folder {} to start the terminal as delivered",
        file.display(),
        file.parent().unwrap_or(Path::new(".")).display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state of another terminal.
    #[error("{} belongs to terminal {found}, not {expected}; give each terminal its own [state] folder", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        found: String,
        /// Who reads it.
        expected: String,
    },
    /// Written by a newer program.
    #[error("{} has layout {found}, this program knows {VERSION}; run the newer program again", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its layout.
        found: u64,
    },
    /// The file system refused.
    #[error("{}: {source}; check free space, owner and mode of the folder", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// The file itself.
#[derive(Clone, Debug)]
pub struct StateFile {
    storage: Arc<dyn Storage>,
}

impl StateFile {
    /// The state file of a storage.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Reads the state of terminal `tid`; `None` when there is none yet.
    ///
    /// # Errors
    /// [`StateError`] when the file is there and cannot be used.
    pub fn load(&self, tid: &str) -> Result<Option<State>, StateError> {
        let read = self.storage.read(FILE_NAME).map_err(|error| StateError::io(&self.path(), error))?;
        let Some(bytes) = read else { return Ok(None) };
        let damaged =
            |error: serde_json::Error| StateError::Damaged { file: self.path(), reason: error.to_string() };
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        // Looked at before the rest, whose shape a newer layout may change.
        match json.get("version").and_then(serde_json::Value::as_u64) {
            Some(found) if found > u64::from(VERSION) => {
                return Err(StateError::Newer { file: self.path(), found });
            }
            _ => {}
        }
        let state: State = serde_json::from_value(json).map_err(damaged)?;
        if state.tid != tid {
            return Err(StateError::Foreign {
                file: self.path(),
                found: state.tid,
                expected: tid.to_owned(),
            });
        }
        Ok(Some(state))
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old state is then still there.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        let json = serde_json::to_vec(state)
            .map_err(|error| StateError::Damaged { file: self.path(), reason: error.to_string() })?;
        self.storage.replace(FILE_NAME, &json).map_err(|error| StateError::io(&self.path(), error))
    }

    fn path(&self) -> PathBuf {
        self.storage.location(FILE_NAME)
    }
}

#[cfg(test)]
mod tests;
