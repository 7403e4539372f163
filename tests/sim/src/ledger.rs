//! What was promised: every operation that somebody was told is durable, and every effect that it had.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tms_core::{Operation, OperationId, OperationKind, OperationState, TerminalId};
use tms_terminal::hardware::{Effect, Hardware};
use uuid::Uuid;

/// An acknowledged operation.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(crate) id: OperationId,
    /// Index of the terminal.
    pub(crate) terminal: usize,
    pub(crate) kind: OperationKind,
    pub(crate) made_at: Timestamp,
    /// As the store last had it.
    pub(crate) state: OperationState,
}

/// Everything that was promised and everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) promises: Vec<Promise>,
    /// Promises that are open, by terminal.
    pub(crate) open: HashMap<usize, Vec<usize>>,
    /// How often each task had its effect.
    effects: HashMap<(usize, Uuid, u8), u32>,
    pub(crate) effects_seen: u64,
}

impl Ledger {
    /// Notes what somebody was told.
    pub(crate) fn promise(&mut self, terminal: usize, operation: &Operation, now: Timestamp) -> usize {
        let place = self.promises.len();
        self.promises.push(Promise {
            id: operation.id,
            terminal,
            kind: operation.kind.clone(),
            made_at: now,
            state: operation.state,
        });
        self.open.entry(terminal).or_default().push(place);
        place
    }

    /// Notes an effect, and gives how often it has happened.
    pub(crate) fn effect(&mut self, terminal: usize, operation: Uuid, step: u8) -> u32 {
        self.effects_seen += 1;
        let count = self.effects.entry((terminal, operation, step)).or_default();
        *count += 1;
        *count
    }

    /// How often an operation of one task had its effect: each attempt after a failed one is a step of its own.
    pub(crate) fn effects_of_all(&self, terminal: usize, operation: Uuid) -> u32 {
        (1..=u8::MAX).map(|step| self.effects_of(terminal, operation, step)).sum()
    }

    /// How often a task had its effect.
    pub(crate) fn effects_of(&self, terminal: usize, operation: Uuid, step: u8) -> u32 {
        self.effects.get(&(terminal, operation, step)).copied().unwrap_or(0)
    }
}

/// What a terminal's hardware did since somebody last asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<Seen>>>);

/// One physical effect.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It started.
    Booted(u32),
    /// It went down to start again; the task that ordered it.
    Restarts(Option<(Uuid, u8)>),
    /// It took new working keys.
    Keys,
    /// A task had its effect.
    Task { operation: Uuid, step: u8, what: String },
}

impl Watch {
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().expect("one thread"))
    }
}

impl Hardware for Watch {
    fn happens(&self, _tid: &str, effect: &Effect<'_>) {
        let seen = match effect {
            Effect::Booted { boot_count } => Seen::Booted(*boot_count),
            Effect::Restarts { task } => Seen::Restarts(task.map(|task| (task.operation, task.step))),
            Effect::Keys => Seen::Keys,
            Effect::Task { task, what } => {
                Seen::Task { operation: task.operation, step: task.step, what: (*what).to_owned() }
            }
            _ => return,
        };
        self.0.lock().expect("one thread").push(seen);
    }
}

/// The TID of the terminal with this index.
pub(crate) fn tid(index: usize) -> TerminalId {
    format!("{:08}", 10_000_000 + index).parse().expect("a TID")
}
