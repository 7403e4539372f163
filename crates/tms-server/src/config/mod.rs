//! The configuration: one commented TOML file, read once, checked wholly, and then only values that
//! hold. What is wrong is told with the file, the line, and what to do.
//!
//! `file` has the shape, [`Config`] the checked values, and [`open`] turns them into a running
//! server's parts.

mod file;
mod open;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use iso8583::framing::Framing;
use tms_config::ConfigError;
use tms_core::Profile;
use tms_store::Location;
use toml::Spanned;

use crate::app::Limits;
use file::File;

pub use open::{OpenError, open};

/// The file that `tms-server init` writes, with `{name}` and `{host}` to be filled in.
const TEMPLATE: &str = include_str!("template.toml");

/// How long draining may take if the file does not say.
const DRAIN_DEADLINE_S: u64 = 10;

/// A checked configuration. Every path is absolute or relative to the current folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this server.
    pub name: String,
    /// How long running exchanges may take when the server is told to stop, in seconds.
    pub drain_deadline_s: u64,
    /// Where terminals connect; at least one.
    pub listeners: Vec<Listener>,
    /// The server's certificate, its key, and whose client certificates it accepts.
    pub tls: Tls,
    /// What `tms-server enrol` needs besides.
    pub enrolment: Option<Enrolment>,
    /// Where the store is.
    pub store: Location,
    /// Folder of firmware images and log bundles.
    pub objects_folder: PathBuf,
    /// Key file of the vault.
    pub vault_key_file: PathBuf,
    /// Public keys that firmware must be signed with; the file need not exist yet.
    pub trust_root: Option<PathBuf>,
    /// Address of the REST interface.
    pub api_address: SocketAddr,
    /// Bounds on what peers can make the server hold.
    pub limits: Limits,
}

/// One address that terminals connect to.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Name of the protocol profile.
    pub profile: Profile,
    /// File of a profile that is not built in.
    pub profile_file: Option<PathBuf>,
    /// File of the MAC key that this server and the listener's terminals were given.
    pub mac_key_file: Option<PathBuf>,
    /// What stands before each message; `None` leaves it to the profile.
    pub framing: Option<Framing>,
}

/// Files for mutual TLS, PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that issue terminals' certificates.
    pub client_ca: PathBuf,
}

