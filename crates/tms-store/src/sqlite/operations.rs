//! Operations: the queue of every terminal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;
use tms_core::{
    FirmwareId, NewOperation, Operation, OperationId, OperationKind, OperationState, Progress, TerminalId,
};

use super::row::{OperationRow, kept, micros, signed, to_json, unsigned};
use super::{fault, sql, terminals};
use crate::error::StoreError;
use crate::store::{ParameterChange, Result, Ticket, replacement_detail};

pub(super) async fn enqueue(
    c: &mut SqliteConnection,
    new: NewOperation,
    now: Timestamp,
) -> Result<Operation> {
    let inserted = sqlx::query(
        "INSERT INTO operations (id, tid, seq, kind_name, kind, state, attempts, created_at, updated_at, expires_at) \
         SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, 'queued', 0, $5, $5, $6 FROM operations WHERE tid = $2",
    )
    .bind(new.id.to_string())
    .bind(new.terminal.as_str())
    .bind(new.kind.name())
    .bind(to_json(&new.kind)?)
    .bind(micros(now))
    .bind(micros(new.expires_at))
    .execute(c)
    .await;
    match inserted {
        Ok(_) => Ok(Operation {
            id: new.id,
            terminal: new.terminal,
            kind: new.kind,
            state: OperationState::Queued,
            attempts: 0,
            created_at: kept(now)?,
            updated_at: kept(now)?,
            expires_at: kept(new.expires_at)?,
            lease: None,
            detail: None,
            progress: None,
            result: BTreeMap::new(),
        }),
        Err(error) if fault::is_dangling(&error) => Err(StoreError::not_found("terminal", &new.terminal)),
        Err(error) if fault::is_duplicate(&error) => {
            Err(StoreError::conflict(format!("operation {} exists already", new.id)))
        }
        Err(error) => Err(sql(error)),
    }
}

pub(super) async fn set_desired_parameters(
    c: &mut SqliteConnection,
    tid: TerminalId,
    change: ParameterChange,
    ticket: Ticket,
    now: Timestamp,
) -> Result<(u64, Operation)> {
    let mut desired = terminals::desired(c, &tid).await?;
    let found = desired.parameters_revision;
    StoreError::expect_revision("parameters of terminal", &tid, change.expected_revision, found)?;
    desired.parameters.retain(|name, _| !change.unset.contains(name));
    desired.parameters.extend(change.set);
    desired.parameters_revision = desired
        .parameters_revision
        .checked_add(1)
        .ok_or_else(|| StoreError::conflict("the revisions of this terminal are used up"))?;
    let revision = desired.parameters_revision;
    terminals::set_desired(c, &tid, &desired).await?;
    let kind = OperationKind::SetParameters { revision };
    sqlx::query(
        "UPDATE operations SET state = 'cancelled', detail = $3, updated_at = $4, lease_holder = NULL, \
         lease_until = NULL WHERE tid = $1 AND kind_name = $2 AND state = 'queued'",
    )
    .bind(tid.as_str())
    .bind(kind.name())
    .bind(replacement_detail(&kind))
    .bind(micros(now))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    let operation = enqueue(c, with_ticket(tid, kind, ticket), now).await?;
    Ok((revision, operation))
}

pub(super) async fn assign_firmware(
    c: &mut SqliteConnection,
    tid: TerminalId,
    firmware: FirmwareId,
    ticket: Ticket,
    now: Timestamp,
) -> Result<Operation> {
    let mut desired = terminals::desired(c, &tid).await?;
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM firmware WHERE id = $1")
        .bind(firmware.as_str())
        .fetch_optional(&mut *c)
        .await
        .map_err(sql)?;
    if known.is_none() {
        return Err(StoreError::not_found("firmware", firmware));
    }
    desired.firmware = Some(firmware.clone());
    terminals::set_desired(c, &tid, &desired).await?;
    let kind = OperationKind::InstallFirmware { firmware };
    sqlx::query(
        "UPDATE operations SET state = 'cancelled', detail = $3, updated_at = $4, lease_holder = NULL, \
         lease_until = NULL WHERE tid = $1 AND kind_name = $2 AND state IN ('queued', 'sent', 'accepted')",
    )
    .bind(tid.as_str())
    .bind(kind.name())
    .bind(replacement_detail(&kind))
    .bind(micros(now))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    enqueue(c, with_ticket(tid, kind, ticket), now).await
}

