//! Group commit over a few connections. Writes about the same thing go through the same lane, one after
//! the other; what has gathered in a lane shares one transaction and is answered after its COMMIT.
//!
//! A transaction is first tried as it is. When a write in it refuses or fails, the transaction is rolled
//! back and done again with a savepoint around each write, so that one that fails does not fail its
//! neighbours: two more round trips for each write, paid only then. What came to nothing before COMMIT
//! was sent (a connection lost, a deadlock) is done again a few times; after it, nobody knows, and the callers
//! are told that the store is not available.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Acquire, Connection};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::fault;
use crate::error::StoreError;
use crate::queue::{Applied, Key, Lane, Queued};
use crate::store::Result;

/// Connections that write. Each waits for the network most of the time.
const LANES: usize = 8;

/// Writes in one transaction: it holds its locks for as long as they take.
const BATCH_WRITES: usize = 128;

/// How often a transaction is tried that comes to nothing before its COMMIT.
const ATTEMPTS: u32 = 4;

/// How long the writes of a transaction, and its COMMIT, may take before the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The handle with which writes reach the lanes.
#[derive(Debug)]
pub(super) struct Writer {
    lanes: [Lane<PgConnection>; LANES],
}

impl Writer {
    /// Starts the lanes; each opens its connection when it has something to write.
    pub(super) fn start(options: &PgConnectOptions) -> Self {
        let lane = |_| {
            let database = Database { connection: None, options: options.clone() };
            Lane::start(|queue| run(database, queue))
        };
        Self { lanes: std::array::from_fn(lane) }
    }

    /// Has a write done and waits until it is durable.
    pub(super) async fn write<A, T, F>(&self, key: impl Into<Key>, input: A, write: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Applied<'c, T> + Send + Sync + 'static,
    {
        let key = key.into();
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let number = hasher.finish() % LANES as u64;
        let lane = usize::try_from(number).ok().and_then(|number| self.lanes.get(number));
        lane.ok_or_else(crate::queue::closed_error)?.write(key, input, write).await
    }

    /// Refuses new writes, ends the queued ones, and closes the connections.
    pub(super) async fn close(&self) {
        for lane in &self.lanes {
            lane.close().await;
        }
    }
}

/// What is done about a write that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// The transaction ends there.
    None,
    /// The write is undone; if it only waited in vain, the transaction is to be tried again.
    Each,
    /// The write is undone.
    EachLastTime,
}

/// How a transaction ended that was not committed.
enum Failed {
    /// A write refused or failed; the connection is fine.
    InWrite(StoreError),
    /// The connection is lost, or in a state that nobody knows; nothing was committed.
    Before(StoreError),
    /// Trying again is of no use: the database cannot be reached, or was lost while COMMIT was under way.
    Final(StoreError),
}

/// A connection, opened when it is needed and again when it is lost.
struct Database {
    connection: Option<PgConnection>,
    options: PgConnectOptions,
}

impl Database {
    async fn commit(&mut self, batch: &mut [Queued<PgConnection>]) -> Result<()> {
        batch.sort_by(|a, b| a.key().cmp(b.key()));
        let mut care = Care::None;
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(batch, care).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            let error = match failed {
                Failed::InWrite(_) if care == Care::None => {
                    care = Care::Each;
                    continue;
                }
                Failed::InWrite(error) | Failed::Before(error) => error,
                Failed::Final(error) => return Err(error),
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, attempt, writes = batch.len(), "a transaction is tried again");
            attempt += 1;
            if attempt == ATTEMPTS && care == Care::Each {
                care = Care::EachLastTime;
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &mut [Queued<PgConnection>],
        care: Care,
    ) -> std::result::Result<(), Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(Failed::Final)?,
        };
        let outcome = transaction(&mut connection, batch, care).await;
        match outcome {
            Ok(()) | Err(Failed::InWrite(_)) => self.connection = Some(connection),
            // Dropped: a lost connection cannot be closed in good order.
            Err(Failed::Before(_) | Failed::Final(_)) => {}
        }
        outcome
    }
}

/// Opens a connection on which COMMIT means that the change is on the disk.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection> {
    let open = async {
        let mut connection = super::opened(options).await?;
        sqlx::query(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        )
        .execute(&mut connection)
        .await?;
        Ok(connection)
    };
    open.await.map_err(|error: sqlx::Error| match error {
        sqlx::Error::Io(_) => fault::from_sqlx(&sqlx::Error::PoolTimedOut),
        error => fault::from_sqlx(&error),
    })
}

async fn transaction(
    connection: &mut PgConnection,
    batch: &mut [Queued<PgConnection>],
    care: Care,
) -> std::result::Result<(), Failed> {
    let lost = |error: sqlx::Error| Failed::Before(fault::from_sqlx(&error));
    let silent = || fault::from_sqlx(&sqlx::Error::PoolTimedOut);
    let writes = async {
        // Whatever the database's default is, the locks are meant for this level.
        let mut transaction =
            connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await.map_err(lost)?;
        let mut contended = None;
        for write in batch {
            if care == Care::None {
                if let Err(error) = write.apply(&mut transaction).await {
                    transaction.rollback().await.map_err(lost)?;
                    return Err(Failed::InWrite(error));
                }
                continue;
            }
            let mut savepoint = transaction.begin().await.map_err(lost)?;
            match write.apply(&mut savepoint).await {
                Ok(()) => savepoint.commit().await.map_err(lost)?,
                Err(error) => {
                    savepoint.rollback().await.map_err(lost)?;
                    if care == Care::Each && fault::is_contended(&error) {
                        contended = Some(error);
                    }
                }
            }
        }
        match contended {
            None => Ok(transaction),
            Some(error) => {
                transaction.rollback().await.map_err(lost)?;
                Err(Failed::InWrite(error))
            }
        }
    };
    let transaction = timeout(PATIENCE, writes).await.unwrap_or_else(|_| Err(Failed::Before(silent())))?;
    match timeout(PATIENCE, transaction.commit()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failed::Final(fault::from_sqlx(&error))),
        Err(_) => Err(Failed::Final(silent())),
    }
}

async fn run(mut database: Database, mut queue: mpsc::Receiver<Queued<PgConnection>>) {
    let mut batch = Vec::with_capacity(BATCH_WRITES);
    while queue.recv_many(&mut batch, BATCH_WRITES).await > 0 {
        let committed = database.commit(&mut batch).await;
        if let Err(error) = &committed {
            tracing::error!(%error, writes = batch.len(), "a transaction failed");
        }
        for write in batch.drain(..) {
            write.answer(&committed);
        }
    }
    if let Some(connection) = database.connection.take()
        && let Err(error) = connection.close().await
    {
        tracing::warn!(%error, "a connection did not close cleanly");
    }
}
