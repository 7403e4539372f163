//! The demo's folder: a server's estate as `init` makes it, an update authority beside it, and a
//! folder for each terminal.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use tms_core::{FirmwareId, MerchantId, TerminalId};
use tms_firmware::{Draft, ReleaseNotes, SigningKey, TrustRoot, build_package};

use super::progress::Step;
use crate::{
    config::Config,
    enrol::{self, Host, Identity},
    init,
    pki::Authority,
    server::Running,
    service,
};

/// Model of the simulated terminals.
const MODEL: &str = "SIM-8";
/// Version that the terminals are delivered with, and the one that the tour installs.
const OLD_VERSION: &str = "1.0.0";
const NEW_VERSION: &str = "2.0.0";
/// Size of the demo image.
const IMAGE_BYTES: usize = 3_000_000;
/// Number of the first terminal.
const FIRST_TID: u32 = 10_000_001;
/// Terminals enrolled at the same time: enough to share the store's commits.
const CONCURRENT: usize = 32;

/// The demo's data folder.
#[derive(Debug)]
pub(super) enum Folder {
    /// Named by the user, and kept.
    Named(PathBuf),
    /// Temporary, and removed.
    Temporary(tempfile::TempDir),
}

/// What the tour needs to know.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) terminals: Vec<TerminalId>,
    pub(super) terminals_folder: PathBuf,
    pub(super) firmware: FirmwareId,
    pub(super) version: String,
    pub(super) image_bytes: u64,
}

impl Folder {
    pub(super) fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = named else {
            let folder = tempfile::Builder::new().prefix("tms-demo-").tempdir();
            return Ok(Self::Temporary(folder.context("no temporary folder; name one with --data DIR")?));
        };
        fs::create_dir_all(path)
            .and_then(|()| fs::write(path.join(".probe"), b""))
            .and_then(|()| fs::remove_file(path.join(".probe")))
            .with_context(|| {
                format!("cannot write to the data folder {}; name another with --data DIR", path.display())
            })?;
        if fs::read_dir(path)?.next().is_some() {
            bail!(
                "the data folder {} is not empty; the demo overwrites nothing, so name a new one",
                path.display()
            );
        }
        Ok(Self::Named(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    pub(super) fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Named(_) => Ok(()),
            Self::Temporary(folder) => folder.close().context("the temporary data folder was not removed"),
        }
    }
}

/// Makes the server's side, with free ports on loopback and the demo authority's trust root.
pub(super) async fn prepare(folder: &Path) -> anyhow::Result<Config> {
    let arguments =
        init::Arguments { dir: folder.join("server"), host: "127.0.0.1".to_owned(), name: "demo".to_owned() };
    let made = init::init(&arguments, jiff::Timestamp::now).await?;
    let key = SigningKey::generate()?;
    let authority = folder.join("update-authority");
    fs::create_dir(&authority)?;
    key.save(&signing_key(folder))?;
    let root = TrustRoot::new(vec![key.public()], 1)?;
    fs::write(&made.trust_root, root.to_json()?)?;
    let mut config = Config::load(&made.config)?;
    config.api_address.set_port(0);
    for listener in &mut config.listeners {
        listener.address.set_port(0);
    }
    Ok(config)
}

/// Enrols the terminals, half of them in each profile, and publishes the image.
pub(super) async fn populate(
    running: &Running,
    config: &Config,
    folder: &Path,
    terminals: u32,
    step: &Step,
) -> anyhow::Result<Estate> {
    step.length(u64::from(terminals));
    let terminals_folder = folder.join("terminals");
    fs::create_dir(&terminals_folder)?;
    let enrolment = config.enrolment.as_ref().context("the configuration has no [enrolment]")?;
    let authority = Authority::load(&config.tls.client_ca, &enrolment.ca_key)?;
    let hosts: Vec<Host> = config
        .listeners
        .iter()
        .zip(&running.listeners)
        .map(|(listener, address)| Host {
            address: address.to_string(),
            server_name: enrolment.server_name.clone(),
            profile: listener.profile.clone(),
            framing: listener.framing,
        })
        .collect();
    let (app, authority, out) = (&running.app, &authority, terminals_folder.as_path());
    let hosts = hosts.as_slice();
    let mut ids: Vec<TerminalId> = stream::iter(0..terminals)
        .map(|n| async move {
            let host = hosts.get(n as usize % hosts.len().max(1)).context("no listener")?;
            let identity = identity(n)?;
            enrol::enrol(app, authority, &identity, host, out).await?;
            anyhow::Ok(identity.terminal)
        })
        .buffer_unordered(CONCURRENT)
        .inspect_ok(|_| step.advance())
        .try_collect()
        .await?;
    ids.sort();

    let package = folder.join("update-authority").join(format!("demo-{NEW_VERSION}.tmsfw"));
    let made = package.clone();
    let key = signing_key(folder);
    tokio::task::spawn_blocking(move || sign_image(&key, &made)).await??;
    let record = service::publish(app, &package).await?;
    Ok(Estate {
        terminals: ids,
        terminals_folder,
        firmware: record.id,
        version: record.version,
        image_bytes: record.size_bytes,
    })
}

fn identity(n: u32) -> anyhow::Result<Identity> {
    Ok(Identity {
        terminal: FIRST_TID.saturating_add(n).to_string().parse()?,
        merchant: format!("1023100605{:05}", n / 4).parse::<MerchantId>()?,
        model: MODEL.to_owned(),
        hardware_revision: "A1".to_owned(),
        serial: format!("SIM{n:08}"),
        network_licence: "3150".to_owned(),
        firmware_version: OLD_VERSION.to_owned(),
    })
}

fn signing_key(folder: &Path) -> PathBuf {
    folder.join("update-authority").join("signing.key")
}

/// Makes an image that looks like one, text and tables and noise, and signs it off-line.
fn sign_image(key: &Path, package: &Path) -> anyhow::Result<()> {
    let key = SigningKey::load(key)?;
    let image = package.with_extension("bin");
    let mut out = BufWriter::new(File::create(&image)?);
    let mut left = IMAGE_BYTES;
    while left > 0 {
        let mut piece: Vec<u8> =
            format!("SIM-8 application {NEW_VERSION}, {left} bytes to go. ").into_bytes();
        piece.extend(tms_crypto::random_bytes::<64>());
        piece.truncate(left);
        out.write_all(&piece)?;
        left = left.saturating_sub(piece.len());
    }
    out.flush()?;
    let draft = Draft {
        vendor: "tms8583 demo".to_owned(),
        models: vec![MODEL.to_owned()],
        version: NEW_VERSION.parse()?,
        security_counter: 2,
        release_notes: ReleaseNotes {
            en: "Demo release: faster receipts.".to_owned(),
            zh: "演示版本：打印更快。".to_owned(),
        },
        ..Draft::default()
    };
    let mut package = BufWriter::new(File::create(package)?);
    let mut image = BufReader::new(File::open(&image)?);
    build_package(draft, &mut image, std::slice::from_ref(&key), &mut package)?;
    package.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_numbers_of_eight_digits_whatever_the_count() {
        let last = identity(super::super::MAX_TERMINALS - 1).unwrap();
        assert_eq!(last.terminal.as_str().len(), 8);
        assert_eq!(last.merchant.as_str().len(), 15);
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
        let error = Folder::new(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        assert!(folder.path().join("thesis.txt").exists());
    }
}
