//! How far a plan and each of its actions have come.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Situation, Stage, Start};
use crate::{
    alive::Alive,
    mutation::{Mutation, without},
    plan::{Action, ActionState, ActionStatus, FollowUp, OnError, Plan, PlanStatus, Trigger},
    task::{Outcome, TaskResult},
};

/// A plan in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InForce {
    pub(super) id: Uuid,
    pub(super) version: u64,
    /// The contact that brought the plan, if one did.
    contact: Option<u64>,
    /// The batch that had been settled by then.
    settled_batch: Option<u32>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    action: Action,
    progress: Progress,
}

/// How far an action has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Whether its trigger has come. It does not go away again.
    triggered: bool,
    /// Times that it has begun.
    attempts: u8,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Waiting,
    Begun,
    Retrying {
        /// When it failed.
        since: Timestamp,
        /// How.
        last: TaskResult,
    },
    Ended(Outcome),
}

/// The action that runs, or goes on next. It outlives its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Active {
    pub(super) operation: Uuid,
    pub(super) step: u8,
    pub(super) action: Action,
    pub(super) stage: Stage,
    /// Whether this stage has begun.
    pub(super) begun: bool,
    pub(super) cancelled: bool,
    pub(super) resumptions: u8,
    /// The result, while the restart that belongs to it is still to come.
    pub(super) done: Option<TaskResult>,
    #[serde(skip)]
    pub(super) alive: Alive,
}

impl InForce {
    pub(super) fn new(plan: Plan, situation: &Situation) -> Self {
        let entry = |action| Entry { action, progress: Progress::default() };
        Self {
            id: plan.id,
            version: plan.version,
            contact: situation.contact,
            settled_batch: situation.settled_batch,
            entries: plan.actions.into_iter().map(entry).collect(),
        }
    }

    /// Whether this is the very plan.
    pub(super) fn is(&self, plan: &Plan) -> bool {
        (self.id, self.version) == (plan.id, plan.version)
            && self.entries.iter().map(|entry| &entry.action).eq(&plan.actions)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&Action, &Progress)> {
        self.entries.iter().map(|entry| (&entry.action, &entry.progress))
    }

    /// The place of an action. One that is not equal in all is another.
    pub(super) fn index(&self, action: &Action) -> Option<usize> {
        self.entries.iter().position(|entry| entry.action == *action)
    }

    pub(super) fn entry_mut(&mut self, action: &Action) -> Option<&mut Progress> {
        self.entries.iter_mut().find(|entry| entry.action == *action).map(|entry| &mut entry.progress)
    }

    pub(super) fn step(&self, step: u8) -> Option<&Progress> {
        self.entries.get(usize::from(step).checked_sub(1)?).map(|entry| &entry.progress)
    }

    pub(super) fn step_mut(&mut self, step: u8) -> Option<&mut Progress> {
        self.entries.get_mut(usize::from(step).checked_sub(1)?).map(|entry| &mut entry.progress)
    }

    /// Notes that an action runs which began under an earlier plan. Gives whether this plan has it.
    pub(super) fn adopt(&mut self, action: &Action) -> bool {
        match self.entry_mut(action) {
            Some(_) if without(Mutation::ForgetDoneActions) => true,
            Some(progress) => {
                progress.state = State::Begun;
                true
            }
            None => false,
        }
    }

    /// Actions that have not ended: each may have a result yet.
    pub(super) fn open(&self) -> usize {
        self.entries.iter().filter(|entry| !matches!(entry.progress.state, State::Ended(_))).count()
    }

    /// Notes which occasions have come. Gives whether anything changed.
    pub(super) fn latch(&mut self, now: Timestamp, situation: &Situation) -> bool {
        let mut changed = false;
        let contact = situation.contact.is_some()
            && (situation.contact != self.contact || without(Mutation::AnyContact));
        let settled = situation.settled_batch.is_some() && situation.settled_batch != self.settled_batch;
        for Entry { action, progress } in &mut self.entries {
            let comes = without(Mutation::IgnoreTrigger)
                || match action.trigger {
                    Trigger::AtOnce => true,
                    Trigger::At(time) => time <= now,
                    Trigger::NextContact => contact,
                    Trigger::AfterSettlement => settled,
                    Trigger::ByHand => situation.by_hand == Some(action.id),
                };
            changed |= comes && !progress.triggered;
            progress.triggered |= comes;
            if let State::Retrying { since, .. } = &mut progress.state
                && !without(Mutation::TrustClockForRetries)
            {
                // The clock went back; the wait begins anew and is no longer than it was.
                changed |= *since > now;
                *since = (*since).min(now);
            }
        }
        changed
    }

