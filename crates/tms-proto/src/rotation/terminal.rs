//! What a terminal keeps of its administrators' secrets.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use tms_crypto::{password, verifier::Verifier};
use uuid::Uuid;

use super::context;
use crate::{
    mutation::{Mutation, without},
    task::{Command, Outcome, TaskResult},
};

/// How far ahead of the one in force a new generation may be: far more than a host ever gives up in a
/// row, and far less than would use the numbers up.
pub const MAX_AHEAD: u32 = 1 << 20;
/// Most defaults of its own that a terminal knows.
const MAX_OWN_DEFAULTS: usize = 16;

/// The terminal's administrator credentials. Durable: see [`Handled`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSlots {
    roles: BTreeMap<String, RoleSlots>,
    /// Defaults that this maker delivers with, beside those that manuals print.
    #[serde(default)]
    own_defaults: OwnDefaults,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct OwnDefaults(BTreeSet<String>);

impl fmt::Debug for OwnDefaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} defaults", self.0.len())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RoleSlots {
    current: Held,
    next: Option<Next>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    held: Held,
    /// The operation that prepared it: no other commits or confirms it.
    operation: Uuid,
    /// Whether it opens the terminal already.
    committed: bool,
}

/// A verifier with its generation. Prints without the verifier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    generation: u32,
    #[serde(with = "crate::saved::hexadecimal")]
    verifier: Vec<u8>,
    /// Whether its secret is a default.
    #[serde(default)]
    is_default: bool,
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

/// What came of a credential command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "save first when it says so, then answer"]
pub struct Handled {
    /// What to answer.
    pub result: TaskResult,
    /// The slots have changed: save them before the result goes out. A terminal that answers first and
    /// forgets has told the host what is no longer so.
    pub must_save: bool,
}

impl CredentialSlots {
    /// Takes a secret for a default, such as the one that this model is delivered with. The terminal
    /// knows those that public manuals print. At most sixteen are kept.
    pub fn know_default(&mut self, secret: &str) {
        if self.own_defaults.0.len() < MAX_OWN_DEFAULTS {
            self.own_defaults.0.insert(secret.to_owned());
        }
    }

    /// Puts in the credential that the terminal was delivered with. It may be a default; it then opens
    /// nothing until it is rotated.
    pub fn install(&mut self, role: &str, generation: u32, verifier: &Verifier) {
        let current = self.hold(generation, verifier);
        self.roles.insert(role.to_owned(), RoleSlots { current, next: None });
    }

