//! Promises to many callers at once.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tms_core::{NewOperation, OperationKind};

use super::{added, at, id, queued, ticket};
use crate::error::StoreError;
use crate::store::{ParameterChange, Store};

const CALLERS: u32 = 50;

/// Runs one call for each number at once and gives the results.
async fn at_once<T, F>(call: impl Fn(u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..CALLERS).map(|number| tokio::spawn(call(number))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Every id is given to two callers: exactly one of them is refused.
pub async fn a_failing_write_does_not_fail_its_neighbours(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let results = at_once(|number| {
        let (store, tid) = (Arc::clone(store), tid.clone());
        async move {
            let operation = NewOperation {
                id: id(&tid, number / 2),
                terminal: tid,
                kind: OperationKind::Reboot,
                expires_at: at(60),
                terms: tms_core::Terms::default(),
            };
            store.enqueue(operation, at(0)).await
        }
    })
    .await;
    for pair in results.chunks(2) {
        assert_eq!(pair.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(pair.iter().any(|result| matches!(result, Err(StoreError::Conflict { .. }))));
    }
    assert_eq!(store.open_operations(&tid).await.unwrap().len(), 25);
}

/// No change is lost and none is done twice.
pub async fn concurrent_changes_get_a_revision_each(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let results = at_once(|number| {
        let (store, tid) = (Arc::clone(store), tid.clone());
        async move {
            let change = ParameterChange {
                set: [(format!("p{number}"), "1".to_owned())].into(),
                ..ParameterChange::default()
            };
            store.set_desired_parameters(&tid, change, ticket(&tid, number), at(0)).await
        }
    })
    .await;
    let revisions: BTreeSet<_> = results.into_iter().map(|result| result.unwrap().0).collect();
    assert_eq!(revisions, (1..=u64::from(CALLERS)).collect());
    let desired = store.terminal(&tid).await.unwrap().unwrap().desired;
    assert_eq!(desired.parameters.len(), 50);
    assert_eq!(store.open_operations(&tid).await.unwrap().len(), 1);
}

/// Twenty operations, fifty callers.
pub async fn an_operation_is_leased_to_exactly_one_of_many(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    for number in 0..20 {
        queued(store.as_ref(), &tid, number, 0).await;
    }
    let results = at_once(|number| {
        let (store, tid) = (Arc::clone(store), tid.clone());
        async move { store.lease_next(&tid, &format!("holder-{number}"), at(60), at(1)).await }
    })
    .await;
    let leased: Vec<_> = results.into_iter().filter_map(|result| result.unwrap()).collect();
    assert_eq!(leased.len(), 20);
    let ids: BTreeSet<_> = leased.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), 20);
}

/// Fifty people with the same slip of paper.
pub async fn a_one_time_password_is_used_up_by_exactly_one_of_many(store: &Arc<dyn Store>) {
    store.set_admin_password("ann", tms_core::UserRole::Administrator, "hash", true).await.unwrap();
    let results = at_once(|_| {
        let store = Arc::clone(store);
        async move { store.consume_one_time("ann").await }
    })
    .await;
    assert_eq!(results.into_iter().filter(|result| *result == Ok(true)).count(), 1);
}
