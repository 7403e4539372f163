//! Reading a whole store, and filling one.

use async_trait::async_trait;
use sqlx::migrate::Migrate;
use sqlx::{
    AssertSqlSafe, Column, Connection as _, Executor, QueryBuilder, Row, SqlSafeStr, Statement, TypeInfo,
};

use super::super::{AFTER_FILLING, EXCLUSIVE, SNAPSHOT, TABLE_NAMES};
use super::{Connection, Db, sql};
use crate::dump::{Contents, Digests, Rows, Source, TABLES, Target, Value};
use crate::error::StoreError;
use crate::queue::Applied;
use crate::row::unsigned;
use crate::store::Result;

type DbRow = <Db as sqlx::Database>::Row;

/// Where sqlx notes what it has done to the schema.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Rows read or written at once.
const ROWS: usize = 500;

/// What a column holds, whatever the database calls it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Flag,
    Number,
    Text,
    Bytes,
}

/// A table that exists, with its columns.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    columns: Vec<(String, Kind)>,
}

pub(crate) struct Reader {
    connection: Connection,
    schema: i64,
    total_rows: u64,
    /// Those still to be read, the next one last.
    tables: Vec<Table>,
    /// The key of the last row that was read of the next table.
    after: Option<Vec<Value>>,
    digests: Digests,
}

impl Reader {
    /// Begins with what the store holds now.
    pub(in super::super) async fn begin(mut connection: Connection, schema: i64) -> Result<Self> {
        connection.execute(SNAPSHOT).await.map_err(sql)?;
        let mut tables = tables(&mut connection).await?;
        let mut total_rows = 0_u64;
        let mut digests = Digests::default();
        for table in &tables {
            total_rows = total_rows.saturating_add(count(&mut connection, table.name).await?);
            // So that a table without a row is there too.
            digests.add(&table.rows(Vec::new()))?;
        }
        tables.reverse();
        Ok(Self { connection, schema, total_rows, tables, after: None, digests })
    }
}

#[async_trait]
impl Source for Reader {
    fn schema(&self) -> i64 {
        self.schema
    }

    fn total_rows(&self) -> u64 {
        self.total_rows
    }

    async fn next(&mut self) -> Result<Option<Rows>> {
        loop {
            let Some(table) = self.tables.last() else {
                return Ok(None);
            };
            let rows = table.page(&mut self.connection, self.after.as_deref()).await?;
            self.after = table.key_of(&rows);
            if self.after.is_none() {
                self.tables.pop();
                continue;
            }
            self.digests.add(&rows)?;
            return Ok(Some(rows));
        }
    }

    fn contents(&self) -> Contents {
        self.digests.contents()
    }
}

/// Brings a database to the newest schema.
pub(in super::super) type Migration =
    Box<dyn for<'c> FnOnce(&'c mut Connection) -> Applied<'c, ()> + Send + Sync>;

pub(crate) struct Filler {
    connection: Connection,
    tables: Vec<Table>,
    migrate: Migration,
}

impl Filler {
    /// Begins on a store that has the wanted schema; `migrate` brings it to the newest one at the end.
    pub(in super::super) async fn begin(mut connection: Connection, migrate: Migration) -> Result<Self> {
        connection.execute(EXCLUSIVE).await.map_err(sql)?;
        let tables = tables(&mut connection).await?;
        for table in &tables {
            let rows = count(&mut connection, table.name).await?;
            if rows > 0 {
                return Err(StoreError::conflict(format!(
                    "the store is not empty (there are {rows} {} in it); name an empty one, or move this one away",
                    table.name.replace('_', " ")
                )));
            }
        }
        Ok(Self { connection, tables, migrate })
    }
}

