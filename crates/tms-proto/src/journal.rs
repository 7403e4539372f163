//! The terminal's memory of what it was told: at least once on the wire, exactly once in effect.
//!
//! The terminal keeps the journal with its durable state. It writes the entry before it acts and
//! the result before it answers, so that after any crash a repeated task is either continued or
//! answered, and never done again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::TaskResult;

/// Entries kept. Old ones are forgotten only when the host has acknowledged their results.
pub const CAPACITY: usize = 64;

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
    /// It began before and is not finished.
    Running,
    /// It was done before; this was the result.
    Answer(TaskResult),
    /// The journal is full of unfinished work.
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    operation: Uuid,
    step: u8,
    result: Option<TaskResult>,
    acknowledged: bool,
}

impl Journal {
    /// Decides about a task and, when it is new, notes that it began. Make the journal durable
    /// before acting on [`Admission::Execute`].
    pub fn admit(&mut self, operation: Uuid, step: u8) -> Admission {
        if let Some(entry) = self.entry(operation, step) {
            return match &entry.result {
                Some(result) => Admission::Answer(result.clone()),
                None => Admission::Running,
            };
        }
        if self.entries.len() >= CAPACITY {
            match self.entries.iter().position(|e| e.acknowledged) {
                Some(oldest) => drop(self.entries.remove(oldest)),
                None => return Admission::Full,
            }
        }
        self.entries.push_back(Entry { operation, step, result: None, acknowledged: false });
        Admission::Execute
    }

    /// Notes a result. A task that already has one keeps it.
    pub fn finish(&mut self, result: TaskResult) {
        match self.entry_mut(result.operation, result.step) {
            Some(entry) if entry.result.is_none() => entry.result = Some(result),
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

    fn entry(&self, operation: Uuid, step: u8) -> Option<&Entry> {
        self.entries.iter().find(|e| e.operation == operation && e.step == step)
    }

    fn entry_mut(&mut self, operation: Uuid, step: u8) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.operation == operation && e.step == step)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::task::Outcome;

    #[test]
    fn a_repeated_task_is_answered_with_its_first_result() {
        let mut journal = Journal::default();
        let id = Uuid::from_u128(1);
        assert_eq!(journal.admit(id, 1), Admission::Execute);
        assert_eq!(journal.admit(id, 1), Admission::Running);
        journal.finish(TaskResult::new(id, 1, Outcome::DONE));
        journal.finish(TaskResult::new(id, 1, Outcome::INTERNAL));
        assert_eq!(journal.admit(id, 1), Admission::Answer(TaskResult::new(id, 1, Outcome::DONE)));
    }

    #[test]
    fn a_journal_full_of_unacknowledged_work_takes_no_more() {
        let mut journal = Journal::default();
        for n in 0..CAPACITY as u128 {
            assert_eq!(journal.admit(Uuid::from_u128(n), 1), Admission::Execute);
        }
        assert_eq!(journal.admit(Uuid::from_u128(999), 1), Admission::Full);
        journal.finish(TaskResult::new(Uuid::from_u128(5), 1, Outcome::DONE));
        journal.acknowledge(Uuid::from_u128(5), 1);
        assert_eq!(journal.admit(Uuid::from_u128(999), 1), Admission::Execute);
    }

    proptest! {
        // Tasks arrive any number of times in any order, and the journal is saved and loaded
        // between any two of them: each unacknowledged one executes exactly once.
        #[test]
        fn every_task_executes_once(arrivals in prop::collection::vec((0u128..20, any::<bool>(), any::<bool>()), 1..200)) {
            let mut journal = Journal::default();
            let mut executed: HashMap<u128, u32> = HashMap::new();
            for (n, finish, restart) in arrivals {
                let id = Uuid::from_u128(n);
                if journal.admit(id, 1) == Admission::Execute {
                    *executed.entry(n).or_default() += 1;
                }
                if finish {
                    journal.finish(TaskResult::new(id, 1, Outcome::DONE));
                }
                if restart {
                    let text = serde_json::to_string(&journal).unwrap();
                    journal = serde_json::from_str(&text).unwrap();
                }
            }
            prop_assert!(executed.values().all(|count| *count == 1));
        }
    }
}
