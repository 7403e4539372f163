//! Commands of operators on their way to the terminal, what it finds, taking them back, and alarms.

use serde_json::json;
use tms_proto::{
    alarm::{Alarm, AlarmKind, Severity},
    file::BlockRequest,
    plan::PlanSource,
    task::{Command, Outcome, TaskResult},
};
use tms_store::Store;

use super::embedded::{Server, ready, signed_on, take_task};
use super::*;

fn command(server: &Server, kind: OperationKind) -> Operation {
    ready(service::command(&server.app, &server.id, kind)).unwrap()
}

fn finish(server: &Server, host: &mut Session, terminal: &mut TerminalSession, result: &TaskResult) {
    terminal.send_result(result, server.now()).unwrap();
    let events = server.exchange(host, terminal);
    let taken = |event: &TerminalEvent| matches!(event, TerminalEvent::ResultTaken { .. });
    assert!(events.iter().any(taken), "{events:?}");
}

#[test]
fn every_command_reaches_the_terminal_as_it_was_asked_for() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let text = "设备停用".to_owned();
    let addresses = vec!["tms.example:9000".to_owned()];
    for (kind, wanted) in [
        (OperationKind::RestartApplication, Command::RestartApplication),
        (OperationKind::FactoryReset, Command::FactoryReset),
        (OperationKind::Lock { message: text.clone() }, Command::Lock { message: text.clone() }),
        (OperationKind::Unlock, Command::Unlock),
        (OperationKind::ClearReversal, Command::ClearReversal),
        (OperationKind::ClearBatch, Command::ClearBatch),
        (OperationKind::PrintTestSlip { text: None }, Command::PrintTestSlip { text: None }),
        (OperationKind::Diagnose, Command::Diagnose),
        (
            OperationKind::CollectJournal { from_batch: Some(2), max_bytes: 5 },
            Command::CollectJournal { from_batch: Some(2), max_bytes: 5 },
        ),
        (
            OperationKind::ShowMessage { text: text.clone(), until: None, seconds: 9 },
            Command::ShowMessage { text, until: None, seconds: 9 },
        ),
        (
            OperationKind::ChangeTmsAddress { addresses: addresses.clone(), attempts: 2 },
            Command::ChangeTmsAddress { addresses, attempts: 2 },
        ),
    ] {
        let operation = command(&server, kind);
        ready(host.tick()).unwrap();
        let events = server.exchange(&mut host, &mut terminal);
        let task = take_task(events, &mut terminal, server.now());
        assert_eq!((task.operation, &task.command), (*operation.id.as_uuid(), &wanted));
        assert!(task.command == wanted);
        finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::DONE));
        assert_eq!(server.operation(operation.id).state, OperationState::Done);
    }
}

#[test]
fn a_clock_is_set_to_the_time_when_the_command_is_sent_not_when_it_was_asked_for() {
    let server = Server::speaking("iso87", None);
    command(&server, OperationKind::SyncClock { utc_offset_s: 28_800, force: true });
    server.pass(7_200);
    let (_, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    assert!(task.command == Command::SyncClock { time: server.now(), utc_offset_s: 28_800, force: true });
}

#[test]
fn what_a_self_test_found_is_kept_whether_it_went_well_or_not() {
    let server = Server::speaking("iso87", None);
    let operation = command(&server, OperationKind::SelfTest);
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    let found = [("printer".to_owned(), "no paper".to_owned())].into();
    let result = TaskResult::new(task.operation, 1, Outcome::PART_FAULTY).with_values(found);
    finish(&server, &mut host, &mut terminal, &result);
    let stored = server.operation(operation.id);
    assert_eq!((stored.state, stored.result["printer"].as_str()), (OperationState::Failed, "no paper"));
    assert_eq!(stored.detail.as_deref(), Some("a part of the terminal does not work"));
}

#[test]
fn a_running_operation_that_is_cancelled_is_given_up_at_the_terminal_and_stays_cancelled() {
    let server = Server::speaking("iso87", None);
    let operation = command(&server, OperationKind::SelfTest);
    let waits = command(&server, OperationKind::Unlock);
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::ACCEPTED));
    let (cancelled, told) = ready(service::cancel(&server.app, operation.id)).unwrap();
    assert_eq!((cancelled.state, told.is_some()), (OperationState::Cancelled, true));
    // Its result was on its way already: it is taken, and changes nothing.
    finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::DONE));
    // The line breaks before the terminal hears of it; what cancels goes before what waits longer.
    ready(host.close(Ended::Closed));
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    assert!(task.command == Command::CancelOperation { target: *operation.id.as_uuid() });
    finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::DONE));
    assert_eq!(server.operation(operation.id).state, OperationState::Cancelled);
    assert_eq!(server.operation(told.unwrap().id).state, OperationState::Done);
    assert_eq!(host.operation(), Some(waits.id), "what waited goes on");
}

