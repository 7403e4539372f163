//! Promises about webhooks and their deliveries.

use std::sync::Arc;

use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};

use super::at;
use crate::error::StoreError;
use crate::store::Store;

fn webhook(number: u8) -> Webhook {
    Webhook {
        id: WebhookId::new(at(i64::from(number)), [number; 10]),
        url: "https://hooks.example/tms".to_owned(),
        kinds: vec!["alarm.raised".to_owned()],
        enabled: true,
        secret_sealed: vec![number; 3],
        author: "ann".to_owned(),
        created_at: at(0),
    }
}

fn delivery(webhook: &Webhook, number: u8, due_s: i64) -> Delivery {
    Delivery {
        id: DeliveryId::new(at(i64::from(number)), [number; 10]),
        webhook: webhook.id,
        event: format!("{{\"id\":\"{number}\"}}"),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: at(i64::from(number)),
        due_at: at(due_s),
        detail: None,
    }
}

/// And takes its deliveries with it.
pub async fn a_webhook_reads_back_is_changed_and_goes(store: &Arc<dyn Store>) {
    let made = webhook(1);
    store.add_webhook(made.clone()).await.unwrap();
    let again = store.add_webhook(made.clone()).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { .. }), "{again}");
    assert_eq!(store.webhook(made.id).await.unwrap().unwrap(), made);
    let changed = store.change_webhook(made.id, "http://b".to_owned(), Vec::new(), false).await.unwrap();
    let expected = Webhook { url: "http://b".to_owned(), kinds: Vec::new(), enabled: false, ..made.clone() };
    assert_eq!(changed, expected);
    assert!(store.webhooks().await.unwrap().contains(&expected));
    let sent = delivery(&made, 11, 0);
    store.add_deliveries(vec![sent.clone()]).await.unwrap();
    store.remove_webhook(made.id).await.unwrap();
    assert!(store.deliveries(made.id, None, 10).await.unwrap().is_empty());
    store.add_deliveries(vec![sent]).await.unwrap();
    assert!(store.deliveries(made.id, None, 10).await.unwrap().is_empty(), "nobody is there to get it");
    for gone in [
        store.remove_webhook(made.id).await.unwrap_err(),
        store.change_webhook(made.id, String::new(), Vec::new(), true).await.unwrap_err(),
    ] {
        assert!(matches!(gone, StoreError::NotFound { what: "webhook", .. }), "{gone}");
    }
}

/// Those of a webhook that is not enabled wait.
pub async fn deliveries_are_due_in_their_order_until_they_end(store: &Arc<dyn Store>) {
    let made = webhook(2);
    store.add_webhook(made.clone()).await.unwrap();
    let (late, early) = (delivery(&made, 21, 50), delivery(&made, 22, 40));
    store.add_deliveries(vec![late.clone(), early.clone()]).await.unwrap();
    let due = async |seconds| {
        let due = store.due_deliveries(at(seconds), 10).await.unwrap();
        due.into_iter().filter(|d| d.webhook == made.id).map(|d| d.id).collect::<Vec<_>>()
    };
    assert!(due(39).await.is_empty());
    assert_eq!(due(50).await, [early.id, late.id]);
    store.change_webhook(made.id, made.url.clone(), Vec::new(), false).await.unwrap();
    assert!(due(50).await.is_empty());
    store.change_webhook(made.id, made.url.clone(), Vec::new(), true).await.unwrap();
    let refused = Some("it answered 503".to_owned());
    store.record_attempt(early.id, DeliveryState::Pending, at(60), refused.clone()).await.unwrap();
    assert_eq!(due(59).await, [late.id]);
    store.record_attempt(late.id, DeliveryState::Delivered, at(51), None).await.unwrap();
    store.record_attempt(early.id, DeliveryState::Dead, at(61), refused.clone()).await.unwrap();
    assert!(due(1_000).await.is_empty());
    let [first, second] = store.deliveries(made.id, None, 10).await.unwrap().try_into().unwrap();
    assert_eq!(
        (first.id, first.state, first.attempts, first.detail),
        (early.id, DeliveryState::Dead, 2, refused)
    );
    assert_eq!((second.id, second.state, second.attempts), (late.id, DeliveryState::Delivered, 1));
    let next = store.deliveries(made.id, Some(early.id), 10).await.unwrap();
    assert_eq!(next.iter().map(|d| d.id).collect::<Vec<_>>(), [late.id]);
    let unknown = DeliveryId::new(at(0), [99; 10]);
    let missing = store.record_attempt(unknown, DeliveryState::Dead, at(0), None).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

/// From the start, and only by the webhook that it was for. Old ones that have ended make room.
pub async fn a_delivery_is_replayed(store: &Arc<dyn Store>) {
    let (made, other) = (webhook(3), webhook(4));
    store.add_webhook(made.clone()).await.unwrap();
    store.add_webhook(other.clone()).await.unwrap();
    let sent = delivery(&made, 31, 10);
    store.add_deliveries(vec![sent.clone()]).await.unwrap();
    store.record_attempt(sent.id, DeliveryState::Dead, at(20), Some("no".to_owned())).await.unwrap();
    let stranger = store.replay_delivery(other.id, sent.id, at(30)).await.unwrap_err();
    assert!(matches!(stranger, StoreError::NotFound { .. }), "{stranger}");
    let again = store.replay_delivery(made.id, sent.id, at(30)).await.unwrap();
    assert_eq!(again, Delivery { due_at: at(30), ..sent.clone() });
    store.forget_deliveries(at(1_000)).await.unwrap();
    assert_eq!(store.deliveries(made.id, None, 10).await.unwrap().len(), 1, "it has not ended");
    store.record_attempt(sent.id, DeliveryState::Delivered, at(31), None).await.unwrap();
    store.forget_deliveries(at(31)).await.unwrap();
    assert_eq!(store.deliveries(made.id, None, 10).await.unwrap().len(), 1, "it is not old");
    assert!(store.forget_deliveries(at(32)).await.unwrap() >= 1);
    assert!(store.deliveries(made.id, None, 10).await.unwrap().is_empty());
}
