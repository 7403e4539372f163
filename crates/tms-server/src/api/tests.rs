use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tms_core::{LogBundle, OperationState, TerminalId, UserRole};
use tms_firmware::SigningKey;
use tower::ServiceExt;

use super::endpoint::Who;
use super::*;
use crate::service;
use crate::testing::{self, Estate};

mod estate;
mod events;
mod guard;
mod rollouts;

/// Somebody who is logged in to an estate.
struct Client {
    estate: Estate,
    router: Router,
    token: String,
}

async fn client() -> Client {
    logged_in(testing::estate().await).await
}

async fn logged_in(estate: Estate) -> Client {
    Client { router: router(Arc::clone(&estate.app)), token: logged_in_as(&estate, "admin").await, estate }
}

/// The token of an administrator of this name.
async fn logged_in_as(estate: &Estate, user: &str) -> String {
    let role = Some(UserRole::Administrator);
    let password = service::issue_one_time_password(&estate.app, user, role).await.unwrap();
    service::login(&estate.app, user, &password).await.unwrap().token.to_string()
}

impl Client {
    /// Sends a request. Every answer has to be one that the document tells of.
    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let problem = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/problem+json");
        assert_eq!(problem, status.is_client_error() || status.is_server_error(), "{status}");
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8(bytes.to_vec()).unwrap()));
        if let Some(endpoint) = documented(method.as_str(), &path) {
            let pointer = format!(
                "/paths/{}/{}/responses/{}",
                endpoint.path.replace('/', "~1"),
                endpoint.method.to_lowercase(),
                status.as_u16()
            );
            assert!(document().pointer(&pointer).is_some(), "{method} {path} answered {status}: {body}");
            let code = body["code"].as_str().filter(|_| problem);
            let told = code.is_none_or(|code| endpoint.problems().any(|known| known.name() == code));
            assert!(told, "{method} {path} answered {body}");
        }
        (status, body)
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call("POST", path, Some(body)).await
    }

    /// Puts over what has the tag `seen`, or where nothing is.
    async fn put(&self, path: &str, seen: Option<&str>, body: Value) -> (StatusCode, Value) {
        let request = Request::put(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json");
        let request = match seen {
            Some(tag) => request.header(header::IF_MATCH, tag),
            None => request.header(header::IF_NONE_MATCH, "*"),
        };
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn upload(&self, package: Vec<u8>) -> (StatusCode, Value) {
        let request =
            Request::post("/api/v1/firmware").header("authorization", format!("Bearer {}", self.token));
        self.send(request.body(Body::from(package)).unwrap()).await
    }
}

/// The endpoint of the table that an address is of.
fn documented(method: &str, path: &str) -> Option<&'static endpoint::Endpoint> {
    endpoint::ENDPOINTS.iter().find(|endpoint| {
        let (theirs, ours) = (path.split('/'), endpoint.path.split('/'));
        endpoint.method == method
            && theirs.clone().count() == ours.clone().count()
            && theirs.zip(ours).all(|(given, named)| named.starts_with('{') || given == named)
    })
}

/// Expects a problem document with this status and code, and gives its sentence.
fn problem((status, body): (StatusCode, Value), expected: u16, code: &str) -> String {
    assert_eq!(status.as_u16(), expected, "{body}");
    assert_eq!(body["status"], expected);
    assert_eq!(body["code"], code, "{body}");
    assert!(body["type"].is_string() && body["title"].is_string());
    body["detail"].as_str().unwrap().to_owned()
}

fn new_terminal(id: &str) -> Value {
    let key = tms_crypto::seal::generate().unwrap();
    json!({
        "id": id, "merchant": "102310060510002", "profile": "iso87", "model": "SIM-8",
        "hardware_revision": "A1", "serial": "SIM1", "certificate_sha256": "ab".repeat(32),
        "sealing_public_key": hex::encode(key.public_bytes()),
        "credentials": [{"role": "99", "generation": 0, "secret": "73920418"}],
    })
}

