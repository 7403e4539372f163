//! For those who watch the server: whether it lives, whether it can work, what it did.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::measure::Measures;
use super::problem::Problem;
use crate::app::App;

/// The process answers.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "health",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store can be read and written.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "health",
    responses((status = 200, description = "They can", body = String, content_type = "text/plain")))]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.store.check().await?;
    Ok("ready\n")
}

/// Prometheus text format: counters, and what the estate is right now.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "health",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(measures): Extension<Arc<Measures>>,
) -> Result<Response, Problem> {
    let mut text = app.counters.render();
    text.push_str(&measures.render());
    let connected = u64::try_from(app.wake.connected()).unwrap_or(u64::MAX);
    let gauges = [
        ("tms_terminals", "Terminals enrolled", app.store.count_terminals().await?),
        ("tms_terminals_connected", "Terminals with a session on this server", connected),
        ("tms_operations_open", "Operations that are not finished", app.store.open_operations_count().await?),
    ];
    for (name, help, value) in gauges {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
