//! A dump has all of a store, whichever it is, and fills an older schema.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tms_store::conformance::{self, postgres::Scratch};
use tms_store::dump::{self, Contents, Rows, Source};
use tms_store::{Location, StoreError};

fn sqlite() -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("estate.db");
    (folder, Location::Sqlite(path))
}

async fn everything(source: &mut dyn Source) -> Vec<Rows> {
    let mut all = Vec::new();
    while let Some(rows) = source.next().await.unwrap() {
        all.push(rows);
    }
    all
}

#[tokio::test]
async fn every_table_is_in_a_dump() {
    let (folder, location) = sqlite();
    tms_store::open_at(&location).await.unwrap().close().await;
    let options = SqliteConnectOptions::new().filename(folder.path().join("estate.db"));
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'";
    let tables: Vec<String> =
        sqlx::query_scalar(tables).fetch_all(&mut options.connect().await.unwrap()).await.unwrap();
    let contents = dump::source(&location).await.unwrap().contents();
    assert_eq!(contents.into_keys().collect::<BTreeSet<_>>(), tables.into_iter().collect());
}

#[tokio::test]
async fn both_back_ends_have_the_same_schema() {
    let Some(scratch) = Scratch::new().await else { return };
    let (folder, location) = sqlite();
    tms_store::open_at(&location).await.unwrap().close().await;
    scratch.store().await.close().await;
    let there = dump::source(&scratch.url().parse().unwrap()).await.unwrap();
    let here = dump::source(&location).await.unwrap();
    assert_eq!(there.schema(), here.schema());
    assert_eq!(there.contents(), here.contents());

    let options = SqliteConnectOptions::new().filename(folder.path().join("estate.db"));
    let columns = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' \
                   AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'";
    let here: Vec<(String, String)> =
        sqlx::query_as(columns).fetch_all(&mut options.connect().await.unwrap()).await.unwrap();
    let columns = "SELECT table_name::TEXT, column_name::TEXT FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations'";
    let there: Vec<(String, String)> =
        sqlx::query_as(columns).fetch_all(&mut scratch.raw().await).await.unwrap();
    assert_eq!(here.into_iter().collect::<BTreeSet<_>>(), there.into_iter().collect());
}

#[tokio::test]
async fn what_an_older_program_held_fills_a_store_that_is_brought_to_the_newest_schema() {
    let (_folder, location) = sqlite();
    let mut targets = vec![location];
    let scratch = Scratch::new().await;
    if let Some(scratch) = &scratch {
        targets.push(scratch.url().parse().unwrap());
    }
    let newest = {
        let (_other, empty) = sqlite();
        tms_store::open_at(&empty).await.unwrap().close().await;
        dump::source(&empty).await.unwrap().schema()
    };
    // As the first version left it.
    let (folder, old) = sqlite();
    drop(dump::target(&old, 1).await.unwrap());
    let options = SqliteConnectOptions::new().filename(folder.path().join("estate.db"));
    let mut raw = options.connect().await.unwrap();
    let row = "INSERT INTO terminals VALUES ('T1', '1', 'unionpay', 'A920', 'A1', 'S1', 0, x'01', x'02', NULL, \
               '{\"firmware\":\"fw1\"}', '{\"firmware_version\":\"1.10\",\"health\":{\"battery_percent\":7}}')";
    sqlx::query(row).execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let mut source = dump::source(&old).await.unwrap();
    assert_eq!(source.schema(), 1);
    let rows = everything(source.as_mut()).await;
    let contents = source.contents();
    for target in targets {
        let mut filling = dump::target(&target, 1).await.unwrap();
        for rows in &rows {
            filling.add(rows).await.unwrap();
        }
        filling.finish(&contents).await.unwrap();
        let filled = dump::source(&target).await.unwrap();
        assert_eq!((filled.schema(), filled.total_rows()), (newest, 1));
        let store = tms_store::open_at(&target).await.unwrap();
        // What selectors ask for was filled in.
        let asked =
            "reported.firmware > 1.9 and reported.battery = 7 and desired.firmware = fw1".parse().unwrap();
        assert_eq!(store.count(&asked, Timestamp::now()).await.unwrap(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_or_are_missing_leave_nothing() {
    let (_folder, location) = sqlite();
    let schema = {
        let (_other, empty) = sqlite();
        tms_store::open_at(&empty).await.unwrap().close().await;
        dump::source(&empty).await.unwrap().schema()
    };
    for (table, columns) in [
        ("terminals; DROP TABLE terminals", "tid"),
        ("sets", "name) VALUES ('a'); DROP TABLE sets --"),
        ("sets", "name"),
    ] {
        let mut target = dump::target(&location, schema).await.unwrap();
        let rows =
            Rows { table: table.to_owned(), columns: vec![columns.to_owned()], rows: vec![Vec::new()] };
        assert!(matches!(target.add(&rows).await, Err(StoreError::Corrupt { .. })));
    }
    let target = dump::target(&location, schema).await.unwrap();
    let error = target.finish(&Contents::new()).await.unwrap_err();
    assert!(error.to_string().contains("is missing in what was read"), "{error}");
    let newer = dump::target(&location, 9999).await.err().unwrap();
    assert!(matches!(newer, StoreError::NewerSchema { found: 9999, .. }));
}
