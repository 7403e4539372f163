//! The REST interface: JSON under `/api/v1` with a bearer token, plain health and metrics beside it.
//!
//! Every error is a problem document (RFC 9457) with a stable `code`, a sentence and often a next
//! step. Modules: [`code`] and [`problem`] (errors), `endpoint` (the table of who may call what, and what
//! can go wrong), `document` (OpenAPI), `input` (bodies, queries and names), `page` (lists), `auth` (who
//! asks), `serve`, `limit` and `pace` (how much anybody can ask at once),
//! `condition` and `repeat` (what was seen, and what was asked before), `view` (what is shown), and one module for each kind of resource.

mod alarms;
mod auth;
mod batch;
mod batches;
pub mod code;
mod condition;
mod document;
mod endpoint;
mod estate;
mod events;
mod firmware;
mod groups;
mod health;
mod input;
mod limit;
mod logs;
mod measure;
mod operations;
mod pace;
mod page;
mod places;
pub mod problem;
mod repeat;
mod rollouts;
mod selectors;
mod serve;
mod sets;
mod terminals;
mod view;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::app::App;

use code::Code;
use limit::Guard;
use measure::Measures;
use problem::Problem;
pub(crate) use serve::serve;

/// Largest set: a hundred keys of 2048 bits in hexadecimal are a tenth of it.
const MAX_SET_BYTES: usize = 1024 * 1024;

/// Every route of the interface.
pub fn router(app: Arc<App>) -> Router {
    let guard = Arc::new(Guard::new(Arc::clone(&app)));
    let measures = Arc::new(Measures::default());
    let (router, made) = routes().split_for_parts();
    let document: Arc<str> = document::complete(&made).to_string().into();
    router
        .route_layer(from_fn_with_state(Arc::clone(&guard), auth::require_role))
        .route_layer(from_fn_with_state(guard, limit::admit))
        .route_layer(from_fn_with_state(Arc::clone(&measures), measure::measure))
        .fallback(no_such_resource)
        .method_not_allowed_fallback(no_such_method)
        .layer(Extension(document))
        .layer(Extension(measures))
        .layer(Extension(Arc::new(estate::Imports::default())))
        .layer(DefaultBodyLimit::max(app.limits.api.body_bytes))
        .with_state(app)
}

/// The OpenAPI document of the interface, as it is served at `/api/v1/openapi.json`.
#[must_use]
pub fn document() -> serde_json::Value {
    document::complete(routes().get_openapi())
}

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(document::frame())
        .routes(routes!(auth::login))
        .routes(routes!(auth::whoami))
        .routes(routes!(terminals::list, terminals::add))
        .routes(routes!(terminals::show))
        .routes(routes!(places::show, places::change))
        .routes(routes!(places::replace))
        .routes(routes!(terminals::parameters, terminals::set_parameters))
        .routes(routes!(terminals::assign_firmware))
        .routes(routes!(batch::show))
        .routes(routes!(terminals::reset))
        .routes(routes!(terminals::rotate_credential))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::show, groups::change, groups::delete))
        .routes(routes!(selectors::list))
        .routes(routes!(selectors::check))
        .routes(routes!(selectors::show, selectors::put, selectors::delete))
        .routes(routes!(estate::bulk))
        .routes(routes!(estate::import))
        .routes(routes!(estate::export))
        .routes(routes!(operations::list, operations::command))
        .routes(routes!(operations::withdraw_plan))
        .routes(routes!(logs::list, logs::collect))
        .routes(routes!(operations::show))
        .routes(routes!(operations::cancel))
        .routes(routes!(batches::create))
        .routes(routes!(batches::show))
        .routes(routes!(batches::cancel))
        .routes(routes!(rollouts::list, rollouts::create))
        .routes(routes!(rollouts::show))
        .routes(routes!(rollouts::targets))
        .routes(routes!(rollouts::start))
        .routes(routes!(rollouts::pause))
        .routes(routes!(rollouts::resume))
        .routes(routes!(rollouts::approve))
        .routes(routes!(rollouts::abort))
        .routes(routes!(rollouts::finish))
        .routes(routes!(alarms::list))
        .routes(routes!(logs::show))
        .routes(routes!(sets::list))
        .routes(routes!(sets::show, sets::put).layer(DefaultBodyLimit::max(MAX_SET_BYTES)))
        .routes(routes!(firmware::list, firmware::publish))
        .routes(routes!(events::listen))
        .routes(routes!(document::show))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

async fn no_such_resource() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this address; the interface is under /api/v1")
}

async fn no_such_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this address does not take this method")
}

#[cfg(test)]
mod tests;
