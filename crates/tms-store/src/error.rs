//! What can go wrong between the server and its store, each with a sentence that says what to do.

use tms_core::{OperationId, OperationState};

/// Why the store did not do what it was asked. One error may answer many callers, hence `Clone`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The thing does not exist.
    #[error("there is no {what} {name}")]
    NotFound {
        /// The kind of thing, for example `terminal`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The change contradicts what is there.
    #[error("{reason}")]
    Conflict {
        /// A sentence that says what contradicts what.
        reason: String,
    },
    /// What was given cannot be, whatever is there.
    #[error("{reason}")]
    Invalid {
        /// A sentence that says what cannot be, and what can.
        reason: String,
    },
    /// Somebody else has changed the thing since the caller saw it.
    #[error("{what} {name} has version {found} by now and not {seen}; look at it again")]
    Stale {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The version that the caller has seen; 0 when it thinks that there is none.
        seen: u64,
        /// The version that there is; 0 when there is none.
        found: u64,
    },
    /// An operation cannot go from where it stands to the wanted state.
    #[error("operation {operation} is {from} and cannot become {to}")]
    IllegalTransition {
        /// The operation.
        operation: OperationId,
        /// Where it stands.
        from: OperationState,
        /// Where it was asked to go.
        to: OperationState,
    },
    /// The store's URL names something that this build cannot open.
    #[error("the store {url:?} cannot be opened: {reason}")]
    Unsupported {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// The database file or its folder cannot be created or written.
    #[error("the database {path} cannot be written: {reason}")]
    Unwritable {
        /// The file.
        path: String,
        /// What the operating system says, and what to do.
        reason: String,
    },
    /// The database on a server cannot be reached, refuses, or is not fit for an estate.
    #[error("the database {database} cannot be opened: {reason}")]
    Unopenable {
        /// Where it is, without the password.
        database: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Somebody else held the database for longer than the store waits.
    #[error(
        "the database {path} is locked by another process; stop that process, or give each server its own database"
    )]
    Busy {
        /// The file.
        path: String,
    },
    /// What is in the database cannot be what this program wrote.
    #[error("the database is damaged ({detail}); stop the server and restore it from a backup")]
    Corrupt {
        /// Where and how.
        detail: String,
    },
    /// A newer version of the program has already changed the database.
    #[error(
        "the database has schema version {found}, and this program knows only versions up to {supported}; \
         run the newer program again, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// The newest version in the database.
        found: i64,
        /// The newest version that this program knows.
        supported: i64,
    },
    /// The database does not answer or cannot take the change: full disk, I/O error, closed store.
    #[error("the store is not available: {reason}")]
    Unavailable {
        /// What the database says.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    pub(crate) fn conflict(reason: impl Into<String>) -> Self {
        Self::Conflict { reason: reason.into() }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt { detail: detail.into() }
    }

    pub(crate) fn unavailable(reason: impl ToString) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }
}
