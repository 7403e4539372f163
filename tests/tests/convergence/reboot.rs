//! A restart that arrives more than once happens once.

use testkit::{Estate, Proxy, Speaks};
use tms_server::service;

use crate::{done, reported};

#[tokio::test]
async fn a_restart_told_twice_for_a_broken_connection_happens_once() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let proxy = Proxy::to(estate.address(speaks)).await;
        let handle = estate.run_signed_on(terminal.scenario_at(proxy.address())).await;
        let mut told_again = 0;
        for round in 0..16_u64 {
            let before = handle.snapshot().boot_count;
            proxy.cut_after(1 + round * 45);
            let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
            let ended = done(&estate, operation.id).await;
            told_again += u32::from(ended.attempts > 1);
            reported(&estate, &terminal.id, "the report after the restart", |t| {
                t.reported.boot_count > Some(before)
            })
            .await;
            assert_eq!(handle.snapshot().boot_count, before + 1, "cut after {} bytes", 1 + round * 45);
        }
        assert!(proxy.cuts() >= 12, "{}", proxy.cuts());
        assert!(told_again > 0, "no operation was told twice, so this proves nothing");
        assert_eq!(estate.counters().operations_done.get(), 16);
    }
}

#[tokio::test]
async fn a_restart_whose_server_dies_meanwhile_happens_once() {
    for speaks in Speaks::ALL {
        let mut estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let handle = estate.run_signed_on(terminal.scenario()).await;
        for _ in 0..4 {
            let before = handle.snapshot().boot_count;
            let operation = service::reset(estate.app(), &terminal.id).await.unwrap();
            estate.kill().await;
            estate.start_again().await;
            done(&estate, operation.id).await;
            reported(&estate, &terminal.id, "the report after the restart", |t| {
                t.reported.boot_count > Some(before)
            })
            .await;
            assert_eq!(handle.snapshot().boot_count, before + 1);
        }
    }
}
