//! Signals: `TERM` and `INT` end the server well, `KILL` ends it somehow, and nothing is lost.

use std::time::{Duration, Instant};

use testkit::{Release, Rest, Site, Speaks, Terminal, TerminalEvent, Wire, until};
use tms_core::{OperationId, OperationState, UserRole};
use tms_server::{app::App, config, service};
use tms_terminal::{Fleet, Scenario};

use crate::process::Serving;

/// The estate's store from outside, as another program on the same machine sees it.
async fn app(site: &Site) -> App {
    config::open(&site.config(), jiff::Timestamp::now).await.unwrap()
}

/// A server on a site, which keeps its ports from now on, and a terminal of it.
async fn serving(site: &Site, app: &App, speaks: Speaks) -> (Serving, Terminal) {
    let server = Serving::start(site).await;
    site.keep_ports(&server.listeners, server.api);
    let address = server.listeners[usize::from(speaks == Speaks::Iso87)].to_string();
    let terminal = site.enrol(app, "10000001", speaks, &address).await;
    (server, terminal)
}

async fn wire(site: &Site, terminal: &Terminal, server: &Serving) -> Wire {
    let address = server.listeners[usize::from(terminal.speaks == Speaks::Iso87)];
    let certificate = terminal.certificate();
    Wire::connect(site, address, terminal.speaks, terminal.id.as_str(), Some(&certificate)).await.unwrap()
}

#[tokio::test]
async fn a_server_told_to_stop_ends_its_sessions_and_exits_well_in_time() {
    for (signal, speaks) in [("TERM", Speaks::UnionPay), ("INT", Speaks::Iso87)] {
        let site = Site::new().await;
        let app = app(&site).await;
        let (mut server, terminal) = serving(&site, &app, speaks).await;
        let mut open = wire(&site, &terminal, &server).await;
        open.sign_on().await;
        let answer = open.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");

        let began = Instant::now();
        server.signal(signal).await;
        assert!(open.is_closed_by_the_host().await.is_empty());
        assert_eq!(server.end().await, Some(0), "{signal}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let drained = until("its last words", async || server.said("drained")).await;
        assert_eq!(drained["cut"], 0);
        // What it knew is durable.
        let known = app.store.terminal(&terminal.id).await.unwrap().unwrap();
        assert!(known.last_contact.is_some());
    }
}

#[tokio::test]
async fn a_peer_that_stalls_in_a_frame_or_a_handshake_does_not_hold_a_stopping_server_up() {
    let site = Site::new().await;
    let app = app(&site).await;
    let (mut server, terminal) = serving(&site, &app, Speaks::UnionPay).await;
    let mut stalled = wire(&site, &terminal, &server).await;
    stalled.sign_on().await;
    stalled.send(b"\x00\x50\x60\x00").await;
    let silent = tokio::net::TcpStream::connect(server.listeners[0]).await.unwrap();
    let began = Instant::now();
    server.signal("TERM").await;
    assert_eq!(server.end().await, Some(0));
    // The deadline is ten seconds, and nobody has to wait for it.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(until("its last words", async || server.said("drained")).await["cut"], 0);
    drop(silent);
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_everything_has_lost_nothing_that_it_acknowledged() {
    let site = Site::new().await;
    let app = app(&site).await;
    let (mut server, terminal) = serving(&site, &app, Speaks::Iso87).await;
    let package = site.path("2.0.0.tmsfw");
    std::fs::write(&package, site.package(&Release::new("2.0.0", 1_000_000))).unwrap();
    let firmware = service::publish(&app, &package).await.unwrap();
    let mut scenario: Scenario = terminal.scenario();
    scenario.faults.delay_ms = 2;
    let handle = Fleet::new().start(scenario).unwrap();

    // Asked of the server itself, over REST, and killed as soon as it said yes.
    let password =
        service::issue_one_time_password(&app, "admin", Some(UserRole::Administrator)).await.unwrap();
    let rest = Rest::at(server.api).log_in("admin", &password).await;
    let path = format!("/api/v1/terminals/{}/firmware", terminal.id);
    let (status, told) = rest.post(&path, serde_json::json!({ "firmware": firmware.id.as_str() })).await;
    assert_eq!(status, 202, "{told}");
    let operation: OperationId = told["id"].as_str().unwrap().parse().unwrap();
    for part in [1, 4] {
        until("some of the image to be there", async || {
            let state = app.store.operation(operation).await.unwrap().unwrap();
            let done = state.progress.map_or(0, |progress| progress.done);
            (state.state.is_final() || done >= 100_000 * part).then_some(())
        })
        .await;
        server.signal("KILL").await;
        assert_eq!(server.end().await, None);
        server = Serving::start(&site).await;
    }
    let ended = until("the installation to end", async || {
        let found = app.store.operation(operation).await.unwrap().unwrap();
        found.state.is_final().then_some(found)
    })
    .await;
    assert_eq!(ended.state, OperationState::Done, "{:?}", ended.detail);
    let now = handle.snapshot();
    assert_eq!((now.firmware_version.as_str(), now.boot_count), ("2.0.0", 2));
    assert!(now.link.resumed_transfers >= 1);
    // The token that the killed server gave still stands.
    let (status, shown) = rest.get(&format!("/api/v1/operations/{operation}")).await;
    assert_eq!((status, shown["state"].as_str()), (200, Some("done")), "{shown}");
    handle.stop().await;
    server.signal("TERM").await;
    assert_eq!(server.end().await, Some(0));
}
