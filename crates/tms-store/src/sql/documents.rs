//! Sets of the estate, and documents of terminals.

use jiff::Timestamp;
use sqlx::Executor;
use tms_core::{EstateSet, SetName, TerminalId};

use super::{Connection, Db, sql};
use crate::error::StoreError;
use crate::estate::seen;
use crate::row::{SetRow, micros, unsigned};
use crate::store::Result;

pub(super) async fn put_set(
    c: &mut Connection,
    name: SetName,
    content: &str,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<u64> {
    let known: Option<i64> = sqlx::query_scalar(locked!("SELECT revision FROM sets WHERE name = $1"))
        .bind(name.name())
        .fetch_optional(&mut *c)
        .await
        .map_err(sql)?;
    seen("set", name, expected, known.map_or(Ok(0), unsigned)?)?;
    // One statement decides and counts, so that two who put the first one at once get a revision each, or one of
    // them is told.
    let put: Option<i64> = sqlx::query_scalar(
        "INSERT INTO sets (name, revision, content, updated_at) VALUES ($1, 1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET revision = sets.revision + 1, content = excluded.content, \
         updated_at = excluded.updated_at WHERE sets.content <> excluded.content \
         AND sets.revision = COALESCE($4, sets.revision) RETURNING revision",
    )
    .bind(name.name())
    .bind(content)
    .bind(micros(now))
    .bind(expected.map(i64::try_from).transpose().unwrap_or(Some(i64::MAX)))
    .fetch_optional(&mut *c)
    .await
    .map_err(sql)?;
    match put {
        Some(revision) => unsigned(revision),
        None => {
            let found = set(c, name).await?.map_or(0, |set| set.revision);
            seen("set", name, expected, found)?;
            Ok(found)
        }
    }
}

pub(super) async fn set(e: impl Executor<'_, Database = Db>, name: SetName) -> Result<Option<EstateSet>> {
    sqlx::query_as::<_, SetRow>("SELECT * FROM sets WHERE name = $1")
        .bind(name.name())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(EstateSet::try_from)
        .transpose()
}

pub(super) async fn sets(e: impl Executor<'_, Database = Db>) -> Result<Vec<EstateSet>> {
    sqlx::query_as::<_, SetRow>("SELECT * FROM sets ORDER BY name")
        .fetch_all(e)
        .await
        .map_err(sql)?
        .into_iter()
        .map(EstateSet::try_from)
        .collect()
}

pub(super) async fn put(c: &mut Connection, tid: &TerminalId, name: &str, content: &str) -> Result<()> {
    let put = sqlx::query(
        "INSERT INTO documents (tid, name, content) SELECT tid, $2, $3 FROM terminals WHERE tid = $1 \
         ON CONFLICT (tid, name) DO UPDATE SET content = excluded.content",
    )
    .bind(tid.as_str())
    .bind(name)
    .bind(content)
    .execute(c)
    .await
    .map_err(sql)?;
    match put.rows_affected() {
        0 => Err(StoreError::not_found("terminal", tid)),
        _ => Ok(()),
    }
}

pub(super) async fn one(
    e: impl Executor<'_, Database = Db>,
    tid: &TerminalId,
    name: &str,
) -> Result<Option<String>> {
    sqlx::query_scalar("SELECT content FROM documents WHERE tid = $1 AND name = $2")
        .bind(tid.as_str())
        .bind(name)
        .fetch_optional(e)
        .await
        .map_err(sql)
}
