//! How work ends, well or not, and what a store that fails means for it.

use tms_core::{Operation, OperationId, OperationState};
use tms_proto::{Refusal, rotation::HostPhase};
use tracing::{info, warn};

use super::{Stage, Work};
use crate::session::Session;

impl Session {
    /// Ends the work in hand as failed; a pending credential is given up with it.
    pub(in crate::session) async fn give_up(&mut self, reason: String) -> Result<(), Refusal> {
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
                self.finish(OperationState::Failed, Some(reason)).await
            }
            Some((terminal, role, generation, _)) => {
                self.abandon_rotation(&terminal, &role, generation, reason).await
            }
            None => self.finish(OperationState::Failed, Some(reason)).await,
        }
    }

    /// Lets the next attempt begin. Breaks of the connection do not count here: they say nothing
    /// about the operation, and its expiry bounds them.
    pub(in crate::session) async fn try_again(&mut self, reason: &str) {
        let Some(work) = &self.work else { return };
        let id = work.operation.id;
        let tries = match self.silences {
            Some((silent, tries)) if silent == id => tries.saturating_add(1),
            _ => 1,
        };
        self.silences = Some((id, tries));
        if tries >= self.app.limits.operation_attempts {
            let deadline = self.answer_deadline();
            if self.give_up(format!("{reason}, {tries} times")).await.is_err()
                && let Some(work) = &mut self.work
            {
                // The store failed. What is past due would be tried again at once, and again.
                work.deadline = Some(deadline);
            }
            return;
        }
        self.work = None;
        let now = self.app.now();
        let moved = self.app.transition(id, OperationState::Queued, Some(reason.to_owned()), now).await;
        self.or_log(moved);
        self.release(id).await;
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

    pub(in crate::session) async fn fail(&mut self, operation: &Operation, reason: String) {
        warn!(terminal = operation.terminal.as_str(), operation = %operation.id, reason, "operation failed");
        let failed = OperationState::Failed;
        let moved = self.app.transition(operation.id, failed, Some(reason), self.app.now()).await;
        if self.or_log(moved).is_some() {
            self.count_end(failed);
        }
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
