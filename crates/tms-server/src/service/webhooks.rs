//! Webhooks: addresses that are told what happens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tms_core::{Delivery, DeliveryId, Webhook, WebhookId};
use tms_crypto::random_bytes;
use zeroize::Zeroizing;

use super::{ServiceError, not_found};
use crate::app::App;
use crate::events::EventKind;
use crate::webhooks::{check_address, secret_context};

/// What a webhook is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDraft {
    /// Where events are posted.
    pub url: String,
    /// Names of the kinds of events that it is told of; all when empty.
    pub kinds: Vec<String>,
    /// Whether it is told anything at the moment.
    pub enabled: bool,
}

/// Adds a webhook. The answer has the key of its signatures too, in the form of Standard Webhooks: it is shown
/// once and nowhere again.
///
/// # Errors
/// `Invalid` for an address that may not be posted to or a kind that does not exist; `Store` if there are too
/// many.
pub async fn add_webhook(
    app: &App,
    author: &str,
    draft: WebhookDraft,
) -> Result<(Webhook, Zeroizing<String>), ServiceError> {
    check(app, &draft)?;
    let now = app.now();
    let id = WebhookId::new(now, app.random.bytes());
    let secret = Zeroizing::new(random_bytes::<32>());
    let webhook = Webhook {
        id,
        url: draft.url,
        kinds: draft.kinds,
        enabled: draft.enabled,
        secret_sealed: app.vault.seal(&secret_context(id), secret.as_slice())?,
        author: author.to_owned(),
        created_at: now,
    };
    app.store.add_webhook(webhook.clone()).await?;
    app.hooks.changed.notify_one();
    let shown = Zeroizing::new(format!("whsec_{}", STANDARD.encode(secret.as_slice())));
    Ok((webhook, shown))
}

/// Changes a webhook; its secret stays. Deliveries that are pending go to the new address.
///
/// # Errors
/// As [`add_webhook`]; `Store` if there is no such webhook.
pub async fn change_webhook(app: &App, id: WebhookId, draft: WebhookDraft) -> Result<Webhook, ServiceError> {
    check(app, &draft)?;
    let webhook = app.store.change_webhook(id, draft.url, draft.kinds, draft.enabled).await?;
    app.hooks.changed.notify_one();
    app.hooks.due.notify_one();
    Ok(webhook)
}

/// Takes a webhook away, and all that was to be delivered to it.
///
/// # Errors
/// `Store` if there is no such webhook.
pub async fn remove_webhook(app: &App, id: WebhookId) -> Result<(), ServiceError> {
    app.store.remove_webhook(id).await?;
    app.hooks.changed.notify_one();
    Ok(())
}

/// Has a delivery tried again from the start, whatever became of it.
///
/// # Errors
/// `Store` if the webhook has no such delivery.
pub async fn replay_delivery(
    app: &App,
    webhook: WebhookId,
    delivery: DeliveryId,
) -> Result<Delivery, ServiceError> {
    app.store.webhook(webhook).await?.ok_or_else(|| not_found("webhook", webhook))?;
    let delivery = app.store.replay_delivery(webhook, delivery, app.now()).await?;
    app.hooks.due.notify_one();
    Ok(delivery)
}

fn check(app: &App, draft: &WebhookDraft) -> Result<(), ServiceError> {
    check_address(&draft.url, app.limits.webhooks.allow_private)
        .map_err(|error| ServiceError::Invalid(format!("url cannot be posted to: {error}")))?;
    if draft.kinds.len() > EventKind::ALL.len() {
        return Err(ServiceError::Invalid("kinds names more kinds than there are".to_owned()));
    }
    for kind in &draft.kinds {
        if !EventKind::ALL.iter().any(|known| known.name() == kind) {
            let known = EventKind::ALL.map(EventKind::name).join(", ");
            let kind: String = kind.chars().take(40).collect();
            let reason = format!("there are no events of the kind {kind:?}; there are {known}");
            return Err(ServiceError::Invalid(reason));
        }
    }
    Ok(())
}
