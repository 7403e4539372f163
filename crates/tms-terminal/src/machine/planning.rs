//! The plan in force: beginning what is due.

use jiff::Timestamp;
use tms_proto::{
    journal::Cancellation,
    plan::{Dropped, Offer, Plan, Situation, Stage},
    task::{Outcome, Task},
};
use uuid::Uuid;

use super::{Begun, Machine};
use crate::{
    state::{StateError, TaskKey},
    trade::Settle,
};

/// Actions that are begun in one go; more of them go on at the next opportunity.
const MAX_AT_ONCE: usize = 64;

impl Machine {
    /// Puts a plan into force. Does not save: the caller records the result with it.
    pub(crate) fn offer_plan(&mut self, from: TaskKey, plan: Plan, now: Timestamp) -> Offer {
        let (own, situation) = (self.state.clock.reads(now), self.situation());
        let id = plan.id;
        let offer = self.state.plan.offer(plan, own, &situation);
        if matches!(offer, Offer::Accepted | Offer::Same) {
            self.state.plan_from = Some((from.operation, id));
        }
        offer
    }

    /// Begins whatever is due.
    pub(crate) fn pump_plan(&mut self, now: Timestamp) -> Result<(), StateError> {
        if self.state.plan.version().is_none() && self.state.plan.running().is_none() {
            self.by_hand = None;
            return Ok(());
        }
        let own = self.state.clock.reads(now);
        for _ in 0..MAX_AT_ONCE {
            if self.restart_is_due() {
                break;
            }
            let situation = self.situation();
            let Some(start) = self.state.plan.next(own, &situation) else {
                if self.state.plan.take_unsaved() {
                    self.save()?;
                }
                break;
            };
            if self.state.plan.begun(&start).is_err() {
                break;
            }
            let key = TaskKey { operation: start.operation, step: start.step };
            match start.stage {
                Stage::Reconcile => {
                    let batch = self.state.trade.open.number;
                    // A wish that nobody waits for becomes this one's.
                    self.state.trade.settle = Some(Settle { batch, task: Some(key) });
                    self.save()?;
                    break;
                }
                Stage::Act => {
                    self.save()?;
                    let task =
                        Task { operation: start.operation, step: start.step, command: start.action.command };
                    if self.begin(&task, now)? == Begun::Going {
                        break;
                    }
                }
                Stage::Restart => {
                    self.save()?;
                    self.restart = true;
                }
            }
        }
        self.by_hand = None;
        Ok(())
    }

    /// When [`Machine::pump_plan`] is next due.
    pub(crate) fn plan_due(&self, now: Timestamp) -> Timestamp {
        if self.restart_is_due() {
            // Whatever is due waits for it: asking again and again before that would only spin.
            return Timestamp::MAX;
        }
        let clock = &self.state.clock;
        self.state.plan.next_due(clock.reads(now)).map_or(Timestamp::MAX, |own| clock.when(own))
    }

    fn situation(&self) -> Situation {
        Situation {
            contact: self.contact,
            settled_batch: self.state.trade.settled_batch,
            by_hand: self.by_hand,
        }
    }

    /// Gives an operation up: what has not begun never begins, what is under way stops where it can.
    pub(super) fn cancel_operation(
        &mut self,
        key: TaskKey,
        target: Uuid,
        now: Timestamp,
    ) -> Result<Begun, StateError> {
        let mut dropped = self.state.plan.cancel(target);
        // Whoever withdraws the operation that brought a plan means the plan, which has an id of its own.
        if let Some((_, plan)) = self.state.plan_from.filter(|(from, _)| *from == target)
            && dropped == Dropped::NotFound
        {
            dropped = self.state.plan.cancel(plan);
        }
        if let Dropped::Stop { operation, step } = dropped {
            self.stop(TaskKey { operation, step }, now);
        }
        let outcome = match self.state.journal.cancel(target) {
            _ if dropped != Dropped::NotFound => Outcome::DONE,
            Cancellation::Prevented => Outcome::DONE,
            Cancellation::Stop(steps) => {
                for step in steps {
                    self.stop(TaskKey { operation: target, step }, now);
                }
                Outcome::DONE
            }
            Cancellation::TooLate | Cancellation::Full => Outcome::WRONG_STATE,
        };
        self.done(key.result(outcome), now)
    }

    /// Stops what is under way, where that is still possible. Does not save.
    fn stop(&mut self, key: TaskKey, now: Timestamp) {
        let state = &mut self.state;
        if state.install.as_ref().is_some_and(|install| install.task == key) {
            // An image on trial ends as it ends.
            if state.slots.cancel().is_err() {
                return;
            }
            state.install = None;
        }
        state.upload.take_if(|upload| upload.task == key);
        state.plan_file.take_if(|file| file.task == key);
        state.reboot.take_if(|task| *task == key);
        if let Some(addresses) = &mut state.addresses {
            // Its result is the one below.
            addresses.cancel(key.operation);
        }
        if state.trade.settle.is_some_and(|settle| settle.task == Some(key)) {
            // The settlement itself goes on; money is not left half told.
            return;
        }
        state.finish(key.result(Outcome::CANCELLED), now);
    }
}