pub(super) fn with_ticket(terminal: TerminalId, kind: OperationKind, ticket: Ticket) -> NewOperation {
    NewOperation { id: ticket.id, terminal, kind, expires_at: ticket.expires_at }
}

/// Whether [`lease_next`] would find something. Asked of a reader first, because most terminals ask
/// for work far more often than they have any.
pub(super) async fn has_next(e: impl SqliteExecutor<'_>, tid: &TerminalId, now: Timestamp) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM operations WHERE tid = $1 AND state IN ('queued', 'sent', 'accepted') \
         AND expires_at > $2 AND (lease_until IS NULL OR lease_until <= $2) LIMIT 1",
    )
    .bind(tid.as_str())
    .bind(micros(now))
    .fetch_optional(e)
    .await
    .map_err(sql)?;
    Ok(found.is_some())
}

pub(super) async fn lease_next(
    c: &mut SqliteConnection,
    tid: TerminalId,
    holder: String,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<Operation>> {
    sqlx::query_as::<_, OperationRow>(
        "UPDATE operations SET lease_holder = $2, lease_until = $3, attempts = attempts + 1 \
         WHERE tid = $1 AND seq = (SELECT seq FROM operations WHERE tid = $1 \
         AND state IN ('queued', 'sent', 'accepted') AND expires_at > $4 \
         AND (lease_until IS NULL OR lease_until <= $4) \
         ORDER BY CASE kind_name WHEN $5 THEN 0 ELSE 1 END, seq LIMIT 1) RETURNING *",
    )
    .bind(tid.as_str())
    .bind(holder)
    .bind(micros(until))
    .bind(micros(now))
    .bind(OperationKind::CANCEL)
    .fetch_optional(c)
    .await
    .map_err(sql)?
    .map(Operation::try_from)
    .transpose()
}

pub(super) async fn extend_lease(
    c: &mut SqliteConnection,
    id: OperationId,
    holder: String,
    until: Timestamp,
) -> Result<()> {
    let extended = sqlx::query("UPDATE operations SET lease_until = $3 WHERE id = $1 AND lease_holder = $2")
        .bind(id.to_string())
        .bind(&holder)
        .bind(micros(until))
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    if extended.rows_affected() == 0 {
        existing(c, id).await?;
        return Err(StoreError::conflict(format!("operation {id} is not leased to {holder} any more")));
    }
    Ok(())
}

pub(super) async fn release_lease(c: &mut SqliteConnection, id: OperationId, holder: String) -> Result<()> {
    sqlx::query(
        "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE id = $1 AND lease_holder = $2",
    )
    .bind(id.to_string())
    .bind(holder)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

pub(super) async fn release_leases(c: &mut SqliteConnection, holder: String) -> Result<u64> {
    let released =
        sqlx::query("UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE lease_holder = $1")
            .bind(holder)
            .execute(c)
            .await
            .map_err(sql)?;
    Ok(released.rows_affected())
}

pub(super) async fn release_all_leases(c: &mut SqliteConnection) -> Result<u64> {
    let released = sqlx::query(
        "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE lease_holder IS NOT NULL",
    )
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(released.rows_affected())
}

pub(super) async fn transition(
    c: &mut SqliteConnection,
    id: OperationId,
    to: OperationState,
    detail: Option<String>,
    now: Timestamp,
) -> Result<Operation> {
    let mut operation = existing(c, id).await?;
    if !operation.state.can_become(to) {
        return Err(StoreError::IllegalTransition { operation: id, from: operation.state, to });
    }
    if operation.state == to && (to.is_final() || detail.is_none()) {
        return Ok(operation);
    }
    if operation.state != to {
        operation.state = to;
        operation.updated_at = kept(now)?;
        if to.is_final() || to == OperationState::Queued {
            operation.lease = None;
        }
    }
    operation.detail = detail.or(operation.detail);
    let lease = operation.lease.as_ref();
    sqlx::query(
        "UPDATE operations SET state = $2, updated_at = $3, detail = $4, lease_holder = $5, lease_until = $6 \
         WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(operation.state.name())
    .bind(micros(operation.updated_at))
    .bind(&operation.detail)
    .bind(lease.map(|lease| lease.holder.as_str()))
    .bind(lease.map(|lease| micros(lease.until)))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(operation)
}

pub(super) async fn set_progress(
    c: &mut SqliteConnection,
    id: OperationId,
    progress: Progress,
) -> Result<()> {
    let updated = sqlx::query(
        "UPDATE operations SET progress_done = $2, progress_total = $3 \
         WHERE id = $1 AND state IN ('queued', 'sent', 'accepted')",
    )
    .bind(id.to_string())
    .bind(signed(progress.done))
    .bind(signed(progress.total))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if updated.rows_affected() == 0 {
        existing(c, id).await?;
    }
    Ok(())
}

pub(super) async fn add_result(
    c: &mut SqliteConnection,
    id: OperationId,
    result: BTreeMap<String, String>,
) -> Result<()> {
    let mut known = existing(c, id).await?.result;
    known.extend(result);
    sqlx::query("UPDATE operations SET result = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(to_json(&known)?)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}

pub(super) async fn cancel(
    c: &mut SqliteConnection,
    id: OperationId,
    detail: String,
    ticket: Ticket,
    now: Timestamp,
) -> Result<(Operation, Option<Operation>)> {
    let before = existing(c, id).await?;
    let cancelled = transition(c, id, OperationState::Cancelled, Some(detail), now).await?;
    let may_have_begun = before.is_open() && before.attempts > 0;
    if !may_have_begun || !before.kind.is_cancelled_at_the_terminal() {
        return Ok((cancelled, None));
    }
    let kind = OperationKind::CancelOperation { target: id };
    let told = enqueue(c, with_ticket(before.terminal, kind, ticket), now).await?;
    Ok((cancelled, Some(told)))
}

pub(super) async fn expire(c: &mut SqliteConnection, now: Timestamp) -> Result<u64> {
    let expired = sqlx::query(
        "UPDATE operations SET state = 'expired', detail = 'the terminal did not finish it in time', \
         updated_at = $1, lease_holder = NULL, lease_until = NULL \
         WHERE state IN ('queued', 'sent', 'accepted') AND expires_at <= $1",
    )
    .bind(micros(now))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(expired.rows_affected())
}

pub(super) async fn existing(c: &mut SqliteConnection, id: OperationId) -> Result<Operation> {
    one(c, id).await?.ok_or_else(|| StoreError::not_found("operation", id))
}

pub(super) async fn one(e: impl SqliteExecutor<'_>, id: OperationId) -> Result<Option<Operation>> {
    sqlx::query_as::<_, OperationRow>("SELECT * FROM operations WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(Operation::try_from)
        .transpose()
}

pub(super) async fn page(
    e: impl SqliteExecutor<'_>,
    tid: &TerminalId,
    after: Option<OperationId>,
    limit: u32,
) -> Result<Vec<Operation>> {
    sqlx::query_as::<_, OperationRow>(
        "SELECT * FROM operations WHERE tid = $1 \
         AND ($2 IS NULL OR seq < (SELECT seq FROM operations WHERE tid = $1 AND id = $2)) \
         ORDER BY seq DESC LIMIT $3",
    )
    .bind(tid.as_str())
    .bind(after.map(|id| id.to_string()))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

pub(super) async fn open(e: impl SqliteExecutor<'_>, tid: &TerminalId) -> Result<Vec<Operation>> {
    sqlx::query_as::<_, OperationRow>(
        "SELECT * FROM operations WHERE tid = $1 AND state IN ('queued', 'sent', 'accepted') ORDER BY seq",
    )
    .bind(tid.as_str())
    .fetch_all(e)
    .await
    .map_err(sql)?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

pub(super) async fn count_open(e: impl SqliteExecutor<'_>) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM operations WHERE state IN ('queued', 'sent', 'accepted')")
            .fetch_one(e)
            .await
            .map_err(sql)?;
    unsigned(count)
}
