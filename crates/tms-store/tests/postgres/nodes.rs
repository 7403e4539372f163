//! Several nodes on one database.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tms_core::{OperationState, SetName, TerminalId};
use tms_store::conformance::{self, postgres::Scratch};
use tms_store::{Begun, ParameterChange, Store, StoreError, Ticket};

use super::operation;

const CALLERS: u32 = 60;

async fn two_nodes() -> Option<(Scratch, [Arc<dyn Store>; 2])> {
    let scratch = Scratch::new().await?;
    let nodes = [scratch.store().await, scratch.store().await];
    Some((scratch, nodes))
}

fn later() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(1)
}

/// Runs one call for each number, on both nodes in turn, all at once.
async fn at_once<T, F>(nodes: &[Arc<dyn Store>; 2], call: impl Fn(Arc<dyn Store>, u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let calls: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(call(Arc::clone(&nodes[number as usize % 2]), number)))
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_through_two_nodes_get_a_revision_each() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    for tid in ["T0", "T1", "T2"] {
        nodes[0].add_terminal(conformance::terminal(tid)).await.unwrap();
    }
    let results = at_once(&nodes, |store, number| async move {
        let tid: TerminalId = format!("T{}", number % 3).parse().unwrap();
        let set = [(format!("p{number}"), "1".to_owned())].into();
        let change = ParameterChange { set, ..ParameterChange::default() };
        let ticket = Ticket { id: operation("T0", number).id, expires_at: later() };
        let revision =
            store.set_desired_parameters(&tid, change, ticket, Timestamp::UNIX_EPOCH).await.unwrap().0;
        (tid, revision)
    })
    .await;
    assert_eq!(results.iter().collect::<BTreeSet<_>>().len(), results.len());
    for tid in ["T0", "T1", "T2"] {
        let tid: TerminalId = tid.parse().unwrap();
        let terminal = nodes[1].terminal(&tid).await.unwrap().unwrap();
        assert_eq!(terminal.desired.parameters.len(), 20);
        assert_eq!(nodes[1].open_operations(&tid).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_is_leased_through_one_of_two_nodes() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    let tid: TerminalId = "T1".parse().unwrap();
    nodes[0].add_terminal(conformance::terminal("T1")).await.unwrap();
    for number in 0..30 {
        nodes[number as usize % 2].enqueue(operation("T1", number), Timestamp::UNIX_EPOCH).await.unwrap();
    }
    let results = at_once(&nodes, |store, number| {
        let tid = tid.clone();
        async move {
            store.lease_next(&tid, &format!("node-{number}"), later(), Timestamp::UNIX_EPOCH).await.unwrap()
        }
    })
    .await;
    let ids: Vec<_> = results.into_iter().flatten().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), 30);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>().len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_used_once_and_an_operation_ends_once_through_two_nodes() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    nodes[0].add_terminal(conformance::terminal("T1")).await.unwrap();
    let results = at_once(&nodes, |store, number| async move {
        let new = operation("T1", number / 2);
        let queued = store.enqueue(new.clone(), Timestamp::UNIX_EPOCH).await;
        let to = if number % 2 == 0 { OperationState::Failed } else { OperationState::Cancelled };
        // Either may come before the other's has been queued.
        let ended = loop {
            match store.transition(new.id, to, None, Timestamp::UNIX_EPOCH).await {
                Err(StoreError::NotFound { .. }) => {}
                ended => break ended,
            }
        };
        (queued, ended)
    })
    .await;
    for pair in results.chunks(2) {
        assert_eq!(pair.iter().filter(|(queued, _)| queued.is_ok()).count(), 1);
        assert!(pair.iter().any(|(queued, _)| matches!(queued, Err(StoreError::Conflict { .. }))));
        assert_eq!(pair.iter().filter(|(_, ended)| ended.is_ok()).count(), 1, "{pair:?}");
        assert!(pair.iter().any(|(_, ended)| matches!(ended, Err(StoreError::IllegalTransition { .. }))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_two_nodes_put_gets_a_revision_for_each_change() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    let name = SetName::ALL[0];
    let results = at_once(&nodes, |store, number| async move {
        store.put_set(name, format!("{{\"number\":{number}}}"), None, Timestamp::UNIX_EPOCH).await.unwrap()
    })
    .await;
    assert_eq!(results.into_iter().collect::<BTreeSet<_>>(), (1..=u64::from(CALLERS)).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_two_nodes_make_for_the_same_revision_is_made_once() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    let name = SetName::ALL[0];
    for revision in 0..3 {
        let results = at_once(&nodes, |store, number| async move {
            let content = format!("[{revision}, {number}]");
            store.put_set(name, content, Some(revision), Timestamp::UNIX_EPOCH).await
        })
        .await;
        let put: Vec<_> = results.iter().flatten().collect();
        assert_eq!(put, [&(revision + 1)]);
        let late = |result: &&Result<u64, StoreError>| matches!(result, Err(StoreError::Stale { .. }));
        assert_eq!(results.iter().filter(late).count(), results.len() - 1, "{results:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_begins_through_one_of_two_nodes() {
    let Some((_scratch, nodes)) = two_nodes().await else { return };
    let begin = |now: Timestamp| {
        at_once(&nodes, move |store, _| async move {
            let since = now - SignedDuration::from_secs(10);
            store.begin_request("ann", "key", "fingerprint", since, now).await.unwrap()
        })
    };
    // The second time, the old one is in everybody's way.
    for now in [Timestamp::UNIX_EPOCH, later()] {
        let results = begin(now).await;
        assert_eq!(results.iter().filter(|begun| **begun == Begun::New).count(), 1, "{results:?}");
        assert_eq!(results.iter().filter(|begun| **begun == Begun::Unfinished).count(), results.len() - 1);
    }
}
