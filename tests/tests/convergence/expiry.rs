//! Operations that nobody carries out end by themselves, and say why.

use testkit::{Estate, Speaks, TerminalEvent, until};
use tms_core::OperationState;
use tms_proto::task::Command;
use tms_server::service;

#[tokio::test]
async fn an_operation_whose_time_is_over_is_not_carried_out_any_more() {
    let mut estate = Estate::with(|config| config.limits.operation_lifetime_s = 1).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
    until("its time to be over", async || (jiff::Timestamp::now() > operation.expires_at).then_some(()))
        .await;
    let handle = estate.run_signed_on(terminal.scenario()).await;
    assert_eq!(handle.snapshot().boot_count, 1);
    // A server that starts looks for what expired meanwhile.
    estate.drain().await;
    estate.start_again().await;
    assert_eq!(estate.ended(operation.id).await.state, OperationState::Expired);
    until("the terminal to be back", async || estate.app().wake.is_signed_on(&terminal.id).then_some(()))
        .await;
    assert_eq!(handle.snapshot().boot_count, 1);
}

#[tokio::test]
async fn a_terminal_that_does_not_answer_a_command_is_told_again_and_then_it_has_failed() {
    let estate = Estate::with(|config| {
        config.limits.operation_timeout_s = 1;
        config.limits.operation_attempts = 2;
        config.limits.operation_retry_s = 0;
    })
    .await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
    for _ in 0..2 {
        match wire.listen().await {
            TerminalEvent::Command { task, .. } => {
                assert_eq!((task.operation, &task.command), (*operation.id.as_uuid(), &Command::Reboot));
            }
            other => panic!("{other:?}"),
        }
    }
    let ended = estate.ended(operation.id).await;
    assert_eq!(ended.state, OperationState::Failed);
    assert_eq!(ended.detail.as_deref(), Some("the terminal did not answer in time, 2 times"));
    assert_eq!(estate.counters().operations_failed.get(), 1);
    // That is no reason to end the session.
    let answer = wire.ask(|session, now| session.echo(now)).await;
    assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
}
