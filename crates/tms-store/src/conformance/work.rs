//! Promises about when operations go, how often they are tried, and about many of them at once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tms_core::schedule::Window;
use tms_core::{
    LifeCycle, NewOperation, OperationId, OperationKind, OperationState, Outcome, Priority, TerminalId,
    Terms, Trigger,
};

use super::{added, at, id, queued, ticket};
use crate::error::StoreError;
use crate::estate::TerminalChange;
use crate::store::Store;

fn new(tid: &TerminalId, number: u32, terms: Terms) -> NewOperation {
    let kind = OperationKind::Reboot;
    NewOperation { id: id(tid, number), terminal: tid.clone(), kind, expires_at: at(86_400 * 30), terms }
}

fn priority(number: u8) -> Terms {
    Terms { priority: Priority::try_from(number).unwrap(), ..Terms::default() }
}

async fn next(store: &dyn Store, tid: &TerminalId, now: Timestamp) -> Option<OperationId> {
    let until = now + SignedDuration::from_secs(60);
    store.lease_next(tid, "node-1/s", until, now).await.unwrap().map(|operation| operation.id)
}

/// And read back as they were given.
pub async fn the_most_urgent_operation_goes_first(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let terms = Terms {
        rollout: Some("r1".parse().unwrap()),
        batch: Some("b1".parse().unwrap()),
        author: Some("ann".to_owned()),
        ..priority(9)
    };
    for (number, terms) in
        [(1, Terms::default()), (2, priority(0)), (3, terms.clone()), (4, priority(9)), (5, priority(6))]
    {
        let made = store.enqueue(new(&tid, number, terms), at(0)).await.unwrap();
        assert_eq!(store.operation(made.id).await.unwrap(), Some(made));
    }
    assert_eq!(store.operation(id(&tid, 3)).await.unwrap().unwrap().terms, terms);
    for expected in [3, 4, 5, 1, 2] {
        assert_eq!(next(store.as_ref(), &tid, at(1)).await, Some(id(&tid, expected)));
    }
    assert_eq!(next(store.as_ref(), &tid, at(1)).await, None);
}

