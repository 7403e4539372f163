//! Stores on a PostgreSQL server, backups, and the way from one store to another, with the program alone.

use testkit::{Site, Speaks, until};
use tms_server::config;
use tms_store::conformance::postgres::Scratch;

use crate::process::{Serving, run};

fn on_server(site: &Site, url: &str) {
    site.edit("url = \"sqlite:data/estate.db\"", &format!("url = \"{url}\""));
}

#[tokio::test]
async fn an_estate_moves_to_a_server_of_databases_and_is_served_from_there() {
    let Some(scratch) = Scratch::new().await else { return };
    let site = Site::new().await;
    let app = config::open(&site.config(), jiff::Timestamp::now).await.unwrap();
    site.enrol(&app, "10000001", Speaks::UnionPay, "127.0.0.1:1").await;
    app.store.close().await;
    let from = format!("sqlite:{}", site.path("server/data/estate.db").display());
    let copied = run(["store", "copy", "--from", &from, "--to", &scratch.url()]).await;
    assert_eq!(copied.code, Some(0), "{copied:?}");
    assert!(copied.stdout.contains("both are alike"), "{copied:?}");
    let again = run(["store", "copy", "--from", &from, "--to", &scratch.url()]).await;
    assert!(again.refusal().starts_with("the store is not empty (there are 1 terminals in it)"), "{again:?}");

    on_server(&site, &scratch.url());
    let file = site.config_file();
    let password = run(["password", "--config", file.to_str().unwrap()]).await;
    assert_eq!(password.code, Some(0), "{password:?}");
    let mut server = Serving::start(&site).await;
    site.keep_ports(&server.listeners, server.api);
    // The server comes through a restart of the database.
    assert!(scratch.cut().await > 0);
    let app = config::open(&site.config(), jiff::Timestamp::now).await.unwrap();
    assert_eq!(app.store.count_terminals().await.unwrap(), 1);
    server.signal("TERM").await;
    assert_eq!(server.end().await, Some(0));
    until("its last words", async || server.said("drained")).await;
}

#[tokio::test]
async fn a_server_of_databases_that_is_not_there_is_refused_with_what_to_do_and_without_the_password() {
    let site = Site::new().await;
    on_server(&site, "postgres://ann:hunter2@127.0.0.1:1/estate");
    let file = site.config_file();
    let ended = run(["serve", "--config", file.to_str().unwrap()]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("the database postgres://ann@127.0.0.1:1/estate cannot be opened"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}

#[tokio::test]
async fn a_backup_brings_a_server_back_whose_store_is_lost() {
    let site = Site::new().await;
    let app = config::open(&site.config(), jiff::Timestamp::now).await.unwrap();
    site.enrol(&app, "10000001", Speaks::UnionPay, "127.0.0.1:1").await;
    let (config, backup) = (site.config_file(), site.path("estate.backup"));
    let (config, backup) = (config.to_str().unwrap(), backup.to_str().unwrap());
    let written = run(["backup", "--config", config, "--to", backup]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(written.stdout.contains("keep a copy of"), "{written:?}");
    let refused = run(["restore", "--config", config, "--from", backup]).await;
    assert!(refused.refusal().starts_with("the store is not empty"), "{refused:?}");

    app.store.close().await;
    for file in ["estate.db", "estate.db-wal", "estate.db-shm"] {
        let _ = std::fs::remove_file(site.path("server/data").join(file));
    }
    let restored = run(["restore", "--config", config, "--from", backup]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let app = config::open(&site.config(), jiff::Timestamp::now).await.unwrap();
    assert_eq!(app.store.count_terminals().await.unwrap(), 1);
}