    /// The first action that waits and whose window has closed.
    pub(super) fn missed(&self, now: Timestamp) -> Option<(Action, TaskResult)> {
        let (index, entry) = self.entries.iter().enumerate().find(|(_, entry)| {
            entry.action.is_too_late(now)
                && matches!(entry.progress.state, State::Waiting | State::Retrying { .. })
        })?;
        let result = match &entry.progress.state {
            State::Retrying { last, .. } => last.clone(),
            _ => TaskResult::new(self.id, step(index), Outcome::WINDOW_MISSED),
        };
        Some((entry.action.clone(), result))
    }

    /// The first action, in the plan's order, that may begin.
    pub(super) fn due(&self, now: Timestamp) -> Option<Start> {
        for (index, Entry { action, progress }) in self.entries.iter().enumerate() {
            if progress.is_due(action, now) && action.is_open(now) {
                let stage = Stage::first(action);
                let operation = self.id;
                return Some(Start {
                    operation,
                    step: step(index),
                    stage,
                    action: action.clone(),
                    resumed: false,
                });
            }
            if progress.holds_the_later(action) {
                return None;
            }
        }
        None
    }

    /// When the first action may begin by itself.
    pub(super) fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let mut first: Option<Timestamp> = None;
        for Entry { action, progress } in &self.entries {
            let start = action.window.map_or(Timestamp::MIN, |window| window.start);
            let due = progress.due_at(action, now).map(|due| due.max(start));
            first = first.into_iter().chain(due).min();
            if progress.holds_the_later(action) {
                break;
            }
        }
        first
    }

    /// When the first window closes on something that waits.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let waits = |entry: &&Entry| {
            matches!(entry.progress.state, State::Waiting | State::Retrying { .. })
                && !without(Mutation::IgnoreWindowEnd)
        };
        self.entries.iter().filter(waits).filter_map(|entry| entry.action.window).map(|w| w.end).min()
    }

    pub(super) fn end(&mut self, index: usize, outcome: Outcome) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.progress.state = State::Ended(outcome);
        }
    }

    /// Ends all that wait from `index` on, and gives their results.
    pub(super) fn end_from(&mut self, index: usize, outcome: Outcome) -> Vec<TaskResult> {
        let mut results = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate().skip(index) {
            if matches!(entry.progress.state, State::Waiting | State::Retrying { .. }) {
                entry.progress.state = State::Ended(outcome);
                results.push(TaskResult::new(self.id, step(index), outcome));
            }
        }
        results
    }

    pub(super) fn status(&self, active: Option<&Active>) -> PlanStatus {
        let actions = self.entries.iter().map(|Entry { action, progress }| {
            let active = active.filter(|active| active.action == *action);
            let (state, outcome) = match &progress.state {
                State::Begun if active.is_some_and(|a| a.stage == Stage::Restart) => {
                    (ActionState::RESTARTING, Outcome::DONE)
                }
                State::Begun => (ActionState::RUNNING, Outcome::ACCEPTED),
                State::Waiting if progress.triggered => (ActionState::DUE, Outcome::ACCEPTED),
                State::Waiting => (ActionState::WAITING, Outcome::ACCEPTED),
                State::Retrying { last, .. } => (ActionState::RETRYING, last.outcome),
                State::Ended(outcome) => (ActionState::ENDED, *outcome),
            };
            ActionStatus { id: action.id, state, outcome, attempts: progress.attempts }
        });
        PlanStatus { id: self.id, version: self.version, actions: actions.collect() }
    }
}

