//! Groups, and selectors that people have saved.

use sqlx::{Executor, QueryBuilder};
use tms_core::group::{GroupError, Tree};
use tms_core::selector::SavedSelector;
use tms_core::{Group, GroupId, TemplateName};

use super::super::LOCK_GROUPS;
use super::{Connection, Db, push_list, sql};
use crate::error::StoreError;
use crate::estate::seen;
use crate::row::{GroupRow, SelectorRow, signed, to_json, unsigned};
use crate::store::Result;

pub(super) async fn all(e: impl Executor<'_, Database = Db>) -> Result<Vec<Group>> {
    let rows = sqlx::query_as::<_, GroupRow>("SELECT * FROM groups ORDER BY id").fetch_all(e).await;
    rows.map_err(sql)?.into_iter().map(Group::try_from).collect()
}

pub(super) async fn one(e: impl Executor<'_, Database = Db>, id: &GroupId) -> Result<Option<Group>> {
    sqlx::query_as::<_, GroupRow>("SELECT * FROM groups WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(Group::try_from)
        .transpose()
}

/// These groups and everything above them. Never deeper than a tree may be, even if the rows are not one.
pub(super) async fn with_ancestors(
    e: impl Executor<'_, Database = Db>,
    ids: &[GroupId],
) -> Result<Vec<Group>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query =
        QueryBuilder::<Db>::new("WITH RECURSIVE above (id) AS (SELECT id FROM groups WHERE id IN (");
    push_list(&mut query, ids.iter().map(GroupId::as_str));
    query.push(
        ") UNION SELECT g.parent FROM groups g JOIN above a ON g.id = a.id WHERE g.parent IS NOT NULL) \
         SELECT g.* FROM groups g JOIN above a ON a.id = g.id",
    );
    let rows =
        query.build_query_as::<GroupRow>().persistent(ids.len() == 1).fetch_all(e).await.map_err(sql)?;
    rows.into_iter().map(Group::try_from).collect()
}

async fn subtree(c: &mut Connection, id: &GroupId) -> Result<Vec<Group>> {
    let rows = sqlx::query_as::<_, GroupRow>(
        "WITH RECURSIVE under (id) AS (SELECT id FROM groups WHERE id = $1 UNION \
         SELECT g.id FROM groups g JOIN under u ON g.parent = u.id) \
         SELECT g.* FROM groups g JOIN under u ON u.id = g.id",
    )
    .bind(id.as_str())
    .fetch_all(c)
    .await;
    rows.map_err(sql)?.into_iter().map(Group::try_from).collect()
}

/// Keeps others from changing groups until the transaction ends: where one stands depends on the others.
async fn lock(c: &mut Connection) -> Result<()> {
    if let Some(statement) = LOCK_GROUPS {
        c.execute(statement).await.map_err(sql)?;
    }
    Ok(())
}

pub(super) async fn put(c: &mut Connection, group: &Group, version: Option<u64>) -> Result<Group> {
    lock(c).await?;
    let known = one(&mut *c, &group.id).await?;
    let found = known.as_ref().map_or(0, |known| known.version);
    seen("group", &group.id, version, found)?;
    // As much of the tree as the change can have to do with.
    let mut around = subtree(c, &group.id).await?;
    let ends: Vec<GroupId> = known.iter().chain([group]).filter_map(|group| group.parent.clone()).collect();
    for above in with_ancestors(&mut *c, &ends).await? {
        if around.iter().all(|other| other.id != above.id) {
            around.push(above);
        }
    }
    let mut tree = Tree::new(around).map_err(|error| StoreError::corrupt(error.to_string()))?;
    tree.put(group.clone()).map_err(refused)?;
    let group = Group { version: found.saturating_add(1), ..group.clone() };
    sqlx::query(
        "INSERT INTO groups (id, parent, kind, name, templates, attributes, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, \
         kind = excluded.kind, name = excluded.name, templates = excluded.templates, \
         attributes = excluded.attributes, version = excluded.version",
    )
    .bind(group.id.as_str())
    .bind(group.parent.as_ref().map(GroupId::as_str))
    .bind(group.kind.name())
    .bind(&group.name)
    .bind(to_json(&group.templates)?)
    .bind(to_json(&group.attributes)?)
    .bind(signed(group.version))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(group)
}

