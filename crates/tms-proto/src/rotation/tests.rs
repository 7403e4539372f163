use proptest::prelude::*;

use std::collections::BTreeSet;

use tms_crypto::verifier::Verifier;

use super::*;
use crate::task::{Command, TaskResult};

const OLD: &[u8] = b"24681357";
const NEW: &[u8] = b"97531864";

fn verifier(secret: &[u8], salt: u8) -> Verifier {
    Verifier::derive(secret, [salt; 16], 1)
}

fn terminal() -> CredentialSlots {
    let mut slots = CredentialSlots::default();
    slots.install("99", 1, &verifier(OLD, 1));
    slots
}

fn host() -> HostRotation {
    HostRotation::new(Uuid::from_u128(9), "10000001", "99", 1, 2, HostPhase::Preparing)
}

fn exchange(host: &mut HostRotation, slots: &mut CredentialSlots) -> Result<HostPhase, RotationError> {
    let challenge = [4; 16];
    let task = host.task(b"sealed", challenge).unwrap();
    let result = slots
        .handle(task.operation, task.step, "10000001", &task.command, |_, _| Some(verifier(NEW, 2)))
        .result;
    host.on_result(&result, &verifier(NEW, 2), &challenge)
}

#[test]
fn after_a_rotation_only_the_new_secret_opens_the_terminal() {
    let (mut host, mut slots) = (host(), terminal());
    for phase in [HostPhase::Prepared, HostPhase::Committed, HostPhase::Verified, HostPhase::Confirmed] {
        assert_eq!(exchange(&mut host, &mut slots), Ok(phase));
    }
    assert_eq!(slots.try_secret("99", NEW), Some(2));
    assert_eq!(slots.try_secret("99", OLD), None);
    assert!(host.task(b"", [0; 16]).is_none());
}

#[test]
fn between_commit_and_confirm_both_secrets_open_the_terminal() {
    let (mut host, mut slots) = (host(), terminal());
    exchange(&mut host, &mut slots).unwrap();
    assert_eq!(slots.try_secret("99", NEW), None);
    exchange(&mut host, &mut slots).unwrap();
    assert_eq!((slots.try_secret("99", OLD), slots.try_secret("99", NEW)), (Some(1), Some(2)));
}

#[test]
fn a_wrong_proof_stops_the_rotation_and_the_old_secret_stays() {
    let (mut host, mut slots) = (host(), terminal());
    exchange(&mut host, &mut slots).unwrap();
    exchange(&mut host, &mut slots).unwrap();
    let forged = TaskResult { proof: Some([0; 32]), ..TaskResult::new(Uuid::from_u128(9), 3, Outcome::DONE) };
    assert_eq!(host.on_result(&forged, &verifier(NEW, 2), &[4; 16]), Err(RotationError::ProofWrong));
    let task = host.abandon().unwrap();
    let _ = slots.handle(task.operation, task.step, "10000001", &task.command, |_, _| None);
    assert_eq!((slots.try_secret("99", OLD), slots.try_secret("99", NEW)), (Some(1), None));
}

#[test]
fn an_old_generation_cannot_be_prepared_again() {
    let mut slots = terminal();
    let command = Command::CredentialPrepare { role: "99".into(), generation: 1, base: 0, sealed: vec![] };
    let result = slots.handle(Uuid::nil(), 1, "10000001", &command, |_, _| Some(verifier(NEW, 2))).result;
    assert_eq!(result.outcome, Outcome::ROLLBACK);
}

