//! `tms-server init DIR`: everything that a new estate needs, in one folder.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use tms_config::ConfigError;
use tms_core::UserRole;
use tms_crypto::vault::{Vault, VaultError};
use zeroize::Zeroizing;

use crate::config::{self, Config, OpenError};
use crate::pki::{Authority, PkiError, Validity};
use crate::service::{self, ServiceError};

/// How long the authority's and the server's certificates are valid.
const AUTHORITY_DAYS: u32 = 20 * 365;
const SERVER_DAYS: u32 = 2 * 365;

/// Name of the first person who may use the REST interface.
pub const FIRST_USER: &str = "admin";

/// What `tms-server init` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to make; it must be empty or not exist.
    pub dir: PathBuf,
    /// Host name or address at which terminals will reach the server.
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// Name of the server in its log and among its peers.
    #[arg(long, default_value = "tms-1")]
    pub name: String,
}

/// Why a new estate was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is something in the folder.
    #[error("{} is not empty; `init` overwrites nothing, so name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder's name belongs to something else.
    #[error("{} is not a folder; name a new one", .0.display())]
    NotAFolder(PathBuf),
    /// The folder cannot be made or written.
    #[error("{}: {reason}; choose a folder that you may write to", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A name that cannot stand in a certificate or in the configuration.
    #[error("{0:?} is not a host name or address; use letters, digits, '.', '-' and ':' only")]
    Name(String),
    /// Certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The vault's key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The configuration that was just written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The parts that were just made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The first password.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// A new estate.
pub struct Initialised {
    /// Its configuration file.
    pub config: PathBuf,
    /// Where the firmware trust root has to be put.
    pub trust_root: PathBuf,
    /// The first password of [`FIRST_USER`]; it works once.
    pub one_time_password: Zeroizing<String>,
}

impl std::fmt::Debug for Initialised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initialised").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Initialised {
    /// What to do next, for the person who ran `init`.
    pub fn next_steps(&self) -> String {
        let (config, trust) = (self.config.display(), self.trust_root.display());
        let user = FIRST_USER;
        let password = self.one_time_password.as_str();
        format!(
            "A new estate is ready: {config}\n\n\
             Next steps\n  \
             1. Make the key that signs firmware, on another machine, and put its trust root on this one:\n     \
             tmsctl firmware keygen --out signing.key --trust-root {trust}\n     \
             (until then no firmware is published and no terminal enrolled)\n  \
             2. Start the server:\n     tms-server serve --config {config}\n  \
             3. Log in as {user} with this password, which works once and is not shown again:\n     {password}\n  \
             4. Enrol a terminal:\n     \
             tms-server enrol --config {config} --tid 10000001 --mid 102310060510002 --model SIM-8 --serial SIM00000001\n\n\
             Keep a copy of data/vault.key and pki/ca.key in a safe place.\n"
        )
    }
}

/// Makes an estate: certificate authority, server certificate, vault key, configuration, database,
/// and a first one-time password. If it fails half-way, what it made remains for inspection.
///
/// # Errors
/// [`InitError`], whose sentence says what to do; a folder that is not empty is left untouched.
pub async fn init(arguments: &Arguments, clock: fn() -> Timestamp) -> Result<Initialised, InitError> {
    for name in [&arguments.host, &arguments.name] {
        let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
        if name.is_empty() || name.len() > 253 || !valid {
            return Err(InitError::Name(name.clone()));
        }
    }
    let dir = &arguments.dir;
    prepare(dir)?;
    let now = clock();
    let authority =
        Authority::create(&format!("{} terminal CA", arguments.name), Validity::days(now, AUTHORITY_DAYS))?;
    authority.save(&dir.join("pki/ca.pem"), &dir.join("pki/ca.key"))?;
    let names = server_names(&arguments.host);
    authority
        .issue_server(&names, Validity::days(now, SERVER_DAYS))?
        .save(&dir.join("pki/server.pem"), &dir.join("pki/server.key"))?;
    Vault::create(&dir.join("data/vault.key"))?;
    let path = dir.join("tms.toml");
    let text = Config::template(&arguments.name, &arguments.host);
    fs::write(&path, text).map_err(|error| folder_error(&path, &error))?;

    // Using what was written is the best check that it can be used.
    let config = Config::load(&path)?;
    let app = config::open(&config, clock).await?;
    let one_time_password =
        service::issue_one_time_password(&app, FIRST_USER, Some(UserRole::Administrator)).await?;
    app.store.close().await;
    Ok(Initialised {
        config: path,
        trust_root: config.trust_root.unwrap_or_else(|| dir.join("firmware-trust.json")),
        one_time_password,
    })
}

/// The names that the server's certificate has: how terminals reach it, and how this machine does.
fn server_names(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    for own in ["localhost", "127.0.0.1"] {
        let same_address = host.parse::<IpAddr>().is_ok_and(|address| own.parse() == Ok(address));
        if host != own && !same_address {
            names.push(own.to_owned());
        }
    }
    names
}

fn prepare(dir: &Path) -> Result<(), InitError> {
    if dir.exists() && !dir.is_dir() {
        return Err(InitError::NotAFolder(dir.to_owned()));
    }
    fs::create_dir_all(dir).map_err(|error| folder_error(dir, &error))?;
    let mut entries = fs::read_dir(dir).map_err(|error| folder_error(dir, &error))?;
    if entries.next().is_some() {
        return Err(InitError::NotEmpty(dir.to_owned()));
    }
    for folder in ["pki", "data", "data/objects"] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder).map_err(|error| folder_error(&folder, &error))?;
    }
    Ok(())
}

fn folder_error(path: &Path, error: &std::io::Error) -> InitError {
    InitError::Folder { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ServiceError;

    fn arguments(dir: &Path) -> Arguments {
        Arguments { dir: dir.to_owned(), host: "tms.example".to_owned(), name: "tms-1".to_owned() }
    }

    #[tokio::test]
    async fn a_new_estate_can_be_opened_and_its_first_password_works_once() {
        let folder = tempfile::tempdir().unwrap();
        let made = init(&arguments(&folder.path().join("estate")), Timestamp::now).await.unwrap();
        let config = Config::load(&made.config).unwrap();
        let app = config::open(&config, Timestamp::now).await.unwrap();
        assert!(app.trust.is_none());
        service::login(&app, FIRST_USER, &made.one_time_password).await.unwrap();
        let again = service::login(&app, FIRST_USER, &made.one_time_password).await.unwrap_err();
        assert!(matches!(again, ServiceError::Credentials));
        assert!(made.next_steps().contains("tms-server serve --config"));
    }

    #[tokio::test]
    async fn a_folder_with_something_in_it_is_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let error = init(&arguments(folder.path()), Timestamp::now).await.unwrap_err();
        assert!(error.to_string().contains("is not empty; `init` overwrites nothing"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_the_folder_and_a_wrong_host_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(init(&arguments(&file), Timestamp::now).await, Err(InitError::NotAFolder(_))));
        let mut wrong = arguments(&folder.path().join("new"));
        wrong.host = "tms\"example".to_owned();
        assert!(matches!(init(&wrong, Timestamp::now).await, Err(InitError::Name(_))));
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn the_servers_certificate_names_the_host_and_this_machine_once_each() {
        assert_eq!(server_names("tms.example"), ["tms.example", "localhost", "127.0.0.1"]);
        assert_eq!(server_names("localhost"), ["localhost", "127.0.0.1"]);
        assert_eq!(server_names("127.0.0.1"), ["127.0.0.1", "localhost"]);
    }
}
