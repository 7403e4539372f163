//! The power goes at every single write of the storage.

use std::sync::Arc;

use tms_proto::task::{Command, Outcome};

use super::world::{End, World, draft, image};
use crate::{
    agent::Exit,
    device::{Device, Next},
};

/// Drives one terminal through whatever it does until it rests, as `tms-terminal run` would.
pub(super) fn live(world: &mut World) -> Result<(), Exit> {
    loop {
        match world.connect(usize::MAX) {
            End::Quiet => return Ok(()),
            End::Broken => unreachable!(),
            End::Exit(Exit::Storage(error)) => return Err(Exit::Storage(error)),
            End::Exit(exit) => match world.device.ended(exit, world.now) {
                Next::Boot { at } => {
                    world.now = at;
                    world.device.boot(at)?;
                }
                Next::Connect { at } => world.now = at,
                Next::End => panic!("{:?}", world.device.link()),
            },
        }
    }
}

/// Runs `prepare` and lets the power go at the first write after it, then at the second … until it
/// rests without one failing. After each crash the terminal is taken up again and comes to rest.
pub(super) fn at_every_write(profile: &str, prepare: impl Fn(&mut World), check: impl Fn(&mut World)) {
    for writes in 0.. {
        let mut world = World::with(profile, "[behaviour]\nlog_lines = 0");
        prepare(&mut world);
        world.storage.fail_after(writes);
        let lived = live(&mut world);
        world.storage.mend();
        if lived.is_ok() {
            assert!(writes > 0, "it saved something");
            return;
        }
        world.restart();
        live(&mut world).unwrap();
        check(&mut world);
    }
}

#[test]
fn a_restart_happens_once_and_is_told_wherever_the_power_goes() {
    for profile in ["unionpay", "iso87"] {
        at_every_write(
            profile,
            |world| drop(world.task(1, 1, Command::Reboot)),
            |world| {
                assert!(world.host.results.iter().all(|result| result.outcome == Outcome::DONE));
                assert!(!world.host.results.is_empty());
                let restarts = world.effects.of_tasks();
                assert!(restarts.len() <= 1, "{restarts:?}");
            },
        );
    }
}

#[test]
fn an_image_is_whole_when_it_runs_wherever_the_power_goes() {
    at_every_write(
        "iso87",
        |world| drop(world.order(1, draft("1.1.0"), &image(), None)),
        |world| {
            let running = world.device.running().unwrap();
            assert_eq!(running.version, "1.1.0");
            assert_eq!(world.device.measure(running.slot).unwrap(), (running.size_bytes, running.sha256));
        },
    );
}

#[test]
fn a_storage_that_fails_restarts_the_terminal_from_what_it_kept() {
    let mut world = World::new("iso87");
    world.task(1, 1, Command::Unknown(200));
    world.storage.fail_after(0);
    let End::Exit(exit @ Exit::Storage(_)) = world.connect(usize::MAX) else { panic!() };
    let Next::Boot { at } = world.device.ended(exit, world.now) else { panic!() };
    assert!(at > world.now);
    let error = world.device.boot(at).unwrap_err();
    let Next::Boot { at } = world.device.ended(Exit::Storage(error), at) else { panic!() };
    world.storage.mend();
    world.now = at;
    world.device.boot(at).unwrap();
    assert_eq!(world.device.state(|state| state.boot_count), 2, "the boot that failed was forgotten");
    world.settle();
    assert_eq!(world.outcome().0, Outcome::UNKNOWN_COMMAND);
}

#[test]
fn a_terminal_whose_state_is_damaged_says_so_and_does_not_start() {
    use crate::storage::Storage;
    let world = World::new("iso87");
    world.storage.replace("state.json", b"{").unwrap();
    let storage = Arc::clone(&world.storage) as Arc<dyn Storage>;
    let (scenario, materials) = world.given();
    let error = Device::open(scenario, materials, storage, world.now).unwrap_err();
    assert!(error.to_string().contains("state.json is damaged"), "{error}");
}