#[test]
fn a_proof_for_one_terminal_is_no_proof_for_another() {
    let one = context(Uuid::nil(), "10000001", "99", 2);
    let other = context(Uuid::nil(), "10000002", "99", 2);
    let proof = verifier(NEW, 2).prove(&[1; 16], &one);
    assert!(!verifier(NEW, 2).check_proof(&[1; 16], &other, &proof));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // Commands and results are lost, repeated and delayed, and either side restarts with
    // only its durable state: at every moment a secret that the host holds opens the
    // terminal, and when the faults stop the rotation completes.
    #[test]
    fn nobody_is_locked_out_under_any_fault(faults in prop::collection::vec(0u8..5, 0..40)) {
        let (mut host, mut slots) = (host(), terminal());
        let mut old_results: Vec<TaskResult> = Vec::new();
        for fault in faults {
            let challenge = [fault; 16];
            if let Some(task) = host.task(b"sealed", challenge).filter(|_| fault != 1) {
                let unseal = |_: &[u8], _: &[u8]| Some(verifier(NEW, 2));
                let result = slots.handle(task.operation, task.step, "10000001", &task.command, unseal).result;
                old_results.push(result.clone());
                if fault != 2 {
                    host.on_result(&result, &verifier(NEW, 2), &challenge).unwrap();
                }
            }
            if fault == 3 {
                for old in &old_results {
                    // A late proof covers another challenge; a late other step is out of step.
                    let _ = host.clone().on_result(old, &verifier(NEW, 2), &challenge);
                }
            }
            if fault == 4 {
                host = HostRotation::new(Uuid::from_u128(9), "10000001", "99", 1, 2, host.phase());
                slots = serde_json::from_str(&serde_json::to_string(&slots).unwrap()).unwrap();
            }
            let host_keeps_old = host.phase() != HostPhase::Confirmed;
            let opens = slots.try_secret("99", NEW).is_some() || (host_keeps_old && slots.try_secret("99", OLD).is_some());
            prop_assert!(opens);
        }
        while host.task(b"", [0; 16]).is_some() {
            exchange(&mut host, &mut slots).unwrap();
        }
        prop_assert_eq!(slots.try_secret("99", NEW), Some(2));
    }

    // Rotations follow one another; any of them may be given up at any moment, its last
    // command lost or not, as the host does when an operation expires: before the proof the
    // old generation stays, after it the new one counts. Every secret that the host may hand
    // out opens the terminal.
    #[test]
    fn nobody_is_locked_out_by_rotations_that_were_given_up(
        rounds in prop::collection::vec((0usize..6, any::<bool>()), 1..6)
    ) {
        let secret = |generation: u32| format!("{:08}", 31_415_926 + generation);
        let held = |generation: u32| verifier(secret(generation).as_bytes(), generation as u8);
        let mut slots = CredentialSlots::default();
        slots.install("99", 1, &held(1));
        let mut current = 1;
        for (round, (steps, last_lost)) in rounds.into_iter().enumerate() {
            let generation = u32::try_from(round).unwrap() + 2;
            let operation = Uuid::from_u128(u128::from(generation));
            let mut host =
                HostRotation::new(operation, "10000001", "99", current, generation, HostPhase::Preparing);
            for step in 0..steps {
                let Some(task) = host.task(b"sealed", [7; 16]) else { break };
                let unseal = |_: &[u8], _: &[u8]| Some(held(generation));
                let result = slots.handle(operation, task.step, "10000001", &task.command, unseal).result;
                prop_assert_eq!(result.outcome, Outcome::DONE);
                if !(last_lost && step + 1 == steps) {
                    host.on_result(&result, &held(generation), &[7; 16]).unwrap();
                }
                let proved = matches!(host.phase(), HostPhase::Verified | HostPhase::Confirmed);
                let known = if proved { generation } else { current };
                prop_assert!(slots.try_secret("99", secret(known).as_bytes()).is_some());
            }
            if matches!(host.phase(), HostPhase::Verified | HostPhase::Confirmed) {
                current = generation;
            }
            prop_assert!(slots.try_secret("99", secret(current).as_bytes()).is_some());
        }
    }
}

fn order(slots: &mut CredentialSlots, operation: u128, command: Command, secret: &[u8]) -> Handled {
    let unseal = |_: &[u8], _: &[u8]| Some(verifier(secret, 9));
    slots.handle(Uuid::from_u128(operation), 1, "10000001", &command, unseal)
}

fn prepare(generation: u32, base: u32) -> Command {
    Command::CredentialPrepare { role: "99".into(), generation, base, sealed: vec![] }
}

