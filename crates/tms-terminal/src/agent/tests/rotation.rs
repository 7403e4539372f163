//! Credential rotation through the agent, with breaks and power cuts between and inside the steps.

use proptest::prelude::*;
use tms_crypto::{random_bytes, seal, verifier::Verifier};
use tms_proto::{
    rotation::{self, HostPhase, HostRotation},
    task::Outcome,
};
use uuid::Uuid;

use super::world::{End, TID, World};

const OLD: &str = "73920418";
const NEW: &str = "19283746";

struct Rotation {
    host: HostRotation,
    verifier: Verifier,
    sealed: Vec<u8>,
    challenge: [u8; 16],
}

impl Rotation {
    fn new(world: &World) -> Self {
        let operation = Uuid::from_u128(9);
        let verifier = Verifier::derive(NEW.as_bytes(), random_bytes(), 10);
        let context = rotation::context(operation, TID, "99", 2);
        let sealed =
            seal::seal_to(&world.sealing_public, rotation::SEAL_INFO, &context, &verifier.to_bytes())
                .unwrap();
        let host = HostRotation::new(operation, TID, "99", 1, 2, HostPhase::Preparing);
        Self { host, verifier, sealed, challenge: [0; 16] }
    }

    /// Offers the next step on a connection of so many frames, and takes what came back.
    fn step(&mut self, world: &mut World, frames: usize) {
        self.challenge = random_bytes();
        world.host.tasks = self.host.task(&self.sealed, self.challenge).into_iter().collect();
        world.connect(frames);
        for result in std::mem::take(&mut world.host.results) {
            // Old results are out of step and ignored; a proof for another challenge cannot occur here.
            let _ = self.host.on_result(&result, &self.verifier, &self.challenge);
        }
    }
}

fn opens(world: &World, secret: &str) -> bool {
    let now = world.now;
    world.machine().try_login("99", secret, now).unwrap().is_accepted()
}

#[test]
fn after_a_rotation_the_new_secret_opens_and_the_old_one_does_not() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        let mut rotation = Rotation::new(&world);
        assert!(opens(&world, OLD) && !opens(&world, NEW));
        while rotation.host.phase() != HostPhase::Confirmed {
            rotation.step(&mut world, usize::MAX);
        }
        assert!(opens(&world, NEW) && !opens(&world, OLD));
        world.settle();
        assert_eq!(world.host.reports.last().unwrap().credentials["99"], 2);
    }
}

#[test]
fn a_verifier_sealed_to_another_terminal_changes_nothing() {
    let mut world = World::new("unionpay");
    let mut rotation = Rotation::new(&world);
    rotation.sealed =
        seal::seal_to(seal::generate().unwrap().public_bytes(), rotation::SEAL_INFO, b"", b"x").unwrap();
    world.host.tasks = rotation.host.task(&rotation.sealed, [0; 16]).into_iter().collect();
    assert!(matches!(world.connect(usize::MAX), End::Quiet));
    assert_eq!(world.outcome().0, Outcome::UNSEAL_FAILED);
    assert!(opens(&world, OLD));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nobody_is_locked_out_by_breaks_and_power_cuts(push in any::<bool>(), faults in prop::collection::vec((1_usize..30, any::<bool>()), 0..15)) {
        let mut world = World::new(if push { "iso87" } else { "unionpay" });
        let mut rotation = Rotation::new(&world);
        for (frames, power) in faults {
            rotation.step(&mut world, frames);
            if power {
                world.power_cycle();
            }
            // Until the host knows the proof it keeps the old secret; one of its secrets opens.
            prop_assert!(opens(&world, NEW) || (rotation.host.phase() != HostPhase::Confirmed && opens(&world, OLD)));
        }
        for _ in 0..8 {
            rotation.step(&mut world, usize::MAX);
        }
        prop_assert_eq!(rotation.host.phase(), HostPhase::Confirmed);
        prop_assert!(opens(&world, NEW) && !opens(&world, OLD));
    }
}
