//! The running server: listeners, REST and the periodic tasks, started together and drained
//! together.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tms_crypto::{
    keyfile::{self, KeyFileError},
    mac::MacKey,
};
use tms_proto::{Profile, ProfileError, ProtocolError};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    api,
    app::App,
    config::{self, Config},
    dispatch::DueWork,
    events::EventKind,
    listener::{Gate, ListenError, Listener, TlsFiles, tls_config},
    rollouts,
    session::Endpoint,
};

/// Heartbeats of at most this time are lost in a crash.
const CONTACTS_INTERVAL: Duration = Duration::from_secs(1);
/// How late a connected terminal is told of work whose time has come, at the most.
const DUE_INTERVAL: Duration = Duration::from_secs(1);
/// How often operations are looked through for expired ones.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(30);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Store, vault, objects or trust root.
    #[error(transparent)]
    Open(#[from] config::OpenError),
    /// A listener, or its TLS files.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A profile file.
    #[error("{path}: {reason}")]
    Profile {
        /// The file.
        path: String,
        /// What is wrong.
        reason: ProfileError,
    },
    /// A listener's file of a MAC key.
    #[error(transparent)]
    MacKeyFile(#[from] KeyFileError),
    /// A MAC key that the profile cannot use.
    #[error("{path}: {reason}")]
    MacKey {
        /// Its file.
        path: PathBuf,
        /// Why not.
        reason: ProtocolError,
    },
    /// A profile that can do nothing without a MAC key.
    #[error(
        "profile {0} asks for MACs with a key that both sides were given; name its file with `mac_key_file` in the listener"
    )]
    NoMacKey(String),
    /// A framing without what the profile needs of it.
    #[error(
        "profile {profile} announces work in the message header, which framing {framing} does not have; \
         use len2-tpdu-header for this listener, or leave `framing` out"
    )]
    Framing {
        /// The profile.
        profile: String,
        /// The listener's framing.
        framing: iso8583::framing::Framing,
    },
    /// A profile name without a file.
    #[error("there is no built-in profile '{0}'; known are {known}", known = Profile::builtin_names().join(", "))]
    UnknownProfile(String),
    /// A listener that names another profile than the one in its file.
    #[error(
        "the listener says profile = \"{listener}\", and {} holds the profile \"{file}\"; write the same name in both \
         (a file that extends another profile has that one's name unless it says `name`)",
        path.display()
    )]
    ProfileName {
        /// What the listener says.
        listener: String,
        /// The file.
        path: PathBuf,
        /// What the file says.
        file: String,
    },
    /// A profile file that cannot be read.
    #[error("{path}: {reason}")]
    ProfileFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
}

/// A server that runs until it is [drained](Running::drain).
#[derive(Debug)]
pub struct Running {
    /// The shared parts.
    pub app: Arc<App>,
    /// Addresses in force of the terminal listeners, in the order of the configuration.
    pub listeners: Vec<SocketAddr>,
    /// Address in force of the REST interface.
    pub api: SocketAddr,
    drain: CancellationToken,
    sessions: TaskTracker,
    services: TaskTracker,
}

