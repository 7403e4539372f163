//! A place of its own in a PostgreSQL server, for the tests that have one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::store::Store;

/// Names the server and database in which tests may make schemas: `postgres://USER@HOST:PORT/DATABASE`.
pub const TEST_URL: &str = "TMS_TEST_POSTGRES_URL";

/// A new schema, dropped with everything in it when this goes out of scope.
#[derive(Debug)]
pub struct Scratch {
    server: String,
    schema: String,
}

impl Scratch {
    /// A new schema; `None`, with a word about it, where [`TEST_URL`] is not set.
    pub async fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var(TEST_URL) else {
            eprintln!("skipped: {TEST_URL} is not set");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("tms_test_{}_{number}", std::process::id());
        let scratch = Self { server, schema };
        let create = format!("CREATE SCHEMA {}", scratch.schema);
        scratch.server().await.execute(AssertSqlSafe(create)).await.unwrap();
        Some(scratch)
    }

    /// The URL that opens a store here; its sessions are known by [`Scratch::name`].
    pub fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        let schema = &self.schema;
        format!("{}{separator}options[search_path]={schema}&application_name={schema}", self.server)
    }

    /// The schema, and the application name of the sessions of its stores.
    pub fn name(&self) -> &str {
        &self.schema
    }

    /// The way in for somebody who is not this program; the schema is the one that names are looked up in.
    pub async fn raw(&self) -> PgConnection {
        let mut connection = self.server().await;
        connection.execute(AssertSqlSafe(format!("SET search_path = {}", self.schema))).await.unwrap();
        connection
    }

    /// Opens a store here.
    pub async fn store(&self) -> Arc<dyn Store> {
        crate::open(&self.url()).await.unwrap()
    }

    /// Ends every session of the stores here, as a restart of the server does. Answers how many.
    pub async fn cut(&self) -> usize {
        let cut: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        )
        .bind(&self.schema)
        .fetch_all(&mut self.server().await)
        .await
        .unwrap();
        cut.len()
    }

    async fn server(&self) -> PgConnection {
        self.server.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (server, schema) = (self.server.clone(), self.schema.clone());
        // A thread of its own, because this one may be driving a runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server.parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
                // A store that still writes must not keep the test from ending.
                connection.execute("SET lock_timeout = '5s'").await.unwrap();
                connection.execute(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).await.unwrap();
            });
        });
        if dropped.join().is_err() && !std::thread::panicking() {
            panic!("the schema {} is left behind", self.schema);
        }
    }
}
