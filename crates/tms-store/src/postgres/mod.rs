//! The PostgreSQL back end, for an estate that several servers share or that a database team keeps.
//!
//! Writes go through a few connections, each with group commit (`writer`); rows that a write
//! decides upon are locked until its transaction ends, so that servers do not overtake each other. A
//! connection that breaks is opened again by itself; what was being committed then answers `Unavailable`.

/// Locks the row until the transaction ends, and lets others refer to it meanwhile.
macro_rules! locked {
    ($query:expr $(,)?) => {
        concat!($query, " FOR NO KEY UPDATE")
    };
}

/// From one sequence: counting a terminal's operations would make nodes wait for each other.
macro_rules! next_seq {
    () => {
        "nextval('operations_seq')"
    };
}

mod dialect;
mod fault;
#[path = "../sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "one text for two drivers; see its front page")]
mod sql;
mod writer;

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres};
use tokio::time::timeout;

use crate::error::StoreError;
use crate::location::PostgresLocation;
use crate::store::Result;
use writer::Writer;

type Db = Postgres;
type Backend = PostgresStore;

const TABLE_NAMES: &str = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = current_schema()";
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const EXCLUSIVE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// Writers of groups wait for each other, readers for nobody.
const LOCK_GROUPS: Option<&str> = Some("LOCK TABLE groups IN SHARE ROW EXCLUSIVE MODE");
const LOCK_ROWS: &str = " FOR NO KEY UPDATE";
/// What is counted goes on behind what came.
const AFTER_FILLING: [(&str, &str); 2] = [
    (
        "operations",
        "SELECT setval('operations_seq', (SELECT COALESCE(MAX(seq), 0) + 1 FROM operations), false)",
    ),
    (
        "alarms",
        "SELECT setval(pg_get_serial_sequence('alarms', 'number'), \
         (SELECT COALESCE(MAX(number), 0) + 1 FROM alarms), false)",
    ),
];

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows of an older schema that are brought up in one transaction.
const DERIVED_AT_ONCE: u32 = 1_000;

/// Readers at once.
const READERS: u32 = 4;

/// What the server of the database does by itself with a session that asks too much of it, or that
/// was left behind by a node that is gone.
const SESSION: [(&str, &str); 3] =
    [("lock_timeout", "2s"), ("statement_timeout", "20s"), ("idle_in_transaction_session_timeout", "30s")];

/// The estate in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    readers: PgPool,
    writer: Writer,
}

impl PostgresStore {
    /// Opens the database and brings it to the newest schema; several nodes may do so at once. A change
    /// is flushed to the disk of the database's server before it is acknowledged.
    ///
    /// # Errors
    /// `Unopenable` if the server cannot be reached or refuses, or the database is not fit;
    /// `NewerSchema` if a newer program has changed it.
    pub async fn open(location: &PostgresLocation) -> Result<Self> {
        let mut connection = entered(location).await?;
        migrate(&mut connection, location, None).await?;
        // It has served its purpose, whether or not it says farewell.
        let _ = connection.close().await;

        let options = location.options().clone().options(SESSION);
        let readers = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.clone());
        Ok(Self { readers, writer: Writer::start(&options) })
    }
}

/// One moment of the database.
pub(crate) async fn source(location: &PostgresLocation) -> Result<sql::dump::Reader> {
    let mut connection =
        opened(location.options()).await.map_err(|error| fault::from_opening(&error, location))?;
    let schema = sql::dump::schema_version(&mut connection).await?;
    let schema = schema.ok_or_else(|| location.unopenable("there is no estate in it"))?;
    if schema > supported() {
        return Err(StoreError::NewerSchema { found: schema, supported: supported() });
    }
    sql::dump::Reader::begin(connection, schema).await
}

/// The database with this schema, to be filled.
pub(crate) async fn target(location: &PostgresLocation, schema: i64) -> Result<sql::dump::Filler> {
    if schema > supported() {
        return Err(StoreError::NewerSchema { found: schema, supported: supported() });
    }
    let mut connection = entered(location).await?;
    match sql::dump::schema_version(&mut connection).await? {
        None => migrate(&mut connection, location, Some(schema)).await?,
        Some(known) => sql::dump::same_schema(known, schema)?,
    }
    let location = location.clone();
    let migration: sql::dump::Migration =
        Box::new(|connection| Box::pin(async move { migrate(connection, &location, None).await }));
    sql::dump::Filler::begin(connection, migration).await
}

/// A new connection, or an error in time.
async fn opened(options: &PgConnectOptions) -> std::result::Result<PgConnection, sqlx::Error> {
    timeout(CONNECT_TIMEOUT, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A connection to a database that can hold an estate.
async fn entered(location: &PostgresLocation) -> Result<PgConnection> {
    let opening = |error: sqlx::Error| fault::from_opening(&error, location);
    let mut connection = opened(location.options()).await.map_err(opening)?;
    fit(&mut connection, location).await?;
    Ok(connection)
}

/// Whether the database can hold an estate at all.
async fn fit(connection: &mut PgConnection, location: &PostgresLocation) -> Result<()> {
    let (encoding, standby): (String, bool) =
        sqlx::query_as("SELECT current_setting('server_encoding'), pg_is_in_recovery()")
            .fetch_one(connection)
            .await
            .map_err(|error| fault::from_opening(&error, location))?;
    if standby {
        return Err(location.unopenable("it is a standby, which cannot be written; name the primary server"));
    }
    if encoding != "UTF8" {
        return Err(location.unopenable(format!(
            "its encoding is {encoding}; make one with `createdb --template template0 --encoding UTF8 NAME`"
        )));
    }
    Ok(())
}

/// The newest schema that this program knows.
fn supported() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the database to a schema, or to the newest one.
async fn migrate(
    connection: &mut PgConnection,
    location: &PostgresLocation,
    schema: Option<i64>,
) -> Result<()> {
    // Not `run`, for the reason told in the SQLite back end. Nodes that start together wait for each
    // other by an advisory lock.
    let run = MIGRATIONS.run_direct(schema, connection, false);
    run.await.map_err(|error| fault::from_migration(&error, location, supported()))?;
    if schema.is_some_and(|schema| schema < supported()) {
        return Ok(());
    }
    loop {
        let mut transaction = connection.begin().await.map_err(|error| fault::from_sqlx(&error))?;
        let found = sql::derive(&mut transaction, DERIVED_AT_ONCE).await?;
        transaction.commit().await.map_err(|error| fault::from_sqlx(&error))?;
        if found == 0 {
            return Ok(());
        }
    }
}
