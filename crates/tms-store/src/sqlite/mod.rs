//! The SQLite back end: one file in WAL mode, one writer with group commit, a few readers.
//!
//! The statements are those of both back ends; opening, faults, migrations and the writer are its own.

/// Nothing to add: the one writer is alone.
macro_rules! locked {
    ($query:expr $(,)?) => {
        $query
    };
}

/// One more than the highest: the one writer is alone.
macro_rules! next_seq {
    () => {
        "(SELECT COALESCE(MAX(o.seq), 0) + 1 FROM operations o WHERE o.tid = t.tid)"
    };
}

mod dialect;
mod fault;
#[path = "../sql/mod.rs"]
mod sql;
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
use sqlx::{ConnectOptions, Connection, Sqlite};

use crate::error::StoreError;
use crate::store::Result;
use writer::Writer;

type Db = Sqlite;
type Backend = SqliteStore;

const TABLE_NAMES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";
const SNAPSHOT: &str = "BEGIN";
const EXCLUSIVE: &str = "BEGIN IMMEDIATE";
/// Nothing: the one writer is alone.
const LOCK_GROUPS: Option<&str> = None;
/// Nothing: the one writer is alone.
const LOCK_ROWS: &str = "";
const AFTER_FILLING: [(&str, &str); 0] = [];

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for somebody else who holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows of an older schema that are brought up in one transaction.
const DERIVED_AT_ONCE: u32 = 1_000;

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
        let (mut connection, options) = opened(path).await?;
        migrate(&mut connection, path, None).await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(|error| fault::from_opening(&error, path))?;
        Ok(Self { path: path.to_owned(), readers, writer: Writer::start(connection, options) })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// One moment of the database, which must be there.
pub(crate) async fn source(path: &Path) -> Result<sql::dump::Reader> {
    let opening = |error: sqlx::Error| fault::from_opening(&error, path);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await.map_err(opening)?;
    let schema = sql::dump::schema_version(&mut connection).await?;
    let schema = schema.ok_or_else(|| StoreError::corrupt(format!("{} has no schema", path.display())))?;
    if schema > supported() {
        return Err(StoreError::NewerSchema { found: schema, supported: supported() });
    }
    sql::dump::Reader::begin(connection, schema).await
}

/// The database with this schema, to be filled.
pub(crate) async fn target(path: &Path, schema: i64) -> Result<sql::dump::Filler> {
    if schema > supported() {
        return Err(StoreError::NewerSchema { found: schema, supported: supported() });
    }
    let (mut connection, _) = opened(path).await?;
    match sql::dump::schema_version(&mut connection).await? {
        None => migrate(&mut connection, path, Some(schema)).await?,
        Some(known) => sql::dump::same_schema(known, schema)?,
    }
    let path = path.to_owned();
    let migration: sql::dump::Migration =
        Box::new(|connection| Box::pin(async move { migrate(connection, &path, None).await }));
    sql::dump::Filler::begin(connection, migration).await
}

/// A connection that may write, and how it was made.
async fn opened(path: &Path) -> Result<(SqliteConnection, SqliteConnectOptions)> {
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
    Ok((connection, options))
}

/// The newest schema that this program knows.
fn supported() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the database to a schema, or to the newest one.
async fn migrate(connection: &mut SqliteConnection, path: &Path, schema: Option<i64>) -> Result<()> {
    // Not `run`: its bound on `Acquire` keeps the compiler from seeing that the future may move
    // between threads, and then no caller's could. This is the way around that sqlx itself has.
    let run = MIGRATIONS.run_direct(schema, connection, false);
    run.await.map_err(|error| fault::from_migration(&error, path, supported()))?;
    if schema.is_some_and(|schema| schema < supported()) {
        return Ok(());
    }
    loop {
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(|e| fault::from_sqlx(&e))?;
        let found = sql::derive(&mut transaction, DERIVED_AT_ONCE).await?;
        transaction.commit().await.map_err(|error| fault::from_sqlx(&error))?;
        if found == 0 {
            return Ok(());
        }
    }
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
