//! Alarms.

use sqlx::Executor;
use tms_core::{Alarm, TerminalId, alarm::MAX_ALARMS_KEPT};

use super::{Connection, Db, sql, terminals};
use crate::error::StoreError;
use crate::row::{AlarmRow, micros, signed};
use crate::store::Result;

pub(super) async fn add(c: &mut Connection, alarm: &Alarm) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO alarms (tid, sequence, kind, severity, at, text, received_at) \
         SELECT tid, $2, $3, $4, $5, $6, $7 FROM terminals WHERE tid = $1 ON CONFLICT (tid, sequence) DO NOTHING",
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
    .map_err(sql)?;
    if added.rows_affected() == 0 {
        return match terminals::exists(c, &alarm.terminal).await? {
            true => Ok(false),
            false => Err(StoreError::not_found("terminal", &alarm.terminal)),
        };
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
    e: impl Executor<'_, Database = Db>,
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
