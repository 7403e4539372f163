//! A database that goes away, deadlocks or refuses in the middle.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Executor};
use tms_core::TerminalId;
use tms_store::{StoreError, conformance};

use super::{open, operation};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_cut_lose_nothing_acknowledged_and_come_back_by_themselves() {
    let Some((scratch, store)) = open().await else { return };
    const WRITERS: u32 = 24;
    for writer in 0..WRITERS {
        store.add_terminal(conformance::terminal(&format!("T{writer}"))).await.unwrap();
    }
    let (ended, ending) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, ending) = (Arc::clone(&store), ending.clone());
            tokio::spawn(async move {
                let (mut acknowledged, mut unknown) = (Vec::new(), 0);
                for number in 0.. {
                    if *ending.borrow() {
                        break;
                    }
                    let new = operation(&format!("T{writer}"), writer * 1_000_000 + number);
                    let id = new.id;
                    match store.enqueue(new, Timestamp::UNIX_EPOCH).await {
                        Ok(_) => acknowledged.push(id),
                        Err(StoreError::Unavailable { .. }) => unknown += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                (acknowledged, unknown)
            })
        })
        .collect();
    let mut cut = 0;
    for _ in 0..10 {
        // Between two cuts, enough is written that every lane has a session again.
        let before = store.open_operations_count().await.unwrap_or_default();
        while store.open_operations_count().await.unwrap_or_default() < before + 200 {
            tokio::task::yield_now().await;
        }
        cut += scratch.cut().await;
    }
    ended.send(true).unwrap();
    let (mut acknowledged, mut unknown) = (Vec::new(), 0);
    for writer in writers {
        let (some, none) = writer.await.unwrap();
        acknowledged.extend(some);
        unknown += none;
    }
    assert!(cut >= 10, "{cut}");
    // A read that was under way when its session was cut is the only one that may fail.
    for id in &acknowledged {
        assert!(store.operation(*id).await.unwrap().is_some(), "{id} was acknowledged and is lost");
    }
    let kept = store.open_operations_count().await.unwrap();
    assert!((acknowledged.len() as u64..=acknowledged.len() as u64 + unknown).contains(&kept));
    store.check().await.unwrap();
}

#[tokio::test]
async fn sessions_that_were_cut_while_nothing_was_written_are_not_noticed() {
    let Some((scratch, store)) = open().await else { return };
    for number in 0..20 {
        store.add_terminal(conformance::terminal(&format!("T{number}"))).await.unwrap();
    }
    assert!(scratch.cut().await > 1);
    for number in 0..20 {
        store.enqueue(operation(&format!("T{number}"), number), Timestamp::UNIX_EPOCH).await.unwrap();
    }
    assert_eq!(store.open_operations_count().await.unwrap(), 20);
}

#[tokio::test]
async fn a_write_that_breaks_fails_alone() {
    let Some((scratch, store)) = open().await else { return };
    for tid in ["GOOD", "BAD"] {
        store.add_terminal(conformance::terminal(tid)).await.unwrap();
    }
    let trigger = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS \
                   $$ BEGIN IF NEW.tid = 'BAD' THEN RAISE 'disk on fire'; END IF; RETURN NEW; END $$; \
                   CREATE TRIGGER broken BEFORE INSERT ON operations FOR EACH ROW EXECUTE FUNCTION broken()";
    sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut scratch.raw().await).await.unwrap();
    let writes: Vec<_> = (0..300_u32)
        .map(|number| {
            let store = Arc::clone(&store);
            let tid = if number % 100 == 50 { "BAD" } else { "GOOD" };
            tokio::spawn(
                async move { (tid, store.enqueue(operation(tid, number), Timestamp::UNIX_EPOCH).await) },
            )
        })
        .collect();
    for write in writes {
        match write.await.unwrap() {
            ("GOOD", result) => assert!(result.is_ok(), "{result:?}"),
            (_, result) => {
                let error = result.unwrap_err();
                assert_eq!(error.to_string(), "the store is not available: disk on fire");
            }
        }
    }
    assert_eq!(store.open_operations_count().await.unwrap(), 297);
}

#[tokio::test]
async fn a_deadlock_with_somebody_else_is_tried_again() {
    let Some((scratch, store)) = open().await else { return };
    let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60);
    let tids: Vec<TerminalId> = ["T1", "T2"].map(|tid| tid.parse().unwrap()).into();
    for tid in &tids {
        store.add_terminal(conformance::terminal(tid.as_str())).await.unwrap();
        store.record_contacts(&[(tid.clone(), Timestamp::UNIX_EPOCH)]).await.unwrap();
    }
    let mut other = scratch.raw().await;
    // So that the server of the database gives up our transaction, not the other one.
    other.execute("SET deadlock_timeout = '60s'").await.unwrap();
    other.execute("BEGIN; UPDATE contacts SET at = 1 WHERE tid = 'T2'").await.unwrap();
    let contacts: Vec<_> = tids.iter().map(|tid| (tid.clone(), later)).collect();
    let ours = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.record_contacts(&contacts).await })
    };
    let mut observer = scratch.raw().await;
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).bind(scratch.name()).fetch_one(&mut observer).await.unwrap()
        == 0
    {
        tokio::task::yield_now().await;
    }
    other.execute("UPDATE contacts SET at = 1 WHERE tid = 'T1'").await.unwrap();
    other.execute("COMMIT").await.unwrap();
    ours.await.unwrap().unwrap();
    for tid in &tids {
        assert_eq!(store.terminal(tid).await.unwrap().unwrap().last_contact, Some(later));
    }
}

#[tokio::test]
async fn text_that_the_database_cannot_keep_is_refused_and_its_neighbours_are_not() {
    let Some((_scratch, store)) = open().await else { return };
    let tid: TerminalId = "T1".parse().unwrap();
    store.add_terminal(conformance::terminal("T1")).await.unwrap();
    let error = store.put_document(&tid, "note", "a\0b".to_owned()).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert!(error.to_string().starts_with("the database does not take this: "), "{error}");
    store.put_document(&tid, "note", "ab".to_owned()).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let Some((_scratch, store)) = open().await else { return };
    store.close().await;
    let error = store.add_terminal(conformance::terminal("late")).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is not available: it is closed");
    assert!(store.check().await.is_err());
}
