//! Sets of the estate, and documents of terminals.

use jiff::Timestamp;
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;
use tms_core::{EstateSet, SetName, TerminalId};

use super::row::{SetRow, micros, signed};
use super::{fault, sql};
use crate::error::StoreError;
use crate::store::Result;

pub(super) async fn put_set(
    c: &mut SqliteConnection,
    name: SetName,
    content: String,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<u64> {
    let known = set(&mut *c, name).await?;
    StoreError::expect_revision("set", name, expected, known.as_ref().map_or(0, |known| known.revision))?;
    let revision = match known {
        Some(known) if known.content == content => return Ok(known.revision),
        Some(known) => known
            .revision
            .checked_add(1)
            .ok_or_else(|| StoreError::conflict(format!("the revisions of {name} are used up")))?,
        None => 1,
    };
    sqlx::query(
        "INSERT INTO sets (name, revision, content, updated_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, content = excluded.content, \
         updated_at = excluded.updated_at",
    )
    .bind(name.name())
    .bind(signed(revision))
    .bind(content)
    .bind(micros(now))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(revision)
}

pub(super) async fn set(e: impl SqliteExecutor<'_>, name: SetName) -> Result<Option<EstateSet>> {
    sqlx::query_as::<_, SetRow>("SELECT * FROM sets WHERE name = $1")
        .bind(name.name())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(EstateSet::try_from)
        .transpose()
}

pub(super) async fn sets(e: impl SqliteExecutor<'_>) -> Result<Vec<EstateSet>> {
    sqlx::query_as::<_, SetRow>("SELECT * FROM sets ORDER BY name")
        .fetch_all(e)
        .await
        .map_err(sql)?
        .into_iter()
        .map(EstateSet::try_from)
        .collect()
}

pub(super) async fn put(
    c: &mut SqliteConnection,
    tid: TerminalId,
    name: String,
    content: String,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO documents (tid, name, content) VALUES ($1, $2, $3) \
         ON CONFLICT (tid, name) DO UPDATE SET content = excluded.content",
    )
    .bind(tid.as_str())
    .bind(name)
    .bind(content)
    .execute(c)
    .await
    .map_err(|error| match fault::is_dangling(&error) {
        true => StoreError::not_found("terminal", &tid),
        false => sql(error),
    })?;
    Ok(())
}

pub(super) async fn one(e: impl SqliteExecutor<'_>, tid: &TerminalId, name: &str) -> Result<Option<String>> {
    sqlx::query_scalar("SELECT content FROM documents WHERE tid = $1 AND name = $2")
        .bind(tid.as_str())
        .bind(name)
        .fetch_optional(e)
        .await
        .map_err(sql)
}
