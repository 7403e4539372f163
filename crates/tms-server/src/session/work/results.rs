//! What the terminal says to the work it was given.

use tms_core::{Operation, OperationKind, OperationState, Outcome as Attempted, Reported, TerminalId};
use tms_proto::{
    Refusal,
    parameters::{Push, PushAnswer, PushRefusal},
    task::{Outcome, Task, TaskResult},
};

use tracing::info;

use super::{Delivered, REPORTS_UNDER_WAY, Stage, Tried, Work};
use crate::{
    service::{configuration, plan_id},
    session::{Ended, Session},
};

impl Session {
    /// After a report: a delivered change of parameters ends when the terminal reports the values.
    /// `desired` is the revision that is wanted now.
    pub(in crate::session) async fn parameters_reported(
        &mut self,
        agree: bool,
        desired: u64,
    ) -> Result<(), Ended> {
        if let Some(Work { stage: Stage::Parameters { delivered: Some(delivered), .. }, .. }) = &mut self.work
        {
            let Delivered { revision, disagreeing } = *delivered;
            if agree {
                self.parameters_in_force(revision, None).await;
            } else if revision == desired && disagreeing < REPORTS_UNDER_WAY {
                delivered.disagreeing = disagreeing.saturating_add(1);
            } else {
                let _ =
                    self.attempt_failed(Attempted::Silent, "the terminal reports other values".into()).await;
            }
        }
        self.look_for_work().await
    }

    /// Ends a change of parameters. What a terminal cannot report is known by the revision.
    pub(in crate::session) async fn parameters_in_force(&mut self, revision: u64, hash: Option<[u8; 32]>) {
        let Some(terminal) = self.terminal.clone() else { return };
        let details = hash.map(|hash| (configuration::HASH.to_owned(), hex::encode(hash)));
        let details = details.into_iter().collect();
        let known = Reported { parameters_revision: Some(revision), details, ..Reported::default() };
        let recorded = self.app.store.record_report(&terminal, known, self.app.now()).await;
        if self.or_log(recorded).is_some() {
            let _ = self.finish(OperationState::Done, None).await;
        }
    }

    /// The terminal answered a pushed command.
    pub(in crate::session) async fn command_answered(
        &mut self,
        task: &Task,
        refusal: Option<Refusal>,
    ) -> Result<(), Ended> {
        let now = self.app.now();
        let current = self.work.as_ref().and_then(|work| work.task(now));
        let same = current.is_some_and(|c| c.operation == task.operation && c.step == task.step);
        match refusal {
            None if same => drop(self.work_taken().await),
            Some(refusal) if same => {
                let outcome = if refusal.may_retry() { Attempted::Busy } else { Attempted::Refused };
                let reason = format!("the terminal refused the command: {refusal}");
                let _ = self.attempt_failed(outcome, reason).await;
            }
            // Another task's answer: its result tells.
            _ => {}
        }
        self.look_for_work().await
    }

    /// The terminal answered pushed parameters: they are in force, or refused.
    pub(in crate::session) async fn push_answered(
        &mut self,
        push: &Push,
        refusal: Option<Refusal>,
        answer: Option<&PushAnswer>,
    ) -> Result<(), Ended> {
        let current = self.work.as_ref().map(|w| (*w.operation.id.as_uuid(), w.operation.terminal.clone()));
        let Some((_, terminal)) = current.filter(|(id, _)| *id == push.operation) else {
            self.set_answered(push, refusal, answer).await;
            return self.look_for_work().await;
        };
        let refused = answer.and_then(PushAnswer::refused);
        let wrong_base = refused == Some(PushRefusal::WrongBase);
        let newer =
            answer.filter(|_| refused == Some(PushRefusal::Stale)).map(|answer| answer.standing.revision);
        match refusal {
            None => {
                self.remember_parameters(&terminal, push, answer).await;
                let hash = answer.map(|answer| answer.standing.hash);
                self.parameters_in_force(push.revision, hash).await;
            }
            Some(_) if push.action.is_difference() && wrong_base => {
                info!(terminal = terminal.as_str(), "the terminal has other parameters; all are pushed");
                if let Some(Work { stage: Stage::Parameters { whole, .. }, .. }) = &mut self.work {
                    *whole = true;
                    self.offer().await?;
                }
            }
            Some(_) if newer.is_some_and(|newer| newer >= push.revision) && self.may_raise() => {
                self.push_above(&terminal, newer.unwrap_or(push.revision)).await?;
            }
            Some(refusal) => {
                let outcome = if refusal.may_retry() { Attempted::Busy } else { Attempted::Refused };
                let reason = format!("the terminal refused the parameters: {refusal}");
                let _ = self.attempt_failed(outcome, reason).await;
            }
        }
        self.look_for_work().await
    }

