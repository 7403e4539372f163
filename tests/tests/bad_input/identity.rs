//! Peers with a good certificate that are not who they should be.

use testkit::{Certificate, Estate, Function, Refusal, Speaks, Terminal, TerminalEvent, Wire, until};
use tms_terminal::FailureKind;

use crate::assert_counted;

/// DE39 for a terminal that the host does not know.
fn invalid_terminal(speaks: Speaks) -> &'static str {
    match speaks {
        Speaks::UnionPay => "97",
        Speaks::Iso87 => "58",
    }
}

/// Asserts that every function is refused to a terminal on this connection.
async fn is_refused_everything(wire: &mut Wire, speaks: Speaks) {
    let code = invalid_terminal(speaks);
    let sign_on = wire.request(|session, now| session.sign_on(b"", now));
    assert_eq!(wire.exchange(&sign_on).await.code(), code, "sign-on");
    let echo = wire.request(|session, now| session.echo(now));
    assert_eq!(wire.exchange(&echo).await.code(), code, "echo");
    let poll = wire.request(|session, now| session.poll_task(now));
    assert_eq!(wire.exchange(&poll).await.code(), code, "task poll");
    if wire.profile().rule(Function::Parameters).is_some() {
        let parameters = wire.request(|session, now| session.request_parameters(now));
        assert_eq!(wire.exchange(&parameters).await.code(), code, "parameters");
    }
}

/// Asserts that a simulated terminal says so on its screen.
async fn is_told(estate: &Estate, terminal: &Terminal, address: std::net::SocketAddr) {
    let handle = estate.run(terminal.scenario_at(address));
    let failure = until("the terminal to complain", async || handle.snapshot().link.last_failure).await;
    assert_eq!(failure.kind, FailureKind::Refused);
    assert_eq!(
        failure.to_string(),
        format!(
            "the host refused the sign-on: terminal not registered (code {}); enrol this terminal at the host, \
             and check that [identity] tid is the one its certificate was issued for",
            invalid_terminal(terminal.speaks)
        )
    );
    handle.stop().await;
}

#[tokio::test]
async fn a_terminal_that_nobody_enrolled_is_refused_everything_and_counted_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        // Of the right authority and for the right name, and still not the one that was enrolled.
        let unknown = Certificate::issued_by(estate.site(), "10000001");
        let mut wire = estate.wire_with(&terminal, &unknown).await;
        let before = estate.counters().messages_refused.get();
        is_refused_everything(&mut wire, speaks).await;
        assert_counted!(estate, terminals_unknown, 1);
        assert!(estate.counters().messages_refused.get() >= before + 3);
        assert!(!estate.app().wake.is_connected(&terminal.id));

        terminal.show(&unknown);
        is_told(&estate, &terminal, estate.address(speaks)).await;
        assert_counted!(estate, terminals_unknown, 2);
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_terminal_enrolled_under_the_other_profile_is_refused_and_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    for (speaks, other) in [(Speaks::UnionPay, Speaks::Iso87), (Speaks::Iso87, Speaks::UnionPay)] {
        let mut bystander = estate.bystander(other).await;
        let unknown_before = estate.counters().terminals_unknown.get();
        let tid = format!("1000000{}", unknown_before + 1);
        let terminal = estate.enrol(&tid, speaks).await;
        let (site, address) = (estate.site(), estate.address(other));
        let certificate = terminal.certificate();
        let mut wire = Wire::connect(site, address, other, &tid, Some(&certificate)).await.unwrap();
        is_refused_everything(&mut wire, other).await;
        assert_counted!(estate, terminals_unknown, unknown_before + 1);
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_message_in_the_name_of_another_terminal_is_refused_and_counted_and_changes_nothing_of_it() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let (own, other) = (estate.enrol("10000001", speaks).await, estate.enrol("10000002", speaks).await);
        let mut wire = estate.wire(&own).await;
        wire.sign_on().await;
        let mut victim = estate.wire(&other).await;
        victim.sign_on().await;
        estate.app().contacts.flush(estate.app().store.as_ref()).await.unwrap();
        let before = estate.app().store.terminal(&other.id).await.unwrap().unwrap();

        let refused = estate.counters().messages_refused.get();
        wire.pretend_to_be(other.id.as_str());
        is_refused_everything(&mut wire, speaks).await;
        assert!(estate.counters().messages_refused.get() >= refused + 3);
        let after = estate.app().store.terminal(&other.id).await.unwrap().unwrap();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));

        // Under its own name it goes on, on the same connection.
        wire.pretend_to_be(own.id.as_str());
        let answer = wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        let answer = victim.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_result_of_another_terminals_operation_is_refused_and_changes_nothing() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let victim = estate.enrol("10000001", Speaks::UnionPay).await;
    let intruder = estate.enrol("10000002", Speaks::UnionPay).await;
    let operation = tms_server::service::reset(estate.app(), &victim.id).await.unwrap();
    let mut wire = estate.wire(&intruder).await;
    wire.sign_on().await;
    let result = tms_proto::task::TaskResult::new(*operation.id.as_uuid(), 1, tms_proto::task::Outcome::DONE);
    let answer = wire.ask(|session, now| session.send_result(&result, now)).await;
    assert!(
        matches!(&answer, TerminalEvent::Refused { refusal: Refusal::NotFound, code, .. } if code == "25"),
        "{answer:?}"
    );
    assert_counted!(estate, messages_refused, 1);
    let unchanged = estate.app().store.operation(operation.id).await.unwrap().unwrap();
    assert_eq!(unchanged, operation);
    bystander.is_undisturbed().await;
}
