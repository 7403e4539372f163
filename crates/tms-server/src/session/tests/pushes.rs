//! Parameters that are pushed: differences where the terminal has what the host last gave it, and
//! everything where it has not.

use std::collections::BTreeMap;

use tms_proto::parameters::{Action, Held, Push, RecordFile};

use testkit::MemoryStore;

use super::embedded::{Server, app, ready, signed_on};
use super::*;

fn set(server: &Server, name: &str, value: &str) -> Operation {
    let set = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    ready(service::set_parameters(&server.app, &server.id, &set, &[])).unwrap().1
}

/// Lets the terminal take every push among the events; answers what was done to it.
fn take(
    server: &Server,
    host: &mut Session,
    terminal: &mut TerminalSession,
    held: &mut Held,
    mut events: Vec<TerminalEvent>,
) -> Vec<Action> {
    let mut seen = Vec::new();
    while !events.is_empty() {
        for event in std::mem::take(&mut events) {
            if let TerminalEvent::ParameterPush { request, push } = event {
                let push: Push = push;
                seen.push(push.action);
                let (answer, _) = held.take(&push, 900);
                terminal.answer_push(request, &answer, server.now()).unwrap();
            }
        }
        events = server.exchange(host, terminal);
    }
    seen
}

#[test]
fn a_change_is_pushed_as_a_difference_and_everything_where_the_terminal_has_something_else() {
    let server = Server::speaking("iso87", None);
    let mut held = Held::new(RecordFile::Parameters, 0, BTreeMap::new());
    let first = set(&server, "timeout_s", "45");
    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(take(&server, &mut host, &mut terminal, &mut held, events), [Action::ReplaceAll]);
    assert_eq!(server.operation(first.id).state, OperationState::Done);

    let second = set(&server, "timeout_s", "50");
    ready(host.tick()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(take(&server, &mut host, &mut terminal, &mut held, events), [Action::Change]);
    assert_eq!(server.operation(second.id).state, OperationState::Done);
    assert_eq!((held.standing().revision, held.values()["timeout_s"].as_str()), (2, "50"));

    // The terminal has lost what it was given.
    let mut held = Held::new(RecordFile::Parameters, 0, BTreeMap::new());
    let third = set(&server, "retries", "2");
    ready(host.tick()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    let seen = take(&server, &mut host, &mut terminal, &mut held, events);
    assert_eq!(seen, [Action::Add, Action::ReplaceAll]);
    assert_eq!(server.operation(third.id).state, OperationState::Done);
    assert_eq!((held.standing().revision, held.values().len()), (3, 2));
}

#[test]
fn a_terminal_with_a_newer_revision_than_a_restored_backup_is_given_all_under_one_above_it() {
    let mut server = Server::speaking("iso87", None);
    let mut held = Held::new(RecordFile::Parameters, 0, BTreeMap::new());
    set(&server, "timeout_s", "45");
    let (host, mut terminal, events) = signed_on(&server);
    let mut host = host;
    take(&server, &mut host, &mut terminal, &mut held, events);
    let backup = server.store.snapshot();
    for value in ["50", "55", "60"] {
        set(&server, "timeout_s", value);
        ready(host.tick()).unwrap();
        let events = server.exchange(&mut host, &mut terminal);
        take(&server, &mut host, &mut terminal, &mut held, events);
    }
    assert_eq!(held.standing().revision, 4);
    ready(host.close(Ended::Closed));

    server.store = std::sync::Arc::new(MemoryStore::restore(backup));
    server.app = app(&server.store, &server.now_s, None);
    let change = set(&server, "retries", "2");
    let (mut host, mut terminal, events) = signed_on(&server);
    let seen = take(&server, &mut host, &mut terminal, &mut held, events);
    assert_eq!(seen.last(), Some(&Action::ReplaceAll));
    assert_eq!(server.operation(change.id).state, OperationState::Done);
    assert_eq!((held.standing().revision, held.values()["timeout_s"].as_str()), (5, "45"));
    // From there it goes on as ever.
    let next = set(&server, "timeout_s", "50");
    ready(host.tick()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(take(&server, &mut host, &mut terminal, &mut held, events), [Action::Change]);
    assert_eq!((server.operation(next.id).state, held.standing().revision), (OperationState::Done, 6));
}

#[test]
fn a_terminal_that_always_has_a_newer_revision_is_not_pushed_to_without_end() {
    let server = Server::speaking("iso87", None);
    let change = set(&server, "timeout_s", "45");
    let (mut host, mut terminal, mut events) = signed_on(&server);
    let mut pushes = 0;
    while !events.is_empty() {
        for event in std::mem::take(&mut events) {
            if let TerminalEvent::ParameterPush { request, push } = event {
                pushes += 1;
                assert!(pushes < 10);
                let mut held = Held::new(RecordFile::Parameters, push.revision + 1, BTreeMap::new());
                let (answer, _) = held.take(&push, 900);
                terminal.answer_push(request, &answer, server.now()).unwrap();
            }
        }
        events = server.exchange(&mut host, &mut terminal);
    }
    assert_eq!((pushes, server.operation(change.id).state), (2, OperationState::Failed));
}

#[test]
fn everything_is_pushed_where_the_reported_hash_is_another() {
    let server = Server::speaking("iso87", None);
    let mut held = Held::new(RecordFile::Parameters, 0, BTreeMap::new());
    set(&server, "timeout_s", "45");
    let (mut host, mut terminal, events) = signed_on(&server);
    take(&server, &mut host, &mut terminal, &mut held, events);
    // Somebody has set one at the terminal that nobody desires.
    let values =
        [("timeout_s", "45"), ("retries", "9")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    held.set(1, values.into());
    let mut report = reporting([("timeout_s", "45"), ("retries", "9")].into());
    report.details.parameters_revision = Some(1);
    report.details.parameters_sha256 = Some(held.standing().hash);
    terminal.report(&report, server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    set(&server, "timeout_s", "50");
    ready(host.tick()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(take(&server, &mut host, &mut terminal, &mut held, events), [Action::ReplaceAll]);
    assert!(!held.values().contains_key("retries"));
}
