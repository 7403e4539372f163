//! The store in memory keeps every promise of the trait, and its faults are what they say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use futures::FutureExt;
use testkit::store::{CallFault, MemoryStore};
use tms_core::{NewOperation, OperationId, OperationKind};
use tms_store::{Store, StoreError, conformance::terminal};

async fn open() -> ((), Arc<dyn Store>) {
    ((), Arc::new(MemoryStore::new()))
}

tms_store::conformance_tests!(open);

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000).unwrap()
}

fn reboot(number: u8) -> NewOperation {
    NewOperation {
        id: OperationId::new(now(), [number; 10]),
        terminal: "T1".parse().unwrap(),
        kind: OperationKind::Reboot,
        expires_at: now() + jiff::SignedDuration::from_hours(1),
        terms: tms_core::Terms::default(),
    }
}

/// Without a runtime: no call waits.
fn with_a_terminal() -> MemoryStore {
    let store = MemoryStore::new();
    store.add_terminal(terminal("T1")).now_or_never().unwrap().unwrap();
    store
}

#[test]
fn what_a_call_acknowledged_is_in_the_snapshot_and_survives_a_restart() {
    let store = with_a_terminal();
    let made = store.enqueue(reboot(1), now()).now_or_never().unwrap().unwrap();
    store.close().now_or_never().unwrap();
    let refused = store.operation(made.id).now_or_never().unwrap();
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let next = MemoryStore::restore(store.snapshot());
    assert_eq!(next.operation(made.id).now_or_never().unwrap().unwrap(), Some(made));
    store.reopen();
    assert_eq!(store.snapshot(), next.snapshot());
}

#[test]
fn a_refused_call_changes_nothing_and_one_whose_answer_was_lost_changes_everything() {
    let store = with_a_terminal();
    store.fail_next(1);
    let unavailable = store.enqueue(reboot(1), now()).now_or_never().unwrap();
    assert!(matches!(unavailable, Err(StoreError::Unavailable { .. })));
    assert_eq!(store.look(|contents| contents.operations.len()), 0);
    store.on_call(|call| if call == "enqueue" { CallFault::AnswerLost } else { CallFault::None });
    let unavailable = store.enqueue(reboot(1), now()).now_or_never().unwrap();
    assert!(matches!(unavailable, Err(StoreError::Unavailable { .. })));
    assert_eq!(store.look(|contents| contents.operations.len()), 1);
    store.heal();
    let again = store.enqueue(reboot(1), now()).now_or_never().unwrap();
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
}

#[test]
fn a_hook_sees_every_call_by_its_name() {
    let store = with_a_terminal();
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    store.on_call(move |call| {
        assert!(["enqueue", "count_terminals"].contains(&call), "{call}");
        seen.fetch_add(1, Ordering::Relaxed);
        CallFault::None
    });
    store.enqueue(reboot(1), now()).now_or_never().unwrap().unwrap();
    assert_eq!(store.count_terminals().now_or_never().unwrap().unwrap(), 1);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
