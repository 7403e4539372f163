//! Alarms: what terminals said unasked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tms_core::TerminalId;

use super::input::{Asked, name};
use super::problem::Problem;
use super::terminals::{MAX_PAGE, PAGE, existing};
use super::view::{AlarmView, Page};
use crate::app::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlarmsRequest {
    terminal: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
}

/// Newest first, of one terminal or of all.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<AlarmsRequest>,
) -> Result<Json<Page<AlarmView>>, Problem> {
    let terminal: Option<TerminalId> = asked.terminal.as_deref().map(name).transpose()?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit is {limit}; it must be from 1 to {MAX_PAGE}");
        return Err(Problem::new(400, "query_invalid", detail));
    }
    if let Some(terminal) = &terminal {
        existing(&app, terminal).await?;
    }
    // One more tells whether there is a next page.
    let mut found = app.store.alarms(terminal.as_ref(), asked.after, limit.saturating_add(1)).await?;
    let full = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > full;
    found.truncate(full);
    let next = found.last().filter(|_| more).map(|alarm| alarm.number.to_string());
    Ok(Json(Page { items: found.into_iter().map(AlarmView::from).collect(), next }))
}
