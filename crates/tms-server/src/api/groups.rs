//! Groups: the tree that terminals stand in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tms_core::{AttributeName, AttributeValue, Attributes, Group, GroupId, GroupKind, TemplateName, Tree};
use tms_store::StoreError;
use utoipa::{IntoParams, ToSchema};

use super::code::Code;
use super::condition;
use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use crate::app::App;
use crate::service::estate::{self, AttributeChange, GroupChange, GroupSight, given};

/// A group of terminals.
#[derive(Serialize, ToSchema)]
pub(super) struct GroupView {
    id: GroupId,
    /// The group that it stands under; `null` at the top.
    parent: Option<GroupId>,
    kind: GroupKind,
    name: String,
    /// A later one wins over an earlier one.
    templates: Vec<TemplateName>,
    /// What stands under the group inherits them.
    attributes: Attributes,
    /// Rises by one with each change.
    version: u64,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            parent: group.parent,
            kind: group.kind,
            name: group.name,
            templates: group.templates,
            attributes: group.attributes,
            version: group.version,
        }
    }
}

/// A group with what stands around it.
#[derive(Serialize, ToSchema)]
struct GroupSightView {
    #[serde(flatten)]
    group: GroupView,
    /// The groups from the top down to it, itself included.
    path: Vec<GroupId>,
    /// The groups directly under it.
    children: Vec<GroupId>,
    /// Terminals that belong to itself.
    terminals: u64,
    /// Terminals that belong to it or to any group under it.
    terminals_below: u64,
}

/// Which groups.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsRequest {
    /// This group and those under it only.
    #[param(value_type = Option<GroupId>)]
    under: Option<String>,
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Groups in the order of the tree: each before what stands under it, and those under one group by their ids.
#[utoipa::path(get, path = "/api/v1/groups", operation_id = "list_groups", tag = "groups",
    params(GroupsRequest),
    responses((status = 200, description = "A page of groups", body = Page<GroupView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<GroupsRequest>,
) -> Result<Json<Page<GroupView>>, Problem> {
    let under: Option<GroupId> = asked.under.as_deref().map(name).transpose()?;
    let page = PageRequest { after: asked.after, limit: asked.limit };
    let tree = Tree::new(app.store.groups().await?).map_err(|error| {
        tracing::error!(%error, "the groups in the store are no tree");
        Problem::new(Code::Internal, "the groups in the store are no tree; see the server's log")
    })?;
    let groups = in_order(&tree, under.as_ref());
    if let Some(under) = under.filter(|_| groups.is_empty()) {
        return Err(StoreError::NotFound { what: "group", name: under.to_string() }.into());
    }
    Ok(Json(Page::of(List::Groups, &page, groups, |group| group.id.to_string(), GroupView::from)?))
}

/// The groups of a tree, or of a part of it, each before what stands under it.
fn in_order(tree: &Tree, under: Option<&GroupId>) -> Vec<Group> {
    let mut paths: Vec<_> = tree
        .iter()
        .filter(|group| under.is_none_or(|under| tree.is_under(&group.id, under)))
        .map(|group| {
            (tree.path(&group.id).into_iter().map(|above| above.id.clone()).collect::<Vec<_>>(), group)
        })
        .collect();
    paths.sort_by(|left, right| left.0.cmp(&right.0));
    paths.into_iter().map(|(_, group)| group.clone()).collect()
}

/// A new group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroupRequest {
    id: GroupId,
    /// The group that it stands under; at the top when absent.
    #[serde(default)]
    parent: Option<GroupId>,
    kind: GroupKind,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[serde(default)]
    #[schema(max_items = 16)]
    templates: Vec<TemplateName>,
    #[serde(default)]
    attributes: BTreeMap<AttributeName, AttributeValue>,
}

/// Makes a group.
#[utoipa::path(post, path = "/api/v1/groups", operation_id = "create_group", tag = "groups",
    request_body = NewGroupRequest,
    responses((status = 201, description = "The group", body = GroupView)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Body(new): Body<NewGroupRequest>,
) -> Result<Response, Problem> {
    let group = Group {
        id: new.id,
        parent: new.parent,
        kind: new.kind,
        name: new.name,
        templates: new.templates,
        attributes: new.attributes,
        version: 0,
    };
    let group = estate::create_group(&app, group).await?;
    let location = format!("/api/v1/groups/{}", group.id);
    let tag = condition::revision_tag(group.version);
    let created = (StatusCode::CREATED, [(header::LOCATION, location)], Json(GroupView::from(group)));
    let mut response = created.into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}

/// A group, where it stands and how many terminals belong to it. The tag is that of the group itself.
#[utoipa::path(get, path = "/api/v1/groups/{group}", operation_id = "show_group", tag = "groups",
    params(("group" = GroupId, Path, description = "The group")),
    responses((status = 200, description = "The group", body = GroupSightView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(group): Place<String>,
) -> Result<Response, Problem> {
    let GroupSight { group, path, children, terminals, terminals_below } =
        estate::group(&app, &name(&group)?).await?;
    let tag = condition::revision_tag(group.version);
    let view = GroupSightView { group: group.into(), path, children, terminals, terminals_below };
    let mut response = Json(view).into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}

/// A change of a group; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupRequest {
    /// The group to stand under from now on; `null` is the top.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<GroupId>)]
    parent: Option<Option<GroupId>>,
    kind: Option<GroupKind>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// In place of those that it has.
    #[schema(max_items = 16)]
    templates: Option<Vec<TemplateName>>,
    /// Values to set; `null` takes one away.
    #[serde(default)]
    attributes: AttributeChange,
}

/// Changes a group: renames it, moves it with everything under it, attaches templates, sets attributes.
#[utoipa::path(patch, path = "/api/v1/groups/{group}", operation_id = "change_group", tag = "groups",
    params(("group" = GroupId, Path, description = "The group")),
    request_body = GroupRequest,
    responses((status = 200, description = "The group as it is now", body = GroupView)))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Place(group): Place<String>,
    headers: HeaderMap,
    Body(asked): Body<GroupRequest>,
) -> Result<Response, Problem> {
    let group: GroupId = name(&group)?;
    let GroupRequest { parent, kind, name, templates, attributes } = asked;
    let change = GroupChange { parent, kind, name, templates, attributes };
    let version = condition::asked(&headers)?.version();
    let group = estate::change_group(&app, &group, change, version).await?;
    let tag = condition::revision_tag(group.version);
    let mut response = Json(GroupView::from(group)).into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}

/// Takes a group away to which nothing belongs.
#[utoipa::path(delete, path = "/api/v1/groups/{group}", operation_id = "delete_group", tag = "groups",
    params(("group" = GroupId, Path, description = "The group")),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Place(group): Place<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let version = condition::asked(&headers)?.version();
    estate::delete_group(&app, &name(&group)?, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
