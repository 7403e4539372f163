//! The terminal's memory of what it was told: at least once on the wire, exactly once in effect.
//!
//! The terminal keeps the journal with its durable state. It writes the entry before it acts and
//! the result before it answers, so that after any crash a repeated task is continued, answered or
//! reported as interrupted, and never done again. Which of these is the command's own matter
//! ([`Command::repeat`]), and the journal sees to it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(doc)]
use crate::task::Command;
use crate::{
    alive::Alive,
    mutation::{Mutation, without},
    task::{Outcome, Repeat, Task, TaskResult},
};

/// Entries kept. Old ones are forgotten only when the host has acknowledged their results.
pub const CAPACITY: usize = 64;

/// The step that stands for a whole operation that was cancelled before any of it arrived.
const WHOLE: u8 = 0;

/// The durable journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    entries: VecDeque<Entry>,
}

/// What to do with a task that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// New: do it. The journal has noted that it began.
    Execute,
    /// It began since the last start and is not finished: it goes on.
    Running,
    /// It began before the last start, is not finished, and may be done again: continue it.
    Continue,
    /// It was cancelled before it was finished: undo what can be undone, and finish it with
    /// [`Outcome::CANCELLED`] or with what it came to.
    Cancelled,
    /// It was done before, or nobody can know; this is the result. Make the journal durable before it is sent.
    Answer(TaskResult),
    /// The journal is full of unfinished work.
    Full,
}

/// What a cancellation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    /// Nothing of it had arrived. If it does, it is answered [`Outcome::CANCELLED`].
    Prevented,
    /// These steps are not finished. None is resumed: stop them and finish them.
    Stop(Vec<u8>),
    /// All that arrived is finished; the results stay as they are.
    TooLate,
    /// The journal is full of unfinished work.
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    operation: Uuid,
    step: u8,
    result: Option<TaskResult>,
    acknowledged: bool,
    #[serde(default)]
    repeat: Repeat,
    /// Of [`WHOLE`]: before any of it arrived.
    #[serde(default)]
    cancelled: bool,
    #[serde(skip)]
    alive: Alive,
}

impl Journal {
    /// Decides about a task and, when it is new, notes that it began. Make the journal durable
    /// before acting on [`Admission::Execute`].
    pub fn admit(&mut self, task: &Task) -> Admission {
        let (operation, step) = (task.operation, task.step);
        if let Some(entry) = self.entry_mut(operation, step) {
            return entry.admit_again();
        }
        if self.entry(operation, WHOLE).is_some() && !without(Mutation::ForgetCancellation) {
            return Admission::Answer(TaskResult::new(operation, step, Outcome::CANCELLED));
        }
        let entry = Entry {
            operation,
            step,
            result: None,
            acknowledged: false,
            repeat: task.command.repeat(),
            cancelled: false,
            alive: Alive(true),
        };
        if self.push(entry) { Admission::Execute } else { Admission::Full }
    }

    /// Gives an operation up. Cancelling wins over resuming: make the journal durable, then stop the steps
    /// that are told.
    pub fn cancel(&mut self, operation: Uuid) -> Cancellation {
        let mut found = false;
        let mut running = Vec::new();
        for entry in self.entries.iter_mut().filter(|e| e.operation == operation) {
            // Of an earlier cancellation it is known whether anything had arrived by then.
            found |= entry.step != WHOLE || !entry.cancelled;
            if entry.result.is_none() {
                entry.cancelled = true;
                running.push(entry.step);
            }
        }
        // Steps that arrive later are refused too.
        let whole = Entry {
            operation,
            step: WHOLE,
            result: Some(TaskResult::new(operation, WHOLE, Outcome::CANCELLED)),
            acknowledged: true,
            repeat: Repeat::Safe,
            cancelled: !found,
            alive: Alive(false),
        };
        let remembered = self.entry(operation, WHOLE).is_some() || self.push(whole);
        match (found, running.is_empty()) {
            (_, false) => Cancellation::Stop(running),
            (true, true) => Cancellation::TooLate,
            (false, true) if remembered => Cancellation::Prevented,
            (false, true) => Cancellation::Full,
        }
    }

    /// Whether a task must not go on although it has no result yet.
    #[must_use]
    pub fn is_cancelled(&self, operation: Uuid, step: u8) -> bool {
        self.entry(operation, step).is_some_and(|e| e.cancelled && e.result.is_none())
    }

    /// The terminal has started again and kept its memory. A journal that was read back knows this by itself.
    pub fn restarted(&mut self) {
        for entry in &mut self.entries {
            entry.alive = Alive(false);
        }
    }

    /// Finishes what a restart cut short and must not be done again, without waiting for the host to ask.
    /// Gives whether anything changed. Ordered restarts must have their results before.
    pub fn settle(&mut self) -> bool {
        let mut changed = false;
        for entry in self.entries.iter_mut().filter(|e| e.is_lost()) {
            entry.interrupt();
            changed = true;
        }
        changed
    }

    /// Notes a result. A task that already has one keeps it.
    pub fn finish(&mut self, result: TaskResult) {
        match self.entry_mut(result.operation, result.step) {
            Some(entry) if entry.result.is_none() || without(Mutation::OverwriteResult) => {
                entry.result = Some(result);
            }
            _ => {}
        }
    }

    /// Notes that the host has a result.
    pub fn acknowledge(&mut self, operation: Uuid, step: u8) {
        if let Some(entry) = self.entry_mut(operation, step) {
            entry.acknowledged = entry.result.is_some();
        }
    }

    /// Results that the host may not have yet, oldest first.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &TaskResult> {
        self.entries.iter().filter(|e| !e.acknowledged).filter_map(|e| e.result.as_ref())
    }

    /// Whether a task began and has no result.
    #[must_use]
    pub fn is_running(&self, operation: Uuid, step: u8) -> bool {
        self.entry(operation, step).is_some_and(|e| e.result.is_none())
    }

    /// Keeps an entry, in the place of the oldest one that the host needs no more when there are many.
    fn push(&mut self, entry: Entry) -> bool {
        if self.entries.len() >= CAPACITY {
            match self.entries.iter().position(Entry::may_be_forgotten) {
                Some(oldest) => drop(self.entries.remove(oldest)),
                None => return false,
            }
        }
        self.entries.push_back(entry);
        true
    }

    fn entry(&self, operation: Uuid, step: u8) -> Option<&Entry> {
        self.entries.iter().find(|e| e.operation == operation && e.step == step)
    }

    fn entry_mut(&mut self, operation: Uuid, step: u8) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.operation == operation && e.step == step)
    }
}

impl Entry {
    fn admit_again(&mut self) -> Admission {
        if self.is_lost() {
            self.interrupt();
        }
        match &self.result {
            Some(result) => Admission::Answer(result.clone()),
            None if self.cancelled && !without(Mutation::ResumeCancelledTask) => Admission::Cancelled,
            None if self.alive.0 => Admission::Running,
            None => {
                self.alive = Alive(true);
                Admission::Continue
            }
        }
    }

    /// Whether a restart cut it short and it must not be done again.
    fn is_lost(&self) -> bool {
        let once = self.repeat == Repeat::Once && !without(Mutation::RepeatLostTask);
        self.result.is_none() && !self.alive.0 && once
    }

    fn may_be_forgotten(&self) -> bool {
        self.acknowledged || without(Mutation::EvictUnacknowledged)
    }

    fn interrupt(&mut self) {
        self.result = Some(TaskResult::new(self.operation, self.step, Outcome::INTERRUPTED));
    }
}

#[cfg(test)]
mod tests;
