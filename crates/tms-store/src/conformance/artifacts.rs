//! Promises about firmware packages and log bundles.

use std::sync::Arc;

use tms_core::{LogBundle, OperationId, TerminalId};

use super::{added, at, firmware, id, queued};
use crate::error::StoreError;
use crate::store::Store;

/// What was published first under an id stands.
pub async fn firmware_is_published_once_and_listed_newest_first(store: &Arc<dyn Store>) {
    store.add_firmware(firmware("fw1", 1)).await.unwrap();
    store.add_firmware(firmware("fw2", 2)).await.unwrap();
    store.add_firmware(firmware("fw1", 3)).await.unwrap();
    let all = store.firmwares().await.unwrap();
    assert_eq!(all, [firmware("fw2", 2), firmware("fw1", 1)]);
    let one = store.firmware(&"fw1".parse().unwrap()).await.unwrap();
    assert_eq!(one, Some(firmware("fw1", 1)));
    assert!(store.firmware(&"fw9".parse().unwrap()).await.unwrap().is_none());
}

fn bundle(tid: &TerminalId, operation: OperationId, seconds: i64) -> LogBundle {
    LogBundle {
        operation,
        terminal: tid.clone(),
        object: format!("logs/{operation}.log"),
        size_bytes: 9,
        sha256: "cd".repeat(32),
        collected_at: at(seconds),
    }
}

/// A second one of the same operation replaces the first.
pub async fn a_log_belongs_to_an_operation_of_its_terminal(store: &Arc<dyn Store>) {
    let (tid, other) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    let first = queued(store.as_ref(), &tid, 1, 0).await.id;
    let second = queued(store.as_ref(), &tid, 2, 0).await.id;
    for missing in [bundle(&other, first, 1), bundle(&tid, id(&tid, 9), 1)] {
        let refused = store.add_log_bundle(missing).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFound { .. }), "{refused}");
    }
    store.add_log_bundle(bundle(&tid, first, 1)).await.unwrap();
    store.add_log_bundle(bundle(&tid, second, 2)).await.unwrap();
    store.add_log_bundle(bundle(&tid, first, 3)).await.unwrap();
    let all = store.log_bundles(&tid).await.unwrap();
    assert_eq!(all, [bundle(&tid, first, 3), bundle(&tid, second, 2)]);
    assert_eq!(store.log_bundle(second).await.unwrap(), Some(bundle(&tid, second, 2)));
    assert!(store.log_bundle(id(&tid, 9)).await.unwrap().is_none());
    assert!(store.log_bundles(&other).await.unwrap().is_empty());
}
