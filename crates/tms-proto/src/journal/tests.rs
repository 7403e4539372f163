use std::collections::{HashMap, HashSet};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use super::*;
use crate::task::Command;

fn task(operation: u128, command: Command) -> Task {
    Task { operation: Uuid::from_u128(operation), step: 1, command }
}

fn safe(operation: u128) -> Task {
    task(operation, Command::SelfTest)
}

fn restarted(journal: &Journal) -> Journal {
    let copy = serde_json::from_str(&serde_json::to_string(journal).unwrap()).unwrap();
    assert_eq!(*journal, copy);
    copy
}

#[test]
fn a_repeated_task_is_answered_with_its_first_result() {
    let mut journal = Journal::default();
    let (id, task) = (Uuid::from_u128(1), safe(1));
    assert_eq!(journal.admit(&task), Admission::Execute);
    assert_eq!(journal.admit(&task), Admission::Running);
    journal.finish(TaskResult::new(id, 1, Outcome::DONE));
    journal.finish(TaskResult::new(id, 1, Outcome::INTERNAL));
    assert_eq!(journal.admit(&task), Admission::Answer(TaskResult::new(id, 1, Outcome::DONE)));
}

#[test]
fn a_task_that_may_be_repeated_continues_after_a_restart() {
    let mut journal = Journal::default();
    journal.admit(&safe(1));
    let mut journal = restarted(&journal);
    assert!(!journal.settle());
    assert_eq!(journal.admit(&safe(1)), Admission::Continue);
    assert_eq!(journal.admit(&safe(1)), Admission::Running);
    journal.restarted();
    assert_eq!(journal.admit(&safe(1)), Admission::Continue);
}

#[test]
fn a_slip_that_a_crash_cut_short_is_reported_and_not_printed_again() {
    let slip = task(1, Command::PrintTestSlip { text: None });
    let interrupted = TaskResult::new(slip.operation, 1, Outcome::INTERRUPTED);
    let mut journal = Journal::default();
    assert_eq!(journal.admit(&slip), Admission::Execute);
    assert_eq!(journal.admit(&slip), Admission::Running);
    let mut asked = restarted(&journal);
    assert_eq!(asked.admit(&slip), Admission::Answer(interrupted.clone()));
    assert_eq!(asked.unacknowledged().count(), 1);
    let mut unasked = restarted(&journal);
    assert!(unasked.settle());
    assert_eq!(unasked.unacknowledged().collect::<Vec<_>>(), [&interrupted]);
    unasked.finish(TaskResult::new(slip.operation, 1, Outcome::DONE));
    assert_eq!(unasked.admit(&slip), Admission::Answer(interrupted));
}

#[test]
fn a_restart_that_was_ordered_is_done_and_not_interrupted() {
    let reboot = task(1, Command::Reboot);
    let mut journal = Journal::default();
    journal.admit(&reboot);
    let mut journal = restarted(&journal);
    journal.finish(TaskResult::new(reboot.operation, 1, Outcome::DONE));
    assert!(!journal.settle());
    assert_eq!(
        journal.admit(&reboot),
        Admission::Answer(TaskResult::new(reboot.operation, 1, Outcome::DONE))
    );
}

#[test]
fn a_cancelled_task_is_not_resumed() {
    let mut journal = Journal::default();
    journal.admit(&safe(1));
    assert_eq!(journal.cancel(Uuid::from_u128(1)), Cancellation::Stop(vec![1]));
    let mut journal = restarted(&journal);
    assert!(journal.is_cancelled(Uuid::from_u128(1), 1));
    assert_eq!(journal.admit(&safe(1)), Admission::Cancelled);
    journal.finish(TaskResult::new(Uuid::from_u128(1), 1, Outcome::CANCELLED));
    assert_eq!(journal.cancel(Uuid::from_u128(1)), Cancellation::TooLate);
    assert!(!journal.is_cancelled(Uuid::from_u128(1), 1));
}

#[test]
fn an_operation_that_was_cancelled_before_it_arrived_never_begins() {
    let mut journal = Journal::default();
    let id = Uuid::from_u128(1);
    assert_eq!(journal.cancel(id), Cancellation::Prevented);
    let mut journal = restarted(&journal);
    assert_eq!(journal.admit(&safe(1)), Admission::Answer(TaskResult::new(id, 1, Outcome::CANCELLED)));
    assert_eq!(journal.unacknowledged().count(), 0);
    assert_eq!(journal.cancel(id), Cancellation::Prevented, "as the first time");
}

