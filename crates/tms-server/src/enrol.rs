//! Enrolment: a terminal's certificate, keys and first credentials, its row in the store, and the
//! folder with everything that the terminal itself needs (`tms-terminal run` takes it as it is).

mod scenario;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use iso8583::framing::Framing;
use tms_core::{IdError, MerchantId, Profile, Role, TerminalId};
use tms_crypto::keyblock::Tmk;
use tms_crypto::keyfile::{self, KeyFileError};
use tms_crypto::password;
use tms_crypto::seal::{self, SealError};
use zeroize::Zeroizing;

use crate::app::App;
use crate::config::{Config, Listener};
use crate::pki::{Authority, PkiError, Validity};
use crate::service::{self, GivenCredential, NewTerminal, ServiceError};
use scenario::scenario;

/// How long a terminal's certificate is valid: longer than most terminals live at one merchant.
const CERTIFICATE_DAYS: u32 = 5 * 365;

/// Why a terminal was not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The terminal's folder is there already.
    #[error("{} exists already; a terminal is enrolled once, so choose another --out folder or terminal id", .0.display())]
    Exists(PathBuf),
    /// A file of the folder cannot be written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The configuration lacks what enrolment needs.
    #[error("{0}")]
    Configuration(String),
    /// A terminal or merchant id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Key files.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The sealing key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The estate says no.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The trust root cannot be written into the folder.
    #[error(transparent)]
    Firmware(#[from] tms_firmware::FirmwareError),
}

/// Who is enrolled.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its number (DE41), also the common name of its certificate.
    pub terminal: TerminalId,
    /// Its merchant (DE42).
    pub merchant: MerchantId,
    /// Hardware model.
    pub model: String,
    /// Hardware revision.
    pub hardware_revision: String,
    /// The maker's serial number.
    pub serial: String,
    /// Network licence number in a UnionPay sign-on.
    pub network_licence: String,
    /// Version of the firmware that it is delivered with.
    pub firmware_version: String,
}

/// Where the terminal finds its host, and how they talk.
#[derive(Debug, Clone)]
pub struct Host {
    /// `host:port`.
    pub address: String,
    /// Name that the host's certificate has.
    pub server_name: String,
    /// Protocol profile.
    pub profile: Profile,
    /// Framing, if not the profile's own.
    pub framing: Option<Framing>,
}

/// A terminal as it was enrolled.
pub struct Enrolled {
    /// The folder that belongs on the terminal.
    pub folder: PathBuf,
    /// Its first credentials: role, and what to type. To be handed over like any key.
    pub credentials: Vec<(Role, Zeroizing<String>)>,
}

impl Enrolled {
    /// What to do with it, for the person who ran `enrol`. Names the secrets: they are shown here
    /// and nowhere else.
    pub fn handover(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!(
            "Enrolled. {} holds the terminal's keys: put it on the terminal, then delete it here.\n",
            self.folder.display()
        ));
        for (role, secret) in &self.credentials {
            text.push_str(&format!("  credential of role {role}: {}\n", secret.as_str()));
        }
        text.push_str(&format!(
            "To try it with a simulated terminal:\n  tms-terminal run {}\n",
            self.folder.join("terminal.toml").display()
        ));
        text
    }
}

impl std::fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolled").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Enrols a terminal: makes its certificate and keys, fresh secrets for administrator and supervisor
/// (no documented default), its row in the store, and the folder `out/TID`.
///
/// The folder appears only after the store knows the terminal; if something fails before, nothing
/// is left behind. Files are written in place, which blocks for a moment.
///
/// # Errors
/// [`EnrolError`], whose sentence says what to do.
pub async fn enrol(
    app: &App,
    authority: &Authority,
    identity: &Identity,
    host: &Host,
    out: &Path,
) -> Result<Enrolled, EnrolError> {
    let trust = app.trust.as_ref().ok_or(ServiceError::NoTrustRoot)?;
    let folder = out.join(identity.terminal.as_str());
    if folder.exists() {
        return Err(EnrolError::Exists(folder));
    }
    let staging = Staging::new(out, &identity.terminal)?;
    let certificate =
        authority.issue_client(identity.terminal.as_str(), Validity::days(app.now(), CERTIFICATE_DAYS))?;
    certificate.save(&staging.file("terminal.pem"), &staging.file("terminal.key"))?;
    write(&staging.file("ca.pem"), authority.certificate_pem())?;
    write(&staging.file("firmware-trust.json"), &trust.to_json()?)?;
    let sealing = seal::generate()?;
    sealing.save_private(&staging.file("sealing.key"))?;

    let credentials: Vec<_> = [(Role::administrator(), 8), (Role::supervisor(), 6)]
        .map(|(role, digits)| (role, password::numeric_secret(digits)))
        .into();
    let given = credentials.iter().map(|(role, secret)| GivenCredential {
        role: role.clone(),
        generation: FIRST_GENERATION,
        secret: secret.clone(),
    });
    let new = NewTerminal {
        id: identity.terminal.clone(),
        merchant: identity.merchant.clone(),
        profile: host.profile.clone(),
        model: identity.model.clone(),
        hardware_revision: identity.hardware_revision.clone(),
        serial: identity.serial.clone(),
        certificate_sha256: certificate.sha256(),
        sealing_public_key: sealing.public_bytes().to_vec(),
        credentials: given.collect(),
    };
    let tmk = Tmk::generate();
    let scenario = scenario(identity, host, &tmk, &credentials)?;
    keyfile::create_text(&staging.file("terminal.toml"), &scenario)?;
    service::enrol(app, new, &tmk).await?;
    staging.publish(&folder)?;
    Ok(Enrolled { folder, credentials })
}

