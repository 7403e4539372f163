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
    ProtocolError,
    address::{Addresses, Dial},
    report::{Details, Health, Lock, Report},
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
    trade::{Kind, MAX_BATCH, Settle, Transaction},
};

mod alarms;
mod commands;
mod downloads;
mod install;
mod planning;
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
    download_hashes: [Option<[u8; 32]>; 3],
    /// A session with the host stands; its number.
    pub(crate) contact: Option<u64>,
    /// The plan's action that someone at the terminal has just asked for.
    pub(crate) by_hand: Option<u32>,
    /// The terminal wants to start again.
    pub(crate) restart: bool,
    booted_at: Timestamp,
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
            downloads,
            contact: None,
            by_hand: None,
            restart: false,
            booted_at: now,
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
        self.downloads = Downloads::load(self.storage.as_ref())?;
        self.download_hashes = self.downloads.hashes();
        Ok(())
    }

    /// Records a result.
    pub(crate) fn finish(&mut self, result: TaskResult, now: Timestamp) -> Result<(), StateError> {
        self.state.finish(result, now);
        self.save()
    }

    /// The host has a result.
    pub(crate) fn acknowledge(&mut self, task: TaskKey) -> Result<(), StateError> {
        self.state.acknowledge(task);
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
        let login = self.state.lockout.attempt(&self.state.credentials, role, secret, now);
        if matches!(login, Login::Locked { .. }) {
            self.alarm_failed_logins(role, now);
        }
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
    pub(crate) fn report(&self, now: Timestamp) -> Report {
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
            details: self.details(now),
        }
    }

    fn details(&self, now: Timestamp) -> Details {
        let state = &self.state;
        let [capk_sha256, aid_sha256, blacklist_sha256] = self.download_hashes;
        let default = state.credentials.default_still_set();
        let roles = state.credentials.generations().into_keys();
        let other = state.slots.active().other();
        let written = state.slots.slot(other).map_or(0, |image| image.size_bytes);
        Details {
            plan: state.plan.status(),
            lock: Some(Lock {
                locked: state.lock.is_some(),
                message: state.lock.clone().unwrap_or_default(),
            }),
            default_credentials: roles.map(|role| (role.clone(), default.contains(&role))).collect(),
            free_storage_bytes: Some(self.flash.slot_bytes().saturating_sub(written)),
            uptime_s: Some(self.uptime_s(now)),
            transactions: Some(state.trade.transactions),
            comm_attempts: Some(state.comm_attempts),
            comm_successes: Some(state.sign_ons),
            clock_step_s: state.clock.last_step_s,
            capk_sha256,
            aid_sha256,
            blacklist_sha256,
            batch: Some(state.trade.open.number),
            parameters_revision: state.parameters_revision,
            parameters_sha256: None,
            last_alarm: Some(state.alarms.last()).filter(|last| *last > 0),
            applications: BTreeMap::new(),
        }
    }

    fn uptime_s(&self, now: Timestamp) -> u64 {
        u64::try_from(now.duration_since(self.booted_at).as_secs()).unwrap_or(0)
    }

    /// Whether the terminal wants to start again, or has another image to start.
    pub(crate) fn restart_is_due(&self) -> bool {
        self.restart || self.state.reboot.is_some() || *self.state.slots.phase() == Phase::Ready
    }

    /// Whether a new address of the host waits to be tried.
    pub(crate) fn is_moving(&self) -> bool {
        self.state.addresses.as_ref().is_some_and(|addresses| addresses.on_trial().is_some())
    }

    /// Where to connect to. An attempt at a new address is counted durably before it is made.
    pub(crate) fn dial(&mut self, now: Timestamp) -> Result<Dial, StateError> {
        self.state.comm_attempts = self.state.comm_attempts.saturating_add(1);
        let Some(addresses) = &mut self.state.addresses else {
            let address = self.scenario.host.address.clone();
            return Ok(Dial { address, on_trial: false, ended: None });
        };
        let mut dial = addresses.dial();
        let ended = dial.ended.take();
        if dial.on_trial || ended.is_some() {
            if let Some(result) = ended {
                self.state.finish(result, now);
            }
            self.save()?;
        }
        Ok(dial)
    }

    /// The host took the sign-on on a connection to `dial`.
    pub(crate) fn signed_on(&mut self, dial: &Dial, now: Timestamp) -> Result<(), StateError> {
        self.state.sign_ons = self.state.sign_ons.saturating_add(1);
        self.contact = Some(self.state.sign_ons);
        let confirmed = self.state.addresses.as_mut().and_then(|addresses| addresses.signed_on(dial));
        // A plan counts contacts; nothing else needs the number to survive.
        let counts = self.state.plan.version().is_some();
        if let Some(result) = confirmed {
            self.finish(result, now)
        } else if counts {
            self.save()
        } else {
            Ok(())
        }
    }

    /// The addresses of the host in force.
    pub(crate) fn hosts(&self) -> &[String] {
        match &self.state.addresses {
            Some(addresses) => addresses.current(),
            None => std::slice::from_ref(&self.scenario.host.address),
        }
    }

    fn known_hosts(&self) -> Result<Addresses, ProtocolError> {
        match &self.state.addresses {
            Some(addresses) => Ok(addresses.clone()),
            None => Addresses::new(vec![self.scenario.host.address.clone()]),
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

    /// Adds a line to the terminal's own log. A log that cannot be written stops nothing.
    pub(crate) fn note(&mut self, now: Timestamp, level: char, part: &str, text: &str) {
        tracing::debug!(tid = %self.scenario.identity.tid, part, "{text}");
        if let Err(error) = self.log.line(self.state.clock.reads(now), level, part, text) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
    }

    /// Sells something, unless the terminal is locked or has to settle or reverse first.
    pub(crate) fn trade(&mut self, now: Timestamp) -> Result<(), StateError> {
        let own = self.state.clock.reads(now);
        if let Err(error) = self.log.activity(own) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
        let trade = &mut self.state.trade;
        let full = trade.open.count() >= MAX_BATCH;
        if self.state.lock.is_some() || trade.reversal.is_some() || trade.settle.is_some() || full {
            return Ok(());
        }
        let chance = u64::from_be_bytes(self.materials.entropy.bytes());
        let transaction = Transaction {
            batch: trade.open.number,
            trace: trade.next_trace(),
            time: own,
            kind: if chance.is_multiple_of(16) { Kind::Refund } else { Kind::Sale },
            amount: (chance >> 8) % 100_000,
            card: format!("622848******{:04}", (chance >> 32) % 10_000),
        };
        trade
            .book(self.storage.as_ref(), &transaction)
            .map_err(|error| StateError::io(&self.storage.location("batch"), error))?;
        let every = self.scenario.faults.lose_answer_every;
        if every.is_some_and(|every| trade.transactions.is_multiple_of(u64::from(every))) {
            trade.reversal = Some(transaction.trace);
        }
        let after = self.scenario.behaviour.settle_after;
        if trade.open.count() >= MAX_BATCH || (after > 0 && trade.open.count() >= after) {
            trade.settle = Some(Settle { batch: trade.open.number, task: None });
        }
        self.save()
    }

    /// Someone wants the open batch settled.
    pub(crate) fn settle(&mut self) -> Result<(), StateError> {
        let batch = self.state.trade.open.number;
        self.state.trade.settle.get_or_insert(Settle { batch, task: None });
        self.save()
    }

    /// The open batch is settled.
    pub(crate) fn settled(&mut self, now: Timestamp) -> Result<(), StateError> {
        let task = self.state.trade.settle.and_then(|settle| settle.task);
        self.state.trade.settled();
        if let Some(task) = task {
            self.state.finish(task.result(Outcome::DONE), now);
        }
        self.save()
    }

    fn forget_log(&mut self, now: Timestamp) -> Result<(), StateError> {
        let seed = &self.scenario.identity.tid;
        let lines = self.scenario.behaviour.log_lines;
        let error = |error| StateError::io(&self.storage.location(""), error);
        Log::forget(self.storage.as_ref()).map_err(error)?;
        self.log = Log::open(Arc::clone(&self.storage), lines, seed, now).map_err(error)?;
        Ok(())
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
    let mut state = State::new(&scenario.identity.tid, SlotState::factory(image), credentials);
    state.clock.ahead_ms = scenario.faults.clock_ahead_s.saturating_mul(1000);
    state
}