#[tokio::test]
async fn a_one_time_password_gives_a_token_once() {
    let client = client().await;
    let password =
        service::issue_one_time_password(&client.estate.app, "ann", Some(UserRole::Operator)).await.unwrap();
    let login = json!({"user": "ann", "password": password.as_str()});
    let (status, body) = client.post("/api/v1/login", login.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["expires_at"].is_string());
    let fresh = Client { token: body["token"].as_str().unwrap().to_owned(), ..client };
    assert_eq!(fresh.get("/api/v1/terminals").await.0, StatusCode::OK);
    problem(fresh.post("/api/v1/login", login).await, 401, "credentials_wrong");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let client = client().await;
    let wrong = problem(
        client.post("/api/v1/login", json!({"user": "admin", "password": "x"})).await,
        401,
        "credentials_wrong",
    );
    let nobody = problem(
        client.post("/api/v1/login", json!({"user": "nobody", "password": "x"})).await,
        401,
        "credentials_wrong",
    );
    assert_eq!(wrong, nobody);
}

#[tokio::test]
async fn every_call_under_the_interface_needs_a_token() {
    let client = client().await;
    for endpoint in endpoint::ENDPOINTS.iter().filter(|endpoint| endpoint.who != Who::Anybody) {
        let bare = Request::builder().method(endpoint.method).uri(address(endpoint));
        let detail = problem(client.send(bare.body(Body::empty()).unwrap()).await, 401, "token_missing");
        assert!(detail.contains("Authorization: Bearer"), "{detail}");
        let forged = Request::builder()
            .method(endpoint.method)
            .uri(address(endpoint))
            .header("authorization", "Bearer forged");
        problem(client.send(forged.body(Body::empty()).unwrap()).await, 401, "token_invalid");
    }
}

