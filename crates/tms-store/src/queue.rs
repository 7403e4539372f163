//! Writes on their way to the database: callers queue them, a task takes what has gathered, has it done
//! in one transaction, and answers after the commit.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tms_core::{OperationId, TerminalId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::StoreError;
use crate::store::Result;

/// Writes that may wait before callers have to wait to be queued.
const QUEUE_WRITES: usize = 8 * 1024;

/// What a write does with the connection, boxed because it borrows it.
pub(crate) type Applied<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// What a write is about. Writes about the same thing are done one after the other, and those of one
/// transaction in the order of their keys, so that two transactions do not wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// Many things.
    Many,
    /// A terminal and what belongs to it.
    Terminal(TerminalId),
    /// One operation, whoever's it is.
    Operation(OperationId),
    /// Something else that has a name.
    Name(String),
}

impl From<&TerminalId> for Key {
    fn from(tid: &TerminalId) -> Self {
        Self::Terminal(tid.clone())
    }
}

impl From<OperationId> for Key {
    fn from(id: OperationId) -> Self {
        Self::Operation(id)
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// A write in the queue, whatever its result type, for a connection `C`.
pub(crate) trait Write<C>: Send {
    /// What it is about.
    fn key(&self) -> &Key;

    /// Does it inside an open transaction, which may be done again when that transaction came to
    /// nothing; the last result is kept. Says whether it worked.
    fn apply<'c>(
        &'c mut self,
        connection: &'c mut C,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<(), StoreError>> + Send + 'c>>;

    /// Answers the caller, once the fate of the transaction is known.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

/// Whatever a caller has queued.
pub(crate) type Queued<C> = Box<dyn Write<C>>;

/// A queue with the task that empties it.
#[derive(Debug)]
pub(crate) struct Lane<C> {
    /// Taken away when the store is closed; the task ends when the last copy is gone.
    queue: Mutex<Option<mpsc::Sender<Queued<C>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<C: Send + 'static> Lane<C> {
    /// Starts `run` on the receiving end.
    pub(crate) fn start<F>(run: impl FnOnce(mpsc::Receiver<Queued<C>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (queue, receiver) = mpsc::channel(QUEUE_WRITES);
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(tokio::spawn(run(receiver)))) }
    }

    /// Has a write done and waits until it is durable. `write` gets what it needs as `input` each time
    /// it is done.
    pub(crate) async fn write<A, T, F>(&self, key: Key, input: A, write: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut C, &'c A) -> Applied<'c, T> + Send + Sync + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call { key, input, write, result: None, reply };
        let queue = unpoisoned(&self.queue).clone().ok_or_else(closed_error)?;
        queue.send(Box::new(call)).await.map_err(|_| closed_error())?;
        drop(queue);
        answer.await.map_err(|_| closed_error())?
    }

    /// Refuses new writes and waits until the queued ones are done.
    pub(crate) async fn close(&self) {
        drop(unpoisoned(&self.queue).take());
        let task = unpoisoned(&self.task).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "a writer task ended abnormally");
        }
    }
}

/// Nothing can panic while one of these locks is held, so that what it guards is always whole.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn closed_error() -> StoreError {
    StoreError::unavailable("it is closed")
}

struct Call<A, T, F> {
    key: Key,
    input: A,
    write: F,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<C, A, T, F> Write<C> for Call<A, T, F>
where
    C: Send,
    A: Send + Sync,
    T: Send,
    F: for<'c> Fn(&'c mut C, &'c A) -> Applied<'c, T> + Send + Sync,
{
    fn key(&self) -> &Key {
        &self.key
    }

    fn apply<'c>(
        &'c mut self,
        connection: &'c mut C,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<(), StoreError>> + Send + 'c>> {
        Box::pin(async move {
            let result = (self.write)(connection, &self.input).await;
            let outcome = result.as_ref().map(|_| ()).map_err(StoreError::clone);
            self.result = Some(result);
            outcome
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
