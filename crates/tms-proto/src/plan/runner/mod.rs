//! The terminal's side of a plan: what to begin, when, and what became of it.
//!
//! The runner is durable state. Its user asks [`next`](PlanRunner::next), notes
//! [`begun`](PlanRunner::begun), makes the runner durable, and only then acts; it notes
//! [`finished`](PlanRunner::finished) together with the effect where it can. One thing runs at a time. After
//! a crash, what began is offered again if [`Command::repeat`] allows it, and reported if not.

mod progress;
mod terms;

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(doc)]
use crate::task::Command;
use crate::{
    alive::Alive,
    mutation::{Mutation, without},
    task::{Outcome, Repeat, TaskResult},
};

use super::{Action, FollowUp, OnError, Plan, PlanStatus};
use progress::{Active, InForce, Progress};

pub use terms::{Dropped, Offer, PlanError, Situation, Stage, Start};

/// Most results that wait for the host. A plan is taken only if all its actions can still report.
pub const MAX_WAITING_RESULTS: usize = 64;
/// Restarts in the midst of one action after which it is given up: it may be what restarts the terminal.
const MAX_RESUMPTIONS: u8 = 100;

/// The plan in force and how far it has come. Durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRunner {
    plan: Option<InForce>,
    active: Option<Active>,
    /// Oldest first; at most [`MAX_WAITING_RESULTS`].
    results: VecDeque<TaskResult>,
    /// Whether anything changed that was not made durable.
    #[serde(skip)]
    unsaved: Alive,
}

impl PlanRunner {
    /// Takes a plan in the place of the one in force, if it is newer. What both have in common goes on where
    /// it is; what runs ends and is reported; what only the old one had and has not begun is dropped.
    pub fn offer(&mut self, plan: Plan, now: Timestamp, situation: &Situation) -> Offer {
        if let Some(current) = &self.plan {
            if current.is(&plan) {
                return Offer::Same;
            }
            if plan.version <= current.version && !without(Mutation::AnyPlanVersion) {
                return Offer::Stale { have: current.version };
            }
            if plan.id == current.id {
                return Offer::IdTaken;
            }
        }
        // What this contact sets off was set off before the plan that it brings.
        self.latch(now, situation);
        let mut plan = InForce::new(plan, situation);
        let mut results = if without(Mutation::DropResults) { VecDeque::new() } else { self.results.clone() };
        for (action, progress) in self.plan.iter().flat_map(|old| old.entries()) {
            match plan.entry_mut(action) {
                Some(entry) if !without(Mutation::ForgetDoneActions) => *entry = progress.clone(),
                Some(_) => {}
                None => results.extend(progress.last_failure().cloned()),
            }
        }
        let leaving = self.active.as_ref().is_some_and(|active| !plan.adopt(&active.action));
        if results.len().saturating_add(plan.open()).saturating_add(usize::from(leaving))
            > MAX_WAITING_RESULTS
        {
            return Offer::Full;
        }
        self.results = results;
        self.plan = Some(plan);
        self.unsaved = Alive(true);
        Offer::Accepted
    }

    /// What to begin now. The runner may also have noted that an occasion has come or that something ended
    /// without having begun: make it durable where [`take_unsaved`](Self::take_unsaved) says so.
    pub fn next(&mut self, now: Timestamp, situation: &Situation) -> Option<Start> {
        self.latch(now, situation);
        self.close_windows(now);
        self.settle_lost(now);
        if let Some(active) = self.active.as_ref().filter(|_| !without(Mutation::ForgetBegun)) {
            return active.waits().then(|| active.start());
        }
        self.plan.as_ref()?.due(now)
    }

    /// Notes that something begins. Make the runner durable before acting.
    ///
    /// # Errors
    /// When it is not what [`PlanRunner::next`] gives, any more.
    pub fn begun(&mut self, start: &Start) -> Result<(), PlanError> {
        let not_due = |state| PlanError::NotDue { step: start.step, state };
        if let Some(active) = self.active.as_mut().filter(|_| !without(Mutation::ForgetBegun)) {
            if !active.is(start.operation, start.step) {
                return Err(not_due("waiting for another that runs"));
            }
            if active.stage != start.stage || !active.waits() {
                return Err(not_due("running"));
            }
            if active.begun {
                active.resumptions = active.resumptions.saturating_add(1);
            }
            active.begun = true;
            active.alive = Alive(true);
            self.unsaved = Alive(true);
            return Ok(());
        }
        let plan = self.plan.as_mut().filter(|plan| plan.id == start.operation);
        let plan = plan.ok_or(not_due("of another plan"))?;
        let progress = plan.step_mut(start.step).ok_or(not_due("not in the plan"))?;
        progress.begin().map_err(not_due)?;
        self.active = Some(Active::begin(start));
        self.unsaved = Alive(true);
        Ok(())
    }

