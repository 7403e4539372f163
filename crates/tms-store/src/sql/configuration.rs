//! Revisions of scopes, and what the effective configuration of terminals is put together from.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, Executor, QueryBuilder};
use tms_core::configuration::{Revision, Scope, scopes};
use tms_core::{GroupId, TerminalId, Tree};

use super::super::SNAPSHOT;
use super::{Connection, Db, groups, push_list, sql, terminals};
use crate::error::StoreError;
use crate::estate::ConfigurationInputs;
use crate::row::{RevisionRow, micros, signed, to_json, unsigned};
use crate::store::Result;

/// Names in one statement.
const NAMES: usize = 500;

pub(super) async fn add(c: &mut Connection, revision: &Revision) -> Result<Revision> {
    let scope = &revision.scope;
    match scope {
        Scope::Template(_) => {}
        Scope::Group(id) if groups::one(&mut *c, id).await?.is_none() => {
            return Err(StoreError::not_found("group", id));
        }
        Scope::Terminal(tid) if !terminals::exists(&mut *c, tid).await? => {
            return Err(StoreError::not_found("terminal", tid));
        }
        Scope::Group(_) | Scope::Terminal(_) => {}
    }
    let latest = latest(c, scope).await?;
    let stale = |found| StoreError::Stale {
        what: "configuration",
        name: scope.to_string(),
        seen: revision.number.saturating_sub(1),
        found,
    };
    if revision.number != latest.saturating_add(1) {
        return Err(stale(latest));
    }
    let added = sqlx::query(
        "INSERT INTO revisions (scope, number, content, author, reason, at, rolled_back_from) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(scope.to_string())
    .bind(signed(revision.number))
    .bind(to_json(&revision.values)?)
    .bind(&revision.author)
    .bind(&revision.reason)
    .bind(micros(revision.at))
    .bind(revision.rolled_back_from.map(signed))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if added.rows_affected() == 0 {
        return Err(stale(revision.number));
    }
    one(c, scope, Some(revision.number)).await?.ok_or_else(|| StoreError::not_found("configuration", scope))
}

async fn latest(c: &mut Connection, scope: &Scope) -> Result<u64> {
    let latest: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM revisions WHERE scope = $1")
        .bind(scope.to_string())
        .fetch_one(c)
        .await
        .map_err(sql)?;
    unsigned(latest.unwrap_or(0))
}

pub(super) async fn one(
    e: impl Executor<'_, Database = Db>,
    scope: &Scope,
    number: Option<u64>,
) -> Result<Option<Revision>> {
    let (query, number) = match number {
        Some(number) => ("SELECT * FROM revisions WHERE scope = $1 AND number = $2", signed(number)),
        None => ("SELECT * FROM revisions WHERE scope = $1 AND number > $2 ORDER BY number DESC LIMIT 1", 0),
    };
    sqlx::query_as::<_, RevisionRow>(query)
        .bind(scope.to_string())
        .bind(number)
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(Revision::try_from)
        .transpose()
}

pub(super) async fn page(
    e: impl Executor<'_, Database = Db>,
    scope: &Scope,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Revision>> {
    let rows = sqlx::query_as::<_, RevisionRow>(
        "SELECT * FROM revisions WHERE scope = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
    )
    .bind(scope.to_string())
    .bind(before.map_or(i64::MAX, signed))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await;
    rows.map_err(sql)?.into_iter().map(Revision::try_from).collect()
}

pub(super) async fn templates(e: impl Executor<'_, Database = Db>) -> Result<Vec<Revision>> {
    // `;` follows `:`.
    let rows = sqlx::query_as::<_, RevisionRow>(
        "SELECT r.* FROM revisions r WHERE r.scope > 'template:' AND r.scope < 'template;' \
         AND r.number = (SELECT MAX(m.number) FROM revisions m WHERE m.scope = r.scope) ORDER BY r.scope",
    )
    .fetch_all(e)
    .await;
    rows.map_err(sql)?.into_iter().map(Revision::try_from).collect()
}

/// Everything at one moment.
pub(super) async fn inputs(c: &mut Connection, tids: &[TerminalId]) -> Result<ConfigurationInputs> {
    let tids: BTreeSet<&TerminalId> = tids.iter().collect();
    let tids: Vec<TerminalId> = tids.into_iter().cloned().collect();
    let mut c = c.begin_with(SNAPSHOT).await.map_err(sql)?;
    let mut found = ConfigurationInputs::default();
    for tids in tids.chunks(NAMES) {
        found.terminals.extend(terminals::some(&mut *c, tids).await?);
    }
    let ends: BTreeSet<&GroupId> =
        found.terminals.iter().filter_map(|terminal| terminal.place.group.as_ref()).collect();
    let ends: Vec<GroupId> = ends.into_iter().cloned().collect();
    let mut above = BTreeMap::new();
    for ends in ends.chunks(NAMES) {
        let groups = groups::with_ancestors(&mut *c, ends).await?;
        above.extend(groups.into_iter().map(|group| (group.id.clone(), group)));
    }
    found.groups = Tree::new(above.into_values()).map_err(|error| StoreError::corrupt(error.to_string()))?;
    let mut wanted = BTreeSet::new();
    for terminal in &found.terminals {
        wanted.extend(scopes(&terminal.id, terminal.place.group.as_ref(), &found.groups));
    }
    let wanted: Vec<String> = wanted.iter().map(Scope::to_string).collect();
    for wanted in wanted.chunks(NAMES) {
        let mut query = QueryBuilder::<Db>::new("SELECT r.* FROM revisions r WHERE r.scope IN (");
        push_list(&mut query, wanted.iter().map(String::as_str));
        query.push(") AND r.number = (SELECT MAX(m.number) FROM revisions m WHERE m.scope = r.scope)");
        let rows = query.build_query_as::<RevisionRow>().persistent(false).fetch_all(&mut *c).await;
        for row in rows.map_err(sql)? {
            let revision = Revision::try_from(row)?;
            found.current.insert(revision.scope.clone(), revision);
        }
    }
    c.rollback().await.map_err(sql)?;
    Ok(found)
}
