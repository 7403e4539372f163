//! Changing an administrator credential without locking anyone out.
//!
//! prepare (the terminal keeps the new verifier beside the old) → commit (the new one opens the
//! terminal too) → verify (the terminal proves that it has it) → confirm (the old one is
//! forgotten). Until the proof is checked, both sides keep both generations; a rotation that
//! fails anywhere before leaves the old credential in force.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use tms_crypto::verifier::Verifier;
use uuid::Uuid;

use crate::task::{Command, Outcome, Task, TaskResult};

/// HPKE `info` of a sealed verifier.
pub const SEAL_INFO: &[u8] = b"tms8583 administrator credential 1";

/// What a sealed verifier and a proof are bound to, so that neither can be replayed for another
/// operation, terminal, role or generation.
#[must_use]
pub fn context(operation: Uuid, terminal: &str, role: &str, generation: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(operation.as_bytes());
    for part in [terminal.as_bytes(), role.as_bytes()] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&generation.to_be_bytes());
    out
}

/// The host's side of one rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRotation {
    operation: Uuid,
    terminal: String,
    role: String,
    generation: u32,
    base: u32,
    phase: HostPhase,
}

/// How far the host knows a rotation to be. Each phase is made durable before the next command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPhase {
    /// The terminal may not have the verifier yet.
    Preparing,
    /// The terminal has it.
    Prepared,
    /// The terminal opens to it.
    Committed,
    /// The terminal has proved it.
    Verified,
    /// The terminal has forgotten the old one.
    Confirmed,
    /// Given up; the old one stays in force.
    Abandoned,
}

/// Why a rotation cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The result belongs to another step or operation.
    #[error("a result for step {step} arrived in phase {phase:?}")]
    OutOfStep {
        /// The result's step.
        step: u8,
        /// The host's phase.
        phase: HostPhase,
    },
    /// The terminal refused a step.
    #[error("the terminal refused: {0}")]
    Refused(Outcome),
    /// The terminal's proof is absent or wrong.
    #[error("the terminal could not prove the new credential")]
    ProofWrong,
}

impl HostRotation {
    /// A rotation from generation `base`, which the host holds to be in force, to `generation`,
    /// at the phase that the host has durable.
    #[must_use]
    pub fn new(
        operation: Uuid,
        terminal: &str,
        role: &str,
        base: u32,
        generation: u32,
        phase: HostPhase,
    ) -> Self {
        Self { operation, terminal: terminal.to_owned(), role: role.to_owned(), base, generation, phase }
    }

    /// The phase reached.
    #[must_use]
    pub fn phase(&self) -> HostPhase {
        self.phase
    }

    /// The next task, or `None` when the rotation has ended. `sealed` is the verifier sealed to
    /// the terminal's key with [`SEAL_INFO`] and [`context`]; `challenge` is fresh and random.
    #[must_use]
    pub fn task(&self, sealed: &[u8], challenge: [u8; 16]) -> Option<Task> {
        let (role, generation) = (self.role.clone(), self.generation);
        let command = match self.phase {
            HostPhase::Preparing => {
                Command::CredentialPrepare { role, generation, base: self.base, sealed: sealed.to_vec() }
            }
            HostPhase::Prepared => Command::CredentialCommit { role, generation },
            HostPhase::Committed => Command::CredentialVerify { role, generation, challenge },
            HostPhase::Verified => Command::CredentialConfirm { role, generation },
            HostPhase::Confirmed | HostPhase::Abandoned => return None,
        };
        Some(Task { operation: self.operation, step: self.step(), command })
    }

    /// Takes the terminal's answer. On success the phase has moved on: make it durable, then ask
    /// for the next task.
    ///
    /// # Errors
    /// When the answer is for another step (ignore it), when the terminal refused, or when its
    /// proof does not hold (give up: [`HostRotation::abandon`]).
    pub fn on_result(
        &mut self,
        result: &TaskResult,
        verifier: &Verifier,
        challenge: &[u8; 16],
    ) -> Result<HostPhase, RotationError> {
        if result.operation != self.operation || result.step != self.step() {
            return Err(RotationError::OutOfStep { step: result.step, phase: self.phase });
        }
        if !result.outcome.is_done() {
            return Err(RotationError::Refused(result.outcome));
        }
        self.phase = match self.phase {
            HostPhase::Preparing => HostPhase::Prepared,
            HostPhase::Prepared => HostPhase::Committed,
            HostPhase::Committed => {
                let context = context(self.operation, &self.terminal, &self.role, self.generation);
                let proved =
                    result.proof.is_some_and(|proof| verifier.check_proof(challenge, &context, &proof));
                if !proved {
                    return Err(RotationError::ProofWrong);
                }
                HostPhase::Verified
            }
            HostPhase::Verified => HostPhase::Confirmed,
            ended @ (HostPhase::Confirmed | HostPhase::Abandoned) => ended,
        };
        Ok(self.phase)
    }