/// What is needed to enrol terminals.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// Private key of the authority in [`Tls::client_ca`].
    pub ca_key: PathBuf,
    /// Host name or address at which terminals reach the server.
    pub host: String,
    /// Name that the server's certificate has.
    pub server_name: String,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`]: the file cannot be read, or a line of it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            file: path.display().to_string(),
            reason: match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "it does not exist; check the path, or make a new estate with `tms-server init DIR`"
                        .to_owned()
                }
                std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
                _ => error.to_string(),
            },
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::parse(&path.display().to_string(), folder, &text)
    }

    /// Checks `text`, which came from `file`; relative paths in it start at `folder`.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] with the line.
    pub fn parse(file: &str, folder: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: File = tms_config::parse(file, text)?;
        check(raw, folder, text).map_err(|(span, reason)| ConfigError::Wrong {
            file: file.to_owned(),
            line: text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1),
            reason,
        })
    }

    /// The text of a new configuration file for a server that terminals reach as `host`.
    ///
    /// `name` and `host` must not contain quotes, backslashes or line ends.
    pub fn template(name: &str, host: &str) -> String {
        TEMPLATE.replace("{name}", name).replace("{host}", host)
    }
}

/// Where something is wrong, and the sentence that says what.
type Wrong = (std::ops::Range<usize>, String);

fn check(raw: File, folder: &Path, text: &str) -> Result<Config, Wrong> {
    let mut limits = raw.limits.check()?;
    limits.api.behind_proxy = raw.api.behind_proxy;
    let end = text.len()..text.len();
    if raw.listeners.is_empty() {
        let reason =
            "there is no [[listener]]; add one with `address` and `profile`, or no terminal can connect";
        return Err((end, reason.to_owned()));
    }
    let listeners: Vec<Listener> = raw
        .listeners
        .into_iter()
        .map(|listener| check_listener(listener, folder))
        .collect::<Result<_, _>>()?;
    let api_address = check_api(&raw.api)?;
    let (name, drain_deadline) =
        raw.server.map_or((None, None), |server| (server.name, server.drain_deadline_s));
    Ok(Config {
        name: name.unwrap_or_else(|| "tms-1".to_owned()),
        drain_deadline_s: file::in_range("drain_deadline_s", &drain_deadline, DRAIN_DEADLINE_S, 1, 600)?,
        listeners,
        tls: Tls {
            certificate: existing(&raw.tls.certificate, folder, "tls.certificate")?,
            key: existing(&raw.tls.key, folder, "tls.key")?,
            client_ca: existing(&raw.tls.client_ca, folder, "tls.client_ca")?,
        },
        enrolment: raw.enrolment.map(|enrolment| Enrolment {
            ca_key: folder.join(enrolment.ca_key),
            server_name: enrolment.server_name.unwrap_or_else(|| enrolment.host.clone()),
            host: enrolment.host,
        }),
        store: check_store(&raw.store, folder)?,
        objects_folder: folder.join(raw.objects.folder),
        vault_key_file: existing(&raw.vault.key_file, folder, "vault.key_file")?,
        trust_root: raw.firmware.map(|firmware| folder.join(firmware.trust_root)),
        api_address,
        limits,
    })
}

fn check_listener(listener: file::Listener, folder: &Path) -> Result<Listener, Wrong> {
    let profile_file = match &listener.profile_file {
        Some(path) => Some(existing(path, folder, "profile_file")?),
        None => None,
    };
    let mac_key_file = match &listener.mac_key_file {
        Some(path) => Some(existing(path, folder, "mac_key_file")?),
        None => None,
    };
    let name = listener.profile.get_ref();
    let wrong = |reason: String| (listener.profile.span(), reason);
    if profile_file.is_none() && tms_proto::Profile::builtin(name).is_none() {
        return Err(wrong(format!(
            "there is no built-in profile {name:?}; there are {}; a profile of your own needs `profile_file` too",
            tms_proto::Profile::builtin_names().join(", ")
        )));
    }
    let framing = match &listener.framing {
        None => None,
        Some(text) => {
            let framing: Framing = text
                .get_ref()
                .parse()
                .map_err(|error: iso8583::framing::FramingNameError| (text.span(), error.to_string()))?;
            if !framing.delimits() {
                let reason = format!(
                    "framing `{framing}` cannot tell where a message ends on a connection; use one with a length"
                );
                return Err((text.span(), reason));
            }
            if framing.vendor_len() > 0 {
                let reason = format!("framing `{framing}` has a vendor header, which sessions do not write");
                return Err((text.span(), reason));
            }
            Some(framing)
        }
    };
    Ok(Listener {
        address: socket_address(&listener.address)?,
        profile: name.parse().map_err(|error: tms_core::IdError| wrong(error.to_string()))?,
        profile_file,
        mac_key_file,
        framing,
    })
}

fn check_api(api: &file::Api) -> Result<SocketAddr, Wrong> {
    let address = socket_address(&api.address)?;
    if address.ip().is_loopback() || api.behind_proxy {
        return Ok(address);
    }
    Err((
        api.address.span(),
        format!(
            "the API at {address} could be reached from other machines, and it speaks plain HTTP; use a loopback \
             address such as 127.0.0.1:{}, or put a TLS proxy in front of it and set behind_proxy = true",
            address.port()
        ),
    ))
}

/// A relative path in the store's URL starts at the folder too.
fn check_store(store: &file::Store, folder: &Path) -> Result<Location, Wrong> {
    let location: Location = store
        .url
        .get_ref()
        .parse()
        .map_err(|error: tms_store::StoreError| (store.url.span(), error.to_string()))?;
    match (location, &store.password_file) {
        (Location::Postgres(location), None) => Ok(Location::Postgres(location)),
        (Location::Postgres(location), Some(file)) => {
            Ok(Location::Postgres(location.with_password(&read_password(file, folder)?)))
        }
        (Location::Sqlite(path), None) => Ok(Location::Sqlite(folder.join(path))),
        (Location::Sqlite(_), Some(file)) => Err((
            file.span(),
            "password_file is for a store on a PostgreSQL server; take it away, or correct the url"
                .to_owned(),
        )),
    }
}

/// One line, in a file that others cannot read.
fn read_password(file: &Spanned<String>, folder: &Path) -> Result<String, Wrong> {
    let path = existing(file, folder, "store.password_file")?;
    let wrong = |reason: String| (file.span(), format!("{} {reason}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = std::fs::metadata(&path).map_err(|error| wrong(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(wrong(format!("can be read by others; run `chmod 600 {}`", path.display())));
        }
    }
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains(['\r', '\n']) {
        return Err(wrong("must hold one line, the password".to_owned()));
    }
    Ok(password.to_owned())
}

fn socket_address(text: &Spanned<String>) -> Result<SocketAddr, Wrong> {
    text.get_ref().parse().map_err(|_| {
        (
            text.span(),
            format!(
                "{:?} is not an address and port; write for example \"0.0.0.0:9001\" or \"[::]:9001\"",
                text.get_ref()
            ),
        )
    })
}

fn existing(path: &Spanned<String>, folder: &Path, key: &str) -> Result<PathBuf, Wrong> {
    let found = folder.join(path.get_ref());
    if found.is_file() {
        return Ok(found);
    }
    Err((
        path.span(),
        format!(
            "{key} names {}, which does not exist; correct the path, or make a new estate with `tms-server init DIR`",
            found.display()
        ),
    ))
}

#[cfg(test)]
mod tests;
