//! What can be wrong with a database on a server, each with its own sentence.

use sqlx::Executor;
use tms_store::conformance::{self, postgres::Scratch};
use tms_store::{Location, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn refusal(url: &str) -> (StoreError, String) {
    let error = tms_store::open(url).await.err().unwrap();
    let sentence = error.to_string();
    (error, sentence)
}

#[test]
fn a_password_is_never_printed() {
    for url in [
        "postgres://ann:hunter2@db.example:6432/estate?sslmode=require",
        "postgres://ann@db.example:6432/estate?password=hunter2",
    ] {
        let location: Location = url.parse().unwrap();
        assert_eq!(location.to_string(), "postgres://ann@db.example:6432/estate");
        assert!(!format!("{location:?}").contains("hunter2"));
        let Location::Postgres(location) = location else { unreachable!() };
        assert!(!format!("{:?}", location.with_password("hunter2")).contains("hunter2"));
    }
    for wrong in ["postgres://ann:hunter2@db:port/estate", "postgres://ann:hunter2@db/estate?pasword=hunter2"]
    {
        let error = wrong.parse::<Location>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_url_is_said_with_what_to_write() {
    for (url, part) in [
        ("postgres://db/estate?ssl=on", "there is no parameter \"ssl\"; there are sslmode"),
        ("postgres://db:port/estate", "invalid port number; write \"postgres://USER@HOST:PORT/DATABASE\""),
        ("mysql://db/estate", "use \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\""),
    ] {
        let error = url.parse::<Location>().unwrap_err();
        assert!(matches!(error, StoreError::Unsupported { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let (error, sentence) = refusal("postgres://ann@127.0.0.1:1/estate").await;
    assert!(matches!(error, StoreError::Unopenable { .. }));
    let start =
        "the database postgres://ann@127.0.0.1:1/estate cannot be opened: its server cannot be reached";
    assert!(sentence.starts_with(start), "{sentence}");
    assert!(sentence.ends_with("check that it runs, and host and port in the URL"), "{sentence}");
}

/// A server that knows one word: no.
async fn refusing(code: &str, message: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut startup = [0; 4];
        stream.read_exact(&mut startup).await.unwrap();
        let mut rest = vec![0; u32::from_be_bytes(startup) as usize - 4];
        stream.read_exact(&mut rest).await.unwrap();
        stream.write_all(b"E").await.unwrap();
        stream.write_all(&(body.len() as u32 + 4).to_be_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
    });
    port
}

#[tokio::test]
async fn a_wrong_password_says_where_passwords_come_from() {
    let port = refusing("28P01", "password authentication failed for user \"ann\"").await;
    let (_, sentence) = refusal(&format!("postgres://ann:hunter2@127.0.0.1:{port}/estate")).await;
    assert!(
        sentence.contains("password authentication failed for user \"ann\"; check user and password (the URL, `password_file`"),
        "{sentence}"
    );
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[tokio::test]
async fn a_server_without_a_free_connection_says_so() {
    let port = refusing("53300", "sorry, too many clients already").await;
    let (_, sentence) = refusal(&format!("postgres://ann@127.0.0.1:{port}/estate")).await;
    assert!(sentence.contains("raise its max_connections"), "{sentence}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named_with_the_command_that_makes_it() {
    let Some(scratch) = Scratch::new().await else { return };
    let url = scratch.url();
    let (_, sentence) = refusal(&format!("{url}&dbname=tms_none")).await;
    assert!(
        sentence.ends_with("database \"tms_none\" does not exist; make it with `createdb tms_none`"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.store().await.close().await;
    let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (9999, 'from the future', true, '', 0)";
    scratch.raw().await.execute(insert).await.unwrap();
    let (error, sentence) = refusal(&scratch.url()).await;
    assert!(matches!(error, StoreError::NewerSchema { found: 9999, supported: 1.. }), "{sentence}");
}

#[tokio::test]
async fn tables_that_are_not_ours_are_left_alone() {
    let Some(scratch) = Scratch::new().await else { return };
    scratch.raw().await.execute("CREATE TABLE terminals (x INT)").await.unwrap();
    let (_, sentence) = refusal(&scratch.url()).await;
    assert!(sentence.contains("give the estate a database or schema of its own"), "{sentence}");
    let columns: i64 = sqlx::query_scalar("SELECT COUNT(x) FROM terminals")
        .fetch_one(&mut scratch.raw().await)
        .await
        .unwrap();
    assert_eq!(columns, 0);
}

#[tokio::test]
async fn many_nodes_may_start_at_once_on_an_empty_database() {
    let Some(scratch) = Scratch::new().await else { return };
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let url = scratch.url();
            tokio::spawn(async move { tms_store::open(&url).await })
        })
        .collect();
    for (number, node) in nodes.into_iter().enumerate() {
        let store = node.await.unwrap().unwrap();
        store.add_terminal(conformance::terminal(&format!("T{number}"))).await.unwrap();
        store.close().await;
    }
    assert_eq!(scratch.store().await.count_terminals().await.unwrap(), 6);
}