/// Neither before its time nor while its window is closed, though it was due while nobody looked.
pub async fn an_operation_waits_for_its_time_and_its_window(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    // In the zone of the terminal, which is eight hours ahead.
    let window: Window = "daily 01:00-05:00".parse().unwrap();
    let made = moment("2026-01-01T00:00:00Z");
    let later = Terms { not_before: Some(made + SignedDuration::from_hours(1)), ..Terms::default() };
    store.enqueue(new(&tid, 1, later), made).await.unwrap();
    let windowed = Terms { window: Some(window), ..priority(9) };
    store
        .enqueue(NewOperation { expires_at: moment("2026-03-01T00:00:00Z"), ..new(&tid, 2, windowed) }, made)
        .await
        .unwrap();
    let one =
        NewOperation { expires_at: moment("2026-03-01T00:00:00Z"), ..new(&tid, 1, Terms::default()) }.id;
    let two = id(&tid, 2);
    assert_eq!(next(store.as_ref(), &tid, made).await, None);
    let due = async |after: &str, until: &str| {
        store
            .due(moment(after), moment(until), 9)
            .await
            .unwrap()
            .into_iter()
            .map(|tid| tid.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(due("2026-01-01T00:00:00Z", "2026-01-01T00:59:59Z").await, [""; 0]);
    assert_eq!(due("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z").await, ["T1"]);
    assert_eq!(due("2026-01-01T16:59:59Z", "2026-01-01T17:00:00Z").await, ["T1"]);
    assert_eq!(next(store.as_ref(), &tid, made + SignedDuration::from_hours(1)).await, Some(one));
    store.transition(one, OperationState::Done, None, made).await.unwrap();

    // The window has opened and closed; the next opening is what counts.
    let noon = moment("2026-01-02T04:00:00Z");
    assert_eq!(next(store.as_ref(), &tid, noon).await, None);
    assert_eq!(due("2026-01-02T16:00:00Z", "2026-01-02T17:00:00Z").await, ["T1"]);
    let open = moment("2026-01-02T17:00:00Z");
    assert_eq!(next(store.as_ref(), &tid, open).await, Some(two));
    // What the terminal has begun goes on when the window closes; what waits again waits for it.
    store.transition(two, OperationState::Accepted, None, open).await.unwrap();
    store.release_leases("node-1/s").await.unwrap();
    let closed = moment("2026-01-03T04:00:00Z");
    assert_eq!(next(store.as_ref(), &tid, closed).await, Some(two));
    store.transition(two, OperationState::Queued, None, closed).await.unwrap();
    assert_eq!(next(store.as_ref(), &tid, closed).await, None);
    assert_eq!(next(store.as_ref(), &tid, moment("2026-01-03T17:00:00Z")).await, Some(two));
}

/// One made and due before; not the one after.
pub async fn an_operation_waits_for_a_settlement(store: &Arc<dyn Store>) {
    let (tid, other) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    let after = |not_before: Option<i64>| Terms {
        trigger: Trigger::AfterSettlement,
        not_before: not_before.map(at),
        ..Terms::default()
    };
    store.enqueue(new(&tid, 1, after(None)), at(10)).await.unwrap();
    store.enqueue(new(&tid, 2, after(Some(50))), at(10)).await.unwrap();
    store.enqueue(new(&other, 1, after(None)), at(10)).await.unwrap();
    assert_eq!(store.record_settlement(&tid, at(9)).await.unwrap(), 0);
    assert_eq!(next(store.as_ref(), &tid, at(20)).await, None);
    assert!(store.due(at(0), at(999), 9).await.unwrap().is_empty());
    assert_eq!(store.record_settlement(&tid, at(30)).await.unwrap(), 1);
    assert_eq!(next(store.as_ref(), &tid, at(60)).await, Some(id(&tid, 1)));
    assert_eq!(next(store.as_ref(), &tid, at(60)).await, None);
    assert_eq!(store.record_settlement(&tid, at(60)).await.unwrap(), 1);
    assert_eq!(next(store.as_ref(), &tid, at(61)).await, Some(id(&tid, 2)));
    assert_eq!(next(store.as_ref(), &other, at(61)).await, None);
    let missing = store.record_settlement(&"T404".parse().unwrap(), at(0)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no terminal T404");
}

/// But what people asked for holds: not before its time.
pub async fn what_a_clock_that_was_ahead_put_off_is_free_when_it_is_right(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let (ahead, right) = (at(400_000), at(100));
    let retried = store.enqueue(new(&tid, 1, Terms::default()), at(0)).await.unwrap().id;
    let later = Terms { not_before: Some(at(500)), ..Terms::default() };
    let bound = store.enqueue(new(&tid, 2, later), ahead).await.unwrap().id;
    for _ in 0..2 {
        store
            .lease_next(&tid, "node-1/s", ahead + SignedDuration::from_secs(60), ahead)
            .await
            .unwrap()
            .unwrap();
    }
    let again = Some(ahead + SignedDuration::from_secs(30));
    for id in [retried, bound] {
        store.end_attempt(id, Outcome::Silent, None, again, ahead).await.unwrap();
    }
    assert_eq!(next(store.as_ref(), &tid, ahead).await, None);
    assert_eq!(next(store.as_ref(), &tid, right).await, Some(retried));
    assert_eq!(next(store.as_ref(), &tid, right).await, None);
    store.transition(retried, OperationState::Done, None, right).await.unwrap();
    assert_eq!(next(store.as_ref(), &tid, at(499)).await, None);
    assert_eq!(next(store.as_ref(), &tid, at(500)).await, Some(bound));
}

/// Its work waits for it.
pub async fn a_terminal_out_of_use_gets_no_work(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    queued(store.as_ref(), &tid, 1, 0).await;
    for life_cycle in [LifeCycle::Suspended, LifeCycle::Locked, LifeCycle::Retired] {
        let change = TerminalChange { life_cycle: Some(life_cycle), ..TerminalChange::default() };
        store.change_terminal(&tid, change, None).await.unwrap();
        let leased = next(store.as_ref(), &tid, at(1)).await;
        assert_eq!(leased.is_some(), life_cycle.takes_work(), "{life_cycle}");
        store.release_all_leases().await.unwrap();
    }
}

/// Each with its end, also when nobody said it.
pub async fn every_attempt_is_remembered(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let only = queued(store.as_ref(), &tid, 1, 0).await.id;
    let brief = async || -> Vec<_> {
        let attempts = store.attempts(only).await.unwrap();
        let brief =
            attempts.into_iter().map(|a| (a.number, a.began_at, a.ended_at, a.node, a.outcome, a.detail));
        brief.collect()
    };
    assert!(brief().await.is_empty());
    store.lease_next(&tid, "node-1/s1", at(20), at(10)).await.unwrap().unwrap();
    let goes_on = (1, at(10), None, "node-1".to_owned(), None, None);
    assert_eq!(brief().await, [goes_on]);
    // The node died; another one takes over when its lease is over.
    store.lease_next(&tid, "node-2/s1", at(50), at(30)).await.unwrap().unwrap();
    let broken = (1, at(10), Some(at(30)), "node-1".to_owned(), Some(Outcome::Broken), None);
    let silent_until = Some(at(100));
    let put_off = store
        .end_attempt(only, Outcome::Silent, Some("no answer".to_owned()), silent_until, at(40))
        .await
        .unwrap();
    assert_eq!((put_off.state, put_off.lease, put_off.attempts), (OperationState::Queued, None, 2));
    let silent =
        (2, at(30), Some(at(40)), "node-2".to_owned(), Some(Outcome::Silent), Some("no answer".to_owned()));
    assert_eq!(brief().await, [broken.clone(), silent.clone()]);
    assert_eq!(next(store.as_ref(), &tid, at(99)).await, None);
    assert_eq!(store.due(at(99), at(100), 9).await.unwrap().as_slice(), std::slice::from_ref(&tid));
    store.lease_next(&tid, "plain", at(150), at(100)).await.unwrap().unwrap();
    store.transition(only, OperationState::Sent, None, at(101)).await.unwrap();
    store
        .transition(only, OperationState::Queued, Some("connection lost".to_owned()), at(102))
        .await
        .unwrap();
    let lost = (
        3,
        at(100),
        Some(at(102)),
        "plain".to_owned(),
        Some(Outcome::Broken),
        Some("connection lost".to_owned()),
    );
    assert_eq!(brief().await, [broken.clone(), silent.clone(), lost.clone()]);
    store.lease_next(&tid, "node-3/s", at(150), at(110)).await.unwrap().unwrap();
    let failed = store.end_attempt(only, Outcome::Refused, None, None, at(111)).await.unwrap();
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(store.end_attempt(only, Outcome::Refused, None, None, at(112)).await.unwrap(), failed);
    let refused = (4, at(110), Some(at(111)), "node-3".to_owned(), Some(Outcome::Refused), None);
    assert_eq!(brief().await, [broken, silent, lost, refused]);
    let late = store.end_attempt(only, Outcome::Done, None, None, at(113)).await.unwrap_err();
    assert!(matches!(late, StoreError::IllegalTransition { .. }), "{late}");

    // One that ends with many others.
    let over = queued(store.as_ref(), &tid, 2, 0).await.id;
    store.lease_next(&tid, "node-1/s", at(150), at(120)).await.unwrap().unwrap();
    assert_eq!(store.expire_operations(at(86_400)).await.unwrap(), 1);
    let ended = store.attempts(over).await.unwrap();
    assert_eq!(
        (ended.len(), ended[0].outcome, ended[0].ended_at),
        (1, Some(Outcome::Expired), Some(at(86_400)))
    );
    assert!(matches!(store.attempts(id(&tid, 60)).await, Err(StoreError::NotFound { .. })));
}

/// All or nothing, and each terminal's in their order.
pub async fn many_operations_are_queued_together(store: &Arc<dyn Store>) {
    let tids: Vec<TerminalId> = (0..700).map(|number| format!("T{number:04}").parse().unwrap()).collect();
    for tid in &tids {
        added(store.as_ref(), tid.as_str()).await;
    }
    let mut all: Vec<_> = tids.iter().map(|tid| new(tid, 1, Terms::default())).collect();
    all.insert(3, new(&tids[2], 3, Terms::default()));
    all.insert(1, new(&tids[2], 2, Terms::default()));
    let mut bad = all.clone();
    bad.push(new(&"T404".parse().unwrap(), 1, Terms::default()));
    let missing = store.enqueue_many(bad.clone(), at(0)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no terminal T404");
    bad.pop();
    bad.push(new(&tids[5], 1, Terms::default()));
    let twice = store.enqueue_many(bad, at(0)).await.unwrap_err();
    assert_eq!(twice.to_string(), format!("operation {} exists already", id(&tids[5], 1)));
    assert_eq!(store.open_operations_count().await.unwrap(), 0);
    store.enqueue_many(all.clone(), at(0)).await.unwrap();
    assert_eq!(store.open_operations_count().await.unwrap(), 702);
    let order: Vec<_> = store.open_operations(&tids[2]).await.unwrap().into_iter().map(|o| o.id).collect();
    assert_eq!(order, [id(&tids[2], 2), id(&tids[2], 1), id(&tids[2], 3)]);
    store.enqueue_many(Vec::new(), at(0)).await.unwrap();

    // Two have begun, one of which cannot be called back from the host alone, and one has ended.
    for tid in &tids[..2] {
        next(store.as_ref(), tid, at(1)).await.unwrap();
    }
    store.transition(id(&tids[3], 1), OperationState::Done, None, at(1)).await.unwrap();
    let which: Vec<_> = tids.iter().map(|tid| (id(tid, 1), ticket(tid, 9))).collect();
    let done = store.cancel_many(which.clone(), "withdrawn".to_owned(), at(2)).await.unwrap();
    assert_eq!(done.len(), 699);
    assert_eq!(done.iter().filter(|(_, told)| told.is_some()).count(), 2);
    assert!(done.iter().all(|(operation, _)| operation.state == OperationState::Cancelled));
    assert_eq!(store.open_operations_count().await.unwrap(), 4);
    let again = store.cancel_many(which, "withdrawn".to_owned(), at(2)).await.unwrap();
    assert!(again.len() == 699 && again.iter().all(|(_, told)| told.is_none()));
}

/// Until its time is over, or it is given back; and not for as long as a clock that was wrong has said.
pub async fn a_duty_is_had_by_one_at_a_time(store: &Arc<dyn Store>) {
    let take = async |holder: &str, until: i64, now: i64| {
        store.take_duty("conformance", holder, at(until), at(now)).await.unwrap()
    };
    for holder in ["a", "b", "nobody"] {
        store.leave_duty("conformance", holder).await.unwrap();
    }
    assert!(take("a", 10, 0).await);
    assert!(!take("b", 15, 5).await);
    assert!(take("a", 15, 5).await, "it is kept by asking again");
    assert!(!take("b", 24, 14).await);
    assert!(take("b", 25, 15).await, "its time is over");
    store.leave_duty("conformance", "a").await.unwrap();
    assert!(!take("a", 26, 16).await, "it is not given back by somebody else");
    store.leave_duty("conformance", "b").await.unwrap();
    assert!(take("a", 1_000_000, 999_990).await);
    assert!(take("b", 27, 17).await, "nobody has it for so long");
    assert!(store.take_duty("conformance-2", "a", at(30), at(17)).await.unwrap(), "another duty is another");
}
