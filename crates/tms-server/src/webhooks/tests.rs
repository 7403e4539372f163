//! From an event to its receiver, over a real socket.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tms_core::{DeliveryState, Webhook};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::Limits;
use crate::events::EventKind;
use crate::service::{self, WebhookDraft};
use crate::testing::{self, Estate};

/// A post as the receiver got it: its headers in lower case, and its body.
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
    }
}

/// Somebody who takes posts and answers them in turn with these statuses.
struct Receiver {
    url: String,
    posts: tokio::sync::mpsc::UnboundedReceiver<Post>,
}

impl Receiver {
    async fn answering(statuses: &'static [u16]) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", socket.local_addr().unwrap());
        let (told, posts) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            for count in 0.. {
                let (mut stream, _) = socket.accept().await.unwrap();
                let mut bytes = Vec::new();
                let (head, body) = loop {
                    let mut piece = [0; 4096];
                    let length = stream.read(&mut piece).await.unwrap();
                    assert!(length > 0, "the post broke off");
                    bytes.extend_from_slice(&piece[..length]);
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let head = head.replace("\r\n", "\n");
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                    if body.len() == length.unwrap().parse::<usize>().unwrap() {
                        break (head, body.to_owned());
                    }
                };
                let status = statuses.get(count).or(statuses.last()).unwrap();
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                if told.send(Post { head, body }).is_err() {
                    return;
                }
            }
        });
        Self { url, posts }
    }

    async fn next(&mut self) -> Post {
        tokio::time::timeout(Duration::from_secs(30), self.posts.recv()).await.expect("a post").unwrap()
    }
}

async fn estate(attempts: u32) -> (Estate, CancellationToken) {
    let webhooks = WebhookSettings { allow_private: true, attempts, ..WebhookSettings::default() };
    let estate = testing::with_limits(Limits { webhooks, ..Limits::default() }).await;
    let drain = CancellationToken::new();
    tokio::spawn(run(Arc::clone(&estate.app), drain.clone()));
    (estate, drain)
}

async fn hook(estate: &Estate, url: &str, kinds: &[&str]) -> (Webhook, Vec<u8>) {
    let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
    let draft = WebhookDraft { url: url.to_owned(), kinds, enabled: true };
    let (webhook, secret) = service::add_webhook(&estate.app, "ann", draft).await.unwrap();
    (webhook, STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap())
}

/// Tells of something until the outbox, which learns of a webhook in its own time, has kept it.
async fn happens(estate: &Estate, webhook: &Webhook, kind: EventKind) {
    for _ in 0..1_000 {
        estate.app.events.publish(kind, None, estate.app.now(), json!({"n": 1}));
        tokio::time::sleep(Duration::from_millis(20)).await;
        if !estate.app.store.deliveries(webhook.id, None, 1).await.unwrap().is_empty() {
            return;
        }
    }
    panic!("nothing is to be delivered");
}

/// Waits until the oldest delivery of a webhook is in this state.
async fn oldest(estate: &Estate, webhook: &Webhook, state: DeliveryState) -> tms_core::Delivery {
    for _ in 0..1_000 {
        let mut all = estate.app.store.deliveries(webhook.id, None, 1_000).await.unwrap();
        if let Some(delivery) = all.pop().filter(|delivery| delivery.state == state) {
            return delivery;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no delivery became {state:?}");
}

#[tokio::test]
async fn an_event_is_posted_signed_and_not_again_once_it_was_taken() {
    let (estate, drain) = estate(3).await;
    let mut receiver = Receiver::answering(&[204]).await;
    let (webhook, secret) = hook(&estate, &receiver.url, &["alarm.raised"]).await;
    happens(&estate, &webhook, EventKind::AlarmRaised).await;
    let post = receiver.next().await;
    assert!(post.head.starts_with("POST /hook HTTP/1.1"), "{}", post.head);
    assert_eq!(post.header("content-type"), "application/cloudevents+json");
    let told: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!((&told["type"], &told["data"]), (&json!("tms8583.alarm.raised"), &json!({"n": 1})));
    let (id, timestamp) = (post.header("webhook-id"), post.header("webhook-timestamp"));
    assert_eq!(
        post.header("webhook-signature"),
        super::post::signature(&secret, id, timestamp, &post.body),
        "with the secret that was shown"
    );
    let delivered = oldest(&estate, &webhook, DeliveryState::Delivered).await;
    assert_eq!((delivered.id.to_string().as_str(), delivered.attempts), (id, 1));
    assert_eq!(delivered.detail.as_deref(), Some("it answered 204"));

    // Asked for again, it comes under the same id.
    service::replay_delivery(&estate.app, webhook.id, delivered.id).await.unwrap();
    loop {
        let again = receiver.next().await;
        if again.header("webhook-id") == id {
            assert_eq!(again.body, post.body);
            break;
        }
    }
    drain.cancel();
}

#[tokio::test]
async fn a_receiver_that_refuses_is_asked_later_and_one_that_is_gone_never() {
    let (estate, drain) = estate(3).await;
    let mut receiver = Receiver::answering(&[503, 410]).await;
    let (webhook, _) = hook(&estate, &receiver.url, &[]).await;
    happens(&estate, &webhook, EventKind::SignedOn).await;
    receiver.next().await;
    for _ in 0..1_000 {
        let oldest = oldest(&estate, &webhook, DeliveryState::Pending).await;
        if oldest.attempts == 1 {
            assert_eq!(oldest.detail.as_deref(), Some("it answered 503"));
            let wait = oldest.due_at.duration_since(estate.app.now());
            assert!(wait.as_secs() <= 10, "{wait}");
            let replayed = service::replay_delivery(&estate.app, webhook.id, oldest.id).await.unwrap();
            assert_eq!(replayed.attempts, 0);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(oldest(&estate, &webhook, DeliveryState::Dead).await.detail.unwrap().contains("410"));
    drain.cancel();
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_given_up_after_its_attempts() {
    let (estate, drain) = estate(1).await;
    let (webhook, _) = hook(&estate, "http://127.0.0.1:1/", &["terminal.signed_on"]).await;
    estate.app.events.publish(EventKind::Reported, None, estate.app.now(), json!({}));
    happens(&estate, &webhook, EventKind::SignedOn).await;
    let dead = oldest(&estate, &webhook, DeliveryState::Dead).await;
    assert!(dead.detail.unwrap().starts_with("it cannot be reached"));
    let all = estate.app.store.deliveries(webhook.id, None, 1_000).await.unwrap();
    assert!(all.iter().all(|delivery| delivery.event.contains("terminal.signed_on")));
    drain.cancel();
}
