//! Operations: the queue of every terminal.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::{Executor, QueryBuilder};
use tms_core::terms::Readiness;
use tms_core::{
    Attempt, BatchId, Desired, FirmwareId, Lease, NewOperation, Operation, OperationId, OperationKind,
    OperationState, Outcome, Progress, RolloutId, TerminalId, Terms, Trigger, Zone,
};

use super::{Connection, Db, push_list, sql, terminals};
use crate::error::StoreError;
use crate::estate::seen;
use crate::row::{OperationRow, TriedRow, from_json, kept, micros, name, signed, time, to_json, unsigned};
use crate::store::{ParameterChange, Result, Ticket, replacement_detail};
use crate::work::{DesiredParameters, ParametersApplied, Tried, check_terminals, state_after};

/// Rows in one statement; the widest binds twelve values for each.
const ROWS: usize = 500;

pub(super) async fn enqueue(c: &mut Connection, new: &NewOperation, now: Timestamp) -> Result<Operation> {
    enqueue_many(c, std::slice::from_ref(new), now).await?;
    Ok(Operation {
        id: new.id,
        terminal: new.terminal.clone(),
        kind: new.kind.clone(),
        state: OperationState::Queued,
        attempts: 0,
        created_at: kept(now)?,
        updated_at: kept(now)?,
        expires_at: kept(new.expires_at)?,
        lease: None,
        detail: None,
        progress: None,
        result: BTreeMap::new(),
        terms: kept_terms(&new.terms)?,
    })
}

/// Queues all of them, those of one terminal in their order.
pub(super) async fn enqueue_many(c: &mut Connection, new: &[NewOperation], now: Timestamp) -> Result<()> {
    let mut rest = new;
    while !rest.is_empty() {
        // In one statement a terminal gets one place in its queue.
        let mut terminals = BTreeSet::new();
        let end = rest.iter().take(ROWS).take_while(|new| terminals.insert(&new.terminal)).count();
        let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        // Afterwards nobody could tell them from those that were there; one alone can be told.
        let exists = |id: &str| StoreError::conflict(format!("operation {id} exists already"));
        if chunk.len() > 1
            && let Some(id) = first_known(c, chunk).await?
        {
            return Err(exists(&id));
        }
        let inserted = insert(c, chunk, now).await?;
        if usize::try_from(inserted) != Ok(chunk.len()) {
            for new in chunk {
                if !terminals::exists(&mut *c, &new.terminal).await? {
                    return Err(StoreError::not_found("terminal", &new.terminal));
                }
            }
            return Err(exists(&chunk.first().map(|new| new.id.to_string()).unwrap_or_default()));
        }
        rest = after;
    }
    Ok(())
}