    /// Gives the rotation up. The task tells the terminal to forget the new generation. After
    /// the proof there is no way back: the old generation may already be forgotten.
    pub fn abandon(&mut self) -> Option<Task> {
        if matches!(self.phase, HostPhase::Verified | HostPhase::Confirmed | HostPhase::Abandoned) {
            return None;
        }
        self.phase = HostPhase::Abandoned;
        let command = Command::CredentialAbandon { role: self.role.clone(), generation: self.generation };
        Some(Task { operation: self.operation, step: self.step(), command })
    }

    fn step(&self) -> u8 {
        match self.phase {
            HostPhase::Preparing => 1,
            HostPhase::Prepared => 2,
            HostPhase::Committed => 3,
            HostPhase::Verified => 4,
            HostPhase::Confirmed => 5,
            HostPhase::Abandoned => 6,
        }
    }
}

/// The terminal's administrator credentials. Durable; saved before any answer goes out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSlots {
    roles: BTreeMap<String, RoleSlots>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RoleSlots {
    current: Held,
    next: Option<Next>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    held: Held,
    /// Whether it opens the terminal already.
    committed: bool,
}

/// A verifier with its generation. Prints without the verifier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    generation: u32,
    verifier: Vec<u8>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.generation)
    }
}

impl Held {
    fn opens_to(&self, secret: &[u8]) -> bool {
        Verifier::from_bytes(&self.verifier).is_ok_and(|v| v.matches(secret))
    }
}

impl CredentialSlots {
    /// Puts in the credential that the terminal was delivered with.
    pub fn install(&mut self, role: &str, generation: u32, verifier: &Verifier) {
        let current = Held { generation, verifier: verifier.to_bytes().to_vec() };
        self.roles.insert(role.to_owned(), RoleSlots { current, next: None });
    }

    /// The generation that `secret` is, if it opens `role` now.
    #[must_use]
    pub fn try_secret(&self, role: &str, secret: &[u8]) -> Option<u32> {
        let slots = self.roles.get(role)?;
        if slots.current.opens_to(secret) {
            return Some(slots.current.generation);
        }
        let next = slots.next.as_ref().filter(|next| next.committed)?;
        next.held.opens_to(secret).then_some(next.held.generation)
    }

    /// The generation in force of each role: the newest that opens it.
    #[must_use]
    pub fn generations(&self) -> BTreeMap<String, u32> {
        self.roles
            .iter()
            .map(|(role, slots)| {
                let newest = slots
                    .next
                    .as_ref()
                    .filter(|n| n.committed)
                    .map_or(slots.current.generation, |n| n.held.generation);
                (role.clone(), newest)
            })
            .collect()
    }

    /// Carries out a credential command. `unseal` opens a sealed verifier with the terminal's
    /// key, given the [`context`]; `terminal` is the own TID.
    ///
    /// Every step may be repeated: a step that has already had its effect is done again to no
    /// effect and succeeds.
    pub fn handle(
        &mut self,
        operation: Uuid,
        step: u8,
        terminal: &str,
        command: &Command,
        unseal: impl FnOnce(&[u8], &[u8]) -> Option<Verifier>,
    ) -> TaskResult {
        let mut result = TaskResult::new(operation, step, Outcome::DONE);
        result.outcome = match command {
            Command::CredentialPrepare { role, generation, base, sealed } => {
                let context = context(operation, terminal, role, *generation);
                match unseal(sealed, &context) {
                    Some(verifier) => self.prepare(role, *base, *generation, &verifier),
                    None => Outcome::UNSEAL_FAILED,
                }
            }
            Command::CredentialCommit { role, generation } => self.commit(role, *generation),
            Command::CredentialVerify { role, generation, challenge } => {
                match self.held(role, *generation).and_then(|held| Verifier::from_bytes(&held.verifier).ok())
                {
                    Some(verifier) => {
                        let context = context(operation, terminal, role, *generation);
                        result.proof = Some(verifier.prove(challenge, &context));
                        Outcome::DONE
                    }
                    None => Outcome::WRONG_STATE,
                }
            }
            Command::CredentialConfirm { role, generation } => self.confirm(role, *generation),
            Command::CredentialAbandon { role, generation } => self.abandon(role, *generation),
            _ => Outcome::UNKNOWN_COMMAND,
        };
        result
    }

