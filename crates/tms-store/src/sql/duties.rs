//! Duties: what one node does at a time.

use jiff::Timestamp;

use super::{Connection, sql};
use crate::row::micros;
use crate::store::Result;
use crate::work::latest_end;

pub(super) async fn take(
    c: &mut Connection,
    duty: &str,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let taken = sqlx::query(
        "INSERT INTO duties (name, holder, until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE \
         SET holder = excluded.holder, until = excluded.until \
         WHERE duties.holder = excluded.holder OR duties.until <= $4 OR duties.until > $5",
    )
    .bind(duty)
    .bind(holder)
    .bind(micros(until))
    .bind(micros(now))
    .bind(micros(latest_end(until, now)))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(taken.rows_affected() > 0)
}

pub(super) async fn leave(c: &mut Connection, duty: &str, holder: &str) -> Result<()> {
    sqlx::query("DELETE FROM duties WHERE name = $1 AND holder = $2")
        .bind(duty)
        .bind(holder)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}
