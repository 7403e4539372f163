//! The SQLite back end: one file in WAL mode, one writer with group commit, a few readers.
//!
//! Statements are written so that PostgreSQL understands them too (`$1` parameters, `ON CONFLICT`,
//! `RETURNING`, no SQLite functions); only the migrations and the writer are SQLite's own.

mod alarms;
mod artifacts;
mod credentials;
mod documents;
mod fault;
mod operations;
mod people;
mod requests;
mod row;
mod store;
mod terminals;
mod webhooks;
mod writer;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::error::StoreError;
use crate::store::Result;
use writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for somebody else who holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Readers at once. Reads take microseconds; more readers than processors only wait for each other.
const READERS: u32 = 4;

/// The estate in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    readers: SqlitePool,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the database, makes it if it does not exist (readable by its owner only), and brings it
    /// to the newest schema. A change is flushed to the disk before it is acknowledged.
    ///
    /// # Errors
    /// `Unwritable` if file or folder cannot be written, `Busy` if another process holds it,
    /// `Corrupt` if it is not a database of ours, `NewerSchema` if a newer program has changed it.
    pub async fn open(path: &Path) -> Result<Self> {
        create(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let opening = |error: sqlx::Error| fault::from_opening(&error, path);

        let mut connection = options.connect().await.map_err(opening)?;
        // Taking the write lock now says at once what would otherwise fail the first write.
        let probe = connection.begin_with("BEGIN IMMEDIATE").await.map_err(opening)?;
        probe.rollback().await.map_err(opening)?;
        migrate(&mut connection, path).await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(opening)?;
        Ok(Self { path: path.to_owned(), readers, writer: Writer::start(connection, options) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let supported = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    // Not `run`: its bound on `Acquire` keeps the compiler from seeing that the future may move
    // between threads, and then no caller's could. This is the way around that sqlx itself has.
    let run = MIGRATIONS.run_direct(None, connection, false);
    run.await.map_err(|error| fault::from_migration(&error, path, supported))
}

/// Makes the file if need be, before SQLite would with everybody's permissions.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::NotFound => {
                "its folder does not exist; create it, or run `tms-server init`".to_owned()
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                format!("{error}; give the user that runs the server write access to it and its folder")
            }
            ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
            _ => error.to_string(),
        };
        StoreError::Unwritable { path: path.display().to_string(), reason }
    })
}

/// Puts an error of the driver into the store's words.
fn sql(error: sqlx::Error) -> StoreError {
    fault::from_sqlx(&error)
}
