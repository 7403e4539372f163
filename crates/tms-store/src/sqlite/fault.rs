//! What SQLite's result codes mean for the people who run the server.

use std::path::Path;

use sqlx::migrate::MigrateError;

use crate::error::StoreError;

// Primary result codes, https://www.sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// Puts an error of the driver into the store's words, where the file is not known.
pub(super) fn from_sqlx(error: &sqlx::Error) -> StoreError {
    match primary_code(error) {
        Some(CORRUPT | NOTADB) => StoreError::corrupt(message(error)),
        Some(FULL) => {
            StoreError::unavailable("the disk is full; free some space, the server goes on by itself")
        }
        Some(BUSY | LOCKED) => StoreError::unavailable(
            "another process held the database for too long; make sure that only one server uses it",
        ),
        Some(READONLY) => {
            StoreError::unavailable("the database file has become read-only; check its permissions")
        }
        _ => match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                StoreError::corrupt(error.to_string())
            }
            _ => StoreError::unavailable(message(error)),
        },
    }
}

/// Puts an error met while opening `path` into the store's words.
pub(super) fn from_opening(error: &sqlx::Error, path: &Path) -> StoreError {
    let path = path.display().to_string();
    match primary_code(error) {
        Some(BUSY | LOCKED) => StoreError::Busy { path },
        Some(READONLY) => StoreError::Unwritable {
            path,
            reason: "it is read-only; give the user that runs the server write access to it and its folder".to_owned(),
        },
        Some(CANTOPEN) => StoreError::Unwritable {
            path,
            reason: "it cannot be opened; check that its folder exists and that the user that runs the server may \
                     write there"
                .to_owned(),
        },
        Some(NOTADB) => StoreError::corrupt(format!("{path} is not a database of this program")),
        _ => from_sqlx(error),
    }
}

/// Puts an error of the migrations into the store's words.
pub(super) fn from_migration(error: &MigrateError, path: &Path, supported: i64) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::NewerSchema { found: *found, supported },
        MigrateError::VersionMismatch(version) => StoreError::corrupt(format!(
            "schema version {version} in {} was not made by this program",
            path.display()
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => from_opening(error, path),
        MigrateError::Dirty(version) => {
            StoreError::corrupt(format!("the change to schema version {version} was interrupted"))
        }
        other => StoreError::unavailable(other),
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xFF)
}

fn message(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(database) => database.message().to_owned(),
        None => error.to_string(),
    }
}
