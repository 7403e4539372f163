//! Leases: who works on an operation, or has a duty, and for how long.

use std::cmp::Reverse;

use jiff::Timestamp;
use tms_core::terms::Readiness;
use tms_core::{Lease, Operation, OperationId, OperationKind, OperationState, TerminalId};
use tms_store::{Result, work::latest_end};

use super::contents::{Contents, conflict, kept};

impl Contents {
    pub(super) fn lease_next(
        &mut self,
        tid: &TerminalId,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Operation> {
        let (now, until) = (kept(now), kept(until));
        let terminal = self.terminals.get(tid).filter(|terminal| terminal.place.life_cycle.takes_work())?;
        let zone = terminal.place.time_zone.clone();
        let id = loop {
            let next = self.first_free(tid, now)?;
            let is_bound = next.terms.window.is_some() || next.terms.not_before.is_some();
            if next.state != OperationState::Queued || !is_bound {
                break next.id;
            }
            let settled_at = self.settled.get(tid).copied();
            let (id, expires_at) = (next.id, next.expires_at);
            let readiness = next.terms.readiness(now, next.created_at, settled_at, &zone);
            match readiness {
                Readiness::Ready => break id,
                Readiness::At(at) => drop(self.due.insert(id, kept(at))),
                Readiness::AfterSettlement => drop(self.awaiting_settlement.insert(id)),
                Readiness::Never => drop(self.due.insert(id, expires_at)),
            }
            self.operations.get_mut(&id)?.updated_at = now;
        };
        let operation = self.operations.get_mut(&id)?;
        self.tried.entry(id).or_default().begin(operation.attempts, holder, now);
        operation.attempts = operation.attempts.saturating_add(1);
        operation.lease = Some(Lease { holder: holder.to_owned(), until });
        self.leased.insert(id);
        self.due.remove(&id);
        Some(operation.clone())
    }

    fn first_free(&self, tid: &TerminalId, now: Timestamp) -> Option<&Operation> {
        let is_free = |operation: &&Operation| {
            let held = operation.lease.as_ref().is_some_and(|lease| lease.until > now);
            // What was changed after now was changed by a clock that was wrong, and so was its due time.
            let is_due =
                operation.updated_at > now || self.due.get(&operation.id).is_none_or(|at| *at <= now);
            operation.expires_at > now && !held && is_due && !self.awaiting_settlement.contains(&operation.id)
        };
        let open = self.queues.get(tid)?.open.iter().filter_map(|id| self.operations.get(id));
        // The first of the least: those that cancel others, then the most urgent, then the oldest.
        let goes_after = |operation: &&Operation| {
            (operation.kind.name() != OperationKind::CANCEL, Reverse(operation.terms.priority))
        };
        open.filter(is_free).min_by_key(goes_after)
    }

    pub(super) fn extend_lease(&mut self, id: OperationId, holder: &str, until: Timestamp) -> Result<()> {
        let operation = self.known_operation(id)?;
        match operation.lease.as_mut().filter(|lease| lease.holder == holder) {
            Some(lease) => {
                lease.until = kept(until);
                Ok(())
            }
            None => Err(conflict(format!("operation {id} is not leased to {holder} any more"))),
        }
    }

    pub(super) fn take_duty(&mut self, duty: &str, holder: &str, until: Timestamp, now: Timestamp) -> bool {
        let latest = latest_end(until, now);
        let is_others = |(other, end): &(String, Timestamp)| other != holder && *end > now && *end <= latest;
        if self.duties.get(duty).is_some_and(is_others) {
            return false;
        }
        self.duties.insert(duty.to_owned(), (holder.to_owned(), kept(until)));
        true
    }

    pub(super) fn leave_duty(&mut self, duty: &str, holder: &str) {
        if self.duties.get(duty).is_some_and(|(other, _)| other == holder) {
            self.duties.remove(duty);
        }
    }

    /// Gives back the leases of a holder, or everybody's: all of them, or one operation's.
    pub(super) fn release(&mut self, only: Option<OperationId>, holder: Option<&str>) -> u64 {
        let ids: Vec<_> = match only {
            Some(id) => self.leased.get(&id).copied().into_iter().collect(),
            None => self.leased.iter().copied().collect(),
        };
        let mut released = 0_u64;
        for id in ids {
            let Some(operation) = self.operations.get_mut(&id) else { continue };
            let is_holders = |lease: &mut Lease| holder.is_none_or(|holder| lease.holder == holder);
            if operation.lease.take_if(is_holders).is_some() {
                released = released.saturating_add(1);
                self.leased.remove(&id);
            }
        }
        released
    }
}
