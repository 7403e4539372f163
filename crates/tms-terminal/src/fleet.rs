//! Many terminals in one process: one task each, with what they have in common made once.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tms_crypto::{
    keyblock::Tmk,
    keyfile::{self, KeyFileError},
    mac::MacKey,
    password::is_documented_default,
    seal,
};
use tms_firmware::{FirmwareError, TrustRoot, install::Phase};
use tms_proto::{Identity, Profile, ProfileError, ProtocolError, TerminalSession, report::Health};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    agent::{Agent, Exit},
    backoff::Backoff,
    clock::Clock,
    connection::{self, Connection},
    failure::{Failure, FailureKind},
    faults::LineFaults,
    keypad::Login,
    machine::{Machine, Materials},
    scenario::Scenario,
    state::StateError,
    status::{Link, Status},
    tls::{TlsClient, TlsFactory, TlsSetupError},
};

/// Why a terminal cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its TLS files.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// Its sealing key, or its MAC key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Its trust root.
    #[error(transparent)]
    Trust(#[from] FirmwareError),
    /// Its state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its profile.
    #[error("there is no profile {0:?}")]
    Profile(String),
    /// Its profile's file.
    #[error("{path}: {reason}", path = .path.display())]
    ProfileFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// What is in its profile's file.
    #[error("{path}: {reason}", path = .path.display())]
    ProfileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: ProfileError,
    },
    /// A MAC key that the profile cannot use.
    #[error("[security] mac_key_file: {0}")]
    MacKey(#[from] ProtocolError),
    /// A profile that can do nothing without a MAC key.
    #[error(
        "profile {0} asks for MACs with a key that both sides were given; name its file in [security] mac_key_file"
    )]
    NoMacKey(String),
}

/// Starts terminals. Keep one for all of them.
#[derive(Debug)]
pub struct Fleet {
    tls: TlsFactory,
    /// By file, or by name where they are built in.
    profiles: Mutex<BTreeMap<PathBuf, Arc<Profile>>>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// A fleet without terminals.
    #[must_use]
    pub fn new() -> Self {
        Self { tls: TlsFactory::new(), profiles: Mutex::default() }
    }

    /// Reads a terminal's files and starts it as a task of the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] with a sentence and a next step when any of its files cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, scenario: Scenario) -> Result<Handle, StartError> {
        let scenario = Arc::new(scenario);
        let tls = self.tls.client(&scenario)?;
        let profile = self.profile(&scenario)?;
        let mac_key = mac_key(&scenario, &profile)?;
        let materials = Materials {
            sealing_key: seal::load_private(&scenario.path(&scenario.security.sealing_key))?,
            tmk: scenario.security.tmk.as_deref().and_then(Tmk::from_hex),
            trust: TrustRoot::load(&scenario.path(&scenario.security.firmware_trust))?,
        };
        let clock = Clock::new();
        let tid = scenario.identity.tid.clone();
        let machine = Arc::new(Mutex::new(Machine::open(Arc::clone(&scenario), materials, clock.now())?));
        let status = Arc::new(Status::default());
        let (stop, stopped) = watch::channel(false);
        let behaviour = &scenario.behaviour;
        let runner = Runner {
            backoff: Backoff::new(
                Duration::from_millis(behaviour.reconnect_min_ms),
                Duration::from_millis(behaviour.reconnect_max_ms),
            ),
            faults: LineFaults::new(&scenario.faults),
            machine: Arc::clone(&machine),
            status: Arc::clone(&status),
            scenario,
            profile,
            mac_key,
            tls,
            clock,
            stop: stopped,
        };
        Ok(Handle { tid, machine, status, clock, stop, task: tokio::spawn(runner.run()) })
    }

    fn profile(&self, scenario: &Scenario) -> Result<Arc<Profile>, StartError> {
        let name = &scenario.host.profile;
        let file = scenario.host.profile_file.as_ref().map(|file| scenario.path(file));
        let key = file.clone().unwrap_or_else(|| name.into());
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(profile) = profiles.get(&key) {
            return Ok(Arc::clone(profile));
        }
        let profile = match file {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|reason| StartError::ProfileFile { path: path.clone(), reason })?;
                Profile::from_toml(&text).map_err(|reason| StartError::ProfileContent { path, reason })?
            }
            None => Profile::builtin(name).ok_or_else(|| StartError::Profile(name.clone()))?,
        };
        let profile = Arc::new(profile);
        profiles.insert(key, Arc::clone(&profile));
        Ok(profile)
    }
}

