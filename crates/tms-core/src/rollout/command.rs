//! What people tell a rollout to do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Rollout, RolloutError, RolloutState, Tally};

/// What a person tells a rollout to do. Each may be said any number of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Begin. The targets are frozen in the same transaction.
    Start,
    /// Start no more terminals.
    Pause,
    /// Go on after a pause, and accept the failures so far.
    Resume,
    /// Let a wave begin, and all before it.
    Approve {
        /// The wave, from 0: an approval that comes twice does not approve the next one.
        wave: u32,
    },
    /// Call everything back.
    Abort,
    /// Start no more terminals, ever; those that were started go on to their end.
    Finish,
}

impl Command {
    /// The word in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Approve { .. } => "approve",
            Self::Abort => "abort",
            Self::Finish => "finish",
        }
    }
}

/// What a command makes of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The rollout as it is now, with a version that is one higher.
    Changed(Box<Rollout>),
    /// It was so already.
    Already,
}

/// Why a command is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Not in this state.
    #[error("a rollout that is {state} cannot {}: {hint}", .command.name())]
    State {
        /// What was to be done.
        command: Command,
        /// Where it stands.
        state: RolloutState,
        /// What is possible instead.
        hint: &'static str,
    },
    /// There is no such wave.
    #[error("there is no wave {wave}; the rollout has {waves}, counted from 0")]
    Wave {
        /// The wave that was named.
        wave: u32,
        /// How many there are.
        waves: usize,
    },
    /// It cannot be started as it is written.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
}

/// Says what a command makes of a rollout. `tally` is what its targets stand at; on `Start` it is not looked at.
///
/// # Errors
/// When the command makes no sense in the rollout's state.
pub fn apply(
    command: Command,
    rollout: &Rollout,
    tally: &Tally,
    now: Timestamp,
) -> Result<Applied, CommandError> {
    use RolloutState::{Aborted, Aborting, AwaitingApproval, Draft, Finished, Finishing, Paused, Running};
    let state = rollout.state;
    let refused = |hint| Err(CommandError::State { command, state, hint });
    let become_ = |state| Rollout { state, reason: None, ..rollout.clone() };
    let changed = match (command, state) {
        (Command::Start, Draft) => {
            rollout.check()?;
            Rollout { started_at: Some(now), wave: 0, approved: 0, accepted_failures: 0, ..become_(Running) }
        }
        (Command::Start, Finished | Aborted) => return refused("make a new one"),
        (Command::Start, _) => return Ok(Applied::Already),

        (Command::Pause, Running | AwaitingApproval) => become_(Paused),
        (Command::Pause, Paused) => return Ok(Applied::Already),
        (Command::Pause, Draft) => return refused("it has not been started"),
        (Command::Pause, _) => return refused("it starts no more terminals anyway"),

        (Command::Resume, Paused) => {
            let failed = tally.whole().failed;
            Rollout { accepted_failures: failed.max(rollout.accepted_failures), ..become_(Running) }
        }
        (Command::Resume, Running | AwaitingApproval) => return Ok(Applied::Already),
        (Command::Resume, Draft) => return refused("start it"),
        (Command::Resume, _) => return refused("make a new one"),

        (Command::Approve { wave }, Running | AwaitingApproval | Paused) => {
            let waves = rollout.waves.len();
            if usize::try_from(wave).is_ok_and(|wave| wave >= waves) {
                return Err(CommandError::Wave { wave, waves });
            }
            if wave < rollout.approved {
                return Ok(Applied::Already);
            }
            let approved = wave.saturating_add(1);
            let waits_for_it = state == AwaitingApproval && rollout.wave < approved;
            Rollout { approved, ..if waits_for_it { become_(Running) } else { rollout.clone() } }
        }
        (Command::Approve { .. }, Draft) => return refused("start it"),
        (Command::Approve { .. }, _) => return refused("it begins no more waves"),

        (Command::Abort, Aborting | Aborted) => return Ok(Applied::Already),
        (Command::Abort, Finished) => return refused("it is over"),
        (Command::Abort, Draft) => become_(Aborted),
        (Command::Abort, _) => become_(Aborting),

        (Command::Finish, Finishing | Finished) => return Ok(Applied::Already),
        (Command::Finish, Draft) => return refused("it has not been started; abort it"),
        (Command::Finish, Aborting | Aborted) => return refused("it is being called back"),
        (Command::Finish, _) => become_(Finishing),
    };
    let version = rollout.version.saturating_add(1);
    Ok(Applied::Changed(Box::new(Rollout { version, ..changed })))
}
