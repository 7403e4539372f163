//! Plans: each action runs when its trigger has come, once, and the host learns how it ended.

use jiff::Timestamp;
use tms_core::OperationId;
use tms_proto::plan::{Action, ActionState, Plan, Trigger};
use tms_server::service::plan_id;
use uuid::Uuid;

use super::{Checked, World, steps::ONLY_ONCE};
use crate::{options::Sabotage, outcome::invariant};

/// The plans of one terminal.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    /// Those that were in force, in their order.
    in_force: Vec<InForce>,
    /// Actions that somebody at the terminal asked for, by id, and when.
    by_hand: Vec<(u32, Timestamp)>,
}

/// A plan that is or was in force.
#[derive(Debug)]
struct InForce {
    id: Uuid,
    /// The operation that brought it.
    operation: OperationId,
    actions: Vec<Action>,
    /// When it came, and what there had been by then.
    since: Timestamp,
    sign_ons: u64,
    settled_batch: Option<u32>,
}

impl World {
    /// Somebody at a terminal asks for an action of its plan.
    pub(super) fn ask_by_hand(&mut self, place: usize, action: u32) {
        let Some(device) = self.at_hand(place) else { return };
        let now = self.clock.now();
        if !self.is_broken(Sabotage::UnaskedAction) {
            self.terminals[place].plans.by_hand.push((action, now));
        }
        device.by_hand(action);
    }

    /// Looks which plan is in force at a terminal.
    pub(super) fn look_at_plan(&mut self, place: usize) {
        let Some(device) = &self.terminals[place].device else { return };
        let newest = self.terminals[place].plans.in_force.last().map(|plan| plan.id);
        let seen = device.state(|state| {
            let (_, id) = state.plan_from.filter(|(_, id)| Some(*id) != newest)?;
            Some((id, state.sign_ons, state.trade.settled_batch))
        });
        let Some((id, sign_ons, settled_batch)) = seen else { return };
        let now = self.clock.now();
        let plans = &mut self.terminals[place].plans;
        if let Some(earlier) = plans.in_force.iter().position(|plan| plan.id == id) {
            // The power went before the newer one was durable.
            plans.in_force.truncate(earlier + 1);
            return;
        }
        // The way back is the same as the way there.
        let operation = OperationId::from_uuid(plan_id(OperationId::from_uuid(id)));
        let plan = self.host.store.look(|contents| match &contents.operations.get(&operation)?.kind {
            tms_core::OperationKind::InstallPlan { plan } => {
                serde_json::from_value::<Plan>(plan.clone()).ok()
            }
            _ => None,
        });
        let actions = plan.map(|plan| plan.actions).unwrap_or_default();
        let plan = InForce { id, operation, actions, since: now, sign_ons, settled_batch };
        self.terminals[place].plans.in_force.push(plan);
    }

    /// An action of a plan has had its effect: whether it might.
    pub(super) fn check_action(&mut self, place: usize, id: Uuid, step: u8, effect: &str) -> Checked {
        let plans = &self.terminals[place].plans;
        let Some(index) = plans.in_force.iter().position(|plan| plan.id == id) else { return Ok(()) };
        let Some(action) = action(&plans.in_force[index], step) else { return Ok(()) };
        // The same action in plans that followed each other is done once.
        let mut first = index;
        let mut before = None;
        while let Some(earlier) = first.checked_sub(1).map(|at| &plans.in_force[at])
            && let Some(place_of) = earlier.actions.iter().position(|other| other == action)
        {
            first -= 1;
            before = before.or(Some((earlier.id, place_of as u8 + 1))
                .filter(|(id, step)| self.ledger.effects_of(place, *id, *step) > 0));
        }
        let since = &plans.in_force[first];
        let (sign_ons, settled) = self.terminals[place]
            .device
            .as_ref()
            .map_or((0, None), |device| device.state(|state| (state.sign_ons, state.trade.settled_batch)));
        let came = match action.trigger {
            Trigger::AtOnce | Trigger::At(_) => true,
            Trigger::NextContact => sign_ons > since.sign_ons,
            Trigger::AfterSettlement => settled != since.settled_batch,
            Trigger::ByHand => {
                plans.by_hand.iter().any(|(asked, at)| *asked == action.id && *at >= since.since)
            }
        };
        let name =
            format!("action {} of the plan of operation {}", action.id, plans.in_force[index].operation);
        let what = match before {
            _ if !came => format!("{name} runs, and nothing has set it off"),
            Some((plan, _)) if ONLY_ONCE.contains(&effect) => {
                format!("{name} runs, and ran under plan {plan} before")
            }
            _ => {
                self.checked(invariant::PLANS);
                return Ok(());
            }
        };
        Err(self.violation(Some(place), invariant::PLANS, what))
    }

