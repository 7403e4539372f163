//! The SQLite back end keeps every promise of the trait.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::sync::Arc;

use tms_store::Store;

async fn open() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("estate.db").display());
    let store = tms_store::open(&url).await.unwrap();
    (folder, store)
}

tms_store::conformance_tests!(open);
