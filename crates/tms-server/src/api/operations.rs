//! Operations: what became of a change.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use tms_core::{OperationId, TerminalId};
use tms_store::StoreError;

use super::input::{Asked, name};
use super::problem::Problem;
use super::terminals::{PageRequest, existing};
use super::view::{OperationView, Page};
use crate::app::App;

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
