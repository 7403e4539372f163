//! Both sides, and what is between them.

use tms_crypto::verifier::Verifier;
use uuid::Uuid;

use super::{super::*, Meddling};
use crate::task::{Command, Outcome, Task, TaskResult};

const TID: &str = "10000001";
/// The second role is delivered with a default.
pub(super) const ROLES: [&str; 2] = ["99", "00"];
const DEFAULT: &str = "123456";
const FIRST: u32 = 5;
/// Messages that the channel holds.
const CHANNEL: usize = 8;

/// What the host keeps of one role.
#[derive(Debug)]
struct Credential {
    /// The generation that the host holds to be in force.
    current: u32,
    /// Older ones must not open any more: the terminal has confirmed this one.
    confirmed: u32,
    last: u32,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    machine: HostRotation,
    operation: Uuid,
    generation: u32,
    secret: String,
    durable: HostPhase,
    challenge: [u8; 16],
    commit_ordered: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) terminal: CredentialSlots,
    pub(super) durable: CredentialSlots,
    host: [Credential; 2],
    pub(super) commands: Vec<Task>,
    pub(super) results: Vec<TaskResult>,
    operations: u128,
    /// Secrets of the other host, which must never open.
    foreign: Vec<(usize, String)>,
}

fn secret(role: usize, generation: u32) -> String {
    if role == 1 && generation == FIRST { DEFAULT.to_owned() } else { format!("{role}7{generation:06}") }
}

fn verifier(secret: &str) -> Verifier {
    Verifier::derive(secret.as_bytes(), [7; 16], 1)
}

/// Stands for a verifier sealed to the terminal's key: it opens with the right context only.
fn seal(context: &[u8], verifier: &Verifier) -> Vec<u8> {
    [context, &verifier.to_bytes()].concat()
}

fn unseal(sealed: &[u8], context: &[u8]) -> Option<Verifier> {
    Verifier::from_bytes(sealed.strip_prefix(context)?).ok()
}

impl World {
    pub(super) fn new() -> Self {
        let mut terminal = CredentialSlots::default();
        for (role, name) in ROLES.iter().enumerate() {
            terminal.install(name, FIRST, &verifier(&secret(role, FIRST)));
        }
        let credential = || Credential { current: FIRST, confirmed: FIRST, last: FIRST, pending: None };
        Self {
            durable: terminal.clone(),
            terminal,
            host: [credential(), credential()],
            commands: Vec::new(),
            results: Vec::new(),
            operations: 0,
            foreign: Vec::new(),
        }
    }

    fn operation(&mut self) -> Uuid {
        self.operations += 1;
        Uuid::from_u128(self.operations)
    }

    pub(super) fn rotate(&mut self, role: usize, to_default: bool) {
        if self.host[role].pending.is_some() {
            return;
        }
        let operation = self.operation();
        let credential = &mut self.host[role];
        credential.last += 1;
        let generation = credential.last;
        let machine = HostRotation::new(
            operation,
            TID,
            ROLES[role],
            credential.current,
            generation,
            HostPhase::Preparing,
        );
        credential.pending = Some(Pending {
            machine,
            operation,
            generation,
            secret: if to_default { DEFAULT.to_owned() } else { secret(role, generation) },
            durable: HostPhase::Preparing,
            challenge: [generation as u8; 16],
            commit_ordered: false,
        });
    }

    pub(super) fn command(&mut self, role: usize) {
        let Some(pending) = &mut self.host[role].pending else { return };
        let context = context(pending.operation, TID, ROLES[role], pending.generation);
        let sealed = seal(&context, &verifier(&pending.secret));
        let Some(task) = pending.machine.task(&sealed, pending.challenge) else { return };
        pending.commit_ordered |= matches!(task.command, Command::CredentialCommit { .. });
        if self.commands.len() < CHANNEL {
            self.commands.push(task);
        }
    }

    /// The terminal saves what it must and answers; a crash comes before both.
    pub(super) fn at_terminal(&mut self, task: &Task, crash: bool) {
        let handled = self.terminal.handle(task.operation, task.step, TID, &task.command, unseal);
        if let Command::CredentialPrepare { sealed, .. } = &task.command {
            let default = sealed.ends_with(&verifier(DEFAULT).to_bytes());
            assert!(!default || !handled.result.outcome.is_done(), "a default was taken for a new secret");
        }
        if crash {
            self.terminal = self.durable.clone();
            return;
        }
        if handled.must_save {
            self.durable = self.terminal.clone();
        }
        if self.results.len() < CHANNEL {
            self.results.push(handled.result);
        }
    }

    pub(super) fn at_host(&mut self, result: &TaskResult) {
        for (role, name) in ROLES.iter().enumerate() {
            let credential = &mut self.host[role];
            let Some(pending) = &mut credential.pending else { continue };
            match pending.machine.on_result(result, &verifier(&pending.secret), &pending.challenge) {
                Err(RotationError::OutOfStep { .. }) => {}
                Err(_) => {
                    // After the proof the host asks again.
                    if let Ok(task) = pending.machine.abandon() {
                        credential.pending = None;
                        self.commands.push(task);
                    }
                }
                Ok(HostPhase::Confirmed) => {
                    let generation = pending.generation;
                    *credential = Credential {
                        current: generation,
                        confirmed: generation,
                        pending: None,
                        ..*credential
                    };
                    assert!(self.terminal.generations()[*name] >= generation, "the host is ahead");
                }
                Ok(phase) => {
                    // What a host that keeps only these three phases finds after a crash.
                    if phase != HostPhase::Prepared {
                        pending.durable = phase;
                    }
                    pending.challenge = pending.challenge.map(|byte| byte.wrapping_add(17));
                }
            }
        }
    }