#[async_trait]
impl Target for Filler {
    async fn add(&mut self, rows: &Rows) -> Result<()> {
        let table = self.tables.iter().find(|table| table.name == rows.table);
        let table =
            table.ok_or_else(|| StoreError::corrupt(format!("there is no table {:?}", rows.table)))?;
        for chunk in rows.rows.chunks(ROWS) {
            table.insert(&mut self.connection, &rows.columns, chunk).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, expected: &Contents) -> Result<()> {
        let mut digests = Digests::default();
        for table in &self.tables {
            let mut after = None;
            loop {
                let rows = table.page(&mut self.connection, after.as_deref()).await?;
                digests.add(&rows)?;
                after = table.key_of(&rows);
                if after.is_none() {
                    break;
                }
            }
        }
        let contents = digests.contents();
        for (name, expected) in expected {
            match contents.get(name) {
                Some(digest) if digest == expected => {}
                Some(digest) => {
                    return Err(StoreError::corrupt(format!(
                        "table {name} came with {} rows and digest {}, and should have {} and {}",
                        digest.rows, digest.sha256, expected.rows, expected.sha256
                    )));
                }
                None => return Err(StoreError::corrupt(format!("there is no table {name:?}"))),
            }
        }
        if let Some(name) = contents.keys().find(|name| !expected.contains_key(*name)) {
            return Err(StoreError::corrupt(format!("table {name} is missing in what was read")));
        }
        for (table, statement) in AFTER_FILLING {
            if self.tables.iter().any(|known| known.name == table) {
                self.connection.execute(statement).await.map_err(sql)?;
            }
        }
        self.connection.execute("COMMIT").await.map_err(sql)?;
        let Self { mut connection, migrate, .. } = *self;
        migrate(&mut connection).await?;
        connection.close().await.map_err(sql)
    }
}

impl Table {
    fn rows(&self, rows: Vec<Vec<Value>>) -> Rows {
        let columns = self.columns.iter().map(|(name, _)| name.clone()).collect();
        Rows { table: self.name.to_owned(), columns, rows }
    }

    /// The key of the last row.
    fn key_of(&self, rows: &Rows) -> Option<Vec<Value>> {
        let last = rows.rows.last()?;
        let value = |key: &&str| last.get(rows.columns.iter().position(|column| column == key)?).cloned();
        self.key.iter().map(value).collect()
    }

    async fn page(&self, connection: &mut Connection, after: Option<&[Value]>) -> Result<Rows> {
        let key = self.key.join(", ");
        let mut query = QueryBuilder::<Db>::new(format!("SELECT * FROM {}", self.name));
        if let Some(after) = after {
            query.push(format!(" WHERE ({key}) > ("));
            for (index, value) in after.iter().enumerate() {
                query.push(if index > 0 { ", " } else { "" });
                match value {
                    Value::Number(number) => query.push_bind(*number),
                    Value::Text(text) => query.push_bind(text.clone()),
                    other => return Err(StoreError::corrupt(format!("a key of {} is {other:?}", self.name))),
                };
            }
            query.push(")");
        }
        query.push(format!(" ORDER BY {key} LIMIT {ROWS}"));
        let found = query.build().fetch_all(connection).await.map_err(sql)?;
        let rows = found.iter().map(|row| self.read(row)).collect::<Result<_>>()?;
        Ok(self.rows(rows))
    }

