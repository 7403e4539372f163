//! Promises about operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use tms_core::{OperationKind, OperationState, Progress};

use super::{added, at, firmware, id, queued, ticket};
use crate::error::StoreError;
use crate::store::{ParameterChange, Store};

fn set(name: &str, value: &str) -> ParameterChange {
    ParameterChange {
        set: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..ParameterChange::default()
    }
}

/// What was sent already is left alone: the terminal may be at it.
pub async fn a_parameter_change_raises_the_revision_and_replaces_what_is_queued(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let (revision, sent) =
        store.set_desired_parameters(&tid, set("timeout_s", "30"), ticket(&tid, 1), at(1)).await.unwrap();
    assert_eq!((revision, &sent.kind), (1, &OperationKind::SetParameters { revision: 1 }));
    store.transition(sent.id, OperationState::Sent, None, at(2)).await.unwrap();
    let (_, waiting) =
        store.set_desired_parameters(&tid, set("retries", "5"), ticket(&tid, 2), at(3)).await.unwrap();
    let mut change = set("tip_allowed", "1");
    change.unset.insert("timeout_s".to_owned());
    let (revision, newest) =
        store.set_desired_parameters(&tid, change, ticket(&tid, 3), at(4)).await.unwrap();
    assert_eq!(revision, 3);

    let desired = store.terminal(&tid).await.unwrap().unwrap().desired;
    assert_eq!(desired.parameters_revision, 3);
    let expected =
        [("retries", "5"), ("tip_allowed", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(desired.parameters, expected.into());
    let state = async |id| store.operation(id).await.unwrap().unwrap();
    assert_eq!(state(sent.id).await.state, OperationState::Sent);
    let replaced = state(waiting.id).await;
    assert_eq!(replaced.state, OperationState::Cancelled);
    assert_eq!(replaced.detail.as_deref(), Some("replaced by parameter revision 3"));
    assert_eq!(state(newest.id).await, newest);
    assert_eq!(newest.created_at, at(4));
}

/// Whatever state it is in; an unknown package changes nothing.
pub async fn a_firmware_assignment_replaces_every_open_one(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    store.add_firmware(firmware("fw1", 0)).await.unwrap();
    store.add_firmware(firmware("fw2", 0)).await.unwrap();
    let (one, two) = ("fw1".parse().unwrap(), "fw2".parse().unwrap());
    let first = store.assign_firmware(&tid, &one, ticket(&tid, 1), at(1)).await.unwrap();
    store.transition(first.id, OperationState::Accepted, None, at(2)).await.unwrap();
    let second = store.assign_firmware(&tid, &two, ticket(&tid, 2), at(3)).await.unwrap();
    assert_eq!(store.operation(first.id).await.unwrap().unwrap().state, OperationState::Cancelled);
    assert_eq!(store.open_operations(&tid).await.unwrap(), [second]);
    let unknown =
        store.assign_firmware(&tid, &"fw9".parse().unwrap(), ticket(&tid, 3), at(4)).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no firmware fw9");
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().desired.firmware, Some(two));
}

/// All or nothing: the desired state does not move without its operation.
pub async fn an_operation_id_is_used_once_and_a_refused_change_changes_nothing(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let first = queued(store.as_ref(), &tid, 1, 0).await;
    let again =
        store.set_desired_parameters(&tid, set("retries", "5"), ticket(&tid, 1), at(1)).await.unwrap_err();
    assert_eq!(again, StoreError::Conflict { reason: format!("operation {} exists already", first.id) });
    let desired = store.terminal(&tid).await.unwrap().unwrap().desired;
    assert_eq!((desired.parameters_revision, desired.parameters.len()), (0, 0));
    assert_eq!(store.operations(&tid, None, 9).await.unwrap(), [first]);
}

/// First made durable, first leased, even with equal times; attempts are counted.
pub async fn leases_go_to_the_oldest_free_operation(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    // Later ids first: the order is that of arrival.
    let first = queued(store.as_ref(), &tid, 2, 0).await;
    let second = queued(store.as_ref(), &tid, 1, 0).await;
    let leased = store.lease_next(&tid, "a", at(30), at(1)).await.unwrap().unwrap();
    assert_eq!((leased.id, leased.attempts), (first.id, 1));
    let lease = leased.lease.clone().unwrap();
    assert_eq!((lease.holder.as_str(), lease.until), ("a", at(30)));
    assert_eq!(store.operation(first.id).await.unwrap(), Some(leased));
    let leased = store.lease_next(&tid, "b", at(30), at(2)).await.unwrap().unwrap();
    assert_eq!(leased.id, second.id);
    assert!(store.lease_next(&tid, "c", at(30), at(3)).await.unwrap().is_none());
    let again = store.lease_next(&tid, "c", at(60), at(30)).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts), (first.id, 2));
}

