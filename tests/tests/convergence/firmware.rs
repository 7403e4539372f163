//! Firmware, while servers die, lines break and power fails.

use testkit::{Estate, Release, Speaks, until};
use tms_core::{OperationKind, OperationState};
use tms_server::service;

use crate::{done, reported};

/// What a transfer of it takes long enough to be interrupted.
const IMAGE_BYTES: usize = 1_000_000;

/// How a server goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stop {
    Drained,
    Killed,
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_a_transfer_goes_on_with_it_when_it_is_back() {
    for speaks in Speaks::ALL {
        is_resumed_after(Stop::Killed, speaks).await;
    }
}

#[tokio::test]
async fn a_server_stopped_in_the_middle_of_a_transfer_goes_on_with_it_when_it_is_back() {
    for speaks in Speaks::ALL {
        is_resumed_after(Stop::Drained, speaks).await;
    }
}

async fn is_resumed_after(stop: Stop, speaks: Speaks) {
    let mut estate = Estate::start().await;
    let terminal = estate.enrol("10000001", speaks).await;
    let mut scenario = terminal.scenario();
    scenario.faults.delay_ms = 1;
    let handle = estate.run_signed_on(scenario).await;
    let firmware = estate.publish(&Release::new("2.0.0", IMAGE_BYTES)).await;
    let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
    until("half of the image to be sent", async || {
        (estate.counters().block_bytes.get() > IMAGE_BYTES as u64 / 2).then_some(())
    })
    .await;
    match stop {
        Stop::Drained => assert_eq!(estate.drain().await, 0, "no session had to be cut off"),
        Stop::Killed => estate.kill().await,
    }
    assert_eq!(handle.snapshot().firmware_version, "1.0.0", "it was interrupted");

    estate.start_again().await;
    let ended = done(&estate, operation.id).await;
    assert_eq!(ended.kind, OperationKind::InstallFirmware { firmware: firmware.id });
    reported(&estate, &terminal.id, "the new version", |t| {
        t.reported.firmware_version.as_deref() == Some("2.0.0")
    })
    .await;
    let now = handle.snapshot();
    assert_eq!((now.firmware_version.as_str(), now.install_phase), ("2.0.0", "settled"));
    assert_eq!(now.boot_count, 2, "one start with the old image, one with the new");
    assert!(now.link.resumed_transfers >= 1);
    assert!(estate.counters().transfers_resumed.get() >= 1);
    let again = estate.counters().block_bytes.get();
    assert!(again < IMAGE_BYTES as u64 * 3 / 4, "{again} bytes were sent after the restart");
    assert_eq!(estate.app().store.open_operations(&terminal.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_terminal_killed_in_the_middle_of_a_transfer_goes_on_where_it_was() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut scenario = terminal.scenario();
        scenario.faults.delay_ms = 1;
        let handle = estate.run_signed_on(scenario).await;
        let firmware = estate.publish(&Release::new("2.0.0", IMAGE_BYTES)).await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        until("half of the image to be sent", async || {
            (estate.counters().block_bytes.get() > IMAGE_BYTES as u64 / 2).then_some(())
        })
        .await;
        // Its process is gone without a word; what was saved is what there is.
        drop(handle);
        let handle = estate.run(terminal.scenario());
        done(&estate, operation.id).await;
        let now = handle.snapshot();
        assert_eq!((now.firmware_version.as_str(), now.boot_count), ("2.0.0", 3));
        assert_eq!(now.link.resumed_transfers, 1);
        let sent = estate.counters().block_bytes.get();
        assert!(sent < IMAGE_BYTES as u64 * 3 / 2, "{sent} bytes for an image of {IMAGE_BYTES}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_only_delays_a_transfer() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut scenario = terminal.scenario();
        scenario.faults.drop_after_bytes = Some(60_000);
        scenario.faults.drop_count = Some(5);
        let handle = estate.run_signed_on(scenario).await;
        let firmware = estate.publish(&Release::new("2.0.0", 400_000)).await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        done(&estate, operation.id).await;
        let now = handle.snapshot();
        assert_eq!((now.firmware_version.as_str(), now.boot_count), ("2.0.0", 2));
        assert_eq!(now.link.connections_lost, 5);
        let sent = estate.counters().block_bytes.get();
        // What was in flight when the line broke is sent again, on a busy machine also what came late: far less
        // than beginning anew five times. How little it is at best is measured on a virtual clock.
        assert!(sent < 3 * 400_000, "{sent}");
    }
}

#[tokio::test]
async fn a_power_cut_at_any_byte_of_the_flash_leaves_a_terminal_that_still_gets_there() {
    let size = 600_000;
    let estate = Estate::start().await;
    let firmware = estate.publish(&Release::new("2.0.0", size)).await;
    let mut runs = Vec::new();
    for (n, cut) in (0..).zip([0, 1, 4096, 262_144, 300_001, size as u64 - 1, size as u64]) {
        let speaks = Speaks::ALL[n % 2];
        let terminal = estate.enrol(&format!("1000000{n}"), speaks).await;
        let mut scenario = terminal.scenario();
        scenario.faults.power_cut_after_flash_bytes = Some(cut);
        let handle = estate.run_signed_on(scenario).await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        runs.push((cut, handle, operation));
    }
    for (cut, handle, operation) in runs {
        done(&estate, operation.id).await;
        let now = handle.snapshot();
        assert_eq!((now.firmware_version.as_str(), now.install_phase), ("2.0.0", "settled"), "cut {cut}");
        // The whole image fits before the last of these cuts.
        let cuts = u32::from(cut < size as u64);
        assert_eq!((now.link.power_cuts, now.boot_count), (cuts, 2 + cuts), "cut {cut}");
    }
}

#[tokio::test]
async fn an_image_that_finds_itself_unhealthy_falls_back_and_says_so() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut scenario = terminal.scenario();
        scenario.faults.unhealthy_version = Some("2.0.0".parse().unwrap());
        let handle = estate.run_signed_on(scenario).await;
        let firmware = estate.publish(&Release::new("2.0.0", 50_000)).await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        let ended = estate.ended(operation.id).await;
        assert_eq!(ended.state, OperationState::Failed);
        assert_eq!(
            ended.detail.as_deref(),
            Some("what was new did not work; the old one is in force: version 2.0.0 found itself unhealthy")
        );
        reported(&estate, &terminal.id, "the report of the old version after the trial", |t| {
            t.reported.firmware_version.as_deref() == Some("1.0.0") && t.reported.boot_count == Some(3)
        })
        .await;
        let now = handle.snapshot();
        assert_eq!((now.firmware_version.as_str(), now.install_phase), ("1.0.0", "settled"));
        // What failed for good is not begun again by itself.
        assert_eq!(estate.app().store.operations(&terminal.id, None, 10).await.unwrap().len(), 1);
        // And the terminal takes the next version as any other does.
        let firmware = estate.publish(&Release::new("2.0.1", 50_000)).await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        done(&estate, operation.id).await;
        assert_eq!(handle.snapshot().firmware_version, "2.0.1");
    }
}

#[tokio::test]
async fn a_newer_assignment_replaces_one_that_is_under_way() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut scenario = terminal.scenario();
        scenario.faults.delay_ms = 1;
        let handle = estate.run_signed_on(scenario).await;
        let first = estate.publish(&Release::new("2.0.0", IMAGE_BYTES)).await;
        let second = estate.publish(&Release::new("3.0.0", 50_000)).await;
        let replaced = service::assign_firmware(estate.app(), &terminal.id, &first.id).await.unwrap();
        until("the first transfer to be under way", async || {
            (estate.counters().block_bytes.get() > 100_000).then_some(())
        })
        .await;
        let operation = service::assign_firmware(estate.app(), &terminal.id, &second.id).await.unwrap();
        done(&estate, operation.id).await;
        let replaced = estate.ended(replaced.id).await;
        assert_eq!(replaced.state, OperationState::Cancelled, "{:?}", replaced.detail);
        let now = handle.snapshot();
        assert_eq!((now.firmware_version.as_str(), now.boot_count), ("3.0.0", 2));
    }
}
