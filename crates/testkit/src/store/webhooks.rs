//! Webhooks and their deliveries.

use jiff::Timestamp;
use tms_core::webhook::MAX_WEBHOOKS;
use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};
use tms_store::Result;

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn add_webhook(&mut self, webhook: Webhook) -> Result<()> {
        if self.webhooks.len() >= MAX_WEBHOOKS {
            return Err(conflict(format!("there are {MAX_WEBHOOKS} webhooks, which is the most")));
        }
        if self.webhooks.contains_key(&webhook.id) {
            return Err(conflict(format!("webhook {} exists already", webhook.id)));
        }
        let created_at = kept(webhook.created_at);
        self.webhooks.insert(webhook.id, Webhook { created_at, ..webhook });
        Ok(())
    }

    pub(super) fn change_webhook(
        &mut self,
        id: WebhookId,
        url: String,
        kinds: Vec<String>,
        enabled: bool,
    ) -> Result<Webhook> {
        let known = self.webhooks.get_mut(&id).ok_or_else(|| not_found("webhook", id))?;
        (known.url, known.kinds, known.enabled) = (url, kinds, enabled);
        Ok(known.clone())
    }

    pub(super) fn remove_webhook(&mut self, id: WebhookId) -> Result<()> {
        self.webhooks.remove(&id).ok_or_else(|| not_found("webhook", id))?;
        self.deliveries.retain(|_, delivery| delivery.webhook != id);
        Ok(())
    }

    pub(super) fn add_deliveries(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if self.webhooks.contains_key(&delivery.webhook) {
                let (created_at, due_at) = (kept(delivery.created_at), kept(delivery.due_at));
                self.deliveries.insert(delivery.id, Delivery { created_at, due_at, ..delivery });
            }
        }
    }

    pub(super) fn due_deliveries(&self, now: Timestamp, limit: u32) -> Vec<Delivery> {
        let enabled = |id: &WebhookId| self.webhooks.get(id).is_some_and(|webhook| webhook.enabled);
        let due = |d: &&Delivery| d.state == DeliveryState::Pending && d.due_at <= now && enabled(&d.webhook);
        let mut due: Vec<_> = self.deliveries.values().filter(due).cloned().collect();
        due.sort_by_key(|delivery| (delivery.due_at, delivery.id));
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        due
    }

    pub(super) fn record_attempt(
        &mut self,
        id: DeliveryId,
        state: DeliveryState,
        due_at: Timestamp,
        detail: Option<String>,
    ) -> Result<()> {
        let known = self.deliveries.get_mut(&id).ok_or_else(|| not_found("delivery", id))?;
        known.attempts = known.attempts.saturating_add(1);
        (known.state, known.due_at, known.detail) = (state, kept(due_at), detail);
        Ok(())
    }

    pub(super) fn replay_delivery(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery> {
        let known = self.deliveries.get_mut(&id).filter(|delivery| delivery.webhook == webhook);
        let known = known.ok_or_else(|| not_found("delivery", id))?;
        (known.state, known.attempts) = (DeliveryState::Pending, 0);
        (known.due_at, known.detail) = (kept(now), None);
        Ok(known.clone())
    }

    pub(super) fn delivery_page(
        &self,
        webhook: WebhookId,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Vec<Delivery> {
        let own = self.deliveries.values().rev().filter(|delivery| delivery.webhook == webhook);
        let page = own.filter(|delivery| after.is_none_or(|after| delivery.id < after));
        page.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn forget_deliveries(&mut self, before: Timestamp) -> u64 {
        let all = self.deliveries.len();
        self.deliveries.retain(|_, d| d.created_at >= before || d.state == DeliveryState::Pending);
        u64::try_from(all.saturating_sub(self.deliveries.len())).unwrap_or(u64::MAX)
    }
}