pub(super) async fn delete(c: &mut Connection, id: &GroupId, version: Option<u64>) -> Result<()> {
    lock(c).await?;
    let known = one(&mut *c, id).await?.ok_or_else(|| StoreError::not_found("group", id))?;
    seen("group", id, version, known.version)?;
    let count = async |c: &mut Connection, query: &'static str| -> Result<u64> {
        unsigned(sqlx::query_scalar(query).bind(id.as_str()).fetch_one(c).await.map_err(sql)?)
    };
    let groups = count(c, "SELECT COUNT(*) FROM groups WHERE parent = $1").await?;
    let terminals = count(c, "SELECT COUNT(*) FROM terminals WHERE group_id = $1").await?;
    if groups > 0 || terminals > 0 {
        let groups = usize::try_from(groups).unwrap_or(usize::MAX);
        return Err(refused(GroupError::InUse { group: id.clone(), groups, terminals }));
    }
    sqlx::query("DELETE FROM groups WHERE id = $1").bind(id.as_str()).execute(c).await.map_err(sql)?;
    Ok(())
}

fn refused(error: GroupError) -> StoreError {
    match error {
        GroupError::InUse { .. } => StoreError::conflict(error.to_string()),
        error => StoreError::invalid(error.to_string()),
    }
}

pub(super) async fn selectors(e: impl Executor<'_, Database = Db>) -> Result<Vec<SavedSelector>> {
    let rows = sqlx::query_as::<_, SelectorRow>("SELECT * FROM selectors ORDER BY name").fetch_all(e).await;
    rows.map_err(sql)?.into_iter().map(SavedSelector::try_from).collect()
}

pub(super) async fn selector(
    e: impl Executor<'_, Database = Db>,
    name: &TemplateName,
) -> Result<Option<SavedSelector>> {
    sqlx::query_as::<_, SelectorRow>("SELECT * FROM selectors WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(SavedSelector::try_from)
        .transpose()
}

pub(super) async fn put_selector(
    c: &mut Connection,
    saved: &SavedSelector,
    version: Option<u64>,
) -> Result<SavedSelector> {
    let found = version_of_selector(c, &saved.name).await?;
    seen("selector", &saved.name, version, found)?;
    let saved = SavedSelector { version: found.saturating_add(1), ..saved.clone() };
    // Who made it between the look and this is not overwritten.
    let put = sqlx::query(
        "INSERT INTO selectors (name, selector, description, author, version) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name) DO UPDATE SET selector = excluded.selector, description = excluded.description, \
         author = excluded.author, version = excluded.version WHERE selectors.version = $6",
    )
    .bind(saved.name.as_str())
    .bind(saved.selector.to_string())
    .bind(&saved.description)
    .bind(&saved.author)
    .bind(signed(saved.version))
    .bind(signed(found))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if put.rows_affected() == 0 {
        let now = version_of_selector(c, &saved.name).await?;
        seen("selector", &saved.name, Some(found), now)?;
    }
    Ok(saved)
}

pub(super) async fn delete_selector(
    c: &mut Connection,
    name: &TemplateName,
    version: Option<u64>,
) -> Result<()> {
    match version_of_selector(c, name).await? {
        0 => return Err(StoreError::not_found("selector", name)),
        found => seen("selector", name, version, found)?,
    }
    sqlx::query("DELETE FROM selectors WHERE name = $1").bind(name.as_str()).execute(c).await.map_err(sql)?;
    Ok(())
}

/// 0 when there is none.
async fn version_of_selector(c: &mut Connection, name: &TemplateName) -> Result<u64> {
    let version: Option<i64> = sqlx::query_scalar(locked!("SELECT version FROM selectors WHERE name = $1"))
        .bind(name.as_str())
        .fetch_optional(c)
        .await
        .map_err(sql)?;
    unsigned(version.unwrap_or(0))
}
