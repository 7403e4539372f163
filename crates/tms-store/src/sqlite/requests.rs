//! Requests that callers may repeat, by their keys.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::row::micros;
use super::sql;
use crate::error::StoreError;
use crate::store::{Begun, Result};

pub(super) async fn begin(
    c: &mut SqliteConnection,
    caller: String,
    key: String,
    fingerprint: String,
    since: Timestamp,
    now: Timestamp,
) -> Result<Begun> {
    sqlx::query("DELETE FROM requests WHERE began_at < $1")
        .bind(micros(since))
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    let known: Option<(String, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT fingerprint, answer FROM requests WHERE caller = $1 AND request_key = $2")
            .bind(&caller)
            .bind(&key)
            .fetch_optional(&mut *c)
            .await
            .map_err(sql)?;
    match known {
        Some((known, _)) if known != fingerprint => return Ok(Begun::Other),
        Some((_, Some(answer))) => return Ok(Begun::Answered(answer)),
        Some((_, None)) => return Ok(Begun::Unfinished),
        None => {}
    }
    sqlx::query("INSERT INTO requests (caller, request_key, fingerprint, began_at) VALUES ($1, $2, $3, $4)")
        .bind(caller)
        .bind(key)
        .bind(fingerprint)
        .bind(micros(now))
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(Begun::New)
}

pub(super) async fn finish(
    c: &mut SqliteConnection,
    caller: String,
    key: String,
    answer: Vec<u8>,
) -> Result<()> {
    let kept = sqlx::query("UPDATE requests SET answer = $3 WHERE caller = $1 AND request_key = $2")
        .bind(caller)
        .bind(&key)
        .bind(answer)
        .execute(c)
        .await
        .map_err(sql)?;
    if kept.rows_affected() == 0 {
        return Err(StoreError::not_found("request", key));
    }
    Ok(())
}

pub(super) async fn forget(c: &mut SqliteConnection, caller: String, key: String) -> Result<()> {
    sqlx::query("DELETE FROM requests WHERE caller = $1 AND request_key = $2 AND answer IS NULL")
        .bind(caller)
        .bind(key)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}
