//! Batches: the host asks for the details, counts each once, and says whether they make up the totals.

use tms_proto::settlement::{CardClass, CardDetail, Detail, Message, Pan, Settle, Side};

use super::embedded::{Server, ready, signed_on};
use super::*;

fn sale(trace: u32, amount: u64) -> Detail {
    let pan = Pan::new("6217001234567890").unwrap();
    Detail::Card(CardDetail { class: CardClass::Domestic, trace, pan, amount })
}

/// A batch of so many sales, closed.
pub(super) fn closed(sales: u32) -> Settle {
    let mut settle = Settle::new(12, 156);
    for trace in 1..=sales {
        let _ = settle.record(sale(trace, 1_000), Side::Debit).unwrap();
    }
    let _ = settle.close(0).unwrap();
    settle
}

/// Sends the next message of a batch and takes the answer.
pub(super) fn step(
    server: &Server,
    host: &mut Session,
    terminal: &mut TerminalSession,
    settle: &mut Settle,
    message: &Message,
) {
    terminal.settle(12, message, server.now()).unwrap();
    for event in server.exchange(host, terminal) {
        match event {
            TerminalEvent::TotalsAnswered { totals, .. } => drop(settle.on_totals(12, &totals).unwrap()),
            TerminalEvent::BatchTaken { message, .. } => drop(settle.on_taken(12, &message)),
            TerminalEvent::Refused { request, refusal, .. } => panic!("{request:?}: {refusal}"),
            _ => {}
        }
    }
}

fn ledger(server: &Server) -> tms_proto::settlement::BatchLedger {
    let text =
        server.store.look(|contents| contents.documents[&(server.id.clone(), "batch".to_owned())].clone());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_batch_is_settled_with_its_details_though_every_message_comes_twice_and_the_server_restarts() {
    for profile in ["unionpay", "iso87"] {
        let server = Server::speaking(profile, None);
        let mut settle = closed(20);
        let (mut host, mut terminal, _) = signed_on(&server);
        while let Some(message) = settle.next_message() {
            step(&server, &mut host, &mut terminal, &mut settle.clone(), &message);
            // The answer was lost, and so was the line.
            drop(host);
            (host, terminal, _) = signed_on(&server);
            step(&server, &mut host, &mut terminal, &mut settle, &message);
        }
        let ledger = ledger(&server);
        let closed = ledger.closed().unwrap();
        assert_eq!((closed.batch, closed.announced, closed.received), (12, 20, 20), "{profile}");
        assert!(closed.is_complete(), "{profile}: {closed:?}");
        assert_eq!(settle.batch(), 13, "{profile}");
        ready(host.close(Ended::Closed));
    }
}

#[test]
fn no_card_number_is_kept() {
    let server = Server::speaking("unionpay", None);
    let mut settle = closed(3);
    let (mut host, mut terminal, _) = signed_on(&server);
    while let Some(message) = settle.next_message() {
        step(&server, &mut host, &mut terminal, &mut settle, &message);
        let kept = server.store.look(|contents| format!("{contents:?}"));
        assert!(!kept.contains("6217001234567890"), "{kept}");
    }
}

#[test]
fn a_store_that_fails_is_not_told_as_taken() {
    let server = Server::speaking("unionpay", None);
    let settle = closed(3);
    let (mut host, mut terminal, _) = signed_on(&server);
    let message = settle.next_message().unwrap();
    server.store.on_call(|call| match call {
        "put_document" => testkit::store::CallFault::Refused,
        _ => testkit::store::CallFault::None,
    });
    terminal.settle(12, &message, server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    // A refused 0510 has no totals, and in UnionPay's table no DE39 either: no answer that counts.
    let answered = |event: &TerminalEvent| matches!(event, TerminalEvent::TotalsAnswered { .. });
    assert!(!events.is_empty() && !events.iter().any(answered), "{events:?}");
}
