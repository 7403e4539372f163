//! What can be wrong with a database, each with its own sentence, and what a fault in the middle
//! does to the writes around it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tms_core::{NewOperation, OperationId, OperationKind, TerminalId};
use tms_store::{SqliteStore, Store, StoreError, conformance};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The way in for somebody who is not this program.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// The sentence that opening fails with.
async fn refusal(path: &Path) -> (StoreError, String) {
    let error = SqliteStore::open(path).await.err().unwrap();
    let sentence = error.to_string();
    (error, sentence)
}

#[tokio::test]
async fn urls_of_other_stores_are_refused_with_what_to_write_instead() {
    for (url, part) in [
        ("mysql://host/db", "use \"sqlite:PATH\""),
        ("sqlite:", "the path is missing"),
        ("sqlite::memory:", "would be lost"),
        ("", "the path is missing"),
    ] {
        let error = tms_store::open(url).await.err().unwrap();
        assert!(matches!(error, StoreError::Unsupported { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_url_and_a_path_open_the_same_database() {
    let folder = folder();
    let path = folder.path().join("estate.db").display().to_string();
    let store = tms_store::open(&path).await.unwrap();
    store.add_terminal(conformance::terminal("T1")).await.unwrap();
    store.close().await;
    for url in [format!("sqlite:{path}"), format!("sqlite://{path}")] {
        let store = tms_store::open(&url).await.unwrap();
        assert_eq!(store.count_terminals().await.unwrap(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn a_folder_that_does_not_exist_or_is_no_folder_is_named() {
    let folder = folder();
    let (error, sentence) = refusal(&folder.path().join("none/estate.db")).await;
    assert!(matches!(error, StoreError::Unwritable { .. }));
    assert!(sentence.contains("none/estate.db cannot be written: its folder does not exist"), "{sentence}");
    let (_, sentence) = refusal(folder.path()).await;
    assert!(sentence.ends_with("it is a folder; name a file in it"), "{sentence}");
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (error, _) = refusal(&folder.path().join("file/estate.db")).await;
    assert!(matches!(error, StoreError::Unwritable { .. }));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_database_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let path = folder.path().join("estate.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.add_terminal(conformance::terminal("T1")).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_not_a_database_of_ours() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    std::fs::write(&path, "hello ".repeat(1000)).unwrap();
    let (error, sentence) = refusal(&path).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{sentence}");
    assert!(sentence.contains("estate.db is not a database of this program"), "{sentence}");
}

#[tokio::test]
async fn a_damaged_database_says_so_and_what_to_do() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..200 {
        store.add_terminal(conformance::terminal(&format!("T{number}"))).await.unwrap();
    }
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    // Everything behind the schema.
    let start = 16 * 4096;
    assert!(bytes.len() > start);
    bytes[start..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let store = match SqliteStore::open(&path).await {
        Ok(store) => store,
        Err(error) => return assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
    };
    let error = store.terminals(None, 1000).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().ends_with("stop the server and restore it from a backup"), "{error}");
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    let mut connection = raw(&path).await;
    connection
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', true, x'00', 0)",
        )
        .await
        .unwrap();
    connection.close().await.unwrap();
    let (error, sentence) = refusal(&path).await;
    assert!(matches!(error, StoreError::NewerSchema { found: 9999, supported: 1.. }), "{sentence}");
    assert!(sentence.contains("run the newer program again"), "{sentence}");
}

#[tokio::test]
async fn a_database_that_somebody_holds_is_busy() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    let mut holder = raw(&path).await;
    holder.execute("BEGIN IMMEDIATE").await.unwrap();
    let (error, sentence) = refusal(&path).await;
    assert!(matches!(error, StoreError::Busy { .. }), "{sentence}");
    assert!(sentence.contains("stop that process"), "{sentence}");
    holder.execute("ROLLBACK").await.unwrap();
    SqliteStore::open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn a_second_process_may_work_beside_the_server() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    let server = SqliteStore::open(&path).await.unwrap();
    let tool = SqliteStore::open(&path).await.unwrap();
    tool.add_terminal(conformance::terminal("T1")).await.unwrap();
    server.add_terminal(conformance::terminal("T2")).await.unwrap();
    assert_eq!(server.count_terminals().await.unwrap(), 2);
    assert_eq!(tool.count_terminals().await.unwrap(), 2);
}

#[tokio::test]
async fn a_closed_store_refuses_and_an_opened_one_has_everything() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let writes: Vec<_> = (0..100)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(
                async move { store.add_terminal(conformance::terminal(&format!("T{number}"))).await },
            )
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut written = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(()) => written += 1,
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error}"),
        }
    }
    let error = store.add_terminal(conformance::terminal("late")).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is not available: it is closed");
    assert!(store.check().await.is_err());
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.count_terminals().await.unwrap(), written);
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_breaks_acknowledges_nothing_and_the_next_one_works() {
    let folder = folder();
    let path = folder.path().join("estate.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    for tid in ["GOOD", "BAD"] {
        store.add_terminal(conformance::terminal(tid)).await.unwrap();
    }
    // Does to the whole transaction what a full disk does.
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON operations WHEN NEW.tid = 'BAD' \
                   BEGIN SELECT RAISE(ROLLBACK, 'disk on fire'); END";
    raw(&path).await.execute(AssertSqlSafe(trigger)).await.unwrap();
    let writes: Vec<_> = (0..300_u32)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let operation = operation(if number % 100 == 50 { "BAD" } else { "GOOD" }, number);
                let id = operation.id;
                (id, store.enqueue(operation, Timestamp::UNIX_EPOCH).await)
            })
        })
        .collect();
    let mut acknowledged = 0;
    for write in writes {
        let (id, result) = write.await.unwrap();
        match result {
            Ok(_) => {
                acknowledged += 1;
                assert!(store.operation(id).await.unwrap().is_some(), "acknowledged and lost");
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
                assert!(store.operation(id).await.unwrap().is_none(), "refused and kept");
            }
        }
    }
    assert_eq!(store.open_operations_count().await.unwrap(), acknowledged);
    store.enqueue(operation("GOOD", 1000), Timestamp::UNIX_EPOCH).await.unwrap();
}

fn operation(tid: &str, number: u32) -> NewOperation {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    NewOperation {
        id: OperationId::new(Timestamp::UNIX_EPOCH, random),
        terminal: tid.parse::<TerminalId>().unwrap(),
        kind: OperationKind::Reboot,
        expires_at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        terms: tms_core::Terms::default(),
    }
}