    /// Notes how something that runs went. Make the runner durable with the effect, then report.
    ///
    /// # Errors
    /// When it does not run, or the outcome is none to end with.
    pub fn finished(&mut self, result: TaskResult, now: Timestamp) -> Result<(), PlanError> {
        let step = result.step;
        if !result.outcome.is_final() {
            return Err(PlanError::NotFinal { step });
        }
        let state = self.state_of(result.operation, step);
        let runs = |active: &mut Active| {
            (active.begun && active.is(result.operation, step)) || without(Mutation::AnyResultEnds)
        };
        let mut active = self.active.take_if(runs).ok_or(PlanError::NotRunning { step, state })?;
        let known = self.plan.as_ref().is_some_and(|plan| plan.index(&active.action).is_some());
        self.unsaved = Alive(true);
        match (active.stage, result.outcome.is_done()) {
            (Stage::Reconcile, true) if known && !active.cancelled => {
                active.advance(Stage::Act);
                self.active = Some(active);
            }
            (Stage::Reconcile, true) => {
                let outcome = if active.cancelled { Outcome::CANCELLED } else { Outcome::REPLACED };
                self.end(&active.action, TaskResult::new(result.operation, step, outcome));
            }
            (Stage::Reconcile | Stage::Act, false) => self.failed(&active, result, now),
            (Stage::Act, true) if active.restarts_after() => {
                active.done = Some(result);
                active.advance(Stage::Restart);
                self.active = Some(active);
            }
            (Stage::Act, true) => self.end(&active.action, result),
            (Stage::Restart, _) => {
                let done = active.done.take().unwrap_or(result);
                self.end(&active.action, done);
            }
        }
        Ok(())
    }

    /// Gives up the plan of this id. Cancelling wins over resuming.
    pub fn cancel(&mut self, operation: Uuid) -> Dropped {
        let mut dropped = Dropped::NotFound;
        let mut ours = false;
        if let Some(plan) = self.plan.as_mut().filter(|plan| plan.id == operation) {
            dropped = Dropped::Ended;
            self.unsaved = Alive(true);
            ours = self.active.as_ref().is_some_and(|active| plan.index(&active.action).is_some());
            self.results.extend(plan.end_from(0, Outcome::CANCELLED));
        }
        if let Some(active) = self.active.as_mut().filter(|active| ours || active.operation == operation) {
            active.cancelled = true;
            self.unsaved = Alive(true);
            dropped = Dropped::Stop { operation: active.operation, step: active.step };
        }
        dropped
    }

