//! What a terminal is told to do, and what it answers.
//!
//! A [`Task`] is one step of an operation. Its operation id and step together are its identity:
//! a terminal that meets the same pair again answers from its [journal](crate::journal) and does
//! nothing twice.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    body::{self, Body, put, tag},
    error::ProtocolError,
};

/// Longest name of a file, role or version on the wire, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest reason text on the wire, in bytes.
pub const MAX_REASON_BYTES: usize = 120;

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The operation.
    pub operation: Uuid,
    /// The step within it, from 1.
    pub step: u8,
    /// What to do.
    pub command: Command,
}

/// What a terminal can be told to do.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Leave, start again and come back.
    Reboot,
    /// Fetch an image and its signed manifest, verify both, install and start the image.
    InstallFirmware {
        /// Name of the image for file reads; its manifest has the same name with `.manifest`.
        file: String,
        /// Exact size of the image.
        size_bytes: u64,
        /// SHA-256 of the image. The signed manifest must agree.
        sha256: [u8; 32],
    },
    /// Keep a new verifier beside the one in force.
    CredentialPrepare {
        /// The administrator role, for example `99`.
        role: String,
        /// The new generation.
        generation: u32,
        /// The generation that the host holds to be in force. The terminal keeps that one, even
        /// if it still has a later one that the host gave up.
        base: u32,
        /// The verifier, sealed to the terminal's own key.
        sealed: Vec<u8>,
    },
    /// Let the new generation open the terminal, beside the old one.
    CredentialCommit {
        /// The role.
        role: String,
        /// The prepared generation.
        generation: u32,
    },
    /// Prove that the new generation is in place.
    CredentialVerify {
        /// The role.
        role: String,
        /// The committed generation.
        generation: u32,
        /// Fresh random bytes that the proof covers.
        challenge: [u8; 16],
    },
    /// Forget the old generation.
    CredentialConfirm {
        /// The role.
        role: String,
        /// The verified generation.
        generation: u32,
    },
    /// Forget the new generation; the old one stays in force.
    CredentialAbandon {
        /// The role.
        role: String,
        /// The generation given up.
        generation: u32,
    },
    /// Send the log.
    CollectLogs {
        /// Send at most this much, the newest part.
        max_bytes: u64,
    },
    /// A command that this version does not know.
    Unknown(u8),
}

impl fmt::Debug for Command {
    // The sealed verifier is ciphertext, but a log is no place for it either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Command {
    /// A short name for logs and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::InstallFirmware { .. } => "install-firmware",
            Self::CredentialPrepare { .. } => "credential-prepare",
            Self::CredentialCommit { .. } => "credential-commit",
            Self::CredentialVerify { .. } => "credential-verify",
            Self::CredentialConfirm { .. } => "credential-confirm",
            Self::CredentialAbandon { .. } => "credential-abandon",
            Self::CollectLogs { .. } => "collect-logs",
            Self::Unknown(_) => "unknown",
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Reboot => 1,
            Self::InstallFirmware { .. } => 2,
            Self::CredentialPrepare { .. } => 3,
            Self::CredentialCommit { .. } => 4,
            Self::CredentialVerify { .. } => 5,
            Self::CredentialConfirm { .. } => 6,
            Self::CredentialAbandon { .. } => 7,
            Self::CollectLogs { .. } => 8,
            Self::Unknown(code) => *code,
        }
    }
}

