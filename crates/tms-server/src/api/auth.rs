//! Who asks: log-in for a bearer token, and the check of that token on every other call.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::input::Body;
use super::problem::Problem;
use crate::app::App;
use crate::service;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    user: String,
    password: String,
}

#[derive(Serialize)]
struct LoginReply<'a> {
    token: &'a str,
    expires_at: Timestamp,
}

pub(super) async fn login(
    State(app): State<Arc<App>>,
    Body(request): Body<LoginRequest>,
) -> Result<Response, Problem> {
    let password = Zeroizing::new(request.password);
    let login = service::login(&app, &request.user, &password).await;
    if login.is_err() {
        tracing::warn!(user = request.user.chars().take(64).collect::<String>(), "log-in refused");
    }
    let login = login?;
    let reply = LoginReply { token: &login.token, expires_at: login.expires_at };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Json(reply)).into_response())
}

pub(super) async fn require_token(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(token) = token else {
        return Problem::new(
            401,
            "token_missing",
            "this call needs the header Authorization: Bearer TOKEN; POST /api/v1/login gives a token",
        )
        .into_response();
    };
    match service::authenticate(&app, token).await {
        Ok(_) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}
