//! Logs that terminals sent.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tms_core::{OperationId, TerminalId};
use tms_store::StoreError;
use tokio_util::io::ReaderStream;

use super::code::Code;
use super::input::{Asked, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::terminals::{accepted, existing};
use super::view::{LogView, OperationView};
use crate::app::App;
use crate::service;

/// Has a terminal send the newest part of its log.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/logs", operation_id = "collect_logs", tag = "logs",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 202, description = "The operation that carries it: accepted, not done", body = OperationView)))]
pub(super) async fn collect(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
) -> Result<Response, Problem> {
    accepted(service::collect_logs(&app, &name(&tid)?).await)
}

/// The logs of a terminal, newest first.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}/logs", operation_id = "list_logs", tag = "logs",
    params(("tid" = TerminalId, Path, description = "The terminal"), PageRequest),
    responses((status = 200, description = "A page of logs", body = Page<LogView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    Asked(asked): Asked<PageRequest>,
) -> Result<Json<Page<LogView>>, Problem> {
    let tid: TerminalId = name(&tid)?;
    existing(&app, &tid).await?;
    let bundles = app.store.log_bundles(&tid).await?;
    Ok(Json(Page::of(List::Logs, &asked, bundles, |b| b.operation.to_string(), LogView::from)?))
}

/// The log itself.
#[utoipa::path(get, path = "/api/v1/logs/{operation}", operation_id = "show_log", tag = "logs",
    params(("operation" = OperationId, Path, description = "The operation that brought it")),
    responses((status = 200, description = "The text that the terminal sent", body = String, content_type = "text/plain")))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(operation): Place<String>,
) -> Result<Response, Problem> {
    let operation: OperationId = name(&operation)?;
    let found = app.store.log_bundle(operation).await?;
    let bundle = found.ok_or_else(|| {
        Problem::from(StoreError::NotFound { what: "log of operation", name: operation.to_string() })
    })?;
    let body = body(&app, &bundle.object).await.map_err(|error| {
        tracing::error!(%error, object = bundle.object, "a log bundle cannot be read");
        Problem::new(
            Code::ObjectsUnavailable,
            "the log cannot be read from the object folder; see the server's log",
        )
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, bundle.size_bytes.to_string()),
        // A log is a terminal's text: nothing in it may run in a browser.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, body).into_response())
}

async fn body(app: &App, object: &str) -> io::Result<Body> {
    if let Some(path) = app.objects.path(object) {
        return Ok(Body::from_stream(ReaderStream::new(tokio::fs::File::open(path).await?)));
    }
    let bytes = app.objects.read(object).await?.ok_or(io::ErrorKind::NotFound)?;
    Ok(Body::from(bytes))
}
