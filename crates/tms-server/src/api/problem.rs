//! Errors as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tms_core::IdError;
use tms_core::parameters::ParameterError;
use tms_firmware::FirmwareError;
use tms_store::StoreError;

use crate::service::ServiceError;

/// One error as it is told to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `about:blank`, as `code` tells more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The meaning of the status, in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence for people, often with a next step.
    detail: String,
    /// The kind of problem, for programs; stable.
    code: &'static str,
}

impl Problem {
    /// A problem with this HTTP status; an impossible one becomes 500.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
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
        Self::new(400, "name_invalid", error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { what, .. } => {
                let code = match *what {
                    "terminal" => "terminal_not_found",
                    "firmware" => "firmware_not_found",
                    "operation" => "operation_not_found",
                    _ => "not_found",
                };
                Self::new(404, code, error.to_string())
            }
            StoreError::Conflict { .. } => Self::new(409, "conflict", error.to_string()),
            StoreError::IllegalTransition { .. } => Self::new(409, "operation_state", error.to_string()),
            _ => {
                tracing::error!(%error, "the store failed a request");
                Self::new(
                    503,
                    "store_unavailable",
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
                Self::new(422, "parameter_unknown", detail)
            }
            ServiceError::Parameter(_) => Self::new(422, "parameter_invalid", detail),
            ServiceError::Invalid(_) => Self::new(422, "invalid", detail),
            ServiceError::Model { .. } => Self::new(422, "firmware_model_mismatch", detail),
            ServiceError::NoTrustRoot => Self::new(422, "firmware_trust_root_missing", detail),
            ServiceError::Firmware(error) => firmware(&error),
            ServiceError::TooLarge { .. } => Self::new(413, "body_too_large", detail),
            ServiceError::Credentials => Self::new(401, "credentials_wrong", detail),
            ServiceError::Token => Self::new(401, "token_invalid", detail),
            ServiceError::Store(error) => error.into(),
            ServiceError::Objects(error) => {
                tracing::error!(%error, "the object folder failed a request");
                Self::new(503, "objects_unavailable", "the object folder cannot be written; see the log")
            }
            ServiceError::Vault(_) | ServiceError::Seal(_) | ServiceError::Internal(_) => {
                // What exactly went wrong with secrets is for the log only.
                tracing::error!(error = %detail, "a request failed inside the server");
                Self::new(500, "internal", "the server could not finish this; see its log")
            }
        }
    }
}

fn firmware(error: &FirmwareError) -> Problem {
    let code = match error {
        FirmwareError::SignatureInvalid { .. } | FirmwareError::NotEnoughSignatures { .. } => {
            "firmware_signature_invalid"
        }
        FirmwareError::HashMismatch { .. } => "firmware_image_changed",
        FirmwareError::Io(error) => {
            tracing::error!(%error, "reading or writing a firmware package failed");
            return Problem::new(
                503,
                "objects_unavailable",
                "the object folder cannot be written; see the log",
            );
        }
        _ => "firmware_package_invalid",
    };
    Problem::new(422, code, error.to_string())
}
