//! The REST interface: JSON under `/api/v1` with a bearer token, plain health and metrics beside it.
//!
//! Every error is a problem document (RFC 9457) with a stable `code`, a sentence and often a next
//! step. Modules: [`problem`] (errors), `input` (bodies, queries and names), `auth` (who asks),
//! `view` (what is shown), and one module for each kind of resource.

mod alarms;
mod auth;
mod firmware;
mod health;
mod input;
mod logs;
mod operations;
pub mod problem;
mod sets;
mod terminals;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post};

use crate::app::App;
use problem::Problem;

/// Largest JSON body: a change of every parameter has a tenth of it.
const MAX_JSON_BYTES: usize = 64 * 1024;

/// Largest set: a hundred keys of 2048 bits in hexadecimal are a tenth of it.
const MAX_SET_BYTES: usize = 1024 * 1024;

/// Every route of the interface.
pub fn router(app: Arc<App>) -> Router {
    let estate = Router::new()
        .route("/terminals", get(terminals::list).post(terminals::add))
        .route("/terminals/{tid}", get(terminals::show))
        .route("/terminals/{tid}/parameters", patch(terminals::set_parameters))
        .route("/terminals/{tid}/firmware", post(terminals::assign_firmware))
        .route("/terminals/{tid}/batch", get(terminals::batch))
        .route("/terminals/{tid}/reset", post(terminals::reset))
        .route("/terminals/{tid}/credentials/{role}/rotate", post(terminals::rotate_credential))
        .route("/terminals/{tid}/plan/withdraw", post(operations::withdraw_plan))
        .route("/terminals/{tid}/operations", get(operations::list).post(operations::command))
        .route("/terminals/{tid}/logs", get(logs::list).post(logs::collect))
        .route("/operations/{id}", get(operations::show))
        .route("/operations/{id}/cancel", post(operations::cancel))
        .route("/alarms", get(alarms::list))
        .route("/logs/{operation}", get(logs::show))
        .route("/sets", get(sets::list))
        .route("/sets/{set}", get(sets::show).put(sets::put).layer(DefaultBodyLimit::max(MAX_SET_BYTES)))
        .route("/firmware", get(firmware::list).post(firmware::publish))
        .fallback(no_such_resource)
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_token));
    Router::new()
        .nest("/api/v1", estate)
        .route("/api/v1/login", post(auth::login))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(no_such_resource)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
        .with_state(app)
}

async fn no_such_resource() -> Problem {
    Problem::new(404, "not_found", "there is nothing at this address; the interface is under /api/v1")
}

async fn no_such_method() -> Problem {
    Problem::new(405, "method_not_allowed", "this address does not take this method")
}

#[cfg(test)]
mod tests;
