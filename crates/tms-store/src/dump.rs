//! Everything that a store holds, as rows that any store can take: what backups are made of, and how an
//! estate moves from one back end to the other.
//!
//! A [`Source`] reads one moment of a store, also while a server works on it. A [`Target`] takes it into an
//! empty store in one transaction: whole, compared with its digests, or not at all.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::location::Location;
use crate::store::Result;
use crate::{postgres, sqlite};

/// The tables, each after those that it refers to, with what its rows are in the order of.
pub(crate) const TABLES: [(&str, &[&str]); 20] = [
    ("groups", &["id"]),
    ("terminals", &["tid"]),
    ("contacts", &["tid"]),
    ("terminal_tags", &["tid", "tag"]),
    ("terminal_attributes", &["tid", "name"]),
    ("selectors", &["name"]),
    ("revisions", &["scope", "number"]),
    ("rollouts", &["id"]),
    ("rollout_targets", &["rollout", "place"]),
    ("operations", &["id"]),
    ("credentials", &["tid", "role"]),
    ("firmware", &["id"]),
    ("log_bundles", &["operation"]),
    ("admins", &["name"]),
    ("tokens", &["sha256"]),
    ("requests", &["caller", "request_key"]),
    ("alarms", &["number"]),
    ("sets", &["name"]),
    ("documents", &["tid", "name"]),
    ("duties", &["name"]),
];

/// One value of a row, as it stands in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing.
    Null(()),
    /// Yes or no.
    Flag(bool),
    /// A count, or a time in microseconds.
    Number(i64),
    /// Text.
    Text(String),
    /// What is sealed, and keys.
    Bytes {
        /// In hexadecimal digits.
        #[serde(with = "hex::serde")]
        hex: Vec<u8>,
    },
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// A value for each column, row by row.
    pub rows: Vec<Vec<Value>>,
}

/// What a table holds, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over the rows in their order, each as the JSON of an object of its columns and a line end; in
    /// hexadecimal digits.
    pub sha256: String,
}

/// The tables of a store, each with what it holds.
pub type Contents = BTreeMap<String, Digest>;

/// One moment of a store.
#[async_trait]
pub trait Source: Send {
    /// The version of its schema.
    fn schema(&self) -> i64;

    /// How many rows there are in all.
    fn total_rows(&self) -> u64;

    /// The next rows, table after table in an order in which they can be added; `None` after the last.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` when the database is.
    async fn next(&mut self) -> Result<Option<Rows>>;

    /// What has been read.
    fn contents(&self) -> Contents;
}

/// An empty store that is being filled.
#[async_trait]
pub trait Target: Send {
    /// Adds rows that came from a [`Source`] of the same schema.
    ///
    /// # Errors
    /// `Corrupt` if the rows do not fit; `Unavailable` when the database is.
    async fn add(&mut self, rows: &Rows) -> Result<()>;

    /// Compares what is there now with what should be, makes it durable, and brings the store to the newest
    /// schema. Before this call nothing of it can be seen; without it nothing remains.
    ///
    /// # Errors
    /// `Corrupt` if a table does not hold what it should; `Unavailable` when the database is.
    async fn finish(self: Box<Self>, expected: &Contents) -> Result<()>;
}

/// Opens a store to be read; it must be there.
///
/// # Errors
/// As [`crate::open`]; `NewerSchema` if this program does not know its schema.
pub async fn source(location: &Location) -> Result<Box<dyn Source>> {
    Ok(match location {
        Location::Sqlite(path) => Box::new(sqlite::source(path).await?),
        Location::Postgres(location) => Box::new(postgres::source(location).await?),
    })
}

/// Opens a store to be filled with what has this schema; it is made if need be, and must be empty.
///
/// # Errors
/// As [`crate::open`]; `Conflict` if the store is not empty; `NewerSchema` if this program does not know
/// the schema.
pub async fn target(location: &Location, schema: i64) -> Result<Box<dyn Target>> {
    Ok(match location {
        Location::Sqlite(path) => Box::new(sqlite::target(path, schema).await?),
        Location::Postgres(location) => Box::new(postgres::target(location, schema).await?),
    })
}

/// Digests of tables while their rows go by.
#[derive(Default)]
pub(crate) struct Digests {
    tables: BTreeMap<String, (u64, Option<Context>)>,
}

impl Digests {
    pub(crate) fn add(&mut self, rows: &Rows) -> Result<()> {
        let (count, context) = self.tables.entry(rows.table.clone()).or_default();
        let context = context.get_or_insert_with(|| Context::new(&SHA256));
        for row in &rows.rows {
            *count = count.saturating_add(1);
            // By name, because the order of columns is the database's.
            let object: BTreeMap<_, _> = rows.columns.iter().zip(row).collect();
            let line = serde_json::to_vec(&object).map_err(|error| StoreError::corrupt(error.to_string()))?;
            context.update(&line);
            context.update(b"\n");
        }
        Ok(())
    }

    pub(crate) fn contents(&self) -> Contents {
        let digest = |(rows, context): &(u64, Option<Context>)| {
            let context = context.clone().unwrap_or_else(|| Context::new(&SHA256));
            Digest { rows: *rows, sha256: hex::encode(context.finish()) }
        };
        self.tables.iter().map(|(table, known)| (table.clone(), digest(known))).collect()
    }
}