    /// The generation that `secret` is, if it opens `role` now. A default opens nothing.
    #[must_use]
    pub fn try_secret(&self, role: &str, secret: &[u8]) -> Option<u32> {
        let slots = self.roles.get(role)?;
        let opens =
            |held: &Held| (!held.is_default || without(Mutation::DefaultOpens)) && held.opens_to(secret);
        if opens(&slots.current) {
            return Some(slots.current.generation);
        }
        let next = slots.next.as_ref().filter(|next| next.committed || without(Mutation::PreparedOpens))?;
        opens(&next.held).then_some(next.held.generation)
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

    /// Roles whose secret in force is still a default.
    #[must_use]
    pub fn default_still_set(&self) -> BTreeSet<String> {
        let still = |slots: &RoleSlots| {
            slots.current.is_default && slots.next.as_ref().is_none_or(|next| !next.committed)
        };
        self.roles.iter().filter(|(_, slots)| still(slots)).map(|(role, _)| role.clone()).collect()
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
    ) -> Handled {
        let mut result = TaskResult::new(operation, step, Outcome::DONE);
        let role = match command {
            Command::CredentialPrepare { role, .. }
            | Command::CredentialCommit { role, .. }
            | Command::CredentialVerify { role, .. }
            | Command::CredentialConfirm { role, .. }
            | Command::CredentialAbandon { role, .. } => role,
            _ => {
                result.outcome = Outcome::UNKNOWN_COMMAND;
                return Handled { result, must_save: false };
            }
        };
        let before = self.roles.get(role).cloned();
        match command {
            Command::CredentialPrepare { generation, base, sealed, .. } => {
                let context = context(operation, terminal, role, *generation);
                result.outcome = match unseal(sealed, &context) {
                    Some(verifier) => self.prepare(operation, role, *base, *generation, &verifier),
                    None => Outcome::UNSEAL_FAILED,
                };
            }
            Command::CredentialCommit { generation, .. } => {
                result.outcome = self.commit(operation, role, *generation);
            }
            Command::CredentialVerify { generation, challenge, .. } => {
                result.proof = self.verifier(role, *generation).map(|verifier| {
                    verifier.prove(challenge, &context(operation, terminal, role, *generation))
                });
                if result.proof.is_none() {
                    result.outcome = Outcome::WRONG_STATE;
                }
            }
            Command::CredentialConfirm { generation, .. } => {
                result.outcome = self.confirm(operation, role, *generation);
            }
            _ => result.outcome = self.abandon(role, command),
        }
        let must_save = before.as_ref() != self.roles.get(role) && !without(Mutation::AnswerFirst);
        Handled { result: explained(result), must_save }
    }

    fn prepare(
        &mut self,
        operation: Uuid,
        role: &str,
        base: u32,
        generation: u32,
        verifier: &Verifier,
    ) -> Outcome {
        let held = self.hold(generation, verifier);
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        if generation <= slots.current.generation && !without(Mutation::OldGeneration) {
            return Outcome::ROLLBACK;
        }
        let ahead = generation.saturating_sub(slots.current.generation);
        if ahead > MAX_AHEAD && !without(Mutation::GenerationAhead) {
            return Outcome::GENERATION_AHEAD;
        }
        if held.is_default && !without(Mutation::DefaultTaken) {
            return Outcome::DEFAULT_SECRET;
        }
        match &slots.next {
            Some(next) if next.held.generation > generation => return Outcome::ROLLBACK,
            Some(next) if next.held.generation == generation && next.committed => {
                return if next.operation == operation { Outcome::DONE } else { Outcome::WRONG_STATE };
            }
            // The host confirmed it, and the confirmation was lost: this is the one in force.
            Some(next)
                if next.committed && next.held.generation == base && !without(Mutation::BaseForgotten) =>
            {
                slots.current = next.held.clone();
            }
            // What else is there was given up by the host.
            _ if slots.current.generation == base || without(Mutation::AnyBase) => {}
            // The host holds another one to be in force: dropping any of ours could lock people out.
            _ => return Outcome::WRONG_STATE,
        }
        slots.next = Some(Next { held, operation, committed: false });
        Outcome::DONE
    }

    fn commit(&mut self, operation: Uuid, role: &str, generation: u32) -> Outcome {
        match self.roles.get_mut(role) {
            Some(RoleSlots { next: Some(next), .. }) if next.is(operation, generation) => {
                next.committed = true;
                Outcome::DONE
            }
            Some(slots) if slots.current.generation == generation => Outcome::DONE,
            _ => Outcome::WRONG_STATE,
        }
    }

    fn confirm(&mut self, operation: Uuid, role: &str, generation: u32) -> Outcome {
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        match &slots.next {
            Some(next) if next.is(operation, generation) && next.committed => {
                if !without(Mutation::OldStays) {
                    slots.current = next.held.clone();
                    slots.next = None;
                }
                Outcome::DONE
            }
            _ if slots.current.generation == generation => Outcome::DONE,
            _ => Outcome::WRONG_STATE,
        }
    }

    fn abandon(&mut self, role: &str, command: &Command) -> Outcome {
        let Command::CredentialAbandon { generation, .. } = command else { return Outcome::UNKNOWN_COMMAND };
        let Some(slots) = self.roles.get_mut(role) else { return Outcome::WRONG_STATE };
        if slots.next.as_ref().is_some_and(|n| n.held.generation == *generation) {
            slots.next = None;
        }
        Outcome::DONE
    }

    /// What a proof is made with: a generation that opens the terminal, and no default.
    fn verifier(&self, role: &str, generation: u32) -> Option<Verifier> {
        let slots = self.roles.get(role)?;
        let held = match &slots.next {
            Some(next) if next.committed && next.held.generation == generation => &next.held,
            _ => Some(&slots.current).filter(|held| held.generation == generation)?,
        };
        Verifier::from_bytes(&held.verifier).ok().filter(|_| !held.is_default)
    }

    fn hold(&self, generation: u32, verifier: &Verifier) -> Held {
        let own = self.own_defaults.0.iter().map(String::as_str);
        let is_default = password::documented_defaults()
            .iter()
            .copied()
            .chain(own)
            .any(|default| verifier.matches(default.as_bytes()));
        Held { generation, verifier: verifier.to_bytes().to_vec(), is_default }
    }
}

impl Next {
    fn is(&self, operation: Uuid, generation: u32) -> bool {
        self.held.generation == generation
            && (self.operation == operation || without(Mutation::ForeignOperation))
    }
}

fn explained(result: TaskResult) -> TaskResult {
    let why = match result.outcome {
        Outcome::DEFAULT_SECRET => "the new secret is a default that manuals print",
        Outcome::GENERATION_AHEAD => "the generation is too far ahead of the one in force",
        _ => return result,
    };
    result.because(why)
}