impl Progress {
    pub(super) fn name(&self) -> &'static str {
        match self.state {
            State::Waiting if self.triggered => "due",
            State::Waiting => "waiting for its trigger",
            State::Begun => "running",
            State::Retrying { .. } => "waiting to be tried again",
            State::Ended(_) => "at its end",
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), &'static str> {
        let may = match self.state {
            State::Waiting => self.triggered,
            State::Retrying { .. } => true,
            State::Begun => without(Mutation::ForgetBegun),
            State::Ended(_) => false,
        };
        if !may {
            return Err(self.name());
        }
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Begun;
        Ok(())
    }

    pub(super) fn may_try_again(&self, action: &Action, result: &TaskResult) -> bool {
        let final_answers = [Outcome::CANCELLED, Outcome::INTERRUPTED, Outcome::UNKNOWN_COMMAND];
        !final_answers.contains(&result.outcome)
            && (self.attempts <= action.retry.count || without(Mutation::EndlessRetries))
    }

    pub(super) fn wait_to_retry(&mut self, last: TaskResult, now: Timestamp) {
        self.state = State::Retrying { since: now, last };
    }

    /// The failure of one that would have been tried again.
    pub(super) fn last_failure(&self) -> Option<&TaskResult> {
        match &self.state {
            State::Retrying { last, .. } => Some(last),
            _ => None,
        }
    }

    fn is_due(&self, action: &Action, now: Timestamp) -> bool {
        match self.state {
            State::Waiting => self.triggered,
            State::Retrying { .. } => {
                without(Mutation::HastyRetries) || self.due_at(action, now).is_some_and(|due| due <= now)
            }
            State::Begun => without(Mutation::ForgetBegun),
            State::Ended(_) => false,
        }
    }

    fn due_at(&self, action: &Action, now: Timestamp) -> Option<Timestamp> {
        match &self.state {
            State::Waiting if self.triggered => Some(now),
            State::Waiting => match action.trigger {
                Trigger::At(time) => Some(time),
                _ => None,
            },
            // The clock went back: the wait is to begin anew.
            State::Retrying { since, .. } if *since > now && !without(Mutation::TrustClockForRetries) => {
                Some(now)
            }
            State::Retrying { since, .. } => {
                let delay = SignedDuration::from_secs(i64::from(action.retry.delay_s));
                Some(since.saturating_add(delay).unwrap_or(Timestamp::MAX))
            }
            State::Begun | State::Ended(_) => None,
        }
    }

    /// Whether the later actions wait for this one, because they depend on how it ends.
    fn holds_the_later(&self, action: &Action) -> bool {
        action.on_error == OnError::Stop
            && matches!(self.state, State::Retrying { .. })
            && !without(Mutation::OvertakeStop)
    }
}

impl Active {
    pub(super) fn begin(start: &Start) -> Self {
        Self {
            operation: start.operation,
            step: start.step,
            action: start.action.clone(),
            stage: start.stage,
            begun: true,
            cancelled: false,
            resumptions: 0,
            done: None,
            alive: Alive(true),
        }
    }

    pub(super) fn is(&self, operation: Uuid, step: u8) -> bool {
        (self.operation, self.step) == (operation, step)
    }

    /// Whether it waits to begin or to go on.
    pub(super) fn waits(&self) -> bool {
        !self.begun || !self.alive.0
    }

    pub(super) fn advance(&mut self, stage: Stage) {
        self.stage = stage;
        self.begun = false;
        self.resumptions = 0;
    }

    pub(super) fn start(&self) -> Start {
        Start {
            operation: self.operation,
            step: self.step,
            stage: self.stage,
            action: self.action.clone(),
            resumed: self.begun,
        }
    }
}

impl Stage {
    fn first(action: &Action) -> Self {
        match action.follow_up {
            FollowUp::ReconcileFirst if !without(Mutation::SkipReconciliation) => Self::Reconcile,
            _ => Self::Act,
        }
    }
}

impl Action {
    fn is_open(&self, now: Timestamp) -> bool {
        self.window.is_none_or(|window| window.start <= now) || without(Mutation::IgnoreWindowStart)
    }

    pub(super) fn is_too_late(&self, now: Timestamp) -> bool {
        self.window.is_some_and(|window| window.end <= now) && !without(Mutation::IgnoreWindowEnd)
    }
}

fn step(index: usize) -> u8 {
    u8::try_from(index.saturating_add(1)).unwrap_or(u8::MAX)
}