    /// The operation expires: before the proof the rotation is given up, after it the new one counts.
    pub(super) fn expire(&mut self, role: usize) {
        let credential = &mut self.host[role];
        let Some(mut pending) = credential.pending.take() else { return };
        match pending.machine.abandon() {
            Ok(task) => self.commands.push(task),
            Err(_) => credential.current = pending.generation,
        }
    }

    pub(super) fn crash_host(&mut self) {
        for (role, name) in ROLES.iter().enumerate() {
            let base = self.host[role].current;
            if let Some(pending) = &mut self.host[role].pending {
                pending.machine = HostRotation::new(
                    pending.operation,
                    TID,
                    name,
                    base,
                    pending.generation,
                    pending.durable,
                );
                pending.challenge = pending.challenge.map(|byte| byte.wrapping_add(101));
            }
        }
    }

    pub(super) fn forge(&mut self, role: usize) {
        let Some(pending) = &self.host[role].pending else { return };
        // A forged confirmation says nothing that the proof has not said.
        if pending.machine.phase() == HostPhase::Verified {
            return;
        }
        let Some(task) = pending.machine.task(b"", [0; 16]) else { return };
        let proof = Some([9; 32]);
        self.at_host(&TaskResult { proof, ..TaskResult::new(pending.operation, task.step, Outcome::DONE) });
    }

    pub(super) fn meddle(&mut self, role: usize, how: Meddling) {
        let credential = &self.host[role];
        let (base, generation, all) = match how {
            Meddling::OldBase => (credential.confirmed - 1, credential.last + 3, true),
            Meddling::OldGeneration => (credential.current, credential.confirmed, true),
            Meddling::FarAhead => (credential.current, u32::MAX, false),
            Meddling::SameGeneration => match &credential.pending {
                Some(pending) => (credential.current, pending.generation, false),
                None => return,
            },
        };
        let (operation, name) = (self.operation(), ROLES[role]);
        let secret = format!("{role}9{:06}", self.operations);
        let sealed = seal(&context(operation, TID, name, generation), &verifier(&secret));
        self.foreign.push((role, secret));
        let role = name.to_owned();
        let prepare = Command::CredentialPrepare { role: role.clone(), generation, base, sealed };
        let rest = [
            Command::CredentialCommit { role: role.clone(), generation },
            Command::CredentialConfirm { role, generation },
        ];
        for command in std::iter::once(prepare).chain(rest.into_iter().filter(|_| all)) {
            let handled = self.terminal.handle(operation, 1, TID, &command, unseal);
            if handled.must_save {
                self.durable = self.terminal.clone();
            }
        }
    }

    pub(super) fn check(&self) {
        for slots in [&self.terminal, &self.durable] {
            for (role, name) in ROLES.iter().enumerate() {
                let credential = &self.host[role];
                let opens = |secret: &str| slots.try_secret(name, secret.as_bytes()).is_some();
                let pending = credential.pending.as_ref();
                let proved = pending.filter(|pending| pending.machine.phase() == HostPhase::Verified);
                let known =
                    proved.map_or_else(|| secret(role, credential.current), |pending| pending.secret.clone());
                assert!(
                    known == DEFAULT || opens(&known),
                    "{name}: the secret that the host holds opens nothing"
                );
                assert!(!opens(DEFAULT), "{name}: a default opens");
                let generation = slots.generations()[*name];
                assert!(generation >= credential.current, "{name}: generation {generation} went back");
                for old in FIRST..credential.confirmed {
                    assert!(!opens(&secret(role, old)), "{name}: {old} opens after it was replaced");
                }
                if let Some(pending) = pending.filter(|pending| !pending.commit_ordered) {
                    assert!(!opens(&pending.secret), "{name}: a secret opens that nobody committed");
                }
            }
            for (role, secret) in &self.foreign {
                assert!(
                    slots.try_secret(ROLES[*role], secret.as_bytes()).is_none(),
                    "a foreign secret opens"
                );
            }
        }
    }

    /// Without faults: every role gets a new secret, and only that opens.
    pub(super) fn converge(&mut self) {
        self.commands.clear();
        self.results.clear();
        for (role, name) in ROLES.iter().enumerate() {
            let mut confirmed = false;
            for _ in 0..60 {
                let before = self.host[role].confirmed;
                self.rotate(role, false);
                self.command(role);
                for task in std::mem::take(&mut self.commands) {
                    self.at_terminal(&task, false);
                }
                for result in std::mem::take(&mut self.results) {
                    self.at_host(&result);
                }
                self.check();
                confirmed |=
                    self.host[role].confirmed > before && self.host[role].confirmed == self.host[role].last;
                if confirmed && self.host[role].pending.is_none() {
                    break;
                }
            }
            assert!(confirmed, "{name}: no rotation succeeds any more");
        }
        assert!(self.terminal.default_still_set().is_empty(), "a default is still set");
    }
}
