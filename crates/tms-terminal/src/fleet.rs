//! Many terminals in one process: one task each, with what they have in common made once.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tms_crypto::{
    keyblock::Tmk,
    keyfile::{self, KeyFileError},
    mac::MacKey,
    seal,
};
use tms_firmware::{FirmwareError, TrustRoot};
use tms_proto::{Profile, ProfileError, ProtocolError, report::Health};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    agent::Exit,
    clock::Clock,
    device::{Device, Next, Snapshot},
    faults::LineFaults,
    keypad::Login,
    line::{self, Line},
    materials::Materials,
    scenario::Scenario,
    state::StateError,
    storage::FolderStorage,
    tls::{TlsClient, TlsFactory, TlsSetupError},
};

/// The shortest rest between two looks at a terminal that waits to connect.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

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
        let mut materials = Materials::new(
            profile,
            seal::load_private(&scenario.path(&scenario.security.sealing_key))?,
            TrustRoot::load(&scenario.path(&scenario.security.firmware_trust))?,
        );
        materials.mac_key = mac_key;
        materials.tmk = scenario.security.tmk.as_deref().and_then(Tmk::from_hex);
        let folder = scenario.path(&scenario.state.folder);
        let storage = FolderStorage::new(&folder).map_err(|error| StateError::io(&folder, error))?;
        let clock = Clock::new();
        let faults = LineFaults::new(&scenario.faults);
        let device = Device::open(scenario, materials, Arc::new(storage), clock.now())?;
        let (stop, stopped) = watch::channel(false);
        let runner = Runner { device: device.clone(), tls, faults, clock, stop: stopped };
        Ok(Handle { device, clock, stop, task: tokio::spawn(runner.run()) })
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
    device: Device,
    clock: Clock,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Handle {
    /// The TID; cheaper than a [`Snapshot`] for finding one terminal among many.
    #[must_use]
    pub fn tid(&self) -> &str {
        &self.device.scenario().identity.tid
    }

    /// The terminal itself.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The terminal at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.device.snapshot()
    }

    /// Types an administrator's secret at the keypad. Failures count and lock the role; the count
    /// survives restarts.
    ///
    /// # Errors
    /// [`StateError`] when the count cannot be kept; then nothing was opened.
    pub fn try_login(&self, role: &str, secret: &str) -> Result<Login, StateError> {
        self.device.try_login(role, secret, self.clock.now())
    }

    /// Sells something now.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be booked; then nothing was sold.
    pub fn trade(&self) -> Result<(), StateError> {
        self.device.trade(self.clock.now())
    }

    /// Changes the state of the parts; the host is told if there is a session.
    pub fn set_health(&self, health: Health) {
        if let Err(error) = self.device.set_health(health, self.clock.now()) {
            tracing::warn!(tid = %self.tid(), %error, "an alarm is not kept");
        }
    }

    /// Signs off and ends the terminal; returns when it has ended.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        // An error is a panic inside the task, which its own report has shown.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The life of one terminal: boot, connect, work, again.
struct Runner {
    device: Device,
    tls: TlsClient,
    faults: LineFaults,
    clock: Clock,
    stop: watch::Receiver<bool>,
}

impl Runner {
    async fn run(mut self) {
        let mut next = Next::Boot { at: self.clock.now() };
        // The first start takes its time too.
        if !self.wait(self.device.boot_delay()).await {
            return;
        }
        loop {
            let (at, boots) = match next {
                Next::Boot { at } => (at, true),
                Next::Connect { at } => (at, false),
                Next::End => return,
            };
            let waited = self.wait_until(at, boots).await;
            let booted = match waited {
                Ok(false) => return,
                Ok(true) if boots => self.device.boot(self.clock.now()).map_err(Exit::Storage),
                Ok(true) => Ok(()),
                Err(exit) => Err(exit),
            };
            let exit = match booted {
                Ok(()) => self.connection().await,
                Err(exit) => exit,
            };
            next = self.device.ended(exit, self.clock.now());
        }
    }

    async fn connection(&mut self) -> Exit {
        let mut stop = self.stop.clone();
        let address = match self.device.dial(self.clock.now()) {
            Ok(address) => address,
            Err(error) => return Exit::Storage(error),
        };
        let stream = tokio::select! {
            connected = line::connect(&address, &self.tls) => match connected {
                Ok(stream) => stream,
                Err(failure) => return Exit::Lost(failure),
            },
            _ = stop.wait_for(|stop| *stop) => return Exit::Stopped,
        };
        let mut connection = self.device.connect(self.clock.now());
        let line = Line {
            stream,
            server_name: self.tls.server_name.to_str().into_owned(),
            faults: &mut self.faults,
            clock: self.clock,
            status: self.device.status(),
            stop,
        };
        let exit = line.run(&mut connection).await;
        match connection.close() {
            Ok(()) => exit,
            Err(error) => Exit::Storage(error),
        }
    }

    /// Waits, and does meanwhile what needs no connection, unless it is down. Gives whether to go on.
    async fn wait_until(&mut self, at: Timestamp, down: bool) -> Result<bool, Exit> {
        loop {
            let now = self.clock.now();
            if now >= at {
                return Ok(true);
            }
            let due = if down { at } else { at.min(self.device.next_due(now)) };
            if !self.wait(self.clock.until(due).max(SHORTEST_WAIT)).await {
                return Ok(false);
            }
            if !down {
                self.device.tick(self.clock.now())?;
            }
        }
    }

    /// Waits, unless told to stop. Gives whether to go on.
    async fn wait(&mut self, length: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(length) => true,
            _ = self.stop.wait_for(|stop| *stop) => false,
        }
    }
}

#[cfg(test)]
mod tests;
