//! Deliveries that are due are posted, a few at a time, and again later when that did not work.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook};
use tms_proto::backoff::Backoff;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::post::{Posted, Poster};
use crate::app::App;

/// Posts at the same time.
const AT_ONCE: usize = 8;

/// Deliveries that are looked at together.
const LOOK: u32 = 64;

/// How often the store is asked when nobody says that there is something.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long deliveries that have ended are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Waits between attempts.
const SHORTEST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub(super) async fn run(app: &Arc<App>, poster: &Arc<Poster>, drain: &CancellationToken) {
    let mut posts: JoinSet<DeliveryId> = JoinSet::new();
    let mut under_way: HashSet<DeliveryId> = HashSet::new();
    let mut cleaning = tokio::time::interval(Duration::from_secs(3600));
    loop {
        if posts.len() < AT_ONCE {
            begin(app, poster, &mut posts, &mut under_way).await;
        }
        tokio::select! {
            () = drain.cancelled() => break,
            () = app.hooks.due.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            Some(ended) = posts.join_next() => if let Ok(id) = ended { under_way.remove(&id); },
            _ = cleaning.tick() => clean(app).await,
        }
    }
    // A post that was begun is ended, so that it is not made again for nothing.
    while posts.join_next().await.is_some() {}
}

async fn begin(
    app: &Arc<App>,
    poster: &Arc<Poster>,
    posts: &mut JoinSet<DeliveryId>,
    under_way: &mut HashSet<DeliveryId>,
) {
    let due = match app.store.due_deliveries(app.now(), LOOK).await {
        Ok(due) => due,
        Err(error) => {
            app.counters.store_errors.increment();
            warn!(%error, "deliveries are not looked through");
            return;
        }
    };
    for delivery in due {
        if posts.len() >= AT_ONCE {
            return;
        }
        if under_way.insert(delivery.id) {
            let (app, poster) = (Arc::clone(app), Arc::clone(poster));
            posts.spawn(async move {
                let id = delivery.id;
                attempt(&app, &poster, delivery).await;
                id
            });
        }
    }
}

async fn attempt(app: &Arc<App>, poster: &Arc<Poster>, delivery: Delivery) {
    let webhook = match app.store.webhook(delivery.webhook).await {
        Ok(Some(webhook)) => webhook,
        // Taken away, and its deliveries with it; or the store does not answer, and it is due again.
        Ok(None) | Err(_) => return,
    };
    let posted = post(app, poster, &webhook, &delivery).await;
    let now = app.now();
    let (state, due_at, detail) = after(app, &delivery, posted, now);
    match state {
        DeliveryState::Delivered => app.counters.webhooks_delivered.increment(),
        DeliveryState::Dead => {
            app.counters.webhooks_dead.increment();
            info!(webhook = %webhook.id, delivery = %delivery.id, detail, "a delivery is given up");
        }
        DeliveryState::Pending => app.counters.webhooks_refused.increment(),
    }
    if let Err(error) = app.store.record_attempt(delivery.id, state, due_at, detail).await {
        // The receiver knows a repetition by its id.
        app.counters.store_errors.increment();
        warn!(%error, delivery = %delivery.id, "what came of a delivery is not noted");
    }
}

async fn post(app: &Arc<App>, poster: &Arc<Poster>, webhook: &Webhook, delivery: &Delivery) -> Posted {
    let context = super::secret_context(webhook.id);
    let secret = match app.vault.unseal(&context, &webhook.secret_sealed) {
        Ok(secret) => secret,
        Err(error) => return Posted::Failed(format!("its secret cannot be read: {error}")),
    };
    let (poster, url) = (Arc::clone(poster), webhook.url.clone());
    let (id, event, now) = (delivery.id, delivery.event.clone(), app.now());
    let posted = tokio::task::spawn_blocking(move || poster.post(&url, id, now, &event, &secret)).await;
    posted.unwrap_or_else(|error| Posted::Failed(error.to_string()))
}

/// Where a delivery stands after an attempt.
fn after(
    app: &App,
    delivery: &Delivery,
    posted: Posted,
    now: Timestamp,
) -> (DeliveryState, Timestamp, Option<String>) {
    let failed = match posted {
        Posted::Taken(status) => {
            return (DeliveryState::Delivered, now, Some(format!("it answered {status}")));
        }
        Posted::Gone => {
            return (DeliveryState::Dead, now, Some("it answered 410: it wants no more".to_owned()));
        }
        Posted::Failed(reason) => reason,
    };
    let attempts = delivery.attempts.saturating_add(1);
    if attempts >= app.limits.webhooks.attempts {
        return (DeliveryState::Dead, now, Some(failed));
    }
    let mut backoff = Backoff::new(SHORTEST_WAIT, LONGEST_WAIT);
    let mut wait = SHORTEST_WAIT;
    for _ in 0..attempts.min(32) {
        wait = backoff.next_wait(u32::from_be_bytes(app.random.bytes()));
    }
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_secs(3600));
    (DeliveryState::Pending, now.saturating_add(wait).unwrap_or(Timestamp::MAX), Some(failed))
}

async fn clean(app: &App) {
    let before = app.now().saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    if let Err(error) = app.store.forget_deliveries(before).await {
        app.counters.store_errors.increment();
        warn!(%error, "old deliveries are not forgotten");
    }
}
