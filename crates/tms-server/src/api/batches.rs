//! One command for many terminals at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tms_core::{BatchId, OperationKind, OperationState, Priority, TerminalId, Terms, Trigger, Window};
use tms_store::Token;
use utoipa::{IntoParams, ToSchema};

use super::input::{Asked, Body, Place, name};
use super::problem::Problem;
use crate::app::App;
use crate::service::batch::{self, Batch, Matched, NewBatch};
use crate::service::estate;

/// Whether something is only tried.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Trial {
    /// Only say what would be done.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// On which terms operations are carried out. What is left out is as for a command of one terminal.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TermsRequest {
    /// Which of several goes first; 5 unless said otherwise, the higher the sooner.
    #[serde(default)]
    priority: Priority,
    /// Not to be offered to a terminal earlier.
    not_before: Option<Timestamp>,
    /// To be offered only while this is open, in each terminal's zone.
    #[schema(value_type = Option<String>, example = "mon-fri 22:00-04:00")]
    window: Option<Window>,
    /// What it waits for.
    #[serde(default)]
    trigger: Trigger,
}

impl TermsRequest {
    pub(super) fn by(self, author: String) -> Terms {
        let Self { priority, not_before, window, trigger } = self;
        Terms { priority, not_before, window, trigger, author: Some(author), ..Terms::default() }
    }
}

/// What many terminals shall do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    /// Which terminals; they are looked for once, now.
    selector: String,
    /// What they shall do.
    command: OperationKind,
    #[serde(default)]
    terms: TermsRequest,
    /// When what is not done by then expires.
    expires_at: Option<Timestamp>,
}

/// The terminals that a batch is for, or would be.
#[derive(Serialize, ToSchema)]
struct BatchReply {
    /// The batch; `null` when it was only tried.
    id: Option<BatchId>,
    /// How many terminals the selector means.
    selected: u64,
    /// Of these, how many are out of use and left out.
    out_of_use: u64,
    /// Of these, how many are of a model that the package is not for, and left out.
    other_model: u64,
    /// How many get an operation.
    matched: u64,
    /// Of these, how many have no time before it expires at which they may begin.
    without_opening: u64,
    /// The first that get one; at most 20.
    sample: Vec<TerminalId>,
}

impl BatchReply {
    fn new(id: Option<BatchId>, matched: Matched) -> Self {
        let Matched { selected, out_of_use, other_model, matched, without_opening, sample } = matched;
        Self { id, selected, out_of_use, other_model, matched, without_opening, sample }
    }
}

/// Gives a command to all terminals that a selector means: to all of them or to none.
#[utoipa::path(post, path = "/api/v1/batches", operation_id = "create_batch", tag = "batches",
    params(Trial), request_body = BatchRequest,
    responses(
        (status = 200, description = "What it would be, when it was only tried", body = BatchReply),
        (status = 201, description = "The batch; its operations are accepted, not done", body = BatchReply)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(token): Extension<Token>,
    Asked(trial): Asked<Trial>,
    Body(request): Body<BatchRequest>,
) -> Result<Response, Problem> {
    let BatchRequest { selector: aim, command, terms, expires_at } = request;
    let selector = estate::resolve(&app, &aim).await?;
    let new = NewBatch { selector, command, terms: terms.by(token.user), expires_at };
    if trial.dry_run {
        return Ok(Json(BatchReply::new(None, batch::preview(&app, new).await?)).into_response());
    }
    let Batch { id, matched } = batch::create(&app, new).await?;
    let location = format!("/api/v1/batches/{id}");
    let reply = BatchReply::new(Some(id), matched);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(reply)).into_response())
}

/// What has become of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchCounts {
    id: BatchId,
    /// Its operations.
    total: u64,
    /// Of these, how many have not ended.
    open: u64,
    /// How many are in each state; states without any are left out.
    states: Vec<StateCount>,
}

/// Operations in one state.
#[derive(Serialize, ToSchema)]
struct StateCount {
    state: OperationState,
    operations: u64,
}

/// How many operations of a batch are in each state.
#[utoipa::path(get, path = "/api/v1/batches/{id}", operation_id = "show_batch_counts", tag = "batches",
    params(("id" = BatchId, Path, description = "The batch")),
    responses((status = 200, description = "The counts", body = BatchCounts)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
) -> Result<Json<BatchCounts>, Problem> {
    let id: BatchId = name(&id)?;
    let counts = batch::counts(&app, &id).await?;
    let sum = |counts: &mut dyn Iterator<Item = &(OperationState, u64)>| {
        counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
    };
    Ok(Json(BatchCounts {
        id,
        total: sum(&mut counts.iter()),
        open: sum(&mut counts.iter().filter(|(state, _)| !state.is_final())),
        states: counts.into_iter().map(|(state, operations)| StateCount { state, operations }).collect(),
    }))
}

/// What was withdrawn.
#[derive(Serialize, ToSchema)]
pub(super) struct WithdrawnReply {
    /// Operations that are cancelled now.
    cancelled: u64,
    /// Of these, those that their terminal may have begun and is told to give up.
    told: u64,
}

/// Withdraws what is still open of a batch. Doing it again withdraws nothing twice.
#[utoipa::path(post, path = "/api/v1/batches/{id}/cancel", operation_id = "cancel_batch", tag = "batches",
    params(("id" = BatchId, Path, description = "The batch")),
    responses((status = 200, description = "What was withdrawn", body = WithdrawnReply)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
) -> Result<Json<WithdrawnReply>, Problem> {
    let withdrawn = batch::cancel(&app, &name(&id)?).await?;
    Ok(Json(WithdrawnReply { cancelled: withdrawn.cancelled, told: withdrawn.told }))
}
