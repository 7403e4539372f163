//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tms_core::IdError;
use tms_core::parameters::ParameterError;
use tms_core::selector::SelectorError;
use tms_firmware::FirmwareError;
use tms_store::StoreError;
use utoipa::ToSchema;

use super::code::Code;
use crate::service::ServiceError;

/// One error as it is told to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem: `about:blank`, as `code` tells more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The meaning of the status, in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A sentence for people, often with a next step.
    detail: String,
    /// The kind of problem, for programs; stable.
    code: &'static str,
    /// Where a selector was not understood, and what would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    selector: Option<Box<SelectorPlace>>,
}

/// Where a selector was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct SelectorPlace {
    /// Bytes before the place.
    offset: usize,
    /// The character at the place, counted from 1.
    #[schema(minimum = 1)]
    column: usize,
    /// What would have made sense there.
    expected: String,
    /// What stands there, shortened; empty when the place says nothing.
    found: String,
    /// What was likely meant.
    suggestion: Option<String>,
}

impl Problem {
    /// A problem of this kind; the kind has its HTTP status.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.name(),
            selector: None,
        }
    }

    /// The kind of problem, for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::new(Code::NameInvalid, error.to_string())
    }
}

impl From<SelectorError> for Problem {
    fn from(error: SelectorError) -> Self {
        let detail = error.to_string();
        let SelectorError { offset, column, expected, found, suggestion } = error;
        let place = SelectorPlace { offset, column, expected, found, suggestion };
        Self { selector: Some(Box::new(place)), ..Self::new(Code::SelectorInvalid, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { what, .. } => {
                let code = match *what {
                    "terminal" => Code::TerminalNotFound,
                    "group" => Code::GroupNotFound,
                    "firmware" => Code::FirmwareNotFound,
                    "operation" => Code::OperationNotFound,
                    _ => Code::NotFound,
                };
                Self::new(code, error.to_string())
            }
            StoreError::Conflict { .. } => Self::new(Code::Conflict, error.to_string()),
            StoreError::Stale { .. } => Self::new(Code::PreconditionFailed, error.to_string()),
            StoreError::Invalid { .. } => Self::new(Code::Invalid, error.to_string()),
            StoreError::IllegalTransition { .. } => Self::new(Code::OperationState, error.to_string()),
            _ => {
                tracing::error!(%error, "the store failed a request");
                Self::new(
                    Code::StoreUnavailable,
                    "the store is not available; try again later, or see the log",
                )
            }
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::Parameter(ParameterError::Unknown { .. }) => {
                Self::new(Code::ParameterUnknown, detail)
            }
            ServiceError::Parameter(_) => Self::new(Code::ParameterInvalid, detail),
            ServiceError::Invalid(_) => Self::new(Code::Invalid, detail),
            ServiceError::Selector(error) => error.into(),
            ServiceError::NoSelector(_) => Self::new(Code::SelectorUnknown, detail),
            ServiceError::Model { .. } => Self::new(Code::FirmwareModelMismatch, detail),
            ServiceError::NoTrustRoot => Self::new(Code::FirmwareTrustRootMissing, detail),
            ServiceError::Firmware(error) => firmware(&error),
            ServiceError::TooLarge { .. } => Self::new(Code::BodyTooLarge, detail),
            ServiceError::Credentials => Self::new(Code::CredentialsWrong, detail),
            ServiceError::Token => Self::new(Code::TokenInvalid, detail),
            ServiceError::Store(error) => error.into(),
            ServiceError::Objects(error) => {
                tracing::error!(%error, "the object folder failed a request");
                Self::new(Code::ObjectsUnavailable, "the object folder cannot be written; see the log")
            }
            ServiceError::Vault(_) | ServiceError::Seal(_) | ServiceError::Internal(_) => {
                // What exactly went wrong with secrets is for the log only.
                tracing::error!(error = %detail, "a request failed inside the server");
                Self::new(Code::Internal, "the server could not finish this; see its log")
            }
        }
    }
}

fn firmware(error: &FirmwareError) -> Problem {
    let code = match error {
        FirmwareError::SignatureInvalid { .. } | FirmwareError::NotEnoughSignatures { .. } => {
            Code::FirmwareSignatureInvalid
        }
        FirmwareError::HashMismatch { .. } => Code::FirmwareImageChanged,
        FirmwareError::Io(error) => {
            tracing::error!(%error, "reading or writing a firmware package failed");
            return Problem::new(
                Code::ObjectsUnavailable,
                "the object folder cannot be written; see the log",
            );
        }
        _ => Code::FirmwarePackageInvalid,
    };
    Problem::new(code, error.to_string())
}
