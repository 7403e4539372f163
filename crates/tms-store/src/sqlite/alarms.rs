//! Alarms.

use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;
use tms_core::{Alarm, TerminalId, alarm::MAX_ALARMS_KEPT};

use super::row::{AlarmRow, micros, signed};
use super::{fault, sql};
use crate::error::StoreError;
use crate::store::Result;

pub(super) async fn add(c: &mut SqliteConnection, alarm: Alarm) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO alarms (tid, sequence, kind, severity, at, text, received_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tid, sequence) DO NOTHING",
    )
    .bind(alarm.terminal.as_str())
    .bind(signed(alarm.sequence))
    .bind(&alarm.kind)
    .bind(i64::from(alarm.severity))
    .bind(micros(alarm.at))
    .bind(&alarm.text)
    .bind(micros(alarm.received_at))
    .execute(&mut *c)
    .await
    .map_err(|error| match fault::is_dangling(&error) {
        true => StoreError::not_found("terminal", &alarm.terminal),
        false => sql(error),
    })?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "DELETE FROM alarms WHERE tid = $1 AND number NOT IN \
         (SELECT number FROM alarms WHERE tid = $1 ORDER BY sequence DESC LIMIT $2)",
    )
    .bind(alarm.terminal.as_str())
    .bind(i64::try_from(MAX_ALARMS_KEPT).unwrap_or(i64::MAX))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(true)
}

pub(super) async fn page(
    e: impl SqliteExecutor<'_>,
    tid: Option<&TerminalId>,
    after: Option<u64>,
    limit: u32,
) -> Result<Vec<Alarm>> {
    sqlx::query_as::<_, AlarmRow>(
        "SELECT * FROM alarms WHERE ($1 IS NULL OR tid = $1) AND ($2 IS NULL OR number < $2) \
         ORDER BY number DESC LIMIT $3",
    )
    .bind(tid.map(TerminalId::as_str))
    .bind(after.map(signed))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?
    .into_iter()
    .map(Alarm::try_from)
    .collect()
}