    /// Takes a result. `Ok` is what to answer once everything is durable.
    pub(in crate::session) async fn take_result(
        &mut self,
        terminal: &TerminalId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let id = tms_core::OperationId::from_uuid(result.operation);
        let in_hand = self.work.as_ref().is_some_and(|w| w.operation.id == id);
        if !in_hand {
            return self.take_late_result(terminal, id, result).await;
        }
        let step = self.work.as_ref().and_then(|work| work.task(self.app.now())).map(|task| task.step);
        if result.outcome == Outcome::ACCEPTED {
            return if step == Some(result.step) { self.work_taken().await } else { Ok(()) };
        }
        if matches!(&self.work, Some(Work { stage: Stage::Rotation(_), .. })) {
            return self.take_rotation_result(terminal, result).await;
        }
        if step.is_some_and(|step| result.step < step) {
            // Repeated: the attempt that it ended is over.
            return Ok(());
        }
        self.keep_values(id, result).await?;
        if result.outcome.is_done() {
            let operation = self.work.as_ref().map(|work| work.operation.clone());
            if let Some(operation) = operation {
                self.note_plan(&operation).await?;
            }
            self.finish(OperationState::Done, some_text(&result.reason)).await
        } else {
            self.attempt_failed(attempted(result.outcome), sentence(result)).await
        }
    }

    /// A result of an operation that this session does not hold: from before a break, or repeated.
    pub(in crate::session) async fn take_late_result(
        &mut self,
        terminal: &TerminalId,
        id: tms_core::OperationId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let stored = self.app.store.operation(id).await.map_err(|e| self.store_refusal(&e))?;
        let Some(operation) = stored.filter(|o| o.terminal == *terminal) else {
            return self.take_action_result(terminal, result).await;
        };
        if !operation.is_open() || result.outcome == Outcome::ACCEPTED {
            return Ok(());
        }
        if matches!(operation.kind, OperationKind::RotateCredential { .. }) {
            // Its turn comes in this session; the step is then asked again and answered again.
            return Ok(());
        }
        let attempts = self.app.store.attempts(id).await.map_err(|e| self.store_refusal(&e))?;
        if result.step < Tried::of(&attempts).step && !result.outcome.is_done() {
            // Repeated: the attempt that it ended is over, and the next one waits for its time.
            return Ok(());
        }
        self.keep_values(id, result).await?;
        if !result.outcome.is_done() {
            let outcome = attempted(result.outcome);
            let again_at = self.again_at(&operation, outcome).await.map_err(|e| self.store_refusal(&e))?.1;
            let failed = self.fail(&operation, outcome, sentence(result), again_at).await;
            return failed.map_err(|e| self.store_refusal(&e));
        }
        self.note_plan(&operation).await?;
        let (to, detail, now) = (OperationState::Done, some_text(&result.reason), self.app.now());
        self.app.transition(id, to, detail, now).await.map_err(|e| self.store_refusal(&e))?;
        self.count_end(to);
        Ok(())
    }
}

impl Session {
    /// What a terminal found is durable before its operation ends.
    async fn keep_values(&self, id: tms_core::OperationId, result: &TaskResult) -> Result<(), Refusal> {
        if result.values.is_empty() {
            return Ok(());
        }
        let kept = self.app.store.add_result(id, result.values.clone()).await;
        kept.map_err(|e| self.store_refusal(&e))
    }

    /// A result of an action of a plan: its operation is the plan's id, its step the action's place.
    async fn take_action_result(&self, terminal: &TerminalId, result: &TaskResult) -> Result<(), Refusal> {
        let plan = tms_core::OperationId::from_uuid(result.operation);
        // The way back is the same as the way there.
        let id = tms_core::OperationId::from_uuid(plan_id(plan));
        let stored = self.app.store.operation(id).await.map_err(|e| self.store_refusal(&e))?;
        let is_plan =
            |o: &Operation| o.terminal == *terminal && matches!(o.kind, OperationKind::InstallPlan { .. });
        stored.filter(is_plan).ok_or(Refusal::NotFound)?;
        let told = [(format!("action {}", result.step), sentence(result))].into();
        self.app.store.add_result(id, told).await.map_err(|e| self.store_refusal(&e))
    }
}

/// What an attempt came to that ended with this result.
fn attempted(outcome: Outcome) -> Attempted {
    match outcome {
        Outcome::UNKNOWN_COMMAND | Outcome::WRONG_MODEL => Attempted::Refused,
        _ => Attempted::Failed,
    }
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn sentence(result: &TaskResult) -> String {
    match result.reason.as_str() {
        "" => result.outcome.to_string(),
        reason => format!("{}: {reason}", result.outcome),
    }
}
