//! Durable state of the estate behind one trait, [`Store`], and its SQLite back end.
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
//! Read in this order: [`store`] (the trait: what the server may rely on), [`error`], [`sqlite`]
//! (group commit, migrations), and `conformance` (the suite that every back end has to pass; behind
//! the feature of that name).

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod sqlite;
pub mod store;

use std::path::Path;
use std::sync::Arc;

pub use error::StoreError;
pub use sqlite::SqliteStore;
pub use store::{
    Admin, Begun, InitialCredential, ParameterChange, Result, Store, Ticket, Token, replacement_detail,
};

/// Opens the store that a URL names: `sqlite:PATH`, or a path alone. The database is made if it does
/// not exist, and brought to the newest schema.
///
/// # Errors
/// `Unsupported` for any other URL; otherwise as [`SqliteStore::open`].
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    let unsupported =
        |reason: &str| StoreError::Unsupported { url: url.to_owned(), reason: reason.to_owned() };
    let path = match url.split_once(':') {
        None => url,
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some(("postgres" | "postgresql", _)) => {
            return Err(unsupported("PostgreSQL is not available in this build; use \"sqlite:PATH\""));
        }
        // A single letter before the colon is a drive, not a scheme.
        Some((drive, _)) if drive.len() == 1 => url,
        Some(_) => return Err(unsupported("use \"sqlite:PATH\"")),
    };
    match path {
        "" => Err(unsupported("the path is missing; use \"sqlite:PATH\"")),
        ":memory:" => Err(unsupported("an estate in memory would be lost; use \"sqlite:PATH\"")),
        path => Ok(Arc::new(SqliteStore::open(Path::new(path)).await?)),
    }
}
