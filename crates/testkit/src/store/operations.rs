//! Operations: the queue of every terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::Timestamp;
use tms_core::terms::Readiness;
use tms_core::{
    Attempt, BatchId, FirmwareId, NewOperation, Operation, OperationId, OperationKind, OperationState,
    Outcome, Progress, TerminalId, Terms, Trigger,
};
use tms_store::estate::seen;
use tms_store::work::{check_terminals, state_after};
use tms_store::{
    DesiredParameters, ParameterChange, ParametersApplied, Result, StoreError, Ticket, replacement_detail,
};

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn enqueue(&mut self, new: NewOperation, now: Timestamp) -> Result<Operation> {
        self.known_terminal(&new.terminal)?;
        self.unused(new.id)?;
        let operation = Operation {
            id: new.id,
            terminal: new.terminal.clone(),
            kind: new.kind,
            state: OperationState::Queued,
            attempts: 0,
            created_at: kept(now),
            updated_at: kept(now),
            expires_at: kept(new.expires_at),
            lease: None,
            detail: None,
            progress: None,
            result: BTreeMap::new(),
            terms: Terms { not_before: new.terms.not_before.map(kept), ..new.terms },
        };
        let zone = self.known_terminal(&new.terminal)?.place.time_zone.clone();
        let (made, terms) = (operation.created_at, &operation.terms);
        match terms.readiness(made, made, None, &zone) {
            Readiness::Ready => {}
            Readiness::AfterSettlement => {
                self.due.extend(terms.not_before.map(|at| (new.id, at)));
                self.awaiting_settlement.insert(new.id);
            }
            Readiness::At(at) => {
                self.due.insert(new.id, kept(at));
                if terms.trigger == Trigger::AfterSettlement {
                    self.awaiting_settlement.insert(new.id);
                }
            }
            Readiness::Never => drop(self.due.insert(new.id, operation.expires_at)),
        }
        self.operations.insert(new.id, operation.clone());
        let queue = self.queues.entry(new.terminal).or_default();
        queue.all.push(new.id);
        queue.open.push(new.id);
        Ok(operation)
    }

    /// A second use of an id is a conflict.
    pub(super) fn unused(&self, id: OperationId) -> Result<()> {
        match self.operations.contains_key(&id) {
            true => Err(conflict(format!("operation {id} exists already"))),
            false => Ok(()),
        }
    }

    pub(super) fn enqueue_with(
        &mut self,
        terminal: &TerminalId,
        kind: OperationKind,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        let terminal = terminal.clone();
        self.enqueue(
            NewOperation {
                id: ticket.id,
                terminal,
                kind,
                expires_at: ticket.expires_at,
                terms: tms_core::Terms::default(),
            },
            now,
        )
    }

    pub(super) fn set_desired_parameters(
        &mut self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)> {
        self.known_terminal(tid)?;
        let found = self.known_terminal(tid)?.desired.parameters_revision;
        seen("parameters of terminal", tid, change.expected_revision, found)?;
        self.unused(ticket.id)?;
        let desired = &mut self.known_terminal(tid)?.desired;
        let revision = desired
            .parameters_revision
            .checked_add(1)
            .ok_or_else(|| conflict("the revisions of this terminal are used up"))?;
        desired.parameters_revision = revision;
        desired.parameters.retain(|name, _| !change.unset.contains(name));
        desired.parameters.extend(change.set);
        let kind = OperationKind::SetParameters { revision };
        self.replace(tid, &kind, |operation| operation.state == OperationState::Queued, now);
        Ok((revision, self.enqueue_with(tid, kind, ticket, now)?))
    }

    pub(super) fn raise_parameters(&mut self, tid: &TerminalId, above: u64) -> Result<u64> {
        let desired = &mut self.known_terminal(tid)?.desired;
        if desired.parameters_revision <= above {
            let next = above.checked_add(1);
            desired.parameters_revision =
                next.ok_or_else(|| conflict("the revisions of this terminal are used up"))?;
        }
        Ok(desired.parameters_revision)
    }

    pub(super) fn assign_firmware(
        &mut self,
        tid: &TerminalId,
        firmware: &FirmwareId,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        self.known_terminal(tid)?;
        if !self.firmware.contains_key(firmware) {
            return Err(not_found("firmware", firmware));
        }
        self.unused(ticket.id)?;
        self.known_terminal(tid)?.desired.firmware = Some(firmware.clone());
        let kind = OperationKind::InstallFirmware { firmware: firmware.clone() };
        self.replace(tid, &kind, Operation::is_open, now);
        self.enqueue_with(tid, kind, ticket, now)
    }

    /// Cancels operations of the same kind.
    pub(super) fn replace(
        &mut self,
        tid: &TerminalId,
        by: &OperationKind,
        which: fn(&Operation) -> bool,
        now: Timestamp,
    ) {
        for id in self.open_ids(tid) {
            let replaced = self.operations.get(&id).is_some_and(|o| o.kind.name() == by.name() && which(o));
            if replaced {
                self.end(id, OperationState::Cancelled, replacement_detail(by), now);
            }
        }
    }

    /// Ends an open operation, whatever its state.
    pub(super) fn end(&mut self, id: OperationId, state: OperationState, detail: String, now: Timestamp) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.state = state;
        operation.detail = Some(detail);
        operation.updated_at = kept(now);
        operation.lease = None;
        let terminal = operation.terminal.clone();
        self.forget_open(&terminal, id);
    }

    fn forget_open(&mut self, terminal: &TerminalId, id: OperationId) {
        self.leased.remove(&id);
        if let Some(queue) = self.queues.get_mut(terminal) {
            queue.open.retain(|open| *open != id);
        }
    }

    pub(super) fn open_ids(&self, tid: &TerminalId) -> Vec<OperationId> {
        self.queues.get(tid).map(|queue| queue.open.clone()).unwrap_or_default()
    }

    pub(super) fn transition(
        &mut self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Operation> {
        let operation = self.known_operation(id)?;
        let from = operation.state;
        if !from.can_become(to) {
            return Err(StoreError::IllegalTransition { operation: id, from, to });
        }
        if from == to && (to.is_final() || detail.is_none()) {
            return Ok(operation.clone());
        }
        let told = detail.clone();
        if detail.is_some() {
            operation.detail = detail;
        }
        if from != to {
            operation.state = to;
            operation.updated_at = kept(now);
            if to.is_final() || to == OperationState::Queued {
                operation.lease = None;
            }
            let number = operation.attempts;
            self.tried.entry(id).or_default().end_with(number, to, told, kept(now));
        }
        let operation = self.known_operation(id)?.clone();
        if operation.lease.is_none() {
            self.leased.remove(&id);
        }
        if to.is_final() {
            self.forget_open(&operation.terminal, id);
        }
        Ok(operation)
    }

    pub(super) fn end_attempt(
        &mut self,
        id: OperationId,
        outcome: Outcome,
        detail: Option<String>,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Operation> {
        let operation = self.known_operation(id)?;
        let (from, to) = (operation.state, state_after(outcome, again_at.is_some()));
        if !from.can_become(to) {
            return Err(StoreError::IllegalTransition { operation: id, from, to });
        }
        if from.is_final() {
            return Ok(operation.clone());
        }
        operation.state = to;
        operation.updated_at = kept(now);
        operation.lease = None;
        operation.detail = detail.clone().or(operation.detail.take());
        let operation = operation.clone();
        self.tried.entry(id).or_default().end(operation.attempts, outcome, detail, kept(now));
        self.leased.remove(&id);
        if to.is_final() {
            self.forget_open(&operation.terminal, id);
        } else if let Some(at) = again_at {
            self.due.insert(id, kept(at));
            self.awaiting_settlement.remove(&id);
        }
        Ok(operation)
    }

    pub(super) fn attempts(&self, id: OperationId) -> Result<Vec<Attempt>> {
        let operation = self.operations.get(&id).ok_or_else(|| not_found("operation", id))?;
        Ok(self.tried.get(&id).cloned().unwrap_or_default().attempts(operation))
    }

    pub(super) fn record_settlement(&mut self, tid: &TerminalId, at: Timestamp) -> Result<u64> {
        self.known_terminal(tid)?;
        let at = kept(at);
        let known = self.settled.entry(tid.clone()).or_insert(at);
        *known = at.max(*known);
        let mut freed = 0_u64;
        for id in self.open_ids(tid) {
            let made = self.operations.get(&id).is_some_and(|operation| operation.created_at <= at);
            let was_due = self.due.get(&id).is_none_or(|due| *due <= at);
            if made && was_due && self.awaiting_settlement.remove(&id) {
                freed = freed.saturating_add(1);
            }
        }
        Ok(freed)
    }

    pub(super) fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Vec<TerminalId> {
        let (after, until) = (kept(after), kept(until));
        let due = self
            .due
            .iter()
            .filter(|(id, at)| **at > after && **at <= until && !self.awaiting_settlement.contains(id));
        let open = due.filter_map(|(id, _)| self.operations.get(id)).filter(|o| o.is_open());
        let terminals: BTreeSet<_> = open.map(|operation| operation.terminal.clone()).collect();
        terminals.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    }

    pub(super) fn enqueue_many(&mut self, operations: Vec<NewOperation>, now: Timestamp) -> Result<()> {
        let mut ids = BTreeSet::new();
        for new in &operations {
            self.unused(new.id)?;
            self.known_terminal(&new.terminal)?;
            if !ids.insert(new.id) {
                return Err(conflict(format!("operation {} exists already", new.id)));
            }
        }
        operations.into_iter().try_for_each(|new| self.enqueue(new, now).map(drop))
    }

    pub(super) fn apply_parameters(
        &mut self,
        wanted: &[DesiredParameters],
        now: Timestamp,
    ) -> Result<Vec<ParametersApplied>> {
        check_terminals(wanted.iter().map(|wanted| &wanted.terminal))?;
        // Done to a copy: a ticket may turn out to be used.
        let mut copy = self.clone();
        let done = wanted.iter().map(|wanted| copy.apply(wanted, false, now)).collect::<Result<_>>()?;
        *self = copy;
        Ok(done)
    }

    /// With `always` an operation is made even where the parameters are desired already.
    pub(super) fn apply(
        &mut self,
        wanted: &DesiredParameters,
        always: bool,
        now: Timestamp,
    ) -> Result<ParametersApplied> {
        let DesiredParameters { terminal, parameters, ticket, terms } = wanted;
        let Some(known) = self.terminals.get_mut(terminal) else { return Ok(ParametersApplied::Missing) };
        let is_same = known.desired.parameters == *parameters;
        if is_same && !always {
            return Ok(ParametersApplied::Same);
        }
        if !is_same {
            known.desired.parameters.clone_from(parameters);
            let next = known.desired.parameters_revision.checked_add(1);
            known.desired.parameters_revision =
                next.ok_or_else(|| conflict("the revisions of this terminal are used up"))?;
        }
        let revision = known.desired.parameters_revision;
        let kind = OperationKind::SetParameters { revision };
        self.replace(terminal, &kind, |operation| operation.state == OperationState::Queued, now);
        let new = NewOperation {
            id: ticket.id,
            terminal: terminal.clone(),
            kind,
            expires_at: ticket.expires_at,
            terms: terms.clone(),
        };
        self.enqueue(new, now)?;
        Ok(ParametersApplied::Queued { revision, operation: ticket.id })
    }

    pub(super) fn cancel_many(
        &mut self,
        which: &[(OperationId, Ticket)],
        detail: &str,
        now: Timestamp,
    ) -> Result<Vec<(Operation, Option<Operation>)>> {
        let mut which = which.to_vec();
        which.sort_unstable_by_key(|(id, _)| *id);
        let mut copy = self.clone();
        let mut done = Vec::new();
        for (id, ticket) in which {
            match copy.cancel(id, detail.to_owned(), ticket, now) {
                Ok(cancelled) => done.push(cancelled),
                Err(StoreError::IllegalTransition { .. } | StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        *self = copy;
        Ok(done)
    }

    pub(super) fn of_batch(&self, batch: &BatchId, after: Option<OperationId>, limit: u32) -> Vec<Operation> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.operations.range((start, Bound::Unbounded)).map(|(_, operation)| operation);
        let made = range.filter(|operation| operation.terms.batch.as_ref() == Some(batch));
        made.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn batch_counts(&self, batch: &BatchId) -> Vec<(OperationState, u64)> {
        let made: Vec<_> = self
            .operations
            .values()
            .filter(|operation| operation.terms.batch.as_ref() == Some(batch))
            .collect();
        let count = |state| made.iter().filter(|operation| operation.state == state).count();
        let counts = OperationState::ALL.into_iter().map(|state| (state, count(state)));
        counts.filter(|(_, n)| *n > 0).map(|(s, n)| (s, u64::try_from(n).unwrap_or(u64::MAX))).collect()
    }

    pub(super) fn set_progress(&mut self, id: OperationId, progress: Progress) -> Result<()> {
        let operation = self.known_operation(id)?;
        if operation.is_open() {
            operation.progress = Some(progress);
        }
        Ok(())
    }

    pub(super) fn add_result(&mut self, id: OperationId, result: BTreeMap<String, String>) -> Result<()> {
        self.known_operation(id)?.result.extend(result);
        Ok(())
    }

    pub(super) fn cancel(
        &mut self,
        id: OperationId,
        detail: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(Operation, Option<Operation>)> {
        let before = self.known_operation(id)?.clone();
        let may_have_begun = before.is_open() && before.attempts > 0;
        let tell = may_have_begun && before.kind.is_cancelled_at_the_terminal();
        if tell {
            self.unused(ticket.id)?;
        }
        let cancelled = self.transition(id, OperationState::Cancelled, Some(detail), now)?;
        if !tell {
            return Ok((cancelled, None));
        }
        let kind = OperationKind::CancelOperation { target: id };
        Ok((cancelled, Some(self.enqueue_with(&before.terminal, kind, ticket, now)?)))
    }

    pub(super) fn expire(&mut self, now: Timestamp) -> u64 {
        let now = kept(now);
        let over = |id: &&OperationId| self.operations.get(id).is_some_and(|o| o.expires_at <= now);
        let expired: Vec<_> =
            self.queues.values().flat_map(|queue| &queue.open).filter(over).copied().collect();
        for id in &expired {
            let detail = "the terminal did not finish it in time".to_owned();
            self.end(*id, OperationState::Expired, detail, now);
        }
        u64::try_from(expired.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn page(&self, tid: &TerminalId, after: Option<OperationId>, limit: u32) -> Vec<Operation> {
        let Some(queue) = self.queues.get(tid) else { return Vec::new() };
        let end = match after {
            None => queue.all.len(),
            // An operation of another terminal is no place in this list.
            Some(after) => queue.all.iter().rposition(|id| *id == after).unwrap_or(0),
        };
        let before = queue.all.iter().take(end).rev().take(usize::try_from(limit).unwrap_or(usize::MAX));
        before.filter_map(|id| self.operations.get(id).cloned()).collect()
    }

    pub(super) fn open(&self, tid: &TerminalId) -> Vec<Operation> {
        self.open_ids(tid).iter().filter_map(|id| self.operations.get(id).cloned()).collect()
    }

    pub(super) fn count_open(&self) -> u64 {
        let open: usize = self.queues.values().map(|queue| queue.open.len()).sum();
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    pub(super) fn known_operation(&mut self, id: OperationId) -> Result<&mut Operation> {
        self.operations.get_mut(&id).ok_or_else(|| not_found("operation", id))
    }
}
