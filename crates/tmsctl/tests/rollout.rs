//! Commands for many terminals: what they ask, what they print, how they fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/server.rs"]
mod server;

use common::{Run, run};
use serde_json::{Value, json};
use server::Server;

fn at(server: &Server, args: &[&str]) -> Run {
    run(args, &[("TMSCTL_SERVER", &server.url), ("TMSCTL_TOKEN", "secret-token")], "")
}

fn rollout(state: &str) -> Value {
    json!({
        "id": "spring", "name": "Spring", "selector": "all", "state": state, "wave": 1, "author": "li",
        "action": {"type": "command", "command": {"type": "self_test"}}, "reason": "2 of 9 in wave 2 failed",
        "waves": [{"size": {"percent": 5}, "targets": {"succeeded": 4711}}, {"size": "rest", "targets": {"waiting": 8}}],
        "progress": {"total": 10, "ended": 2, "percent": 20, "eta": null},
    })
}

#[test]
fn a_rollout_is_written_with_the_waves_that_were_given_and_the_rest() {
    let server = Server::start(|_, _| (201, rollout("draft").to_string()));
    let done = at(
        &server,
        &[
            "rollout",
            "create",
            "--name",
            "Spring",
            "--firmware",
            "5f2c",
            "--selector",
            "all",
            "--soak",
            "30m",
            "--approve",
            "--wave",
            "tag:pilot,soak=1d,success=100",
            "--wave",
            "5%,failure=1",
            "--wave",
            "10",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("tmsctl rollout start spring"), "{}", done.out);
    let wave = |size: Value, soak_s: u32, success: u8, failure: u8, approval: bool| json!({"size": size, "soak_s": soak_s, "min_success_percent": success, "max_failure_percent": failure, "needs_approval": approval});
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/api/v1/rollouts"));
    assert_eq!(
        requests[0].json(),
        json!({
            "name": "Spring", "selector": "all", "action": {"type": "firmware", "firmware": "5f2c"},
            "waves": [
                wave(json!({"tagged": "pilot"}), 86_400, 100, 5, false),
                wave(json!({"percent": 5}), 1_800, 95, 1, true),
                wave(json!({"count": 10}), 1_800, 95, 5, true),
                wave(json!("rest"), 1_800, 95, 5, true),
            ],
            "caps": {"per_minute": 60, "concurrent": 200}, "answer_within_s": 86_400,
        })
    );
}

#[test]
fn waves_and_times_that_are_none_are_refused_before_the_server_is_asked() {
    for (wave, said) in [
        ("some", "begins with no count"),
        ("300%", "no share"),
        ("5%,soka=1d", "\"soka=1d\""),
        ("5%,soak=1w", "\"1w\" is no time"),
        ("5%,soak=99999999d", "is no time"),
    ] {
        let args =
            ["rollout", "create", "--name", "n", "--configuration", "--selector", "all", "--wave", wave];
        let refused = run(&args, &[], "");
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains(said), "{wave}: {}", refused.err);
    }
}

#[test]
fn waiting_for_a_rollout_ends_when_it_is_over_or_needs_a_person() {
    let states = |last: &'static str| {
        Server::start(move |count, _| (200, rollout(if count < 2 { "running" } else { last }).to_string()))
    };
    let over = states("finished");
    let done = at(&over, &["rollout", "start", "spring", "--wait"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("4711") && done.out.contains("2 of 10 (20 %)"), "{}", done.out);
    let requests = over.requests();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", "/api/v1/rollouts/spring/start")
    );
    assert_eq!((requests[2].method.as_str(), requests[2].path.as_str()), ("GET", "/api/v1/rollouts/spring"));
    let paused = at(&states("paused"), &["rollout", "show", "spring", "--wait", "--json"]);
    assert_eq!((paused.code, &paused.json()["state"]), (1, &json!("paused")));
    assert!(paused.err.contains("is paused: 2 of 9 in wave 2 failed"), "{}", paused.err);
    let approval = at(&states("awaiting_approval"), &["rollout", "show", "spring", "--wait"]);
    assert!(approval.err.contains("tmsctl rollout approve spring"), "{}", approval.err);
    let late = at(&states("running"), &["rollout", "show", "spring", "--wait", "--timeout-s", "1"]);
    assert!(late.err.contains("is still running after 1 s"), "{}", late.err);
}

