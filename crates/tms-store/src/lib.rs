//! Durable state of the estate behind one trait, [`Store`], with SQLite and PostgreSQL behind it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use jiff::Timestamp;
//! use tms_core::{NewOperation, OperationId, OperationKind, OperationState};
//!
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", folder.path().join("estate.db").display());
//! let store = tms_store::open(&url).await?;
//! # store.add_terminal(tms_store::conformance::terminal("10000001")).await?;
//! let now = Timestamp::now();
//! let operation = NewOperation {
//!     id: OperationId::new(now, [7; 10]),
//!     terminal: "10000001".parse()?,
//!     kind: OperationKind::Reboot,
//!     expires_at: now + jiff::SignedDuration::from_hours(24),
//!     terms: tms_core::Terms::default(),
//! };
//! let queued = store.enqueue(operation, now).await?; // durable from here on
//! let until = now + jiff::SignedDuration::from_secs(30);
//! let leased = store.lease_next(&queued.terminal, "node-1/session-1", until, now).await?;
//! assert_eq!(leased.map(|operation| operation.id), Some(queued.id));
//! store.transition(queued.id, OperationState::Done, None, now).await?;
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Read in this order: [`store`] (the trait: what the server may rely on), [`estate`] and [`work`] (changes
//! and work of many at once), [`error`], [`location`],
//! [`sqlite`] and [`postgres`] (group commit, migrations; the statements of both are written once, in
//! `sql`), and `conformance` (the suite that every back end has to pass; behind the feature of that name).

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dump;
pub mod error;
pub mod estate;
pub mod location;
pub mod postgres;
mod queue;
mod row;
pub mod sqlite;
pub mod store;
pub mod work;

use std::sync::Arc;

pub use error::StoreError;
pub use estate::{BulkChange, ConfigurationInputs, ImportRow, Imported, TerminalChange, Verdict};
pub use location::{Location, PostgresLocation};
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
pub use store::{
    Admin, Begun, InitialCredential, ParameterChange, Result, Store, Ticket, Token, replacement_detail,
};
pub use work::{
    DesiredParameters, ParametersApplied, StartedTarget, StartedWork, TargetFilter, Watched, Work,
};

/// Opens the store that a URL names: `sqlite:PATH`, a path alone, or
/// `postgres://USER@HOST:PORT/DATABASE`. A file is made if it does not exist; the database is brought to
/// the newest schema.
///
/// # Errors
/// `Unsupported` for any other URL; otherwise as [`SqliteStore::open`] and [`PostgresStore::open`].
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    open_at(&url.parse()?).await
}

/// Opens the store at a place; as [`open`].
///
/// # Errors
/// As [`SqliteStore::open`] and [`PostgresStore::open`].
pub async fn open_at(location: &Location) -> Result<Arc<dyn Store>> {
    Ok(match location {
        Location::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
        Location::Postgres(location) => Arc::new(PostgresStore::open(location).await?),
    })
}
