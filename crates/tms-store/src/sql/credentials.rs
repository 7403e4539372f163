//! Credentials and their rotation.

use jiff::Timestamp;
use sqlx::Executor;
use tms_core::{
    Credential, Generation, Operation, OperationKind, OperationState, PendingGeneration, Role, RotationPhase,
    TerminalId,
};

use super::{Connection, Db, operations, sql, terminals};
use crate::error::StoreError;
use crate::row::{CredentialRow, kept, micros, signed};
use crate::store::{Result, Ticket};

pub(super) async fn begin_rotation(
    c: &mut Connection,
    tid: &TerminalId,
    role: &Role,
    sealed: &[u8],
    ticket: Ticket,
    now: Timestamp,
) -> Result<Operation> {
    let mut desired = terminals::desired(c, tid).await?;
    let mut credential = one(&mut *c, tid, role).await?.unwrap_or_else(|| Credential {
        terminal: tid.clone(),
        role: role.clone(),
        current: None,
        pending: None,
        foreign_generation: None,
        highest_generation: 0,
        version: 0,
    });
    if let Some(pending) = &credential.pending {
        return Err(StoreError::conflict(format!(
            "a rotation of role {role} on terminal {tid} to generation {} is already under way",
            pending.generation
        )));
    }
    if let Some(reported) = terminals::reported(c, tid).await?.credentials.get(role) {
        credential.learn(*reported);
    }
    let generation = credential
        .next_generation()
        .ok_or_else(|| StoreError::conflict(format!("the generations of role {role} are used up")))?;
    credential.highest_generation = generation;
    credential.pending = Some(PendingGeneration {
        generation,
        sealed: sealed.to_vec(),
        phase: RotationPhase::Prepared,
        operation: ticket.id,
    });
    put(c, &mut credential).await?;
    desired.credentials.insert(role.clone(), generation);
    terminals::set_desired(c, tid, &desired).await?;
    let kind = OperationKind::RotateCredential { role: role.clone(), generation };
    operations::enqueue(c, &operations::with_ticket(tid.clone(), kind, ticket), now).await
}

pub(super) async fn set_pending_phase(
    c: &mut Connection,
    tid: &TerminalId,
    role: &Role,
    generation: u32,
    phase: RotationPhase,
) -> Result<Credential> {
    let mut credential = existing(c, tid, role).await?;
    let Some(pending) = credential.pending.as_mut().filter(|p| p.generation == generation) else {
        return Err(not_pending(tid, role, generation));
    };
    if phase < pending.phase {
        return Err(StoreError::conflict(format!(
            "the rotation of role {role} on terminal {tid} is {} and cannot go back to {phase}",
            pending.phase
        )));
    }
    if phase > pending.phase {
        pending.phase = phase;
        put(c, &mut credential).await?;
    }
    Ok(credential)
}

pub(super) async fn confirm_rotation(
    c: &mut Connection,
    tid: &TerminalId,
    role: &Role,
    generation: u32,
    now: Timestamp,
) -> Result<Credential> {
    let mut credential = existing(c, tid, role).await?;
    match credential.pending.take() {
        Some(pending) if pending.generation == generation => {
            if pending.phase != RotationPhase::Verified {
                return Err(StoreError::conflict(format!(
                    "generation {generation} of role {role} on terminal {tid} is {}, not verified",
                    pending.phase
                )));
            }
            credential.current = Some(Generation { generation, sealed: pending.sealed, since: kept(now)? });
            credential.foreign_generation = None;
            put(c, &mut credential).await?;
            Ok(credential)
        }
        None if credential.current.as_ref().is_some_and(|current| current.generation == generation) => {
            Ok(credential)
        }
        _ => Err(not_pending(tid, role, generation)),
    }
}

