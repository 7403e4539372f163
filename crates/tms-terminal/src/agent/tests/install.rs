//! Firmware through the agent: every refusal by its own name, and faults anywhere.

use proptest::prelude::*;
use tms_firmware::{Draft, SigningKey, Slot, install::Phase};
use tms_proto::{
    Refusal,
    task::{Command, Outcome, Task},
};

use super::world::{End, World, draft, image};
use crate::{agent::Exit, storage::Storage};

fn version(world: &World) -> String {
    world.machine().version()
}

#[test]
fn a_signed_newer_image_is_installed_booted_and_confirmed() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.order(1, draft("1.1.0"), &image(), None);
        world.settle();
        assert_eq!(world.outcome(), (Outcome::DONE, ""), "{profile}");
        assert_eq!(version(&world), "1.1.0");
        let machine = world.machine();
        assert_eq!((machine.state.slots.active(), machine.state.slots.phase()), (Slot::B, &Phase::Settled));
        assert_eq!(machine.flash.measure(Slot::B).unwrap().1, tms_crypto::sha256(&image()));
        assert_eq!(machine.state.boot_count, 2);
    }
}

#[test]
fn what_becomes_of_an_image_on_trial_says_nothing_about_one_that_was_ordered_meanwhile() {
    let mut world = World::new("iso87");
    world.order(1, draft("1.1.0"), &image(), None);
    world.connect(usize::MAX);
    world.device.boot(world.now).unwrap();
    let command = Command::InstallFirmware { file: "other".into(), size_bytes: 9, sha256: [9; 32] };
    let other = Task { operation: uuid::Uuid::from_u128(99), step: 1, command };
    let now = world.now;
    let mut machine = world.machine();
    assert!(matches!(machine.state.slots.phase(), Phase::Trial { .. }));
    machine.state.journal.admit(&other);
    machine.begin(&other, now).unwrap();
    machine.settle_trial(now).unwrap();
    assert_eq!(machine.state.slots.phase(), &Phase::Settled);
    assert!(machine.state.install.is_some(), "the other one is still to be installed");
    assert!(machine.state.journal.unacknowledged().all(|result| result.operation != other.operation));
}

#[test]
fn every_unfit_image_is_refused_by_its_own_name_and_the_old_one_runs() {
    let stranger = SigningKey::generate().unwrap();
    let small = "[hardware]\nflash_bytes = 1000";
    let other = |change: fn(&mut Draft)| {
        let mut draft = draft("1.1.0");
        change(&mut draft);
        draft
    };
    let cases = [
        ("", draft("1.1.0"), Some(&stranger), Outcome::SIGNATURE_INVALID, "trusted signatures"),
        ("", draft("0.9.0"), None, Outcome::ROLLBACK, "version 0.9.0 is not newer than 1.0.0"),
        ("", other(|d| d.security_counter = 0), None, Outcome::ROLLBACK, "security counter 0 is below 1"),
        (
            "",
            other(|d| d.models = vec!["SIM-9".into()]),
            None,
            Outcome::WRONG_MODEL,
            "this terminal is a SIM-8",
        ),
        (
            "",
            other(|d| d.hardware_revisions = vec!["B2".into()]),
            None,
            Outcome::WRONG_MODEL,
            "this terminal has A1",
        ),
        (small, draft("1.1.0"), None, Outcome::NO_SPACE, "a slot holds 500"),
    ];
    for (extra, draft, signer, outcome, reason) in cases {
        let mut world = World::with("unionpay", extra);
        world.order(1, draft, &image(), signer);
        world.settle();
        let (found, text) = world.outcome();
        assert_eq!(found, outcome, "{text}");
        assert!(text.contains(reason), "{text}");
        assert_eq!((version(&world).as_str(), world.machine().state.boot_count), ("1.0.0", 1));
    }
}

#[test]
fn an_image_with_other_bytes_than_were_signed_never_boots() {
    let mut world = World::new("iso87");
    world.order(1, draft("1.1.0"), &image(), None);
    let file = world.host.files.iter_mut().find(|(name, _)| !name.ends_with(".manifest")).unwrap().1;
    file[50_000] ^= 1;
    world.settle();
    assert_eq!(world.outcome().0, Outcome::HASH_MISMATCH);
    let machine = world.machine();
    assert_eq!((machine.state.slots.phase(), machine.state.boot_count), (&Phase::Settled, 1));
    assert!(machine.flash.measure(Slot::B).is_err(), "what was written is erased");
}

