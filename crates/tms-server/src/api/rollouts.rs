//! Rollouts: one change for many terminals, in waves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tms_core::rollout::{
    Action, Caps, Command, RolloutProgress, RolloutState, Tally, TargetState, Wave, WaveTally,
};
use tms_core::{Rollout, RolloutId, RolloutTarget, TerminalId, Window};
use tms_store::TargetFilter;
use tms_store::Token;
use utoipa::{IntoParams, ToSchema};

use super::batches::Trial;
use super::condition;
use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use crate::app::App;
use crate::service::estate;
use crate::service::rollouts::{self, NewRollout, RolloutStatus};

/// How long a terminal has to answer, unless said otherwise: a day.
const ANSWER_WITHIN_S: u32 = 86_400;

/// A rollout that somebody writes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutRequest {
    /// Its identity; the server's choice when absent. Writing the same under the same id again changes nothing.
    id: Option<RolloutId>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it does to each terminal.
    action: Action,
    /// Which terminals; they are looked for once, when it starts.
    selector: String,
    /// In which order; the last one, and no other, takes the rest.
    #[schema(min_items = 1, max_items = 32)]
    waves: Vec<Wave>,
    /// How fast.
    caps: Caps,
    /// When terminals may begin, in the zone of each.
    #[schema(value_type = Option<String>, example = "mon-fri 22:00-04:00")]
    window: Option<Window>,
    /// How long a terminal has to carry its operation out, and again to report after its soak, in seconds.
    #[serde(default = "answer_within_s")]
    #[schema(minimum = 60, maximum = 7_776_000)]
    answer_within_s: u32,
}

fn answer_within_s() -> u32 {
    ANSWER_WITHIN_S
}

/// A rollout.
#[derive(Serialize, ToSchema)]
pub(super) struct RolloutView {
    id: RolloutId,
    name: String,
    action: Action,
    selector: String,
    /// In their order.
    waves: Vec<WaveView>,
    caps: Caps,
    #[schema(value_type = Option<String>, example = "mon-fri 22:00-04:00")]
    window: Option<Window>,
    answer_within_s: u32,
    state: RolloutState,
    /// Why it stands where it stands, for people.
    reason: Option<String>,
    /// The wave that is current, counted from 0; as many as there are waves when all have passed.
    wave: u32,
    /// So many waves, counted from the first, have their approval.
    approved: u32,
    /// So many failures were accepted by resuming it.
    accepted_failures: u64,
    author: String,
    started_at: Option<Timestamp>,
    /// Rises with each change; its number is the tag.
    version: u64,
    /// How far it has come; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    progress: Option<RolloutProgress>,
}

/// One wave and where its terminals stand.
#[derive(Serialize, ToSchema)]
struct WaveView {
    #[serde(flatten)]
    wave: Wave,
    /// Its terminals, counted by where they stand; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    targets: Option<WaveTally>,
}

impl RolloutView {
    fn new(rollout: Rollout, counted: Option<(Tally, RolloutProgress)>) -> Self {
        let (tally, progress) = counted.unzip();
        let waves = rollout
            .waves
            .into_iter()
            .zip(0..)
            .map(|(wave, number)| WaveView { wave, targets: tally.as_ref().map(|tally| tally.wave(number)) });
        Self {
            id: rollout.id,
            name: rollout.name,
            action: rollout.action,
            selector: rollout.selector.to_string(),
            waves: waves.collect(),
            caps: rollout.caps,
            window: rollout.window,
            answer_within_s: rollout.answer_within_s,
            state: rollout.state,
            reason: rollout.reason,
            wave: rollout.wave,
            approved: rollout.approved,
            accepted_failures: rollout.accepted_failures,
            author: rollout.author,
            started_at: rollout.started_at,
            version: rollout.version,
            progress,
        }
    }
}

/// What a rollout would be if it were started now.
#[derive(Serialize, ToSchema)]
struct RolloutTrial {
    /// How many terminals the selector means.
    selected: u64,
    /// How many of them each wave would have.
    waves: Vec<u64>,
    /// Some that would be started first; at most 20.
    sample: Vec<TerminalId>,
}

/// Writes a rollout, as a draft: nothing happens before it is started.
#[utoipa::path(post, path = "/api/v1/rollouts", operation_id = "create_rollout", tag = "rollouts",
    params(Trial), request_body = RolloutRequest,
    responses(
        (status = 200, description = "What it would be, when it was only tried", body = RolloutTrial),
        (status = 201, description = "The draft", body = RolloutView)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(token): Extension<Token>,
    Asked(trial): Asked<Trial>,
    Body(request): Body<RolloutRequest>,
) -> Result<Response, Problem> {
    let new = NewRollout {
        id: request.id,
        name: request.name,
        action: request.action,
        selector: estate::resolve(&app, &request.selector).await?,
        waves: request.waves,
        caps: request.caps,
        window: request.window,
        answer_within_s: request.answer_within_s,
        author: token.user,
    };
    if trial.dry_run {
        let trial = rollouts::preview(&app, new).await?;
        let reply = RolloutTrial { selected: trial.selected, waves: trial.waves, sample: trial.sample };
        return Ok(Json(reply).into_response());
    }
    let rollout = rollouts::create(&app, new).await?;
    let location = format!("/api/v1/rollouts/{}", rollout.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(RolloutView::new(rollout, None)))
        .into_response())
}

