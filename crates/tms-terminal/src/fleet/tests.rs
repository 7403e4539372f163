//! Terminals over real sockets and real mutual TLS, against a small host.

use std::{path::Path, time::Duration};

use tms_proto::{
    Refusal,
    task::{Command, Outcome, Task},
};
use uuid::Uuid;

use super::*;
use crate::failure::FailureKind;

mod estate;
mod host;

use estate::{Estate, Validity};
use host::Host;

/// Polls until `condition` holds; fails with what the terminal last said after ten seconds.
async fn until(terminal: &Handle, what: &str, condition: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..500 {
        let snapshot = terminal.snapshot();
        if condition(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: {:?}", terminal.snapshot());
}

fn start(folder: &Path) -> Handle {
    let scenario = Scenario::load(&folder.join("terminal.toml")).unwrap();
    Fleet::new().start(scenario).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_terminals_sign_on_in_one_process_and_sign_off_when_stopped() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let fleet = Fleet::new();
    let terminals: Vec<_> = (0..40)
        .map(|n| {
            let profile = if n % 2 == 0 { "unionpay" } else { "iso87" };
            let folder = estate.terminal(&format!("{}", 10_000_001 + n), profile, host.address(profile), "");
            fleet.start(Scenario::load(&folder.join("terminal.toml")).unwrap()).unwrap()
        })
        .collect();
    for terminal in &terminals {
        until(terminal, "sign-on", |s| s.link.signed_on).await;
    }
    for terminal in terminals {
        terminal.stop().await;
    }
    assert_eq!((host.count().sign_ons, host.count().sign_offs), (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_really_leaves_and_comes_back() {
    let estate = Estate::new();
    for profile in ["unionpay", "iso87"] {
        let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
        let folder = estate.terminal(profile, profile, host.address(profile), "");
        host.give(Task { operation: Uuid::from_u128(1), step: 1, command: Command::Reboot });
        let terminal = start(&folder);
        until(&terminal, "second boot", |s| s.boot_count == 2 && s.link.signed_on).await;
        host.until_results(1).await;
        assert_eq!(host.count().connections, 2);
        assert_eq!(host.results()[0].outcome, Outcome::DONE);
        assert_eq!(terminal.snapshot().link.connections_lost, 0, "leaving was polite");
        terminal.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_terminal_goes_on_with_what_it_had() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let folder = estate.terminal("10000001", "unionpay", host.address("unionpay"), "");
    let first = start(&folder);
    until(&first, "sign-on", |s| s.link.signed_on).await;
    assert!(!first.try_login("99", "1").unwrap().is_accepted());
    // Dropping the handle is the kill: no sign-off, nothing flushed.
    drop(first);
    let second = start(&folder);
    let snapshot = until(&second, "sign-on", |s| s.link.signed_on).await;
    assert_eq!(snapshot.boot_count, 2);
    assert_eq!(second.try_login("99", "2").unwrap(), Login::Refused { tries_left: 3 });
    assert!(second.try_login("99", "73920418").unwrap().is_accepted());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_scenario_breaks_is_made_again() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let faults = "[faults]\ndrop_after_bytes = 100\ndrop_count = 2\ndelay_ms = 1";
    let folder = estate.terminal("10000001", "unionpay", host.address("unionpay"), faults);
    let terminal = start(&folder);
    let snapshot =
        until(&terminal, "third connection", |s| s.link.signed_on && s.link.connections_lost == 2).await;
    assert_eq!(snapshot.boot_count, 1, "a broken line is no restart");
    terminal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_bytes_cost_answers_and_nothing_else() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let folder = estate.terminal("10000001", "iso87", host.address("iso87"), "[faults]\ncorrupt_every = 40");
    let spoiled = start(&folder);
    let healthy = start(&estate.terminal("10000002", "iso87", host.address("iso87"), ""));
    until(&healthy, "sign-on beside a spoiled line", |s| s.link.signed_on).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(healthy.snapshot().link.signed_on);
    }
    assert!(spoiled.snapshot().link.halted.is_none());
    healthy.stop().await;
    spoiled.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_breaks_is_reported_without_being_asked_for() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let terminal = start(&estate.terminal("10000001", "iso87", host.address("iso87"), ""));
    let health = until(&terminal, "sign-on", |s| s.link.signed_on).await.health;
    terminal.set_health(Health { paper: false, ..health });
    host.until_report(|report| !report.health.paper).await;
    terminal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_a_connection_has_its_own_sentence_and_next_step() {
    use FailureKind as K;
    let (estate, stranger) = (Estate::new(), Estate::new());
    let good = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let expired = Host::start(estate.server("tms.test", Validity::Past), &estate).await;
    let early = Host::start(estate.server("tms.test", Validity::Future), &estate).await;
    let foreign = Host::start(stranger.server("tms.test", Validity::Now), &estate).await;
    let other_name = Host::start(estate.server("other.test", Validity::Now), &estate).await;
    let refusing = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    refusing.refuse_sign_on(Refusal::InvalidTerminal);
    let closed = host::closed_port().await;
    let plain = host::plain_port(b"220 mail.example ESMTP\r\n").await;
    let silent = host::plain_port(b"").await;

    let usual = |address: &str| estate.terminal("usual", "unionpay", address.to_owned(), "");
    let cases = [
        (usual(&closed), K::ConnectionRefused, "nothing listens at", "start the host"),
        (usual(&plain), K::Tls, "is not TLS", "TLS port"),
        (usual(&silent), K::Tls, "closed the connection during the TLS handshake", "TLS port"),
        (usual("no-such-host.invalid:1"), K::Unreachable, "cannot be reached", "name resolution"),
        (usual(&expired.address("unionpay")), K::HostCertificateExpired, "has expired", "clock"),
        (usual(&early.address("unionpay")), K::HostCertificateExpired, "not valid yet", "clock"),
        (
            usual(&foreign.address("unionpay")),
            K::HostCertificateUnknown,
            "not issued by the CA",
            "copy the CA certificate",
        ),
        (usual(&other_name.address("unionpay")), K::HostName, "not for tms.test but for", "server_name"),
        (usual(&refusing.address("unionpay")), K::Refused, "terminal not registered", "enrol"),
        (
            estate.terminal_valid("expired", good.address("unionpay"), Validity::Past),
            K::OwnCertificateRefused,
            "this terminal's certificate has expired",
            "enrol the terminal again",
        ),
        (
            stranger.terminal_of("stranger", good.address("unionpay"), &estate),
            K::OwnCertificateRefused,
            "does not know the CA of this terminal's certificate",
            "enrol the terminal at this host",
        ),
    ];
    for (folder, kind, what, next) in cases {
        let terminal = start(&folder);
        let snapshot = until(&terminal, what, |s| s.link.last_failure.is_some()).await;
        let failure = snapshot.link.last_failure.unwrap();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.what.contains(what) && failure.next.contains(next), "{failure}");
        drop(terminal);
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_before_anything_starts() {
    let estate = Estate::new();
    let spoil = |name: &str, content: Option<&str>| {
        let folder = estate.terminal(&format!("spoiled-{name}"), "unionpay", "127.0.0.1:1".to_owned(), "");
        let file = folder.join(name);
        std::fs::remove_file(&file).unwrap();
        if let Some(content) = content {
            tms_crypto::keyfile::create_text(&file, content).unwrap();
        }
        let scenario = Scenario::load(&folder.join("terminal.toml")).unwrap();
        Fleet::new().start(scenario).unwrap_err().to_string()
    };
    for (name, content, says) in [
        ("ca.pem", None, "ca.pem: it does not exist"),
        ("ca.pem", Some("nothing"), "ca.pem: it holds no certificate"),
        ("terminal.pem", Some("nothing"), "correct [tls] certificate"),
        ("terminal.key", Some("nothing"), "terminal.key: it holds no private key"),
        ("sealing.key", None, "sealing.key does not exist"),
        ("sealing.key", Some("0011"), "does not begin with `tms8583 sealing-key`"),
        ("firmware-trust.json", Some("{}"), "firmware-trust.json: missing field `keys`"),
    ] {
        let message = spoil(name, content);
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_the_terminal_sells_settles_and_sees_what_the_display_says() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let command = Command::ShowMessage { text: "今日停机".to_owned(), until: None, seconds: 0 };
    host.give(Task { operation: Uuid::from_u128(1), step: 1, command });
    let terminal = start(&estate.terminal("10000001", "iso87", host.address("iso87"), ""));
    until(&terminal, "sign-on", |s| s.link.signed_on).await;
    let typed = |line: &str| crate::console::line(&terminal, line);
    assert_eq!(typed("sell 3").unwrap(), "batch 1 has 3 transactions");
    assert_eq!(typed("login 99 1").unwrap(), "refused, 4 tries left");
    assert_eq!(typed("login 99 73920418").unwrap(), "open, generation 1");
    typed("paper off").unwrap();
    until(&terminal, "paper", |s| !s.health.paper).await;
    host.until_results(1).await;
    let shown = typed("show").unwrap();
    assert!(shown.contains("message: 今日停机") && shown.contains("batch 1: 3 transactions"), "{shown}");
    assert!(typed("dance").unwrap_err().contains("settle the batch"));
    assert!(typed("action x").unwrap_err().contains("no number"));
    terminal.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_is_sent_where_nobody_listens_comes_back() {
    let estate = Estate::new();
    let host = Host::start(estate.server("tms.test", Validity::Now), &estate).await;
    let command = Command::ChangeTmsAddress { addresses: vec!["127.0.0.1:1".to_owned()], attempts: 1 };
    host.give(Task { operation: Uuid::from_u128(1), step: 1, command });
    let terminal = start(&estate.terminal("10000001", "iso87", host.address("iso87"), ""));
    host.until_results(1).await;
    assert_eq!(host.results()[0].outcome, Outcome::FELL_BACK);
    let link = terminal.snapshot().link;
    assert!(link.signed_on && link.sign_ons == 2 && link.connections_lost == 1, "{link:?}");
    terminal.stop().await;
}
