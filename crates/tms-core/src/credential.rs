//! Administrator credentials and their rotation, which can lock nobody out: until the terminal has
//! proved the new generation, host and terminal both keep both.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{IdError, OperationId, Role, TerminalId};

/// The credential of one role on one terminal. The secrets are sealed by the host's vault; nothing
/// here can be read without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The terminal.
    pub terminal: TerminalId,
    /// The role.
    pub role: Role,
    /// The generation in force; `None` if the host never knew one.
    pub current: Option<Generation>,
    /// The generation that a running rotation wants to put into force.
    pub pending: Option<PendingGeneration>,
    /// A generation that the terminal has in force and the host never gave out: a store that is lost did, and this
    /// one was restored from an older backup. Known until a rotation has replaced it.
    pub foreign_generation: Option<u32>,
    /// The highest generation number ever given out, so that an abandoned one is never reused for
    /// another secret.
    pub highest_generation: u32,
    /// Rises with every change of this record.
    pub version: u64,
}

impl Credential {
    /// The number that the next rotation uses, or `None` when the numbers are used up.
    pub fn next_generation(&self) -> Option<u32> {
        self.highest_generation.checked_add(1)
    }

    /// The generation that the next rotation replaces at the terminal; 0 when none is known.
    pub fn base(&self) -> u32 {
        let current = || self.current.as_ref().map(|current| current.generation);
        self.foreign_generation.or_else(current).unwrap_or(0)
    }

    /// Takes note of the generation that the terminal last reported, before a rotation: one that was never given out
    /// here is the one to replace, and the numbers up to it are used.
    pub fn learn(&mut self, reported: u32) {
        if reported > self.highest_generation {
            self.highest_generation = reported;
            self.foreign_generation = Some(reported);
        } else if self.current.as_ref().is_some_and(|current| reported <= current.generation) {
            self.foreign_generation = None;
        }
    }

    /// The generation that opens the terminal for certain, with its sealed secret: the pending one
    /// once the terminal has proved it, the current one before.
    pub fn in_force(&self) -> Option<(u32, &[u8])> {
        match (&self.pending, &self.current) {
            (Some(pending), _) if pending.phase == RotationPhase::Verified => {
                Some((pending.generation, pending.sealed.as_slice()))
            }
            (_, current) => current.as_ref().map(|c| (c.generation, c.sealed.as_slice())),
        }
    }
}

/// A credential generation in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number; 0 is what the maker delivered.
    pub generation: u32,
    /// The secret, sealed by the host's vault.
    pub sealed: Vec<u8>,
    /// Since when it has been in force.
    pub since: Timestamp,
}

/// A credential generation on its way into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingGeneration {
    /// Its number.
    pub generation: u32,
    /// The secret, sealed by the host's vault.
    pub sealed: Vec<u8>,
    /// How far the rotation has come.
    pub phase: RotationPhase,
    /// The operation that carries it.
    pub operation: OperationId,
}

/// How far a rotation has come: prepare → commit → verify; confirming ends it. Goes forward only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationPhase {
    /// The host keeps both; the terminal may have stored the new verifier beside the old one.
    Prepared,
    /// The terminal was told to accept the new one; it still keeps the old one too.
    Committed,
    /// The terminal has proved that the new one is in force. From here on only confirming remains;
    /// abandoning could lock people out.
    Verified,
}

impl RotationPhase {
    /// The phase as it appears in JSON and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Verified => "verified",
        }
    }
}

impl fmt::Display for RotationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for RotationPhase {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "prepared" => Ok(Self::Prepared),
            "committed" => Ok(Self::Committed),
            "verified" => Ok(Self::Verified),
            other => Err(IdError {
                what: "rotation phase",
                text: other.chars().take(40).collect(),
                rule: "it is prepared, committed or verified",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_given_out_is_replaced_until_the_terminal_has_what_was() {
        let current = Generation { generation: 3, sealed: vec![1], since: Timestamp::UNIX_EPOCH };
        let mut credential = Credential {
            terminal: "10000001".parse().unwrap(),
            role: Role::administrator(),
            current: Some(current),
            pending: None,
            foreign_generation: None,
            highest_generation: 5,
            version: 1,
        };
        // 4 and 5 were given out, and given up.
        credential.learn(5);
        assert_eq!((credential.base(), credential.next_generation()), (3, Some(6)));
        credential.learn(9);
        assert_eq!((credential.base(), credential.next_generation()), (9, Some(10)));
        // Also after a rotation from there was given up.
        credential.highest_generation = 10;
        credential.learn(10);
        assert_eq!(credential.base(), 9);
        credential.learn(3);
        assert_eq!(credential.base(), 3);
    }
}
