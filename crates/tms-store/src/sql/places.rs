//! Changes that people make to terminals: one, those that a selector means, and whole files of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::{Connection as _, QueryBuilder};
use tms_core::{AttributeValue, GroupId, Place, Selector, Terminal, TerminalId};

use super::{Connection, Db, push_list, sql, terminals};
use crate::error::StoreError;
use crate::estate::{
    BulkChange, ImportRow, Imported, MAX_TERMINALS_AT_ONCE, TerminalChange, Verdict, replaced,
    retirement_detail, seen,
};
use crate::row::{micros, name, signed, to_json};
use crate::store::Result;

/// Terminals in one statement; the widest binds fourteen values for each.
const ROWS: usize = 500;

pub(super) async fn change(
    c: &mut Connection,
    tid: &TerminalId,
    change: &TerminalChange,
    version: Option<u64>,
) -> Result<Terminal> {
    let known = terminals::existing(c, tid).await?;
    seen("terminal", tid, version, known.place.version)?;
    let Some(changed) = change.of(&known)? else { return Ok(known) };
    check(c, &changed.place).await?;
    put(c, &[(known, changed.clone())]).await?;
    Ok(changed)
}

pub(super) async fn change_selected(
    c: &mut Connection,
    selector: &Selector,
    change: &TerminalChange,
    now: Timestamp,
) -> Result<BulkChange> {
    if let Some(Some(group)) = &change.group {
        check_groups(c, &[group.clone()].into()).await?;
    }
    let ids = terminals::ids(&mut *c, selector, now).await?;
    bounded(ids.len())?;
    let mut done = BulkChange::default();
    for ids in ids.chunks(ROWS) {
        terminals::lock(c, ids).await?;
        let mut changes = Vec::with_capacity(ids.len());
        for known in terminals::some(&mut *c, ids).await? {
            let changed = change.of(&known);
            done.count(&known.id, &changed);
            changes.extend(changed.ok().flatten().map(|changed| (known, changed)));
        }
        put(c, &changes).await?;
    }
    Ok(done)
}

pub(super) async fn import(
    c: &mut Connection,
    rows: &[ImportRow],
    dry_run: bool,
    now: Timestamp,
) -> Result<Imported> {
    bounded(rows.len())?;
    // Undone without an error, so that the verdicts come back.
    let mut savepoint = c.begin().await.map_err(sql)?;
    let verdicts = import_rows(&mut savepoint, rows, now).await?;
    let is_applied = !dry_run && !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Refused(_)));
    match is_applied {
        true => savepoint.commit().await.map_err(sql)?,
        false => savepoint.rollback().await.map_err(sql)?,
    }
    Ok(Imported { verdicts, is_applied })
}

async fn import_rows(c: &mut Connection, rows: &[ImportRow], now: Timestamp) -> Result<Vec<Verdict>> {
    let groups: BTreeSet<GroupId> =
        rows.iter().filter_map(|row| row.change.group.clone().flatten()).collect();
    let groups = known_groups(c, &groups).await?;
    let mut verdicts = Vec::with_capacity(rows.len());
    let mut first: BTreeMap<&TerminalId, usize> = BTreeMap::new();
    for (chunk, start) in rows.chunks(ROWS).zip((1_usize..).step_by(ROWS)) {
        let mut ids: Vec<TerminalId> = chunk.iter().map(|row| row.id.clone()).collect();
        ids.sort_unstable();
        terminals::lock(c, &ids).await?;
        let known = terminals::some(&mut *c, &ids).await?;
        let mut known: BTreeMap<TerminalId, Terminal> =
            known.into_iter().map(|terminal| (terminal.id.clone(), terminal)).collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for (row, number) in chunk.iter().zip(start..) {
            let earlier = *first.entry(&row.id).or_insert(number);
            if earlier != number {
                let refused = format!("terminal {} is in row {earlier} too", row.id);
                verdicts.push(Verdict::Refused(refused));
                continue;
            }
            if let Some(Some(group)) = &row.change.group
                && !groups.contains(group)
            {
                verdicts.push(Verdict::Refused(format!("there is no group {group}")));
                continue;
            }
            let before = known.remove(&row.id);
            let verdict = match row.of(before.as_ref(), now) {
                Ok((verdict, after)) => {
                    match (before, after) {
                        (Some(before), Some(after)) => changed.push((before, after)),
                        (None, Some(after)) => added.push(after),
                        (_, None) => {}
                    }
                    verdict
                }
                Err(reason) => Verdict::Refused(reason.to_string()),
            };
            verdicts.push(verdict);
        }
        if !added.is_empty() {
            let count = terminals::insert(c, &added).await?;
            if usize::try_from(count) != Ok(added.len()) {
                return Err(StoreError::unavailable("somebody else adds the same terminals now; try again"));
            }
            let pairs: Vec<_> = added.iter().map(|after| (None, after)).collect();
            index(c, &pairs).await?;
        }
        put(c, &changed).await?;
    }
    Ok(verdicts)
}

