//! A storage that fails at a chosen write, and hardware that counts.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    hardware::{Effect, Hardware},
    state::TaskKey,
    storage::{MemoryStorage, Storage},
};

/// Fails at a chosen write, which tears if it may, and at every write after it until mended.
#[derive(Debug)]
pub(super) struct Frail {
    inner: MemoryStorage,
    writes_left: AtomicU64,
}

impl Default for Frail {
    fn default() -> Self {
        Self { inner: MemoryStorage::default(), writes_left: AtomicU64::new(u64::MAX) }
    }
}

impl Frail {
    pub(super) fn fail_after(&self, writes: u64) {
        self.writes_left.store(writes, Ordering::Relaxed);
    }

    pub(super) fn mend(&self) {
        self.fail_after(u64::MAX);
    }

    fn works(&self) -> bool {
        let left = self.writes_left.load(Ordering::Relaxed);
        self.writes_left.store(left.saturating_sub(u64::from(left < u64::MAX)), Ordering::Relaxed);
        left > 0
    }
}

fn failed<T>() -> io::Result<T> {
    Err(io::Error::other("the power is gone"))
}

impl Storage for Frail {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.inner.read(name)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.works() { self.inner.replace(name, bytes) } else { failed() }
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.works() {
            return self.inner.write_at(name, offset, bytes);
        }
        self.inner.write_at(name, offset, &bytes[..bytes.len() / 2])?;
        failed()
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        self.inner.len(name)
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        if self.works() { self.inner.truncate(name, len) } else { failed() }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.works() { self.inner.remove(name) } else { failed() }
    }
}

/// Remembers what physically happened.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    effects: Mutex<Vec<(Option<TaskKey>, String)>>,
}

impl Recorder {
    /// Effects of tasks, in order: operation, step, what.
    pub(super) fn of_tasks(&self) -> Vec<(u128, u8, String)> {
        let effects = self.effects.lock().unwrap();
        let of_task = |(task, what): &(Option<TaskKey>, String)| {
            task.map(|task| (task.operation.as_u128(), task.step, what.clone()))
        };
        effects.iter().filter_map(of_task).collect()
    }
}

impl Hardware for Recorder {
    fn happens(&self, _: &str, effect: &Effect<'_>) {
        let (task, what) = match effect {
            Effect::Booted { .. } => (None, "boot"),
            Effect::Restarts { task } => (*task, "restart"),
            Effect::Keys => return,
            Effect::Task { task, what } => (Some(*task), *what),
        };
        self.effects.lock().unwrap().push((task, what.to_owned()));
    }
}
