//! Steps of a rotation that are old, repeated or out of order, in every profile.

use std::sync::Arc;

use tms_crypto::verifier::Verifier;
use tms_proto::{
    Profile,
    rotation::{CredentialSlots, HostPhase, HostRotation, RotationError},
    task::{Command, Outcome, Task, TaskResult},
};
use uuid::Uuid;

use super::{Link, TID, profiles};

const ROLE: &str = "99";
const CHALLENGE: [u8; 16] = [4; 16];

/// The secret of a generation.
fn secret(generation: u32) -> Vec<u8> {
    format!("2468{generation:04}").into_bytes()
}

fn verifier(generation: u32) -> Verifier {
    Verifier::derive(&secret(generation), [7; 16], 1)
}

/// A terminal whose commands come from a host that may lie.
struct Terminal {
    link: Link,
    slots: CredentialSlots,
}

impl Terminal {
    fn new(profile: &Arc<Profile>) -> Self {
        let mut slots = CredentialSlots::default();
        slots.install(ROLE, 1, &verifier(1));
        Self { link: Link::new(profile), slots }
    }

    /// Gives a task over the wire, carries it out and tells the result over the wire.
    fn carry_out(&mut self, task: &Task) -> TaskResult {
        let task = self.link.give(task);
        // The sealed verifier is the generation's own number here.
        let unseal = |sealed: &[u8], _: &[u8]| Some(verifier(u32::from_be_bytes(sealed.try_into().ok()?)));
        let handled = self.slots.handle(task.operation, task.step, TID, &task.command, unseal);
        self.link.tell(&handled.result)
    }

    /// A whole rotation, and its tasks as somebody recorded them.
    fn rotate(&mut self, from: u32, to: u32) -> Vec<Task> {
        let mut rotation = rotation(from, to, HostPhase::Preparing);
        let mut tasks = Vec::new();
        while let Some(task) = rotation.task(&to.to_be_bytes(), CHALLENGE) {
            let result = self.carry_out(&task);
            rotation.on_result(&result, &verifier(to), &CHALLENGE).unwrap();
            tasks.push(task);
        }
        assert_eq!(tasks.len(), 4);
        tasks
    }

    fn opens_to(&self, generation: u32) -> bool {
        self.slots.try_secret(ROLE, &secret(generation)).is_some()
    }

    /// What is kept, in bytes.
    fn kept(&self) -> usize {
        serde_json::to_string(&self.slots).unwrap().len()
    }
}

fn rotation(from: u32, to: u32, phase: HostPhase) -> HostRotation {
    HostRotation::new(Uuid::from_u128(u128::from(to)), TID, ROLE, from, to, phase)
}

#[test]
fn a_recorded_rotation_replayed_in_any_order_changes_nothing_and_is_refused() {
    for profile in profiles() {
        let mut terminal = Terminal::new(&profile);
        let old = terminal.rotate(1, 2);
        terminal.rotate(2, 3);
        let (before, kept) = (terminal.slots.clone(), terminal.kept());
        // Every order of two, and so every step after every other.
        for first in &old {
            for second in &old {
                for task in [first, second] {
                    let result = terminal.carry_out(task);
                    let wanted = match task.command {
                        Command::CredentialPrepare { .. } => Outcome::ROLLBACK,
                        _ => Outcome::WRONG_STATE,
                    };
                    assert_eq!(result.outcome, wanted, "{} {:?}", profile.name(), task.command);
                    assert_eq!(result.proof, None);
                }
            }
        }
        assert_eq!((&terminal.slots, terminal.kept()), (&before, kept));
        assert!(terminal.opens_to(3) && !terminal.opens_to(2) && !terminal.opens_to(1));
        terminal.link.still_stands();
    }
}

#[test]
fn steps_of_a_new_rotation_out_of_order_leave_the_old_generation_in_force() {
    for profile in profiles() {
        let role = || ROLE.to_owned();
        let commit = Command::CredentialCommit { role: role(), generation: 2 };
        let verify = Command::CredentialVerify { role: role(), generation: 2, challenge: CHALLENGE };
        let confirm = Command::CredentialConfirm { role: role(), generation: 2 };
        let mut terminal = Terminal::new(&profile);
        let before = terminal.slots.clone();
        // Nothing was prepared.
        for (step, command) in (2..).zip([&commit, &verify, &confirm]) {
            let task = Task { operation: Uuid::from_u128(2), step, command: command.clone() };
            assert_eq!(terminal.carry_out(&task).outcome, Outcome::WRONG_STATE);
        }
        assert_eq!(terminal.slots, before);
        // Prepared, and then confirmed or proved without having been committed, or committed by another.
        let prepare = rotation(1, 2, HostPhase::Preparing).task(&2u32.to_be_bytes(), CHALLENGE).unwrap();
        assert_eq!(terminal.carry_out(&prepare).outcome, Outcome::DONE);
        for (operation, step, command) in
            [(2, 3, &verify), (2, 4, &confirm), (9, 2, &commit), (9, 4, &confirm)]
        {
            let task = Task { operation: Uuid::from_u128(operation), step, command: command.clone() };
            let result = terminal.carry_out(&task);
            assert_eq!((result.outcome, result.proof), (Outcome::WRONG_STATE, None), "{}", profile.name());
        }
        assert!(terminal.opens_to(1) && !terminal.opens_to(2), "{}", profile.name());
    }
}

