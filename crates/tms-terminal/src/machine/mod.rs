//! The terminal itself, without its connection: what it remembers and what its parts do.
//!
//! Whatever changes here is saved before the method returns, so that an answer to the host never
//! says more than the terminal will still know after being killed.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tms_crypto::{seal, verifier::Verifier};
use tms_firmware::{
    SlotState,
    install::{Image, Phase},
};
use tms_proto::{
    report::Health,
    rotation::{CredentialSlots, SEAL_INFO},
    settlement::Settle,
    task::{Task, TaskResult},
};
use zeroize::Zeroizing;

use crate::{
    flash::Flash,
    hardware::Effect,
    keypad::Login,
    log::Log,
    materials::Materials,
    scenario::Scenario,
    state::{State, StateError, StateFile, TaskKey},
    storage::Storage,
    trade::Trade,
};

mod alarms;
mod commands;
mod downloads;
mod host;
mod install;
mod planning;
mod report;
mod sales;
mod settling;
mod uploads;

pub(crate) use commands::Begun;
pub use downloads::Downloads;

/// Where the manifest of the image being installed is kept.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Where the log bundle being sent is kept, so that every part of it comes from the same bytes.
pub(crate) const BUNDLE: &str = "bundle.log";

/// Most parameters that a terminal keeps.
const MAX_PARAMETERS: usize = 256;

/// The terminal.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) materials: Materials,
    pub(crate) state: State,
    pub(crate) flash: Flash,
    pub(crate) health: Health,
    pub(crate) downloads: Downloads,
    download_hashes: [[u8; 32]; 3],
    /// The settlement that goes on.
    settling: Option<Settle>,
    /// When the host last refused totals for good, and how often in a row.
    totals_refused: Option<(Timestamp, u32)>,
    /// A session with the host stands; its number.
    pub(crate) contact: Option<u64>,
    /// The plan's action that someone at the terminal has just asked for.
    pub(crate) by_hand: Option<u32>,
    /// The terminal wants to start again.
    pub(crate) restart: bool,
    booted_at: Timestamp,
    /// The host's last report is not true any more.
    pub(crate) changed: bool,
    /// Something changed that may wait until the next save.
    unsaved: bool,
    /// Bytes until the scenario's power cut in flash; counts down once in the life of the process.
    pub(crate) power_bytes: Option<u64>,
    storage: Arc<dyn Storage>,
    file: StateFile,
    log: Log,
}

impl Machine {
    /// Takes up the terminal where its storage left it, or as delivered.
    pub(crate) fn open(
        scenario: Arc<Scenario>,
        materials: Materials,
        storage: Arc<dyn Storage>,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let file = StateFile::new(Arc::clone(&storage));
        let state = match file.load(&scenario.identity.tid)? {
            Some(state) => state,
            None => as_delivered(&scenario, &materials),
        };
        let downloads = Downloads::load(storage.as_ref())?;
        let behaviour = &scenario.behaviour;
        let log = Log::open(Arc::clone(&storage), behaviour.log_lines, &scenario.identity.tid, now)
            .map_err(|error| StateError::io(&storage.location(""), error))?;
        Ok(Self {
            flash: Flash::new(Arc::clone(&storage), scenario.hardware.flash_bytes),
            health: scenario.hardware.health(),
            download_hashes: downloads.hashes(),
            settling: settling::load(storage.as_ref())?,
            totals_refused: None,
            downloads,
            contact: None,
            by_hand: None,
            restart: false,
            booted_at: now,
            changed: false,
            unsaved: false,
            power_bytes: scenario.faults.power_cut_after_flash_bytes,
            scenario,
            materials,
            state,
            storage,
            file,
            log,
        })
    }