pub(super) async fn replace(
    c: &mut Connection,
    old: &TerminalId,
    new: &TerminalId,
    now: Timestamp,
) -> Result<(Terminal, Terminal)> {
    let mut order = [old.clone(), new.clone()];
    order.sort_unstable();
    terminals::lock(c, &order).await?;
    let (old, new) = (terminals::existing(c, old).await?, terminals::existing(c, new).await?);
    let (retired, heir) = replaced(&old, &new)?;
    put(c, &[(old, retired.clone()), (new, heir.clone())]).await?;
    sqlx::query(
        "UPDATE operations SET state = 'cancelled', detail = $2, updated_at = $3, lease_holder = NULL, \
         lease_until = NULL WHERE tid = $1 AND state IN ('queued', 'sent', 'accepted')",
    )
    .bind(retired.id.as_str())
    .bind(retirement_detail(&heir.id))
    .bind(micros(now))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok((retired, heir))
}

fn bounded(count: usize) -> Result<()> {
    match count {
        0..=MAX_TERMINALS_AT_ONCE => Ok(()),
        count => Err(StoreError::invalid(format!(
            "these are {count} terminals; at most {MAX_TERMINALS_AT_ONCE} are changed at once"
        ))),
    }
}

/// Whether a terminal may have this place.
pub(super) async fn check(c: &mut Connection, place: &Place) -> Result<()> {
    place.check().map_err(|error| StoreError::invalid(error.to_string()))?;
    check_groups(c, &place.group.iter().cloned().collect()).await
}

async fn check_groups(c: &mut Connection, wanted: &BTreeSet<GroupId>) -> Result<()> {
    let known = known_groups(c, wanted).await?;
    match wanted.difference(&known).next() {
        Some(missing) => Err(StoreError::not_found("group", missing)),
        None => Ok(()),
    }
}

async fn known_groups(c: &mut Connection, wanted: &BTreeSet<GroupId>) -> Result<BTreeSet<GroupId>> {
    let mut known = BTreeSet::new();
    let wanted: Vec<_> = wanted.iter().collect();
    for wanted in wanted.chunks(ROWS) {
        let mut query = QueryBuilder::<Db>::new("SELECT id FROM groups WHERE id IN (");
        push_list(&mut query, wanted.iter().map(|id| id.as_str()));
        query.push(")");
        let query = query.build_query_scalar::<String>().persistent(wanted.len() == 1);
        for id in query.fetch_all(&mut *c).await.map_err(sql)? {
            known.insert(name(&id)?);
        }
    }
    Ok(known)
}