    fn read(&self, row: &DbRow) -> Result<Vec<Value>> {
        let value = |(index, (_, kind)): (usize, &(String, Kind))| {
            Ok(match kind {
                Kind::Flag => row.try_get::<Option<bool>, _>(index)?.map(Value::Flag),
                Kind::Number => row.try_get::<Option<i64>, _>(index)?.map(Value::Number),
                Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(|hex| Value::Bytes { hex }),
            }
            .unwrap_or(Value::Null(())))
        };
        self.columns.iter().enumerate().map(value).collect::<std::result::Result<_, _>>().map_err(sql)
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        columns: &[String],
        rows: &[Vec<Value>],
    ) -> Result<()> {
        let misfit = |what: String| StoreError::corrupt(format!("a row of table {} {what}", self.name));
        // Names from a file become part of a statement only if they are names of our columns.
        let kinds: Vec<Kind> = columns
            .iter()
            .map(|name| self.columns.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind))
            .collect::<Option<_>>()
            .filter(|_| columns.len() == self.columns.len())
            .ok_or_else(|| misfit(format!("has the columns {}", columns.join(", "))))?;
        for row in rows {
            let fits = row.len() == kinds.len()
                && row.iter().zip(&kinds).all(|(value, kind)| {
                    matches!(
                        (value, kind),
                        (Value::Null(()), _)
                            | (Value::Flag(_), Kind::Flag)
                            | (Value::Number(_), Kind::Number)
                            | (Value::Text(_), Kind::Text)
                            | (Value::Bytes { .. }, Kind::Bytes)
                    )
                });
            if !fits {
                return Err(misfit("does not fit its columns".to_owned()));
            }
        }
        let mut query =
            QueryBuilder::<Db>::new(format!("INSERT INTO {} ({}) ", self.name, columns.join(", ")));
        query.push_values(rows, |mut place, row| {
            for (value, kind) in row.iter().zip(&kinds) {
                match (value, kind) {
                    (Value::Flag(flag), _) => place.push_bind(*flag),
                    (Value::Number(number), _) => place.push_bind(*number),
                    (Value::Text(text), _) => place.push_bind(text.clone()),
                    (Value::Bytes { hex }, _) => place.push_bind(hex.clone()),
                    (Value::Null(()), Kind::Flag) => place.push_bind(None::<bool>),
                    (Value::Null(()), Kind::Number) => place.push_bind(None::<i64>),
                    (Value::Null(()), Kind::Text) => place.push_bind(None::<String>),
                    (Value::Null(()), Kind::Bytes) => place.push_bind(None::<Vec<u8>>),
                };
            }
        });
        query.build().persistent(false).execute(connection).await.map_err(|error| match sql(error) {
            StoreError::Unavailable { reason } => {
                StoreError::unavailable(format!("table {} took no more rows: {reason}", self.name))
            }
            other => other,
        })?;
        Ok(())
    }
}

/// The tables that there are; an older schema has fewer.
async fn tables(connection: &mut Connection) -> Result<Vec<Table>> {
    let known: Vec<String> =
        sqlx::query_scalar(TABLE_NAMES).fetch_all(&mut *connection).await.map_err(sql)?;
    let mut tables = Vec::new();
    for (name, key) in TABLES {
        if !known.iter().any(|known| known == name) {
            continue;
        }
        let query = AssertSqlSafe(format!("SELECT * FROM {name}")).into_sql_str();
        let statement = (&mut *connection).prepare(query).await.map_err(sql)?;
        let columns = statement
            .columns()
            .iter()
            .map(|column| {
                let kind = match column.type_info().name() {
                    "BOOL" | "BOOLEAN" => Kind::Flag,
                    "INT8" | "INTEGER" => Kind::Number,
                    "TEXT" => Kind::Text,
                    "BYTEA" | "BLOB" => Kind::Bytes,
                    other => {
                        return Err(StoreError::corrupt(format!(
                            "column {} of table {name} has type {other}",
                            column.name()
                        )));
                    }
                };
                Ok((column.name().to_owned(), kind))
            })
            .collect::<Result<_>>()?;
        tables.push(Table { name, key, columns });
    }
    Ok(tables)
}

async fn count(connection: &mut Connection, table: &'static str) -> Result<u64> {
    let query = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    unsigned(sqlx::query_scalar(query).fetch_one(connection).await.map_err(sql)?)
}

/// The newest version in a database that has a schema of ours; `None` if it has none at all.
pub(in super::super) async fn schema_version(connection: &mut Connection) -> Result<Option<i64>> {
    let known: Vec<String> =
        sqlx::query_scalar(TABLE_NAMES).fetch_all(&mut *connection).await.map_err(sql)?;
    if !known.iter().any(|name| name == MIGRATIONS_TABLE) {
        return Ok(None);
    }
    let applied = connection.list_applied_migrations(MIGRATIONS_TABLE).await;
    let applied = applied.map_err(|error| StoreError::corrupt(error.to_string()))?;
    Ok(applied.iter().map(|migration| migration.version).max())
}

/// Refuses to fill a database with what has another schema.
pub(in super::super) fn same_schema(known: i64, wanted: i64) -> Result<()> {
    if known == wanted {
        return Ok(());
    }
    Err(StoreError::conflict(format!(
        "the store has schema version {known} already and what is to be put into it has {wanted}; name a database \
         without any table"
    )))
}