impl Task {
    /// The body of a command message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::STEP, &[self.step]);
        put(&mut out, tag::COMMAND, &[self.command.code()]);
        match &self.command {
            Command::Reboot | Command::Unknown(_) => {}
            Command::InstallFirmware { file, size_bytes, sha256 } => {
                put(&mut out, tag::FILE, file.as_bytes());
                put(&mut out, tag::TOTAL, &size_bytes.to_be_bytes());
                put(&mut out, tag::SHA256, sha256);
            }
            Command::CredentialPrepare { role, generation, base, sealed } => {
                put_generation(&mut out, role, *generation);
                put(&mut out, tag::BASE, &base.to_be_bytes());
                put(&mut out, tag::SEALED, sealed);
            }
            Command::CredentialCommit { role, generation }
            | Command::CredentialConfirm { role, generation }
            | Command::CredentialAbandon { role, generation } => put_generation(&mut out, role, *generation),
            Command::CredentialVerify { role, generation, challenge } => {
                put_generation(&mut out, role, *generation);
                put(&mut out, tag::CHALLENGE, challenge);
            }
            Command::CollectLogs { max_bytes } => put(&mut out, tag::MAX_BYTES, &max_bytes.to_be_bytes()),
        }
        out
    }

    /// Reads the body of a command message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed. An unknown command code is not an error:
    /// it becomes [`Command::Unknown`], which a terminal refuses by name.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "task";
        let body = Body::parse(bytes)?;
        let role = || body.text(tag::ROLE, NAME, MAX_NAME_BYTES);
        let generation = || body.u32(tag::GENERATION, NAME);
        let command = match body.u8(tag::COMMAND, NAME)? {
            1 => Command::Reboot,
            2 => Command::InstallFirmware {
                file: body.text(tag::FILE, NAME, MAX_NAME_BYTES)?,
                size_bytes: body.u64(tag::TOTAL, NAME)?,
                sha256: body.array(tag::SHA256, NAME)?,
            },
            3 => Command::CredentialPrepare {
                role: role()?,
                generation: generation()?,
                base: body.u32(tag::BASE, NAME)?,
                sealed: body.bytes(tag::SEALED, NAME)?.to_vec(),
            },
            4 => Command::CredentialCommit { role: role()?, generation: generation()? },
            5 => Command::CredentialVerify {
                role: role()?,
                generation: generation()?,
                challenge: body.array(tag::CHALLENGE, NAME)?,
            },
            6 => Command::CredentialConfirm { role: role()?, generation: generation()? },
            7 => Command::CredentialAbandon { role: role()?, generation: generation()? },
            8 => Command::CollectLogs { max_bytes: body.u64(tag::MAX_BYTES, NAME)? },
            code => Command::Unknown(code),
        };
        Ok(Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            step: body.u8(tag::STEP, NAME)?,
            command,
        })
    }
}

fn put_generation(out: &mut Vec<u8>, role: &str, generation: u32) {
    put(out, tag::ROLE, role.as_bytes());
    put(out, tag::GENERATION, &generation.to_be_bytes());
}

/// How a task went. Unknown codes keep their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome(pub u8);

impl Outcome {
    /// Done, with effect.
    pub const DONE: Self = Self(0);
    /// Taken; a further result follows.
    pub const ACCEPTED: Self = Self(1);
    /// The terminal does not know the command.
    pub const UNKNOWN_COMMAND: Self = Self(2);
    /// Not possible in the terminal's present state.
    pub const WRONG_STATE: Self = Self(3);
    /// The image's signature does not verify.
    pub const SIGNATURE_INVALID: Self = Self(4);
    /// The image does not have the signed hash or size.
    pub const HASH_MISMATCH: Self = Self(5);
    /// The image is older than the one in force.
    pub const ROLLBACK: Self = Self(6);
    /// The image is for another model or hardware revision.
    pub const WRONG_MODEL: Self = Self(7);
    /// The image does not fit.
    pub const NO_SPACE: Self = Self(8);
    /// The sealed secret could not be opened.
    pub const UNSEAL_FAILED: Self = Self(9);
    /// The new image did not come up healthy; the old one runs.
    pub const FELL_BACK: Self = Self(10);
    /// A file could not be fetched.
    pub const FETCH_FAILED: Self = Self(11);
    /// The terminal itself failed.
    pub const INTERNAL: Self = Self(12);

    /// Whether the task had its effect.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::DONE
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::DONE => "done",
            Self::ACCEPTED => "accepted",
            Self::UNKNOWN_COMMAND => "the terminal does not know this command",
            Self::WRONG_STATE => "not possible in the terminal's present state",
            Self::SIGNATURE_INVALID => "the signature of the image does not verify",
            Self::HASH_MISMATCH => "the image does not have the signed size and hash",
            Self::ROLLBACK => "the image is older than the one in force",
            Self::WRONG_MODEL => "the image is for another model or hardware revision",
            Self::NO_SPACE => "the image does not fit into the slot",
            Self::UNSEAL_FAILED => "the sealed secret could not be opened",
            Self::FELL_BACK => "the new image did not start healthy; the old one runs",
            Self::FETCH_FAILED => "a file could not be fetched",
            Self::INTERNAL => "the terminal failed",
            Self(code) => return write!(f, "outcome {code}"),
        })
    }
}

