//! Groups: made, changed, moved and taken away.

use tms_core::{Group, GroupId, GroupKind, Selector, TemplateName, Tree};
use tms_store::StoreError;

use super::AttributeChange;
use crate::app::App;
use crate::service::{ServiceError, not_found};

/// How often a change is made anew because somebody else changed the group in between.
const TRIES: u32 = 3;

/// A change of a group. What is `None` or empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupChange {
    /// The group that it stands under; `Some(None)` puts it at the top.
    pub parent: Option<Option<GroupId>>,
    /// What it stands for.
    pub kind: Option<GroupKind>,
    /// What people call it.
    pub name: Option<String>,
    /// Its templates, in place of those that it has.
    pub templates: Option<Vec<TemplateName>>,
    /// Attributes to set or to take away.
    pub attributes: AttributeChange,
}

/// A group with what stands around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSight {
    /// The group.
    pub group: Group,
    /// The groups from the top down to it, itself included.
    pub path: Vec<GroupId>,
    /// The groups directly under it.
    pub children: Vec<GroupId>,
    /// Terminals that belong to itself.
    pub terminals: u64,
    /// Terminals that belong to it or to any group under it.
    pub terminals_below: u64,
}

/// A group and what stands around it.
///
/// # Errors
/// `Store` if there is no such group.
pub async fn group(app: &App, id: &GroupId) -> Result<GroupSight, ServiceError> {
    let rows = app.store.groups().await?;
    let tree = Tree::new(rows).map_err(|error| ServiceError::Internal(error.to_string()))?;
    let found = tree.get(id).cloned().ok_or_else(|| not_found("group", id))?;
    let now = app.now();
    Ok(GroupSight {
        group: found,
        path: tree.path(id).into_iter().map(|group| group.id.clone()).collect(),
        children: tree.children(id).map(|group| group.id.clone()).collect(),
        terminals: app.store.count(&Selector::of_group(id, false), now).await?,
        terminals_below: app.store.count(&Selector::of_group(id, true), now).await?,
    })
}

/// Makes a group.
///
/// # Errors
/// `Store` with a conflict if there is one of its id, and with what is wrong if it cannot be or cannot stand there.
pub async fn create_group(app: &App, group: Group) -> Result<Group, ServiceError> {
    let id = group.id.clone();
    app.store.put_group(group, Some(0)).await.map_err(|error| match error {
        StoreError::Stale { .. } => {
            ServiceError::Store(StoreError::Conflict { reason: format!("group {id} exists already") })
        }
        error => error.into(),
    })
}

/// Changes a group: its name, what it stands for, its templates and attributes, and where it stands. With
/// `version` only if that is its version.
///
/// # Errors
/// `Invalid` if nothing is to be changed; `Store` if there is no such group, it has another version, or it
/// could not be so: one that would stand under itself is named with the way round.
pub async fn change_group(
    app: &App,
    id: &GroupId,
    change: GroupChange,
    version: Option<u64>,
) -> Result<Group, ServiceError> {
    if change == GroupChange::default() {
        return Err(ServiceError::Invalid(
            "nothing to change: give a parent, a kind, a name, templates or attributes".to_owned(),
        ));
    }
    let mut tries = TRIES;
    loop {
        let known = app.store.group(id).await?.ok_or_else(|| not_found("group", id))?;
        let seen = version.unwrap_or(known.version);
        match app.store.put_group(changed(known, &change), Some(seen)).await {
            // Who names no version takes whatever is there, and so also what came in between.
            Err(StoreError::Stale { .. }) if version.is_none() && tries > 1 => {
                tries = tries.saturating_sub(1)
            }
            done => return Ok(done?),
        }
    }
}

fn changed(mut group: Group, change: &GroupChange) -> Group {
    if let Some(parent) = &change.parent {
        group.parent.clone_from(parent);
    }
    if let Some(kind) = change.kind {
        group.kind = kind;
    }
    if let Some(name) = &change.name {
        group.name.clone_from(name);
    }
    if let Some(templates) = &change.templates {
        group.templates.clone_from(templates);
    }
    for (name, value) in &change.attributes {
        match value {
            Some(value) => drop(group.attributes.insert(name.clone(), value.clone())),
            None => drop(group.attributes.remove(name)),
        }
    }
    group
}

/// Takes a group away. With `version` only if that is its version.
///
/// # Errors
/// `Store` if there is no such group, it has another version, or groups or terminals belong to it.
pub async fn delete_group(app: &App, id: &GroupId, version: Option<u64>) -> Result<(), ServiceError> {
    Ok(app.store.delete_group(id, version).await?)
}
