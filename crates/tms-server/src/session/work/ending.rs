//! How work ends, well or not, when it is tried again, and what a store that fails means for it.

use jiff::{SignedDuration, Timestamp};
use tms_core::{Attempt, Operation, OperationId, OperationState, Outcome, RetryPolicy, Terms, retry};
use tms_proto::{Refusal, rotation::HostPhase};
use tracing::{info, warn};

use super::{Stage, Work};
use crate::session::Session;

/// What the attempts at an operation say about the next one.
pub(in crate::session) struct Tried {
    /// Which one is in hand, or was the last. Breaks of the connection do not count: they say nothing about the
    /// operation, and its expiry bounds them.
    number: u32,
    /// The step under which the terminal is told. What it has reported it answers from its journal ever after,
    /// so that only another step has it try again.
    pub(in crate::session) step: u8,
}

impl Tried {
    pub(in crate::session) fn of(attempts: &[Attempt]) -> Self {
        let ended = |which: fn(Outcome) -> bool| {
            attempts.iter().filter(|attempt| attempt.outcome.is_some_and(which)).count()
        };
        let counted = ended(|outcome| outcome != Outcome::Broken);
        let reported = ended(|outcome| matches!(outcome, Outcome::Failed | Outcome::Refused | Outcome::Busy));
        Self {
            number: u32::try_from(counted).unwrap_or(u32::MAX).saturating_add(1),
            step: u8::try_from(reported).unwrap_or(u8::MAX).saturating_add(1),
        }
    }
}

impl Session {
    /// Ends an attempt at the work in hand that came to nothing: its operation waits for the next one, or has
    /// failed when its policy knows of none.
    pub(in crate::session) async fn attempt_failed(
        &mut self,
        outcome: Outcome,
        reason: String,
    ) -> Result<(), Refusal> {
        let Some(work) = &self.work else { return Ok(()) };
        let ended = match self.again_at(&work.operation, outcome).await {
            Ok((_, Some(at))) => self.end_attempt(outcome, reason, Some(at)).await,
            Ok((1, None)) => self.give_up(outcome, reason).await,
            Ok((number, None)) => self.give_up(outcome, format!("{reason}, {number} times")).await,
            Err(error) => Err(self.store_refusal(&error)),
        };
        if ended.is_err() {
            // What is past due would be tried again at once, and again.
            let deadline = self.answer_deadline();
            if let Some(work) = &mut self.work {
                work.deadline = Some(deadline);
            }
        }
        ended
    }

