//! What a runner is asked and what it answers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(doc)]
use super::PlanRunner;
use crate::{plan::Action, task::Outcome};

/// What besides time sets actions off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Situation {
    /// While a session with the host stands: a number that it shares with no other session, for example a
    /// durable count of sign-ons.
    pub contact: Option<u64>,
    /// The batch that was settled last.
    pub settled_batch: Option<u32>,
    /// The id of the action that someone at the terminal has just asked for.
    pub by_hand: Option<u32>,
}

/// What became of a plan that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is in force. Make the runner durable, then answer.
    Accepted,
    /// It is in force already.
    Same,
    /// A plan that is newer, or another one of this version, is in force.
    Stale {
        /// The version in force.
        have: u64,
    },
    /// Too many results wait for the host.
    Full,
    /// It has the id of the plan in force, so that nobody could tell their results apart.
    IdTaken,
}

impl Offer {
    /// The outcome of the task that brought the plan.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Accepted | Self::Same => Outcome::DONE,
            Self::Stale { .. } => Outcome::STALE,
            Self::Full => Outcome::WRONG_STATE,
            Self::IdTaken => Outcome::INVALID,
        }
    }
}

/// What a cancellation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// No plan of this id is in force or running.
    NotFound,
    /// What had not begun never begins.
    Ended,
    /// This step has begun and is not resumed: stop it and tell [`PlanRunner::finished`].
    Stop {
        /// The operation of the running action, which may be that of an earlier plan.
        operation: Uuid,
        /// Its step.
        step: u8,
    },
}

/// What to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The operation of its result: the id of its plan.
    pub operation: Uuid,
    /// The step of its result: the action's place in the plan, from 1.
    pub step: u8,
    /// Which part of the action.
    pub stage: Stage,
    /// The action.
    pub action: Action,
    /// Whether it began before a restart: continue it, or do it again.
    pub resumed: bool,
}

/// The parts of an action. [`PlanRunner::finished`] is told of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Settle the current batch.
    Reconcile,
    /// Carry the command out.
    Act,
    /// Start the terminal again. A runner that was read back knows that this has happened.
    Restart,
}

/// Why the runner did not take what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Something cannot begin.
    #[error("step {step} cannot begin: it is {state}")]
    NotDue {
        /// The step.
        step: u8,
        /// Its state.
        state: &'static str,
    },
    /// Something cannot end.
    #[error("step {step} cannot end: it is {state}")]
    NotRunning {
        /// The step.
        step: u8,
        /// Its state.
        state: &'static str,
    },
    /// [`Outcome::ACCEPTED`] is not how anything ends.
    #[error("step {step} cannot end: accepted is no end")]
    NotFinal {
        /// The step.
        step: u8,
    },
}
