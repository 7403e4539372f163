//! What a terminal shall do, and when: a plan of actions in the sense of ISO 20022 catm.
//!
//! A [`Plan`] has a version that only grows and takes the place of the plan before it. The terminal keeps it
//! in a [`PlanRunner`], which says what to begin when, and sees to it that each action is done once. The host
//! learns of each action from a [`TaskResult`](crate::task::TaskResult) whose operation is the plan's id and
//! whose step is the action's place in the plan, from 1, and of the whole from the [`PlanStatus`] in a report.

mod runner;
mod status;
mod wire;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::Command;

pub use runner::{Dropped, MAX_WAITING_RESULTS, Offer, PlanError, PlanRunner, Situation, Stage, Start};
pub use status::{ActionState, ActionStatus, PlanStatus};

/// Most actions in a plan.
pub const MAX_ACTIONS: usize = 32;
/// Largest plan, in bytes of its encoding.
pub const MAX_PLAN_BYTES: usize = 16 * 1024;
/// Largest plan that a command carries itself, in bytes; a larger one is fetched as a file.
pub const MAX_INLINE_PLAN_BYTES: usize = 900;
/// Most times that an action is tried again.
pub const MAX_RETRIES: u8 = 100;

/// What a terminal shall do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The operation of its results. Each version has its own, and it is not that of the task that installs it.
    pub id: Uuid,
    /// Grows with each plan for a terminal; an older plan never takes the place of a newer one.
    pub version: u64,
    /// At most [`MAX_ACTIONS`], each with another id. None ends what the plan before it asked for.
    pub actions: Vec<Action>,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name. One that the plan before had too, and that is equal in all, is the same action: done once.
    pub id: u32,
    /// What to do. [`Command::may_be_planned`] says what may stand here.
    pub command: Command,
    /// The part of the terminal that it is for, such as an application; empty for the terminal itself.
    pub target: String,
    /// What sets it off.
    pub trigger: Trigger,
    /// When it may begin; at any time if absent.
    pub window: Option<Window>,
    /// What happens when it fails.
    pub retry: Retry,
    /// What happens when it has failed for good.
    pub on_error: OnError,
    /// What belongs to it before or after.
    pub follow_up: FollowUp,
}

impl Action {
    /// An action that begins at once, is tried once, and whose failure is reported.
    #[must_use]
    pub fn new(id: u32, command: Command) -> Self {
        Self {
            id,
            command,
            target: String::new(),
            trigger: Trigger::AtOnce,
            window: None,
            retry: Retry::default(),
            on_error: OnError::default(),
            follow_up: FollowUp::default(),
        }
    }
}

/// What sets an action off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The plan itself.
    AtOnce,
    /// A time; whole seconds.
    At(Timestamp),
    /// The next connection to the host after the one that brought the plan.
    NextContact,
    /// The next settlement of a batch.
    AfterSettlement,
    /// Someone at the terminal.
    ByHand,
}

/// When an action may begin: from `start` on and before `end`, in whole seconds. What has begun may end later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first moment.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// How often an action is tried again, and after which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retry {
    /// Seconds between a failure and the next try.
    pub delay_s: u32,
    /// Tries after the first, at most [`MAX_RETRIES`].
    pub count: u8,
}

/// What happens when an action has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The host is told; the plan goes on.
    #[default]
    Report,
    /// The host is told, and the later actions of the plan end with
    /// [`Outcome::STOPPED`](crate::task::Outcome::STOPPED). While the action waits to be tried again they wait too.
    Stop,
    /// The plan goes on, and only its status shows the failure.
    Ignore,
}

/// What belongs to an action before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// Nothing.
    #[default]
    None,
    /// The current batch is settled before the action begins.
    ReconcileFirst,
    /// The terminal starts again after the action is done, before anything else begins.
    RestartAfter,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanSource {
    /// The command brings it.
    Inline(Box<Plan>),
    /// It is fetched like firmware, because it is larger than [`MAX_INLINE_PLAN_BYTES`].
    File {
        /// Its version, so that an old plan is not fetched.
        version: u64,
        /// Its name for file reads.
        file: String,
        /// Its exact size, at most [`MAX_PLAN_BYTES`].
        size_bytes: u32,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
}

impl PlanSource {
    /// The version of the plan.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Inline(plan) => plan.version,
            Self::File { version, .. } => *version,
        }
    }
}
