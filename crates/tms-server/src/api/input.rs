//! What callers send: bodies, queries and names, with errors as problem documents.

use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tms_core::IdError;

use super::code::Code;
use super::problem::Problem;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

/// A query.
pub(super) struct Asked<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Asked<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

/// Names in the address. They are checked by [`name`]; here they only have to be text.
pub(super) struct Place<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Place<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(place)) => Ok(Self(place)),
            Err(rejection) => Err(Problem::new(Code::NameInvalid, rejection.body_text())),
        }
    }
}

/// Checks a name from the address.
pub(super) fn name<T: FromStr<Err = IdError>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(Problem::from)
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Code::BodyTooLarge, "the body has more bytes than this address takes")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            Code::MediaType,
            "the body must be JSON, with the header Content-Type: application/json",
        ),
        _ => Problem::new(Code::BodyInvalid, rejection.body_text()),
    }
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    Problem::new(Code::QueryInvalid, rejection.body_text())
}
