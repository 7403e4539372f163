//! Alarms: what terminals said unasked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tms_core::TerminalId;
use utoipa::IntoParams;

use super::input::{Asked, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::terminals::existing;
use super::view::AlarmView;
use crate::app::App;

/// Which alarms.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlarmsRequest {
    /// Those of one terminal only.
    #[param(value_type = Option<TerminalId>)]
    terminal: Option<String>,
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Alarms, newest first, of one terminal or of all.
#[utoipa::path(get, path = "/api/v1/alarms", operation_id = "list_alarms", tag = "alarms",
    params(AlarmsRequest),
    responses((status = 200, description = "A page of alarms", body = Page<AlarmView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<AlarmsRequest>,
) -> Result<Json<Page<AlarmView>>, Problem> {
    let terminal: Option<TerminalId> = asked.terminal.as_deref().map(name).transpose()?;
    let page = PageRequest { after: asked.after, limit: asked.limit };
    let (after, limit) = (page.after(List::Alarms)?, page.limit()?);
    if let Some(terminal) = &terminal {
        existing(&app, terminal).await?;
    }
    let found = app.store.alarms(terminal.as_ref(), after, limit.saturating_add(1)).await?;
    Ok(Json(Page::new(List::Alarms, limit, found, |alarm| alarm.number.to_string(), AlarmView::from)))
}
