//! A server that stops, and one that comes back.

use testkit::{Estate, Speaks, TerminalEvent, until};
use tms_server::service;

use crate::done;

#[tokio::test]
async fn a_drained_server_answers_what_was_asked_and_closes_every_session_in_time() {
    let mut estate = Estate::start().await;
    let mut wires = Vec::new();
    for n in 0..10 {
        let terminal = estate.enrol(&format!("1000000{n}"), Speaks::ALL[n % 2]).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        wires.push(wire);
    }
    let cut = estate.drain().await;
    assert_eq!(cut, 0, "sessions had to be cut off");
    for mut wire in wires {
        wire.is_closed_by_the_host().await;
    }
}

#[tokio::test]
async fn terminals_come_back_by_themselves_when_their_server_does() {
    let mut estate = Estate::start().await;
    let mut handles = Vec::new();
    for n in 0..6 {
        let terminal = estate.enrol(&format!("1000000{n}"), Speaks::ALL[n % 2]).await;
        handles.push((estate.run_signed_on(terminal.scenario()).await, terminal.id));
    }
    for _ in 0..2 {
        estate.kill().await;
        estate.start_again().await;
        until("all of them to be back", async || {
            handles.iter().all(|(_, id)| estate.app().wake.is_signed_on(id)).then_some(())
        })
        .await;
    }
    // And they work.
    for (_, id) in &handles {
        let operation = service::collect_logs(estate.app(), id).await.unwrap();
        done(&estate, operation.id).await;
        let bundle = estate.app().store.log_bundle(operation.id).await.unwrap().unwrap();
        let log = std::fs::read_to_string(estate.app().objects.path(&bundle.object).unwrap()).unwrap();
        assert_eq!(log.len() as u64, bundle.size_bytes);
        assert!(log.contains("signed on"), "{log}");
    }
}

#[tokio::test]
async fn heartbeats_are_in_the_store_within_a_moment_and_survive_a_drain() {
    let mut estate = Estate::start().await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let before = estate.app().store.terminal(&terminal.id).await.unwrap().unwrap().last_contact;
    let answer = wire.ask(|session, now| session.echo(now)).await;
    assert!(matches!(answer, TerminalEvent::EchoAnswered));
    let asked = jiff::Timestamp::now();
    estate.drain().await;
    estate.start_again().await;
    let after = estate.app().store.terminal(&terminal.id).await.unwrap().unwrap().last_contact.unwrap();
    assert!(Some(after) > before && after <= asked, "{before:?} {after}");
}
