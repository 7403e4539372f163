//! Rollouts and their targets.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, Executor, QueryBuilder};
use tms_core::rollout::{MAX_WAVES, Tally, TargetState, WaveTally, allocate};
use tms_core::{FirmwareId, OperationId, OperationState, Rollout, RolloutId, RolloutTarget, TerminalId};

use super::super::SNAPSHOT;
use super::{Connection, Db, artifacts, operations, selector, sql, terminals};
use crate::error::StoreError;
use crate::row::{TargetRow, from_json, kept, micros, name, signed, time, to_json, unsigned};
use crate::store::Result;
use crate::work::{
    DesiredParameters, StartedTarget, StartedWork, TargetFilter, Watched, Work, check_terminals, mix,
    new_operation,
};

/// Rows in one statement; the widest binds nine values for each.
const ROWS: usize = 500;

pub(super) async fn add(c: &mut Connection, rollout: &Rollout) -> Result<Rollout> {
    let rollout = Rollout { version: 1, ..rollout.clone() };
    let added = sqlx::query(
        "INSERT INTO rollouts (id, state, content, version) VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING",
    )
    .bind(rollout.id.as_str())
    .bind(rollout.state.name())
    .bind(to_json(&rollout)?)
    .execute(c)
    .await
    .map_err(sql)?;
    match added.rows_affected() {
        0 => Err(StoreError::conflict(format!("rollout {} exists already", rollout.id))),
        _ => Ok(rollout),
    }
}

pub(super) async fn one(e: impl Executor<'_, Database = Db>, id: &RolloutId) -> Result<Option<Rollout>> {
    let content: Option<String> = sqlx::query_scalar("SELECT content FROM rollouts WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    content.as_deref().map(from_json).transpose()
}

pub(super) async fn page(
    e: impl Executor<'_, Database = Db>,
    only_under_way: bool,
    after: Option<&RolloutId>,
    limit: u32,
) -> Result<Vec<Rollout>> {
    // Every id is greater than the empty text.
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT content FROM rollouts WHERE id > $1 AND (NOT $2 OR state NOT IN ('draft', 'finished', 'aborted')) \
         ORDER BY id LIMIT $3",
    )
    .bind(after.map_or("", RolloutId::as_str))
    .bind(only_under_way)
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?;
    rows.iter().map(|content| from_json(content)).collect()
}

/// Writes a rollout that follows the version that is stored. The row stays locked until the transaction ends.
pub(super) async fn put(c: &mut Connection, rollout: &Rollout) -> Result<()> {
    let seen = rollout.version.saturating_sub(1);
    let put = sqlx::query(
        "UPDATE rollouts SET state = $2, content = $3, version = $4 WHERE id = $1 AND version = $5",
    )
    .bind(rollout.id.as_str())
    .bind(rollout.state.name())
    .bind(to_json(rollout)?)
    .bind(signed(rollout.version))
    .bind(signed(seen))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if put.rows_affected() > 0 {
        return Ok(());
    }
    let known = one(c, &rollout.id).await?.ok_or_else(|| StoreError::not_found("rollout", &rollout.id))?;
    Err(StoreError::Stale { what: "rollout", name: rollout.id.to_string(), seen, found: known.version })
}

pub(super) async fn start(c: &mut Connection, rollout: &Rollout, now: Timestamp) -> Result<u64> {
    put(c, rollout).await?;
    let mut query = QueryBuilder::<Db>::new(
        "SELECT t.tid, t.tags FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid WHERE ",
    );
    selector::push(&mut query, rollout.selector.expr(), kept(now)?);
    let rows: Vec<(String, String)> =
        query.build_query_as().persistent(false).fetch_all(&mut *c).await.map_err(sql)?;
    let targets = rows.iter().map(|(tid, tags)| Ok((name::<TerminalId>(tid)?, from_json(tags)?)));
    let mut targets = targets.collect::<Result<Vec<_>>>()?;
    mix(&rollout.id, &mut targets);
    let frozen: Vec<_> = (0_i64..).zip(allocate(&rollout.waves, &targets)).collect();
    for chunk in frozen.chunks(ROWS) {
        let mut query =
            QueryBuilder::<Db>::new("INSERT INTO rollout_targets (rollout, place, tid, wave, state) ");
        query.push_values(chunk, |mut row, (place, target)| {
            row.push_bind(rollout.id.as_str())
                .push_bind(*place)
                .push_bind(target.terminal.as_str())
                .push_bind(i64::from(target.wave))
                .push_bind(TargetState::Waiting.name());
        });
        query.build().persistent(false).execute(&mut *c).await.map_err(sql)?;
    }
    Ok(u64::try_from(frozen.len()).unwrap_or(u64::MAX))
}

