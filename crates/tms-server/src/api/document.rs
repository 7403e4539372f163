//! The OpenAPI document of the interface. Addresses, bodies and answers come from the handlers; what can
//! go wrong and who may call comes from the table of endpoints.

use std::collections::BTreeMap;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use super::code::Code;
use super::endpoint::{self, Condition, Endpoint, Who};
use super::problem::Problem;
use super::repeat;

/// What the handlers do not say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tms8583",
        description = "Management of POS terminals over ISO 8583. Every answer that is an error is a problem \
            document (RFC 9457) with a stable `code`."
    ),
    components(schemas(Problem)),
    tags(
        (name = "people", description = "Who asks"),
        (name = "terminals", description = "Terminals, what they should be and what they are"),
        (name = "groups", description = "The tree that terminals stand in"),
        (name = "selectors", description = "Which terminals are meant, in a line of text"),
        (name = "estate", description = "Many terminals at once"),
        (name = "operations", description = "Work for terminals"),
        (name = "batches", description = "One command for many terminals, at once"),
        (name = "rollouts", description = "One change for many terminals, in waves"),
        (name = "alarms", description = "What terminals say unasked"),
        (name = "events", description = "What happens, as it happens"),
        (name = "logs", description = "Logs that terminals sent"),
        (name = "sets", description = "What all terminals download"),
        (name = "firmware", description = "Signed firmware packages"),
        (name = "health", description = "For those who watch the server"),
    )
)]
struct Frame;

/// A document without endpoints.
pub(super) fn frame() -> Document {
    Frame::openapi()
}

/// The document as it is served: `made` by the router, completed from the table of endpoints.
pub(super) fn complete(made: &Document) -> Value {
    let mut document = serde_json::to_value(made).unwrap_or_default();
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                let known = endpoint::of(&method.to_ascii_uppercase(), path);
                if let (Some(endpoint), Some(operation)) = (known, operation.as_object_mut()) {
                    complete_operation(operation, endpoint);
                }
            }
        }
    }
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        let token = json!({
            "type": "http",
            "scheme": "bearer",
            "description": "The token of `POST /api/v1/login`.",
        });
        components.insert("securitySchemes".to_owned(), json!({"token": token}));
    }
    document
}

/// The document, for those who write clients.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "health",
    responses((status = 200, description = "This document", body = Value)))]
pub(super) async fn show(document: axum::Extension<std::sync::Arc<str>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.as_bytes().to_vec()).into_response()
}

fn complete_operation(operation: &mut Map<String, Value>, endpoint: &Endpoint) {
    if let Who::Least(role) = endpoint.who {
        operation.insert("security".to_owned(), json!([{"token": []}]));
        operation.insert("x-least-role".to_owned(), json!(role));
    }
    let headers: &[(&str, &str)] = match endpoint.condition {
        Condition::None | Condition::Tag => &[],
        Condition::Read => &[("If-None-Match", "Tags that the caller has; 304 if one is that of the answer")],
        Condition::May | Condition::Must => &[
            ("If-Match", "The tag of the revision that the change is made for"),
            ("If-None-Match", "`*` if there must be none yet"),
        ],
    };
    let key = format!(
        "Any name of the caller's own for this request, 1 to {} visible ASCII characters. The same request with \
         the same key gets the same answer for 24 hours and is not done again.",
        repeat::MAX_KEY_BYTES
    );
    let repeat = endpoint.repeatable.then_some(("Idempotency-Key", key.as_str()));
    for (name, description) in headers.iter().copied().chain(repeat) {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            let schema = match name {
                "Idempotency-Key" => json!({"type": "string", "pattern": "^[!-~]{1,128}$"}),
                _ => json!({"type": "string"}),
            };
            parameters.push(
                json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema}),
            );
        }
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in endpoint.problems() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, mut codes) in by_status {
        codes.sort_unstable();
        codes.dedup();
        if let Some(responses) = responses.as_object_mut() {
            responses.insert(status.to_string(), problem(&codes));
        }
    }
    let Some(responses) = responses.as_object_mut() else { return };
    if endpoint.condition == Condition::Read {
        responses.insert("304".to_owned(), json!({"description": "The caller has it"}));
    }
    for (status, response) in responses {
        let Some(response) = response.as_object_mut() else { continue };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let Some(headers) = headers.as_object_mut() else { continue };
        let mut tell = |name: &str, description: &str| {
            headers
                .insert(name.to_owned(), json!({"description": description, "schema": {"type": "string"}}));
        };
        // What is gone has no tag.
        let success = status.starts_with('2') && status != "204";
        if endpoint.condition != Condition::None && (success || status == "304") {
            tell("ETag", "The tag of what is answered, or of the new revision");
        }
        if status == "201" {
            tell("Location", "Where it is now");
        }
        if success && endpoint.repeatable {
            tell("Idempotency-Replayed", "`true` if this is the answer of an earlier request");
        }
    }
}

fn problem(codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let meanings: Vec<_> =
        codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning())).collect();
    let schema = json!({
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "properties": {"code": {"type": "string", "enum": names}}},
        ],
    });
    let retry = codes.iter().any(|code| matches!(code, Code::TooManyRequests | Code::Overloaded));
    let headers = match retry {
        true => json!({"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}),
        false => json!({}),
    };
    json!({
        "description": meanings.join(" "),
        "headers": headers,
        "content": {"application/problem+json": {"schema": schema}},
    })
}