    /// Forgets what was not saved, as losing power does.
    pub(crate) fn lose_power(&mut self) -> Result<(), StateError> {
        self.state = match self.file.load(&self.scenario.identity.tid)? {
            Some(state) => state,
            None => as_delivered(&self.scenario, &self.materials),
        };
        self.unsaved = false;
        self.downloads = Downloads::load(self.storage.as_ref())?;
        self.download_hashes = self.downloads.hashes();
        self.settling = settling::load(self.storage.as_ref())?;
        Ok(())
    }

    /// Records a result.
    pub(crate) fn finish(&mut self, result: TaskResult, now: Timestamp) -> Result<(), StateError> {
        self.state.finish(result, now);
        self.save()
    }

    /// The host has a result. That is saved with whatever is saved next: a terminal that forgets it tells
    /// the result once more, which the host knows how to take.
    pub(crate) fn acknowledge(&mut self, task: TaskKey) {
        self.state.acknowledge(task);
        self.unsaved = true;
    }

    /// The host has an alarm; saved as an acknowledgement is.
    pub(crate) fn alarm_taken(&mut self, sequence: u64) {
        self.state.alarms.taken(sequence);
        self.unsaved = true;
    }

    /// Saves what may wait, if there is any.
    pub(crate) fn save_rest(&mut self) -> Result<(), StateError> {
        if self.unsaved { self.save() } else { Ok(()) }
    }

    /// Carries out a credential command. Does not save: the caller records the result with it.
    pub(crate) fn credential(&mut self, task: &Task, now: Timestamp) -> TaskResult {
        let key = Zeroizing::new(self.materials.sealing_key.to_vec());
        let unseal = |sealed: &[u8], context: &[u8]| {
            let bytes = seal::open(&key, SEAL_INFO, context, sealed).ok()?;
            Verifier::from_bytes(&bytes).ok()
        };
        let tid = self.scenario.identity.tid.clone();
        // The caller saves the slots with the result, changed or not.
        let result =
            self.state.credentials.handle(task.operation, task.step, &tid, &task.command, unseal).result;
        self.note(now, 'I', "admin", &format!("{}: {}", task.command.name(), result.outcome));
        result
    }

    /// One login attempt at the keypad; counted before its outcome is told.
    pub(crate) fn try_login(
        &mut self,
        role: &str,
        secret: &str,
        now: Timestamp,
    ) -> Result<Login, StateError> {
        let alarms = self.state.alarms.clone();
        let login = self.state.lockout.attempt(&self.state.credentials, role, secret, now);
        if matches!(login, Login::Locked { .. }) {
            self.alarm_failed_logins(role, now);
        }
        if let Err(error) = self.save() {
            // As in `watch_durably`. The attempt counts all the same.
            self.state.alarms = alarms;
            return Err(error);
        }
        let (level, text) = match login {
            Login::Accepted { generation } => ('I', format!("login accepted, generation {generation}")),
            Login::Refused { tries_left } => ('W', format!("login refused, {tries_left} tries left")),
            Login::Locked { until } => ('W', format!("locked until {until:.0}")),
        };
        self.note(now, level, "admin", &text);
        Ok(login)
    }

    /// Applies parameters. A push carries the whole set and its revision, and an older revision than
    /// the one in force changes nothing; without a revision the values are added to what is set.
    /// Gives whether the set was acceptable.
    pub(crate) fn set_parameters(
        &mut self,
        values: BTreeMap<String, String>,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        if values.len() > MAX_PARAMETERS {
            return Ok(false);
        }
        match revision {
            Some(revision) if self.state.parameters_revision.is_some_and(|known| known > revision) => {
                return Ok(true);
            }
            Some(revision) => {
                self.state.parameters = values;
                self.state.parameters_revision = Some(revision);
            }
            None => {
                let mut set = self.state.parameters.clone();
                set.extend(values);
                if set.len() > MAX_PARAMETERS {
                    return Ok(false);
                }
                self.state.parameters = set;
            }
        }
        self.save()?;
        let revision = revision.map(|revision| format!(" revision {revision}")).unwrap_or_default();
        self.note(now, 'I', "param", &format!("parameters applied{revision}"));
        Ok(true)
    }

