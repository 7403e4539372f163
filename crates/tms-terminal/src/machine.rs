//! The terminal itself, without its connection: what it remembers and what its parts do.
//!
//! Whatever changes here is saved before the method returns, so that an answer to the host never
//! says more than the terminal will still know after being killed.

use std::{collections::BTreeMap, io, sync::Arc};

use jiff::Timestamp;
use tms_crypto::{seal, verifier::Verifier};
use tms_firmware::{
    SlotState,
    install::{Boot, Image, Phase},
};
use tms_proto::{
    report::{Health, Report},
    rotation::{CredentialSlots, SEAL_INFO},
    task::{Outcome, Task, TaskResult},
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
};

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
        let behaviour = &scenario.behaviour;
        let log = Log::open(Arc::clone(&storage), behaviour.log_lines, &scenario.identity.tid, now)
            .map_err(|error| StateError::io(&storage.location(""), error))?;
        Ok(Self {
            flash: Flash::new(Arc::clone(&storage), scenario.hardware.flash_bytes),
            health: scenario.hardware.health(),
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
        Ok(())
    }

    /// Starts: counts the boot, lets the slots decide what runs, and finishes what a restart finishes.
    pub(crate) fn boot(&mut self, now: Timestamp) -> Result<(), StateError> {
        self.state.boot_count = self.state.boot_count.saturating_add(1);
        let outcome = self.state.slots.boot();
        if let Boot::FellBack { failed } = &outcome {
            self.finish_install(
                Outcome::FELL_BACK,
                &format!("version {} never came up healthy", failed.version),
            );
        }
        if let Some(task) = self.state.reboot.take() {
            self.state.journal.finish(TaskResult::new(task.operation, task.step, Outcome::DONE));
        }
        self.happens(&Effect::Booted { boot_count: self.state.boot_count });
        self.save()?;
        let text = match &outcome {
            Boot::Normal => "started".to_owned(),
            Boot::Trial => "started on trial".to_owned(),
            Boot::FellBack { failed } => {
                format!("version {} given up, started the previous one", failed.version)
            }
        };
        self.note(
            now,
            'I',
            "boot",
            &format!(
                "{text}: version {} slot {} boot {}",
                self.version(),
                self.state.slots.active(),
                self.state.boot_count
            ),
        );
        Ok(())
    }

    /// The host was reached: an image on trial is healthy, unless the scenario says otherwise. Gives
    /// whether the terminal must restart to get away from an unhealthy one.
    pub(crate) fn settle_trial(&mut self, now: Timestamp) -> Result<bool, StateError> {
        if !matches!(self.state.slots.phase(), Phase::Trial { .. }) {
            return Ok(false);
        }
        let version = self.version();
        let sick =
            self.scenario.faults.unhealthy_version.as_ref().is_some_and(|sick| sick.as_str() == version);
        if sick {
            // Cannot fail: the phase was looked at above.
            let _ = self.state.slots.fall_back();
            self.finish_install(Outcome::FELL_BACK, &format!("version {version} found itself unhealthy"));
        } else {
            let _ = self.state.slots.confirm();
            self.finish_install(Outcome::DONE, "");
        }
        self.save()?;
        self.note(
            now,
            if sick { 'E' } else { 'I' },
            "update",
            &format!("version {version} {}", if sick { "is unhealthy, falling back" } else { "confirmed" }),
        );
        Ok(sick)
    }

    /// Ends the installation that is going on, if any, with a result for the host. Does not save.
    pub(crate) fn finish_install(&mut self, outcome: Outcome, reason: &str) {
        if let Some(install) = self.state.install.take() {
            let result = TaskResult::new(install.task.operation, install.task.step, outcome);
            self.state.journal.finish(result.because(reason));
        }
    }

    /// Ends the installation with a refusal, before anything of it boots.
    pub(crate) fn fail_install(
        &mut self,
        outcome: Outcome,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        // While an image is on trial there is nothing to cancel.
        let _ = self.state.slots.cancel();
        self.finish_install(outcome, reason);
        self.save()?;
        self.note(now, 'E', "update", &format!("{outcome}: {reason}"));
        Ok(())
    }

    /// Records a result.
    pub(crate) fn finish(&mut self, result: TaskResult) -> Result<(), StateError> {
        self.state.journal.finish(result);
        self.save()
    }

    /// The host has a result.
    pub(crate) fn acknowledge(&mut self, task: TaskKey) -> Result<(), StateError> {
        self.state.journal.acknowledge(task.operation, task.step);
        self.save()
    }

    /// Carries out a credential command. Does not save: the caller records the result with it.
    pub(crate) fn credential(&mut self, task: &Task, now: Timestamp) -> TaskResult {
        let key = Zeroizing::new(self.materials.sealing_key.to_vec());
        let unseal = |sealed: &[u8], context: &[u8]| {
            let bytes = seal::open(&key, SEAL_INFO, context, sealed).ok()?;
            Verifier::from_bytes(&bytes).ok()
        };
        let tid = self.scenario.identity.tid.clone();
        let result = self.state.credentials.handle(task.operation, task.step, &tid, &task.command, unseal);
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
        let login = self.state.lockout.attempt(&self.state.credentials, role, secret, now);
        self.save()?;
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
                self.state.parameters.extend(values);
                if self.state.parameters.len() > MAX_PARAMETERS {
                    self.lose_power()?;
                    return Ok(false);
                }
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

    /// The full report.
    pub(crate) fn report(&self) -> Report {
        let identity = &self.scenario.identity;
        Report {
            model: identity.model.clone(),
            hardware_revision: identity.hardware_revision.clone(),
            version: self.version(),
            security_counter: self.state.slots.running().map_or(0, |image| image.security_counter),
            slot: self.state.slots.active().to_string(),
            boot_count: self.state.boot_count,
            health: self.health,
            credentials: self.state.credentials.generations(),
            parameters: self.parameters(),
        }
    }

    /// The values of the fixed status tags.
    pub(crate) fn status_values(&self) -> BTreeMap<String, String> {
        let mut values = self.parameters();
        self.health.put_tags(&mut values);
        values
    }

    /// Version of the image that runs.
    pub(crate) fn version(&self) -> String {
        self.state.slots.running().map_or_else(String::new, |image| image.version.to_string())
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

    /// The newest part of the log.
    pub(crate) fn log_tail(&self, max_bytes: u64) -> io::Result<Vec<u8>> {
        self.log.tail(max_bytes)
    }

    /// Adds a line to the terminal's own log. A log that cannot be written stops nothing.
    pub(crate) fn note(&mut self, now: Timestamp, level: char, part: &str, text: &str) {
        tracing::debug!(tid = %self.scenario.identity.tid, part, "{text}");
        if let Err(error) = self.log.line(now, level, part, text) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
    }

    /// Adds an invented transaction to the log.
    pub(crate) fn trade(&mut self, now: Timestamp) {
        if let Err(error) = self.log.activity(now) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
    }

    /// Makes the present state durable.
    pub(crate) fn save(&self) -> Result<(), StateError> {
        self.file.save(&self.state)
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
    State::new(&scenario.identity.tid, SlotState::factory(image), credentials)
}
