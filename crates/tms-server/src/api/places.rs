//! Where terminals stand and what people know them by.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tms_core::{GroupId, LifeCycle, MerchantId, Tag, Terminal, TerminalId, Zone};
use tms_store::TerminalChange;
use utoipa::ToSchema;

use super::condition;
use super::input::{Body, Place, name};
use super::problem::Problem;
use super::terminals::existing;
use crate::app::App;
use crate::service::estate::{self, AttributeChange, given};

/// What people know a terminal by.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaceView {
    terminal: TerminalId,
    merchant: MerchantId,
    model: String,
    hardware_revision: String,
    serial: String,
    #[serde(flatten)]
    place: tms_core::Place,
}

impl From<Terminal> for PlaceView {
    fn from(terminal: Terminal) -> Self {
        Self {
            terminal: terminal.id,
            merchant: terminal.merchant,
            model: terminal.model,
            hardware_revision: terminal.hardware_revision,
            serial: terminal.serial,
            place: terminal.place,
        }
    }
}

/// A change of terminals; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceRequest {
    merchant: Option<MerchantId>,
    #[schema(max_length = 64)]
    model: Option<String>,
    #[schema(max_length = 64)]
    hardware_revision: Option<String>,
    #[schema(max_length = 64)]
    serial: Option<String>,
    /// The maker.
    #[schema(max_length = 64)]
    vendor: Option<String>,
    /// An IANA name.
    time_zone: Option<Zone>,
    /// A retired terminal can only become registered, and nothing else can.
    life_cycle: Option<LifeCycle>,
    /// The group to belong to; `null` is none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<GroupId>)]
    group: Option<Option<GroupId>>,
    /// In place of the tags that it has.
    #[schema(max_items = 32)]
    tags: Option<BTreeSet<Tag>>,
    #[serde(default)]
    #[schema(max_items = 32)]
    add_tags: BTreeSet<Tag>,
    #[serde(default)]
    #[schema(max_items = 32)]
    remove_tags: BTreeSet<Tag>,
    /// Values to set; `null` takes one away.
    #[serde(default)]
    attributes: AttributeChange,
}

impl From<PlaceRequest> for TerminalChange {
    fn from(asked: PlaceRequest) -> Self {
        Self {
            merchant: asked.merchant,
            model: asked.model,
            hardware_revision: asked.hardware_revision,
            serial: asked.serial,
            vendor: asked.vendor,
            time_zone: asked.time_zone,
            life_cycle: asked.life_cycle,
            group: asked.group,
            tags: asked.tags,
            add_tags: asked.add_tags,
            remove_tags: asked.remove_tags,
            attributes: asked.attributes,
        }
    }
}

/// Where a terminal stands and what people know it by.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}/place", operation_id = "show_place", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 200, description = "The place", body = PlaceView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let terminal = existing(&app, &name(&tid)?).await?;
    let tag = condition::revision_tag(terminal.place.version);
    Ok(condition::tagged(&headers, &tag, PlaceView::from(terminal)))
}

/// Changes where a terminal stands and what people know it by. The terminal is told nothing.
#[utoipa::path(patch, path = "/api/v1/terminals/{tid}/place", operation_id = "change_place", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    request_body = PlaceRequest,
    responses((status = 200, description = "The place as it is now", body = PlaceView)))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    headers: HeaderMap,
    Body(asked): Body<PlaceRequest>,
) -> Result<Response, Problem> {
    let version = condition::asked(&headers)?.version();
    let terminal = estate::change_place(&app, &name(&tid)?, asked.into(), version).await?;
    Ok(tagged(terminal))
}

/// Which terminal takes the place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceRequest {
    by: TerminalId,
}

/// Puts another terminal into the place of this one, which is retired; what is open for it is cancelled.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/replace", operation_id = "replace_terminal", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal that goes")),
    request_body = ReplaceRequest,
    responses((status = 200, description = "The place of the one that came", body = PlaceView)))]
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    Body(asked): Body<ReplaceRequest>,
) -> Result<Json<PlaceView>, Problem> {
    let (_, heir) = estate::replace(&app, &name(&tid)?, &asked.by).await?;
    Ok(Json(heir.into()))
}

fn tagged(terminal: Terminal) -> Response {
    let tag = condition::revision_tag(terminal.place.version);
    let mut response = Json(PlaceView::from(terminal)).into_response();
    condition::set_tag(&mut response, &tag);
    response
}
