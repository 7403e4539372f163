//! Firmware packages.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::time::timeout;

use super::code::Code;
use super::input::Asked;
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::view::FirmwareView;
use crate::app::App;
use crate::service::Upload;

/// What is read, and thrown away, of an upload that has been refused.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Published packages, newest first.
#[utoipa::path(get, path = "/api/v1/firmware", operation_id = "list_firmware", tag = "firmware",
    params(PageRequest),
    responses((status = 200, description = "A page of packages", body = Page<FirmwareView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<PageRequest>,
) -> Result<Json<Page<FirmwareView>>, Problem> {
    let firmwares = app.store.firmwares().await?;
    let page = Page::of(List::Firmware, &asked, firmwares, |f| f.id.to_string(), FirmwareView::from);
    Ok(Json(page?))
}

/// Publishes a `.tmsfw` package, whatever its content type; the same package again is the same firmware.
///
/// It goes to disk as it comes, so
/// that its size costs no memory, and its own limit takes the place of the one for JSON.
#[utoipa::path(post, path = "/api/v1/firmware", operation_id = "publish_firmware", tag = "firmware",
    request_body(content_type = "application/octet-stream", description = "A signed package (`.tmsfw`)"),
    responses((status = 201, description = "The published package", body = FirmwareView)))]
pub(super) async fn publish(State(app): State<Arc<App>>, body: Body) -> Result<Response, Problem> {
    let mut upload = Upload::begin(&app).await?;
    let mut pieces = body.into_data_stream();
    let stall = Duration::from_secs(app.limits.api.stall_timeout_s);
    while let Some(piece) = timeout(stall, pieces.next()).await.map_err(|_| stalled())? {
        let piece = piece.map_err(|error| {
            Problem::new(Code::BodyIncomplete, format!("the upload broke off: {error}; send it again"))
        })?;
        if let Err(refused) = upload.write(&app, &piece).await {
            discard(pieces, stall).await;
            return Err(refused.into());
        }
    }
    let record = upload.finish(&app).await?;
    let location = [(header::LOCATION, "/api/v1/firmware")];
    Ok((StatusCode::CREATED, location, Json(FirmwareView::from(record))).into_response())
}

fn stalled() -> Problem {
    Problem::new(Code::RequestTimeout, "nothing more of the upload came; send it again")
}

/// Reads on for a while without keeping anything: a client that still sends when the connection
/// closes sees a broken pipe instead of the answer.
async fn discard(mut pieces: BodyDataStream, stall: Duration) {
    let mut left = DISCARDED_BYTES;
    while let Ok(Some(Ok(piece))) = timeout(stall, pieces.next()).await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
