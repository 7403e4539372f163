//! A credential rotation in hand: each phase durable before the next command.

use tms_core::{Operation, OperationState, Outcome, Reported, Role, RotationPhase, TerminalId};
use tms_crypto::{seal, verifier::Verifier};
use tms_proto::{
    Refusal,
    rotation::{self, HostPhase, HostRotation, RotationError},
    task::TaskResult,
};
use tracing::info;

use super::{Impossible, Stage, Work};
use crate::{secret::CredentialSecret, session::Session};

#[derive(Debug, Clone)]
pub(super) struct Rotation {
    pub(super) machine: HostRotation,
    pub(super) role: Role,
    pub(super) generation: u32,
    verifier: Verifier,
    pub(super) sealed: Vec<u8>,
    /// Random, for this staging alone, and the only one whose proof counts: a proof of an earlier one shows
    /// what was, perhaps on another connection. It stays in force until it is proved, because a proof of it
    /// may be under way already whenever a wrong one arrives.
    pub(super) challenge: [u8; 16],
    /// Proofs of something else that came while this challenge was in force.
    wrong_proofs: u32,
}

impl Session {
    pub(super) async fn rotation(
        &self,
        terminal: &TerminalId,
        operation: &Operation,
        role: &Role,
        generation: u32,
    ) -> Result<Rotation, Impossible> {
        let impossible = |reason: String| Impossible::Reason(reason);
        let credential = self.app.store.credential(terminal, role).await?;
        let current = credential.as_ref().and_then(|c| c.current.as_ref());
        if current.is_some_and(|current| current.generation == generation) {
            return Err(Impossible::Done);
        }
        let base = credential.as_ref().map_or(0, tms_core::Credential::base);
        let pending =
            credential.and_then(|c| c.pending).filter(|p| p.generation == generation).ok_or_else(|| {
                impossible(format!("generation {generation} of role {role} is not pending any more"))
            })?;
        let secret = CredentialSecret::unseal(&self.app.vault, terminal, role, &pending.sealed)
            .map_err(|e| impossible(format!("the new credential cannot be opened: {e}")))?;
        let record = self.stored_terminal(terminal).await?;
        let key = record.map(|t| t.sealing_public_key).unwrap_or_default();
        let id = *operation.id.as_uuid();
        let context = rotation::context(id, terminal.as_str(), role.as_str(), generation);
        let verifier = secret.verifier();
        let sealed = seal::seal_to(&key, rotation::SEAL_INFO, &context, &verifier.to_bytes())
            .map_err(|e| impossible(format!("the credential cannot be sealed to the terminal's key: {e}")))?;
        let phase = match pending.phase {
            RotationPhase::Prepared => HostPhase::Preparing,
            RotationPhase::Committed => HostPhase::Committed,
            RotationPhase::Verified => HostPhase::Verified,
        };
        Ok(Rotation {
            machine: HostRotation::new(id, terminal.as_str(), role.as_str(), base, generation, phase),
            role: role.clone(),
            generation,
            verifier,
            sealed,
            challenge: self.app.random.bytes(),
            wrong_proofs: 0,
        })
    }

    pub(in crate::session) async fn take_rotation_result(
        &mut self,
        terminal: &TerminalId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let Some(Work { stage: Stage::Rotation(rotation), .. }) = &mut self.work else { return Ok(()) };
        let (role, generation) = (rotation.role.clone(), rotation.generation);
        // The step counts when it is durable: until then the machine in hand stays where it is.
        let mut machine = rotation.machine.clone();
        let phase = match machine.on_result(result, &rotation.verifier, &rotation.challenge) {
            Ok(phase) => phase,
            Err(RotationError::OutOfStep { .. }) => return Ok(()),
            Err(RotationError::ProofWrong)
                if rotation.wrong_proofs.saturating_add(1) < self.app.limits.operation_attempts =>
            {
                // Most likely late, of a challenge from before: asked again, it is soon known.
                rotation.wrong_proofs = rotation.wrong_proofs.saturating_add(1);
                info!(terminal = terminal.as_str(), role = role.as_str(), generation, "wrong proof");
                return self.ask_again().await;
            }
            Err(error) => {
                let ended = rotation.clone();
                self.give_up(Outcome::Failed, error.to_string()).await?;
                self.tell_of_abandonment(terminal, *ended).await;
                return Ok(());
            }
        };
        let (store, now) = (&self.app.store, self.app.now());
        let durable = match phase {
            HostPhase::Committed => store
                .set_pending_phase(terminal, &role, generation, RotationPhase::Committed, now)
                .await
                .map(drop),
            HostPhase::Verified => store
                .set_pending_phase(terminal, &role, generation, RotationPhase::Verified, now)
                .await
                .map(drop),
            HostPhase::Confirmed => store.confirm_rotation(terminal, &role, generation, now).await.map(drop),
            HostPhase::Preparing | HostPhase::Prepared | HostPhase::Abandoned => Ok(()),
        };
        if let Err(error) = durable {
            // It may be durable all the same, and a rotation that lags behind the store would take back what
            // is proved.
            self.put_down().await;
            return Err(self.store_refusal(&error));
        }
        if let Some(Work { stage: Stage::Rotation(rotation), .. }) = &mut self.work {
            rotation.machine = machine;
            rotation.challenge = self.app.random.bytes();
        }
        if phase == HostPhase::Confirmed {
            // Proved, so known: no need to wait for the next report.
            let credentials = [(role.clone(), generation)].into();
            let known = Reported { credentials, ..Reported::default() };
            let recorded = self.app.store.record_report(terminal, known, now).await;
            self.or_log(recorded);
            self.app.counters.credentials_rotated.increment();
            info!(
                terminal = terminal.as_str(),
                role = role.as_str(),
                generation,
                "credential rotated and verified"
            );
            let finished = self.finish(OperationState::Done, None).await;
            if finished.is_err() {
                self.put_down().await;
            }
            return finished;
        }
        self.ask_again().await
    }

    /// The next step, or the same one again, is a new thing to fetch.
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        if let Some(work) = &mut self.work {
            work.is_taken = false;
            work.deadline = None;
        }
        self.offer().await.map_err(|_| Refusal::SystemError)
    }

    /// A rotation that ended otherwise leaves nothing behind, if the terminal hears of it; what it does not
    /// hear the next rotation puts right. First the store: what it holds to be proved or in force, perhaps
    /// by another session, the terminal must keep, and what it has given up nobody can prove any more.
    pub(super) async fn tell_of_abandonment(&mut self, terminal: &TerminalId, mut ended: Rotation) {
        let (generation, now) = (ended.generation, self.app.now());
        let Ok(task) = ended.machine.abandon() else { return };
        let given_up = self.app.store.abandon_rotation(terminal, &ended.role, generation, now).await;
        let Some(credential) = self.or_log(given_up) else { return };
        let in_force = credential.current.is_some_and(|current| current.generation == generation);
        if !in_force && self.protocol.can_push() {
            let _ = self.protocol.push_command(task, now);
        }
    }

    pub(in crate::session) async fn abandon_rotation(
        &mut self,
        terminal: &TerminalId,
        role: &Role,
        generation: u32,
        outcome: Outcome,
        reason: String,
    ) -> Result<(), Refusal> {
        let now = self.app.now();
        if let Some(work) = self.work.take() {
            let failed = self.fail(&work.operation, outcome, reason, None).await;
            self.or_log(failed);
            // If even that failed, it is still leased.
            self.leases_left = true;
        }
        self.app
            .store
            .abandon_rotation(terminal, role, generation, now)
            .await
            .map_err(|e| self.store_refusal(&e))?;
        Ok(())
    }
}
