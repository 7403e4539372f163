//! Sets that all terminals download.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;
use tms_core::SetName;
use tms_store::StoreError;

use super::input::{Body, name};
use super::problem::Problem;
use super::view::{Page, SetView};
use crate::app::App;
use crate::service;

/// What there is, without the content.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Page<SetView>>, Problem> {
    let sets = app.store.sets().await?;
    Ok(Json(Page::whole(sets.into_iter().map(|set| SetView::new(set, false)).collect())))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(set): Path<String>,
) -> Result<Json<SetView>, Problem> {
    let set: SetName = name(&set)?;
    let found = app.store.set(set).await?;
    let missing = || Problem::from(StoreError::NotFound { what: "set", name: set.to_string() });
    Ok(Json(SetView::new(found.ok_or_else(missing)?, true)))
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(set): Path<String>,
    Body(content): Body<Value>,
) -> Result<Json<SetView>, Problem> {
    let set = service::put_set(&app, name(&set)?, &content).await?;
    Ok(Json(SetView::new(set, false)))
}
