//! What a terminal reports of its plan.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MAX_ACTIONS, Plan};
use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
    task::Outcome,
};

/// The plan in force and what became of each action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStatus {
    /// The plan's id.
    pub id: Uuid,
    /// The plan's version.
    pub version: u64,
    /// In the plan's order.
    pub actions: Vec<ActionStatus>,
}

/// How far an action has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionStatus {
    /// The action's id.
    pub id: u32,
    /// Where it stands.
    pub state: ActionState,
    /// How it ended, or went the last time; [`Outcome::ACCEPTED`] before.
    pub outcome: Outcome,
    /// Times that it has begun.
    pub attempts: u8,
}

/// Where an action stands. Unknown codes keep their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionState(pub u8);

impl ActionState {
    /// Its trigger has not come.
    pub const WAITING: Self = Self(0);
    /// Its trigger has come; it waits for its window, or for its turn.
    pub const DUE: Self = Self(1);
    /// It has begun.
    pub const RUNNING: Self = Self(2);
    /// It failed and is tried again.
    pub const RETRYING: Self = Self(3);
    /// It is done, and the terminal restarts after it.
    pub const RESTARTING: Self = Self(4);
    /// It has ended.
    pub const ENDED: Self = Self(5);
}

impl PlanStatus {
    /// Whether the plan in force is the one that is wanted.
    #[must_use]
    pub fn is(&self, plan: &Plan) -> bool {
        (self.id, self.version) == (plan.id, plan.version)
    }

    /// Whether every action has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.actions.iter().all(|action| action.state == ActionState::ENDED)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        put(&mut out, tag::PLAN_ID, self.id.as_bytes());
        put(&mut out, tag::PLAN_VERSION, &self.version.to_be_bytes());
        for action in self.actions.iter().take(MAX_ACTIONS) {
            let [a, b, c, d] = action.id.to_be_bytes();
            put(
                &mut out,
                tag::ACTION_STATE,
                &[a, b, c, d, action.state.0, action.outcome.0, action.attempts],
            );
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "plan status";
        let body = Body::parse(bytes)?;
        let mut actions = Vec::new();
        for element in body.all(tag::ACTION_STATE) {
            let [a, b, c, d, state, outcome, attempts] = element
                .try_into()
                .map_err(|_| ProtocolError::body(NAME, "the state of an action has not 7 bytes"))?;
            if actions.len() >= MAX_ACTIONS {
                return Err(ProtocolError::body(NAME, format!("more than {MAX_ACTIONS} actions")));
            }
            let id = u32::from_be_bytes([a, b, c, d]);
            let (state, outcome) = (ActionState(state), Outcome(outcome));
            actions.push(ActionStatus { id, state, outcome, attempts });
        }
        Ok(Self {
            id: Uuid::from_bytes(body.array(tag::PLAN_ID, NAME)?),
            version: body.u64(tag::PLAN_VERSION, NAME)?,
            actions,
        })
    }
}
