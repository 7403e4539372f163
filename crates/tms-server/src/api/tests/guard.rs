//! What protects callers from each other and from themselves.

use testkit::{MemoryStore, store::CallFault};

use super::*;
use crate::app::{ApiLimits, Limits, Rate};

async fn limited(api: ApiLimits) -> Client {
    let estate = testing::with_limits(Limits { api, ..Limits::default() }).await;
    logged_in(estate).await
}

impl Client {
    /// A call with a header, and the header of the answer that is asked for.
    async fn with(
        &self,
        method: &str,
        path: &str,
        (name, value): (&str, &str),
        body: Value,
        wanted: &str,
    ) -> (StatusCode, Option<String>, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .header(name, value)
            .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) });
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let found = response.headers().get(wanted).map(|value| value.to_str().unwrap().to_owned());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, found, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_user_who_calls_too_often_is_told_when_to_come_back() {
    let user_rate = Rate { per_minute: 1, burst: 2 };
    let client = limited(ApiLimits { user_rate, ..ApiLimits::default() }).await;
    let call = || client.with("GET", "/api/v1/whoami", ("x", "y"), Value::Null, "ratelimit");
    assert_eq!(call().await.1.as_deref(), Some("\"user\";r=1;t=60"));
    assert_eq!(call().await.0, StatusCode::OK);
    let refused = client.with("GET", "/api/v1/whoami", ("x", "y"), Value::Null, "retry-after").await;
    problem((refused.0, refused.2), 429, "too_many_requests");
    let wait: u64 = refused.1.unwrap().parse().unwrap();
    assert!((55..=60).contains(&wait), "{wait}");
    // Nobody else waits for it, and health is told to everybody.
    let other = logged_in_as(&client.estate, "ann").await;
    let others = Client { token: other, router: client.router.clone(), estate: testing::estate().await };
    assert_eq!(others.get("/api/v1/whoami").await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_calls_or_guesses_too_often_waits_whoever_it_says_it_is() {
    let login_rate = Rate { per_minute: 1, burst: 2 };
    let address_rate = Rate { per_minute: 1, burst: 4 };
    let client =
        limited(ApiLimits { login_rate, address_rate, behind_proxy: true, ..ApiLimits::default() }).await;
    let guess = json!({"user": "admin", "password": "x"});
    let from = |forwarded: &'static str| {
        client.with("POST", "/api/v1/login", ("x-forwarded-for", forwarded), guess.clone(), "retry-after")
    };
    for forwarded in ["192.0.2.1", "198.51.100.9, 192.0.2.1"] {
        assert_eq!(from(forwarded).await.2["code"], "credentials_wrong");
    }
    let refused = from("203.0.113.7, 192.0.2.1").await;
    let detail = problem((refused.0, refused.2), 429, "too_many_requests");
    assert!(detail.contains("log in"), "{detail}");
    assert_eq!(from("192.0.2.2").await.2["code"], "credentials_wrong");
    let look =
        || client.with("GET", "/api/v1/whoami", ("x-forwarded-for", "192.0.2.1"), Value::Null, "retry-after");
    assert_eq!(look().await.0, StatusCode::OK);
    assert_eq!(look().await.0, StatusCode::TOO_MANY_REQUESTS);
    let health = client.with("GET", "/healthz", ("x-forwarded-for", "192.0.2.1"), Value::Null, "x");
    assert_eq!(health.await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_beyond_the_places_that_there_are_is_told_so() {
    let client = limited(ApiLimits { concurrent_requests: 0, ..ApiLimits::default() }).await;
    let refused = client.with("GET", "/api/v1/whoami", ("x", "y"), Value::Null, "retry-after").await;
    problem((refused.0, refused.2), 503, "overloaded");
    assert_eq!(refused.1.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = ApiLimits { request_timeout_s: 1, ..ApiLimits::default() };
    let client = limited(limits).await;
    let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let request = Request::post("/api/v1/login")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from_stream(never));
    let response = client.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_set_is_put_only_over_the_one_that_was_seen() {
    let client = client().await;
    let path = "/api/v1/sets/blacklist";
    let put = |condition, cards: Value| client.with("PUT", path, condition, cards, "etag");
    let blind = client.call("PUT", path, Some(json!(["621700"]))).await;
    problem(blind, 428, "precondition_required");
    let early = put(("if-match", "\"r1\""), json!(["621700"])).await;
    problem((early.0, early.2), 412, "precondition_failed");
    let nothing = put(("if-match", "*"), json!(["621700"])).await;
    problem((nothing.0, nothing.2), 412, "precondition_failed");
    let first = put(("if-none-match", "*"), json!(["621700"])).await;
    assert_eq!((first.0, first.1.as_deref()), (StatusCode::OK, Some("\"r1\"")));
    let again = put(("if-none-match", "*"), json!(["622588"])).await;
    problem((again.0, again.2), 412, "precondition_failed");
    let seen = client.with("GET", path, ("if-none-match", "\"r1\""), Value::Null, "etag").await;
    assert_eq!((seen.0, seen.1.as_deref(), seen.2), (StatusCode::NOT_MODIFIED, Some("\"r1\""), Value::Null));
    assert_eq!(put(("if-match", "\"r1\""), json!(["622588"])).await.1.as_deref(), Some("\"r2\""));
    assert_eq!(client.get(path).await.1["content"], json!(["622588"]));
}

#[tokio::test]
async fn parameters_are_changed_only_as_they_were_seen_if_that_is_asked() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/parameters";
    let (status, tag, view) = client.with("GET", path, ("x", "y"), Value::Null, "etag").await;
    assert_eq!((status, view["revision"].as_u64()), (StatusCode::OK, Some(0)));
    let change = json!({"set": {"retries": "5"}});
    let tag = tag.unwrap();
    let done = client.with("PATCH", path, ("if-match", &tag), change.clone(), "etag").await;
    assert_eq!((done.0, done.1.as_deref()), (StatusCode::ACCEPTED, Some("\"r1\"")));
    let late = client.with("PATCH", path, ("if-match", &tag), change, "etag").await;
    let detail = problem((late.0, late.2), 412, "precondition_failed");
    assert!(detail.contains("has version 1 by now"), "{detail}");
    assert_eq!(client.get(path).await.1["desired"], json!({"retries": "5"}));
    let terminal = "/api/v1/terminals/10000001";
    let (_, tag, _) = client.with("GET", terminal, ("x", "y"), Value::Null, "etag").await;
    let seen = client.with("GET", terminal, ("if-none-match", &tag.unwrap()), Value::Null, "etag").await;
    assert_eq!(seen.0, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn the_same_request_under_the_same_key_is_answered_and_not_done_again() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/operations";
    let unlock = json!({"type": "unlock"});
    let ask = |client: &'_ Client, key: &'static str, body: Value| {
        let (router, token) = (client.router.clone(), client.token.clone());
        async move {
            let request = Request::post(path)
                .header("authorization", format!("Bearer {token}"))
                .header(header::CONTENT_TYPE, "application/json")
                .header("idempotency-key", key)
                .body(Body::from(body.to_string()));
            let response = router.oneshot(request.unwrap()).await.unwrap();
            let (status, replayed) =
                (response.status(), response.headers().contains_key("idempotency-replayed"));
            let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (status, replayed, serde_json::from_slice::<Value>(&bytes).unwrap())
        }
    };
    let first = ask(&client, "k1", unlock.clone()).await;
    assert_eq!((first.0, first.1), (StatusCode::ACCEPTED, false), "{}", first.2);
    // Another router on the same store is a server that was started again.
    let restarted = Client {
        router: router(Arc::clone(&client.estate.app)),
        token: client.token.clone(),
        estate: testing::estate().await,
    };
    for client in [&client, &restarted] {
        let again = ask(client, "k1", unlock.clone()).await;
        assert_eq!((again.0, again.1, &again.2), (StatusCode::ACCEPTED, true, &first.2));
    }
    assert_eq!(client.get(path).await.1["items"].as_array().unwrap().len(), 1);
    let other = ask(&client, "k1", json!({"type": "diagnose"})).await;
    problem((other.0, other.2), 422, "idempotency_key_reused");
    assert_eq!(ask(&client, "k2", json!({"type": "diagnose"})).await.0, StatusCode::ACCEPTED);

    // What was refused may be asked again; what has begun may not be begun twice.
    for _ in 0..2 {
        let refused = ask(&client, "k3", json!({"type": "lock", "message": ""})).await;
        problem((refused.0, refused.2), 422, "invalid");
    }
    let now = client.estate.app.now();
    let fingerprint = hex::encode(tms_crypto::sha256(format!("POST {path}\n{unlock}").as_bytes()));
    client.estate.app.store.begin_request("admin", "k4", &fingerprint, now, now).await.unwrap();
    let unknown = ask(&client, "k4", unlock.clone()).await;
    problem((unknown.0, unknown.2), 409, "request_interrupted");
    let long = ask(&client, "not visible", unlock).await;
    problem((long.0, long.2), 400, "idempotency_key_invalid");
}

#[tokio::test]
async fn a_request_whose_change_may_have_been_made_is_not_made_again() {
    let store = Arc::new(MemoryStore::new());
    let client = logged_in(testing::on(store.clone())).await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/operations";
    let ask = || client.with("POST", path, ("idempotency-key", "k1"), json!({"type": "unlock"}), "x");
    store.on_call(|name| match name {
        "enqueue" => CallFault::AnswerLost,
        _ => CallFault::None,
    });
    let (status, _, lost) = ask().await;
    problem((status, lost), 503, "store_unavailable");
    store.heal();
    let (status, _, again) = ask().await;
    problem((status, again), 409, "request_interrupted");
    assert_eq!(client.get(path).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_rests_sealed() {
    let client = client().await;
    let request = Request::post("/api/v1/terminals")
        .header("authorization", format!("Bearer {}", client.token))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "enrol-1")
        .body(Body::from(new_terminal("20000001").to_string()));
    assert_eq!(client.send(request.unwrap()).await.0, StatusCode::CREATED);
    let database = std::fs::read(client.estate.path().join("estate.db-wal")).unwrap();
    let contains = |text: &[u8]| database.windows(text.len()).any(|window| window == text);
    assert!(contains(b"enrol-1") && !contains(b"tmk_sealed\":"));
}