#[test]
fn an_operation_that_never_left_the_server_is_cancelled_without_telling_anybody() {
    let server = Server::speaking("iso87", None);
    let operation = command(&server, OperationKind::Unlock);
    let (_, told) = ready(service::cancel(&server.app, operation.id)).unwrap();
    assert!(told.is_none());
    let (_, _, events) = signed_on(&server);
    assert!(!events.iter().any(|event| matches!(event, TerminalEvent::Command { .. })), "{events:?}");
    let again = ready(service::cancel(&server.app, operation.id)).unwrap();
    assert_eq!(again.0.state, OperationState::Cancelled);
}

#[test]
fn a_cancelled_rotation_leaves_the_old_secret_and_makes_room_for_another() {
    let server = Server::speaking("iso87", None);
    let role = tms_core::Role::administrator();
    let rotation = ready(service::rotate_credential(&server.app, &server.id, &role)).unwrap();
    let (cancelled, told) = ready(service::cancel(&server.app, rotation.id)).unwrap();
    assert_eq!((cancelled.state, told), (OperationState::Cancelled, None));
    let credential = ready(server.store.credential(&server.id, &role)).unwrap().unwrap();
    assert!(credential.pending.is_none());
    assert!(ready(service::rotate_credential(&server.app, &server.id, &role)).is_ok());
}

#[test]
fn a_plan_reaches_the_terminal_and_the_end_of_each_action_is_kept_with_it() {
    let server = Server::speaking("iso87", None);
    let plan = json!({"version": 7, "actions": [
        {"id": 1, "command": "self_test"},
        {"id": 2, "command": {"show_message": {"text": "a", "until": null, "seconds": 0}},
         "trigger": "after_settlement", "on_error": "stop"}]});
    let operation = command(&server, OperationKind::InstallPlan { plan });
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    let Command::InstallPlan(PlanSource::Inline(plan)) = task.command else { panic!("another command") };
    assert_eq!((plan.version, plan.actions.len()), (7, 2));
    assert_eq!(plan.id, service::plan_id(operation.id));
    assert_ne!(plan.id, *operation.id.as_uuid());
    finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::DONE));
    finish(&server, &mut host, &mut terminal, &TaskResult::new(plan.id, 2, Outcome::WINDOW_MISSED));
    let stored = server.operation(operation.id);
    assert_eq!(stored.state, OperationState::Done);
    assert_eq!(stored.result["action 2"], "its window closed before it could begin");
    // An id that is no plan's is nobody's.
    terminal.send_result(&TaskResult::new(uuid::Uuid::nil(), 1, Outcome::DONE), server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert!(matches!(&events[..], [TerminalEvent::Refused { refusal: Refusal::NotFound, .. }]), "{events:?}");
}

#[test]
fn a_plan_is_withdrawn_by_a_newer_one_without_actions() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let far = 1 << 60;
    let plan = json!({"version": far, "actions": [{"id": 1, "command": "reboot", "trigger": "by_hand"}]});
    command(&server, OperationKind::InstallPlan { plan: plan.clone() });
    ready(host.tick()).unwrap();
    let task = take_task(server.exchange(&mut host, &mut terminal), &mut terminal, server.now());
    finish(&server, &mut host, &mut terminal, &TaskResult::new(task.operation, 1, Outcome::DONE));

    // One that has not left the server goes nowhere.
    let waiting = command(&server, OperationKind::InstallPlan { plan });
    ready(service::withdraw_plan(&server.app, &server.id)).unwrap();
    assert_eq!(server.operation(waiting.id).state, OperationState::Cancelled);
    ready(host.tick()).unwrap();
    let task = take_task(server.exchange(&mut host, &mut terminal), &mut terminal, server.now());
    let Command::InstallPlan(PlanSource::Inline(plan)) = task.command else { panic!("another command") };
    assert_eq!((plan.version, plan.actions.len()), (far + 1, 0));

    let last = json!({"version": u64::MAX, "actions": []});
    command(&server, OperationKind::InstallPlan { plan: last });
    let refused = ready(service::withdraw_plan(&server.app, &server.id)).unwrap_err().to_string();
    assert!(refused.contains("no plan can be newer"), "{refused}");
}