/// The answer to a [`Task`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The operation.
    pub operation: Uuid,
    /// The step answered.
    pub step: u8,
    /// How it went.
    pub outcome: Outcome,
    /// A sentence for people; empty when there is nothing to add.
    pub reason: String,
    /// Proof of a credential, in answer to [`Command::CredentialVerify`].
    pub proof: Option<[u8; 32]>,
}

impl TaskResult {
    /// A result without reason or proof.
    #[must_use]
    pub fn new(operation: Uuid, step: u8, outcome: Outcome) -> Self {
        Self { operation, step, outcome, reason: String::new(), proof: None }
    }

    /// The same result with a sentence for people.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The body of a task-result message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::STEP, &[self.step]);
        put(&mut out, tag::OUTCOME, &[self.outcome.0]);
        if !self.reason.is_empty() {
            put(&mut out, tag::REASON, body::truncate(&self.reason, MAX_REASON_BYTES).as_bytes());
        }
        if let Some(proof) = &self.proof {
            put(&mut out, tag::PROOF, proof);
        }
        out
    }

    /// Reads the body of a task-result message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "task result";
        let body = Body::parse(bytes)?;
        Ok(Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            step: body.u8(tag::STEP, NAME)?,
            outcome: Outcome(body.u8(tag::OUTCOME, NAME)?),
            reason: match body.find(tag::REASON) {
                Some(bytes) => body::text(bytes, NAME, MAX_REASON_BYTES)?,
                None => String::new(),
            },
            proof: match body.find(tag::PROOF) {
                Some(_) => Some(body.array(tag::PROOF, NAME)?),
                None => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command() -> impl Strategy<Value = Command> {
        let role = "[0-9]{2}";
        prop_oneof![
            Just(Command::Reboot),
            ("[a-z0-9]{1,40}", any::<u64>(), any::<[u8; 32]>()).prop_map(|(file, size_bytes, sha256)| {
                Command::InstallFirmware { file, size_bytes, sha256 }
            }),
            (role, any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
                |(role, generation, sealed)| Command::CredentialPrepare {
                    role,
                    generation,
                    base: generation.wrapping_sub(1),
                    sealed
                }
            ),
            (role, any::<u32>())
                .prop_map(|(role, generation)| Command::CredentialCommit { role, generation }),
            (role, any::<u32>(), any::<[u8; 16]>()).prop_map(|(role, generation, challenge)| {
                Command::CredentialVerify { role, generation, challenge }
            }),
            (role, any::<u32>())
                .prop_map(|(role, generation)| Command::CredentialConfirm { role, generation }),
            (role, any::<u32>())
                .prop_map(|(role, generation)| Command::CredentialAbandon { role, generation }),
            any::<u64>().prop_map(|max_bytes| Command::CollectLogs { max_bytes }),
            (100u8..).prop_map(Command::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn a_task_survives_the_wire(id in any::<u128>(), step in any::<u8>(), command in command()) {
            let task = Task { operation: Uuid::from_u128(id), step, command };
            prop_assert!(Task::decode(&task.encode()).unwrap() == task);
        }

        #[test]
        fn a_result_survives_the_wire(id in any::<u128>(), step in any::<u8>(), outcome in any::<u8>(),
                                      reason in "[ -~\u{4e00}-\u{4e20}]{0,30}", proof in any::<Option<[u8; 32]>>()) {
            let result = TaskResult { operation: Uuid::from_u128(id), step, outcome: Outcome(outcome), reason, proof };
            prop_assert_eq!(TaskResult::decode(&result.encode()).unwrap(), result);
        }

        #[test]
        fn any_bytes_are_an_error_or_a_task(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Task::decode(&bytes);
            let _ = TaskResult::decode(&bytes);
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let result = TaskResult::new(Uuid::nil(), 1, Outcome::INTERNAL).because("终".repeat(100));
        assert_eq!(TaskResult::decode(&result.encode()).unwrap().reason.len(), 120);
    }

    #[test]
    fn debug_output_never_shows_the_sealed_verifier() {
        let command =
            Command::CredentialPrepare { role: "99".into(), generation: 2, base: 1, sealed: vec![7; 3] };
        assert_eq!(format!("{command:?}"), "credential-prepare");
    }
}