pub(super) async fn start_targets(
    c: &mut Connection,
    rollout: &Rollout,
    started: &[StartedTarget],
    now: Timestamp,
) -> Result<()> {
    check_terminals(started.iter().map(|started| &started.target.terminal))?;
    put(c, rollout).await?;
    for started in started.chunks(ROWS) {
        let moves: Vec<_> = started.iter().map(|started| (TargetState::Waiting, &started.target)).collect();
        let moved = write(c, &rollout.id, &moves).await?;
        if usize::try_from(moved) != Ok(started.len()) {
            return Err(StoreError::conflict(format!(
                "not all of these targets of rollout {} wait",
                rollout.id
            )));
        }
        begin(c, started, now).await?;
    }
    Ok(())
}

/// Gives terminals their work: a chunk of them in few statements.
async fn begin(c: &mut Connection, started: &[StartedTarget], now: Timestamp) -> Result<()> {
    let (mut commands, mut parameters, mut firmware) = (Vec::new(), Vec::new(), Vec::new());
    for StartedTarget { target, work } in started {
        let Some(StartedWork { work, ticket, terms }) = work else { continue };
        let (terminal, ticket) = (&target.terminal, *ticket);
        match work {
            Work::Command(kind) => commands.push(new_operation(terminal, kind.clone(), ticket, terms)),
            Work::Parameters(values) => parameters.push(DesiredParameters {
                terminal: terminal.clone(),
                parameters: values.clone(),
                ticket,
                terms: terms.clone(),
            }),
            Work::Firmware(id) => {
                let kind = tms_core::OperationKind::InstallFirmware { firmware: id.clone() };
                firmware.push((id, new_operation(terminal, kind, ticket, terms)));
            }
        }
    }
    operations::enqueue_many(c, &commands, now).await?;
    if !parameters.is_empty() {
        let mut known = operations::desired(c, parameters.iter().map(|wanted| &wanted.terminal)).await?;
        let mut changed = Vec::with_capacity(parameters.len());
        for wanted in &parameters {
            let missing = || StoreError::not_found("terminal", &wanted.terminal);
            let mut desired = known.remove(&wanted.terminal).ok_or_else(missing)?;
            if desired.parameters != wanted.parameters {
                desired.parameters.clone_from(&wanted.parameters);
                operations::next_revision(&mut desired)?;
            }
            changed.push((wanted.operation(desired.parameters_revision), desired));
        }
        operations::change_desired(c, &changed, now).await?;
    }
    if !firmware.is_empty() {
        let ids: BTreeSet<&FirmwareId> = firmware.iter().map(|(id, _)| *id).collect();
        for id in ids {
            if artifacts::firmware(&mut *c, id).await?.is_none() {
                return Err(StoreError::not_found("firmware", id));
            }
        }
        let mut known = operations::desired(c, firmware.iter().map(|(_, new)| &new.terminal)).await?;
        let mut changed = Vec::with_capacity(firmware.len());
        for (id, new) in firmware {
            let missing = || StoreError::not_found("terminal", &new.terminal);
            let mut desired = known.remove(&new.terminal).ok_or_else(missing)?;
            desired.firmware = Some(id.clone());
            changed.push((new, desired));
        }
        operations::change_desired(c, &changed, now).await?;
    }
    Ok(())
}

pub(super) async fn skip_waiting(c: &mut Connection, rollout: &Rollout, reason: &str) -> Result<u64> {
    put(c, rollout).await?;
    let skipped = sqlx::query(
        "UPDATE rollout_targets SET state = 'skipped', reason = $2 WHERE rollout = $1 AND state = 'waiting'",
    )
    .bind(rollout.id.as_str())
    .bind(reason)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(skipped.rows_affected())
}

