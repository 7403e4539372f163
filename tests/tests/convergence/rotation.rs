//! Administrator credentials, rotated over lines that break and servers that die: at every moment
//! somebody can open the terminal, and in the end exactly one generation does.

use testkit::{Estate, Proxy, Speaks, Terminal, until};
use tms_core::Operation;
use tms_server::service;
use tms_terminal::{Handle, Login};

use crate::done;

const ROLE: &str = "99";

async fn rotate(estate: &Estate, terminal: &Terminal) -> Operation {
    service::rotate_credential(estate.app(), &terminal.id, &ROLE.parse().unwrap()).await.unwrap()
}

/// Asserts that estate and terminal agree on one generation, that its secret opens the terminal, and
/// that the one before does not.
async fn only_the_newest_opens(
    estate: &Estate,
    terminal: &Terminal,
    handle: &Handle,
    before: &str,
) -> String {
    let (secret, generation) = estate.secret(&terminal.id, ROLE).await;
    assert_ne!(secret, before);
    let credential = estate.app().store.credential(&terminal.id, &ROLE.parse().unwrap()).await.unwrap();
    assert!(credential.unwrap().pending.is_none());
    assert!(matches!(handle.try_login(ROLE, before).unwrap(), Login::Refused { .. }), "the old one opens");
    assert_eq!(handle.try_login(ROLE, &secret).unwrap(), Login::Accepted { generation });
    assert_eq!(handle.snapshot().credentials[ROLE], generation);
    secret
}

#[tokio::test]
async fn a_connection_cut_at_any_byte_of_a_rotation_locks_nobody_out() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let proxy = Proxy::to(estate.address(speaks)).await;
        let handle = estate.run_signed_on(terminal.scenario_at(proxy.address())).await;
        let mut secret = terminal.delivered_secret(ROLE).to_owned();

        // How many bytes a rotation has when nothing breaks.
        let began = proxy.passed();
        let operation = rotate(&estate, &terminal).await;
        done(&estate, operation.id).await;
        secret = only_the_newest_opens(&estate, &terminal, &handle, &secret).await;
        let length = proxy.passed() - began;

        let cuts = 24;
        let mut told_again = 0;
        for round in 0..cuts {
            proxy.cut_after(1 + length * round / cuts);
            let operation = rotate(&estate, &terminal).await;
            // At no moment does neither the old nor the new secret open the terminal.
            let ended = done(&estate, operation.id).await;
            told_again += u32::from(ended.attempts > 1);
            secret = only_the_newest_opens(&estate, &terminal, &handle, &secret).await;
        }
        assert!(proxy.cuts() >= cuts * 3 / 4, "{} cuts", proxy.cuts());
        assert!(told_again >= 4, "only {told_again} rotations were interrupted");
        assert_eq!(estate.counters().credentials_rotated.get(), cuts + 1);
    }
}

#[tokio::test]
async fn a_server_killed_at_any_moment_of_a_rotation_locks_nobody_out() {
    for speaks in Speaks::ALL {
        let mut estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let proxy = Proxy::to(estate.address(speaks)).await;
        let mut scenario = terminal.scenario_at(proxy.address());
        scenario.faults.delay_ms = 5;
        let handle = estate.run_signed_on(scenario).await;
        let mut secret = terminal.delivered_secret(ROLE).to_owned();
        for bytes in [50, 400, 800, 1200, 1600] {
            let began = proxy.passed();
            let operation = rotate(&estate, &terminal).await;
            until("so much of the rotation to be over", async || {
                let over = proxy.passed() - began >= bytes;
                (over || estate.app().store.operation(operation.id).await.unwrap().unwrap().state.is_final())
                    .then_some(())
            })
            .await;
            estate.kill().await;
            estate.start_again().await;
            done(&estate, operation.id).await;
            secret = only_the_newest_opens(&estate, &terminal, &handle, &secret).await;
        }
    }
}

#[tokio::test]
async fn the_old_secret_opens_the_terminal_until_the_new_one_is_proved() {
    let estate = Estate::start().await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let handle = estate.run_signed_on(terminal.scenario()).await;
    let old = terminal.delivered_secret(ROLE).to_owned();
    handle.stop().await;
    // Nobody is there: the rotation waits, and the estate still shows the old secret as the one in force.
    let operation = rotate(&estate, &terminal).await;
    assert_eq!(estate.secret(&terminal.id, ROLE).await, (old.clone(), 1));
    let handle = estate.run(terminal.scenario());
    done(&estate, operation.id).await;
    only_the_newest_opens(&estate, &terminal, &handle, &old).await;
}
