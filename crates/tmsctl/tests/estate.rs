//! Commands that talk to a server: what they ask, what they print, how they fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/server.rs"]
mod server;

use std::os::unix::fs::PermissionsExt;

use common::{Run, run};
use serde_json::{Value, json};
use server::Server;

const ID: &str = "0199a000-0000-7000-8000-000000000001";

fn operation(state: &str) -> Value {
    json!({
        "id": ID, "terminal": "10000001", "kind": {"type": "set_parameters", "revision": 3}, "state": state, "attempts": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:01Z", "expires_at": "2026-01-02T00:00:00Z",
        "detail": null, "progress": null,
    })
}

/// A server that starts an operation on any change and lets it go through these states.
fn working(states: &'static [&'static str]) -> Server {
    Server::start(move |count, request| {
        let state = states.get(count).or(states.last()).unwrap();
        let body = match (request.method.as_str(), request.path.as_str()) {
            ("PATCH", _) => json!({"revision": 3, "operation": operation(state)}),
            _ => operation(state),
        };
        (if request.method == "GET" { 200 } else { 202 }, body.to_string())
    })
}

/// Runs with that server and a token.
fn at(server: &Server, args: &[&str]) -> Run {
    run(args, &[("TMSCTL_SERVER", &server.url), ("TMSCTL_TOKEN", "secret-token")], "")
}

fn problem(status: u16, code: &str, detail: &str) -> server::Answer {
    (
        status,
        json!({"type": "about:blank", "title": "T", "status": status, "detail": detail, "code": code})
            .to_string(),
    )
}

#[test]
fn a_parameter_change_is_one_patch_and_prints_its_operation() {
    let server = working(&["queued"]);
    let done = at(
        &server,
        &["parameter", "set", "10000001", "timeout_s=30", "phone_1=a=b", "--unset", "retries", "--json"],
    );
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.json(), json!({"revision": 3, "operation": operation("queued")}));
    let requests = server.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("PATCH", "/api/v1/terminals/10000001/parameters")
    );
    assert_eq!(requests[0].authorization.as_deref(), Some("Bearer secret-token"));
    assert_eq!(
        requests[0].json(),
        json!({"set": {"timeout_s": "30", "phone_1": "a=b"}, "unset": ["retries"]})
    );
    assert_eq!(requests.len(), 1);
}

