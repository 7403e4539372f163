//! Requests that callers may repeat, by their keys.

use jiff::Timestamp;

use super::{Connection, sql};
use crate::error::StoreError;
use crate::row::micros;
use crate::store::{Begun, Result};

pub(super) async fn begin(
    c: &mut Connection,
    caller: &str,
    key: &str,
    fingerprint: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<Begun> {
    sqlx::query("DELETE FROM requests WHERE began_at < $1")
        .bind(micros(since))
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    let noted = sqlx::query(
        "INSERT INTO requests (caller, request_key, fingerprint, began_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT DO NOTHING",
    )
    .bind(caller)
    .bind(key)
    .bind(fingerprint)
    .bind(micros(now))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if noted.rows_affected() > 0 {
        return Ok(Begun::New);
    }
    let known: Option<(String, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT fingerprint, answer FROM requests WHERE caller = $1 AND request_key = $2")
            .bind(caller)
            .bind(key)
            .fetch_optional(c)
            .await
            .map_err(sql)?;
    Ok(match known {
        Some((known, _)) if known != fingerprint => Begun::Other,
        Some((_, Some(answer))) => Begun::Answered(answer),
        // Or another node has forgotten it just now; the next try begins it.
        Some((_, None)) | None => Begun::Unfinished,
    })
}

pub(super) async fn finish(c: &mut Connection, caller: &str, key: &str, answer: &[u8]) -> Result<()> {
    let kept = sqlx::query("UPDATE requests SET answer = $3 WHERE caller = $1 AND request_key = $2")
        .bind(caller)
        .bind(key)
        .bind(answer)
        .execute(c)
        .await
        .map_err(sql)?;
    if kept.rows_affected() == 0 {
        return Err(StoreError::not_found("request", key));
    }
    Ok(())
}

pub(super) async fn forget(c: &mut Connection, caller: &str, key: &str) -> Result<()> {
    sqlx::query("DELETE FROM requests WHERE caller = $1 AND request_key = $2 AND answer IS NULL")
        .bind(caller)
        .bind(key)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}