/// Rollouts in the order of their ids.
#[utoipa::path(get, path = "/api/v1/rollouts", operation_id = "list_rollouts", tag = "rollouts",
    params(RolloutsRequest),
    responses((status = 200, description = "A page of rollouts", body = Page<RolloutView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<RolloutsRequest>,
) -> Result<Json<Page<RolloutView>>, Problem> {
    let page = PageRequest { after: asked.after, limit: asked.limit };
    let (after, limit) = (page.after::<RolloutId>(List::Rollouts)?, page.limit()?);
    let found = app.store.rollouts(asked.under_way, after.as_ref(), limit.saturating_add(1)).await?;
    let view = |rollout| RolloutView::new(rollout, None);
    Ok(Json(Page::new(List::Rollouts, limit, found, |rollout| rollout.id.to_string(), view)))
}

/// Which rollouts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RolloutsRequest {
    /// Only those that were started and are not over.
    #[serde(default)]
    under_way: bool,
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A rollout, where its terminals stand, and when it will be over.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}", operation_id = "show_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout", body = RolloutView)))]
pub(super) async fn show(State(app): State<Arc<App>>, Place(id): Place<String>) -> Result<Response, Problem> {
    shown(&app, &name(&id)?).await
}

async fn shown(app: &App, id: &RolloutId) -> Result<Response, Problem> {
    let RolloutStatus { rollout, tally, progress } = rollouts::status(app, id).await?;
    let tag = condition::revision_tag(rollout.version);
    let mut response = Json(RolloutView::new(rollout, Some((tally, progress)))).into_response();
    condition::set_tag(&mut response, &tag);
    Ok(response)
}

/// Which targets.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TargetsRequest {
    /// Those of one wave only, counted from 0.
    wave: Option<u32>,
    /// Those in one state only.
    #[param(inline)]
    state: Option<TargetState>,
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// The terminals of a rollout, in the order in which they are started. A draft has none yet.
#[utoipa::path(get, path = "/api/v1/rollouts/{id}/targets", operation_id = "list_rollout_targets", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout"), TargetsRequest),
    responses((status = 200, description = "A page of its terminals", body = Page<RolloutTarget>)))]
pub(super) async fn targets(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    Asked(asked): Asked<TargetsRequest>,
) -> Result<Json<Page<RolloutTarget>>, Problem> {
    let id: RolloutId = name(&id)?;
    let page = PageRequest { after: asked.after, limit: asked.limit };
    let (after, limit) = (page.after::<TerminalId>(List::Targets)?, page.limit()?);
    let missing = || tms_store::StoreError::NotFound { what: "rollout", name: id.to_string() };
    app.store.rollout(&id).await?.ok_or_else(missing)?;
    let filter = TargetFilter { wave: asked.wave, state: asked.state };
    let found = app.store.targets(&id, filter, after.as_ref(), limit.saturating_add(1)).await?;
    Ok(Json(Page::new(List::Targets, limit, found, |target| target.terminal.to_string(), |target| target)))
}

/// Starts a rollout: its terminals are those that its selector means now.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/start", operation_id = "start_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Start, &headers).await
}

/// Holds a rollout up: it starts no more terminals, and what was started goes on.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/pause", operation_id = "pause_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Pause, &headers).await
}

/// Lets a rollout go on after a pause, and accepts the failures so far.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/resume", operation_id = "resume_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Resume, &headers).await
}

/// Which wave may begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// Counted from 0; all before it may begin, too.
    wave: u32,
}

/// Lets a wave begin. It is named, so that an approval that comes twice does not approve the next one.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/approve", operation_id = "approve_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    request_body = Approval,
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
    Body(approval): Body<Approval>,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Approve { wave: approval.wave }, &headers).await
}

/// Calls everything back that has not ended: a terminal that may have begun its operation is told to give it up.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/abort", operation_id = "abort_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn abort(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Abort, &headers).await
}

/// Ends a rollout early: nothing more is started, and what was started goes on to its end.
#[utoipa::path(post, path = "/api/v1/rollouts/{id}/finish", operation_id = "finish_rollout", tag = "rollouts",
    params(("id" = RolloutId, Path, description = "The rollout")),
    responses((status = 200, description = "The rollout as it is then", body = RolloutView)))]
pub(super) async fn finish(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    told(&app, &id, Command::Finish, &headers).await
}

async fn told(app: &App, id: &str, command: Command, headers: &HeaderMap) -> Result<Response, Problem> {
    let id: RolloutId = name(id)?;
    let seen = match condition::asked(headers)? {
        condition::Asked::Revision(version) => Some(version),
        condition::Asked::Existing | condition::Asked::Nothing => None,
    };
    rollouts::tell(app, &id, command, seen).await?;
    shown(app, &id).await
}
