//! When an operation is offered, how often, and what is remembered of it.

use std::collections::BTreeSet;

use tms_core::{Outcome as Attempted, RetryPolicy, Terms, Trigger};
use tms_proto::task::{Command, Outcome, TaskResult};
use tms_store::Store;

use super::embedded::{Server, ready, signed_on, take_task};
use super::*;
use crate::dispatch::DueWork;

fn queued(server: &Server, terms: Terms) -> OperationId {
    let ticket = server.app.ticket(server.now());
    let (id, terminal, expires_at) = (ticket.id, server.id.clone(), ticket.expires_at);
    let new = NewOperation { id, terminal, kind: OperationKind::SelfTest, expires_at, terms };
    ready(server.store.enqueue(new, server.now())).unwrap();
    id
}

fn retried(max_attempts: u32, retryable: impl IntoIterator<Item = Attempted>) -> Terms {
    let retryable = retryable.into_iter().collect::<BTreeSet<_>>();
    let retry = RetryPolicy { max_attempts, shortest_s: 100, longest_s: 100, retryable };
    Terms { retry, ..Terms::default() }
}

fn outcomes(server: &Server, id: OperationId) -> Vec<Option<Attempted>> {
    ready(server.store.attempts(id)).unwrap().into_iter().map(|attempt| attempt.outcome).collect()
}

/// Lets time pass and the session do what is due; answers what the terminal is told.
fn pass(
    server: &Server,
    host: &mut Session,
    terminal: &mut TerminalSession,
    seconds: i64,
) -> Vec<TerminalEvent> {
    server.pass(seconds);
    // So that the line does not end for want of a message.
    terminal.echo(server.now()).unwrap();
    let mut events = server.exchange(host, terminal);
    ready(host.tick()).unwrap();
    events.extend(server.exchange(host, terminal));
    events.retain(|event| matches!(event, TerminalEvent::Command { .. }));
    events
}

#[test]
fn silence_is_followed_by_another_attempt_after_its_wait_and_at_last_by_failure() {
    let server = Server::speaking("iso87", None);
    let id = queued(&server, retried(3, [Attempted::Silent]));
    let (mut host, mut terminal, mut events) = signed_on(&server);
    events.retain(|event| matches!(event, TerminalEvent::Command { .. }));
    for attempt in 1..=3 {
        assert_eq!(events.len(), 1, "attempt {attempt}");
        assert!(pass(&server, &mut host, &mut terminal, 61).is_empty());
        if attempt < 3 {
            assert_eq!(server.operation(id).state, OperationState::Queued);
            assert!(pass(&server, &mut host, &mut terminal, 38).is_empty(), "too early");
            events = pass(&server, &mut host, &mut terminal, 62);
        }
    }
    let ended = server.operation(id);
    assert_eq!((ended.state, ended.attempts), (OperationState::Failed, 3));
    assert_eq!(ended.detail.as_deref(), Some("the terminal did not answer in time, 3 times"));
    assert_eq!(outcomes(&server, id), [Some(Attempted::Silent); 3]);
}

#[test]
fn an_operation_that_waits_for_its_next_attempt_does_not_hold_up_the_others() {
    let server = Server::speaking("iso87", None);
    let first = queued(&server, retried(3, [Attempted::Silent]));
    let second = queued(&server, Terms::default());
    let (mut host, mut terminal, _) = signed_on(&server);
    assert_eq!(host.operation(), Some(first));
    pass(&server, &mut host, &mut terminal, 61);
    assert_eq!(host.operation(), Some(second));
}

