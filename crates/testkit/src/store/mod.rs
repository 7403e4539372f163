//! A store in memory that keeps every promise of [`Store`]: for simulations and tests, and to try the
//! server as a library without a database.
//!
//! Every call is one step under one lock and is ready at once; it needs no runtime. A call that
//! answered `Ok` is in every later [`snapshot`](MemoryStore::snapshot), as committed data is in a
//! database after a crash. [`on_call`](MemoryStore::on_call) makes calls fail.

mod alarms;
mod artifacts;
mod configuration;
mod contents;
mod credentials;
mod groups;
mod leases;
mod operations;
mod people;
mod places;
mod promises;
mod rollouts;
mod terminals;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tms_store::{Store, StoreError};

pub use contents::{Contents, Queue};

/// What becomes of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallFault {
    /// It is carried out.
    #[default]
    None,
    /// It fails and changes nothing.
    Refused,
    /// It is carried out, and whoever called is told that it failed: a database that is cut off after
    /// the commit.
    AnswerLost,
}

/// The store. Reading order: what it holds is [`Contents`].
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

/// Says what becomes of a call, by the name of the trait's method.
type Hook = Box<dyn FnMut(&'static str) -> CallFault + Send>;

#[derive(Default)]
struct Inner {
    contents: Contents,
    closed: bool,
    fail_next: u32,
    hook: Option<Hook>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that holds what was in another one when the snapshot was taken.
    #[must_use]
    pub fn restore(contents: Contents) -> Self {
        let inner = Inner { contents, ..Inner::default() };
        Self { inner: Mutex::new(inner) }
    }

    /// Everything that calls have made durable so far.
    #[must_use]
    pub fn snapshot(&self) -> Contents {
        self.lock().contents.clone()
    }

    /// Looks at what the store holds, without a copy: for invariants. The store waits meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Contents) -> T) -> T {
        look(&self.lock().contents)
    }

    /// Has the next `calls` calls fail without effect.
    pub fn fail_next(&self, calls: u32) {
        self.lock().fail_next = calls;
    }

    /// Asks `hook` what becomes of every call from now on. It must not call the store.
    pub fn on_call(&self, hook: impl FnMut(&'static str) -> CallFault + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    /// Lets every call succeed again.
    pub fn heal(&self) {
        let mut inner = self.lock();
        inner.fail_next = 0;
        inner.hook = None;
    }

    /// Opens the store again after `close`, as a server that starts does.
    pub fn reopen(&self) {
        self.lock().closed = false;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change checks first and changes then; a panic in a look changes nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: all or nothing, because the step changes nothing before it can succeed.
    fn call<T>(
        &self,
        name: &'static str,
        step: impl FnOnce(&mut Contents) -> tms_store::Result<T>,
    ) -> tms_store::Result<T> {
        let mut inner = self.lock();
        let unavailable = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        if inner.closed {
            return Err(unavailable("the store is closed"));
        }
        let mut fault = inner.hook.as_mut().map_or(CallFault::None, |hook| hook(name));
        if inner.fail_next > 0 {
            inner.fail_next -= 1;
            fault = CallFault::Refused;
        }
        match fault {
            CallFault::None => step(&mut inner.contents),
            CallFault::Refused => Err(unavailable("a test said so")),
            CallFault::AnswerLost => {
                step(&mut inner.contents)?;
                Err(unavailable("a test said so, afterwards"))
            }
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("MemoryStore")
            .field("terminals", &inner.contents.terminals.len())
            .field("operations", &inner.contents.operations.len())
            .field("closed", &inner.closed)
            .finish_non_exhaustive()
    }
}

/// The store is passed around as the trait.
const _: fn(MemoryStore) -> std::sync::Arc<dyn Store> = |store| std::sync::Arc::new(store);
