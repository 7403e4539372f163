//! Backups: everything that a server keeps but its keys, of one moment, in one file; and the estate's way
//! from one store to another.
//!
//! A backup is a gzipped tar archive: `backup.json` (`Head`), `store/N.json` (rows,
//! [`tms_store::dump::Rows`]), `objects/NAME` (firmware images and log bundles), and at the end
//! `contents.json` (`Tail`) with the digest of everything before. A file that was cut off has no end and
//! is refused. The key of the vault is not in it: without the key what is sealed in the backup is unreadable,
//! which is the purpose, so that the two belong in different places.

mod copy;
mod read;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tms_store::StoreError;
use tms_store::dump::{Contents, Rows, Value};

pub use copy::{Copied, copy};
pub use read::{Restored, restore};
pub use write::{Written, write};

const HEAD: &str = "backup.json";
const STORE: &str = "store/";
const OBJECTS: &str = "objects/";
const TAIL: &str = "contents.json";

/// What the first entry says that this is.
const FORMAT: &str = "tms8583 backup";

/// The layout of the archive.
const VERSION: u32 = 1;

/// Why there is no backup, or nothing was taken from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup's file is in the way, or cannot be written or read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The file is not a whole backup.
    #[error("{} is not a whole backup: {reason}; nothing was restored", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// An object in the folder.
    #[error("the object {}: {reason}", path.display())]
    Object {
        /// Its file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// The first entry.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// The version of the store's schema.
    schema: i64,
    /// Name of the server that wrote it.
    server: String,
    made_at: Timestamp,
}

/// The last entry.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tail {
    store: Contents,
    objects: BTreeMap<String, Object>,
}

/// An object in a backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    size_bytes: u64,
    sha256: String,
}

/// The names of the objects that rows speak of.
fn objects_of(rows: &Rows) -> impl Iterator<Item = &str> {
    let column = rows.columns.iter().position(|column| column == "object");
    rows.rows.iter().filter_map(move |row| match row.get(column?) {
        Some(Value::Text(name)) => Some(name.as_str()),
        _ => None,
    })
}

/// Where an object is below the folder; `None` for a name that leads out of it.
fn object_path(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = |component| matches!(component, Component::Normal(_));
    (!name.is_empty() && Path::new(name).components().all(plain)).then(|| folder.join(name))
}

fn file_error(path: &Path, error: &io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), reason: error.to_string() }
}

fn object_error(path: &Path, error: &io::Error) -> BackupError {
    BackupError::Object { path: path.to_owned(), reason: error.to_string() }
}

/// A bar on standard error, if that is a terminal.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("  {prefix:<8} [{bar:30}] {pos}/{len} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix(what)
}

#[cfg(test)]
mod tests;
