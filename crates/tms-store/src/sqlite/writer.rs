//! One writer with group commit: writes that arrive while a transaction is being flushed wait for
//! the next one and share its flush. Every write has its own savepoint, so that one that fails does
//! not fail its neighbours, and is answered only after COMMIT.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Acquire, ConnectOptions, Connection};
use tokio::sync::mpsc;

use super::fault;
use crate::queue::{Applied, Key, Lane, Queued, closed_error};
use crate::store::Result;

/// Writes in one transaction. More would not make a flush cheaper, only the wait longer.
const BATCH_WRITES: usize = 1024;

/// The handle with which writes reach the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    lane: Lane<SqliteConnection>,
}

impl Writer {
    /// Starts the task on a connection that is open and migrated; `options` reopen it after a fault.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let database = Database { connection: Some(connection), options };
        Self { lane: Lane::start(|queue| run(database, queue)) }
    }

    /// Has a write done and waits until it is durable.
    pub(super) async fn write<A, T, F>(&self, key: impl Into<Key>, input: A, write: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection, &'c A) -> Applied<'c, T> + Send + Sync + 'static,
    {
        self.lane.write(key.into(), input, write).await
    }

    /// Refuses new writes, ends the queued ones, and closes the connection.
    pub(super) async fn close(&self) {
        self.lane.close().await;
    }
}

/// The connection, reopened when a fault has left its state unknown.
struct Database {
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
}

impl Database {
    async fn connection(&mut self) -> Result<&mut SqliteConnection> {
        if self.connection.is_none() {
            let opened = self.options.connect().await.map_err(|error| fault::from_sqlx(&error))?;
            self.connection = Some(opened);
        }
        self.connection.as_mut().ok_or_else(closed_error)
    }

    async fn commit(&mut self, batch: &mut [Queued<SqliteConnection>]) -> Result<()> {
        let connection = self.connection().await?;
        let result = transaction(connection, batch).await;
        if result.is_err() {
            // SQLite may or may not have rolled back by itself; a new connection is certain.
            if let Some(connection) = self.connection.take() {
                let _ = connection.close_hard().await;
            }
        }
        result.map_err(|error| fault::from_sqlx(&error))
    }
}

async fn transaction(
    connection: &mut SqliteConnection,
    batch: &mut [Queued<SqliteConnection>],
) -> std::result::Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for write in batch {
        let mut savepoint = transaction.begin().await?;
        match write.apply(&mut savepoint).await {
            Ok(()) => savepoint.commit().await?,
            Err(_) => savepoint.rollback().await?,
        }
    }
    transaction.commit().await
}

async fn run(mut database: Database, mut queue: mpsc::Receiver<Queued<SqliteConnection>>) {
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
        tracing::warn!(%error, "the database did not close cleanly");
    }
}