#[test]
fn an_operation_that_was_cancelled_too_late_is_too_late_for_ever() {
    let mut journal = Journal::default();
    let id = Uuid::from_u128(1);
    journal.admit(&safe(1));
    journal.finish(TaskResult::new(id, 1, Outcome::DONE));
    journal.acknowledge(id, 1);
    assert_eq!(journal.cancel(id), Cancellation::TooLate);
    for n in 2..CAPACITY as u128 + 1 {
        journal.admit(&safe(n));
    }
    assert!(journal.entry(id, 1).is_none(), "it was forgotten");
    assert_eq!(journal.cancel(id), Cancellation::TooLate);
}

#[test]
fn any_number_of_cancellations_takes_no_more_room_than_there_is() {
    let mut journal = Journal::default();
    for n in 0..1000 {
        assert_eq!(journal.cancel(Uuid::from_u128(n)), Cancellation::Prevented);
    }
    assert_eq!(journal.entries.len(), CAPACITY);
    for n in 2000..2000 + CAPACITY as u128 {
        assert_eq!(journal.admit(&safe(n)), Admission::Execute);
    }
    assert_eq!(journal.cancel(Uuid::from_u128(1)), Cancellation::Full);
    assert_eq!(journal.cancel(Uuid::from_u128(2000)), Cancellation::Stop(vec![1]));
}

#[test]
fn a_journal_full_of_unacknowledged_work_takes_no_more() {
    let mut journal = Journal::default();
    for n in 0..CAPACITY as u128 {
        assert_eq!(journal.admit(&safe(n)), Admission::Execute);
    }
    assert_eq!(journal.admit(&safe(999)), Admission::Full);
    journal.finish(TaskResult::new(Uuid::from_u128(5), 1, Outcome::DONE));
    journal.acknowledge(Uuid::from_u128(5), 1);
    assert_eq!(journal.admit(&safe(999)), Admission::Execute);
}

#[test]
fn a_journal_of_the_first_layout_is_read() {
    let old = r#"{"entries":[
        {"operation":"00000000-0000-0000-0000-000000000001","step":1,"result":null,"acknowledged":false},
        {"operation":"00000000-0000-0000-0000-000000000002","step":1,"acknowledged":true,"result":
         {"operation":"00000000-0000-0000-0000-000000000002","step":1,"outcome":0,"reason":"","proof":null}}]}"#;
    let mut journal: Journal = serde_json::from_str(old).unwrap();
    assert_eq!(journal.admit(&safe(1)), Admission::Continue);
    assert!(matches!(journal.admit(&safe(2)), Admission::Answer(result) if result.outcome.is_done()));
}

type Arrival = (u128, bool, bool, u8);

// Tasks of both kinds arrive any number of times in any order, and the journal is saved and loaded
// between any two of them: what has an effect of the world has it at most once, and what was cancelled
// neither begins nor goes on.
fn check_arrivals(arrivals: Vec<Arrival>) {
    let mut journal = Journal::default();
    let mut executed: HashMap<u128, u32> = HashMap::new();
    let mut cancelled = HashSet::new();
    for (n, finish, restart, cancel) in arrivals {
        let id = Uuid::from_u128(n);
        let once = n % 2 == 0;
        if cancel == 0 {
            journal.cancel(id);
            cancelled.insert(n);
        }
        let command = if once { Command::ClearBatch } else { Command::SelfTest };
        match journal.admit(&task(n, command)) {
            Admission::Execute => {
                assert!(!cancelled.contains(&n), "a cancelled operation begins");
                *executed.entry(n).or_default() += 1;
            }
            Admission::Continue => {
                assert!(!once, "a task that must not be repeated goes on");
                assert!(!cancelled.contains(&n), "a cancelled task goes on");
            }
            Admission::Full => panic!("twenty tasks have room"),
            Admission::Running | Admission::Cancelled | Admission::Answer(_) => {}
        }
        if finish {
            journal.finish(TaskResult::new(id, 1, Outcome::DONE));
        }
        if restart {
            journal = restarted(&journal);
        }
    }
    assert!(executed.values().all(|count| *count == 1), "a task begins twice");
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    prop::collection::vec((0u128..20, any::<bool>(), any::<bool>(), 0u8..20), 1..200)
}

#[test]
fn every_task_executes_once() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let check = |arrivals| {
        check_arrivals(arrivals);
        Ok(())
    };
    runner.run(&arrivals(), check).unwrap();
}

/// A terminal whose power fails, and a host that repeats what it has no answer to.
#[derive(Default)]
struct Peers {
    journal: Journal,
    saved: Journal,
    /// How often each step had its effect.
    effects: HashMap<(u128, u8), u32>,
    /// What the host was told; it never asks for these again.
    told: HashMap<(u128, u8), TaskResult>,
    cancelled: HashSet<u128>,
}

impl Peers {
    fn save(&mut self) {
        self.saved.clone_from(&self.journal);
    }

