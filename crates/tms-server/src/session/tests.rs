//! Sessions without a network: frames go from one end's protocol straight to the other's.

use std::cell::Cell;

use tms_core::{NewOperation, Operation, OperationKind, OperationState};
use tms_proto::{Identity, TerminalEvent, TerminalSession, report::Report};

use super::*;
use crate::{
    app::Clock,
    service,
    testing::{Estate, estate},
};

mod attempts;
mod commands;
mod downloads;
mod embedded;
mod macs;
mod proofs;
mod pushes;
mod rotation;
mod settlement;

const TID: &str = "10000001";

thread_local! {
    static NOW_S: Cell<i64> = const { Cell::new(1_800_000_000) };
}

fn clock() -> Timestamp {
    Timestamp::from_second(NOW_S.get()).unwrap()
}

fn pass(seconds: i64) {
    NOW_S.set(NOW_S.get() + seconds);
}

/// An estate with one terminal that lets the host push, and two attempts for each operation.
async fn with_terminal() -> (Estate, TerminalId) {
    let mut estate = estate().await;
    let app = Arc::get_mut(&mut estate.app).unwrap();
    app.clock = Clock::new(clock);
    app.limits.operation_attempts = 2;
    let id = estate.terminal_of(tms_core::Profile::iso87(), TID).await;
    (estate, id)
}

async fn session(estate: &Estate) -> Session {
    let profile = Arc::new(Profile::builtin("iso87").unwrap());
    let endpoint = Endpoint { framing: profile.framing(), profile, mac_key: None };
    let peer = PeerIdentity {
        common_name: TID.to_owned(),
        sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
        address: ([127, 0, 0, 1], 1).into(),
        connection: estate.app.wake.next_connection(),
    };
    Session::open(Arc::clone(&estate.app), endpoint, peer).await.unwrap()
}

/// A session and the terminal at its other end, signed on.
async fn signed_on(estate: &Estate) -> (Session, TerminalSession) {
    let profile = Arc::new(Profile::builtin("iso87").unwrap());
    let mut host = session(estate).await;
    let mut terminal = TerminalSession::new(profile, Identity::new(TID, "102310060510002"));
    terminal.sign_on(b"", clock()).unwrap();
    for event in exchange(&mut host, &mut terminal).await {
        if let TerminalEvent::ParameterPush { request, .. } = event {
            terminal.answer(request, None, clock()).unwrap();
        }
    }
    exchange(&mut host, &mut terminal).await;
    (host, terminal)
}

/// Carries frames until there are none; answers what the terminal learned.
async fn exchange(host: &mut Session, terminal: &mut TerminalSession) -> Vec<TerminalEvent> {
    let mut events = Vec::new();
    loop {
        let mut busy = false;
        while let Some(frame) = terminal.poll_transmit() {
            host.frame(&frame).await.unwrap();
            busy = true;
        }
        while let Some(frame) = host.poll_transmit() {
            terminal.receive(&frame, clock()).unwrap();
            busy = true;
        }
        while let Some(event) = terminal.poll_event() {
            events.push(event);
        }
        if !busy {
            return events;
        }
    }
}

async fn enqueue(estate: &Estate, id: &TerminalId, kind: OperationKind) -> Operation {
    let ticket = estate.app.ticket(clock());
    let new = NewOperation {
        id: ticket.id,
        terminal: id.clone(),
        kind,
        expires_at: ticket.expires_at,
        terms: tms_core::Terms::default(),
    };
    estate.app.store.enqueue(new, clock()).await.unwrap()
}

/// Seconds until something is due.
fn due_in_s(session: &Session) -> i64 {
    session.next_due().duration_since(clock()).as_secs()
}

#[tokio::test]
async fn a_store_that_fails_is_not_asked_without_pause_to_end_an_operation() {
    let (estate, id) = with_terminal().await;
    enqueue(&estate, &id, OperationKind::Reboot).await;
    let (mut host, _silent) = signed_on(&estate).await;
    pass(61);
    host.tick().await.unwrap();
    assert!(host.work.is_none(), "the next attempt waits for its time");
    pass(61);
    host.tick().await.unwrap();
    assert!(host.work.is_some(), "offered a second and last time");
    pass(61);
    estate.app.store.close().await;
    host.tick().await.unwrap();
    assert!(due_in_s(&host) > 10);
}

#[tokio::test]
async fn what_a_session_held_goes_to_the_next_one_however_it_ended() {
    let (estate, id) = with_terminal().await;
    let operation = enqueue(&estate, &id, OperationKind::Reboot).await;
    let (old, _) = signed_on(&estate).await;
    assert_eq!(old.operation(), Some(operation.id));
    let (mut new, _) = signed_on(&estate).await;
    assert_eq!(new.operation(), None);
    old.close(Ended::Closed).await;
    assert_eq!(new.next_due(), clock(), "woken");
    new.tick().await.unwrap();
    assert_eq!(new.operation(), Some(operation.id));
}

#[tokio::test]
async fn an_operation_whose_wake_up_was_lost_is_found_by_looking_again() {
    let (estate, id) = with_terminal().await;
    let (mut host, _terminal) = signed_on(&estate).await;
    let operation = enqueue(&estate, &id, OperationKind::Reboot).await;
    assert!(due_in_s(&host) <= 60);
    pass(61);
    host.tick().await.unwrap();
    assert_eq!(host.operation(), Some(operation.id));
}

