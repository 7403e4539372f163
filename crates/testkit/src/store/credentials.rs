//! Credentials and their rotation.

use jiff::Timestamp;
use tms_core::{
    Credential, Generation, Operation, OperationKind, OperationState, PendingGeneration, Role, RotationPhase,
    TerminalId,
};
use tms_store::{Result, StoreError, Ticket};

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn begin_rotation(
        &mut self,
        tid: &TerminalId,
        role: &Role,
        sealed: Vec<u8>,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        self.known_terminal(tid)?;
        self.unused(ticket.id)?;
        let key = (tid.clone(), role.clone());
        let mut credential = self.credentials.get(&key).cloned().unwrap_or_else(|| Credential {
            terminal: tid.clone(),
            role: role.clone(),
            current: None,
            pending: None,
            foreign_generation: None,
            highest_generation: 0,
            version: 0,
        });
        if let Some(pending) = &credential.pending {
            return Err(conflict(format!(
                "a rotation of role {role} on terminal {tid} to generation {} is already under way",
                pending.generation
            )));
        }
        if let Some(reported) = self.known_terminal(tid)?.reported.credentials.get(role) {
            credential.learn(*reported);
        }
        let generation = credential
            .next_generation()
            .ok_or_else(|| conflict(format!("the generations of role {role} are used up")))?;
        credential.highest_generation = generation;
        let phase = RotationPhase::Prepared;
        credential.pending = Some(PendingGeneration { generation, sealed, phase, operation: ticket.id });
        credential.version = credential.version.saturating_add(1);
        self.credentials.insert(key, credential);
        self.known_terminal(tid)?.desired.credentials.insert(role.clone(), generation);
        let kind = OperationKind::RotateCredential { role: role.clone(), generation };
        self.enqueue_with(tid, kind, ticket, now)
    }

    pub(super) fn set_pending_phase(
        &mut self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        phase: RotationPhase,
    ) -> Result<Credential> {
        let credential = self.known_credential(tid, role)?;
        let Some(pending) = credential.pending.as_mut().filter(|p| p.generation == generation) else {
            return Err(not_pending(tid, role, generation));
        };
        if phase < pending.phase {
            return Err(conflict(format!(
                "the rotation of role {role} on terminal {tid} is {} and cannot go back to {phase}",
                pending.phase
            )));
        }
        if phase > pending.phase {
            pending.phase = phase;
            credential.version = credential.version.saturating_add(1);
        }
        Ok(credential.clone())
    }

    pub(super) fn confirm_rotation(
        &mut self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let credential = self.known_credential(tid, role)?;
        match &credential.pending {
            Some(pending) if pending.generation == generation => {
                if pending.phase != RotationPhase::Verified {
                    return Err(conflict(format!(
                        "generation {generation} of role {role} on terminal {tid} is {}, not verified",
                        pending.phase
                    )));
                }
                let sealed = pending.sealed.clone();
                credential.pending = None;
                credential.current = Some(Generation { generation, sealed, since: kept(now) });
                credential.foreign_generation = None;
                credential.version = credential.version.saturating_add(1);
            }
            None if credential.current.as_ref().is_some_and(|current| current.generation == generation) => {}
            _ => return Err(not_pending(tid, role, generation)),
        }
        Ok(credential.clone())
    }

    pub(super) fn abandon_rotation(
        &mut self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let credential = self.known_credential(tid, role)?;
        let Some(pending) = credential.pending.as_ref().filter(|p| p.generation == generation) else {
            return Ok(credential.clone());
        };
        if pending.phase == RotationPhase::Verified {
            return Err(conflict(format!(
                "generation {generation} of role {role} on terminal {tid} is verified and can only be confirmed"
            )));
        }
        let operation = pending.operation;
        credential.pending = None;
        credential.version = credential.version.saturating_add(1);
        let credential = credential.clone();
        let desired = &mut self.known_terminal(tid)?.desired;
        match &credential.current {
            Some(current) => desired.credentials.insert(role.clone(), current.generation),
            None => desired.credentials.remove(role),
        };
        if self.operations.get(&operation).is_some_and(Operation::is_open) {
            let detail = Some("the rotation was abandoned".to_owned());
            self.transition(operation, OperationState::Cancelled, detail, now)?;
        }
        Ok(credential)
    }

    pub(super) fn credentials_of(&self, tid: &TerminalId) -> Vec<Credential> {
        let own = self.credentials.iter().filter(|((terminal, _), _)| terminal == tid);
        own.map(|(_, credential)| credential.clone()).collect()
    }

    fn known_credential(&mut self, tid: &TerminalId, role: &Role) -> Result<&mut Credential> {
        self.credentials
            .get_mut(&(tid.clone(), role.clone()))
            .ok_or_else(|| not_found("credential", format!("of role {role} on terminal {tid}")))
    }
}

fn not_pending(tid: &TerminalId, role: &Role, generation: u32) -> StoreError {
    conflict(format!("generation {generation} of role {role} on terminal {tid} is not pending"))
}
