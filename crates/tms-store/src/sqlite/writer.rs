//! One writer with group commit: writes that arrive while a transaction is being flushed wait for
//! the next one and share its flush. Every write has its own savepoint, so that one that fails does
//! not fail its neighbours, and is answered only after COMMIT.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Acquire, ConnectOptions, Connection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::fault;
use crate::error::StoreError;
use crate::store::Result;

/// What a write does with the connection, boxed because it borrows it.
pub(super) type Applied<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// Writes that may wait before callers have to wait to be queued.
const QUEUE_WRITES: usize = 8 * 1024;

/// Writes in one transaction. More would not make a flush cheaper, only the wait longer.
const BATCH_WRITES: usize = 1024;

/// The handle with which writes reach the writer task.
#[derive(Debug)]
pub(super) struct Writer {
    /// Taken away when the store is closed; the task ends when the last copy is gone.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Write>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task on a connection that is open and migrated; `options` reopen it after a fault.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE_WRITES);
        let database = Database { connection: Some(connection), options };
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(tokio::spawn(run(database, receiver)))) }
    }

    /// Has a write done and waits until it is durable.
    pub(super) async fn write<T, F>(&self, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Applied<'c, T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = Queued { write: Some(write), result: None, reply };
        let queue = unpoisoned(&self.queue).clone().ok_or_else(closed_error)?;
        queue.send(Box::new(queued)).await.map_err(|_| closed_error())?;
        drop(queue);
        answer.await.map_err(|_| closed_error())?
    }

    /// Refuses new writes, ends the queued ones, and closes the connection.
    pub(super) async fn close(&self) {
        drop(unpoisoned(&self.queue).take());
        let task = unpoisoned(&self.task).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer task ended abnormally");
        }
    }
}

/// Nothing can panic while one of these locks is held, so that what it guards is always whole.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed_error() -> StoreError {
    StoreError::unavailable("it is closed")
}

/// A write in the queue, whatever its result type.
trait Write: Send {
    /// Does it inside an open savepoint; the result is kept. Says whether it worked.
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>>;

    /// Answers the caller, once the fate of the transaction is known.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Queued<T, F> {
    write: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Write for Queued<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> Applied<'c, T> + Send,
{
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'c>> {
        Box::pin(async move {
            let Some(write) = self.write.take() else {
                return false;
            };
            let result = write(connection).await;
            let worked = result.is_ok();
            self.result = Some(result);
            worked
        })
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::unavailable("the write was not reached")),
            // Whatever the write saw may have been a neighbour's change that is gone now.
            (Err(error), _) => Err(error.clone()),
        };
        // A caller that no longer waits has no use for the answer.
        let _ = self.reply.send(result);
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

    async fn commit(&mut self, batch: &mut [Box<dyn Write>]) -> Result<()> {
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
    batch: &mut [Box<dyn Write>],
) -> std::result::Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for write in batch {
        let mut savepoint = transaction.begin().await?;
        if write.apply(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    transaction.commit().await
}

async fn run(mut database: Database, mut queue: mpsc::Receiver<Box<dyn Write>>) {
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