pub(super) async fn move_targets(
    c: &mut Connection,
    id: &RolloutId,
    moves: &[(TargetState, RolloutTarget)],
) -> Result<u64> {
    check_terminals(moves.iter().map(|(_, target)| &target.terminal))?;
    // In one order for all, so that two calls do not wait for each other.
    let mut sorted: Vec<_> = moves.iter().map(|(from, target)| (*from, target)).collect();
    sorted.sort_unstable_by_key(|(_, target)| &target.terminal);
    let mut moved = 0_u64;
    for moves in sorted.chunks(ROWS) {
        moved = moved.saturating_add(write(c, id, moves).await?);
    }
    Ok(moved)
}

/// Writes targets that still are in the state that each is said to come from; answers how many were.
async fn write(c: &mut Connection, id: &RolloutId, moves: &[(TargetState, &RolloutTarget)]) -> Result<u64> {
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE rollout_targets SET state = v.column3, operation = v.column4, started_at = v.column5, \
         soak_until = v.column6, judge_by = v.column7, reason = v.column8 FROM (",
    );
    query.push_values(moves, |mut row, (from, target)| {
        row.push_bind(target.terminal.as_str())
            .push_bind(from.name())
            .push_bind(target.state.name())
            .push_bind(target.operation.map(|id| id.to_string()))
            .push_bind(target.started_at.map(micros))
            .push_bind(target.soak_until.map(micros))
            .push_bind(target.judge_by.map(micros))
            .push_bind(&target.reason);
    });
    query.push(") AS v WHERE rollout_targets.rollout = ").push_bind(id.as_str());
    query.push(" AND rollout_targets.tid = v.column1 AND rollout_targets.state = v.column2");
    let written = query.build().persistent(moves.len() == 1).execute(c).await.map_err(sql)?;
    Ok(written.rows_affected())
}

/// The rollout and its counts at one moment.
pub(super) async fn tally(
    c: &mut Connection,
    id: &RolloutId,
    now: Timestamp,
) -> Result<Option<(Rollout, Tally)>> {
    let mut c = c.begin_with(SNAPSHOT).await.map_err(sql)?;
    let Some(rollout) = one(&mut *c, id).await? else {
        // Not left to whoever uses the connection next: until then it would hold what it has looked at.
        c.rollback().await.map_err(sql)?;
        return Ok(None);
    };
    let mut tally = Tally::default();
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT wave, state, COUNT(*) FROM rollout_targets WHERE rollout = $1 GROUP BY state, wave",
    )
    .bind(id.as_str())
    .fetch_all(&mut *c)
    .await
    .map_err(sql)?;
    for (wave, state, count) in rows {
        let wave = usize::try_from(wave).unwrap_or(usize::MAX).min(MAX_WAVES);
        if tally.waves.len() <= wave {
            tally.waves.resize(wave.saturating_add(1), WaveTally::default());
        }
        if let Some(counts) = tally.waves.get_mut(wave) {
            *counted(counts, name(&state)?) = unsigned(count)?;
        }
    }
    let minute_ago = now.checked_sub(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MIN);
    let (lately, first): (i64, Option<i64>) = sqlx::query_as(
        "SELECT COUNT(*), MIN(started_at) FROM rollout_targets WHERE rollout = $1 AND started_at > $2",
    )
    .bind(id.as_str())
    .bind(micros(minute_ago))
    .fetch_one(&mut *c)
    .await
    .map_err(sql)?;
    tally.started_lately = unsigned(lately)?;
    tally.first_lately = first.map(time).transpose()?;
    let (soak, judge): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT MIN(CASE WHEN soak_until > $2 THEN soak_until END), MIN(CASE WHEN judge_by > $2 THEN judge_by END) \
         FROM rollout_targets WHERE rollout = $1 AND state = 'soaking'",
    )
    .bind(id.as_str())
    .bind(micros(now))
    .fetch_one(&mut *c)
    .await
    .map_err(sql)?;
    tally.next_look = [soak, judge].into_iter().flatten().min().map(time).transpose()?;
    c.rollback().await.map_err(sql)?;
    Ok(Some((rollout, tally)))
}

fn counted(counts: &mut WaveTally, state: TargetState) -> &mut u64 {
    match state {
        TargetState::Waiting => &mut counts.waiting,
        TargetState::Queued => &mut counts.queued,
        TargetState::Soaking => &mut counts.soaking,
        TargetState::Succeeded => &mut counts.succeeded,
        TargetState::Failed => &mut counts.failed,
        TargetState::Skipped => &mut counts.skipped,
        TargetState::Cancelled => &mut counts.cancelled,
    }
}