#[test]
fn a_default_opens_nothing_proves_nothing_and_is_reported_until_it_is_rotated() {
    let mut slots = CredentialSlots::default();
    slots.know_default("55667788");
    slots.install("99", 1, &verifier(b"12345678", 1));
    slots.install("00", 1, &verifier(b"55667788", 1));
    slots.install("01", 1, &verifier(OLD, 1));
    assert_eq!(slots.default_still_set(), BTreeSet::from(["00".to_owned(), "99".to_owned()]));
    assert_eq!(slots.try_secret("99", b"12345678"), None);
    assert_eq!(slots.try_secret("00", b"55667788"), None);
    let verify = Command::CredentialVerify { role: "99".into(), generation: 1, challenge: [1; 16] };
    let result = order(&mut slots, 1, verify, NEW).result;
    assert_eq!((result.outcome, result.proof), (Outcome::WRONG_STATE, None));

    let mut host = host();
    while host.task(b"", [0; 16]).is_some() {
        exchange(&mut host, &mut slots).unwrap();
    }
    assert_eq!(slots.default_still_set(), BTreeSet::from(["00".to_owned()]));
    assert_eq!(slots.try_secret("99", NEW), Some(2));
}

#[test]
fn a_default_is_not_taken_for_a_new_secret() {
    for default in ["12345678", "000000", "55667788"] {
        let mut slots = terminal();
        slots.know_default("55667788");
        let handled = order(&mut slots, 1, prepare(2, 1), default.as_bytes());
        assert_eq!(handled.result.outcome, Outcome::DEFAULT_SECRET);
        assert!(!handled.must_save && handled.result.reason.contains("default"));
    }
}

#[test]
fn a_generation_far_ahead_does_not_use_the_numbers_up() {
    let mut slots = terminal();
    let handled = order(&mut slots, 1, prepare(u32::MAX, 1), NEW);
    assert_eq!(handled.result.outcome, Outcome::GENERATION_AHEAD);
    assert_eq!(order(&mut slots, 1, prepare(2, 1), NEW).result.outcome, Outcome::DONE);
}

#[test]
fn another_operation_cannot_commit_or_confirm_what_one_prepared() {
    let mut slots = terminal();
    let commit = || Command::CredentialCommit { role: "99".into(), generation: 2 };
    let confirm = || Command::CredentialConfirm { role: "99".into(), generation: 2 };
    assert_eq!(order(&mut slots, 1, prepare(2, 1), NEW).result.outcome, Outcome::DONE);
    assert_eq!(order(&mut slots, 2, commit(), NEW).result.outcome, Outcome::WRONG_STATE);
    assert_eq!(order(&mut slots, 1, commit(), NEW).result.outcome, Outcome::DONE);
    assert_eq!(order(&mut slots, 2, prepare(2, 1), OLD).result.outcome, Outcome::WRONG_STATE);
    assert_eq!(order(&mut slots, 2, confirm(), NEW).result.outcome, Outcome::WRONG_STATE);
    assert_eq!((slots.try_secret("99", OLD), slots.try_secret("99", NEW)), (Some(1), Some(2)));
}

#[test]
fn only_what_changes_something_must_be_saved_before_the_answer() {
    let mut slots = terminal();
    assert!(order(&mut slots, 1, prepare(2, 1), NEW).must_save);
    assert!(!order(&mut slots, 1, prepare(2, 1), NEW).must_save, "the same again");
    let commit = || Command::CredentialCommit { role: "99".into(), generation: 2 };
    assert!(order(&mut slots, 1, commit(), NEW).must_save);
    assert!(!order(&mut slots, 1, commit(), NEW).must_save);
    let verify = Command::CredentialVerify { role: "99".into(), generation: 2, challenge: [1; 16] };
    assert!(!order(&mut slots, 1, verify, NEW).must_save);
    assert!(!order(&mut slots, 1, Command::Reboot, NEW).must_save);
}

#[test]
fn a_rotation_that_was_proved_cannot_be_abandoned_and_says_where_it_stands() {
    let (mut host, mut slots) = (host(), terminal());
    for _ in 0..3 {
        exchange(&mut host, &mut slots).unwrap();
    }
    assert_eq!(host.abandon().unwrap_err().to_string(), "a rotation that is verified cannot be abandoned");
    assert_eq!(host.phase(), HostPhase::Verified);
}
