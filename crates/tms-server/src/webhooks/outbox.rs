//! Events become deliveries, durably and many in one write.

use std::sync::Arc;

use jiff::Timestamp;
use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::api::cloud_event;
use crate::app::App;
use crate::events::Event;

/// Events that become one write.
const BATCH: usize = 256;

pub(super) async fn run(app: &App, drain: &CancellationToken) {
    let mut live = app.events.listen(None).live;
    let mut webhooks = known(app).await;
    loop {
        let first = tokio::select! {
            () = drain.cancelled() => return,
            () = app.hooks.changed.notified() => {
                webhooks = known(app).await;
                continue;
            }
            first = live.recv() => first,
        };
        let mut events = Vec::new();
        match first {
            Ok(event) => events.push(event),
            Err(RecvError::Closed) => return,
            Err(RecvError::Lagged(missed)) => lost(app, missed),
        }
        while events.len() < BATCH {
            match live.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Lagged(missed)) => lost(app, missed),
                Err(_) => break,
            }
        }
        let now = app.now();
        let deliveries: Vec<_> = events
            .iter()
            .flat_map(|event| webhooks.iter().filter(|w| w.takes(event.kind.name())).map(move |w| (event, w)))
            .map(|(event, webhook)| delivery(app, event, webhook, now))
            .collect();
        if deliveries.is_empty() {
            continue;
        }
        match app.store.add_deliveries(deliveries).await {
            Ok(()) => app.hooks.due.notify_one(),
            Err(error) => {
                app.counters.store_errors.increment();
                warn!(%error, events = events.len(), "webhooks are not told of some events");
            }
        }
    }
}

async fn known(app: &App) -> Vec<Webhook> {
    match app.store.webhooks().await {
        Ok(webhooks) => webhooks,
        Err(error) => {
            app.counters.store_errors.increment();
            warn!(%error, "the webhooks are not known");
            // Tried again with the next event.
            app.hooks.changed.notify_one();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Vec::new()
        }
    }
}

fn delivery(app: &App, event: &Arc<Event>, webhook: &Webhook, now: Timestamp) -> Delivery {
    Delivery {
        id: DeliveryId::new(now, app.random.bytes()),
        webhook: webhook.id,
        event: cloud_event(&app.events.place(event), event).to_string(),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: now,
        due_at: now,
        detail: None,
    }
}

fn lost(app: &App, missed: u64) {
    app.counters.webhook_events_lost.add(missed);
    warn!(missed, "events came faster than they could be kept for webhooks");
}
