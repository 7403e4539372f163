//! Operations: what became of a change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tms_core::{OperationId, OperationKind, TerminalId};
use tms_store::StoreError;
use utoipa::ToSchema;

use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::terminals::{accepted, existing};
use super::view::OperationView;
use crate::app::App;
use crate::service;

/// One operation.
#[utoipa::path(get, path = "/api/v1/operations/{id}", operation_id = "show_operation", tag = "operations",
    params(("id" = OperationId, Path, description = "The operation")),
    responses((status = 200, description = "The operation", body = OperationView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
) -> Result<Json<OperationView>, Problem> {
    let id: OperationId = name(&id)?;
    let found = app.store.operation(id).await?;
    let operation = found
        .ok_or_else(|| Problem::from(StoreError::NotFound { what: "operation", name: id.to_string() }))?;
    Ok(Json(operation.into()))
}

/// The operations of a terminal, newest first.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}/operations", operation_id = "list_operations", tag = "operations",
    params(("tid" = TerminalId, Path, description = "The terminal"), PageRequest),
    responses((status = 200, description = "A page of operations", body = Page<OperationView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Page<OperationView>>, Problem> {
    let tid: TerminalId = name(&tid)?;
    let (after, limit) = (page.after(List::Operations)?, page.limit()?);
    existing(&app, &tid).await?;
    let found = app.store.operations(&tid, after, limit.saturating_add(1)).await?;
    Ok(Json(Page::new(List::Operations, limit, found, |o| o.id.to_string(), OperationView::from)))
}

/// Gives a terminal a command: its kind with its details, as it is shown again.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/operations", operation_id = "command", tag = "operations",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    request_body = OperationKind,
    responses((status = 202, description = "The operation that carries it: accepted, not done", body = OperationView)))]
pub(super) async fn command(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    Body(kind): Body<OperationKind>,
) -> Result<Response, Problem> {
    accepted(service::command(&app, &name(&tid)?, kind).await)
}

/// Withdraws the plan of a terminal that carries one out: it does no task of it that it has not begun.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/plan/withdraw", operation_id = "withdraw_plan", tag = "operations",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 202, description = "The operation that tells the terminal: accepted, not done", body = OperationView)))]
pub(super) async fn withdraw_plan(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
) -> Result<Response, Problem> {
    accepted(service::withdraw_plan(&app, &name(&tid)?).await)
}

/// What became of a cancellation.
#[derive(Serialize, ToSchema)]
struct CancelReply {
    /// The operation, cancelled.
    operation: OperationView,
    /// What tells the terminal; `null` if it cannot have begun the operation.
    told: Option<OperationView>,
}

/// Withdraws an operation that is still open.
#[utoipa::path(post, path = "/api/v1/operations/{id}/cancel", operation_id = "cancel_operation", tag = "operations",
    params(("id" = OperationId, Path, description = "The operation")),
    responses((status = 202, description = "The operation, and what tells the terminal", body = CancelReply)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
) -> Result<Response, Problem> {
    let (operation, told) = service::cancel(&app, name(&id)?).await?;
    let reply = CancelReply { operation: operation.into(), told: told.map(OperationView::from) };
    Ok((StatusCode::ACCEPTED, Json(reply)).into_response())
}