    /// The parameters in force: those delivered, with those that the host has set above them.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let mut values = self.scenario.parameters.clone();
        values.extend(self.state.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
        values
    }

    /// Whether the terminal wants to start again, or has another image to start.
    pub(crate) fn restart_is_due(&self) -> bool {
        self.restart || self.state.reboot.is_some() || *self.state.slots.phase() == Phase::Ready
    }

    /// What firmware rules ask of this terminal.
    pub(crate) fn device(&self) -> tms_firmware::Device {
        tms_firmware::Device {
            model: self.scenario.identity.model.clone(),
            hardware_revision: self.scenario.identity.hardware_revision.clone(),
            slot_bytes: self.flash.slot_bytes(),
        }
    }

    /// Keeps a file of the terminal's own, as a whole.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.storage.replace(name, bytes).map_err(|error| StateError::io(&self.storage.location(name), error))
    }

    /// Reads a file of the terminal's own; empty when there is none.
    pub(crate) fn kept(&self, name: &str) -> Result<Vec<u8>, StateError> {
        let read = self.storage.read(name);
        Ok(read.map_err(|error| StateError::io(&self.storage.location(name), error))?.unwrap_or_default())
    }

    /// Tells the hardware what happens now.
    pub(crate) fn happens(&self, effect: &Effect<'_>) {
        self.materials.hardware.happens(&self.scenario.identity.tid, effect);
    }

    /// Adds a line to the terminal's own log. A log that cannot be written stops nothing.
    pub(crate) fn note(&mut self, now: Timestamp, level: char, part: &str, text: &str) {
        tracing::debug!(tid = %self.scenario.identity.tid, part, "{text}");
        if let Err(error) = self.log.line(self.state.clock.reads(now), level, part, text) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
    }

    fn forget_log(&mut self, now: Timestamp) -> Result<(), StateError> {
        let seed = &self.scenario.identity.tid;
        let lines = self.scenario.behaviour.log_lines;
        let error = |error| StateError::io(&self.storage.location(""), error);
        Log::forget(self.storage.as_ref()).map_err(error)?;
        self.log = Log::open(Arc::clone(&self.storage), lines, seed, now).map_err(error)?;
        Ok(())
    }

    /// Saves a change of the books, or takes it back: a later save must not make true what was told to have
    /// failed.
    fn save_books(&mut self, before: Trade) -> Result<(), StateError> {
        let saved = self.save();
        if saved.is_err() {
            self.state.trade = before;
        }
        saved
    }

    /// Makes the present state durable.
    pub(crate) fn save(&mut self) -> Result<(), StateError> {
        self.file.save(&self.state)?;
        self.unsaved = false;
        Ok(())
    }
}

/// A terminal that has never started. The factory image itself is not simulated, only what it is.
fn as_delivered(scenario: &Scenario, materials: &Materials) -> State {
    let mut credentials = CredentialSlots::default();
    for given in &scenario.credentials {
        if tms_crypto::password::is_documented_default(&given.secret) {
            tracing::warn!(tid = %scenario.identity.tid, role = %given.role, "delivered with a default secret, which opens nothing; rotate it");
        }
        let verifier = Verifier::derive(
            given.secret.as_bytes(),
            materials.entropy.bytes(),
            materials.verifier_iterations,
        );
        credentials.install(&given.role, given.generation, &verifier);
    }
    let image = Image {
        version: scenario.firmware.version.clone(),
        security_counter: scenario.firmware.security_counter,
        size_bytes: 0,
        sha256: tms_crypto::sha256(b""),
    };
    let mut state = State::new(&scenario.identity.tid, SlotState::factory(image), credentials);
    state.clock.ahead_ms = scenario.faults.clock_ahead_s.saturating_mul(1000);
    state
}