#[test]
fn a_truncated_image_on_the_host_is_refused() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    world.host.files.iter_mut().find(|(name, _)| !name.ends_with(".manifest")).unwrap().1.truncate(50_000);
    world.settle();
    let (outcome, reason) = world.outcome();
    assert_eq!(outcome, Outcome::HASH_MISMATCH);
    assert!(reason.contains("the file has 50000 bytes on the host, 100003 were announced"), "{reason}");
}

#[test]
fn a_manifest_of_another_image_does_not_vouch_for_this_one() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    let other = world.order(2, draft("1.2.0"), b"another image", None);
    world.host.tasks.pop_back();
    let tms_proto::task::Command::InstallFirmware { file, .. } = other.command else { panic!() };
    let manifest = world.host.files[&format!("{file}.manifest")].clone();
    for (name, bytes) in &mut world.host.files {
        if name.ends_with(".manifest") {
            bytes.clone_from(&manifest);
        }
    }
    world.settle();
    assert_eq!(world.outcome().0, Outcome::HASH_MISMATCH);
}

#[test]
fn a_missing_file_fails_the_operation_with_the_hosts_reason() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    world.host.files.clear();
    world.settle();
    assert_eq!(world.outcome().0, Outcome::FETCH_FAILED);
    assert!(world.outcome().1.contains("not found"));
}

#[test]
fn the_image_that_runs_is_not_installed_again_and_that_is_a_success() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    world.settle();
    world.order(2, draft("1.1.0"), &image(), None);
    world.settle();
    let last = world.host.results.last().unwrap();
    assert_eq!((last.outcome, last.reason.as_str()), (Outcome::DONE, "version 1.1.0 runs already"));
    assert_eq!(world.machine().state.boot_count, 2);
}

#[test]
fn a_broken_line_resumes_where_the_flash_ends() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    assert!(matches!(world.connect(40), End::Broken));
    let durable = world.machine().state.install.as_ref().unwrap().durable_bytes;
    assert!(durable > 0 && durable < 100_003);
    world.host.reads.clear();
    world.settle();
    assert_eq!(world.host.reads[0], durable, "nothing is fetched twice");
    assert_eq!((world.outcome().0, version(&world).as_str()), (Outcome::DONE, "1.1.0"));
    assert_eq!(world.status.link().resumed_transfers, 1);
}

#[test]
fn a_host_that_has_not_taken_the_operation_up_again_only_delays_a_resume() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.order(1, draft("1.1.0"), &image(), None);
        assert!(matches!(world.connect(40), End::Broken));
        let task = world.host.tasks.pop_front().unwrap();
        world.host.read_refusal = Some(Refusal::NotPermitted);
        assert!(matches!(world.connect(usize::MAX), End::Quiet));
        assert_eq!(world.host.results.len(), 0);
        world.host.read_refusal = None;
        world.host.tasks.push_back(task);
        world.settle();
        assert_eq!((world.outcome().0, version(&world).as_str()), (Outcome::DONE, "1.1.0"));
    }
}

#[test]
fn a_request_that_was_spoiled_on_its_way_is_made_again() {
    let cases = [
        (Refusal::FormatError, 5),
        (Refusal::InvalidTerminal, 5),
        (Refusal::Busy, 5),
        (Refusal::OutOfRange, 3),
        (Refusal::NotPermitted, 3),
    ];
    for (refusal, times) in cases {
        let mut world = World::new("unionpay");
        world.order(1, draft("1.1.0"), &image(), None);
        world.host.read_refusals = vec![refusal; times];
        world.settle();
        assert_eq!((world.outcome().0, version(&world).as_str()), (Outcome::DONE, "1.1.0"), "{refusal}");
    }
}

#[test]
fn an_offset_that_the_host_refuses_again_and_again_ends_the_installation() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    world.host.read_refusal = Some(Refusal::OutOfRange);
    world.settle();
    assert_eq!(world.outcome().0, Outcome::FETCH_FAILED);
    assert!(world.outcome().1.contains("out of range"));
}

