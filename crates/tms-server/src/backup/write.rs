//! Writing a backup, while a server works on the store.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use tms_crypto::Sha256;
use tms_store::dump;

use super::{
    BackupError, FORMAT, HEAD, Head, OBJECTS, Object, STORE, TAIL, Tail, VERSION, bar, file_error,
    object_error, object_path, objects_of,
};
use crate::config::Config;

/// What a backup holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows of the store.
    pub rows: u64,
    /// Objects of the folder.
    pub objects: usize,
    /// Objects that the store names and that the folder does not have.
    pub missing: Vec<String>,
    /// Size of the file in bytes.
    pub size_bytes: u64,
}

/// Writes a backup of a server's store and objects to a new file, readable by its owner only. It holds what
/// the store held when it began; after an error there is no file.
///
/// # Errors
/// [`BackupError`]; `File` if something of that name is there already.
pub async fn write(config: &Config, path: &Path, now: Timestamp) -> Result<Written, BackupError> {
    if path.exists() {
        let reason = "it is there already; name another file, or move it away".to_owned();
        return Err(BackupError::File { path: path.to_owned(), reason });
    }
    let partial = Partial::create(path)?;
    let mut archive =
        Archive { tar: tar::Builder::new(GzEncoder::new(partial.open()?, Compression::fast())) };
    let mut source = dump::source(&config.store).await?;
    let wrong = |error: io::Error| file_error(path, &error);
    let head = Head {
        format: FORMAT.to_owned(),
        version: VERSION,
        schema: source.schema(),
        server: config.name.clone(),
        made_at: now,
    };
    archive.json(HEAD, &head).map_err(wrong)?;
    let mut names = BTreeSet::new();
    let progress = bar(source.total_rows(), "rows");
    let mut number = 0_u64;
    while let Some(rows) = source.next().await? {
        names.extend(objects_of(&rows).map(str::to_owned));
        number += 1;
        archive.json(&format!("{STORE}{number:08}.json"), &rows).map_err(wrong)?;
        progress.inc(rows.rows.len() as u64);
    }
    progress.finish_and_clear();
    let mut tail = Tail { store: source.contents(), ..Tail::default() };
    let rows = tail.store.values().map(|digest| digest.rows).sum();
    drop(source);

    let mut missing = Vec::new();
    let progress = bar(names.len() as u64, "objects");
    for name in names {
        let object = match object_path(&config.objects_folder, &name) {
            Some(file) => archive.object(&file, &name)?,
            None => None,
        };
        match object {
            Some(object) => drop(tail.objects.insert(name, object)),
            None => missing.push(name),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    archive.json(TAIL, &tail).map_err(wrong)?;
    let size_bytes = archive.finish().map_err(wrong)?;
    partial.keep(path)?;
    Ok(Written { rows, objects: tail.objects.len(), missing, size_bytes })
}

struct Archive {
    tar: tar::Builder<GzEncoder<BufWriter<File>>>,
}

impl Archive {
    fn json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        self.append(name, text.len() as u64, text.as_slice())
    }

    fn append(&mut self, name: &str, size_bytes: u64, data: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size_bytes);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, name, data)
    }

    /// Adds a file as it is now; objects do not change once they are there. `None` if it is not.
    fn object(&mut self, file: &Path, name: &str) -> Result<Option<Object>, BackupError> {
        let wrong = |error: io::Error| object_error(file, &error);
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(error)),
        };
        let size_bytes = opened.metadata().map_err(wrong)?.len();
        let mut hashed = Hashed { inner: opened.take(size_bytes), digest: Sha256::default() };
        self.append(&format!("{OBJECTS}{name}"), size_bytes, &mut hashed).map_err(wrong)?;
        Ok(Some(Object { size_bytes, sha256: hex::encode(hashed.digest.finish()) }))
    }

    fn finish(self) -> io::Result<u64> {
        let file = self.tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// Digests what is read through it.
pub(super) struct Hashed<R> {
    pub(super) inner: R,
    pub(super) digest: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A file under a name of its own until it is whole; it goes away with this otherwise.
pub(super) struct Partial(PathBuf);

impl Partial {
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let partial = Self(PathBuf::from(name));
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&partial.0).map_err(|error| file_error(&partial.0, &error))?;
        Ok(partial)
    }

    pub(super) fn open(&self) -> Result<BufWriter<File>, BackupError> {
        let file = File::options().write(true).open(&self.0);
        Ok(BufWriter::new(file.map_err(|error| file_error(&self.0, &error))?))
    }

    /// Gives the file its name, in a way that survives a power cut.
    pub(super) fn keep(self, path: &Path) -> Result<(), BackupError> {
        let wrong = |error: io::Error| file_error(path, &error);
        fs::rename(&self.0, path).map_err(wrong)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After `keep` there is nothing of this name.
        let _ = fs::remove_file(&self.0);
    }
}