#[tokio::test]
async fn work_that_was_cancelled_in_hand_makes_room_for_the_next_at_once() {
    let (estate, id) = with_terminal().await;
    let first = enqueue(&estate, &id, OperationKind::Reboot).await;
    let (mut host, _terminal) = signed_on(&estate).await;
    assert_eq!(host.operation(), Some(first.id));
    estate.app.store.transition(first.id, OperationState::Cancelled, None, clock()).await.unwrap();
    let second = enqueue(&estate, &id, OperationKind::Reboot).await;
    estate.app.wake.terminal(&id);
    host.tick().await.unwrap();
    assert_eq!(host.operation(), Some(second.id));
}

/// A report of these parameters.
fn reporting(parameters: std::collections::BTreeMap<&str, &str>) -> Report {
    Report {
        model: "SIM-8".into(),
        hardware_revision: "A1".into(),
        version: "1.0.0".into(),
        security_counter: 1,
        slot: "A".into(),
        boot_count: 1,
        health: tms_proto::report::Health::default(),
        credentials: [("99".to_owned(), 1)].into(),
        parameters: parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..Report::default()
    }
}

#[tokio::test]
async fn a_change_of_parameters_that_expired_on_its_way_is_sent_again() {
    let (estate, id) = with_terminal().await;
    let set = [("retries".to_owned(), "7".to_owned())].into();
    service::set_parameters(&estate.app, &id, &set, &[]).await.unwrap();
    pass(8 * 24 * 3600);
    assert_eq!(estate.app.store.expire_operations(clock()).await.unwrap(), 1);
    // The terminal's report does not mention the parameter: it has never heard of it.
    let (mut host, mut terminal) = signed_on(&estate).await;
    terminal.report(&reporting([("timeout_s", "30")].into()), clock()).unwrap();
    let events = exchange(&mut host, &mut terminal).await;
    let pushed = events.iter().any(|event| matches!(event, TerminalEvent::ParameterPush { .. }));
    assert!(pushed, "{events:?}");
}

#[tokio::test]
async fn a_report_without_a_parameter_is_no_proof_that_it_arrived() {
    let (estate, id) = with_terminal().await;
    let (mut host, mut terminal) = signed_on(&estate).await;
    let set = [("retries".to_owned(), "7".to_owned())].into();
    let (_, change) = service::set_parameters(&estate.app, &id, &set, &[]).await.unwrap();
    host.tick().await.unwrap();
    // The terminal asks for them and the answer is lost; its report was under way already.
    terminal.request_parameters(clock()).unwrap();
    let request = terminal.poll_transmit().unwrap();
    host.frame(&request).await.unwrap();
    while host.poll_transmit().is_some() {}
    terminal.report(&reporting([("timeout_s", "30")].into()), clock()).unwrap();
    host.frame(&terminal.poll_transmit().unwrap()).await.unwrap();
    let stored = estate.app.store.operation(change.id).await.unwrap().unwrap();
    assert!(stored.is_open(), "{:?}", stored.state);
}

#[tokio::test]
async fn parameters_that_a_terminal_has_lost_are_sent_again() {
    let (estate, id) = with_terminal().await;
    let set = [("retries".to_owned(), "7".to_owned())].into();
    service::set_parameters(&estate.app, &id, &set, &[]).await.unwrap();
    let (mut host, mut terminal) = signed_on(&estate).await;
    exchange(&mut host, &mut terminal).await;
    assert_eq!(estate.app.store.open_operations_count().await.unwrap(), 0);
    terminal.report(&reporting([("retries", "7")].into()), clock()).unwrap();
    exchange(&mut host, &mut terminal).await;
    // As after going back to the state of delivery.
    terminal.report(&reporting([("timeout_s", "30")].into()), clock()).unwrap();
    let events = exchange(&mut host, &mut terminal).await;
    let pushed = events.iter().any(|event| matches!(event, TerminalEvent::ParameterPush { .. }));
    assert!(pushed, "{events:?}");
}

#[tokio::test]
async fn a_terminal_that_takes_parameters_and_keeps_its_own_is_not_sent_them_for_ever() {
    let (estate, id) = with_terminal().await;
    let set = [("timeout_s".to_owned(), "45".to_owned())].into();
    service::set_parameters(&estate.app, &id, &set, &[]).await.unwrap();
    let (mut host, mut terminal) = signed_on(&estate).await;
    let report = reporting([("timeout_s", "30")].into());
    // Each taken push is followed by a report, as from a terminal whose values changed.
    let mut events = Vec::new();
    terminal.report(&report, clock()).unwrap();
    for _ in 0..50 {
        events.extend(exchange(&mut host, &mut terminal).await);
        for event in std::mem::take(&mut events) {
            if let TerminalEvent::ParameterPush { request, .. } = event {
                terminal.answer(request, None, clock()).unwrap();
                events.extend(exchange(&mut host, &mut terminal).await);
                terminal.report(&report, clock()).unwrap();
            }
        }
    }
    let made = estate.app.store.operations(&id, None, 100).await.unwrap();
    assert!(made.len() <= 3, "{} operations", made.len());
}