#[test]
fn any_number_of_rotations_that_are_prepared_and_left_takes_the_room_of_one() {
    for profile in profiles() {
        let mut terminal = Terminal::new(&profile);
        let prepare = |generation: u32| {
            let task =
                rotation(1, generation, HostPhase::Preparing).task(&generation.to_be_bytes(), CHALLENGE);
            task.unwrap()
        };
        terminal.carry_out(&prepare(10));
        let kept = terminal.kept();
        for generation in 11..60 {
            assert_eq!(terminal.carry_out(&prepare(generation)).outcome, Outcome::DONE);
            // The one before, again.
            assert_eq!(terminal.carry_out(&prepare(generation - 1)).outcome, Outcome::ROLLBACK);
        }
        assert!(terminal.kept() < kept + 40, "{} bytes instead of {kept}", terminal.kept());
        // Numbers far ahead would use all of them up, and roles are not the host's to make.
        let far = terminal.carry_out(&prepare(u32::MAX));
        assert_eq!(far.outcome, Outcome::GENERATION_AHEAD);
        assert!(far.reason.contains("too far ahead"), "{}", far.reason);
        for n in 0..50u32 {
            let command = Command::CredentialPrepare {
                role: format!("x{n}"),
                generation: 1,
                base: 0,
                sealed: 1u32.to_be_bytes().to_vec(),
            };
            let task = Task { operation: Uuid::from_u128(7), step: 1, command };
            assert_eq!(terminal.carry_out(&task).outcome, Outcome::WRONG_STATE);
        }
        assert!(terminal.kept() < kept + 40);
        assert!(terminal.opens_to(1));
    }
}

#[test]
fn results_of_another_step_or_rotation_and_old_proofs_do_not_move_the_host() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let (new, old) = (verifier(3), verifier(2));
        let phases = [
            HostPhase::Preparing,
            HostPhase::Prepared,
            HostPhase::Committed,
            HostPhase::Verified,
            HostPhase::Confirmed,
            HostPhase::Abandoned,
        ];
        for (due, phase) in (1..).zip(phases) {
            let mut host = rotation(2, 3, phase);
            for step in 1..=9u8 {
                // A recorded result of the rotation before, and one of this rotation at another time.
                for operation in [2, 3] {
                    if (operation, step) == (3, due) {
                        continue;
                    }
                    let lie = TaskResult::new(Uuid::from_u128(operation), step, Outcome::DONE);
                    let lie = link.tell(&TaskResult { proof: Some([1; 32]), ..lie });
                    let refused = host.on_result(&lie, &new, &CHALLENGE);
                    assert_eq!(refused, Err(RotationError::OutOfStep { step, phase }));
                }
            }
            assert_eq!(host.phase(), phase);
        }
        // The proof of the generation before, for the same challenge and for another, or none.
        let mut host = rotation(2, 3, HostPhase::Committed);
        let task = host.task(b"", CHALLENGE).unwrap();
        let context = |generation| tms_proto::rotation::context(task.operation, TID, ROLE, generation);
        let proofs = [
            None,
            Some(old.prove(&CHALLENGE, &context(2))),
            Some(old.prove(&CHALLENGE, &context(3))),
            Some(new.prove(&[5; 16], &context(3))),
            Some(new.prove(&CHALLENGE, &context(2))),
        ];
        for proof in proofs {
            let lie = TaskResult { proof, ..TaskResult::new(task.operation, task.step, Outcome::DONE) };
            let refused = host.on_result(&link.tell(&lie), &new, &CHALLENGE);
            assert_eq!(refused, Err(RotationError::ProofWrong), "{}", profile.name());
            assert_eq!(host.phase(), HostPhase::Committed);
        }
        link.still_stands();
    }
}
