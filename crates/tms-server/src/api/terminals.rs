//! Terminals and what people want of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tms_core::{FirmwareId, MerchantId, Operation, Profile, Role, TerminalId};
use tms_crypto::keyblock::Tmk;
use tms_crypto::seal;
use tms_store::StoreError;
use zeroize::Zeroizing;

use super::input::{Asked, Body, name};
use super::problem::Problem;
use super::view::{BatchView, OperationView, Page, TerminalView, Versions, versions};
use crate::app::App;
use crate::service::{self, GivenCredential, NewTerminal, ServiceError};
use crate::session::settlement;

/// Terminals on a page, unless asked otherwise, and at most.
pub(super) const PAGE: u32 = 50;
pub(super) const MAX_PAGE: u32 = 500;

/// What the sealed master key of a new terminal is for (HPKE `info`); the terminal id is the
/// additional data.
const TMK_INFO: &[u8] = b"tms8583 terminal master key";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageRequest {
    after: Option<String>,
    limit: Option<u32>,
}

impl PageRequest {
    pub(super) fn after<T: std::str::FromStr<Err = tms_core::IdError>>(&self) -> Result<Option<T>, Problem> {
        self.after.as_deref().map(name).transpose()
    }

    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(PAGE) {
            limit @ 1..=MAX_PAGE => Ok(limit),
            limit => Err(Problem::new(
                400,
                "query_invalid",
                format!("limit is {limit}; it must be from 1 to {MAX_PAGE}"),
            )),
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Page<TerminalView>>, Problem> {
    let after: Option<TerminalId> = page.after()?;
    let limit = page.limit()?;
    // One more tells whether there is a next page.
    let mut found = app.store.terminals(after.as_ref(), limit.saturating_add(1)).await?;
    let full = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > full;
    found.truncate(full);
    let next = found.last().filter(|_| more).map(|terminal| terminal.id.to_string());
    let versions = versions(&app).await?;
    let items = found.into_iter().map(|terminal| TerminalView::new(&app, terminal, &versions)).collect();
    Ok(Json(Page { items, next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerminalRequest {
    id: TerminalId,
    merchant: MerchantId,
    profile: Profile,
    model: String,
    hardware_revision: String,
    serial: String,
    certificate_sha256: String,
    /// 64 hexadecimal digits.
    sealing_public_key: String,
    #[serde(default)]
    credentials: Vec<CredentialRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialRequest {
    role: Role,
    generation: u32,
    secret: String,
}

#[derive(Serialize)]
struct NewTerminalReply {
    #[serde(flatten)]
    terminal: TerminalView,
    /// The master key, sealed to the terminal's public key (HPKE), hexadecimal.
    tmk_sealed: String,
    /// Key check value of the master key, hexadecimal.
    tmk_kcv: String,
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Body(request): Body<NewTerminalRequest>,
) -> Result<Response, Problem> {
    let sealing_public_key = hex::decode(&request.sealing_public_key).map_err(|_| {
        Problem::new(
            422,
            "invalid",
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
                Problem::new(422, "invalid", "sealing_public_key must be a 32-byte X25519 public key")
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

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
) -> Result<Json<TerminalView>, Problem> {
    let tid: TerminalId = name(&tid)?;
    let terminal = existing(&app, &tid).await?;
    let versions = versions(&app).await?;
    let sets = app.downloads.loaded(app.store.as_ref()).await?;
    Ok(Json(TerminalView::new(&app, terminal, &versions).with_sets(&sets)))
}

/// The batches of a terminal, as its messages of settlement told them.
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
) -> Result<Json<BatchView>, Problem> {
    let tid: TerminalId = name(&tid)?;
    existing(&app, &tid).await?;
    let document = app.store.document(&tid, settlement::DOCUMENT).await?;
    let ledger = document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Json(BatchView::new(&ledger)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParametersRequest {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    unset: Vec<String>,
}

#[derive(Serialize)]
struct ParametersReply {
    revision: u64,
    operation: OperationView,
}

pub(super) async fn set_parameters(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
    Body(change): Body<ParametersRequest>,
) -> Result<Response, Problem> {
    let tid: TerminalId = name(&tid)?;
    let (revision, operation) = service::set_parameters(&app, &tid, &change.set, &change.unset).await?;
    let reply = ParametersReply { revision, operation: operation.into() };
    Ok((StatusCode::ACCEPTED, Json(reply)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FirmwareRequest {
    firmware: FirmwareId,
}

pub(super) async fn assign_firmware(
    State(app): State<Arc<App>>,
    Path(tid): Path<String>,
    Body(request): Body<FirmwareRequest>,
) -> Result<Response, Problem> {
    accepted(service::assign_firmware(&app, &name(&tid)?, &request.firmware).await)
}

pub(super) async fn reset(State(app): State<Arc<App>>, Path(tid): Path<String>) -> Result<Response, Problem> {
    accepted(service::reset(&app, &name(&tid)?).await)
}

pub(super) async fn rotate_credential(
    State(app): State<Arc<App>>,
    Path((tid, role)): Path<(String, String)>,
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