#[test]
fn what_a_terminal_has_failed_at_it_tries_again_as_another_step() {
    let server = Server::speaking("iso87", None);
    let id = queued(&server, retried(3, [Attempted::Failed]));
    let (mut host, mut terminal, events) = signed_on(&server);
    let first = take_task(events, &mut terminal, server.now());
    assert_eq!((first.step, &first.command), (1, &Command::SelfTest));
    let failed = TaskResult::new(first.operation, first.step, Outcome::INTERNAL);
    // Its acknowledgement was lost, so that it comes again: that is no second failure.
    for _ in 0..2 {
        terminal.send_result(&failed, server.now()).unwrap();
        server.exchange(&mut host, &mut terminal);
        assert_eq!(server.operation(id).state, OperationState::Queued);
    }
    assert_eq!(outcomes(&server, id), [Some(Attempted::Failed)]);
    let events = pass(&server, &mut host, &mut terminal, 101);
    let second = take_task(events, &mut terminal, server.now());
    assert_eq!((second.operation, second.step), (first.operation, 2));
    // And again, while the second is in hand.
    terminal.send_result(&failed, server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert!(server.operation(id).is_open());
    let done = TaskResult::new(second.operation, second.step, Outcome::DONE);
    terminal.send_result(&done, server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert_eq!(server.operation(id).state, OperationState::Done);
    assert_eq!(outcomes(&server, id), [Some(Attempted::Failed), Some(Attempted::Done)]);
}

#[test]
fn a_failure_that_no_policy_names_is_the_end_and_a_busy_terminal_is_asked_again() {
    let server = Server::speaking("iso87", None);
    let failing = queued(&server, Terms::default());
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    terminal.send_result(&TaskResult::new(task.operation, 1, Outcome::INTERNAL), server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert_eq!(server.operation(failing).state, OperationState::Failed);
    assert_eq!(outcomes(&server, failing), [Some(Attempted::Failed)]);

    for (refusal, outcome, state) in [
        (Refusal::Busy, Attempted::Busy, OperationState::Queued),
        (Refusal::NotSupported, Attempted::Refused, OperationState::Failed),
    ] {
        let id = queued(&server, Terms::default());
        server.app.wake.terminal(&server.id);
        ready(host.tick()).unwrap();
        for event in server.exchange(&mut host, &mut terminal) {
            if let TerminalEvent::Command { request, .. } = event {
                terminal.answer(request, Some(refusal), server.now()).unwrap();
            }
        }
        server.exchange(&mut host, &mut terminal);
        assert_eq!(server.operation(id).state, state, "{refusal}");
        assert_eq!(outcomes(&server, id), [Some(outcome)], "{refusal}");
    }
}

#[test]
fn a_task_that_was_taken_has_longer_than_one_that_was_not_answered() {
    let server = Server::speaking("iso87", None);
    let id = queued(&server, Terms::default());
    let (mut host, mut terminal, events) = signed_on(&server);
    take_task(events, &mut terminal, server.now());
    server.exchange(&mut host, &mut terminal);
    assert_eq!(server.operation(id).state, OperationState::Accepted);
    for _ in 0..4 {
        pass(&server, &mut host, &mut terminal, 61);
    }
    assert_eq!(server.operation(id).state, OperationState::Accepted);
    pass(&server, &mut host, &mut terminal, 61);
    assert_eq!(server.operation(id).state, OperationState::Queued);
    assert_eq!(outcomes(&server, id), [Some(Attempted::Silent)]);
}

#[test]
fn breaks_of_the_connection_do_not_count_unless_the_policy_says_that_they_end_it() {
    let server = Server::speaking("iso87", None);
    let id = queued(&server, retried(2, [Attempted::Silent, Attempted::Broken]));
    for _ in 0..5 {
        let (host, _, _) = signed_on(&server);
        assert_eq!(server.operation(id).state, OperationState::Sent);
        ready(host.close(Ended::Closed));
    }
    assert_eq!(outcomes(&server, id), [Some(Attempted::Broken); 5]);
    let (mut host, mut terminal, _) = signed_on(&server);
    pass(&server, &mut host, &mut terminal, 61);
    assert_eq!(server.operation(id).state, OperationState::Queued, "one silence of two");
    ready(host.close(Ended::Closed));

    let server = Server::speaking("iso87", None);
    let once = queued(&server, retried(5, [Attempted::Silent]));
    let (host, _, _) = signed_on(&server);
    ready(host.close(Ended::Closed));
    assert_eq!(server.operation(once).state, OperationState::Failed);
}

#[test]
fn what_a_terminal_has_begun_goes_on_after_its_window_has_closed() {
    let server = Server::speaking("iso87", None);
    // 1_800_000_000 is a Friday, 16:00 in Shanghai.
    let window = Some("daily 15:00-16:05".parse().unwrap());
    let id = queued(&server, Terms { window, ..Terms::default() });
    let (mut host, mut terminal, events) = signed_on(&server);
    take_task(events, &mut terminal, server.now());
    server.exchange(&mut host, &mut terminal);
    ready(host.close(Ended::Closed));
    server.pass(3_600);
    let other = queued(&server, Terms { window, ..Terms::default() });
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    assert_eq!(task.operation, *id.as_uuid());
    terminal.send_result(&TaskResult::new(task.operation, 1, Outcome::DONE), server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert_eq!(server.operation(id).state, OperationState::Done);
    assert_eq!((host.operation(), server.operation(other).state), (None, OperationState::Queued));
}

#[test]
fn a_connected_terminal_is_woken_when_its_work_becomes_due() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let mut due = DueWork::from(server.now());
    let not_before = Some(server.now() + SignedDuration::from_secs(20));
    let id = queued(&server, Terms { not_before, ..Terms::default() });
    let mut look = |host: &mut Session, terminal: &mut TerminalSession| {
        ready(due.wake(&server.app.wake, server.store.as_ref(), server.now())).unwrap();
        ready(host.tick()).unwrap();
        server.exchange(host, terminal);
        host.operation()
    };
    server.pass(19);
    assert_eq!(look(&mut host, &mut terminal), None);
    server.pass(1);
    assert_eq!(look(&mut host, &mut terminal), Some(id));
}

#[test]
fn what_waits_for_a_settlement_is_told_in_the_answer_to_its_end() {
    let server = Server::speaking("unionpay", None);
    let id = queued(&server, Terms { trigger: Trigger::AfterSettlement, ..Terms::default() });
    let (mut host, mut terminal, _) = signed_on(&server);
    assert_eq!(host.operation(), None);
    server.pass(5);
    let mut settle = settlement::closed(2);
    while let Some(message) = settle.next_message() {
        assert_eq!(host.operation(), None, "before the end");
        settlement::step(&server, &mut host, &mut terminal, &mut settle, &message);
    }
    assert_eq!(host.operation(), Some(id));
}
