//! A firmware package becomes known: streamed to a temporary file, verified against the trust root,
//! and only then moved to where sessions serve it from.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tms_core::{FirmwareId, FirmwareRecord};
use tms_firmware::envelope::MAX_ENVELOPE_BYTES;
use tms_firmware::package::MAGIC;
use tms_firmware::{PackageReader, TrustRoot};
use tokio::io::AsyncWriteExt;

use super::ServiceError;
use crate::app::{App, Objects};

/// Folder of unfinished uploads, below the object folder: on the same disk, so that the last step is
/// one rename.
const INCOMING: &str = "incoming";

/// No upload takes so long; what is older was left behind by a server that was killed.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Folder of images, below the object folder.
const FIRMWARE: &str = "firmware";

/// A package on its way in. Dropping it removes what was written.
#[derive(Debug)]
pub struct Upload {
    sink: Sink,
    written: u64,
    max_bytes: u64,
}

#[derive(Debug)]
enum Sink {
    File {
        file: tokio::fs::File,
        temporary: Temporary,
    },
    /// Where objects are in memory, there is no folder to write to.
    Memory(Vec<u8>),
}

impl Upload {
    /// Begins an upload.
    ///
    /// # Errors
    /// `NoTrustRoot` before anything is taken; `Objects` if the folder cannot be written.
    pub async fn begin(app: &App) -> Result<Self, ServiceError> {
        if app.trust.is_none() {
            app.counters.firmware_refused.increment();
            return Err(ServiceError::NoTrustRoot);
        }
        let sink = match app.objects.folder() {
            Some(folder) => {
                let temporary = Temporary::new(folder, "tmsfw")?;
                Sink::File { file: tokio::fs::File::create_new(&temporary.0).await?, temporary }
            }
            None => Sink::Memory(Vec::new()),
        };
        // Magic and length stand before envelope and image.
        let around = u64::try_from(MAX_ENVELOPE_BYTES + MAGIC.len() + 4).unwrap_or(u64::MAX);
        Ok(Self { sink, written: 0, max_bytes: app.limits.firmware_bytes.saturating_add(around) })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// `TooLarge` as soon as the limit is passed; `Objects` if the disk is full or fails.
    pub async fn write(&mut self, app: &App, piece: &[u8]) -> Result<(), ServiceError> {
        self.written = self.written.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.written > self.max_bytes {
            app.counters.firmware_refused.increment();
            return Err(ServiceError::TooLarge { max_bytes: app.limits.firmware_bytes });
        }
        match &mut self.sink {
            Sink::File { file, .. } => file.write_all(piece).await?,
            Sink::Memory(package) => package.extend_from_slice(piece),
        }
        Ok(())
    }

    /// Ends the upload and publishes the package.
    ///
    /// # Errors
    /// As [`publish`].
    pub async fn finish(self, app: &App) -> Result<FirmwareRecord, ServiceError> {
        match self.sink {
            Sink::File { mut file, temporary } => {
                file.flush().await?;
                publish(app, &temporary.0).await
            }
            Sink::Memory(package) => publish_bytes(app, &package).await,
        }
    }
}

/// Publishes the package in a file: verifies its signatures and its image against the trust root,
/// stores the image, and makes it known. Publishing the same package again changes nothing.
///
/// # Errors
/// `NoTrustRoot`; `Firmware` if the package is not what the trust root's keys signed; `TooLarge`.
pub async fn publish(app: &App, package: &Path) -> Result<FirmwareRecord, ServiceError> {
    let stored = match app.objects.folder() {
        Some(folder) => check_and_store(app, package, folder.to_owned()).await,
        None => return publish_bytes(app, &tokio::fs::read(package).await?).await,
    };
    make_known(app, stored).await
}

/// Publishes a package in memory; as [`publish`].
///
/// # Errors
/// `NoTrustRoot`; `Firmware` if the package is not what the trust root's keys signed; `TooLarge`.
pub async fn publish_bytes(app: &App, package: &[u8]) -> Result<FirmwareRecord, ServiceError> {
    make_known(app, check_and_keep(app, package).await).await
}

async fn make_known(
    app: &App,
    stored: Result<FirmwareRecord, ServiceError>,
) -> Result<FirmwareRecord, ServiceError> {
    if matches!(stored, Err(ServiceError::Firmware(_) | ServiceError::TooLarge { .. })) {
        app.counters.firmware_refused.increment();
    }
    let record = stored?;
    app.store.add_firmware(record.clone()).await?;
    // What another publication of the same package made known first stands.
    let known = app.store.firmware(&record.id).await?;
    Ok(known.unwrap_or(record))
}

async fn check_and_keep(app: &App, package: &[u8]) -> Result<FirmwareRecord, ServiceError> {
    let root = app.trust.as_ref().ok_or(ServiceError::NoTrustRoot)?;
    let mut image = Vec::new();
    let record = verify(package, root, app.limits.firmware_bytes, app.now(), || Ok(&mut image))?;
    app.objects.write(&record.object, &image).await?;
    Ok(record)
}

async fn check_and_store(
    app: &App,
    package: &Path,
    objects: PathBuf,
) -> Result<FirmwareRecord, ServiceError> {
    let root = app.trust.clone().ok_or(ServiceError::NoTrustRoot)?;
    let temporary = Temporary::new(&objects, "img")?;
    let (package, max_bytes, now) = (package.to_owned(), app.limits.firmware_bytes, app.now());
    let work = move || -> Result<FirmwareRecord, ServiceError> {
        let package = BufReader::new(File::open(package)?);
        let mut image = None;
        let record =
            verify(package, &root, max_bytes, now, || Ok(image.insert(File::create_new(&temporary.0)?)))?;
        if let Some(image) = image {
            image.sync_all()?;
        }
        let folder = objects.join(FIRMWARE);
        fs::create_dir_all(&folder)?;
        fs::rename(&temporary.0, objects.join(&record.object))?;
        // The name has to survive a power cut as well as the content.
        File::open(&folder)?.sync_all()?;
        Ok(record)
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| ServiceError::Internal(error.to_string()))?
}

/// Verifies a package and copies its image to what `out` makes for it. Answers the record.
fn verify<W: Write>(
    package: impl Read,
    root: &TrustRoot,
    max_bytes: u64,
    now: Timestamp,
    out: impl FnOnce() -> io::Result<W>,
) -> Result<FirmwareRecord, ServiceError> {
    let reader = PackageReader::open(package)?;
    let verified = reader.envelope().verify(root)?;
    let envelope = reader.envelope().to_json()?;
    let manifest = verified.manifest();
    if manifest.size_bytes > max_bytes {
        return Err(ServiceError::TooLarge { max_bytes });
    }
    reader.copy_image(&verified, &mut out()?)?;
    let id: FirmwareId = verified
        .id()
        .parse()
        .map_err(|error: tms_core::IdError| ServiceError::Internal(error.to_string()))?;
    Ok(FirmwareRecord {
        version: manifest.version.as_str().to_owned(),
        models: manifest.models.clone(),
        size_bytes: manifest.size_bytes,
        sha256: hex::encode(manifest.sha256),
        envelope,
        object: format!("{FIRMWARE}/{id}.img"),
        published_at: now,
        id,
    })
}

/// Removes what uploads that were killed left behind. Best effort: it is tried again at every start.
pub(crate) fn remove_stale_uploads(objects: &Objects) {
    let Some(Ok(entries)) = objects.path(INCOMING).map(fs::read_dir) else {
        return;
    };
    for entry in entries.flatten() {
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|written| SystemTime::now().duration_since(written).unwrap_or_default());
        if age.is_ok_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that is removed when it is not needed any more, whatever happened.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn new(objects: &Path, extension: &str) -> io::Result<Self> {
        let folder = objects.join(INCOMING);
        fs::create_dir_all(&folder)?;
        let name = hex::encode(tms_crypto::random_bytes::<16>());
        Ok(Self(folder.join(format!("{name}.{extension}"))))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It was renamed, or never made, or is removed now; nothing depends on which.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_that_nobody_can_be_sending_any_more_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let incoming = folder.path().join(INCOMING);
        fs::create_dir_all(&incoming).unwrap();
        let old = File::create_new(incoming.join("old.tmsfw")).unwrap();
        old.set_modified(SystemTime::now() - STALE - Duration::from_secs(60)).unwrap();
        File::create_new(incoming.join("new.tmsfw")).unwrap();
        remove_stale_uploads(&Objects::new(folder.path().to_owned()));
        let left: Vec<_> = fs::read_dir(&incoming).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["new.tmsfw"]);
    }
}
