//! Operations: what became of a change.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tms_core::{OperationId, OperationKind, TerminalId};
use tms_store::StoreError;

use super::input::{Asked, Body, name};
use super::problem::Problem;
use super::terminals::{PageRequest, accepted, existing};
use super::view::{OperationView, Page};
use crate::app::App;
use crate::service;

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<OperationView>, Problem> {
    let id: OperationId = name(&id)?;
    let found = app.store.operation(id).await?;
    let operation = found
        .ok_or_else(|| Problem::from(StoreError::NotFound { what: "operation", name: id.to_string() }))?;
    Ok(Json(operation.into()))
}

/// Newest first.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Page<OperationView>>, Problem> {
    let tid: TerminalId = name(&tid)?;
    let after: Option<OperationId> = page.after()?;
    let limit = page.limit()?;
    existing(&app, &tid).await?;
    // One more tells whether there is a next page.
    let mut found = app.store.operations(&tid, after, limit.saturating_add(1)).await?;
    let full = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > full;
    found.truncate(full);
    let next = found.last().filter(|_| more).map(|operation| operation.id.to_string());
    let items = found.into_iter().map(OperationView::from).collect();
    Ok(Json(Page { items, next }))
}

/// A command: its kind with its details, as it is shown again.
pub(super) async fn command(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
    Body(kind): Body<OperationKind>,
) -> Result<Response, Problem> {
    accepted(service::command(&app, &name(&tid)?, kind).await)
}

pub(super) async fn withdraw_plan(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
) -> Result<Response, Problem> {
    accepted(service::withdraw_plan(&app, &name(&tid)?).await)
}

#[derive(Serialize)]
struct CancelReply {
    operation: OperationView,
    /// What tells the terminal; `null` if it cannot have begun the operation.
    told: Option<OperationView>,
}

pub(super) async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (operation, told) = service::cancel(&app, name(&id)?).await?;
    let reply = CancelReply { operation: operation.into(), told: told.map(OperationView::from) };
    Ok((StatusCode::ACCEPTED, Json(reply)).into_response())
}