    fn prepare(&mut self, role: &str, base: u32, generation: u32, verifier: &Verifier) -> Outcome {
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        if generation <= slots.current.generation {
            return Outcome::ROLLBACK;
        }
        match &slots.next {
            Some(next) if next.held.generation > generation => return Outcome::ROLLBACK,
            Some(next) if next.held.generation == generation && next.committed => return Outcome::DONE,
            // The host confirmed it, and the confirmation was lost: this is the one in force.
            Some(next) if next.committed && next.held.generation == base => slots.current = next.held.clone(),
            // What else is there was given up by the host.
            _ if slots.current.generation == base => {}
            // The host holds another one to be in force: dropping any of ours could lock people out.
            _ => return Outcome::WRONG_STATE,
        }
        let held = Held { generation, verifier: verifier.to_bytes().to_vec() };
        slots.next = Some(Next { held, committed: false });
        Outcome::DONE
    }

    fn commit(&mut self, role: &str, generation: u32) -> Outcome {
        match self.roles.get_mut(role) {
            Some(RoleSlots { next: Some(next), .. }) if next.held.generation == generation => {
                next.committed = true;
                Outcome::DONE
            }
            Some(slots) if slots.current.generation == generation => Outcome::DONE,
            _ => Outcome::WRONG_STATE,
        }
    }

    fn confirm(&mut self, role: &str, generation: u32) -> Outcome {
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        match &slots.next {
            Some(next) if next.held.generation == generation && next.committed => {
                slots.current = next.held.clone();
                slots.next = None;
                Outcome::DONE
            }
            _ if slots.current.generation == generation => Outcome::DONE,
            _ => Outcome::WRONG_STATE,
        }
    }

    fn abandon(&mut self, role: &str, generation: u32) -> Outcome {
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        if slots.next.as_ref().is_some_and(|n| n.held.generation == generation) {
            slots.next = None;
        }
        Outcome::DONE
    }

    fn held(&self, role: &str, generation: u32) -> Option<&Held> {
        let slots = self.roles.get(role)?;
        match &slots.next {
            Some(next) if next.committed && next.held.generation == generation => Some(&next.held),
            _ => Some(&slots.current).filter(|held| held.generation == generation),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &[u8] = b"24681357";
    const NEW: &[u8] = b"97531864";

    fn verifier(secret: &[u8], salt: u8) -> Verifier {
        Verifier::derive(secret, [salt; 16], 1_000)
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
        let result =
            slots.handle(task.operation, task.step, "10000001", &task.command, |_, _| Some(verifier(NEW, 2)));
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
        let forged =
            TaskResult { proof: Some([0; 32]), ..TaskResult::new(Uuid::from_u128(9), 3, Outcome::DONE) };
        assert_eq!(host.on_result(&forged, &verifier(NEW, 2), &[4; 16]), Err(RotationError::ProofWrong));
        let task = host.abandon().unwrap();
        slots.handle(task.operation, task.step, "10000001", &task.command, |_, _| None);
        assert_eq!((slots.try_secret("99", OLD), slots.try_secret("99", NEW)), (Some(1), None));
    }

    #[test]
    fn an_old_generation_cannot_be_prepared_again() {
        let mut slots = terminal();
        let command =
            Command::CredentialPrepare { role: "99".into(), generation: 1, base: 0, sealed: vec![] };
        let result = slots.handle(Uuid::nil(), 1, "10000001", &command, |_, _| Some(verifier(NEW, 2)));
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
                    let result = slots.handle(task.operation, task.step, "10000001", &task.command, unseal);
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
                    let result = slots.handle(operation, task.step, "10000001", &task.command, unseal);
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
}