/// The generation of the credentials that enrolment makes.
const FIRST_GENERATION: u32 = 1;

/// What `tms-server enrol` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Configuration of the server that the terminal belongs to.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Number of the terminal (TID, DE41).
    #[arg(long)]
    pub tid: String,
    /// Number of the merchant (MID, DE42).
    #[arg(long)]
    pub mid: String,
    /// Protocol profile: that of one of the configured listeners.
    #[arg(long, default_value = "unionpay")]
    pub profile: String,
    /// Hardware model, as firmware manifests name it.
    #[arg(long)]
    pub model: String,
    /// Hardware revision, as firmware manifests name it.
    #[arg(long, default_value = "A1")]
    pub hardware_revision: String,
    /// The maker's serial number.
    #[arg(long)]
    pub serial: String,
    /// Network licence number in a UnionPay sign-on.
    #[arg(long, default_value = "3150")]
    pub network_licence: String,
    /// Version of the firmware that the terminal is delivered with.
    #[arg(long, default_value = "1.0.0")]
    pub firmware_version: String,
    /// Folder in which the terminal's own folder is made.
    #[arg(long, value_name = "DIR", default_value = "terminals")]
    pub out: PathBuf,
}

/// Does what `tms-server enrol` is asked for, beside a running server or without one.
///
/// # Errors
/// [`EnrolError`], whose sentence says what to do.
pub async fn run(app: &App, config: &Config, arguments: &Arguments) -> Result<Enrolled, EnrolError> {
    let needs = |what: &str| EnrolError::Configuration(format!("{} {what}", arguments.config.display()));
    let enrolment = config.enrolment.as_ref().ok_or_else(|| {
        needs("has no [enrolment]; add it with `ca_key` and `host`, as in the file that `tms-server init` writes")
    })?;
    let profile: Profile = arguments.profile.parse()?;
    let listener = config.listeners.iter().find(|listener| listener.profile == profile).ok_or_else(|| {
        let profiles: Vec<_> = config.listeners.iter().map(|listener| listener.profile.as_str()).collect();
        needs(&format!("has no listener for profile {profile}, only for {}", profiles.join(", ")))
    })?;
    let authority = Authority::load(&config.tls.client_ca, &enrolment.ca_key)?;
    let identity = Identity {
        terminal: arguments.tid.parse()?,
        merchant: arguments.mid.parse()?,
        model: arguments.model.clone(),
        hardware_revision: arguments.hardware_revision.clone(),
        serial: arguments.serial.clone(),
        network_licence: arguments.network_licence.clone(),
        firmware_version: arguments.firmware_version.clone(),
    };
    let host = host_of(listener, &enrolment.host, &enrolment.server_name);
    enrol(app, &authority, &identity, &host, &arguments.out).await
}

/// Where terminals find a listener that is reached as `host`.
pub fn host_of(listener: &Listener, host: &str, server_name: &str) -> Host {
    let port = listener.address.port();
    // An IPv6 address needs brackets before a port.
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Host {
        address,
        server_name: server_name.to_owned(),
        profile: listener.profile.clone(),
        framing: listener.framing,
    }
}

/// The folder while it is being filled; removed again unless it is published.
struct Staging {
    folder: PathBuf,
}

impl Staging {
    fn new(out: &Path, terminal: &TerminalId) -> Result<Self, EnrolError> {
        let folder = out.join(format!(".{terminal}.new"));
        // Left behind by an enrolment that was killed before the store knew the terminal.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| file_error(&folder, &error))?;
        Ok(Self { folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn publish(self, folder: &Path) -> Result<(), EnrolError> {
        fs::rename(&self.folder, folder).map_err(|error| file_error(folder, &error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After publishing there is nothing of this name any more.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn write(path: &Path, text: &str) -> Result<(), EnrolError> {
    fs::write(path, text).map_err(|error| file_error(path, &error))
}

fn file_error(path: &Path, error: &std::io::Error) -> EnrolError {
    EnrolError::File { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