fn mac_key(scenario: &Scenario, profile: &Profile) -> Result<Option<MacKey>, StartError> {
    match &scenario.security.mac_key_file {
        Some(file) => {
            let bytes = keyfile::open(&scenario.path(file), "mac-key")?;
            Ok(Some(profile.static_mac_key(&bytes)?))
        }
        None if profile.needs_static_mac_key() => Err(StartError::NoMacKey(profile.name().to_owned())),
        None => Ok(None),
    }
}

/// A running terminal. Dropping the handle stops it without signing off.
#[derive(Debug)]
pub struct Handle {
    tid: String,
    machine: Arc<Mutex<Machine>>,
    status: Arc<Status>,
    clock: Clock,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A terminal at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// TID.
    pub tid: String,
    /// Profile it speaks.
    pub profile: String,
    /// Version of the image that runs.
    pub firmware_version: String,
    /// Slot that runs, `A` or `B`.
    pub slot: String,
    /// How far an installation is: `settled`, `writing`, `ready` or `trial`.
    pub install_phase: &'static str,
    /// Starts since manufacture.
    pub boot_count: u32,
    /// Parameters in force.
    pub parameters: BTreeMap<String, String>,
    /// Revision of the set that the host pushed, where it told one.
    pub parameters_revision: Option<u64>,
    /// Generation in force of each administrator role.
    pub credentials: BTreeMap<String, u32>,
    /// Roles that still have a default that manuals print. They open nothing; rotate them.
    pub default_still_set: Vec<String>,
    /// State of the parts.
    pub health: Health,
    /// The connection and its history.
    pub link: Link,
}

impl Handle {
    /// The TID; cheaper than a [`Snapshot`] for finding one terminal among many.
    #[must_use]
    pub fn tid(&self) -> &str {
        &self.tid
    }

    /// The terminal at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let machine = self.lock();
        let state = &machine.state;
        let credentials = state.credentials.generations();
        let default_still_set = machine.scenario.credentials.iter().filter(|given| {
            is_documented_default(&given.secret) && credentials.get(&given.role) == Some(&given.generation)
        });
        Snapshot {
            tid: state.tid.clone(),
            profile: machine.scenario.host.profile.clone(),
            firmware_version: machine.version(),
            slot: state.slots.active().to_string(),
            install_phase: state.slots.phase().name(),
            boot_count: state.boot_count,
            parameters: machine.parameters(),
            parameters_revision: state.parameters_revision,
            default_still_set: default_still_set.map(|given| given.role.clone()).collect(),
            credentials,
            health: machine.health,
            link: self.status.link(),
        }
    }

    /// Types an administrator's secret at the keypad. Failures count and lock the role; the count
    /// survives restarts.
    ///
    /// # Errors
    /// [`StateError`] when the count cannot be kept; then nothing was opened.
    pub fn try_login(&self, role: &str, secret: &str) -> Result<Login, StateError> {
        self.lock().try_login(role, secret, self.clock.now())
    }

    /// Changes the state of the parts; the host is told if there is a session.
    pub fn set_health(&self, health: Health) {
        self.lock().health = health;
        self.status.report.notify_one();
    }

    /// Signs off and ends the terminal; returns when it has ended.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        // An error is a panic inside the task, which its own report has shown.
        let _ = (&mut self.task).await;
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The life of one terminal: boot, connect, work, again.
struct Runner {
    scenario: Arc<Scenario>,
    profile: Arc<Profile>,
    mac_key: Option<MacKey>,
    tls: TlsClient,
    machine: Arc<Mutex<Machine>>,
    status: Arc<Status>,
    backoff: Backoff,
    faults: LineFaults,
    clock: Clock,
    stop: watch::Receiver<bool>,
}

/// What follows a life between two boots.
enum Next {
    Boot,
    End,
}