pub(super) async fn abandon_rotation(
    c: &mut Connection,
    tid: &TerminalId,
    role: &Role,
    generation: u32,
    now: Timestamp,
) -> Result<Credential> {
    // The terminal before its credential, as everywhere: two changes must not wait for each other.
    let mut desired = terminals::desired(c, tid).await?;
    let mut credential = existing(c, tid, role).await?;
    let Some(pending) = credential.pending.take_if(|pending| pending.generation == generation) else {
        return Ok(credential);
    };
    if pending.phase == RotationPhase::Verified {
        return Err(StoreError::conflict(format!(
            "generation {generation} of role {role} on terminal {tid} is verified and can only be confirmed"
        )));
    }
    put(c, &mut credential).await?;
    match &credential.current {
        Some(current) => desired.credentials.insert(role.clone(), current.generation),
        None => desired.credentials.remove(role),
    };
    terminals::set_desired(c, tid, &desired).await?;
    let operation = operations::one(&mut *c, pending.operation).await?;
    if operation.is_some_and(|operation| operation.is_open()) {
        let detail = Some("the rotation was abandoned".to_owned());
        operations::transition(c, pending.operation, OperationState::Cancelled, &detail, now).await?;
    }
    Ok(credential)
}

pub(super) async fn one(
    e: impl Executor<'_, Database = Db>,
    tid: &TerminalId,
    role: &Role,
) -> Result<Option<Credential>> {
    sqlx::query_as::<_, CredentialRow>("SELECT * FROM credentials WHERE tid = $1 AND role = $2")
        .bind(tid.as_str())
        .bind(role.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(Credential::try_from)
        .transpose()
}

pub(super) async fn all(e: impl Executor<'_, Database = Db>, tid: &TerminalId) -> Result<Vec<Credential>> {
    sqlx::query_as::<_, CredentialRow>("SELECT * FROM credentials WHERE tid = $1 ORDER BY role")
        .bind(tid.as_str())
        .fetch_all(e)
        .await
        .map_err(sql)?
        .into_iter()
        .map(Credential::try_from)
        .collect()
}

/// The credential, for whoever is about to change it.
async fn existing(c: &mut Connection, tid: &TerminalId, role: &Role) -> Result<Credential> {
    sqlx::query_as::<_, CredentialRow>(locked!("SELECT * FROM credentials WHERE tid = $1 AND role = $2"))
        .bind(tid.as_str())
        .bind(role.as_str())
        .fetch_optional(c)
        .await
        .map_err(sql)?
        .map(Credential::try_from)
        .transpose()?
        .ok_or_else(|| StoreError::not_found("credential", format!("of role {role} on terminal {tid}")))
}

async fn put(c: &mut Connection, credential: &mut Credential) -> Result<()> {
    credential.version = credential.version.saturating_add(1);
    let current = credential.current.as_ref();
    let pending = credential.pending.as_ref();
    sqlx::query(
        "INSERT INTO credentials (tid, role, current_generation, current_sealed, current_since, \
         pending_generation, pending_sealed, pending_phase, pending_operation, highest_generation, version, \
         foreign_generation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (tid, role) DO UPDATE SET current_generation = excluded.current_generation, \
         current_sealed = excluded.current_sealed, current_since = excluded.current_since, \
         pending_generation = excluded.pending_generation, pending_sealed = excluded.pending_sealed, \
         pending_phase = excluded.pending_phase, pending_operation = excluded.pending_operation, \
         highest_generation = excluded.highest_generation, version = excluded.version, \
         foreign_generation = excluded.foreign_generation",
    )
    .bind(credential.terminal.as_str())
    .bind(credential.role.as_str())
    .bind(current.map(|current| i64::from(current.generation)))
    .bind(current.map(|current| current.sealed.as_slice()))
    .bind(current.map(|current| micros(current.since)))
    .bind(pending.map(|pending| i64::from(pending.generation)))
    .bind(pending.map(|pending| pending.sealed.as_slice()))
    .bind(pending.map(|pending| pending.phase.name()))
    .bind(pending.map(|pending| pending.operation.to_string()))
    .bind(i64::from(credential.highest_generation))
    .bind(signed(credential.version))
    .bind(credential.foreign_generation.map(i64::from))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

fn not_pending(tid: &TerminalId, role: &Role, generation: u32) -> StoreError {
    StoreError::conflict(format!("generation {generation} of role {role} on terminal {tid} is not pending"))
}