async fn insert(c: &mut Connection, new: &[NewOperation], now: Timestamp) -> Result<u64> {
    let zones = zones(c, new).await?;
    let rows = new.iter().map(|new| {
        let terms = kept_terms(&new.terms)?;
        let zone = zones.get(&new.terminal).cloned().unwrap_or_default();
        let (due_at, awaits_settlement) = match terms.readiness(kept(now)?, kept(now)?, None, &zone) {
            Readiness::Ready => (None, false),
            Readiness::At(at) => (Some(at), terms.trigger == Trigger::AfterSettlement),
            Readiness::AfterSettlement => (terms.not_before, true),
            Readiness::Never => (Some(new.expires_at), false),
        };
        let json = (terms != Terms::default()).then(|| to_json(&terms)).transpose()?;
        Ok((new, to_json(&new.kind)?, json, due_at, awaits_settlement))
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Db>::new(concat!(
        "INSERT INTO operations (id, tid, seq, kind_name, kind, state, attempts, created_at, updated_at, expires_at, ",
        "terms, priority, due_at, awaits_settlement, rollout, batch) SELECT v.column1, t.tid, ",
        next_seq!(),
        ", v.column3, v.column4, 'queued', 0, v.column5, v.column5, v.column6, v.column7, v.column8, v.column9, ",
        "v.column10, v.column11, v.column12 FROM (",
    ));
    query.push_values(rows, |mut row, (new, kind, json, due_at, awaits_settlement)| {
        row.push_bind(new.id.to_string())
            .push_bind(new.terminal.as_str())
            .push_bind(new.kind.name())
            .push_bind(kind)
            .push_bind(micros(now))
            .push_bind(micros(new.expires_at))
            .push_bind(json)
            .push_bind(i64::from(u8::from(new.terms.priority)))
            .push_bind(due_at.map(micros))
            .push_bind(awaits_settlement)
            .push_bind(new.terms.rollout.as_ref().map(RolloutId::as_str))
            .push_bind(new.terms.batch.as_ref().map(BatchId::as_str));
    });
    query.push(") AS v JOIN terminals t ON t.tid = v.column2 WHERE TRUE ON CONFLICT DO NOTHING");
    let inserted = query.build().persistent(new.len() == 1).execute(c).await.map_err(sql)?;
    Ok(inserted.rows_affected())
}

/// Terms without what the database cannot keep.
fn kept_terms(terms: &Terms) -> Result<Terms> {
    let not_before = terms.not_before.map(kept).transpose()?;
    Ok(Terms { not_before, ..terms.clone() })
}

/// Where the terminals stand whose operations have a window.
async fn zones(c: &mut Connection, new: &[NewOperation]) -> Result<BTreeMap<TerminalId, Zone>> {
    let with_window: Vec<_> = new.iter().filter(|new| new.terms.window.is_some()).collect();
    if with_window.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut query = QueryBuilder::<Db>::new("SELECT tid, time_zone FROM terminals WHERE tid IN (");
    push_list(&mut query, with_window.iter().map(|new| new.terminal.as_str()));
    query.push(")");
    let query = query.build_query_as::<(String, String)>().persistent(with_window.len() == 1);
    let rows = query.fetch_all(c).await.map_err(sql)?;
    rows.iter().map(|(tid, zone)| Ok((name(tid)?, name(zone)?))).collect()
}

/// The first of these operations that there is already.
async fn first_known(c: &mut Connection, new: &[NewOperation]) -> Result<Option<String>> {
    let mut query = QueryBuilder::<Db>::new("SELECT id FROM operations WHERE id IN (");
    let ids: Vec<String> = new.iter().map(|new| new.id.to_string()).collect();
    push_list(&mut query, ids.iter().map(String::as_str));
    query.push(") ORDER BY id LIMIT 1");
    query.build_query_scalar().persistent(false).fetch_optional(c).await.map_err(sql)
}

pub(super) async fn set_desired_parameters(
    c: &mut Connection,
    tid: &TerminalId,
    change: &ParameterChange,
    ticket: Ticket,
    now: Timestamp,
) -> Result<(u64, Operation)> {
    let mut desired = terminals::desired(c, tid).await?;
    let found = desired.parameters_revision;
    seen("parameters of terminal", tid, change.expected_revision, found)?;
    desired.parameters.retain(|name, _| !change.unset.contains(name));
    desired.parameters.extend(change.set.clone());
    let revision = next_revision(&mut desired)?;
    terminals::set_desired(c, tid, &desired).await?;
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
    let operation = enqueue(c, &with_ticket(tid.clone(), kind, ticket), now).await?;
    Ok((revision, operation))
}

pub(super) async fn raise_parameters(c: &mut Connection, tid: &TerminalId, above: u64) -> Result<u64> {
    let mut desired = terminals::desired(c, tid).await?;
    if desired.parameters_revision <= above {
        desired.parameters_revision = above;
        next_revision(&mut desired)?;
        terminals::set_desired(c, tid, &desired).await?;
    }
    Ok(desired.parameters_revision)
}

pub(super) async fn assign_firmware(
    c: &mut Connection,
    tid: &TerminalId,
    firmware: &FirmwareId,
    ticket: Ticket,
    now: Timestamp,
) -> Result<Operation> {
    let mut desired = terminals::desired(c, tid).await?;
    let known: Option<i64> = sqlx::query_scalar("SELECT size_bytes FROM firmware WHERE id = $1")
        .bind(firmware.as_str())
        .fetch_optional(&mut *c)
        .await
        .map_err(sql)?;
    if known.is_none() {
        return Err(StoreError::not_found("firmware", firmware));
    }
    desired.firmware = Some(firmware.clone());
    terminals::set_desired(c, tid, &desired).await?;
    let kind = OperationKind::InstallFirmware { firmware: firmware.clone() };
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
    enqueue(c, &with_ticket(tid.clone(), kind, ticket), now).await
}

pub(super) fn with_ticket(terminal: TerminalId, kind: OperationKind, ticket: Ticket) -> NewOperation {
    NewOperation {
        id: ticket.id,
        terminal,
        kind,
        expires_at: ticket.expires_at,
        terms: tms_core::Terms::default(),
    }
}

/// What may be offered to terminal `$1` at `$2`, as far as columns can tell. What was changed after now was
/// changed by a clock that was wrong, and so was the time from which it is due.
macro_rules! free {
    () => {
        "tid = $1 AND state IN ('queued', 'sent', 'accepted') AND expires_at > $2 \
         AND (lease_until IS NULL OR lease_until <= $2) \
         AND (due_at IS NULL OR due_at <= $2 OR updated_at > $2) \
         AND NOT awaits_settlement \
         AND (SELECT life_cycle FROM terminals WHERE tid = $1) IN ('registered', 'active', 'locked')"
    };
}

/// Whether [`lease_next`] may find something. Asked of a reader first, because most terminals ask
/// for work far more often than they have any.
pub(super) async fn has_next(
    e: impl Executor<'_, Database = Db>,
    tid: &TerminalId,
    now: Timestamp,
) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar(concat!("SELECT seq FROM operations WHERE ", free!(), " LIMIT 1"))
            .bind(tid.as_str())
            .bind(micros(now))
            .fetch_optional(e)
            .await
            .map_err(sql)?;
    Ok(found.is_some())
}

pub(super) async fn lease_next(
    c: &mut Connection,
    tid: &TerminalId,
    holder: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Option<Operation>> {
    let now = kept(now)?;
    while let Some((mut operation, mut tried)) = first_free(c, tid, now).await? {
        let is_bound = operation.terms.window.is_some() || operation.terms.not_before.is_some();
        if operation.state == OperationState::Queued && is_bound {
            // It is due, and may have been so while the terminal was away: the window is to be open now.
            let (zone, settled_at) = whereabouts(c, tid).await?;
            let readiness = operation.terms.readiness(now, operation.created_at, settled_at, &zone);
            if readiness != Readiness::Ready {
                put_off(c, &operation, readiness, now).await?;
                continue;
            }
        }
        tried.begin(operation.attempts, holder, now);
        operation.attempts = operation.attempts.saturating_add(1);
        operation.lease = Some(Lease { holder: holder.to_owned(), until: kept(until)? });
        sqlx::query(
            "UPDATE operations SET lease_holder = $2, lease_until = $3, attempts = $4, began_at = $5, node = $6, \
             tried = $7, due_at = NULL WHERE id = $1",
        )
        .bind(operation.id.to_string())
        .bind(holder)
        .bind(micros(until))
        .bind(i64::from(operation.attempts))
        .bind(tried.began_at.map(micros))
        .bind(&tried.node)
        .bind(ended(&tried)?)
        .execute(c)
        .await
        .map_err(sql)?;
        return Ok(Some(operation));
    }
    Ok(None)
}

async fn first_free(
    c: &mut Connection,
    tid: &TerminalId,
    now: Timestamp,
) -> Result<Option<(Operation, Tried)>> {
    let row = sqlx::query_as::<_, Whole>(locked!(concat!(
        "SELECT * FROM operations WHERE ",
        free!(),
        " ORDER BY CASE kind_name WHEN $3 THEN 0 ELSE 1 END, priority DESC, seq LIMIT 1"
    )))
    .bind(tid.as_str())
    .bind(micros(now))
    .bind(OperationKind::CANCEL)
    .fetch_optional(c)
    .await
    .map_err(sql)?;
    row.map(Whole::read).transpose()
}

/// An operation with its attempts.
#[derive(sqlx::FromRow)]
struct Whole {
    #[sqlx(flatten)]
    operation: OperationRow,
    #[sqlx(flatten)]
    tried: TriedRow,
}

impl Whole {
    fn read(self) -> Result<(Operation, Tried)> {
        Ok((self.operation.try_into()?, self.tried.try_into()?))
    }
}

/// The attempts that have ended, as the database keeps them.
fn ended(tried: &Tried) -> Result<Option<String>> {
    (!tried.ended.is_empty()).then(|| to_json(&tried.ended)).transpose()
}

/// The zone of a terminal, and when it last settled.
async fn whereabouts(c: &mut Connection, tid: &TerminalId) -> Result<(Zone, Option<Timestamp>)> {
    let (zone, settled_at): (String, Option<i64>) =
        sqlx::query_as("SELECT time_zone, settled_at FROM terminals WHERE tid = $1")
            .bind(tid.as_str())
            .fetch_one(c)
            .await
            .map_err(sql)?;
    Ok((name(&zone)?, settled_at.map(time).transpose()?))
}

async fn put_off(
    c: &mut Connection,
    operation: &Operation,
    readiness: Readiness,
    now: Timestamp,
) -> Result<()> {
    let (due_at, awaits_settlement) = match readiness {
        Readiness::At(at) => (Some(at), false),
        Readiness::AfterSettlement => (operation.terms.not_before, true),
        // It has no other chance before it expires.
        Readiness::Ready | Readiness::Never => (Some(operation.expires_at), false),
    };
    sqlx::query("UPDATE operations SET due_at = $2, awaits_settlement = $3, updated_at = $4 WHERE id = $1")
        .bind(operation.id.to_string())
        .bind(due_at.map(micros))
        .bind(awaits_settlement)
        .bind(micros(now))
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}

pub(super) async fn extend_lease(
    c: &mut Connection,
    id: OperationId,
    holder: &str,
    until: Timestamp,
) -> Result<()> {
    let extended = sqlx::query("UPDATE operations SET lease_until = $3 WHERE id = $1 AND lease_holder = $2")
        .bind(id.to_string())
        .bind(holder)
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

pub(super) async fn release_lease(c: &mut Connection, id: OperationId, holder: &str) -> Result<()> {
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

pub(super) async fn release_leases(c: &mut Connection, holder: &str) -> Result<u64> {
    let released = sqlx::query(concat!(
        "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE id IN (",
        locked!("SELECT id FROM operations WHERE lease_holder = $1 ORDER BY id"),
        ")",
    ))
    .bind(holder)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(released.rows_affected())
}

pub(super) async fn release_all_leases(c: &mut Connection) -> Result<u64> {
    let released = sqlx::query(concat!(
        "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE id IN (",
        locked!("SELECT id FROM operations WHERE lease_holder IS NOT NULL ORDER BY id"),
        ")",
    ))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(released.rows_affected())
}

pub(super) async fn transition(
    c: &mut Connection,
    id: OperationId,
    to: OperationState,
    detail: &Option<String>,
    now: Timestamp,
) -> Result<Operation> {
    let (mut operation, mut tried) = whole(c, id).await?;
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
        tried.end_with(operation.attempts, to, detail.clone(), kept(now)?);
    }
    operation.detail = detail.clone().or(operation.detail);
    moved(c, &operation, &tried).await?;
    Ok(operation)
}

pub(super) async fn end_attempt(
    c: &mut Connection,
    id: OperationId,
    outcome: Outcome,
    detail: &Option<String>,
    again_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Operation> {
    let (mut operation, mut tried) = whole(c, id).await?;
    let to = state_after(outcome, again_at.is_some());
    if !operation.state.can_become(to) {
        return Err(StoreError::IllegalTransition { operation: id, from: operation.state, to });
    }
    if operation.state.is_final() {
        return Ok(operation);
    }
    operation.state = to;
    operation.updated_at = kept(now)?;
    operation.lease = None;
    operation.detail = detail.clone().or(operation.detail);
    tried.end(operation.attempts, outcome, detail.clone(), kept(now)?);
    moved(c, &operation, &tried).await?;
    if let Some(at) = again_at.filter(|_| to == OperationState::Queued) {
        put_off(c, &operation, Readiness::At(at), now).await?;
    }
    Ok(operation)
}

/// Writes where an operation stands.
async fn moved(c: &mut Connection, operation: &Operation, tried: &Tried) -> Result<()> {
    let lease = operation.lease.as_ref();
    sqlx::query(
        "UPDATE operations SET state = $2, updated_at = $3, detail = $4, lease_holder = $5, lease_until = $6, \
         began_at = $7, tried = $8 WHERE id = $1",
    )
    .bind(operation.id.to_string())
    .bind(operation.state.name())
    .bind(micros(operation.updated_at))
    .bind(&operation.detail)
    .bind(lease.map(|lease| lease.holder.as_str()))
    .bind(lease.map(|lease| micros(lease.until)))
    .bind(tried.began_at.map(micros))
    .bind(ended(tried)?)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

pub(super) async fn attempts(e: impl Executor<'_, Database = Db>, id: OperationId) -> Result<Vec<Attempt>> {
    let row = sqlx::query_as::<_, Whole>("SELECT * FROM operations WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    let (operation, tried) = row.ok_or_else(|| StoreError::not_found("operation", id))?.read()?;
    Ok(tried.attempts(&operation))
}

pub(super) async fn settled(c: &mut Connection, tid: &TerminalId, at: Timestamp) -> Result<u64> {
    let noted = sqlx::query(
        "UPDATE terminals SET settled_at = CASE WHEN settled_at > $2 THEN settled_at ELSE $2 END WHERE tid = $1",
    )
    .bind(tid.as_str())
    .bind(micros(at))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if noted.rows_affected() == 0 {
        return Err(StoreError::not_found("terminal", tid));
    }
    let freed = sqlx::query(
        "UPDATE operations SET awaits_settlement = FALSE WHERE tid = $1 AND awaits_settlement \
         AND state IN ('queued', 'sent', 'accepted') AND created_at <= $2 AND (due_at IS NULL OR due_at <= $2)",
    )
    .bind(tid.as_str())
    .bind(micros(at))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(freed.rows_affected())
}

pub(super) async fn due(
    e: impl Executor<'_, Database = Db>,
    after: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<TerminalId>> {
    let tids: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT tid FROM operations WHERE due_at > $1 AND due_at <= $2 AND NOT awaits_settlement \
         AND state IN ('queued', 'sent', 'accepted') AND due_at IS NOT NULL ORDER BY tid LIMIT $3",
    )
    .bind(micros(after))
    .bind(micros(until))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?;
    tids.iter().map(|tid| name(tid)).collect()
}

pub(super) async fn apply_parameters(
    c: &mut Connection,
    wanted: &[DesiredParameters],
    now: Timestamp,
) -> Result<Vec<ParametersApplied>> {
    check_terminals(wanted.iter().map(|wanted| &wanted.terminal))?;
    let mut done = Vec::with_capacity(wanted.len());
    for wanted in wanted.chunks(ROWS) {
        let mut known = desired(c, wanted.iter().map(|wanted| &wanted.terminal)).await?;
        let mut changed = Vec::new();
        for wanted in wanted {
            done.push(match known.remove(&wanted.terminal) {
                None => ParametersApplied::Missing,
                Some(desired) if desired.parameters == wanted.parameters => ParametersApplied::Same,
                Some(mut desired) => {
                    desired.parameters.clone_from(&wanted.parameters);
                    let revision = next_revision(&mut desired)?;
                    changed.push((wanted.operation(revision), desired));
                    ParametersApplied::Queued { revision, operation: wanted.ticket.id }
                }
            });
        }
        change_desired(c, &changed, now).await?;
    }
    Ok(done)
}

/// What each of these terminals should be, for whoever is about to change it.
pub(super) async fn desired(
    c: &mut Connection,
    tids: impl Iterator<Item = &TerminalId>,
) -> Result<BTreeMap<TerminalId, Desired>> {
    let mut query = QueryBuilder::<Db>::new("SELECT tid, desired FROM terminals WHERE tid IN (");
    push_list(&mut query, tids.map(TerminalId::as_str));
    query.push(") ORDER BY tid").push(super::super::LOCK_ROWS);
    let query = query.build_query_as::<(String, String)>().persistent(false);
    let rows = query.fetch_all(c).await.map_err(sql)?;
    rows.iter().map(|(tid, desired)| Ok((name(tid)?, from_json(desired)?))).collect()
}

pub(super) fn next_revision(desired: &mut Desired) -> Result<u64> {
    desired.parameters_revision = desired
        .parameters_revision
        .checked_add(1)
        .ok_or_else(|| StoreError::conflict("the revisions of this terminal are used up"))?;
    Ok(desired.parameters_revision)
}

/// Writes what terminals should be, cancels what would make them something else, and queues what makes them so:
/// operations of one kind, one for each terminal.
pub(super) async fn change_desired(
    c: &mut Connection,
    changed: &[(NewOperation, Desired)],
    now: Timestamp,
) -> Result<()> {
    let Some((first, _)) = changed.first() else { return Ok(()) };
    let rows = changed.iter().map(|(new, desired)| Ok((new, to_json(desired)?, desired)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE terminals SET desired = v.column2, desired_firmware = v.column3 FROM (",
    );
    query.push_values(rows, |mut row, (new, json, desired)| {
        let firmware = desired.firmware.as_ref().map(FirmwareId::as_str);
        row.push_bind(new.terminal.as_str()).push_bind(json).push_bind(firmware);
    });
    query.push(") AS v WHERE terminals.tid = v.column1");
    query.build().persistent(changed.len() == 1).execute(&mut *c).await.map_err(sql)?;

    let mut query = QueryBuilder::<Db>::new(
        "UPDATE operations SET state = 'cancelled', detail = v.column2, updated_at = ",
    );
    query.push_bind(micros(now)).push(", lease_holder = NULL, lease_until = NULL FROM (");
    query.push_values(changed, |mut row, (new, _)| {
        row.push_bind(new.terminal.as_str()).push_bind(replacement_detail(&new.kind));
    });
    query.push(
        ") AS v WHERE operations.tid = v.column1 AND operations.state IN ('queued', 'sent', 'accepted') \
         AND operations.kind_name = ",
    );
    query.push_bind(first.kind.name());
    // Parameters that were sent are left alone: the terminal may be at them. An installation is not.
    if matches!(first.kind, OperationKind::SetParameters { .. }) {
        query.push(" AND operations.state = 'queued'");
    }
    query.build().persistent(changed.len() == 1).execute(&mut *c).await.map_err(sql)?;

    let new: Vec<_> = changed.iter().map(|(new, _)| new.clone()).collect();
    enqueue_many(c, &new, now).await
}

pub(super) async fn cancel_many(
    c: &mut Connection,
    which: &[(OperationId, Ticket)],
    detail: &str,
    now: Timestamp,
) -> Result<Vec<(Operation, Option<Operation>)>> {
    let mut cancelled = Vec::with_capacity(which.len());
    // In one order for all, so that two calls do not wait for each other.
    let mut which = which.to_vec();
    which.sort_unstable_by_key(|(id, _)| *id);
    for (id, ticket) in which {
        match cancel(c, id, detail, ticket, now).await {
            Ok(done) => cancelled.push(done),
            Err(StoreError::IllegalTransition { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(cancelled)
}

pub(super) async fn of_batch(
    e: impl Executor<'_, Database = Db>,
    batch: &BatchId,
    after: Option<OperationId>,
    limit: u32,
) -> Result<Vec<Operation>> {
    // Every id is greater than the empty text.
    let rows = sqlx::query_as::<_, OperationRow>(
        "SELECT * FROM operations WHERE batch = $1 AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(batch.as_str())
    .bind(after.map(|id| id.to_string()).unwrap_or_default())
    .bind(i64::from(limit))
    .fetch_all(e)
    .await;
    rows.map_err(sql)?.into_iter().map(Operation::try_from).collect()
}

pub(super) async fn batch_counts(
    e: impl Executor<'_, Database = Db>,
    batch: &BatchId,
) -> Result<Vec<(OperationState, u64)>> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT state, COUNT(*) FROM operations WHERE batch = $1 GROUP BY state")
            .bind(batch.as_str())
            .fetch_all(e)
            .await
            .map_err(sql)?;
    let counts: BTreeMap<String, i64> = rows.into_iter().collect();
    let found = OperationState::ALL.into_iter().filter_map(|state| Some((state, *counts.get(state.name())?)));
    found.map(|(state, count)| Ok((state, unsigned(count)?))).collect()
}

pub(super) async fn set_progress(c: &mut Connection, id: OperationId, progress: Progress) -> Result<()> {
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
    c: &mut Connection,
    id: OperationId,
    result: &BTreeMap<String, String>,
) -> Result<()> {
    let mut known = existing(c, id).await?.result;
    known.extend(result.clone());
    sqlx::query("UPDATE operations SET result = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(to_json(&known)?)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}

pub(super) async fn cancel(
    c: &mut Connection,
    id: OperationId,
    detail: &str,
    ticket: Ticket,
    now: Timestamp,
) -> Result<(Operation, Option<Operation>)> {
    let before = existing(c, id).await?;
    let cancelled = transition(c, id, OperationState::Cancelled, &Some(detail.to_owned()), now).await?;
    let may_have_begun = before.is_open() && before.attempts > 0;
    if !may_have_begun || !before.kind.is_cancelled_at_the_terminal() {
        return Ok((cancelled, None));
    }
    let kind = OperationKind::CancelOperation { target: id };
    let told = enqueue(c, &with_ticket(before.terminal, kind, ticket), now).await?;
    Ok((cancelled, Some(told)))
}

pub(super) async fn expire(c: &mut Connection, now: Timestamp) -> Result<u64> {
    let expired = sqlx::query(concat!(
        "UPDATE operations SET state = 'expired', detail = 'the terminal did not finish it in time', ",
        "updated_at = $1, lease_holder = NULL, lease_until = NULL WHERE id IN (",
        locked!(
            "SELECT id FROM operations WHERE state IN ('queued', 'sent', 'accepted') AND expires_at <= $1 ORDER BY id"
        ),
        ")",
    ))
    .bind(micros(now))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(expired.rows_affected())
}

/// The operation, for whoever is about to change it.
pub(super) async fn existing(c: &mut Connection, id: OperationId) -> Result<Operation> {
    whole(c, id).await.map(|(operation, _)| operation)
}

/// The operation with its attempts, for whoever is about to change it.
async fn whole(c: &mut Connection, id: OperationId) -> Result<(Operation, Tried)> {
    sqlx::query_as::<_, Whole>(locked!("SELECT * FROM operations WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(c)
        .await
        .map_err(sql)?
        .ok_or_else(|| StoreError::not_found("operation", id))?
        .read()
}

pub(super) async fn one(e: impl Executor<'_, Database = Db>, id: OperationId) -> Result<Option<Operation>> {
    sqlx::query_as::<_, OperationRow>("SELECT * FROM operations WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(Operation::try_from)
        .transpose()
}

pub(super) async fn page(
    e: impl Executor<'_, Database = Db>,
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

pub(super) async fn open(e: impl Executor<'_, Database = Db>, tid: &TerminalId) -> Result<Vec<Operation>> {
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

pub(super) async fn count_open(e: impl Executor<'_, Database = Db>) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM operations WHERE state IN ('queued', 'sent', 'accepted')")
            .fetch_one(e)
            .await
            .map_err(sql)?;
    unsigned(count)
}
