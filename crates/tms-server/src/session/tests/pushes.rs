//! Parameters that are pushed: differences where the terminal has what the host last gave it, and
//! everything where it has not.

use std::collections::BTreeMap;

use tms_proto::parameters::{Action, Held, Push, RecordFile};

use super::embedded::{Server, ready, signed_on};
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