#[test]
fn a_plan_that_is_too_large_for_a_command_is_fetched_as_a_file() {
    let server = Server::speaking("iso87", None);
    let show = |id: u32| {
        let text = "x".repeat(200);
        json!({"id": id, "command": {"show_message": {"text": text, "until": null, "seconds": 0}}})
    };
    let plan = json!({"actions": (1..=20).map(show).collect::<Vec<_>>()});
    command(&server, OperationKind::InstallPlan { plan });
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    let Command::InstallPlan(source) = task.command else { panic!("another command") };
    let PlanSource::File { file, size_bytes, .. } = &source else { panic!("inline") };
    let mut bytes = Vec::new();
    while bytes.len() < usize::try_from(*size_bytes).unwrap() {
        let offset = u64::try_from(bytes.len()).unwrap();
        let length = 256;
        terminal.read_block(BlockRequest { file: file.clone(), offset, length }, server.now()).unwrap();
        let events = server.exchange(&mut host, &mut terminal);
        let Some(TerminalEvent::Block(block)) = events.into_iter().next() else { panic!("no block") };
        bytes.extend_from_slice(&block.data);
    }
    assert_eq!(source.open(&bytes).unwrap().actions.len(), 20);
}

#[test]
fn an_alarm_is_durable_before_it_is_answered_and_kept_once_however_often_it_comes() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let alarm = Alarm {
        sequence: 5,
        kind: AlarmKind::TAMPER,
        severity: Severity::CRITICAL,
        time: server.now(),
        text: "机壳被打开".to_owned(),
    };
    server.store.fail_next(1);
    terminal.alarm(&alarm, server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert!(matches!(&events[..], [TerminalEvent::Refused { .. }]), "{events:?}");
    for _ in 0..2 {
        terminal.alarm(&alarm, server.now()).unwrap();
        let events = server.exchange(&mut host, &mut terminal);
        assert!(matches!(&events[..], [TerminalEvent::AlarmTaken { sequence: 5 }]), "{events:?}");
    }
    let kept = ready(server.store.alarms(Some(&server.id), None, 9)).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].kind.as_str(), kept[0].severity, kept[0].text.as_str()), ("tamper", 3, "机壳被打开"));
    assert_eq!(server.app.counters.alarms.get(), 1);
}

#[test]
fn new_keys_are_pushed_where_the_host_may_speak_first() {
    let server = Server::speaking("iso87", None);
    let operation = command(&server, OperationKind::ExchangeKeys);
    let (_host, _, events) = signed_on(&server);
    let replaced = |event: &TerminalEvent| matches!(event, TerminalEvent::KeysReplaced { .. });
    assert!(events.iter().any(replaced), "{events:?}");
    assert_eq!(server.operation(operation.id).state, OperationState::Done);
}

/// Takes what the host sends until new keys are pushed; the terminal answers, and the answer is lost.
fn answer_to_keys_is_lost(server: &Server, host: &mut Session, terminal: &mut TerminalSession) {
    ready(host.tick()).unwrap();
    let push = host.poll_transmit().unwrap();
    terminal.receive(&push, server.now()).unwrap();
    assert!(terminal.poll_transmit().is_some(), "the answer");
    let event = terminal.poll_event();
    assert!(matches!(event, Some(TerminalEvent::KeysReplaced { .. })), "{event:?}");
}

#[test]
fn keys_that_were_sent_before_an_exchange_was_ordered_do_not_end_it() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let first = command(&server, OperationKind::ExchangeKeys);
    answer_to_keys_is_lost(&server, &mut host, &mut terminal);
    ready(service::cancel(&server.app, first.id)).unwrap();
    let second = command(&server, OperationKind::ExchangeKeys);
    ready(host.tick()).unwrap();
    // What is still open is sent once more, and after it keys that the terminal has never had.
    let events = server.exchange(&mut host, &mut terminal);
    let replaced = events.iter().filter(|event| matches!(event, TerminalEvent::KeysReplaced { .. })).count();
    assert_eq!(replaced, 1, "{events:?}");
    assert_eq!(server.operation(second.id).state, OperationState::Done);
}