    /// The number of the attempt at an operation that ended so, and when the next one may begin.
    pub(in crate::session) async fn again_at(
        &self,
        operation: &Operation,
        outcome: Outcome,
    ) -> tms_store::Result<(u32, Option<Timestamp>)> {
        let Tried { number, .. } = Tried::of(&self.app.store.attempts(operation.id).await?);
        let policy = self.retry_policy(&operation.terms);
        let jitter = u32::from_be_bytes(self.app.random.bytes());
        let wait = retry::after(number, outcome, &policy, jitter);
        let wait = wait.map(|wait| SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX));
        Ok((number, wait.map(|wait| self.app.now().saturating_add(wait).unwrap_or(Timestamp::MAX))))
    }

    /// An operation that was made without a policy of its own has the one of the limits.
    pub(in crate::session) fn retry_policy(&self, terms: &Terms) -> RetryPolicy {
        match terms.retry == RetryPolicy::default() {
            true => self.app.limits.retry_policy(),
            false => terms.retry.clone(),
        }
    }

    /// Ends the work in hand as failed; a pending credential is given up with it.
    pub(in crate::session) async fn give_up(
        &mut self,
        outcome: Outcome,
        reason: String,
    ) -> Result<(), Refusal> {
        let rotation = match &self.work {
            Some(Work { stage: Stage::Rotation(r), operation, .. }) => {
                Some((operation.terminal.clone(), r.role.clone(), r.generation, r.machine.phase()))
            }
            _ => None,
        };
        match rotation {
            // Proved is in force: only the terminal's forgetting of the old one is missing, and
            // the next rotation makes up for that.
            Some((terminal, role, generation, HostPhase::Verified)) => {
                let confirmed = self.app.store.confirm_rotation(&terminal, &role, generation, self.app.now());
                confirmed.await.map_err(|e| self.store_refusal(&e))?;
                self.end_attempt(outcome, reason, None).await
            }
            Some((terminal, role, generation, _)) => {
                self.abandon_rotation(&terminal, &role, generation, outcome, reason).await
            }
            None => self.end_attempt(outcome, reason, None).await,
        }
    }

    async fn end_attempt(
        &mut self,
        outcome: Outcome,
        reason: String,
        again_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let Some(id) = self.work.as_ref().map(|work| work.operation.id) else { return Ok(()) };
        let ended = self.app.end_attempt(id, outcome, Some(reason), again_at, self.app.now()).await;
        match ended {
            Ok(operation) => self.count_end(operation.state),
            Err(tms_store::StoreError::IllegalTransition { .. }) => {
                info!(operation = %id, "operation ended meanwhile");
            }
            Err(error) => return Err(self.store_refusal(&error)),
        }
        self.work = None;
        Ok(())
    }

    /// Lets go of the work in hand when it is not known what the store holds of it: a write that failed may
    /// have been carried out all the same. It is staged again from the store.
    pub(in crate::session) async fn put_down(&mut self) {
        let Some(work) = self.work.take() else { return };
        let id = work.operation.id;
        match self.app.transition(id, OperationState::Queued, None, self.app.now()).await {
            // Ended meanwhile, or that very write was carried out.
            Ok(_) | Err(tms_store::StoreError::IllegalTransition { .. }) => {}
            Err(error) => self.store_failed(&error),
        }
        self.release(id).await;
    }

    pub(in crate::session) async fn release(&mut self, id: OperationId) {
        let released = self.app.store.release_lease(id, &self.holder).await;
        self.leases_left |= self.or_log(released).is_none();
    }

    /// Gives back the leases of work that was put down while the store failed: nobody else would have it,
    /// and this session no more, until they end.
    pub(in crate::session) async fn give_leases_back(&mut self) {
        if self.leases_left && self.work.is_none() {
            let released = self.app.store.release_leases(&self.holder).await;
            self.leases_left = self.or_log(released).is_none();
        }
    }

    pub(in crate::session) async fn finish(
        &mut self,
        to: OperationState,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        self.move_to(to, detail).await?;
        if self.work.take_if(|w| w.operation.state == to).is_some() {
            self.count_end(to);
        }
        Ok(())
    }

    /// Ends an attempt at an operation that is not in hand.
    pub(in crate::session) async fn fail(
        &mut self,
        operation: &Operation,
        outcome: Outcome,
        reason: String,
        again_at: Option<Timestamp>,
    ) -> tms_store::Result<()> {
        warn!(terminal = operation.terminal.as_str(), operation = %operation.id, reason, "operation failed");
        let now = self.app.now();
        let ended = self.app.end_attempt(operation.id, outcome, Some(reason), again_at, now).await?;
        self.count_end(ended.state);
        Ok(())
    }

    /// Moves the work in hand on, durably. If the store says that it ended otherwise, it is dropped.
    pub(in crate::session) async fn move_to(
        &mut self,
        to: OperationState,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        let Some(work) = &self.work else { return Ok(()) };
        let id = work.operation.id;
        match self.app.transition(id, to, detail, self.app.now()).await {
            Ok(operation) => {
                if let Some(work) = &mut self.work {
                    work.operation = operation;
                }
            }
            Err(tms_store::StoreError::IllegalTransition { .. }) => {
                info!(operation = %id, "operation ended meanwhile");
                self.work = None;
            }
            Err(error) => return Err(self.store_refusal(&error)),
        }
        Ok(())
    }

    pub(in crate::session) fn count_end(&self, state: OperationState) {
        match state {
            OperationState::Done => self.app.counters.operations_done.increment(),
            OperationState::Failed => self.app.counters.operations_failed.increment(),
            _ => {}
        }
    }

    pub(in crate::session) fn or_log<T>(&self, result: tms_store::Result<T>) -> Option<T> {
        result.inspect_err(|error| self.store_failed(error)).ok()
    }

    pub(in crate::session) fn store_refusal(&self, error: &tms_store::StoreError) -> Refusal {
        self.store_failed(error);
        Refusal::SystemError
    }

    pub(in crate::session) fn store_failed(&self, error: &tms_store::StoreError) {
        self.app.counters.store_errors.increment();
        warn!(terminal = self.name(), %error, "store");
    }
}