    /// Whether results of a plan wait for the host.
    pub(super) fn owes_results(&self, place: usize) -> bool {
        let device = self.terminals[place].device.as_ref();
        device.is_some_and(|device| device.state(|state| state.plan.unreported().next().is_some()))
    }

    /// The plans of a terminal, at the end: what has run was told, and what was due has ended.
    pub(super) fn check_plans(&mut self, place: usize) -> Checked {
        self.look_at_plan(place);
        self.checked(invariant::PLANS);
        let unheard = self.unheard_effect(place).or_else(|| self.unfinished_action(place));
        match unheard {
            None => Ok(()),
            Some(what) => Err(self.violation(Some(place), invariant::PLANS, what)),
        }
    }

    fn unheard_effect(&self, place: usize) -> Option<String> {
        self.terminals[place].plans.in_force.iter().find_map(|plan| {
            let ran = |step: &u8| self.ledger.effects_of(place, plan.id, *step) > 0;
            let steps = 1..=u8::try_from(plan.actions.len()).unwrap_or(u8::MAX);
            let unheard = steps.filter(ran).find(|step| !self.was_told(plan, *step))?;
            Some(format!("step {unheard} of the plan of operation {} ran and was not told", plan.operation))
        })
    }

    fn unfinished_action(&self, place: usize) -> Option<String> {
        let terminal = &self.terminals[place];
        let plan = terminal.plans.in_force.last()?;
        let device = terminal.device.as_ref()?;
        let (status, clock, sign_ons, settled) = device.state(|state| {
            let clock = state.clock.reads(terminal.now());
            (state.plan.status(), clock, state.sign_ons, state.trade.settled_batch)
        });
        let status = status.filter(|status| status.id == plan.id)?;
        plan.actions.iter().zip(&status.actions).find_map(|(action, stands)| {
            let is_due = match action.trigger {
                Trigger::AtOnce => true,
                Trigger::At(time) => time <= clock,
                Trigger::NextContact => sign_ons > plan.sign_ons,
                Trigger::AfterSettlement => settled != plan.settled_batch,
                // Whether the terminal was asked while it could hear is its own affair.
                Trigger::ByHand => false,
            };
            let name = format!("action {} of the plan of operation {}", action.id, plan.operation);
            match stands.state {
                ActionState::ENDED => {
                    let told = self.was_told_by_any(place, action);
                    (!told).then(|| format!("{name} has ended, {}, and was not told", stands.outcome))
                }
                state => is_due.then(|| format!("{name} is due and stands at {}", state.0)),
            }
        })
    }

    /// Whether the host has the end of a step.
    fn was_told(&self, plan: &InForce, step: u8) -> bool {
        self.host.store.look(|contents| {
            // One that the store has lost is lost for another invariant.
            let operation = contents.operations.get(&plan.operation);
            operation.is_none_or(|operation| operation.result.contains_key(&format!("action {step}")))
        })
    }

    /// The same for an action, under whichever of the plans that had it.
    fn was_told_by_any(&self, place: usize, action: &Action) -> bool {
        self.terminals[place].plans.in_force.iter().any(|plan| {
            let step = plan.actions.iter().position(|other| other == action);
            step.is_some_and(|at| self.was_told(plan, at as u8 + 1))
        })
    }

    /// Has the host forget what terminals told of their plans.
    pub(super) fn forget_results(&mut self) {
        let mut contents = self.host.store.snapshot();
        contents.operations.values_mut().for_each(|operation| operation.result.clear());
        self.starts_on(contents);
    }
}

fn action(plan: &InForce, step: u8) -> Option<&Action> {
    plan.actions.get(usize::from(step).checked_sub(1)?)
}
