//! Requests that may be sent again without being done again: a caller gives a key, and the same request
//! under the same key gets the same answer, also from a server that was restarted.
//!
//! The key is noted in the store before the request is worked on, and the answer is kept there before it is
//! sent. A server that stops in between, or fails, has noted a request without an answer: nobody can know
//! then whether it was done, so that it is neither done again nor answered, and the caller is told to look.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tms_store::Begun;

use super::code::Code;
use super::problem::Problem;
use crate::app::App;

/// The header with the key.
pub(super) const KEY: &str = "idempotency-key";
/// Longest key.
pub(super) const MAX_KEY_BYTES: usize = 128;
/// How long a key is known.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Largest answer that is kept; those of changes are far smaller.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Says that an answer is that of an earlier request.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Requests under a key that this server works on.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashSet<(String, String)>>);

/// The place of one of them; leaving it is dropping it.
struct Place {
    running: Arc<Running>,
    who: (String, String),
}

impl Running {
    fn enter(self: &Arc<Self>, caller: &str, key: &str) -> Option<Place> {
        let who = (caller.to_owned(), key.to_owned());
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(who.clone()).then(|| Place { running: Arc::clone(self), who })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.who);
    }
}

/// An answer as it is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    content_type: Option<String>,
    location: Option<String>,
    body: String,
}

/// Works on a request, unless its key says that this was done.
pub(super) async fn once(
    app: &Arc<App>,
    running: &Arc<Running>,
    caller: &str,
    request: Request,
    next: Next,
) -> Response {
    match key(request.headers()) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => match attempt(app, running, caller, &key, request, next).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        Err(problem) => problem.into_response(),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(first) = keys.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| {
        (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match (text, keys.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Problem::new(
            Code::IdempotencyKeyInvalid,
            format!("Idempotency-Key must stand once and have 1 to {MAX_KEY_BYTES} visible ASCII characters"),
        )),
    }
}

async fn attempt(
    app: &Arc<App>,
    running: &Arc<Running>,
    caller: &str,
    key: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, app.limits.api.body_bytes)
        .await
        .map_err(|_| Problem::new(Code::BodyTooLarge, "the body has more bytes than this address takes"))?;
    let place = running.enter(caller, key).ok_or_else(|| {
        Problem::new(Code::RequestInProgress, "this request is being worked on; ask again in a moment")
    })?;
    let asked = format!("{} {}\n", parts.method, parts.uri);
    let fingerprint = hex::encode(tms_crypto::sha256(&[asked.as_bytes(), body.as_ref()].concat()));
    let now = app.now();
    let since = now.saturating_sub(KEPT).unwrap_or(now);
    match app.store.begin_request(caller, key, &fingerprint, since, now).await? {
        Begun::New => {}
        Begun::Answered(sealed) => return replay(app, caller, key, &sealed),
        Begun::Unfinished => {
            return Err(Problem::new(
                Code::RequestInterrupted,
                "the server stopped or failed while it worked on this request, which may or may not have been \
                 done; look, and send it with a new key if it was not",
            ));
        }
        Begun::Other => {
            return Err(Problem::new(
                Code::IdempotencyKeyReused,
                "this key stands for another request of yours; take a new one for each request",
            ));
        }
    }
    // A caller that goes away in the middle must find the answer when it asks again.
    let (app, caller, key) = (Arc::clone(app), caller.to_owned(), key.to_owned());
    let work = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        let response = keep(&app, &caller, &key, response).await;
        drop(place);
        response
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended abnormally");
        Err(Problem::new(Code::Internal, "the server could not finish this; see its log"))
    })
}

/// Keeps the answer of what was done. What was refused changed nothing and may be asked again; what failed may
/// have been done all the same, as when the store goes away after its commit, and stays without an answer.
async fn keep(app: &App, caller: &str, key: &str, response: Response) -> Result<Response, Problem> {
    if response.status().is_client_error() {
        app.store.forget_request(caller, key).await?;
    }
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let internal = |reason: String| {
        tracing::error!(reason, "an answer could not be kept");
        Problem::new(Code::Internal, "this was done, and its answer could not be kept; see the server's log")
    };
    let body = to_bytes(body, MAX_ANSWER_BYTES).await.map_err(|error| internal(error.to_string()))?;
    let text =
        |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let kept = Kept {
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        body: STANDARD.encode(&body),
    };
    let plain = serde_json::to_vec(&kept).map_err(|error| internal(error.to_string()))?;
    let sealed =
        app.vault.seal(&context(caller, key), &plain).map_err(|error| internal(error.to_string()))?;
    app.store.finish_request(caller, key, sealed).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(app: &App, caller: &str, key: &str, sealed: &[u8]) -> Result<Response, Problem> {
    let unreadable = |reason: String| {
        tracing::error!(reason, "an answer that was kept cannot be read");
        Problem::new(
            Code::Internal,
            "this was done, and its answer cannot be read any more; see the server's log",
        )
    };
    let plain =
        app.vault.unseal(&context(caller, key), sealed).map_err(|error| unreadable(error.to_string()))?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|error| unreadable(error.to_string()))?;
    let body = STANDARD.decode(&kept.body).map_err(|error| unreadable(error.to_string()))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(kept.status).map_err(|error| unreadable(error.to_string()))?;
    let headers = response.headers_mut();
    for (name, value) in [(header::CONTENT_TYPE, kept.content_type), (header::LOCATION, kept.location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    Ok(response)
}

/// What an answer is sealed for.
fn context(caller: &str, key: &str) -> Vec<u8> {
    format!("request/{}/{caller}/{key}", caller.len()).into_bytes()
}