/// Somebody else's lease is not touched.
pub async fn a_lease_ends_by_time_by_release_and_by_the_end_of_the_operation(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let only = queued(store.as_ref(), &tid, 1, 0).await.id;
    let next = async |holder, until, now| store.lease_next(&tid, holder, at(until), at(now)).await.unwrap();
    assert!(next("a", 10, 0).await.is_some());
    store.extend_lease(only, "a", at(20)).await.unwrap();
    assert!(next("b", 30, 15).await.is_none());
    let foreign = store.extend_lease(only, "b", at(40)).await.unwrap_err();
    assert!(matches!(foreign, StoreError::Conflict { .. }), "{foreign}");
    store.release_lease(only, "b").await.unwrap();
    assert!(next("b", 30, 16).await.is_none());
    store.release_lease(only, "a").await.unwrap();
    assert!(next("b", 30, 17).await.is_some());
    assert_eq!(store.release_leases("b").await.unwrap(), 1);
    assert_eq!(store.release_leases("b").await.unwrap(), 0);
    store.lease_next(&tid, "c", at(60), at(31)).await.unwrap();
    assert_eq!(store.release_all_leases().await.unwrap(), 1);
    assert_eq!(store.release_all_leases().await.unwrap(), 0);
    assert!(next("c", 30, 18).await.is_some());

    // Back into the queue, the lease ends as well; sent and accepted, it goes on.
    let sent = store.transition(only, OperationState::Sent, None, at(19)).await.unwrap();
    assert!(sent.lease.is_some());
    let requeued =
        store.transition(only, OperationState::Queued, Some("connection lost".into()), at(20)).await.unwrap();
    assert_eq!((requeued.lease, requeued.detail.as_deref()), (None, Some("connection lost")));
    assert!(next("d", 30, 21).await.is_some());
    let done = store.transition(only, OperationState::Done, None, at(22)).await.unwrap();
    assert!(done.lease.is_none());
    assert!(store.extend_lease(only, "d", at(40)).await.is_err());
    assert!(next("e", 90, 60).await.is_none());
}

/// And changes nothing.
pub async fn an_illegal_transition_names_both_states(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    for (number, to) in (1..).zip(OperationState::ALL.into_iter().filter(|state| state.is_final())) {
        let only = queued(store.as_ref(), &tid, number, 0).await.id;
        let ended = store.transition(only, to, Some("why".into()), at(1)).await.unwrap();
        for other in OperationState::ALL.into_iter().filter(|other| *other != to) {
            let refused = store.transition(only, other, None, at(2)).await.unwrap_err();
            assert_eq!(refused.to_string(), format!("operation {only} is {to} and cannot become {other}"));
        }
        assert_eq!(store.operation(only).await.unwrap(), Some(ended));
    }
}

/// An open operation may get a new detail, a final one keeps its own.
pub async fn a_repeated_transition_changes_nothing(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let only = queued(store.as_ref(), &tid, 1, 0).await.id;
    let sent = store.transition(only, OperationState::Sent, Some("one".into()), at(1)).await.unwrap();
    assert_eq!(store.transition(only, OperationState::Sent, None, at(2)).await.unwrap(), sent);
    let told = store.transition(only, OperationState::Sent, Some("two".into()), at(3)).await.unwrap();
    assert_eq!((told.detail.as_deref(), told.updated_at), (Some("two"), at(1)));
    let done = store.transition(only, OperationState::Done, Some("three".into()), at(4)).await.unwrap();
    let again = store.transition(only, OperationState::Done, Some("four".into()), at(5)).await.unwrap();
    assert_eq!(again, done);
    assert_eq!(store.operation(only).await.unwrap(), Some(done));
}

