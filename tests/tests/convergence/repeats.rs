//! What a terminal says twice counts once.

use testkit::{Estate, Function, Speaks, TerminalEvent, Wire};
use tms_core::OperationState;
use tms_proto::task::{Command, Outcome, Task, TaskResult};
use tms_server::service;

use crate::done;

/// The task that waits for a UnionPay terminal.
async fn task(wire: &mut Wire) -> Option<Task> {
    match wire.ask(|session, now| session.poll_task(now)).await {
        TerminalEvent::Task(task) => task,
        other => panic!("{other:?}"),
    }
}

async fn tell(wire: &mut Wire, result: &TaskResult) {
    let answer = wire.ask(|session, now| session.send_result(result, now)).await;
    assert!(matches!(answer, TerminalEvent::ResultTaken { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_result_told_twice_is_acknowledged_twice_and_counted_once() {
    let estate = Estate::start().await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let told = task(&mut wire).await.unwrap();
    assert_eq!(told.command, Command::Reboot);
    let result = TaskResult::new(told.operation, told.step, Outcome::DONE);
    tell(&mut wire, &result).await;
    tell(&mut wire, &result).await;
    // The acknowledgement may be lost with the connection, and the result told on the next one.
    drop(wire);
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    tell(&mut wire, &result).await;
    done(&estate, operation.id).await;
    assert_eq!(estate.counters().operations_done.get(), 1);
    assert_eq!(task(&mut wire).await, None);
}

#[tokio::test]
async fn a_result_that_contradicts_the_one_before_changes_nothing() {
    let estate = Estate::start().await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let told = task(&mut wire).await.unwrap();
    tell(&mut wire, &TaskResult::new(told.operation, told.step, Outcome::DONE)).await;
    tell(&mut wire, &TaskResult::new(told.operation, told.step, Outcome::INTERNAL)).await;
    let ended = done(&estate, operation.id).await;
    assert_eq!(ended.detail, None);
    assert_eq!(estate.counters().operations_failed.get(), 0);
}

#[tokio::test]
async fn a_terminal_that_connects_anew_takes_its_work_over_from_the_dead_connection() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
        // The network is gone under this connection, and nobody has told the host.
        let mut dead = estate.wire(&terminal).await;
        dead.sign_on().await;
        if speaks == Speaks::UnionPay {
            task(&mut dead).await.unwrap();
        }
        let handle = estate.run_signed_on(terminal.scenario()).await;
        done(&estate, operation.id).await;
        assert_eq!(handle.snapshot().boot_count, 2);
        dead.is_closed_by_the_host().await;
    }
}

#[tokio::test]
async fn a_repeat_of_a_message_is_answered_like_the_message() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let (repeat, answer) = match wire.profile().rule(Function::Echo).unwrap().mti.to_string().as_str() {
            "0820" => ("0821", "0830"),
            _ => ("0801", "0810"),
        };
        let frame = match speaks {
            Speaks::UnionPay => {
                wire.message(repeat, &[(41, "10000001"), (42, "102310060510002"), (60, "00000001301")])
            }
            Speaks::Iso87 => {
                wire.message(repeat, &[(7, "1122010203"), (11, "000007"), (41, "10000001"), (70, "301")])
            }
        };
        for _ in 0..2 {
            let reply = wire.exchange(&frame).await;
            assert_eq!((reply.mti.as_str(), reply.code()), (answer, "00"));
        }
    }
}

#[tokio::test]
async fn an_operation_that_a_terminal_refuses_ends_with_its_reason() {
    let estate = Estate::start().await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let told = task(&mut wire).await.unwrap();
    let refusal =
        TaskResult::new(told.operation, told.step, Outcome::WRONG_STATE).because("a sale is going on");
    tell(&mut wire, &refusal).await;
    let ended = estate.ended(operation.id).await;
    assert_eq!(ended.state, OperationState::Failed);
    let detail = ended.detail.unwrap();
    assert_eq!(detail, "not possible in the terminal's present state: a sale is going on");
    assert_eq!(estate.counters().operations_failed.get(), 1);
}