impl Runner {
    async fn run(mut self) {
        loop {
            let boot = Duration::from_millis(self.scenario.hardware.boot_delay_ms);
            if !self.wait(boot).await {
                return;
            }
            let booted = self.lock().boot(self.clock.now());
            let next = match booted {
                Ok(()) => self.life().await,
                Err(error) => Err(error),
            };
            match next {
                Ok(Next::Boot) => {}
                Ok(Next::End) => return,
                Err(error) => {
                    // It cannot remember: forget what was not saved and start again, later.
                    tracing::error!(tid = %self.scenario.identity.tid, "{error}");
                    self.status.lost(Failure::new(FailureKind::Storage, error.to_string(), ""));
                    let wait = self.backoff.next_wait();
                    if !self.wait(wait).await {
                        return;
                    }
                    let reloaded = self.lock().lose_power();
                    if let Err(error) = reloaded {
                        tracing::error!(tid = %self.scenario.identity.tid, "{error}");
                        self.status.halted(error.to_string());
                        return;
                    }
                }
            }
        }
    }

    /// From a boot to the next.
    async fn life(&mut self) -> Result<Next, StateError> {
        loop {
            let sign_ons = self.status.link().sign_ons;
            let exit = self.connection().await?;
            if self.status.link().sign_ons > sign_ons {
                self.backoff.session_ended(&exit);
            }
            let failure = match exit {
                Exit::Stopped => return Ok(Next::End),
                Exit::Reboot => return Ok(Next::Boot),
                Exit::PowerCut => {
                    self.status.power_cut();
                    tracing::warn!(tid = %self.scenario.identity.tid, "power cut");
                    self.lock().lose_power()?;
                    return Ok(Next::Boot);
                }
                Exit::Storage(error) => return Err(error),
                Exit::Lost(failure) => failure,
            };
            tracing::warn!(tid = %self.scenario.identity.tid, "{failure}");
            self.lock().note(self.clock.now(), 'W', "comm", &failure.to_string());
            let kind = failure.kind;
            self.status.lost(failure);
            if self.restart_is_due() {
                return Ok(Next::Boot);
            }
            let wait = self.backoff.after(kind);
            if !self.wait(wait).await {
                return Ok(Next::End);
            }
        }
    }

    async fn connection(&mut self) -> Result<Exit, StateError> {
        let mut stop = self.stop.clone();
        let stream = tokio::select! {
            connected = connection::connect(&self.scenario.host.address, &self.tls) => match connected {
                Ok(stream) => stream,
                Err(failure) => return Ok(Exit::Lost(failure)),
            },
            _ = stop.wait_for(|stop| *stop) => return Ok(Exit::Stopped),
        };
        let mut session = TerminalSession::new(Arc::clone(&self.profile), self.identity());
        if let Some(framing) = self.scenario.host.framing {
            session = session.with_framing(framing);
        }
        if let Some(Err(error)) = self.mac_key.clone().map(|key| session.set_mac_key(key)) {
            // Checked at the start; without it nothing that needs a MAC would be sent.
            tracing::warn!(%error, "the MAC key is not used");
        }
        let mut agent =
            Agent::new(Arc::clone(&self.machine), Arc::clone(&self.status), session, self.clock.now());
        let connection = Connection {
            stream,
            server_name: self.tls.server_name.to_str().into_owned(),
            faults: &mut self.faults,
            clock: self.clock,
            status: &self.status,
            stop,
        };
        let exit = connection.run(&mut agent).await;
        match &exit {
            // What was not saved is gone: that is the point of it.
            Exit::PowerCut => self.status.offline(),
            _ => agent.close()?,
        }
        Ok(exit)
    }

    fn identity(&self) -> Identity {
        let host = &self.scenario.host;
        let mut identity = Identity::new(&self.scenario.identity.tid, &self.scenario.identity.mid);
        identity.tpdu = host.tpdu.unwrap_or(identity.tpdu);
        identity.header = host.header.unwrap_or(identity.header);
        identity
    }

    /// Whether a restart was ordered that the broken connection kept from being announced.
    fn restart_is_due(&self) -> bool {
        let machine = self.lock();
        machine.state.reboot.is_some() || *machine.state.slots.phase() == Phase::Ready
    }

    /// Waits, unless told to stop. Gives whether to go on.
    async fn wait(&mut self, length: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(length) => true,
            _ = self.stop.wait_for(|stop| *stop) => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