/// Where a page begins: behind the place of a terminal.
const BEHIND: &str =
    "COALESCE((SELECT p.place FROM rollout_targets p WHERE p.rollout = r.rollout AND p.tid = ";

pub(super) async fn targets(
    e: impl Executor<'_, Database = Db>,
    id: &RolloutId,
    filter: TargetFilter,
    after: Option<&TerminalId>,
    limit: u32,
) -> Result<Vec<RolloutTarget>> {
    let mut query = QueryBuilder::<Db>::new("SELECT r.* FROM rollout_targets r WHERE r.rollout = ");
    query.push_bind(id.as_str());
    if let Some(state) = filter.state {
        query.push(" AND r.state = ").push_bind(state.name());
    }
    if let Some(wave) = filter.wave {
        query.push(" AND r.wave = ").push_bind(i64::from(wave));
    }
    if let Some(after) = after {
        query.push(" AND r.place > ").push(BEHIND).push_bind(after.as_str()).push("), -1)");
    }
    query.push(" ORDER BY r.place LIMIT ").push_bind(i64::from(limit));
    let rows = query.build_query_as::<TargetRow>().fetch_all(e).await;
    rows.map_err(sql)?.into_iter().map(RolloutTarget::try_from).collect()
}

pub(super) async fn of_operation(
    e: impl Executor<'_, Database = Db>,
    operation: OperationId,
) -> Result<Option<(RolloutId, RolloutTarget)>> {
    let row = sqlx::query_as::<_, TargetRow>("SELECT * FROM rollout_targets WHERE operation = $1")
        .bind(operation.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    row.map(|row| Ok((name(row.rollout())?, row.try_into()?))).transpose()
}

/// A target with what its operation says.
#[derive(sqlx::FromRow)]
struct WatchedRow {
    #[sqlx(flatten)]
    target: TargetRow,
    operation_state: Option<String>,
    operation_detail: Option<String>,
}

pub(super) async fn watched(
    c: &mut Connection,
    id: &RolloutId,
    all_soaking: bool,
    after: Option<&TerminalId>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Watched>> {
    let mut c = c.begin_with(SNAPSHOT).await.map_err(sql)?;
    let mut query = QueryBuilder::<Db>::new(
        "SELECT r.*, o.state AS operation_state, o.detail AS operation_detail FROM rollout_targets r \
         LEFT JOIN operations o ON o.id = r.operation WHERE r.rollout = ",
    );
    query.push_bind(id.as_str());
    query.push(
        " AND ((r.state = 'queued' AND (o.state IS NULL OR o.state NOT IN ('queued', 'sent', 'accepted'))) \
         OR (r.state = 'soaking' AND ",
    );
    match all_soaking {
        true => query.push("TRUE"),
        false => query.push("(r.soak_until IS NULL OR r.soak_until <= ").push_bind(micros(now)).push(")"),
    };
    query.push("))");
    if let Some(after) = after {
        query.push(" AND r.place > ").push(BEHIND).push_bind(after.as_str()).push("), -1)");
    }
    query.push(" ORDER BY r.place LIMIT ").push_bind(i64::from(limit));
    let rows = query.build_query_as::<WatchedRow>().fetch_all(&mut *c).await.map_err(sql)?;
    let mut watched = Vec::with_capacity(rows.len());
    for rows in rows.chunks(ROWS) {
        let tids = rows.iter().map(|row| name(row.target.tid())).collect::<Result<Vec<TerminalId>>>()?;
        let known = terminals::some(&mut *c, &tids).await?;
        let known: BTreeMap<_, _> =
            known.into_iter().map(|terminal| (terminal.id.clone(), terminal)).collect();
        for row in rows {
            let target = RolloutTarget::try_from(row.target.clone())?;
            let state = row.operation_state.as_deref().map(name::<OperationState>).transpose()?;
            let operation = state.map(|state| (state, row.operation_detail.clone()));
            let missing = || StoreError::not_found("terminal", &target.terminal);
            let terminal = known.get(&target.terminal).cloned().ok_or_else(missing)?;
            watched.push(Watched { target, operation, terminal });
        }
    }
    c.rollback().await.map_err(sql)?;
    Ok(watched)
}