/// Writes what people have changed in terminals that there are: each as it was and as it is.
pub(super) async fn put(c: &mut Connection, changes: &[(Terminal, Terminal)]) -> Result<()> {
    for chunk in changes.chunks(ROWS) {
        let json = chunk.iter().map(|(_, after)| {
            let Place { tags, attributes, .. } = &after.place;
            Ok((to_json(tags)?, to_json(attributes)?))
        });
        let json = json.collect::<Result<Vec<_>>>()?;
        let mut query = QueryBuilder::<Db>::new(
            "UPDATE terminals SET merchant = v.column2, profile = v.column3, model = v.column4, \
             hardware_revision = v.column5, serial = v.column6, vendor = v.column7, time_zone = v.column8, \
             life_cycle = v.column9, replaced_by = v.column10, group_id = v.column11, tags = v.column12, \
             attributes = v.column13, version = v.column14 FROM (",
        );
        query.push_values(chunk.iter().zip(json), |mut row, ((_, after), (tags, attributes))| {
            let place = &after.place;
            row.push_bind(after.id.as_str())
                .push_bind(after.merchant.as_str())
                .push_bind(after.profile.as_str())
                .push_bind(&after.model)
                .push_bind(&after.hardware_revision)
                .push_bind(&after.serial)
                .push_bind(&place.vendor)
                .push_bind(place.time_zone.as_str())
                .push_bind(place.life_cycle.name())
                .push_bind(place.replaced_by.as_ref().map(TerminalId::as_str))
                .push_bind(place.group.as_ref().map(GroupId::as_str))
                .push_bind(tags)
                .push_bind(attributes)
                .push_bind(signed(place.version));
        });
        query.push(") AS v WHERE terminals.tid = v.column1");
        query.build().persistent(chunk.len() == 1).execute(&mut *c).await.map_err(sql)?;
        let pairs: Vec<_> = chunk.iter().map(|(before, after)| (Some(before), after)).collect();
        index(c, &pairs).await?;
    }
    Ok(())
}

/// Brings the tables by which terminals are found to what the terminals have now.
pub(super) async fn index(c: &mut Connection, changes: &[(Option<&Terminal>, &Terminal)]) -> Result<()> {
    let differ = |same: fn(&Place, &Place) -> bool| {
        changes.iter().filter(move |(before, after)| !before.is_some_and(|b| same(&b.place, &after.place)))
    };
    let retagged: Vec<_> = differ(|a, b| a.tags == b.tags).collect();
    clear(c, "terminal_tags", &retagged).await?;
    let tags: Vec<_> = retagged
        .iter()
        .flat_map(|(_, after)| after.place.tags.iter().map(|tag| (after.id.as_str(), tag.as_str())))
        .collect();
    for chunk in tags.chunks(ROWS) {
        let mut query = QueryBuilder::<Db>::new("INSERT INTO terminal_tags (tid, tag) ");
        query.push_values(chunk, |mut row, (tid, tag)| {
            row.push_bind(*tid).push_bind(*tag);
        });
        query.build().persistent(false).execute(&mut *c).await.map_err(sql)?;
    }
    let described: Vec<_> = differ(|a, b| a.attributes == b.attributes).collect();
    clear(c, "terminal_attributes", &described).await?;
    let attributes: Vec<_> = described
        .iter()
        .flat_map(|(_, after)| after.place.attributes.iter().map(|pair| (after.id.as_str(), pair)))
        .collect();
    for chunk in attributes.chunks(ROWS) {
        let mut query =
            QueryBuilder::<Db>::new("INSERT INTO terminal_attributes (tid, name, text, number, flag) ");
        query.push_values(chunk, |mut row, (tid, (name, value))| {
            let (text, number, flag) = match value {
                AttributeValue::Text(text) => (Some(text), None, None),
                AttributeValue::Integer(number) => (None, Some(*number), None),
                AttributeValue::Flag(flag) => (None, None, Some(*flag)),
            };
            row.push_bind(*tid).push_bind(name.as_str()).push_bind(text).push_bind(number).push_bind(flag);
        });
        query.build().persistent(false).execute(&mut *c).await.map_err(sql)?;
    }
    Ok(())
}

async fn clear(
    c: &mut Connection,
    table: &'static str,
    changes: &[&(Option<&Terminal>, &Terminal)],
) -> Result<()> {
    // A terminal that is new has nothing there.
    let known: Vec<_> = changes.iter().filter(|(before, _)| before.is_some()).collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Db>::new("DELETE FROM ");
    query.push(table).push(" WHERE tid IN (");
    push_list(&mut query, known.iter().map(|(_, after)| after.id.as_str()));
    query.push(")");
    query.build().persistent(false).execute(c).await.map_err(sql)?;
    Ok(())
}
