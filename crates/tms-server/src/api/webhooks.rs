//! Webhooks and what was delivered to them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};
use tms_store::{StoreError, Token};
use utoipa::ToSchema;

use super::input::{Asked, Body, Place, name};
use super::page::{List, Page, PageRequest};
use super::problem::Problem;
use crate::app::App;
use crate::service::{self, WebhookDraft};

/// What a webhook is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookRequest {
    /// Where events are posted.
    #[schema(format = "uri", example = "https://hooks.example/tms")]
    url: String,
    /// Names of the kinds of events that it is told of; all when empty.
    #[serde(default)]
    kinds: Vec<String>,
    /// Whether it is told anything at the moment; true when absent.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

impl From<WebhookRequest> for WebhookDraft {
    fn from(request: WebhookRequest) -> Self {
        Self { url: request.url, kinds: request.kinds, enabled: request.enabled }
    }
}

/// An address that is told what happens.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookView {
    id: WebhookId,
    url: String,
    kinds: Vec<String>,
    enabled: bool,
    author: String,
    created_at: Timestamp,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            kinds: webhook.kinds,
            enabled: webhook.enabled,
            author: webhook.author,
            created_at: webhook.created_at,
        }
    }
}

/// A webhook that was made, with its secret.
#[derive(Serialize, ToSchema)]
struct NewWebhook<'a> {
    #[serde(flatten)]
    webhook: WebhookView,
    /// The key of the signatures, in the form of Standard Webhooks. It is shown here and nowhere again.
    secret: &'a str,
}

/// One event for one webhook.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryView {
    id: DeliveryId,
    /// The document that is posted.
    event: Value,
    state: DeliveryState,
    /// How often it was tried since it was made or replayed.
    attempts: u32,
    created_at: Timestamp,
    /// When it was last tried, or is to be tried.
    due_at: Timestamp,
    /// What came of the last attempt.
    detail: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            event: serde_json::from_str(&delivery.event).unwrap_or_default(),
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            due_at: delivery.due_at,
            detail: delivery.detail,
        }
    }
}

/// The webhooks that there are.
#[utoipa::path(get, path = "/api/v1/webhooks", operation_id = "list_webhooks", tag = "webhooks",
    params(PageRequest),
    responses((status = 200, description = "A page of webhooks", body = Page<WebhookView>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<PageRequest>,
) -> Result<Json<Page<WebhookView>>, Problem> {
    let webhooks = app.store.webhooks().await?;
    Ok(Json(Page::of(List::Webhooks, &asked, webhooks, |w| w.id.to_string(), WebhookView::from)?))
}

/// Has an address told what happens. The answer has the secret of its signatures, once.
#[utoipa::path(post, path = "/api/v1/webhooks", operation_id = "add_webhook", tag = "webhooks",
    request_body = WebhookRequest,
    responses((status = 201, description = "The webhook with its secret", body = NewWebhook)))]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Extension(token): Extension<Token>,
    Body(request): Body<WebhookRequest>,
) -> Result<Response, Problem> {
    let (webhook, secret) = service::add_webhook(&app, &token.user, request.into()).await?;
    let headers = [
        (header::LOCATION, format!("/api/v1/webhooks/{}", webhook.id)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let made = NewWebhook { webhook: webhook.into(), secret: &secret };
    Ok((StatusCode::CREATED, headers, Json(made)).into_response())
}

/// One webhook.
#[utoipa::path(get, path = "/api/v1/webhooks/{webhook}", operation_id = "show_webhook", tag = "webhooks",
    params(("webhook" = WebhookId, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(webhook): Place<String>,
) -> Result<Json<WebhookView>, Problem> {
    Ok(Json(existing(&app, name(&webhook)?).await?.into()))
}

/// Changes a webhook. Its secret stays, and what is pending goes to the new address.
#[utoipa::path(put, path = "/api/v1/webhooks/{webhook}", operation_id = "change_webhook", tag = "webhooks",
    params(("webhook" = WebhookId, Path, description = "The webhook")),
    request_body = WebhookRequest,
    responses((status = 200, description = "The webhook as it is now", body = WebhookView)))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Place(webhook): Place<String>,
    Body(request): Body<WebhookRequest>,
) -> Result<Json<WebhookView>, Problem> {
    Ok(Json(service::change_webhook(&app, name(&webhook)?, request.into()).await?.into()))
}

/// Takes a webhook away with all its deliveries.
#[utoipa::path(delete, path = "/api/v1/webhooks/{webhook}", operation_id = "remove_webhook", tag = "webhooks",
    params(("webhook" = WebhookId, Path, description = "The webhook")),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Place(webhook): Place<String>,
) -> Result<StatusCode, Problem> {
    service::remove_webhook(&app, name(&webhook)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was or is to be delivered to a webhook in the last seven days, newest first.
#[utoipa::path(get, path = "/api/v1/webhooks/{webhook}/deliveries", operation_id = "list_deliveries", tag = "webhooks",
    params(("webhook" = WebhookId, Path, description = "The webhook"), PageRequest),
    responses((status = 200, description = "A page of deliveries", body = Page<DeliveryView>)))]
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    Place(webhook): Place<String>,
    Asked(page): Asked<PageRequest>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    let webhook: WebhookId = name(&webhook)?;
    let (after, limit) = (page.after(List::Deliveries)?, page.limit()?);
    existing(&app, webhook).await?;
    let found = app.store.deliveries(webhook, after, limit.saturating_add(1)).await?;
    Ok(Json(Page::new(List::Deliveries, limit, found, |d| d.id.to_string(), DeliveryView::from)))
}

/// Has a delivery tried again from the start, whatever became of it. Its id stays, so that the receiver knows it.
#[utoipa::path(post, path = "/api/v1/webhooks/{webhook}/deliveries/{delivery}/replay",
    operation_id = "replay_delivery", tag = "webhooks",
    params(("webhook" = WebhookId, Path, description = "The webhook"),
        ("delivery" = DeliveryId, Path, description = "The delivery")),
    responses((status = 202, description = "The delivery, pending", body = DeliveryView)))]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    Place((webhook, delivery)): Place<(String, String)>,
) -> Result<Response, Problem> {
    let delivery = service::replay_delivery(&app, name(&webhook)?, name(&delivery)?).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryView::from(delivery))).into_response())
}

async fn existing(app: &App, id: WebhookId) -> Result<Webhook, Problem> {
    let found = app.store.webhook(id).await?;
    found.ok_or_else(|| Problem::from(StoreError::NotFound { what: "webhook", name: id.to_string() }))
}
