//! Rollouts: one change for many terminals, wave by wave, that stops by itself when it goes wrong.
//!
//! The pieces: a [`Rollout`] (what, to whom, in which [`Wave`]s, how fast), its targets, frozen when it starts
//! ([`allocate`]), and three pure functions. [`apply`] says what a person's [`Command`] makes of a rollout.
//! [`observe`] says what has become of one target. [`decide`] looks at the rollout and at the counts of its
//! targets ([`Tally`]) and says what is to be done now.
//!
//! Whoever carries decisions out writes each of them in one transaction that also raises the rollout's version
//! from the one that was decided on; when somebody else was faster nothing is written and it decides again.
//! Nothing else has to be remembered: after a crash the same counts lead to the same decisions.
//!
//! # What happens to terminals that were started already
//! | command | not started | operation open | in its soak |
//! |---|---|---|---|
//! | pause | wait | go on | go on |
//! | finish | skipped | go on to their end | go on to their end |
//! | abort | skipped | the operation is cancelled; one that has begun is told to give up where that is possible | judged at once |
//!
//! # When a wave is passed, and when a rollout stops
//! Of a wave **count** all targets but those that were skipped or cancelled. The wave is passed when none waits or
//! soaks and at least `min_success_percent` of those that count, rounded up, have succeeded. Targets whose
//! operation is still open then do not hold it up; they have their end when the operation expires, and a late
//! failure counts as any other. The rollout pauses by itself when more than `max_failure_percent` of those that
//! count in a wave, rounded down, have failed; when more have failed in all waves up to the current one than
//! these may together; or when `min_success_percent` of the current wave can no longer be reached. Resuming it accepts
//! the failures so far: it stops again at the next one beyond them, and a wave in which everything has ended
//! is passed with failures that were accepted. A wave without targets is passed at once and asks for no approval.

mod allocate;
mod command;
mod decide;
mod observe;
mod progress;
mod tally;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use allocate::{Allocation, allocate};
pub use command::{Applied, Command, CommandError, apply};
pub use decide::{Decision, decide};
pub use observe::{Agreement, Seen, observe};
pub use progress::{RolloutProgress, progress};
pub use tally::{Tally, WaveTally};

use crate::id::{FirmwareId, IdError, OperationId, RolloutId, TerminalId};
use crate::kind::{KindError, OperationKind};
use crate::schedule::Window;
use crate::selector::Selector;
use crate::tag::Tag;

/// Most waves of one rollout.
pub const MAX_WAVES: usize = 32;
/// Longest name of a rollout, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// Longest soak: 30 days.
pub const MAX_SOAK_S: u32 = 30 * 86_400;
/// Longest time for a terminal to answer: 90 days.
pub const MAX_ANSWER_S: u32 = 90 * 86_400;

/// What a rollout does to each terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RolloutAction))]
pub enum Action {
    /// Makes the effective configuration the desired one.
    Configuration,
    /// Makes a firmware package the desired one.
    Firmware {
        /// The package.
        firmware: FirmwareId,
    },
    /// Gives a command.
    Command {
        /// The command.
        command: OperationKind,
    },
}

/// How many terminals belong to a wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WaveSize {
    /// So many.
    Count(u32),
    /// So many in a hundred of all targets, rounded up.
    Percent(u8),
    /// All with this tag.
    Tagged(Tag),
    /// All that no wave before has. Every rollout ends with it.
    Rest,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wave {
    /// Which terminals.
    pub size: WaveSize,
    /// How long after its operation is done a terminal is watched before it is judged, in seconds.
    #[serde(default)]
    pub soak_s: u32,
    /// So many in a hundred must succeed, rounded up, before the next wave begins.
    pub min_success_percent: u8,
    /// No more than so many in a hundred may fail, rounded down.
    pub max_failure_percent: u8,
    /// Whether a person has to approve its beginning.
    #[serde(default)]
    pub needs_approval: bool,
}

/// How fast a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RolloutCaps))]
pub struct Caps {
    /// At most so many terminals are started in any 60 seconds.
    pub per_minute: u32,
    /// At most so many have an open operation of the rollout.
    pub concurrent: u32,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RolloutState {
    /// Being written; has no targets yet.
    Draft,
    /// Starts terminals.
    Running,
    /// Waits for a person to approve the next wave.
    AwaitingApproval,
    /// Starts none until it is resumed.
    Paused,
    /// Starts none any more and waits for those that were started.
    Finishing,
    /// Calls those back that were started.
    Aborting,
    /// Over. Final.
    Finished,
    /// Over before its end. Final.
    Aborted,
}

impl RolloutState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Running,
        Self::AwaitingApproval,
        Self::Paused,
        Self::Finishing,
        Self::Aborting,
        Self::Finished,
        Self::Aborted,
    ];

    /// The word in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Paused => "paused",
            Self::Finishing => "finishing",
            Self::Aborting => "aborting",
            Self::Finished => "finished",
            Self::Aborted => "aborted",
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted)
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for RolloutState {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule =
            "it is draft, running, awaiting_approval, paused, finishing, aborting, finished or aborted";
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| IdError::new("state of a rollout", text, rule))
    }
}