/// An address of an endpoint, with names that nothing has.
fn address(endpoint: &endpoint::Endpoint) -> String {
    let name = |part: &'static str| if part.starts_with('{') { "404" } else { part };
    let path = endpoint.path.split('/').map(name).collect::<Vec<_>>().join("/");
    // Events have no end.
    if path == "/api/v1/events" { path + "?kind=none" } else { path }
}

#[tokio::test]
async fn every_endpoint_lets_in_who_has_its_role_and_nobody_below() {
    let client = client().await;
    for role in UserRole::ALL {
        let password =
            service::issue_one_time_password(&client.estate.app, role.name(), Some(role)).await.unwrap();
        let login = service::login(&client.estate.app, role.name(), &password).await.unwrap();
        let token = login.token.to_string();
        for endpoint in endpoint::ENDPOINTS {
            let Who::Least(least) = endpoint.who else { continue };
            let request = Request::builder()
                .method(endpoint.method)
                .uri(address(endpoint))
                .header("authorization", format!("Bearer {token}"));
            let answer = client.send(request.body(Body::empty()).unwrap()).await;
            if role.may(least) {
                assert!(![401, 403, 405].contains(&answer.0.as_u16()), "{endpoint:?}: {answer:?}");
            } else {
                let detail = problem(answer, 403, "role_insufficient");
                assert!(detail.contains(least.name()) && detail.contains(role.name()), "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_asks_is_told_who_they_are() {
    let client = client().await;
    let (status, body) = client.get("/api/v1/whoami").await;
    assert_eq!(
        (status, &body["user"], &body["role"]),
        (StatusCode::OK, &json!("admin"), &json!("administrator"))
    );
    service::issue_one_time_password(&client.estate.app, "admin", Some(UserRole::ReadOnly)).await.unwrap();
    assert_eq!(client.get("/api/v1/whoami").await.1["role"], "read-only", "a changed role holds at once");
    let detail = service::issue_one_time_password(&client.estate.app, "bob", None).await.unwrap_err();
    assert!(detail.to_string().contains("administrator"), "{detail}");
}

#[tokio::test]
async fn the_router_the_table_and_the_document_have_the_same_endpoints() {
    let client = client().await;
    let document = document();
    let mut told = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        told.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    let mut table: Vec<_> =
        endpoint::ENDPOINTS.iter().map(|e| (e.method.to_owned(), e.path.to_owned())).collect();
    told.sort();
    table.sort();
    assert_eq!(told, table);
    for path in document["paths"].as_object().unwrap().keys() {
        let endpoint = endpoint::ENDPOINTS.iter().find(|e| e.path == path).unwrap();
        let request = Request::builder()
            .method("TRACE")
            .uri(address(endpoint))
            .header("authorization", format!("Bearer {}", client.token));
        let response = client.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = response.headers()[header::ALLOW].to_str().unwrap();
        let mut allowed: Vec<_> = allowed.split(',').filter(|method| *method != "HEAD").collect();
        allowed.sort_unstable();
        let mut known: Vec<_> = table.iter().filter(|(_, p)| p == path).map(|(m, _)| m.as_str()).collect();
        known.sort_unstable();
        assert_eq!(allowed, known, "{path}");
    }
    // What is added besides `routes!` is in no document.
    assert!(!include_str!("mod.rs").contains(".route("));
}

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist_are_problems_too() {
    let client = client().await;
    problem(client.get("/api/v1/nothing").await, 404, "not_found");
    problem(client.get("/nothing").await, 404, "not_found");
    problem(client.call("DELETE", "/api/v1/terminals", None).await, 405, "method_not_allowed");
}

#[tokio::test]
async fn terminals_come_in_pages() {
    let client = client().await;
    for tid in ["10000001", "10000002", "10000003"] {
        client.estate.terminal(tid).await;
    }
    let (_, first) = client.get("/api/v1/terminals?limit=2").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let (_, second) = client.get(&format!("/api/v1/terminals?limit=2&after={next}")).await;
    assert_eq!(second["items"][0]["id"], "10000003");
    assert_eq!(second["next"], Value::Null);
    let detail = problem(client.get("/api/v1/terminals?limit=0").await, 400, "query_invalid");
    assert!(detail.contains("from 1 to 500"), "{detail}");
    problem(client.get("/api/v1/terminals?limit=many").await, 400, "query_invalid");
    problem(client.get("/api/v1/terminals?pages=2").await, 400, "query_invalid");
}

#[tokio::test]
async fn a_terminal_shows_desired_and_reported_state_and_nothing_secret() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let (status, body) = client.get("/api/v1/terminals/10000001").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["profile"], "unionpay");
    assert_eq!(body["connected"], false);
    assert_eq!(body["converged"], true);
    assert_eq!(body["desired"]["credentials"]["99"], 1);
    let text = body.to_string();
    assert!(!text.contains("sealed") && !text.contains("tmk"), "{text}");
    let detail = problem(client.get("/api/v1/terminals/10000009").await, 404, "terminal_not_found");
    assert_eq!(detail, "there is no terminal 10000009");
    problem(client.get("/api/v1/terminals/a%2Fb").await, 400, "name_invalid");
}

#[tokio::test]
async fn a_new_terminal_gets_a_master_key_that_only_it_can_open_and_is_added_once() {
    let client = client().await;
    let key = tms_crypto::seal::generate().unwrap();
    let mut request = new_terminal("20000001");
    request["sealing_public_key"] = hex::encode(key.public_bytes()).into();
    let (status, body) = client.post("/api/v1/terminals", request.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let sealed = hex::decode(body["tmk_sealed"].as_str().unwrap()).unwrap();
    let tmk =
        tms_crypto::seal::open(key.private_bytes(), b"tms8583 terminal master key", b"20000001", &sealed)
            .unwrap();
    assert_eq!(tmk.len(), 16);
    let detail = problem(client.post("/api/v1/terminals", request).await, 409, "conflict");
    assert_eq!(detail, "terminal 20000001 exists already");
}

#[tokio::test]
async fn a_terminal_that_cannot_be_is_refused_with_its_reason() {
    let client = client().await;
    for (member, value, code, part) in [
        ("certificate_sha256", json!("abc"), "invalid", "64 hexadecimal digits"),
        ("sealing_public_key", json!("00"), "invalid", "32-byte"),
        ("sealing_public_key", json!("xyz"), "invalid", "64 hexadecimal digits"),
        ("model", json!(""), "invalid", "model must have"),
        ("serial", json!("银联"), "invalid", "serial must have"),
        (
            "credentials",
            json!([{"role": "99", "generation": 0, "secret": "1"}]),
            "invalid",
            "secret of role 99",
        ),
    ] {
        let mut request = new_terminal("20000001");
        request[member] = value;
        let detail = problem(client.post("/api/v1/terminals", request).await, 422, code);
        assert!(detail.contains(part), "{detail}");
    }
    for (member, value) in [("id", json!("a b")), ("colour", json!("red")), ("profile", json!(7))] {
        let mut request = new_terminal("20000001");
        request[member] = value;
        problem(client.post("/api/v1/terminals", request).await, 400, "body_invalid");
    }
}

#[tokio::test]
async fn a_parameter_change_is_accepted_with_its_revision_and_operation() {
    let client = client().await;
    let tid = client.estate.terminal("10000001").await;
    let session = client.estate.app.wake.subscribe(tid.clone(), 1);
    let path = "/api/v1/terminals/10000001/parameters";
    let (status, body) =
        client.call("PATCH", path, Some(json!({"set": {"timeout_s": "045", "tip_allowed": "yes"}}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(body["revision"], 1);
    assert_eq!(body["operation"]["kind"], json!({"type": "set_parameters", "revision": 1}));
    assert_eq!(body["operation"]["state"], "queued");
    session.roused().await;

    let (_, terminal) = client.get("/api/v1/terminals/10000001").await;
    assert_eq!(terminal["desired"]["parameters"], json!({"timeout_s": "45", "tip_allowed": "1"}));
    assert_eq!(terminal["converged"], false);
    let id = body["operation"]["id"].as_str().unwrap();
    let (_, operation) = client.get(&format!("/api/v1/operations/{id}")).await;
    assert_eq!(operation, body["operation"]);
    let members: Vec<_> = operation.as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "id",
        "terminal",
        "kind",
        "state",
        "attempts",
        "created_at",
        "updated_at",
        "expires_at",
        "detail",
        "progress",
        "result",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);

    let (_, body) = client.call("PATCH", path, Some(json!({"unset": ["timeout_s"]}))).await;
    assert_eq!(body["revision"], 2);
    let (_, list) = client.get("/api/v1/terminals/10000001/operations").await;
    assert_eq!(list["items"][0]["state"], "queued");
    assert_eq!(list["items"][1]["state"], "cancelled");
    assert_eq!(list["items"][1]["detail"], "replaced by parameter revision 2");
    let (_, first) = client.get("/api/v1/terminals/10000001/operations?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let (_, second) =
        client.get(&format!("/api/v1/terminals/10000001/operations?limit=1&after={next}")).await;
    assert_eq!(second["items"][0]["id"], id);
}

#[tokio::test]
async fn a_wrong_parameter_change_changes_nothing_and_says_why() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/parameters";
    for (change, status, code, part) in [
        (json!({"set": {"timeout": "45"}}), 422, "parameter_unknown", "did you mean \"timeout_s\"?"),
        (json!({"unset": ["timeout"]}), 422, "parameter_unknown", "did you mean \"timeout_s\"?"),
        (json!({"set": {"timeout_s": "100"}}), 422, "parameter_invalid", "from 1 to 99"),
        (json!({"set": {"timeout_s": "9"}, "unset": ["timeout_s"]}), 422, "invalid", "set and unset at once"),
        (json!({}), 422, "invalid", "nothing to change"),
        (json!({"sett": {}}), 400, "body_invalid", "unknown field `sett`"),
        (json!({"set": {"timeout_s": 45}}), 400, "body_invalid", "expected a string"),
    ] {
        let detail = problem(client.call("PATCH", path, Some(change)).await, status, code);
        assert!(detail.contains(part), "{detail}");
    }
    let (_, terminal) = client.get("/api/v1/terminals/10000001").await;
    assert_eq!(terminal["desired"]["parameters_revision"], 0);
    let nowhere = client.call(
        "PATCH",
        "/api/v1/terminals/10000009/parameters",
        Some(json!({"set": {"timeout_s": "9"}})),
    );
    problem(nowhere.await, 404, "terminal_not_found");
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused() {
    let client = client().await;
    let request = |kind: &str, body: String| {
        Request::post("/api/v1/terminals")
            .header("authorization", format!("Bearer {}", client.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body))
            .unwrap()
    };
    problem(client.send(request("application/json", "{".to_owned())).await, 400, "body_invalid");
    problem(client.send(request("text/plain", "{}".to_owned())).await, 415, "media_type");
    let large = format!("{{\"id\": \"{}\"}}", "x".repeat(64 * 1024));
    problem(client.send(request("application/json", large)).await, 413, "body_too_large");
}

#[tokio::test]
async fn a_signed_package_is_published_listed_and_assigned() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let image = b"image".repeat(1000);
    let (status, body) = client.upload(client.estate.package("1.1.0", &image)).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(body["version"], "1.1.0");
    assert_eq!(body["size_bytes"], image.len());
    let id = body["id"].as_str().unwrap();
    let stored = client.estate.app.store.firmware(&id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(std::fs::read(client.estate.app.objects.path(&stored.object).unwrap()).unwrap(), image);
    assert_eq!(std::fs::read_dir(client.estate.path().join("objects/incoming")).unwrap().count(), 0);

    // The same package again is the same firmware.
    let (status, again) = client.upload(client.estate.package("1.1.0", &image)).await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &body["id"]));
    let (_, list) = client.get("/api/v1/firmware").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);

    let (status, operation) =
        client.post("/api/v1/terminals/10000001/firmware", json!({"firmware": id})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(operation["kind"], json!({"type": "install_firmware", "firmware": id}));
    let (_, terminal) = client.get("/api/v1/terminals/10000001").await;
    assert_eq!(terminal["desired_firmware_version"], "1.1.0");
}

#[tokio::test]
async fn a_package_that_is_not_trustworthy_is_refused_counted_and_leaves_nothing() {
    let client = client().await;
    let good = client.estate.package("1.1.0", b"image");
    let stranger = testing::package(&SigningKey::generate().unwrap(), "1.1.0", b"image");
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let cut = good[..good.len() - 1].to_vec();
    let long = client.estate.package("1.1.0", &vec![7; 65 * 1024]);
    for (package, status, code) in [
        (stranger, 422, "firmware_signature_invalid"),
        (changed, 422, "firmware_image_changed"),
        (cut, 422, "firmware_package_invalid"),
        (b"hello".to_vec(), 422, "firmware_package_invalid"),
        (Vec::new(), 422, "firmware_package_invalid"),
        (long, 413, "body_too_large"),
        (vec![0; 200 * 1024], 413, "body_too_large"),
    ] {
        problem(client.upload(package).await, status, code);
    }
    assert!(client.estate.app.counters.firmware_refused.get() >= 6);
    assert_eq!(client.get("/api/v1/firmware").await.1["items"], json!([]));
    assert_eq!(std::fs::read_dir(client.estate.path().join("objects/incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn firmware_for_other_hardware_or_unknown_is_not_assigned() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let mut other = new_terminal("20000001");
    other["model"] = "SIM-9".into();
    client.post("/api/v1/terminals", other).await;
    let (_, firmware) = client.upload(client.estate.package("1.1.0", b"image")).await;
    let request = json!({"firmware": firmware["id"]});
    let detail = problem(
        client.post("/api/v1/terminals/20000001/firmware", request.clone()).await,
        422,
        "firmware_model_mismatch",
    );
    assert!(detail.contains("is for SIM-8, and terminal 20000001 is a SIM-9"), "{detail}");
    let unknown = json!({"firmware": "00"});
    problem(client.post("/api/v1/terminals/10000001/firmware", unknown).await, 404, "firmware_not_found");
    problem(client.post("/api/v1/terminals/10000009/firmware", request).await, 404, "terminal_not_found");
}

#[tokio::test]
async fn a_reset_a_rotation_and_a_log_collection_are_queued() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    for (path, kind) in [
        ("reset", json!({"type": "reboot"})),
        ("credentials/99/rotate", json!({"type": "rotate_credential", "role": "99", "generation": 2})),
        ("credentials/00/rotate", json!({"type": "rotate_credential", "role": "00", "generation": 1})),
        ("logs", json!({"type": "collect_logs", "max_bytes": 1_048_576})),
    ] {
        let (status, body) = client.call("POST", &format!("/api/v1/terminals/10000001/{path}"), None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(body["kind"], kind);
        problem(
            client.call("POST", &format!("/api/v1/terminals/10000009/{path}"), None).await,
            404,
            "terminal_not_found",
        );
    }
    let detail = problem(
        client.call("POST", "/api/v1/terminals/10000001/credentials/99/rotate", None).await,
        409,
        "conflict",
    );
    assert!(detail.contains("already under way"), "{detail}");
    problem(
        client.call("POST", "/api/v1/terminals/10000001/credentials/9/rotate", None).await,
        400,
        "name_invalid",
    );
}

#[tokio::test]
async fn a_rotation_that_ended_without_effect_can_be_started_again() {
    let client = client().await;
    let tid = client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/credentials/99/rotate";
    let (_, first) = client.call("POST", path, None).await;
    let app = &client.estate.app;
    let id = first["id"].as_str().unwrap().parse().unwrap();
    app.store.transition(id, OperationState::Failed, None, app.now()).await.unwrap();
    let (status, second) = client.call("POST", path, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // Never the same number for another secret.
    assert_eq!(second["kind"]["generation"], 3);
    let credential = app.store.credential(&tid, &tms_core::Role::administrator()).await.unwrap().unwrap();
    assert_eq!(credential.current.unwrap().generation, 1);
}

#[tokio::test]
async fn a_collected_log_is_listed_and_read_as_text() {
    let client = client().await;
    let tid: TerminalId = client.estate.terminal("10000001").await;
    let app = &client.estate.app;
    let (_, operation) = client.call("POST", "/api/v1/terminals/10000001/logs", None).await;
    let id = operation["id"].as_str().unwrap();
    problem(client.get(&format!("/api/v1/logs/{id}")).await, 404, "not_found");
    let object = format!("logs/{id}.log");
    std::fs::create_dir_all(app.objects.path("logs").unwrap()).unwrap();
    std::fs::write(app.objects.path(&object).unwrap(), "line one\n").unwrap();
    let bundle = LogBundle {
        operation: id.parse().unwrap(),
        terminal: tid,
        object: object.clone(),
        size_bytes: 9,
        sha256: "00".repeat(32),
        collected_at: app.now(),
    };
    app.store.add_log_bundle(bundle).await.unwrap();
    let (_, list) = client.get("/api/v1/terminals/10000001/logs").await;
    assert_eq!(list["items"][0]["operation"], id);
    assert!(list["items"][0].get("object").is_none());
    let (status, text) = client.get(&format!("/api/v1/logs/{id}")).await;
    assert_eq!((status, text), (StatusCode::OK, Value::String("line one\n".into())));
    std::fs::remove_file(app.objects.path(&object).unwrap()).unwrap();
    problem(client.get(&format!("/api/v1/logs/{id}")).await, 503, "objects_unavailable");
    problem(client.get("/api/v1/logs/none").await, 400, "name_invalid");
    problem(client.get("/api/v1/terminals/10000009/logs").await, 404, "terminal_not_found");
}

#[tokio::test]
async fn an_operation_that_does_not_exist_is_not_found() {
    let client = client().await;
    problem(
        client.get("/api/v1/operations/00000000-0000-7000-8000-000000000000").await,
        404,
        "operation_not_found",
    );
    problem(client.get("/api/v1/operations/none").await, 400, "name_invalid");
    problem(client.get("/api/v1/terminals/10000009/operations").await, 404, "terminal_not_found");
}

#[tokio::test]
async fn health_and_metrics_need_no_token_and_tell_when_the_store_is_gone() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let bare = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(client.send(bare("/healthz")).await, (StatusCode::OK, Value::String("ok\n".into())));
    assert_eq!(client.send(bare("/readyz")).await.0, StatusCode::OK);
    let (_, metrics) = client.send(bare("/metrics")).await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("\ntms_terminals 1\n"), "{metrics}");
    assert!(metrics.contains("# TYPE tms_operations_open gauge"));
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        assert_eq!(line.split(' ').count(), 2, "{line}");
    }
    client.estate.app.store.close().await;
    problem(client.send(bare("/readyz")).await, 503, "store_unavailable");
    assert_eq!(client.send(bare("/healthz")).await.0, StatusCode::OK);
    problem(client.get("/api/v1/terminals").await, 503, "store_unavailable");
}

#[tokio::test]
async fn without_a_trust_root_nothing_is_published_and_the_next_step_is_told() {
    let client = logged_in(testing::without_trust_root().await).await;
    let package = client.estate.package("1.1.0", b"image");
    let detail = problem(client.upload(package).await, 422, "firmware_trust_root_missing");
    assert!(detail.contains("tmsctl firmware keygen"), "{detail}");
}

#[tokio::test]
async fn a_command_is_queued_as_it_was_asked_for_and_wakes_the_session() {
    let client = client().await;
    let tid = client.estate.terminal("10000001").await;
    let session = client.estate.app.wake.subscribe(tid, 1);
    let path = "/api/v1/terminals/10000001/operations";
    for kind in [
        json!({"type": "lock", "message": "设备停用 Out of use"}),
        json!({"type": "unlock"}),
        json!({"type": "restart_application"}),
        json!({"type": "factory_reset"}),
        json!({"type": "clear_reversal"}),
        json!({"type": "clear_batch"}),
        json!({"type": "print_test_slip", "text": null}),
        json!({"type": "self_test"}),
        json!({"type": "diagnose"}),
        json!({"type": "collect_journal", "from_batch": 7, "max_bytes": 65536}),
        json!({"type": "sync_clock", "utc_offset_s": 28800, "force": false}),
        json!({"type": "show_message", "text": "Please settle", "until": "2027-01-01T00:00:00Z", "seconds": 30}),
        json!({"type": "change_tms_address", "addresses": ["tms.example:9000"], "attempts": 3}),
    ] {
        let (status, body) = client.post(path, kind.clone()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!((&body["kind"], &body["state"]), (&kind, &json!("queued")));
        assert!(session.take_wake_up());
    }
}

#[tokio::test]
async fn a_command_that_no_terminal_would_take_is_refused_with_a_reason() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/operations";
    for (kind, part) in [
        (json!({"type": "lock", "message": ""}), "message has 0 bytes"),
        (json!({"type": "change_tms_address", "addresses": ["tms"], "attempts": 3}), "write it as host:port"),
        (json!({"type": "install_firmware", "firmware": "x"}), "assign the firmware"),
        (json!({"type": "rotate_credential", "role": "99", "generation": 3}), "rotate the credential"),
        (json!({"type": "install_plan", "plan": {"actions": 3}}), "must be a list"),
        (
            json!({"type": "install_plan", "plan": {"actions": [{"id": 1, "command": "fly"}]}}),
            "the plan cannot be used",
        ),
        (
            json!({"type": "install_plan", "plan": {"actions": [
                {"id": 1, "command": "reboot"}, {"id": 1, "command": "unlock"}]}}),
            "two actions have the id 1",
        ),
        (
            json!({"type": "install_plan", "plan": {"actions": [
                {"id": 1, "command": {"install_firmware": {"size_bytes": 1}}}]}}),
            "install_firmware names no package",
        ),
    ] {
        let detail = problem(client.post(path, kind).await, 422, "invalid");
        assert!(detail.contains(part), "{detail}");
    }
    problem(client.post(path, json!({"type": "fly"})).await, 400, "body_invalid");
    let nobody = client.post("/api/v1/terminals/404/operations", json!({"type": "unlock"})).await;
    problem(nobody, 404, "terminal_not_found");
}

#[tokio::test]
async fn a_plan_is_withdrawn_and_one_of_firmware_for_nobody_is_refused() {
    let client = client().await;
    client.estate.terminal("10000001").await;
    let (status, body) = client.call("POST", "/api/v1/terminals/10000001/plan/withdraw", None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(body["kind"]["plan"]["actions"], json!([]));
    let nobody = client.call("POST", "/api/v1/terminals/404/plan/withdraw", None).await;
    problem(nobody, 404, "terminal_not_found");
    let plan = json!({"actions": [{"id": 1, "command": {"install_firmware": {"firmware": "unknown"}}}]});
    let install = json!({"type": "install_plan", "plan": plan});
    problem(client.post("/api/v1/terminals/10000001/operations", install).await, 404, "firmware_not_found");
}

#[tokio::test]
async fn an_operation_is_cancelled_once_and_one_that_has_ended_is_not() {
    let client = client().await;
    let tid = client.estate.terminal("10000001").await;
    let path = "/api/v1/terminals/10000001/operations";
    let (_, waiting) = client.post(path, json!({"type": "unlock"})).await;
    let id = waiting["id"].as_str().unwrap().to_owned();
    let (status, body) = client.call("POST", &format!("/api/v1/operations/{id}/cancel"), None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!((&body["operation"]["state"], &body["told"]), (&json!("cancelled"), &Value::Null));
    let (_, begun) = client.post(path, json!({"type": "self_test"})).await;
    let now = client.estate.app.now();
    let until = now + jiff::SignedDuration::from_secs(60);
    client.estate.app.store.lease_next(&tid, "somebody", until, now).await.unwrap();
    let begun = begun["id"].as_str().unwrap().to_owned();
    let (_, body) = client.call("POST", &format!("/api/v1/operations/{begun}/cancel"), None).await;
    assert_eq!(body["told"]["kind"], json!({"type": "cancel_operation", "target": begun}));

    let (_, done) = client.post(path, json!({"type": "diagnose"})).await;
    let done: tms_core::OperationId = done["id"].as_str().unwrap().parse().unwrap();
    client.estate.app.store.transition(done, OperationState::Done, None, now).await.unwrap();
    let late = client.call("POST", &format!("/api/v1/operations/{done}/cancel"), None).await;
    problem(late, 409, "operation_state");
    let missing = "/api/v1/operations/0199a000-0000-7000-8000-000000000009/cancel";
    problem(client.call("POST", missing, None).await, 404, "operation_not_found");
}

#[tokio::test]
async fn alarms_are_listed_newest_first_with_their_severity_in_words() {
    let client = client().await;
    let tid = client.estate.terminal("10000001").await;
    client.estate.terminal("10000002").await;
    let at = client.estate.app.now();
    for sequence in 1..=3 {
        let (kind, text) = ("paper-out".to_owned(), "no paper".to_owned());
        let terminal = tid.clone();
        let alarm =
            tms_core::Alarm { number: 0, terminal, sequence, kind, severity: 2, at, text, received_at: at };
        client.estate.app.store.add_alarm(alarm).await.unwrap();
    }
    let (status, body) = client.get("/api/v1/alarms?limit=2").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let first = &body["items"][0];
    assert_eq!(
        (&first["sequence"], &first["severity"], &first["kind"]),
        (&json!(3), &json!("warning"), &json!("paper-out"))
    );
    let next = body["next"].as_str().unwrap();
    let (_, rest) = client.get(&format!("/api/v1/alarms?terminal=10000001&after={next}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
    let (_, none) = client.get("/api/v1/alarms?terminal=10000002").await;
    assert_eq!(none["items"], json!([]));
    problem(client.get("/api/v1/alarms?terminal=404").await, 404, "terminal_not_found");
    problem(client.get("/api/v1/alarms?limit=0").await, 400, "query_invalid");
}

#[tokio::test]
async fn a_set_is_put_listed_and_shown_and_its_revision_rises_when_it_changes() {
    let client = client().await;
    let path = "/api/v1/sets/blacklist";
    problem(client.get(path).await, 404, "not_found");
    for (cards, seen, revision) in [
        (json!(["621700"]), None, 1),
        (json!(["621700"]), Some("\"r1\""), 1),
        (json!(["621700", "622588"]), Some("\"r1\""), 2),
    ] {
        let (status, body) = client.put(path, seen, cards.clone()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!((&body["revision"], body.get("content")), (&json!(revision), None));
        assert_eq!(client.get(path).await.1["content"], cards);
    }
    let (_, list) = client.get("/api/v1/sets").await;
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["revision"]), (&json!("blacklist"), &json!(2)));
    let detail = problem(client.put(path, Some("*"), json!(["62 17"])).await, 422, "invalid");
    assert!(detail.contains("the set blacklist cannot be used"), "{detail}");
    problem(client.put("/api/v1/sets/rates", None, json!([])).await, 400, "name_invalid");
}
