//! Selectors: saved under names, and tried.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tms_core::TemplateName;
use tms_core::selector::SavedSelector;
use tms_store::{StoreError, Token};
use utoipa::ToSchema;

use super::code::Code;
use super::condition;
use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use crate::app::App;
use crate::service::estate;

/// A selector under a name.
#[derive(Serialize, ToSchema)]
pub(super) struct SelectorView {
    name: TemplateName,
    /// In its canonical form.
    selector: String,
    description: String,
    /// Who saved it.
    author: String,
    /// Rises by one with each change.
    version: u64,
}

impl From<SavedSelector> for SelectorView {
    fn from(saved: SavedSelector) -> Self {
        Self {
            name: saved.name,
            selector: saved.selector.to_string(),
            description: saved.description,
            author: saved.author,
            version: saved.version,
        }
    }
}

/// The saved selectors, in the order of their names.
#[utoipa::path(get, path = "/api/v1/selectors", operation_id = "list_selectors", tag = "selectors",
    params(PageRequest),
    responses((status = 200, description = "A page of selectors", body = Page<SelectorView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<PageRequest>,
) -> Result<Json<Page<SelectorView>>, Problem> {
    let saved = app.store.selectors().await?;
    Ok(Json(Page::of(List::Selectors, &asked, saved, |s| s.name.to_string(), SelectorView::from)?))
}

/// A saved selector.
#[utoipa::path(get, path = "/api/v1/selectors/{selector}", operation_id = "show_selector", tag = "selectors",
    params(("selector" = TemplateName, Path, description = "Its name")),
    responses((status = 200, description = "The selector", body = SelectorView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(selector): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let saved = existing(&app, &name(&selector)?).await?;
    Ok(condition::tagged(&headers, &condition::revision_tag(saved.version), SelectorView::from(saved)))
}

/// A selector to save.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SelectorRequest {
    /// A line of the language; not the name of another one.
    #[schema(max_length = 4096)]
    selector: String,
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
}

/// Saves a selector under a name, in place of the one that has it. `@name` means it from then on.
#[utoipa::path(put, path = "/api/v1/selectors/{selector}", operation_id = "save_selector", tag = "selectors",
    params(("selector" = TemplateName, Path, description = "Its name")),
    request_body = SelectorRequest,
    responses((status = 200, description = "The selector in its canonical form", body = SelectorView)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Extension(token): Extension<Token>,
    Place(selector): Place<String>,
    headers: HeaderMap,
    Body(asked): Body<SelectorRequest>,
) -> Result<Response, Problem> {
    let selector: TemplateName = name(&selector)?;
    let version = match condition::asked(&headers)? {
        condition::Asked::Revision(version) => version,
        condition::Asked::Existing => {
            existing(&app, &selector).await.map(|saved| saved.version).map_err(|_| {
                Problem::new(Code::PreconditionFailed, format!("no selector is saved as {selector} yet"))
            })?
        }
        condition::Asked::Nothing => {
            return Err(Problem::new(
                Code::PreconditionRequired,
                "a selector is put in place of the one before: give the ETag of that one in If-Match, or \
                 If-None-Match: * if there is none yet",
            ));
        }
    };
    let SelectorRequest { selector: text, description } = asked;
    let saved = estate::save_selector(&app, selector, &text, description, token.user, Some(version)).await?;
    let tag = condition::revision_tag(saved.version);
    let mut response = Json(SelectorView::from(saved)).into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}

/// Forgets a saved selector. What was made with it stays as it is.
#[utoipa::path(delete, path = "/api/v1/selectors/{selector}", operation_id = "delete_selector", tag = "selectors",
    params(("selector" = TemplateName, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Place(selector): Place<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let version = condition::asked(&headers)?.version();
    estate::delete_selector(&app, &name(&selector)?, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A selector to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest {
    /// A line of the language, or `@name`.
    #[schema(max_length = 4096)]
    selector: String,
}

/// A selector that was understood.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckReply {
    /// In its canonical form.
    selector: String,
    /// How many terminals it means now.
    count: u64,
}

/// Tries a selector: its canonical form, and how many terminals it means now.
#[utoipa::path(post, path = "/api/v1/selectors/check", operation_id = "check_selector", tag = "selectors",
    request_body = CheckRequest,
    responses((status = 200, description = "It is understood so", body = CheckReply)))]
pub(super) async fn check(
    State(app): State<Arc<App>>,
    Body(asked): Body<CheckRequest>,
) -> Result<Json<CheckReply>, Problem> {
    let selector = estate::resolve(&app, &asked.selector).await?;
    let count = app.store.count(&selector, app.now()).await?;
    Ok(Json(CheckReply { selector: selector.to_string(), count }))
}

async fn existing(app: &App, name: &TemplateName) -> Result<SavedSelector, Problem> {
    let found = app.store.selector(name).await?;
    found.ok_or_else(|| StoreError::NotFound { what: "selector", name: name.to_string() }.into())
}
