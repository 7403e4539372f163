//! From a checked configuration to the parts of a running server.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tms_crypto::vault::{Vault, VaultError};
use tms_firmware::{FirmwareError, TrustRoot};
use tms_store::StoreError;

use super::Config;
use crate::app::{App, Objects};
use crate::service;

/// Why the parts of the server cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault's key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The firmware trust root is there but wrong.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// The object folder.
    #[error(
        "the object folder {} cannot be written: {reason}; give the user that runs the server write access to it",
        path.display()
    )]
    Objects {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// Opens vault, trust root, object folder and store, in this order, so that the database is not
/// touched when something else is missing.
///
/// # Errors
/// [`OpenError`], whose sentence names the part and what to do.
pub async fn open(
    config: &Config,
    clock: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> Result<App, OpenError> {
    let vault = Vault::open(&config.vault_key_file)?;
    let trust = match &config.trust_root {
        Some(path) if path.exists() => Some(TrustRoot::load(path)?),
        _ => None,
    };
    let folder = &config.objects_folder;
    writable(folder)
        .map_err(|error| OpenError::Objects { path: folder.clone(), reason: error.to_string() })?;
    let store = tms_store::open_at(&config.store).await?;
    let objects = Objects::new(folder.clone());
    service::remove_stale_uploads(&objects);
    Ok(App::new(store, vault, objects, trust, config.limits.clone(), clock))
}

/// Makes the folder if need be and tries to write into it, so that the first upload does not have to.
fn writable(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(".probe");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}
