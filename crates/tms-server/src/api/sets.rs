//! Sets that all terminals download.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tms_core::SetName;
use tms_store::StoreError;

use super::code::Code;
use super::condition;
use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::view::SetView;
use crate::app::App;
use crate::service;

/// The sets that there are, without their contents.
#[utoipa::path(get, path = "/api/v1/sets", operation_id = "list_sets", tag = "sets",
    params(PageRequest),
    responses((status = 200, description = "A page of sets", body = Page<SetView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<PageRequest>,
) -> Result<Json<Page<SetView>>, Problem> {
    let sets = app.store.sets().await?;
    let page = Page::of(List::Sets, &asked, sets, |s| s.name.to_string(), |s| SetView::new(s, false));
    Ok(Json(page?))
}

/// A set with its content.
#[utoipa::path(get, path = "/api/v1/sets/{set}", operation_id = "show_set", tag = "sets",
    params(("set" = SetName, Path, description = "The set")),
    responses((status = 200, description = "The set", body = SetView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(set): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let set: SetName = name(&set)?;
    let found = app.store.set(set).await?;
    let missing = || Problem::from(StoreError::NotFound { what: "set", name: set.to_string() });
    let set = found.ok_or_else(missing)?;
    Ok(condition::tagged(&headers, &condition::revision_tag(set.revision), SetView::new(set, true)))
}

/// Puts a set in place of the one before: lists of hexadecimal data objects (`capks`, `aids`), a list of
/// card numbers or their beginnings (`blacklist`), or an object (`tms_parameters`).
#[utoipa::path(put, path = "/api/v1/sets/{set}", operation_id = "put_set", tag = "sets",
    params(("set" = SetName, Path, description = "The set")),
    request_body(content = Value, description = "The whole content"),
    responses((status = 200, description = "The set, without its content", body = SetView)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Place(set): Place<String>,
    headers: HeaderMap,
    Body(content): Body<Value>,
) -> Result<Response, Problem> {
    let set: SetName = name(&set)?;
    let expected = match condition::asked(&headers)? {
        condition::Asked::Revision(revision) => revision,
        condition::Asked::Existing => match app.store.set(set).await? {
            Some(known) => known.revision,
            None => return Err(Problem::new(Code::PreconditionFailed, format!("there is no set {set} yet"))),
        },
        condition::Asked::Nothing => {
            return Err(Problem::new(
                Code::PreconditionRequired,
                "a set is put in place of the one before: give the ETag of that one in If-Match, or If-None-Match: * \
                 if there is none yet",
            ));
        }
    };
    let set = service::replace_set(&app, set, &content, Some(expected)).await?;
    let tag = condition::revision_tag(set.revision);
    let mut response = Json(SetView::new(set, false)).into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}
