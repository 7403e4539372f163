//! Restoring a backup into an empty store.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use tms_crypto::Sha256;
use tms_store::dump::{self, Rows};

use super::write::{Hashed, Partial};
use super::{
    BackupError, FORMAT, HEAD, Head, OBJECTS, Object, STORE, TAIL, Tail, VERSION, file_error, object_error,
    object_path,
};
use crate::config::Config;

/// Most bytes of an entry that is held in memory; those that are written are far below.
const ENTRY_BYTES: u64 = 256 << 20;

/// What was restored.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    /// Rows of the store.
    pub rows: u64,
    /// Objects of the folder.
    pub objects: usize,
    /// The server that wrote the backup.
    pub server: String,
    /// When.
    pub made_at: jiff::Timestamp,
}

/// Restores a backup into the empty store and the object folder of a server that does not run. The store
/// gets everything or nothing; an object that is in the folder already must be the same.
///
/// # Errors
/// [`BackupError`]; `Damaged` if the file is cut off or changed; `Store` with `Conflict` if the store
/// is not empty.
pub async fn restore(config: &Config, path: &Path) -> Result<Restored, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { path: path.to_owned(), reason };
    let wrong = |error: io::Error| damaged(error.to_string());
    let file = File::open(path).map_err(|error| file_error(path, &error))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut entries = archive.entries().map_err(wrong)?;
    let first = entries.next().ok_or_else(|| damaged("it is empty".to_owned()))?;
    let head: Head = match first.map_err(wrong).and_then(|entry| named(entry, wrong)) {
        Ok((name, entry)) if name == HEAD => json(entry).map_err(damaged)?,
        Ok((name, _)) => return Err(damaged(format!("it begins with {name:?}"))),
        Err(error) => return Err(error),
    };
    if head.format != FORMAT || head.version != VERSION {
        let (format, version) = (head.format, head.version);
        let reason = format!(
            "it is a {format:?} of version {version}, and this program knows {FORMAT:?} of version {VERSION}"
        );
        return Err(BackupError::File { path: path.to_owned(), reason });
    }
    let mut target = dump::target(&config.store, head.schema).await?;
    let mut found = Tail::default();
    let mut tail: Option<Tail> = None;
    for entry in entries {
        let (name, entry) = named(entry.map_err(wrong)?, wrong)?;
        if tail.is_some() {
            return Err(damaged(format!("{name:?} stands behind its end")));
        } else if name == TAIL {
            tail = Some(json(entry).map_err(damaged)?);
        } else if name.starts_with(STORE) {
            let rows: Rows = json(entry).map_err(|reason| damaged(format!("{name}: {reason}")))?;
            target.add(&rows).await?;
        } else if let Some(object) = name.strip_prefix(OBJECTS) {
            let at = object_path(&config.objects_folder, object)
                .ok_or_else(|| damaged(format!("an object is named {object:?}")))?;
            let kept = keep(entry, &at, wrong)?;
            found.objects.insert(object.to_owned(), kept);
        } else {
            return Err(damaged(format!("it has an entry {name:?}")));
        }
    }
    let tail = tail.ok_or_else(|| damaged("its end is missing".to_owned()))?;
    if found.objects != tail.objects {
        return Err(damaged("its objects are not those that it says it has".to_owned()));
    }
    target.finish(&tail.store).await?;
    Ok(Restored {
        rows: tail.store.values().map(|digest| digest.rows).sum(),
        objects: tail.objects.len(),
        server: head.server,
        made_at: head.made_at,
    })
}

fn named<R: Read>(
    entry: tar::Entry<'_, R>,
    wrong: impl Fn(io::Error) -> BackupError,
) -> Result<(String, tar::Entry<'_, R>), BackupError> {
    let name = entry.path().map_err(wrong)?.to_string_lossy().into_owned();
    Ok((name, entry))
}

fn json<T: DeserializeOwned>(entry: tar::Entry<'_, impl Read>) -> Result<T, String> {
    let mut text = Vec::new();
    let read = entry.take(ENTRY_BYTES + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > ENTRY_BYTES {
        return Err(format!("it is longer than {ENTRY_BYTES} bytes"));
    }
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Keeps an object, unless the same one is there.
fn keep(
    entry: tar::Entry<'_, impl Read>,
    at: &Path,
    damaged: impl Fn(io::Error) -> BackupError,
) -> Result<Object, BackupError> {
    let wrong = |error: io::Error| object_error(at, &error);
    let size_bytes = entry.size();
    if let Some(folder) = at.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut entry = Hashed { inner: entry, digest: Sha256::default() };
    if at.exists() {
        io::copy(&mut entry, &mut io::sink()).map_err(damaged)?;
        let sha256 = hex::encode(entry.digest.finish());
        let mut there = Hashed { inner: File::open(at).map_err(wrong)?, digest: Sha256::default() };
        io::copy(&mut there, &mut io::sink()).map_err(wrong)?;
        if hex::encode(there.digest.finish()) != sha256 {
            let reason = "another one is there already; move the object folder's content away".to_owned();
            return Err(BackupError::Object { path: at.to_owned(), reason });
        }
        return Ok(Object { size_bytes, sha256 });
    }
    let partial = Partial::create(at)?;
    let mut file = partial.open()?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = entry.read(&mut buffer).map_err(&damaged)?;
        let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else { break };
        io::Write::write_all(&mut file, data).map_err(wrong)?;
    }
    let file = file.into_inner().map_err(|error| wrong(error.into_error()))?;
    file.sync_all().map_err(wrong)?;
    partial.keep(at)?;
    Ok(Object { size_bytes, sha256: hex::encode(entry.digest.finish()) })
}
