//! Where a store is: its URL, read and checked before anything is opened.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::error::StoreError;

/// What may stand after `?` in a PostgreSQL URL.
const PARAMETERS: [&str; 14] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "options[search_path]",
];

/// Where a store is. It prints without its password.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a server.
    Postgres(PostgresLocation),
}

/// A database on a PostgreSQL server, and how to get in.
#[derive(Clone)]
pub struct PostgresLocation {
    options: Box<PgConnectOptions>,
}

impl FromStr for Location {
    type Err = StoreError;

    /// Reads `sqlite:PATH`, a path alone, or `postgres://USER@HOST:PORT/DATABASE?PARAMETERS`. What a
    /// PostgreSQL URL leaves out comes from `PGHOST`, `PGUSER`, `PGPASSWORD` and their like, and from `~/.pgpass`.
    fn from_str(url: &str) -> Result<Self, StoreError> {
        let path = match url.split_once(':') {
            None => url,
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("postgres" | "postgresql", _)) => return PostgresLocation::parse(url).map(Self::Postgres),
            // A single letter before the colon is a drive, not a scheme.
            Some((drive, _)) if drive.len() == 1 => url,
            Some((scheme, _)) => {
                return Err(unsupported(scheme, "use \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\""));
            }
        };
        match path {
            "" => Err(unsupported(url, "the path is missing; use \"sqlite:PATH\"")),
            ":memory:" => Err(unsupported(url, "an estate in memory would be lost; use \"sqlite:PATH\"")),
            path => Ok(Self::Sqlite(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(location) => location.fmt(f),
        }
    }
}

impl PostgresLocation {
    fn parse(url: &str) -> Result<Self, StoreError> {
        // The URL itself is not repeated in what goes wrong: a password may stand in it.
        let wrong = |reason: &str| unsupported("postgres:…", reason);
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let name =
                parameter.split('=').next().unwrap_or_default().replace("%5B", "[").replace("%5D", "]");
            if !PARAMETERS.contains(&name.as_str()) {
                return Err(wrong(&format!(
                    "there is no parameter {name:?}; there are {}",
                    PARAMETERS.join(", ")
                )));
            }
        }
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            wrong(&format!("{}; write \"postgres://USER@HOST:PORT/DATABASE\"", reason(&error)))
        })?;
        if options.get_database().is_none() {
            return Err(wrong("the database is missing; write \"postgres://USER@HOST:PORT/DATABASE\""));
        }
        let mut options = match parameters.contains("application_name=") {
            true => options,
            false => options.application_name("tms-server"),
        };
        if !parameters.contains("sslmode") && std::env::var_os("PGSSLMODE").is_none() && is_here(&options) {
            // Nobody stands between, and what is not encrypted costs nothing.
            options = options.ssl_mode(PgSslMode::Disable);
        }
        Ok(Self { options: Box::new(options) })
    }

    /// The same place with this password, whatever the URL and the environment say.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self { options: Box::new(self.options.password(password)) }
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(crate) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_default()
    }

    pub(crate) fn user(&self) -> &str {
        self.options.get_username()
    }

    pub(crate) fn unopenable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unopenable { database: self.to_string(), reason: reason.into() }
    }
}

/// User, host, port and database; never the password.
impl fmt::Display for PostgresLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, database) = (self.user(), self.database());
        match self.options.get_socket() {
            Some(socket) => write!(f, "postgres://{user}@/{database}?host={}", socket.display()),
            None => write!(
                f,
                "postgres://{user}@{}:{}/{database}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }
}

impl fmt::Debug for PostgresLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host == "localhost"
        || host.starts_with('/')
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(reason) => reason.to_string(),
        other => other.to_string(),
    }
}

fn unsupported(url: &str, reason: &str) -> StoreError {
    StoreError::Unsupported { url: url.to_owned(), reason: reason.to_owned() }
}
