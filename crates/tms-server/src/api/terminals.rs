//! Terminals and what people want of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tms_core::{FirmwareId, MerchantId, Operation, Profile, Role, TerminalId};
use tms_crypto::keyblock::Tmk;
use tms_crypto::seal;
use tms_store::StoreError;
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

use super::code::Code;
use super::condition;
use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use super::view::{OperationView, TerminalView, Versions, versions};
use crate::app::App;
use crate::service::{self, GivenCredential, NewTerminal, ServiceError, estate};

/// What the sealed master key of a new terminal is for (HPKE `info`); the terminal id is the
/// additional data.
const TMK_INFO: &[u8] = b"tms8583 terminal master key";

/// Which terminals.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TerminalsRequest {
    /// Those that it means only: a line of the language, or `@name`.
    #[param(max_length = 4096)]
    selector: Option<String>,
    /// Whether to say in `total` how many there are.
    #[serde(default)]
    #[param(required = false)]
    count: bool,
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Terminals in the order of their numbers, all or those that a selector means.
#[utoipa::path(get, path = "/api/v1/terminals", operation_id = "list_terminals", tag = "terminals",
    params(TerminalsRequest),
    responses((status = 200, description = "A page of terminals", body = Page<TerminalView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<TerminalsRequest>,
) -> Result<Json<Page<TerminalView>>, Problem> {
    let page = PageRequest { after: asked.after, limit: asked.limit };
    let (after, limit) = (page.after::<TerminalId>(List::Terminals)?, page.limit()?);
    let selector = match &asked.selector {
        Some(text) => Some(estate::resolve(&app, text).await?),
        None => None,
    };
    let (most, now) = (limit.saturating_add(1), app.now());
    let found = match &selector {
        Some(selector) => app.store.find(selector, after.as_ref(), most, now).await?,
        None => app.store.terminals(after.as_ref(), most).await?,
    };
    let total = match (asked.count, &selector) {
        (false, _) => None,
        (true, Some(selector)) => Some(app.store.count(selector, now).await?),
        (true, None) => Some(app.store.count_terminals().await?),
    };
    let versions = versions(&app).await?;
    let view = |terminal| TerminalView::new(&app, terminal, &versions);
    let page = Page::new(List::Terminals, limit, found, |t| t.id.to_string(), view);
    Ok(Json(Page { total, ..page }))
}

/// A terminal that enters the estate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerminalRequest {
    id: TerminalId,
    merchant: MerchantId,
    profile: Profile,
    #[schema(min_length = 1, max_length = 32)]
    model: String,
    #[schema(min_length = 1, max_length = 32)]
    hardware_revision: String,
    #[schema(min_length = 1, max_length = 32)]
    serial: String,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    certificate_sha256: String,
    /// An X25519 public key, 64 hexadecimal digits.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
    sealing_public_key: String,
    #[serde(default)]
    credentials: Vec<CredentialRequest>,
}

/// A credential that a terminal is delivered with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CredentialRequest {
    role: Role,
    generation: u32,
    secret: String,
}

/// The terminal, and the key that only it can open.
#[derive(Serialize, ToSchema)]
struct NewTerminalReply {
    #[serde(flatten)]
    terminal: TerminalView,
    /// The master key, sealed to the terminal's public key (HPKE), hexadecimal.
    tmk_sealed: String,
    /// Key check value of the master key, hexadecimal.
    tmk_kcv: String,
}

/// Enrols a terminal.
#[utoipa::path(post, path = "/api/v1/terminals", operation_id = "enrol_terminal", tag = "terminals",
    request_body = NewTerminalRequest,
    responses((status = 201, description = "The terminal, and its master key sealed to it", body = NewTerminalReply)))]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Body(request): Body<NewTerminalRequest>,
) -> Result<Response, Problem> {
    let sealing_public_key = hex::decode(&request.sealing_public_key).map_err(|_| {
        Problem::new(
            Code::Invalid,
            "sealing_public_key must have 64 hexadecimal digits: an X25519 public key",
        )
    })?;
    let given = request.credentials.into_iter().map(|given| GivenCredential {
        role: given.role,
        generation: given.generation,
        secret: Zeroizing::new(given.secret),
    });
    let new = NewTerminal {
        id: request.id,
        merchant: request.merchant,
        profile: request.profile,
        model: request.model,
        hardware_revision: request.hardware_revision,
        serial: request.serial,
        certificate_sha256: request.certificate_sha256,
        sealing_public_key,
        credentials: given.collect(),
    };
    let tmk = Tmk::generate();
    let sealed =
        seal::seal_to(&new.sealing_public_key, TMK_INFO, new.id.as_str().as_bytes(), tmk.secret_bytes())
            .map_err(|_| {
                Problem::new(Code::Invalid, "sealing_public_key must be a 32-byte X25519 public key")
            })?;
    let terminal = service::enrol(&app, new, &tmk).await?;
    let location = format!("/api/v1/terminals/{}", terminal.id);
    let reply = NewTerminalReply {
        terminal: TerminalView::new(&app, terminal, &Versions::new()),
        tmk_sealed: hex::encode(sealed),
        tmk_kcv: hex::encode(tmk.kcv().0),
    };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(reply)).into_response())
}

