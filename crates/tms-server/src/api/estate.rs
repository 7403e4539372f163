//! Many terminals at once: changes of all that a selector means, and whole files in and out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as RawBody, BodyDataStream};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tms_core::{Selector, TerminalId};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::code::Code;
use super::input::{Asked, Body};
use super::limit;
use super::places::PlaceRequest;
use super::problem::Problem;
use crate::app::App;
use crate::service::estate::{self, Export, Format, ImportOptions, ImportReport};

/// Largest file of terminals: 200,000 rows of 160 bytes.
const MAX_IMPORT_BYTES: usize = 32 * 1024 * 1024;

/// Lets one import in at a time: each may take a few hundred megabytes.
#[derive(Debug)]
pub(super) struct Imports(Semaphore);

impl Default for Imports {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

/// A change of many terminals.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRequest {
    /// A line of the language, or `@name`.
    #[schema(max_length = 4096)]
    selector: String,
    change: PlaceRequest,
    /// Only say what would come of it.
    #[serde(default)]
    dry_run: bool,
}

/// What became of a change of many terminals.
#[derive(Serialize, ToSchema)]
pub(super) struct BulkReply {
    /// Whether it was a trial, and nothing was changed.
    dry_run: bool,
    /// How many terminals were selected.
    selected: u64,
    /// How many of them are changed; the others were so already, or were refused.
    changed: u64,
    /// How many cannot be so.
    refused: u64,
    /// The first hundred of these.
    refusals: Vec<RefusalView>,
}

/// A terminal that cannot be so.
#[derive(Serialize, ToSchema)]
struct RefusalView {
    terminal: TerminalId,
    reason: String,
}

/// Changes every terminal that a selector means, in one transaction. Those that cannot be so are passed over and
/// named.
#[utoipa::path(post, path = "/api/v1/estate/bulk", operation_id = "change_terminals", tag = "estate",
    request_body = BulkRequest,
    responses((status = 200, description = "What became of them", body = BulkReply)))]
pub(super) async fn bulk(
    State(app): State<Arc<App>>,
    Body(asked): Body<BulkRequest>,
) -> Result<Json<BulkReply>, Problem> {
    let BulkRequest { selector, change, dry_run } = asked;
    let selector = estate::resolve(&app, &selector).await?;
    let done = estate::change_many(&app, &selector, change.into(), dry_run).await?;
    let refusals = done.refusals.into_iter().map(|(terminal, reason)| RefusalView { terminal, reason });
    Ok(Json(BulkReply {
        dry_run,
        selected: done.selected,
        changed: done.changed,
        refused: done.refused,
        refusals: refusals.collect(),
    }))
}

/// How a file is taken.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportRequest {
    /// Only say what would come of it.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Take the rows that can be although others cannot.
    #[serde(default)]
    #[param(required = false)]
    partial: bool,
}

/// What became of a file of terminals.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportReply {
    /// Whether anything was done: not by a trial, and not when a row was refused, unless it was to be partial.
    applied: bool,
    dry_run: bool,
    /// Rows of the file.
    rows: u64,
    /// Terminals that are new.
    added: u64,
    /// Terminals that are changed.
    changed: u64,
    /// Terminals that were so already.
    same: u64,
    /// Rows that cannot be.
    refused: u64,
    /// The first thousand of these, in their order.
    problems: Vec<RowProblemView>,
}

/// A row that cannot be.
#[derive(Serialize, ToSchema)]
struct RowProblemView {
    /// The line of a CSV file, the place in a JSON array; both from 1.
    row: u64,
    /// The terminal, if the row says one.
    terminal: Option<TerminalId>,
    reason: String,
}

