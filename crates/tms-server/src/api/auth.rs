//! Who asks: log-in for a bearer token, and the check of that token on every other call.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tms_core::UserRole;
use tms_store::Token;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::code::Code;
use super::endpoint::{self, Who};
use super::input::Body;
use super::limit::{self, Guard};
use super::problem::Problem;
use crate::app::App;
use crate::service;

/// Who, and the proof of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    user: String,
    password: String,
}

/// What every other call needs.
#[derive(Serialize, ToSchema)]
struct LoginReply<'a> {
    /// For the header `Authorization: Bearer TOKEN`.
    token: &'a str,
    /// Until when it is valid.
    expires_at: Timestamp,
}

/// Logs in: a password for a bearer token.
#[utoipa::path(post, path = "/api/v1/login", operation_id = "login", tag = "people",
    request_body = LoginRequest,
    responses((status = 200, description = "A bearer token", body = LoginReply)))]
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

/// Who a token speaks for.
#[derive(Serialize, ToSchema)]
pub(super) struct Myself {
    /// The name to log in with.
    user: String,
    /// How much this user may do.
    role: UserRole,
    /// Until when the token is valid.
    expires_at: Timestamp,
}

/// Says who asks.
#[utoipa::path(get, path = "/api/v1/whoami", operation_id = "whoami", tag = "people",
    responses((status = 200, description = "Whose the token is", body = Myself)))]
pub(super) async fn whoami(Extension(token): Extension<Token>) -> Json<Myself> {
    Json(Myself { user: token.user, role: token.role, expires_at: token.expires_at })
}

/// Lets a request pass whose endpoint is for anybody, or whose token has the role that it asks for. The
/// handler finds the [`Token`] in the request.
pub(super) async fn require_role(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A HEAD is answered by the handler of GET, and is no more than that.
    let method = match *request.method() {
        Method::HEAD => "GET",
        ref method => method.as_str(),
    };
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let endpoint = path.and_then(|path| endpoint::of(method, path));
    let least = match endpoint.map(|endpoint| endpoint.who) {
        Some(Who::Anybody) => return next.run(request).await,
        Some(Who::Least(role)) => role,
        // What nobody decided on is for administrators; a method that does not exist is told to all of them.
        None => UserRole::Administrator,
    };
    // Taken out first: a request cannot be looked at while something is waited for.
    let token = bearer(request.headers()).map(|token| Zeroizing::new(token.to_owned()));
    match permitted(guard.app(), token, least).await {
        Ok(token) => {
            let user = token.user.clone();
            request.extensions_mut().insert(token);
            let repeatable = endpoint.is_some_and(|endpoint| endpoint.repeatable);
            limit::pace(&guard, &user, repeatable, request, next).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn permitted(app: &App, token: Option<Zeroizing<String>>, least: UserRole) -> Result<Token, Problem> {
    let token = token.ok_or_else(|| {
        Problem::new(
            Code::TokenMissing,
            "this call needs the header Authorization: Bearer TOKEN; POST /api/v1/login gives a token",
        )
    })?;
    let token = service::authenticate(app, &token).await?;
    if token.role.may(least) {
        return Ok(token);
    }
    let detail = format!("this is for the role {least}, and {} has the role {}", token.user, token.role);
    Err(Problem::new(Code::RoleInsufficient, detail))
}