    /// When [`PlanRunner::next`] will give or note something although the situation stays as it is.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = self.plan.as_ref().and_then(InForce::next_end);
        let start = match &self.active {
            Some(active) => active.waits().then_some(now),
            None => self.plan.as_ref().and_then(|plan| plan.next_start(now)),
        };
        windows.into_iter().chain(start).min()
    }

    /// The terminal has started again and kept its memory. A runner that was read back knows this by itself.
    pub fn restarted(&mut self) {
        if let Some(active) = &mut self.active {
            active.alive = Alive(false);
        }
    }

    /// Operation and step of what has begun and not ended.
    #[must_use]
    pub fn running(&self) -> Option<(Uuid, u8)> {
        self.active.as_ref().filter(|a| a.begun).map(|a| (a.operation, a.step))
    }

    /// Results that the host may not have yet, oldest first.
    pub fn unreported(&self) -> impl Iterator<Item = &TaskResult> {
        self.results.iter()
    }

    /// Notes that the host has a result.
    pub fn acknowledge(&mut self, operation: Uuid, step: u8) {
        if let Some(index) = self.results.iter().position(|r| (r.operation, r.step) == (operation, step)) {
            self.results.remove(index);
            self.unsaved = Alive(true);
        }
    }

    /// Whether anything changed since this was last asked: then make the runner durable.
    pub fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved).0
    }

    /// The version in force.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.plan.as_ref().map(|plan| plan.version)
    }

    /// What a report says of the plan.
    #[must_use]
    pub fn status(&self) -> Option<PlanStatus> {
        self.plan.as_ref().map(|plan| plan.status(self.active.as_ref()))
    }

    fn latch(&mut self, now: Timestamp, situation: &Situation) {
        let busy = self.active.is_some() && without(Mutation::ForgetMissedTriggers);
        if let Some(plan) = self.plan.as_mut().filter(|_| !busy) {
            self.unsaved.0 |= plan.latch(now, situation);
        }
    }

    /// Ends what can no longer begin.
    fn close_windows(&mut self, now: Timestamp) {
        while let Some((action, result)) = self.plan.as_ref().and_then(|plan| plan.missed(now)) {
            self.end(&action, result);
        }
        let late = |active: &mut Active| {
            !active.begun && active.stage == Stage::Act && active.action.is_too_late(now)
        };
        if let Some(active) = self.active.take_if(late) {
            let result = TaskResult::new(active.operation, active.step, Outcome::WINDOW_MISSED);
            self.end(&active.action, result);
        }
    }

    /// Ends what a restart ended, what it must not go on, and what has lost its plan before it began.
    fn settle_lost(&mut self, now: Timestamp) {
        let known = |action: &Action| self.plan.as_ref().is_some_and(|plan| plan.index(action).is_some());
        let Some(active) = &self.active else { return };
        let lost = active.begun && !active.alive.0;
        let replaced = !active.begun && active.stage == Stage::Act && !known(&active.action);
        let outcome = match active.stage {
            Stage::Restart if lost => Outcome::DONE,
            Stage::Restart => return,
            _ if active.cancelled && (lost || !active.begun) && !without(Mutation::ResumeCancelledAction) => {
                Outcome::CANCELLED
            }
            _ if replaced => Outcome::REPLACED,
            Stage::Act if lost && active.is_once() && !without(Mutation::RepeatInterrupted) => {
                Outcome::INTERRUPTED
            }
            _ if lost && active.resumptions >= MAX_RESUMPTIONS => Outcome::INTERRUPTED,
            _ => return,
        };
        if let Some(mut active) = self.active.take() {
            let result = TaskResult::new(active.operation, active.step, outcome);
            match active.done.take() {
                Some(done) => self.end(&active.action, done),
                None => self.failed(&active, result, now),
            }
        }
    }

    fn failed(&mut self, active: &Active, result: TaskResult, now: Timestamp) {
        self.unsaved = Alive(true);
        let entry = self.plan.as_mut().and_then(|plan| plan.entry_mut(&active.action));
        match entry {
            Some(progress) if !active.cancelled && progress.may_try_again(&active.action, &result) => {
                progress.wait_to_retry(result, now);
            }
            _ => self.end(&active.action, result),
        }
    }

    /// The action has its end, in whatever plan.
    fn end(&mut self, action: &Action, result: TaskResult) {
        let done = result.outcome.is_done();
        let outcome = result.outcome;
        self.unsaved = Alive(true);
        if done || action.on_error != OnError::Ignore {
            self.results.push_back(result);
        }
        let Some(plan) = &mut self.plan else { return };
        let Some(index) = plan.index(action) else { return };
        plan.end(index, outcome);
        if !done && action.on_error == OnError::Stop && !without(Mutation::IgnoreStop) {
            self.results.extend(plan.end_from(index.saturating_add(1), Outcome::STOPPED));
        }
    }

    fn state_of(&self, operation: Uuid, step: u8) -> &'static str {
        match &self.active {
            Some(active) if active.is(operation, step) && active.begun => "running",
            Some(active) if active.is(operation, step) => "about to go on",
            _ => match &self.plan {
                Some(plan) if plan.id == operation => {
                    plan.step(step).map_or("not in the plan", Progress::name)
                }
                _ => "of another plan",
            },
        }
    }
}

impl Active {
    fn restarts_after(&self) -> bool {
        self.action.follow_up == FollowUp::RestartAfter && !without(Mutation::SkipRestart)
    }

    fn is_once(&self) -> bool {
        self.action.command.repeat() == Repeat::Once
    }
}