#[test]
fn the_wave_that_waits_is_approved_by_its_number() {
    let server = Server::start(|_, _| (200, rollout("awaiting_approval").to_string()));
    assert_eq!(at(&server, &["rollout", "approve", "spring"]).code, 0);
    assert_eq!(server.requests()[1].json(), json!({"wave": 1}));
    assert_eq!(at(&server, &["rollout", "approve", "spring", "--wave", "1"]).code, 0);
    assert_eq!(server.requests()[2].json(), json!({"wave": 0}), "people count from 1");
    let running = Server::start(|_, _| (200, rollout("running").to_string()));
    let refused = at(&running, &["rollout", "approve", "spring"]);
    assert!(refused.err.contains("no wave of rollout spring waits"), "{}", refused.err);
    assert_eq!(running.requests().len(), 1);
}

#[test]
fn lists_are_followed_to_their_end() {
    let server = Server::start(|count, _| {
        let next = if count == 0 { json!("n1") } else { Value::Null };
        (200, json!({"items": [rollout("running")], "next": next}).to_string())
    });
    let listed = at(&server, &["rollout", "list", "--under-way", "--json"]).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.requests()[1].path, "/api/v1/rollouts?limit=500&under_way=true&after=n1");
}

#[test]
fn a_command_for_many_has_its_details_and_terms() {
    let server = Server::start(|_, _| {
        (201, json!({"id": "b1", "selected": 3, "matched": 2, "out_of_use": 1}).to_string())
    });
    let done = at(
        &server,
        &[
            "run",
            "show-message",
            "text=Hello, 你好",
            "seconds:=30",
            "--selector",
            "all",
            "--window",
            "mon-fri 22:00-04:00",
            "--priority",
            "7",
            "--after-settlement",
        ],
    );
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("batch b1 is queued for 2 terminals, of 3"), "{}", done.out);
    assert!(done.out.contains("1 are out of use"), "{}", done.out);
    assert_eq!(
        server.requests()[0].json(),
        json!({
            "selector": "all", "command": {"type": "show_message", "text": "Hello, 你好", "seconds": 30},
            "terms": {"priority": 7, "window": "mon-fri 22:00-04:00", "trigger": "after_settlement"}, "expires_at": null,
        })
    );
}

#[test]
fn what_destroys_something_on_many_is_tried_first() {
    let server =
        Server::start(|_, _| (200, json!({"selected": 2, "matched": 2, "sample": ["1", "2"]}).to_string()));
    let refused = at(&server, &["run", "factory-reset", "--selector", "all"]);
    assert_eq!((refused.code, server.requests().len()), (1, 0));
    assert!(refused.err.contains("--dry-run"), "{}", refused.err);
    let tried = at(&server, &["run", "factory-reset", "--selector", "all", "--dry-run"]);
    assert!(
        tried.out.contains("2 terminals would be given this") && tried.out.contains("1 2"),
        "{}",
        tried.out
    );
    assert_eq!(server.requests()[0].path, "/api/v1/batches?dry_run=true");
}

#[test]
fn waiting_for_a_batch_fails_when_a_terminal_did_not_do_it() {
    let ending = |state: &'static str| {
        Server::start(move |count, _| {
            let open = if count < 2 { 1 } else { 0 };
            let states = json!([{"state": "done", "operations": 2}, {"state": if open == 1 { "sent" } else { state }, "operations": 1}]);
            (
                200,
                json!({"id": "b1", "matched": 3, "selected": 3, "total": 3, "open": open, "states": states})
                    .to_string(),
            )
        })
    };
    let failed = at(&ending("failed"), &["run", "self-test", "--selector", "all", "--wait"]);
    assert_eq!(failed.code, 1);
    assert!(failed.err.contains("1 of 3 terminals did not do it"), "{}", failed.err);
    let late = at(&ending("sent"), &["batch", "show", "b1", "--wait", "--timeout-s", "0"]);
    assert!(late.err.contains("1 operations are still open"), "{}", late.err);
}