/// Starts everything that a configuration names. When it returns, every port is open.
///
/// # Errors
/// The first thing that is wrong, with what to do about it; nothing keeps running then.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    // Every connection is a descriptor; the usual soft limit is far below what limits allow.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit of open files stays as it is");
    }
    let tls = tls_config(&TlsFiles {
        certificate: config.tls.certificate.clone(),
        key: config.tls.key.clone(),
        client_ca: config.tls.client_ca.clone(),
    })?;
    let mut bound = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let profile = Arc::new(load_profile(listener)?);
        let framing = listener.framing.unwrap_or_else(|| profile.framing());
        if profile.needs_header() && !framing.has_header() {
            return Err(StartError::Framing { profile: profile.name().to_owned(), framing });
        }
        let mac_key = load_mac_key(listener, &profile)?;
        let endpoint = Endpoint { profile, framing, mac_key };
        bound.push(Listener::bind(listener.address, endpoint, Arc::clone(&tls)).await?);
    }
    let api = bind_api(config.api_address).await?;
    let app = Arc::new(config::open(config, jiff::Timestamp::now).await?);
    // This store has one server: what a crashed one before it held is free.
    let released = app.store.release_all_leases().await.map_err(config::OpenError::Store)?;
    if released > 0 {
        info!(released, "took over the operations of the server before");
    }

    let running = Running {
        listeners: bound.iter().filter_map(|l| l.address().ok()).collect(),
        api: api.local_addr().unwrap_or(config.api_address),
        drain: CancellationToken::new(),
        sessions: TaskTracker::new(),
        services: TaskTracker::new(),
        app,
    };
    let gate = Arc::new(Gate::default());
    for listener in bound {
        let (app, gate) = (Arc::clone(&running.app), Arc::clone(&gate));
        let (sessions, drain) = (running.sessions.clone(), running.drain.clone());
        running.services.spawn(listener.run(app, gate, sessions, drain));
    }
    let (app, router) = (Arc::clone(&running.app), api::router(Arc::clone(&running.app)));
    let drained = running.drain.clone();
    running.services.spawn(api::serve(api, router, app, drained));
    running.services.spawn(housekeeping(Arc::clone(&running.app), running.drain.clone()));
    running.services.spawn(rollouts::drive(Arc::clone(&running.app), running.drain.clone()));
    info!(listeners = ?running.listeners, api = %running.api, "serving");
    Ok(running)
}

impl Running {
    /// Stops: no new connections, running exchanges finish, state is durable. Sessions that have
    /// not ended by `deadline` are cut off; answers how many.
    pub async fn drain(self, deadline: Duration) -> usize {
        let began = Instant::now();
        info!(sessions = self.sessions.len(), "draining");
        self.drain.cancel();
        self.app.events.close();
        self.sessions.close();
        self.services.close();
        let all = async {
            self.sessions.wait().await;
            self.services.wait().await;
        };
        let in_time = tokio::time::timeout(deadline, all).await.is_ok();
        let cut = if in_time { 0 } else { self.sessions.len() };
        if let Err(error) = self.app.contacts.flush(self.app.store.as_ref()).await {
            warn!(%error, "the last heartbeats were not written");
        }
        self.app.store.close().await;
        info!(cut, seconds = began.elapsed().as_secs_f64(), "drained");
        cut
    }
}

fn load_profile(listener: &config::Listener) -> Result<Profile, StartError> {
    let name = listener.profile.as_str();
    match &listener.profile_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|reason| StartError::ProfileFile { path: path.clone(), reason })?;
            let profile = Profile::from_toml(&text)
                .map_err(|reason| StartError::Profile { path: path.display().to_string(), reason })?;
            // Terminals are enrolled under the listener's name: under another one none would be let in.
            if profile.name() == name {
                return Ok(profile);
            }
            let (listener, file) = (name.to_owned(), profile.name().to_owned());
            Err(StartError::ProfileName { listener, path: path.clone(), file })
        }
        None => Profile::builtin(name).ok_or_else(|| StartError::UnknownProfile(name.to_owned())),
    }
}

fn load_mac_key(listener: &config::Listener, profile: &Profile) -> Result<Option<MacKey>, StartError> {
    let Some(path) = &listener.mac_key_file else {
        return match profile.needs_static_mac_key() {
            true => Err(StartError::NoMacKey(profile.name().to_owned())),
            false => Ok(None),
        };
    };
    let bytes = keyfile::open(path, "mac-key")?;
    let key = profile.static_mac_key(&bytes);
    key.map(Some).map_err(|reason| StartError::MacKey { path: path.clone(), reason })
}

async fn bind_api(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError::bind(address, source))
}