/// One change for many terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its identity.
    pub id: RolloutId,
    /// What people call it.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// To whom; evaluated once, when it starts.
    pub selector: Selector,
    /// In which order. Never empty; the last one takes the rest.
    pub waves: Vec<Wave>,
    /// How fast.
    pub caps: Caps,
    /// The window of its operations, in each terminal's zone. They are queued at any time and count as open
    /// while they wait for it.
    #[serde(default)]
    pub window: Option<Window>,
    /// How long a terminal has to carry its operation out, and again to report after its soak, in seconds; one
    /// that does not answer in time has failed.
    pub answer_within_s: u32,
    /// Where it stands.
    pub state: RolloutState,
    /// The wave that is current, from 0.
    #[serde(default)]
    pub wave: u32,
    /// So many waves, counted from the first, have their approval or need none any more.
    #[serde(default)]
    pub approved: u32,
    /// So many failures were accepted by resuming it.
    #[serde(default)]
    pub accepted_failures: u64,
    /// When it was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// Why it stands where it stands, for people.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who made it.
    pub author: String,
    /// Rises by one with each change.
    #[serde(default)]
    pub version: u64,
}

/// Why a rollout cannot be as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// Its name is empty, too long or not printable.
    #[error("its name has {0} bytes; it has from 1 to {MAX_NAME_BYTES}, without control characters")]
    Name(usize),
    /// Too few or too many waves.
    #[error("it has {0} waves; it has from 1 to {MAX_WAVES}")]
    Waves(usize),
    /// The last wave does not take the rest, or an earlier one does.
    #[error("wave {0}: the last wave, and no other, takes the rest")]
    Rest(usize),
    /// A number that cannot be.
    #[error("{}{what} is {value}; it is from {min} to {max}", wave.map(|wave| format!("wave {wave}: ")).unwrap_or_default())]
    Range {
        /// The wave, from 1; `None` when it is the whole rollout's.
        wave: Option<usize>,
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// Its command cannot be given.
    #[error(transparent)]
    Command(#[from] KindError),
}

impl Rollout {
    /// Whether it can be carried out as it is written.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), RolloutError> {
        if !(1..=MAX_NAME_BYTES).contains(&self.name.len()) || self.name.chars().any(char::is_control) {
            return Err(RolloutError::Name(self.name.len()));
        }
        if let Action::Command { command } = &self.action {
            command.check()?;
        }
        if !(1..=MAX_WAVES).contains(&self.waves.len()) {
            return Err(RolloutError::Waves(self.waves.len()));
        }
        let range = |wave, what, value, min, max| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(RolloutError::Range { wave, what, value, min, max }),
        };
        for (at, wave) in self.waves.iter().enumerate() {
            let number = at.saturating_add(1);
            if (wave.size == WaveSize::Rest) != (number == self.waves.len()) {
                return Err(RolloutError::Rest(number));
            }
            match wave.size {
                WaveSize::Count(count) => range(Some(number), "count", count, 1, u32::MAX)?,
                WaveSize::Percent(percent) => range(Some(number), "percent", percent.into(), 1, 100)?,
                WaveSize::Tagged(_) | WaveSize::Rest => {}
            }
            range(Some(number), "soak_s", wave.soak_s, 0, MAX_SOAK_S)?;
            range(Some(number), "min_success_percent", wave.min_success_percent.into(), 0, 100)?;
            range(Some(number), "max_failure_percent", wave.max_failure_percent.into(), 0, 100)?;
        }
        range(None, "per_minute", self.caps.per_minute, 1, u32::MAX)?;
        range(None, "concurrent", self.caps.concurrent, 1, u32::MAX)?;
        range(None, "answer_within_s", self.answer_within_s, 60, MAX_ANSWER_S)
    }

    /// The wave that is current. Waves are never empty; past the last there is none.
    #[must_use]
    pub fn current(&self) -> Option<&Wave> {
        self.waves.get(usize::try_from(self.wave).unwrap_or(usize::MAX))
    }
}

/// One terminal of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutTarget {
    /// The terminal.
    pub terminal: TerminalId,
    /// Its wave, from 0.
    pub wave: u32,
    /// Where it stands.
    pub state: TargetState,
    /// Its operation, once it has one.
    #[serde(default)]
    pub operation: Option<OperationId>,
    /// When it was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When its soak ends, or ended.
    #[serde(default)]
    pub soak_until: Option<Timestamp>,
    /// When it is judged even if the terminal has said nothing since.
    #[serde(default)]
    pub judge_by: Option<Timestamp>,
    /// Why it stands where it stands, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TargetState {
    /// Not started.
    Waiting,
    /// Its operation is open.
    Queued,
    /// Its operation is done; it is watched.
    Soaking,
    /// It is as it should be. Final.
    Succeeded,
    /// It is not, or never answered. Final.
    Failed,
    /// It was never started. Final.
    Skipped,
    /// It was called back. Final.
    Cancelled,
}

impl TargetState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Queued,
        Self::Soaking,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The word in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Soaking => "soaking",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Queued | Self::Soaking)
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TargetState {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "it is waiting, queued, soaking, succeeded, failed, skipped or cancelled";
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| IdError::new("state of a target", text, rule))
    }
}
