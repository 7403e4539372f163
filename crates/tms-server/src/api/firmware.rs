//! Firmware packages.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::problem::Problem;
use super::view::{FirmwareView, Page};
use crate::app::App;
use crate::service::Upload;

/// What is read, and thrown away, of an upload that has been refused.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Newest first.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Page<FirmwareView>>, Problem> {
    let firmwares = app.store.firmwares().await?;
    Ok(Json(Page::whole(firmwares.into_iter().map(FirmwareView::from).collect())))
}

/// Takes a `.tmsfw` package as the body, whatever its content type. It goes to disk as it comes, so
/// that its size costs no memory, and its own limit takes the place of the one for JSON.
pub(super) async fn publish(State(app): State<Arc<App>>, body: Body) -> Result<Response, Problem> {
    let mut upload = Upload::begin(&app).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            Problem::new(400, "body_incomplete", format!("the upload broke off: {error}; send it again"))
        })?;
        if let Err(refused) = upload.write(&app, &piece).await {
            discard(pieces).await;
            return Err(refused.into());
        }
    }
    let record = upload.finish(&app).await?;
    Ok((StatusCode::CREATED, Json(FirmwareView::from(record))).into_response())
}

/// Reads on for a while without keeping anything: a client that still sends when the connection
/// closes sees a broken pipe instead of the answer.
async fn discard(mut pieces: BodyDataStream) {
    let mut left = DISCARDED_BYTES;
    while let Some(Ok(piece)) = pieces.next().await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
