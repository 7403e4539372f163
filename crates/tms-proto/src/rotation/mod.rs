//! Changing an administrator credential without locking anyone out.
//!
//! prepare (the terminal keeps the new verifier beside the old) → commit (the new one opens the
//! terminal too) → verify (the terminal proves that it has it) → confirm (the old one is
//! forgotten). Until the proof is checked, both sides keep both generations; a rotation that
//! fails anywhere before leaves the old credential in force.
//!
//! [`HostRotation`] is the host's side of one rotation, [`CredentialSlots`] what a terminal keeps of
//! every role. A secret that public manuals print opens nothing, proves nothing and is not taken for a
//! new one; that a role still has one is told by [`CredentialSlots::default_still_set`].

mod host;
#[cfg(test)]
mod model;
mod terminal;
#[cfg(test)]
mod tests;

use uuid::Uuid;

use crate::task::Outcome;

pub use host::{HostPhase, HostRotation, RotationError};
pub use terminal::{CredentialSlots, Handled, MAX_AHEAD};

/// HPKE `info` of a sealed verifier.
pub const SEAL_INFO: &[u8] = b"tms8583 administrator credential 1";

impl Outcome {
    /// The new secret is a default that manuals print.
    pub const DEFAULT_SECRET: Self = Self(24);
    /// The generation is further ahead than any host would be.
    pub const GENERATION_AHEAD: Self = Self(25);
}

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