/// Adds and changes terminals as a file says, all rows or none. New terminals are registered, and get their
/// keys when they are enrolled.
#[utoipa::path(post, path = "/api/v1/estate/import", operation_id = "import_terminals", tag = "estate",
    params(ImportRequest),
    request_body(content((String = "text/csv"), (Vec<Value> = "application/json")),
        description = "A CSV file with column names in its first line, or a JSON array; at most 32 MiB and 200,000 rows"),
    responses((status = 200, description = "What became of the rows", body = ImportReply)))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Extension(imports): Extension<Arc<Imports>>,
    Asked(asked): Asked<ImportRequest>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    let format = content_format(&headers)?;
    let limits = &app.limits.api;
    let patience = Duration::from_secs(limits.request_timeout_s);
    let Ok(Ok(_place)) = timeout(patience, imports.0.acquire()).await else {
        let detail = "another file is being imported; try again";
        return Ok(limit::later(Problem::new(Code::Overloaded, detail), 5));
    };
    let file = whole(body.into_data_stream(), Duration::from_secs(limits.stall_timeout_s)).await?;
    // Reading a large file takes long enough to keep others waiting.
    let rows =
        tokio::task::spawn_blocking(move || estate::read(format, &file)).await.map_err(|error| {
            tracing::error!(%error, "reading a file of terminals ended abnormally");
            Problem::new(Code::Internal, "the server could not read the file; see its log")
        })??;
    let ImportRequest { dry_run, partial } = asked;
    let report = estate::import(&app, rows, ImportOptions { dry_run, partial }).await?;
    Ok(Json(ImportReply::new(dry_run, report)).into_response())
}

impl ImportReply {
    fn new(dry_run: bool, report: ImportReport) -> Self {
        let problems = report.problems.into_iter().map(|(row, problem)| RowProblemView {
            row,
            terminal: problem.terminal,
            reason: problem.reason,
        });
        Self {
            applied: report.applied,
            dry_run,
            rows: report.rows,
            added: report.added,
            changed: report.changed,
            same: report.same,
            refused: report.refused,
            problems: problems.collect(),
        }
    }
}

fn content_format(headers: &HeaderMap) -> Result<Format, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => Ok(Format::Csv),
        "application/json" => Ok(Format::Json),
        _ => Err(Problem::new(
            Code::MediaType,
            "the file must be CSV or JSON, with the header Content-Type: text/csv or application/json",
        )),
    }
}

/// A whole file, as long as it is not too large and goes on coming.
async fn whole(mut pieces: BodyDataStream, stall: Duration) -> Result<Vec<u8>, Problem> {
    let mut file = Vec::new();
    loop {
        let stalled = |_| Problem::new(Code::RequestTimeout, "nothing more of the file came; send it again");
        let Some(piece) = timeout(stall, pieces.next()).await.map_err(stalled)? else { return Ok(file) };
        let piece = piece.map_err(|error| {
            Problem::new(Code::BodyIncomplete, format!("the file broke off: {error}; send it again"))
        })?;
        if file.len().saturating_add(piece.len()) > MAX_IMPORT_BYTES {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!("the file has more than {MAX_IMPORT_BYTES} bytes; import it in several"),
            ));
        }
        file.extend_from_slice(&piece);
    }
}

/// How terminals are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FormatName {
    /// Comma-separated values.
    #[default]
    Csv,
    /// An array of objects.
    Json,
}

/// Which terminals, and how.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportRequest {
    /// Those that it means only: a line of the language, or `@name`.
    #[param(max_length = 4096)]
    selector: Option<String>,
    /// `csv` when absent.
    #[serde(default)]
    #[param(required = false, inline)]
    format: FormatName,
}

/// Terminals as a file that can be imported.
#[utoipa::path(get, path = "/api/v1/estate/export", operation_id = "export_terminals", tag = "estate",
    params(ExportRequest),
    responses((status = 200, description = "The file; it breaks off when something goes wrong in the middle",
        content((String = "text/csv"), (Vec<Value> = "application/json")))))]
pub(super) async fn export(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<ExportRequest>,
) -> Result<Response, Problem> {
    let selector = match &asked.selector {
        Some(text) => estate::resolve(&app, text).await?,
        None => Selector::all(),
    };
    let (format, kind, disposition) = match asked.format {
        FormatName::Csv => (Format::Csv, "text/csv; charset=utf-8", "attachment; filename=\"terminals.csv\""),
        FormatName::Json => (Format::Json, "application/json", "attachment; filename=\"terminals.json\""),
    };
    let export = Export::begin(app, selector, format).await?;
    let pieces = futures::stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, export))),
            Err(error) => {
                tracing::error!(%error, "an export broke off");
                Err(io::Error::other(error))
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, RawBody::from_stream(pieces)).into_response())
}
