//! The host's side of one rotation.

use std::fmt;

use serde::{Deserialize, Serialize};
use tms_crypto::verifier::Verifier;
use uuid::Uuid;

use super::context;
use crate::{
    mutation::{Mutation, without},
    task::{Command, Outcome, Task, TaskResult},
};

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

impl fmt::Display for HostPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Verified => "verified",
            Self::Confirmed => "confirmed",
            Self::Abandoned => "abandoned",
        })
    }
}

/// Why a rotation cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The result belongs to another step or operation.
    #[error("a result for step {step} arrived while the rotation was {phase}")]
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
    /// After the proof there is no way back: the old generation may already be forgotten.
    #[error("a rotation that is {phase} cannot be abandoned")]
    TooLate {
        /// The host's phase.
        phase: HostPhase,
    },
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
    /// the terminal's key with [`SEAL_INFO`](super::SEAL_INFO) and [`context`]; `challenge` is fresh and
    /// random.
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
        let other_operation = result.operation != self.operation && !without(Mutation::AnyOperation);
        let other_step = result.step != self.step() && !without(Mutation::AnyStep);
        if other_operation || other_step {
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
                if !proved && !without(Mutation::NoProof) {
                    return Err(RotationError::ProofWrong);
                }
                HostPhase::Verified
            }
            HostPhase::Verified => HostPhase::Confirmed,
            ended @ (HostPhase::Confirmed | HostPhase::Abandoned) => ended,
        };
        Ok(self.phase)
    }

    /// Gives the rotation up. The task tells the terminal to forget the new generation; it may be asked
    /// for again.
    ///
    /// # Errors
    /// After the proof: [`RotationError::TooLate`].
    pub fn abandon(&mut self) -> Result<Task, RotationError> {
        let proved = matches!(self.phase, HostPhase::Verified | HostPhase::Confirmed);
        if proved && !without(Mutation::AbandonAfterProof) {
            return Err(RotationError::TooLate { phase: self.phase });
        }
        self.phase = HostPhase::Abandoned;
        let command = Command::CredentialAbandon { role: self.role.clone(), generation: self.generation };
        Ok(Task { operation: self.operation, step: self.step(), command })
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