#[test]
fn keys_that_a_terminal_asked_for_and_never_got_do_not_end_an_exchange() {
    let server = Server::speaking("iso87", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let operation = command(&server, OperationKind::ExchangeKeys);
    ready(host.tick()).unwrap();
    assert!(host.poll_transmit().is_some(), "lost on its way");
    terminal.request_keys(server.now()).unwrap();
    ready(host.frame(&terminal.poll_transmit().unwrap())).unwrap();
    assert!(host.poll_transmit().is_some(), "the answer, lost too");
    assert!(server.operation(operation.id).is_open());
    let events = server.exchange(&mut host, &mut terminal);
    let replaced = events.iter().filter(|event| matches!(event, TerminalEvent::KeysReplaced { .. })).count();
    assert_eq!(replaced, 1, "{events:?}");
    assert_eq!(server.operation(operation.id).state, OperationState::Done);
}

#[test]
fn new_keys_come_with_the_next_sign_on_where_the_terminal_must_ask() {
    let server = Server::speaking("unionpay", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let operation = command(&server, OperationKind::ExchangeKeys);
    ready(host.tick()).unwrap();
    terminal.echo(server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    let told =
        |event: &TerminalEvent| matches!(event, TerminalEvent::WorkPending(tms_proto::PendingWork::SignOn));
    assert!(events.iter().any(told), "{events:?}");
    terminal.sign_on(b"", server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert!(events.iter().any(|e| matches!(e, TerminalEvent::SignedOn { keys: Some(_), .. })), "{events:?}");
    assert_eq!(server.operation(operation.id).state, OperationState::Done);
}

/// Sends echoes, and signs on whenever the host asks for it. Answers how often it did.
fn live(server: &Server, host: &mut Session, terminal: &mut TerminalSession, echoes: u32) -> u32 {
    let mut sign_ons = 0;
    for _ in 0..echoes {
        server.pass(20);
        terminal.echo(server.now()).unwrap();
        let mut events = server.exchange(host, terminal);
        let told = |event: &TerminalEvent| {
            matches!(event, TerminalEvent::WorkPending(tms_proto::PendingWork::SignOn))
        };
        while events.iter().any(told) {
            sign_ons += 1;
            terminal.sign_on(b"", server.now()).unwrap();
            events = server.exchange(host, terminal);
        }
        ready(host.tick()).unwrap();
    }
    sign_ons
}

#[test]
fn key_exchanges_one_after_the_other_do_not_hold_up_what_waits_behind_them() {
    let server = Server::speaking("unionpay", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let exchanges = [(); 2].map(|()| command(&server, OperationKind::ExchangeKeys));
    let behind = command(&server, OperationKind::Reboot);
    ready(host.tick()).unwrap();
    assert_eq!(live(&server, &mut host, &mut terminal, 10), 2);
    for operation in exchanges {
        assert_eq!(server.operation(operation.id).state, OperationState::Done);
    }
    assert_eq!(host.operation(), Some(behind.id));
}

#[test]
fn an_exchange_of_keys_that_took_place_is_done_once_the_store_takes_it_and_is_not_repeated() {
    let server = Server::speaking("unionpay", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let exchange = command(&server, OperationKind::ExchangeKeys);
    let behind = command(&server, OperationKind::Reboot);
    ready(host.tick()).unwrap();
    server.store.on_call(|call| match call {
        "transition" => testkit::store::CallFault::Refused,
        _ => testkit::store::CallFault::None,
    });
    assert_eq!(live(&server, &mut host, &mut terminal, 9), 1);
    server.store.heal();
    assert_eq!(live(&server, &mut host, &mut terminal, 9), 0);
    assert_eq!(server.operation(exchange.id).state, OperationState::Done);
    assert_eq!(host.operation(), Some(behind.id));
}

#[test]
fn an_exchange_of_keys_that_a_sign_on_cannot_bring_fails_and_says_why() {
    let mut server = Server::speaking("unionpay", None);
    let mut contents = server.store.snapshot();
    contents.terminals.get_mut(&server.id).unwrap().tmk_sealed.clear();
    server.store = Arc::new(testkit::MemoryStore::restore(contents));
    server.app = embedded::app(&server.store, &server.now_s, None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let exchange = command(&server, OperationKind::ExchangeKeys);
    let behind = command(&server, OperationKind::Reboot);
    ready(host.tick()).unwrap();
    terminal.sign_on(b"", server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    let stored = server.operation(exchange.id);
    assert_eq!(stored.state, OperationState::Failed);
    assert_eq!(stored.detail.as_deref(), Some("the terminal has no master key"));
    assert_eq!(host.operation(), Some(behind.id));
}

#[test]
fn a_terminal_that_does_not_sign_on_when_told_to_does_not_hold_up_its_queue() {
    let server = Server::speaking("unionpay", None);
    let (mut host, mut terminal, _) = signed_on(&server);
    let exchange = command(&server, OperationKind::ExchangeKeys);
    let behind = command(&server, OperationKind::Reboot);
    ready(host.tick()).unwrap();
    for _ in 0..40 {
        server.pass(20);
        terminal.echo(server.now()).unwrap();
        server.exchange(&mut host, &mut terminal);
        ready(host.tick()).unwrap();
    }
    let waits = server.operation(exchange.id);
    assert_eq!(waits.state, OperationState::Queued);
    assert_eq!(waits.detail.as_deref(), Some("the terminal did not answer in time"));
    assert_eq!(host.operation(), Some(behind.id));
}
