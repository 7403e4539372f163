//! A credential rotation in hand: each phase durable before the next command.

use tms_core::{Operation, OperationState, Reported, Role, RotationPhase, TerminalId};
use tms_crypto::{seal, verifier::Verifier};
use tms_proto::{
    Refusal,
    rotation::{self, HostPhase, HostRotation, RotationError},
    task::TaskResult,
};
use tracing::info;

use super::{Impossible, Stage, Work};
use crate::{secret::CredentialSecret, session::Session};

#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) machine: HostRotation,
    pub(super) role: Role,
    pub(super) generation: u32,
    verifier: Verifier,
    pub(super) sealed: Vec<u8>,
    pub(super) challenge: [u8; 16],
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
        let base = credential.as_ref().and_then(|c| c.current.as_ref()).map_or(0, |c| c.generation);
        if base == generation {
            return Err(Impossible::Done);
        }
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
            Err(error) => {
                let abandoned = machine.abandon();
                self.give_up(error.to_string()).await?;
                if let Some(task) = abandoned.ok().filter(|_| self.protocol.can_push()) {
                    // Best effort: a terminal that keeps an abandoned generation replaces it next time.
                    let _ = self.protocol.push_command(task, self.app.now());
                }
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
        durable.map_err(|e| self.store_refusal(&e))?;
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
            return self.finish(OperationState::Done, None).await;
        }
        // The next step is a new thing to fetch.
        self.move_to(OperationState::Queued, None).await?;
        if let Some(work) = &mut self.work {
            work.deadline = None;
        }
        self.offer().await.map_err(|_| Refusal::SystemError)
    }

    pub(in crate::session) async fn abandon_rotation(
        &mut self,
        terminal: &TerminalId,
        role: &Role,
        generation: u32,
        reason: String,
    ) -> Result<(), Refusal> {
        let now = self.app.now();
        if let Some(work) = self.work.take() {
            self.fail(&work.operation, reason).await;
        }
        self.app
            .store
            .abandon_rotation(terminal, role, generation, now)
            .await
            .map_err(|e| self.store_refusal(&e))?;
        Ok(())
    }
}