#[test]
fn a_power_cut_in_the_middle_of_flash_resumes_and_never_boots_half_an_image() {
    let mut world = World::with("unionpay", "[faults]\npower_cut_after_flash_bytes = 60_001");
    world.order(1, draft("1.1.0"), &image(), None);
    assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::PowerCut)));
    world.power_cycle();
    assert_eq!(version(&world), "1.0.0");
    world.settle();
    assert_eq!((world.outcome().0, version(&world).as_str()), (Outcome::DONE, "1.1.0"));
    assert_eq!(world.machine().flash.measure(Slot::B).unwrap().1, tms_crypto::sha256(&image()));
}

#[test]
fn an_image_that_finds_itself_unhealthy_gives_way_to_the_old_one() {
    let mut world = World::with("unionpay", "[faults]\nunhealthy_version = \"1.1.0\"");
    world.order(1, draft("1.1.0"), &image(), None);
    world.settle();
    assert_eq!(world.outcome().0, Outcome::FELL_BACK);
    assert_eq!((version(&world).as_str(), world.machine().state.boot_count), ("1.0.0", 3));
}

#[test]
fn an_image_whose_trial_never_reaches_the_host_gives_way_after_three_boots() {
    let mut world = World::new("unionpay");
    world.order(1, draft("1.1.0"), &image(), None);
    assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::Reboot)));
    for _ in 0..3 {
        world.boot();
        assert_eq!(version(&world), "1.1.0");
    }
    world.boot();
    assert_eq!(version(&world), "1.0.0");
    world.settle();
    assert_eq!(world.outcome().0, Outcome::FELL_BACK);
}

#[test]
fn a_newer_order_replaces_one_that_is_going_on_and_its_late_blocks_disturb_nothing() {
    let mut world = World::new("iso87");
    world.order(1, draft("1.1.0"), &image(), None);
    assert!(matches!(world.connect(40), End::Broken));
    world.host.tasks.clear();
    // Pushed together with the answer to the sign-on, when the old transfer has just been resumed.
    world.order(2, draft("1.2.0"), b"the newer image", None);
    world.settle();
    let outcomes: Vec<_> = world.host.results.iter().map(|r| (r.operation.as_u128(), r.outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::REPLACED), (2, Outcome::DONE)]);
    assert_eq!(version(&world), "1.2.0");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The line breaks and the power goes at any moment, in either profile: the image is installed in
    /// the end, its result is one, and at no boot did anything but a whole image run.
    #[test]
    fn an_installation_survives_any_breaks_and_power_cuts(
        push in any::<bool>(),
        faults in prop::collection::vec((1_usize..80, any::<bool>()), 0..12),
    ) {
        let mut world = World::new(if push { "iso87" } else { "unionpay" });
        world.order(1, draft("1.1.0"), &image(), None);
        for (frames, power) in faults {
            match world.connect(frames) {
                End::Exit(Exit::Reboot) => world.boot(),
                End::Broken if power => world.power_cycle(),
                End::Broken | End::Quiet => {}
                other => prop_assert!(false, "{:?}", other),
            }
            let machine = world.machine();
            let running = machine.state.slots.running().unwrap();
            let slot = machine.state.slots.active();
            prop_assert!(slot == Slot::A || machine.flash.measure(slot).unwrap().1 == running.sha256);
        }
        world.settle();
        let done = world.host.results.iter().all(|r| matches!(r.outcome, Outcome::DONE | Outcome::FELL_BACK));
        prop_assert!(done, "{:?}", world.host.results);
        // Three power cuts during trial are a fall-back by the rules; everything else ends with the new image.
        let expected = if world.host.results.iter().any(|r| r.outcome == Outcome::FELL_BACK) { "1.0.0" } else { "1.1.0" };
        prop_assert_eq!(version(&world), expected);
    }
}

#[test]
fn a_slot_that_lost_bytes_or_a_lost_manifest_costs_the_transfer_and_not_the_installation() {
    let losses: [fn(&World); 2] = [
        |world| world.storage.replace("slot-b.img", b"less").unwrap(),
        |world| world.storage.remove("manifest.json").unwrap(),
    ];
    for lose in losses {
        let mut world = World::new("unionpay");
        world.order(1, draft("1.1.0"), &image(), None);
        assert!(matches!(world.connect(40), End::Broken));
        assert!(world.machine().state.install.as_ref().unwrap().durable_bytes > 4);
        lose(&world);
        world.settle();
        assert_eq!((world.outcome(), version(&world).as_str()), ((Outcome::DONE, ""), "1.1.0"));
    }
}
