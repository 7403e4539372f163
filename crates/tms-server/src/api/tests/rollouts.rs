//! Many terminals: batches and rollouts.

use super::*;

fn draft(selector: &str) -> Value {
    json!({
        "name": "spring", "selector": selector,
        "action": {"type": "command", "command": {"type": "self_test"}},
        "waves": [
            {"size": {"count": 1}, "min_success_percent": 100, "max_failure_percent": 0},
            {"size": "rest", "soak_s": 60, "min_success_percent": 90, "max_failure_percent": 10, "needs_approval": true},
        ],
        "caps": {"per_minute": 60, "concurrent": 10},
    })
}

async fn three() -> Client {
    let client = client().await;
    for tid in ["10000001", "10000002", "10000003"] {
        client.estate.terminal(tid).await;
    }
    client
}

#[tokio::test]
async fn a_rollout_is_tried_written_started_and_told_what_to_do() {
    let client = three().await;
    let (status, trial) = client.post("/api/v1/rollouts?dry_run=true", draft("model = \"SIM-8\"")).await;
    assert_eq!(
        (status, &trial["selected"], &trial["waves"]),
        (StatusCode::OK, &json!(3), &json!([1, 2])),
        "{trial}"
    );
    assert_eq!(client.get("/api/v1/rollouts").await.1["items"], json!([]), "nothing was written");
    let (status, made) = client.post("/api/v1/rollouts", draft("model = \"SIM-8\"")).await;
    assert_eq!(
        (status, &made["state"], &made["author"]),
        (StatusCode::CREATED, &json!("draft"), &json!("admin"))
    );
    let place = format!("/api/v1/rollouts/{}", made["id"].as_str().unwrap());
    assert_eq!(client.get(&format!("{place}/targets")).await.1["items"], json!([]));
    let told = async |word: &str| client.call("POST", &format!("{place}/{word}"), None).await;
    let detail = problem(told("pause").await, 409, "conflict");
    assert!(detail.contains("it has not been started"), "{detail}");

    let (status, started) = told("start").await;
    assert_eq!((status, &started["state"]), (StatusCode::OK, &json!("running")), "{started}");
    assert_eq!(started["progress"]["total"], 3);
    assert_eq!(
        (&started["waves"][0]["targets"]["waiting"], &started["waves"][1]["targets"]["waiting"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(told("start").await.1["version"], started["version"], "said again, it changes nothing");
    let (_, page) = client.get(&format!("{place}/targets?wave=1&state=waiting&limit=1")).await;
    assert_eq!((&page["items"][0]["state"], page["items"].as_array().unwrap().len()), (&json!("waiting"), 1));
    let next = page["next"].as_str().unwrap();
    let (_, page) = client.get(&format!("{place}/targets?wave=1&state=waiting&limit=1&after={next}")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));

    assert_eq!(told("pause").await.1["state"], "paused");
    assert_eq!(told("resume").await.1["state"], "running");
    let (_, approved) = client.post(&format!("{place}/approve"), json!({"wave": 1})).await;
    assert_eq!(approved["approved"], 2, "{approved}");
    problem(client.post(&format!("{place}/approve"), json!({"wave": 2})).await, 422, "invalid");
    assert_eq!(client.get("/api/v1/rollouts?under_way=true").await.1["items"].as_array().unwrap().len(), 1);
    assert_eq!(told("finish").await.1["state"], "finishing");
    assert_eq!(told("abort").await.1["state"], "aborting");
    problem(told("resume").await, 409, "conflict");
}

#[tokio::test]
async fn a_rollout_is_told_only_what_was_meant_for_the_version_that_was_seen() {
    let client = three().await;
    let mut written = draft("all");
    written["id"] = json!("spring");
    assert_eq!(client.post("/api/v1/rollouts", written.clone()).await.0, StatusCode::CREATED);
    assert_eq!(
        client.post("/api/v1/rollouts", written.clone()).await.0,
        StatusCode::CREATED,
        "the same again"
    );
    written["name"] = json!("another");
    problem(client.post("/api/v1/rollouts", written).await, 409, "conflict");
    let told = async |word: &str, tag: &str| {
        let request = Request::post(format!("/api/v1/rollouts/spring/{word}"))
            .header("authorization", format!("Bearer {}", client.token))
            .header(header::IF_MATCH, tag);
        client.send(request.body(Body::empty()).unwrap()).await
    };
    problem(told("start", "\"r7\"").await, 412, "precondition_failed");
    assert_eq!(told("start", "\"r1\"").await.1["version"], 2);
    problem(told("abort", "\"r1\"").await, 412, "precondition_failed");
}

#[tokio::test]
async fn a_rollout_that_cannot_be_is_refused_with_its_reason() {
    let client = client().await;
    let mut last = draft("all");
    last["waves"][1]["size"] = json!({"count": 5});
    let detail = problem(client.post("/api/v1/rollouts", last).await, 422, "invalid");
    assert!(detail.contains("wave 2") && detail.contains("the rest"), "{detail}");
    let (_, refused) = client.post("/api/v1/rollouts?dry_run=true", draft("modle = \"SIM-8\"")).await;
    assert!(refused["detail"].as_str().unwrap().contains("model"), "{refused}");
    let mut firmware = draft("all");
    firmware["action"] = json!({"type": "firmware", "firmware": "none"});
    problem(client.post("/api/v1/rollouts", firmware).await, 404, "firmware_not_found");
    problem(client.get("/api/v1/rollouts/none").await, 404, "not_found");
    problem(client.get("/api/v1/rollouts/none/targets").await, 404, "not_found");
}

#[tokio::test]
async fn a_batch_is_tried_made_counted_and_withdrawn() {
    let client = three().await;
    let asked = json!({
        "selector": "model = \"SIM-8\"", "command": {"type": "lock", "message": "Closed"},
        "terms": {"priority": 7, "window": "daily 00:00-00:00"},
    });
    let (status, trial) = client.post("/api/v1/batches?dry_run=true", asked.clone()).await;
    assert_eq!(
        (status, &trial["id"], &trial["matched"]),
        (StatusCode::OK, &Value::Null, &json!(3)),
        "{trial}"
    );
    assert_eq!(trial["sample"][0], "10000001");
    let page = "/api/v1/terminals/10000001/operations";
    assert_eq!(client.get(page).await.1["items"], json!([]), "nothing was made");
    let (status, made) = client.post("/api/v1/batches", asked).await;
    assert_eq!((status, &made["matched"]), (StatusCode::CREATED, &json!(3)), "{made}");
    assert_eq!(client.get(page).await.1["items"][0]["kind"]["type"], "lock");
    let place = format!("/api/v1/batches/{}", made["id"].as_str().unwrap());
    let (_, counts) = client.get(&place).await;
    assert_eq!((&counts["total"], &counts["open"]), (&json!(3), &json!(3)));
    assert_eq!(counts["states"], json!([{"state": "queued", "operations": 3}]));
    let cancel = format!("{place}/cancel");
    assert_eq!(client.call("POST", &cancel, None).await.1, json!({"cancelled": 3, "told": 0}));
    assert_eq!(client.call("POST", &cancel, None).await.1, json!({"cancelled": 0, "told": 0}));
    assert_eq!(client.get(&place).await.1["states"], json!([{"state": "cancelled", "operations": 3}]));
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_with_its_reason() {
    let client = client().await;
    let asked = |selector: &str, command: Value| json!({"selector": selector, "command": command});
    let detail = problem(
        client.post("/api/v1/batches", asked("all", json!({"type": "self_test"}))).await,
        422,
        "invalid",
    );
    assert_eq!(detail, "the selector means no terminal");
    let long = json!({"type": "lock", "message": "x".repeat(300)});
    problem(client.post("/api/v1/batches", asked("all", long)).await, 422, "invalid");
    let mut priority = asked("all", json!({"type": "self_test"}));
    priority["terms"] = json!({"priority": 10});
    problem(client.post("/api/v1/batches", priority).await, 400, "body_invalid");
    problem(client.get("/api/v1/batches/none").await, 404, "not_found");
    problem(client.call("POST", "/api/v1/batches/none/cancel", None).await, 404, "not_found");
}
