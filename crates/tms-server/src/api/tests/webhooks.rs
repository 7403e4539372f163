//! Webhooks over the interface; how they are told is tested in `crate::webhooks`.

use tms_core::{Delivery, DeliveryId, DeliveryState};

use super::*;

#[tokio::test]
async fn a_webhook_is_made_with_a_secret_that_is_shown_once_changed_and_taken_away() {
    let client = client().await;
    let path = "/api/v1/webhooks";
    let asked = json!({"url": "https://hooks.example/tms", "kinds": ["alarm.raised"]});
    let (status, made) = client.post(path, asked).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    assert_eq!((&made["enabled"], &made["author"]), (&json!(true), &json!("admin")));
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    let (_, shown) = client.get(&own).await;
    assert_eq!((&shown["url"], shown.get("secret")), (&made["url"], None));
    assert_eq!(client.get(path).await.1["items"], json!([shown]));
    let change = json!({"url": "https://hooks.example/b", "enabled": false});
    let (status, changed) = client.call("PUT", &own, Some(change)).await;
    assert_eq!((status, &changed["kinds"], &changed["enabled"]), (StatusCode::OK, &json!([]), &json!(false)));
    let removed = client.call("DELETE", &own, None).await;
    assert_eq!(removed.0, StatusCode::NO_CONTENT);
    problem(client.get(&own).await, 404, "not_found");
    problem(client.call("DELETE", &own, None).await, 404, "not_found");
}

#[tokio::test]
async fn an_address_that_may_not_be_posted_to_is_refused_with_what_allows_it() {
    let client = client().await;
    for (asked, part) in [
        (json!({"url": "http://169.254.169.254/latest"}), "webhooks.allow_private"),
        (json!({"url": "http://localhost:8583/api/v1"}), "webhooks.allow_private"),
        (json!({"url": "ftp://hooks.example"}), "https://HOST/PATH"),
        (json!({"url": "https://hooks.example", "kinds": ["alarm"]}), "there are terminal.signed_on"),
    ] {
        let detail = problem(client.post("/api/v1/webhooks", asked).await, 422, "invalid");
        assert!(detail.contains(part), "{detail}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_and_replayed() {
    let client = client().await;
    let (_, made) = client.post("/api/v1/webhooks", json!({"url": "https://hooks.example"})).await;
    let webhook: tms_core::WebhookId = made["id"].as_str().unwrap().parse().unwrap();
    let now = client.estate.app.now();
    let dead = Delivery {
        id: DeliveryId::new(now, [1; 10]),
        webhook,
        event: "{\"specversion\":\"1.0\"}".to_owned(),
        state: DeliveryState::Dead,
        attempts: 12,
        created_at: now,
        due_at: now,
        detail: Some("it answered 500".to_owned()),
    };
    client.estate.app.store.add_deliveries(vec![dead.clone()]).await.unwrap();
    let path = format!("/api/v1/webhooks/{webhook}/deliveries");
    let (_, list) = client.get(&path).await;
    let first = &list["items"][0];
    assert_eq!((&first["state"], &first["event"]), (&json!("dead"), &json!({"specversion": "1.0"})));
    let (status, again) = client.call("POST", &format!("{path}/{}/replay", dead.id), None).await;
    assert_eq!(
        (status, &again["state"], &again["attempts"]),
        (StatusCode::ACCEPTED, &json!("pending"), &json!(0))
    );
    let unknown = DeliveryId::new(now, [2; 10]);
    problem(client.call("POST", &format!("{path}/{unknown}/replay"), None).await, 404, "not_found");
    problem(client.get("/api/v1/webhooks/none/deliveries").await, 400, "name_invalid");
}
