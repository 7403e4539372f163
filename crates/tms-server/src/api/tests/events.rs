//! What happens, as it is heard.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures::StreamExt;

use super::*;
use crate::events::EventKind;

/// Somebody who listens.
struct Ear(BodyDataStream);

impl Ear {
    /// The next event: its kind, its place and its document.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        let wait = tokio::time::timeout(Duration::from_secs(20), self.0.next());
        let text = String::from_utf8(wait.await.expect("an event")?.unwrap().to_vec()).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        Some((field("event"), field("id"), serde_json::from_str(&field("data")).unwrap()))
    }
}

impl Client {
    async fn listen(&self, query: &str, after: Option<&str>) -> Ear {
        let mut request = Request::get(format!("/api/v1/events{query}"))
            .header("authorization", format!("Bearer {}", self.token));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Ear(response.into_body().into_data_stream())
    }
}

#[tokio::test]
async fn a_change_is_heard_by_who_asked_for_it_and_again_by_who_comes_back() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    client.estate.terminal("10000002").await;
    let mut ear = client.listen("?terminal=10000002&kind=operation.changed,alarm.raised", None).await;
    let mut made = Vec::new();
    for tid in ["10000001", "10000002", "10000002"] {
        let path = format!("/api/v1/terminals/{tid}/operations");
        made.push(client.post(&path, json!({"type": "unlock"})).await.1["id"].clone());
    }
    let (kind, place, told) = ear.next().await.unwrap();
    assert_eq!(kind, "operation.changed");
    assert_eq!((&told["type"], &told["id"]), (&json!("tms8583.operation.changed"), &json!(place)));
    assert_eq!((&told["specversion"], &told["subject"]), (&json!("1.0"), &json!("terminals/10000002")));
    assert_eq!((&told["data"]["id"], &told["data"]["state"]), (&made[1], &json!("queued")));
    drop(ear);
    let mut again = client.listen("", Some(&place)).await;
    assert_eq!(again.next().await.unwrap().2["data"]["id"], made[2]);
    let cancelled = format!("/api/v1/operations/{}/cancel", made[2].as_str().unwrap());
    client.call("POST", &cancelled, None).await;
    assert_eq!(again.next().await.unwrap().2["data"]["state"], "cancelled");
    client.estate.app.events.close();
    assert!(again.next().await.is_none(), "the server ends");
}

#[tokio::test]
async fn who_comes_from_another_run_or_hears_too_slowly_is_told_so() {
    let client = client().await;
    let publish = |count: usize| {
        for _ in 0..count {
            let now = client.estate.app.now();
            client.estate.app.events.publish(EventKind::Reported, None, now, json!({}));
        }
    };
    publish(1);
    let mut stranger = client.listen("", Some("another.7")).await;
    assert_eq!(stranger.next().await.unwrap().0, "events.missed");
    assert_eq!(stranger.next().await.unwrap().0, "terminal.reported");
    publish(3_000);
    let (kind, place, why) = stranger.next().await.unwrap();
    assert_eq!((kind.as_str(), place.as_str()), ("events.ended", ""));
    assert!(why["reason"].as_str().unwrap().contains("events behind"), "{why}");
    assert!(stranger.next().await.is_none());
}

#[tokio::test]
async fn events_that_do_not_exist_are_refused_with_those_that_do() {
    let client = client().await;
    let detail = problem(client.get("/api/v1/events?kind=terminal.lost").await, 400, "query_invalid");
    assert!(detail.contains("terminal.signed_on, terminal.signed_off"), "{detail}");
    problem(client.get("/api/v1/events?terminal=404").await, 404, "terminal_not_found");
    problem(client.get("/api/v1/events?terminals=1").await, 400, "query_invalid");
}
