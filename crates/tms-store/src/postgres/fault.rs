//! What PostgreSQL's conditions mean for the people who run the server.

use sqlx::migrate::MigrateError;

use crate::error::StoreError;
use crate::location::PostgresLocation;

/// The reason of a call that waited in vain for another one, and may be tried again.
const CONTENDED: &str = "another server held what this call needs for too long; try again";

/// Puts an error of the driver into the store's words. The codes are those of
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn from_sqlx(error: &sqlx::Error) -> StoreError {
    let code = code(error);
    match code.as_deref() {
        // Serialization failure, deadlock, lock timeout.
        Some("40001" | "40P01" | "55P03") => StoreError::unavailable(CONTENDED),
        Some("53100") => StoreError::unavailable(
            "the disk of the database is full; free some space, the server goes on by itself",
        ),
        Some("53300") => StoreError::unavailable(
            "the database has no connection left; raise its max_connections, or stop what holds them",
        ),
        Some("57P01" | "57P02" | "57P03") => StoreError::unavailable(
            "the database server is stopping or starting; the server goes on by itself when it is back",
        ),
        Some("57014") => StoreError::unavailable("the database took too long"),
        Some("25006") => StoreError::unavailable("the database has become read-only"),
        // Data exceptions: text that cannot be kept, such as one with a NUL.
        Some(code) if code.starts_with("22") => {
            StoreError::conflict(format!("the database does not take this: {}", message(error)))
        }
        Some("XX001" | "XX002") => StoreError::corrupt(message(error)),
        // Undefined table or column.
        Some("42P01" | "42703") => {
            StoreError::corrupt(format!("{}; somebody has changed its schema", message(error)))
        }
        Some(_) => StoreError::unavailable(message(error)),
        None => match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                StoreError::corrupt(error.to_string())
            }
            sqlx::Error::PoolTimedOut => StoreError::unavailable(
                "the database server does not answer; the server goes on by itself when it does",
            ),
            sqlx::Error::Io(error) => {
                StoreError::unavailable(format!("the connection to the database was lost ({error})"))
            }
            _ => StoreError::unavailable(message(error)),
        },
    }
}

/// Whether a call came to nothing only because of another one.
pub(super) fn is_contended(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { reason } if reason == CONTENDED)
}

/// Puts an error met while opening into the store's words.
pub(super) fn from_opening(error: &sqlx::Error, location: &PostgresLocation) -> StoreError {
    let code = code(error);
    let reason = match (code.as_deref(), error) {
        (Some("28P01" | "28000"), _) => format!(
            "{}; check user and password (the URL, `password_file`, PGPASSWORD or ~/.pgpass) and the server's \
             pg_hba.conf",
            message(error)
        ),
        (Some("3D000"), _) => format!("{}; make it with `createdb {}`", message(error), location.database()),
        (Some("42501"), _) => format!(
            "{}; make the user the owner of the database: ALTER DATABASE {} OWNER TO {}",
            message(error),
            location.database(),
            location.user()
        ),
        (Some("3F000"), _) => format!("{}; the schema in search_path does not exist", message(error)),
        (None, sqlx::Error::Io(error)) => {
            format!(
                "its server cannot be reached ({error}); check that it runs, and host and port in the URL"
            )
        }
        (None, sqlx::Error::PoolTimedOut) => {
            "its server does not answer; check host and port in the URL, and firewalls between".to_owned()
        }
        (None, sqlx::Error::Tls(error)) => {
            format!("TLS failed ({error}); check sslmode and sslrootcert in the URL")
        }
        _ => match from_sqlx(error) {
            StoreError::Unavailable { reason } => reason,
            other => return other,
        },
    };
    location.unopenable(reason)
}

/// Puts an error of the migrations into the store's words.
pub(super) fn from_migration(
    error: &MigrateError,
    location: &PostgresLocation,
    supported: i64,
) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) => StoreError::NewerSchema { found: *found, supported },
        MigrateError::VersionMismatch(version) => StoreError::corrupt(format!(
            "schema version {version} in {location} was not made by this program"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match code(error).as_deref() {
            // A table or sequence of that name exists.
            Some("42P07") => location.unopenable(format!(
                "it has tables that are not this program's ({}); give the estate a database or schema of its own",
                message(error)
            )),
            _ => from_opening(error, location),
        },
        other => location.unopenable(other.to_string()),
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn message(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(database) => database.message().to_owned(),
        None => error.to_string(),
    }
}