/// Writes heartbeats, wakes terminals whose work has become due and expires operations until drained.
async fn housekeeping(app: Arc<App>, drain: CancellationToken) {
    let mut contacts = tokio::time::interval(CONTACTS_INTERVAL);
    let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
    let mut due = tokio::time::interval(DUE_INTERVAL);
    let mut due_work = DueWork::from(app.now());
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            _ = contacts.tick() => {
                if let Err(error) = app.contacts.flush(app.store.as_ref()).await {
                    app.counters.store_errors.increment();
                    warn!(%error, "heartbeats were not written");
                }
            }
            _ = due.tick() => {
                if let Err(error) = due_work.wake(&app.wake, app.store.as_ref(), app.now()).await {
                    app.counters.store_errors.increment();
                    warn!(%error, "nobody was woken for work that has become due");
                }
            }
            _ = expiry.tick() => match app.store.expire_operations(app.now()).await {
                Ok(0) => {}
                Ok(expired) => {
                    let told = serde_json::json!({"count": expired});
                    app.events.publish(EventKind::OperationsExpired, None, app.now(), told);
                    info!(expired, "operations expired");
                }
                Err(error) => {
                    app.counters.store_errors.increment();
                    warn!(%error, "operations were not looked through");
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISO87: &str = include_str!("../../tms-proto/profiles/iso87.toml");

    fn listener(mac_key_file: Option<PathBuf>) -> config::Listener {
        config::Listener {
            address: ([127, 0, 0, 1], 0).into(),
            profile: tms_core::Profile::iso87(),
            profile_file: None,
            mac_key_file,
            framing: None,
        }
    }

    #[test]
    fn a_profile_that_asks_for_macs_needs_a_key_that_fits_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mac.key");
        let required = ISO87.replace("protect = \"optional\"", "protect = \"required\"");
        let required = Profile::from_toml(&required).unwrap();
        let reason = |path: Option<&PathBuf>, profile: &Profile| {
            load_mac_key(&listener(path.cloned()), profile).unwrap_err().to_string()
        };
        assert!(reason(None, &required).contains("name its file with `mac_key_file` in the listener"));
        assert!(reason(Some(&file), &required).contains("mac.key does not exist"));

        keyfile::create(&file, "mac-key", &[0x5A; 8]).unwrap();
        assert!(reason(Some(&file), &required).ends_with("a key for x9.19 has 16 bytes, not 8"));
        let unionpay = Profile::builtin("unionpay").unwrap();
        assert!(reason(Some(&file), &unionpay).contains("it needs [mac] with key = \"static\""));

        std::fs::remove_file(&file).unwrap();
        keyfile::create(&file, "mac-key", &[0x5A; 16]).unwrap();
        assert!(load_mac_key(&listener(Some(file)), &required).unwrap().is_some());
        let optional = Profile::builtin("iso87").unwrap();
        assert!(load_mac_key(&listener(None), &optional).unwrap().is_none());
    }

    #[test]
    fn a_profile_file_says_what_differs_or_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acquirer.toml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load_profile(&config::Listener { profile_file: Some(path.clone()), ..listener(None) })
        };
        let own = load("extends = \"iso87\"\n[function.report]\ncodes = [\"371\"]\n").unwrap();
        let report = own.rule(tms_proto::Function::Report).unwrap();
        assert_eq!((own.name(), report.codes.join(" ")), ("iso87", "371".to_owned()));

        for (text, says) in [
            ("extends = \"iso87\"\n[function.report]\ncode = [\"371\"]\n", "line 3: unknown field `code`"),
            (
                "extends = \"iso78\"\n",
                "there is no built-in profile \"iso78\"; known are unionpay, iso87, iso93",
            ),
            ("extends = \"iso87\"\n[function.report]\ncodes = [\"363\"]\n", "has the same MTI and code as"),
            ("extends = \"iso87\"\nname = \"acquirer\"\n", "the listener says profile = \"iso87\", and"),
            ("extends = \"iso93\"\n", "holds the profile \"iso93\"; write the same name in both"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains("acquirer.toml") && error.contains(says), "{error}");
        }
    }

    /// An embedding program starts the server on a task of its own.
    #[test]
    fn starting_is_a_future_that_can_be_spawned() {
        fn spawnable<F: Future + Send>(_: impl FnOnce(&'static Config) -> F) {}
        spawnable(start);
    }
}