/// A terminal: desired and reported state.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}", operation_id = "show_terminal", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 200, description = "The terminal", body = TerminalView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tid: TerminalId = name(&tid)?;
    let terminal = existing(&app, &tid).await?;
    let versions = versions(&app).await?;
    let sets = app.downloads.loaded(app.store.as_ref()).await?;
    let view = TerminalView::new(&app, terminal, &versions).with_sets(&sets);
    Ok(condition::tagged(&headers, &condition::content_tag(&view), view))
}

/// A terminal's parameters, as they should be and as they are.
#[derive(Serialize, ToSchema)]
struct ParametersView {
    /// Rises with every change; 0 when nothing was ever set.
    revision: u64,
    /// What they should be; what is not named is left to the terminal.
    desired: BTreeMap<String, String>,
    /// What the terminal last said they are.
    reported: BTreeMap<String, String>,
}

/// What a terminal's parameters should be and are.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}/parameters", operation_id = "show_parameters", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 200, description = "The parameters; the tag is that of the desired ones", body = ParametersView)))]
pub(super) async fn parameters(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
) -> Result<Response, Problem> {
    let terminal = existing(&app, &name(&tid)?).await?;
    let revision = terminal.desired.parameters_revision;
    let (desired, reported) = (terminal.desired.parameters, terminal.reported.parameters);
    let mut response = Json(ParametersView { revision, desired, reported }).into_response();
    condition::set_tag(&mut response, &condition::revision_tag(revision));
    Ok(response)
}

/// A change of desired parameters.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ParametersRequest {
    /// Values by name.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Names to take away, so that the terminal's own value holds.
    #[serde(default)]
    unset: Vec<String>,
}

/// What came of a change of parameters.
#[derive(Serialize, ToSchema)]
struct ParametersReply {
    revision: u64,
    operation: OperationView,
}

/// Changes what a terminal's parameters should be.
#[utoipa::path(patch, path = "/api/v1/terminals/{tid}/parameters", operation_id = "set_parameters", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    request_body = ParametersRequest,
    responses((status = 202, description = "The new revision and the operation that carries it", body = ParametersReply)))]
pub(super) async fn set_parameters(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    headers: HeaderMap,
    Body(change): Body<ParametersRequest>,
) -> Result<Response, Problem> {
    let tid: TerminalId = name(&tid)?;
    // They always exist: nothing is set in the first revision, 0.
    let expected = match condition::asked(&headers)? {
        condition::Asked::Revision(revision) => Some(revision),
        condition::Asked::Existing | condition::Asked::Nothing => None,
    };
    let changed = service::set_parameters_of(&app, &tid, &change.set, &change.unset, expected).await;
    let (revision, operation) = changed?;
    let reply = ParametersReply { revision, operation: operation.into() };
    let mut response = (StatusCode::ACCEPTED, Json(reply)).into_response();
    condition::set_tag(&mut response, &condition::revision_tag(revision));
    Ok(response)
}

/// Which firmware.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirmwareRequest {
    firmware: FirmwareId,
}

/// Makes a published package the desired firmware of a terminal.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/firmware", operation_id = "assign_firmware", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    request_body = FirmwareRequest,
    responses((status = 202, description = "The operation that carries it: accepted, not done", body = OperationView)))]
pub(super) async fn assign_firmware(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
    Body(request): Body<FirmwareRequest>,
) -> Result<Response, Problem> {
    accepted(service::assign_firmware(&app, &name(&tid)?, &request.firmware).await)
}

/// Has a terminal start again.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/reset", operation_id = "reset_terminal", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 202, description = "The operation that carries it: accepted, not done", body = OperationView)))]
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
) -> Result<Response, Problem> {
    accepted(service::reset(&app, &name(&tid)?).await)
}

/// Starts the rotation of a credential to a fresh secret.
#[utoipa::path(post, path = "/api/v1/terminals/{tid}/credentials/{role}/rotate", operation_id = "rotate_credential", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal"), ("role" = Role, Path, description = "Whose credential")),
    responses((status = 202, description = "The operation that carries it: accepted, not done", body = OperationView)))]
pub(super) async fn rotate_credential(
    State(app): State<Arc<App>>,
    Place((tid, role)): Place<(String, String)>,
) -> Result<Response, Problem> {
    accepted(service::rotate_credential(&app, &name(&tid)?, &name(&role)?).await)
}

/// The operation that carries a change: accepted, not done.
pub(super) fn accepted(operation: Result<Operation, ServiceError>) -> Result<Response, Problem> {
    Ok((StatusCode::ACCEPTED, Json(OperationView::from(operation?))).into_response())
}

/// A terminal that has to exist.
pub(super) async fn existing(app: &App, tid: &TerminalId) -> Result<tms_core::Terminal, Problem> {
    let found = app.store.terminal(tid).await?;
    found.ok_or_else(|| Problem::from(StoreError::NotFound { what: "terminal", name: tid.to_string() }))
}