    fn lose_power(&mut self) {
        self.journal = restarted(&self.saved);
        self.journal.settle();
        self.save();
    }

    /// The host offers a step, and the terminal does it as far as it gets.
    fn offer(&mut self, n: u128, step: u8, finishes: bool) {
        // It gives no step of an operation that it gave up, unless one may be on its way.
        let new = !self.effects.contains_key(&(n, step));
        if self.told.contains_key(&(n, step)) || (new && self.cancelled.contains(&n)) {
            return;
        }
        let once = (n + u128::from(step)).is_multiple_of(2);
        let command = if once { Command::ClearBatch } else { Command::SelfTest };
        let asked = Task { operation: Uuid::from_u128(n), step, command };
        match self.journal.admit(&asked) {
            Admission::Execute => {
                self.save();
                *self.effects.entry((n, step)).or_default() += 1;
            }
            Admission::Continue => {
                assert!(!once, "a task that must not be repeated goes on");
                assert!(!self.cancelled.contains(&n), "a cancelled task goes on");
            }
            Admission::Running => assert!(!self.cancelled.contains(&n), "a cancelled task goes on"),
            Admission::Cancelled => {
                self.journal.finish(TaskResult::new(asked.operation, step, Outcome::CANCELLED));
            }
            Admission::Answer(result) => {
                self.save();
                assert_eq!((result.operation, result.step), (asked.operation, step));
            }
            Admission::Full => {
                assert_eq!(self.journal.entries.len(), CAPACITY);
                assert!(self.journal.entries.iter().all(|entry| !entry.acknowledged), "there was room");
                assert!(new, "a task that began was forgotten");
            }
        }
        if finishes {
            self.journal.finish(TaskResult::new(asked.operation, step, Outcome::DONE));
        }
    }

    /// The host takes the oldest results, of which nothing may change any more.
    fn report(&mut self, count: usize) {
        self.save();
        let results: Vec<_> = self.journal.unacknowledged().take(count).cloned().collect();
        for result in results {
            let first = self.told.entry((result.operation.as_u128(), result.step)).or_insert(result.clone());
            assert_eq!(*first, result, "a result that the host has changes");
            self.journal.acknowledge(result.operation, result.step);
        }
    }

    fn cancel(&mut self, n: u128) {
        if let Cancellation::Stop(steps) = self.journal.cancel(Uuid::from_u128(n)) {
            for step in steps {
                self.journal.finish(TaskResult::new(Uuid::from_u128(n), step, Outcome::CANCELLED));
            }
        }
        self.save();
        self.cancelled.insert(n);
    }
}

// More steps of more operations than there is room for, and any power cut gives back what was last saved.
#[test]
fn a_full_journal_that_loses_what_was_not_saved_has_every_effect_once() {
    let config = ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let events = prop::collection::vec((0u128..60, 1u8..=4, any::<bool>(), 0u8..100), 100..500);
    let fullest = std::cell::Cell::new(0);
    let check = |events: Vec<(u128, u8, bool, u8)>| {
        let mut peers = Peers::default();
        for (n, step, finishes, event) in events {
            match event {
                0..=3 => peers.cancel(n),
                4..=9 => peers.lose_power(),
                10..=14 => peers.report(usize::from(step) * 2),
                15..=24 => peers.save(),
                _ => peers.offer(n, step, finishes),
            }
            fullest.set(fullest.get().max(peers.journal.unacknowledged().count()));
            assert!(peers.journal.entries.len() <= CAPACITY);
        }
        assert!(peers.effects.values().all(|count| *count == 1), "a task begins twice");
        Ok(())
    };
    runner.run(&events, check).unwrap();
    assert!(fullest.get() > CAPACITY / 2, "{} results waited at most", fullest.get());
}

#[test]
fn the_tests_notice_when_any_guard_is_gone() {
    let guards: [(Mutation, fn()); 7] = [
        (Mutation::RepeatLostTask, every_task_executes_once),
        (Mutation::ResumeCancelledTask, every_task_executes_once),
        (Mutation::ForgetCancellation, every_task_executes_once),
        (Mutation::EvictUnacknowledged, a_journal_full_of_unacknowledged_work_takes_no_more),
        (Mutation::OverwriteResult, a_repeated_task_is_answered_with_its_first_result),
        (Mutation::RepeatLostTask, a_full_journal_that_loses_what_was_not_saved_has_every_effect_once),
        (Mutation::EvictUnacknowledged, a_full_journal_that_loses_what_was_not_saved_has_every_effect_once),
    ];
    for (guard, check) in guards {
        assert!(guard.is_noticed_by(check), "nobody notices {guard:?}");
    }
}