/// A late word about a finished one is passed over.
pub async fn progress_stops_with_the_operation(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let only = queued(store.as_ref(), &tid, 1, 0).await.id;
    let half = Progress { done: 50, total: 100 };
    store.set_progress(only, half).await.unwrap();
    assert_eq!(store.operation(only).await.unwrap().unwrap().progress, Some(half));
    store.transition(only, OperationState::Failed, None, at(1)).await.unwrap();
    store.set_progress(only, Progress { done: 60, total: 100 }).await.unwrap();
    assert_eq!(store.operation(only).await.unwrap().unwrap().progress, Some(half));
    assert!(store.set_progress(id(&tid, 9), half).await.is_err());
}

/// And after its end: a plan's actions end later than its installation.
pub async fn what_a_terminal_found_is_added_to_its_operation(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let only = queued(store.as_ref(), &tid, 1, 0).await.id;
    let found = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    store.add_result(only, found(&[("printer", "no paper 缺纸"), ("keys", "ok")])).await.unwrap();
    let done = store.transition(only, OperationState::Done, None, at(1)).await.unwrap();
    assert_eq!(done.result, found(&[("printer", "no paper 缺纸"), ("keys", "ok")]));
    store.add_result(only, found(&[("printer", "ok"), ("step 2", "done")])).await.unwrap();
    let known = store.operation(only).await.unwrap().unwrap();
    assert_eq!(known.result, found(&[("printer", "ok"), ("keys", "ok"), ("step 2", "done")]));
    assert_eq!((known.state, known.updated_at), (OperationState::Done, at(1)));
    let missing = store.add_result(id(&tid, 9), found(&[])).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

/// And one that it cannot have begun is not. All or nothing.
pub async fn a_cancelled_operation_is_given_up_at_the_terminal_that_may_have_begun_it(
    store: &Arc<dyn Store>,
) {
    let tid = added(store.as_ref(), "T1").await;
    let begun = queued(store.as_ref(), &tid, 1, 0).await.id;
    store.lease_next(&tid, "a", at(60), at(1)).await.unwrap();
    let waiting = queued(store.as_ref(), &tid, 2, 0).await.id;
    let cancel = async |target, number| {
        store.cancel(target, "withdrawn".to_owned(), ticket(&tid, number), at(2)).await
    };

    let (cancelled, told) = cancel(waiting, 3).await.unwrap();
    assert_eq!(
        (cancelled.state, cancelled.detail.as_deref()),
        (OperationState::Cancelled, Some("withdrawn"))
    );
    assert!(told.is_none());

    let twice = cancel(begun, 1).await.unwrap_err();
    assert!(matches!(twice, StoreError::Conflict { .. }), "{twice}");
    assert!(store.operation(begun).await.unwrap().unwrap().is_open(), "all or nothing");

    let (cancelled, told) = cancel(begun, 3).await.unwrap();
    let told = told.unwrap();
    assert_eq!((cancelled.state, cancelled.lease), (OperationState::Cancelled, None));
    assert_eq!(told.kind, OperationKind::CancelOperation { target: begun });
    assert_eq!((&told.terminal, told.expires_at), (&tid, at(86_400)));
    assert_eq!(store.operation(told.id).await.unwrap(), Some(told.clone()));

    let (again, told_again) = cancel(begun, 4).await.unwrap();
    assert_eq!((again.state, told_again), (OperationState::Cancelled, None));
    // What cancels is cancelled without telling anybody.
    store.lease_next(&tid, "a", at(60), at(3)).await.unwrap();
    assert!(cancel(told.id, 5).await.unwrap().1.is_none());

    let done = queued(store.as_ref(), &tid, 6, 0).await.id;
    store.transition(done, OperationState::Done, None, at(3)).await.unwrap();
    let late = cancel(done, 7).await.unwrap_err();
    assert!(matches!(late, StoreError::IllegalTransition { .. }), "{late}");
    let missing = cancel(id(&tid, 60), 8).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

/// What waits may wait for the very thing that is cancelled.
pub async fn what_cancels_goes_before_what_waits(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let first = queued(store.as_ref(), &tid, 1, 0).await.id;
    store.lease_next(&tid, "a", at(60), at(1)).await.unwrap();
    let second = queued(store.as_ref(), &tid, 2, 0).await.id;
    let told = store.cancel(first, "withdrawn".to_owned(), ticket(&tid, 3), at(2)).await.unwrap().1.unwrap();
    let leased = async || store.lease_next(&tid, "b", at(60), at(3)).await.unwrap().map(|next| next.id);
    assert_eq!(leased().await, Some(told.id));
    assert_eq!(leased().await, Some(second));
    assert_eq!(leased().await, None);
}

/// At the very time; finished ones stay what they are.
pub async fn operations_expire_and_are_not_leased_any_more(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let open = queued(store.as_ref(), &tid, 1, 0).await;
    let done = queued(store.as_ref(), &tid, 2, 0).await;
    store.transition(done.id, OperationState::Done, None, at(1)).await.unwrap();
    assert_eq!(store.open_operations_count().await.unwrap(), 1);
    assert_eq!(store.expire_operations(at(86_399)).await.unwrap(), 0);
    assert!(store.lease_next(&tid, "a", at(90_000), at(86_400)).await.unwrap().is_none());
    assert_eq!(store.expire_operations(at(86_400)).await.unwrap(), 1);
    let expired = store.operation(open.id).await.unwrap().unwrap();
    assert_eq!((expired.state, expired.updated_at), (OperationState::Expired, at(86_400)));
    assert!(expired.detail.is_some());
    assert_eq!(store.operation(done.id).await.unwrap().unwrap().state, OperationState::Done);
    assert_eq!(store.open_operations_count().await.unwrap(), 0);
}

/// With the last one seen as the cursor.
pub async fn operations_come_in_pages_newest_first(store: &Arc<dyn Store>) {
    let (tid, other) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    let mut made = Vec::new();
    for number in 1..=5 {
        made.push(queued(store.as_ref(), &tid, number, 0).await.id);
        queued(store.as_ref(), &other, number, 0).await;
    }
    let ids = async |after, limit| -> Vec<_> {
        let page = store.operations(&tid, after, limit).await.unwrap();
        page.into_iter().map(|operation| operation.id).collect()
    };
    assert_eq!(ids(None, 2).await, [made[4], made[3]]);
    assert_eq!(ids(Some(made[3]), 2).await, [made[2], made[1]]);
    assert_eq!(ids(Some(made[1]), 2).await, [made[0]]);
    assert!(ids(Some(made[0]), 2).await.is_empty());
    // Another terminal's operation is no place in this list.
    assert!(ids(Some(id(&other, 3)), 2).await.is_empty());
    let open = store.open_operations(&tid).await.unwrap();
    assert_eq!(open.into_iter().map(|operation| operation.id).collect::<Vec<_>>(), made);
}

/// A change that was made for another revision changes nothing.
pub async fn a_parameter_change_for_another_revision_is_refused(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "1900").await;
    let change = |expected| ParameterChange { expected_revision: Some(expected), ..set("retries", "5") };
    let first = store.set_desired_parameters(&tid, change(0), ticket(&tid, 1), at(1)).await.unwrap();
    assert_eq!(first.0, 1);
    let late = store.set_desired_parameters(&tid, change(0), ticket(&tid, 2), at(2)).await.unwrap_err();
    assert!(matches!(late, StoreError::Stale { seen: 0, found: 1, .. }), "{late}");
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().desired.parameters_revision, 1);
    assert!(store.operation(ticket(&tid, 2).id).await.unwrap().is_none());
}