#[test]
fn waiting_asks_until_the_operation_is_done() {
    let server = working(&["queued", "sent", "accepted", "done"]);
    let done = at(&server, &["parameter", "set", "10000001", "timeout_s=30", "--wait", "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.json()["operation"]["state"], "done");
    assert_eq!(server.requests()[3].path, format!("/api/v1/operations/{ID}"));
}

#[test]
fn waiting_for_what_fails_fails_and_says_why() {
    let server = Server::start(|count, _| {
        let mut failed = operation(if count == 0 { "queued" } else { "failed" });
        failed["detail"] = "the battery is low".into();
        (200, failed.to_string())
    });
    let failed = at(&server, &["reset", "10000001", "--wait"]);
    assert_eq!(failed.code, 1);
    assert_eq!(failed.err, format!("error: operation {ID} failed: the battery is low\n"));
    assert!(failed.out.contains("the battery is low"), "{}", failed.out);
}

#[test]
fn waiting_ends_with_its_time_and_says_how_to_go_on() {
    let server = working(&["queued"]);
    let late =
        at(&server, &["credential", "rotate", "10000001", "--role", "00", "--wait", "--timeout-s", "1"]);
    assert_eq!(late.code, 1);
    assert!(late.err.contains("is still queued after 1 s"), "{}", late.err);
    assert!(late.err.contains("tmsctl operation show"), "{}", late.err);
    assert_eq!(server.requests()[0].path, "/api/v1/terminals/10000001/credentials/00/rotate");
}

#[test]
fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let server = Server::start(|count, _| match count {
        0 => (202, operation("queued").to_string()),
        1 => (503, String::new()),
        _ => (200, operation("done").to_string()),
    });
    assert_eq!(at(&server, &["reset", "10000001", "--wait"]).code, 0);
}

#[test]
fn terminals_are_listed_over_all_pages() {
    let server = Server::start(|_, request| {
        let terminal = |id: &str| json!({"id": id, "profile": "unionpay", "connected": true, "converged": false, "reported": {"firmware_version": "1.1.0"}});
        let page = match request.path.as_str() {
            "/api/v1/terminals" => json!({"items": [terminal("1")], "next": "1"}),
            "/api/v1/terminals?after=1" => json!({"items": [terminal("2")], "next": null}),
            other => panic!("{other}"),
        };
        (200, page.to_string())
    });
    let listed = at(&server, &["terminal", "list", "--json"]).json();
    assert_eq!(
        listed["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>(),
        ["1", "2"]
    );
    let table = at(&server, &["terminal", "list"]);
    assert!(table.out.contains("1.1.0") && table.out.contains("2 terminals"), "{}", table.out);
}

#[test]
fn a_terminal_shows_what_it_should_be_beside_what_it_is() {
    let server = Server::start(|_, _| {
        let terminal = json!({
            "id": "10000001", "merchant": "102310060510002", "model": "SIM-8", "connected": true, "converged": false,
            "desired": {"parameters": {"timeout_s": "30"}, "parameters_revision": 2, "credentials": {"99": 2}},
            "desired_firmware_version": "1.1.0",
            "reported": {"parameters": {"timeout_s": "60"}, "parameters_revision": 1, "firmware_version": "1.0.0",
                "credentials": {"99": 1}, "health": {"paper": true, "printer": "ok", "tamper": null, "battery_percent": 80}},
        });
        (200, terminal.to_string())
    });
    let shown = at(&server, &["terminal", "show", "10000001"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    insta::assert_snapshot!(shown.out);
}

#[test]
fn a_log_is_fetched_when_the_terminal_has_sent_it() {
    let server = Server::start(|count, request| match (count, request.path.as_str()) {
        (0, "/api/v1/terminals/10000001/logs") => (202, operation("queued").to_string()),
        (1, _) => (200, operation("done").to_string()),
        (_, path) if path == format!("/api/v1/logs/{ID}") => (200, "first line\nsecond line\n".to_owned()),
        other => panic!("{other:?}"),
    });
    let fetched = at(&server, &["logs", "fetch", "10000001"]);
    assert_eq!((fetched.code, fetched.out.as_str()), (0, "first line\nsecond line\n"), "{}", fetched.err);
}

#[test]
fn a_log_can_be_saved() {
    let server = Server::start(|count, _| match count {
        0 => (202, operation("done").to_string()),
        _ => (200, "a line\n".to_owned()),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("10000001.log");
    let fetched = at(&server, &["logs", "fetch", "10000001", "--json", "--out", file.to_str().unwrap()]);
    assert_eq!(fetched.json()["state"], "done");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a line\n");
    let nowhere = at(&server, &["logs", "fetch", "10000001", "--out", "/nonexistent/file"]);
    assert!(
        nowhere.code == 1 && nowhere.err.contains("/nonexistent/file cannot be written"),
        "{}",
        nowhere.err
    );
    assert_eq!(server.requests().len(), 2, "the terminal is not troubled for a log that cannot be kept");
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let server = Server::start(|_, _| {
        problem(422, "parameter_unknown", "there is no parameter timeuot_s; did you mean timeout_s?")
    });
    let refused = at(&server, &["parameter", "set", "10000001", "timeuot_s=3"]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "error: there is no parameter timeuot_s; did you mean timeout_s? (parameter_unknown)\n"
    );

    let server = Server::start(|_, _| problem(404, "terminal_not_found", "there is no terminal 7"));
    let refused = at(&server, &["terminal", "show", "7"]);
    assert!(
        refused.err.contains("there is no terminal 7 (terminal_not_found)\n  next: see what there is"),
        "{}",
        refused.err
    );

    let server = Server::start(|_, _| (404, "<html>".to_owned()));
    let refused = at(&server, &["terminal", "list"]);
    assert!(refused.err.contains("next: check that --server is the REST address"), "{}", refused.err);

    let server = Server::start(|_, _| (500, "<html>".to_owned()));
    let refused = at(&server, &["terminal", "list"]);
    assert!(refused.err.contains("answered 500 Internal Server Error without saying why"), "{}", refused.err);
}

#[test]
fn an_expired_token_leads_to_login() {
    let server = Server::start(|_, _| problem(401, "token_invalid", "the token is not valid"));
    let refused = at(&server, &["terminal", "list"]);
    assert_eq!(
        refused.err,
        format!(
            "error: the token is not valid (token_invalid)\n  next: run `tmsctl login --server {}`\n",
            server.url
        )
    );
}

#[test]
fn an_unreachable_server_is_named() {
    let refused =
        run(&["terminal", "list"], &[("TMSCTL_SERVER", "http://127.0.0.1:1"), ("TMSCTL_TOKEN", "t")], "");
    assert_eq!(refused.code, 1);
    assert!(refused.err.starts_with("error: http://127.0.0.1:1 cannot be reached: "), "{}", refused.err);
}

#[test]
fn passwords_and_tokens_do_not_travel_in_the_clear() {
    let refused = run(&["terminal", "list", "--server", "http://tms.example"], &[("TMSCTL_TOKEN", "t")], "");
    assert!(refused.err.contains("without encryption\n  next: use https"), "{}", refused.err);
    let refused = run(&["login", "--server", "ftp://tms.example"], &[], "p\n");
    assert!(refused.err.contains("is no server address"), "{}", refused.err);
}

#[test]
fn login_remembers_the_token_for_that_server_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("new/config.toml");
    let env = [("TMSCTL_CONFIG", config.to_str().unwrap())];
    let server = Server::start(|_, request| match request.path.as_str() {
        "/api/v1/login" => {
            (200, json!({"token": "fresh-token", "expires_at": "2026-01-01T12:00:00Z"}).to_string())
        }
        _ => (200, json!({"items": []}).to_string()),
    });
    let login = run(&["login", "--server", &server.url, "--json"], &env, "one time password\n");
    assert_eq!(login.code, 0, "{}", login.err);
    assert!(!login.out.contains("fresh-token"), "{}", login.out);
    assert_eq!(server.requests()[0].json(), json!({"user": "admin", "password": "one time password"}));
    assert_eq!(std::fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(run(&["terminal", "list", "--json"], &env, "").json(), json!({"items": []}));
    assert_eq!(server.requests()[1].authorization.as_deref(), Some("Bearer fresh-token"));

    let other = Server::start(|_, _| (200, json!({"items": []}).to_string()));
    let refused = run(&["terminal", "list", "--server", &other.url], &env, "");
    assert!(refused.err.contains("you are not logged in to"), "{}", refused.err);
    assert!(other.requests().is_empty());
}

#[test]
fn a_wrong_password_is_told_and_nothing_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let server = Server::start(|_, _| problem(401, "credentials_wrong", "user or password is wrong"));
    let refused =
        run(&["login", "--server", &server.url], &[("TMSCTL_CONFIG", config.to_str().unwrap())], "guess\n");
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("user or password is wrong (credentials_wrong)"), "{}", refused.err);
    assert!(!config.exists());
}

#[test]
fn without_a_login_the_next_step_is_to_log_in() {
    let refused = run(&["terminal", "list"], &[], "");
    assert_eq!(
        refused.err,
        "error: no server is given or remembered\n  next: run `tmsctl login --server URL`\n"
    );
}

#[test]
fn a_hostile_answer_cannot_drive_the_terminal() {
    let server = Server::start(|_, _| problem(422, "x\u{1b}[2J", "bad \u{1b}]0;title\u{7}"));
    let refused = at(&server, &["reset", "10000001"]);
    assert!(!refused.err.contains('\u{1b}') && refused.err.contains("\\u{1b}"), "{}", refused.err);
    let server = Server::start(|_, _| {
        (200, json!({"id": "\u{1b}[31m", "reported": {"parameters": {"\u{1b}a": "\u{1b}b"}}}).to_string())
    });
    assert!(!at(&server, &["terminal", "show", "1"]).out.contains('\u{1b}'));
}

#[test]
fn a_command_is_one_post_with_its_kind_and_prints_what_the_terminal_found() {
    let server = Server::start(|count, _| {
        let mut operation = operation(if count == 0 { "queued" } else { "done" });
        operation["kind"] = json!({"type": "self_test"});
        operation["result"] = json!({"printer": "no paper 缺纸", "keyboard": "ok"});
        (if count == 0 { 202 } else { 200 }, operation.to_string())
    });
    let done = at(&server, &["command", "self-test", "10000001", "--wait"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("no paper 缺纸") && done.out.contains("self test"), "{}", done.out);
    let asked = &server.requests()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/api/v1/terminals/10000001/operations")
    );
    assert_eq!(asked.json(), json!({"type": "self_test"}));
}

#[test]
fn every_command_sends_its_details() {
    let server = working(&["queued"]);
    for (args, kind) in [
        (&["lock", "1", "--message", "停用"][..], json!({"type": "lock", "message": "停用"})),
        (&["unlock", "1"], json!({"type": "unlock"})),
        (&["restart-application", "1"], json!({"type": "restart_application"})),
        (&["factory-reset", "1", "--yes"], json!({"type": "factory_reset"})),
        (&["clear-reversal", "1", "--yes"], json!({"type": "clear_reversal"})),
        (&["clear-batch", "1", "--yes"], json!({"type": "clear_batch"})),
        (&["print-test-slip", "1"], json!({"type": "print_test_slip", "text": null})),
        (&["diagnose", "1"], json!({"type": "diagnose"})),
        (
            &["collect-journal", "1", "--from-batch", "7"],
            json!({"type": "collect_journal", "from_batch": 7, "max_bytes": 1_048_576}),
        ),
        (
            &["sync-clock", "1", "--utc-offset-min", "-60"],
            json!({"type": "sync_clock", "utc_offset_s": -3600, "force": false}),
        ),
        (
            &["show-message", "1", "--text", "a", "--seconds", "9"],
            json!({"type": "show_message", "text": "a", "until": null, "seconds": 9}),
        ),
        (
            &["change-tms-address", "1", "--address", "a:1", "--address", "b:2"],
            json!({"type": "change_tms_address", "addresses": ["a:1", "b:2"], "attempts": 3}),
        ),
    ] {
        let args: Vec<_> = ["command"].iter().chain(args).copied().collect();
        let done = at(&server, &args);
        assert_eq!(done.code, 0, "{args:?}: {}", done.err);
        assert_eq!(server.requests().last().unwrap().json(), kind);
    }
    for destroys in ["factory-reset", "clear-reversal", "clear-batch"] {
        let refused = at(&server, &["command", destroys, "1"]);
        assert_eq!(refused.code, 2, "{}", refused.out);
        assert!(refused.err.contains("--yes"), "{}", refused.err);
    }
}

#[test]
fn cancelling_says_whether_the_terminal_is_told() {
    let server = Server::start(|_, _| {
        let body = json!({"operation": operation("cancelled"), "told": operation("queued")});
        (202, body.to_string())
    });
    let done = at(&server, &["operation", "cancel", ID]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("cancelled") && done.out.contains("is told to give it up"), "{}", done.out);
    assert_eq!(server.requests()[0].path, format!("/api/v1/operations/{ID}/cancel"));
    let ended = Server::start(|_, _| {
        problem(409, "operation_state", "operation is done and cannot become cancelled")
    });
    let refused = at(&ended, &["operation", "cancel", ID]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("is done"), "{}", refused.err);
}

#[test]
fn alarms_are_a_table_of_one_terminal_or_of_all() {
    let server = Server::start(|_, _| {
        let alarm = json!({"terminal": "10000001", "sequence": 3, "kind": "paper-out", "severity": "warning",
            "at": "2026-01-01T00:00:00Z", "text": "no paper 缺纸", "number": 9, "received_at": "2026-01-01T00:00:01Z"});
        (200, json!({"items": [alarm]}).to_string())
    });
    let done = at(&server, &["alarm", "list", "--terminal", "10000001"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("paper-out") && done.out.contains("缺纸"), "{}", done.out);
    assert_eq!(server.requests()[0].path, "/api/v1/alarms?terminal=10000001&limit=50");
    assert_eq!(at(&server, &["alarm", "list", "--json"]).json()["items"][0]["sequence"], 3);
}

#[test]
fn a_plan_is_read_from_a_file_before_the_server_is_asked() {
    let server = working(&["queued"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, r#"{"actions": [{"id": 1, "command": "self_test"}]}"#).unwrap();
    let done = at(&server, &["plan", "install", "10000001", file.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(server.requests()[0].json()["plan"]["actions"][0]["command"], "self_test");
    std::fs::write(&file, "actions: none").unwrap();
    let refused = at(&server, &["plan", "install", "10000001", file.to_str().unwrap()]);
    assert_eq!((refused.code, server.requests().len()), (1, 1));
    assert!(refused.err.contains("is not JSON"), "{}", refused.err);
}

#[test]
fn a_plan_is_withdrawn_by_an_operation_of_its_own() {
    let server = working(&["queued"]);
    let done = at(&server, &["plan", "withdraw", "10000001"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/api/v1/terminals/10000001/plan/withdraw")
    );
}

#[test]
fn a_set_is_put_from_a_file_and_printed_as_it_was_put() {
    let server = Server::start(|_, _| {
        let body = json!({"name": "capks", "revision": 2, "updated_at": "2026-01-01T00:00:00Z", "content": ["9F06"]});
        (200, body.to_string())
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capks.json");
    std::fs::write(&file, r#"["9F0605A000000333"]"#).unwrap();
    let done = at(&server, &["emv", "put", "capks", file.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("capks is at revision 2"), "{}", done.out);
    let asked = &server.requests()[1];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("PUT", "/api/v1/sets/capks"));
    assert_eq!(asked.if_match.as_deref(), Some("\"r1\""), "over the one that is there");
    assert_eq!(asked.json(), json!(["9F0605A000000333"]));
    let shown = at(&server, &["emv", "show", "tms-parameters"]);
    assert_eq!(
        (shown.json(), server.requests()[2].path.as_str()),
        (json!(["9F06"]), "/api/v1/sets/tms_parameters")
    );
}

#[test]
fn a_settled_batch_says_whether_everything_adds_up() {
    let server = Server::start(|_, _| {
        let closed = json!({"batch": 12, "announced": 3, "received": 2, "complete": false});
        (200, json!({"batch": null, "details": 0, "closed": closed}).to_string())
    });
    let done = at(&server, &["terminal", "batch", "10000001"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("last settled batch") && done.out.contains("no"), "{}", done.out);
    assert_eq!(server.requests()[0].path, "/api/v1/terminals/10000001/batch");
}

#[test]
fn a_log_that_was_sent_is_printed_as_it_is() {
    let server = Server::start(|_, _| (200, "line one\nline two\n".to_owned()));
    let done = at(&server, &["logs", "show", ID]);
    assert_eq!((done.code, done.out.as_str()), (0, "line one\nline two\n"), "{}", done.err);
    assert_eq!(server.requests()[0].path, format!("/api/v1/logs/{ID}"));
}

#[test]
fn whoever_asks_is_told_who_they_are_and_what_they_may_do() {
    let answer = json!({"user": "ann", "role": "operator", "expires_at": "2026-01-01T12:00:00Z"});
    let server = Server::start(move |_, _| (200, answer.to_string()));
    let told = at(&server, &["whoami"]);
    assert_eq!((told.code, server.requests()[0].path.as_str()), (0, "/api/v1/whoami"), "{}", told.err);
    assert!(told.out.starts_with("You are ann at http://127.0.0.1:"), "{}", told.out);
    assert!(told.out.contains("with the role operator, until 2026-01-01T12:00:00Z"), "{}", told.out);
    assert_eq!(at(&server, &["whoami", "--json"]).json()["role"], "operator");
}

#[test]
fn what_the_role_does_not_allow_is_refused_with_the_way_to_see_it() {
    let detail = "this is for the role administrator, and ann has the role operator";
    let server = Server::start(move |_, _| problem(403, "role_insufficient", detail));
    let refused = at(&server, &["reset", "10000001"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(detail) && refused.err.contains("tmsctl whoami"), "{}", refused.err);
}

#[test]
fn groups_are_shown_as_a_tree_and_changed_one_thing_at_a_time() {
    let server = Server::start(|_, request| {
        let group = |id: &str, parent: Value| json!({"id": id, "parent": parent, "kind": "branch", "name": id, "templates": ["base"], "attributes": {"floor": 3}});
        let body = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/v1/groups?under=bank") => {
                json!({"items": [group("bank", Value::Null)], "next": "x"})
            }
            ("GET", "/api/v1/groups?under=bank&after=x") => json!({"items": [group("north", json!("bank"))]}),
            ("DELETE", "/api/v1/groups/north") => return (204, String::new()),
            _ => group("north", json!("bank")),
        };
        (200, body.to_string())
    });
    let listed = at(&server, &["group", "list", "--under", "bank"]);
    assert!(
        listed.out.contains("   north ") && listed.out.contains("floor=3"),
        "{} {}",
        listed.out,
        listed.err
    );
    for (args, method, path, body) in [
        (
            &["group", "create", "north", "--kind", "branch", "--under", "bank", "--attribute", "floor=3"][..],
            "POST",
            "/api/v1/groups",
            json!({"id": "north", "name": "north", "kind": "branch", "parent": "bank", "templates": [], "attributes": {"floor": 3}}),
        ),
        (&["group", "rename", "north", "北京"], "PATCH", "/api/v1/groups/north", json!({"name": "北京"})),
        (&["group", "move", "north", "--top"], "PATCH", "/api/v1/groups/north", json!({"parent": null})),
        (
            &["group", "edit", "north", "--template", "a", "--template", "b", "--unset-attribute", "floor"],
            "PATCH",
            "/api/v1/groups/north",
            json!({"templates": ["a", "b"], "attributes": {"floor": null}}),
        ),
    ] {
        let done = at(&server, args);
        assert_eq!(done.code, 0, "{}", done.err);
        let last = server.requests().pop().unwrap();
        assert_eq!((last.method.as_str(), last.path.as_str(), last.json()), (method, path, body));
    }
    let deleted = at(&server, &["group", "delete", "north"]);
    assert_eq!(deleted.out, "Group north is gone.\n");
    assert_eq!(at(&server, &["group", "move", "north"]).code, 2, "somewhere has to be said");
}

#[test]
fn terminals_are_edited_one_by_one_and_many_at_once() {
    let server = Server::start(|_, request| {
        let body = match request.path.as_str() {
            "/api/v1/estate/bulk" => json!({
                "dry_run": true, "selected": 3, "changed": 2, "refused": 1,
                "refusals": [{"terminal": "3", "reason": "it is retired"}],
            }),
            "/api/v1/terminals?limit=1&count=true&selector=tag%20a" => json!({"items": [], "total": 7}),
            _ => json!({"terminal": "1", "group": "north", "tags": ["a"], "attributes": {"floor": 3}}),
        };
        (200, body.to_string())
    });
    let edit = [
        "--no-group",
        "--tag",
        "a",
        "--untag",
        "b",
        "--attribute",
        "floor=3",
        "--unset-attribute",
        "rent",
        "--life-cycle",
        "locked",
    ];
    let change = json!({
        "group": null, "add_tags": ["a"], "remove_tags": ["b"], "attributes": {"floor": 3, "rent": null},
        "life_cycle": "locked",
    });
    let edited = at(&server, &[&["terminal", "edit", "1"][..], &edit].concat());
    assert!(edited.out.contains("floor=3"), "{} {}", edited.out, edited.err);
    let first = &server.requests()[0];
    assert_eq!((first.path.as_str(), first.json()), ("/api/v1/terminals/1/place", change.clone()));
    let bulk = at(&server, &[&["terminal", "bulk", "--selector", "@lab", "--dry-run"][..], &edit].concat());
    assert!(bulk.out.contains("it is retired"), "{}", bulk.out);
    assert!(bulk.out.ends_with("3 terminals are meant: 2 would be changed, 1 cannot be.\n"), "{}", bulk.out);
    assert_eq!(server.requests()[1].json(), json!({"selector": "@lab", "change": change, "dry_run": true}));
    assert_eq!(at(&server, &["terminal", "edit", "1"]).code, 2, "something has to be changed");
    assert_eq!(at(&server, &["terminal", "list", "--count", "--selector", "tag a"]).out, "7\n");
}

#[test]
fn a_selector_is_saved_over_the_one_that_was_there() {
    let server = Server::start(|_, request| {
        let saved = json!({"name": "lab", "selector": "tag lab", "count": 2});
        (if request.method == "DELETE" { 204 } else { 200 }, saved.to_string())
    });
    let saved = at(&server, &["selector", "save", "lab", "tag  lab"]);
    assert_eq!(saved.out, "@lab is: tag lab\n", "{}", saved.err);
    let put = &server.requests()[1];
    assert_eq!((put.method.as_str(), put.if_match.as_deref()), ("PUT", Some("\"r1\"")));
    assert_eq!(put.json(), json!({"selector": "tag  lab", "description": ""}));
    assert_eq!(at(&server, &["selector", "check", "@lab"]).out, "tag lab\nmeans 2 terminals\n");
}

#[test]
fn an_import_tells_its_rows_and_fails_when_nothing_came_of_it() {
    let server = Server::start(|_, request| {
        if request.method == "GET" {
            return (200, "id,merchant\n1,m\n".to_owned());
        }
        let report = json!({
            "applied": request.path.ends_with("partial=true"), "dry_run": false, "rows": 2, "added": 1,
            "changed": 0, "same": 0, "refused": 1,
            "problems": [{"row": 3, "terminal": "2", "reason": "there is no group x"}],
        });
        (200, report.to_string())
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("terminals.csv");
    std::fs::write(&file, "id,group\n1,\n2,x\n").unwrap();
    let file = file.to_str().unwrap();
    let refused = at(&server, &["estate", "import", file, "--dry-run"]);
    assert_eq!(refused.code, 1);
    assert!(refused.out.contains("there is no group x"), "{}", refused.out);
    assert!(refused.out.contains("2 rows: 1 new, 0 changed, 0 as they were, 1 refused"), "{}", refused.out);
    assert!(refused.err.contains("--partial"), "{}", refused.err);
    let request = &server.requests()[0];
    assert_eq!(request.path, "/api/v1/estate/import?dry_run=true&partial=false");
    assert_eq!(request.body, b"id,group\n1,\n2,x\n");
    assert_eq!(at(&server, &["estate", "import", file, "--partial"]).code, 0);
    let unclear = at(&server, &["estate", "import", "/nonexistent/file"]);
    assert!(unclear.err.contains("--format csv"), "{}", unclear.err);

    let exported = at(&server, &["estate", "export", "--selector", "tag a"]);
    assert_eq!(exported.out, "id,merchant\n1,m\n");
    assert_eq!(server.requests().pop().unwrap().path, "/api/v1/estate/export?format=csv&selector=tag%20a");
}
