//! How many targets stand where.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RolloutTarget, TargetState, Wave};

/// The targets of one wave, counted by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaveTally {
    /// Not started.
    pub waiting: u64,
    /// With an open operation.
    pub queued: u64,
    /// Done and watched.
    pub soaking: u64,
    /// As they should be.
    pub succeeded: u64,
    /// Not as they should be.
    pub failed: u64,
    /// Never started.
    pub skipped: u64,
    /// Called back.
    pub cancelled: u64,
}

impl WaveTally {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counted().saturating_add(self.skipped).saturating_add(self.cancelled)
    }

    /// Those that percentages are of.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.open().saturating_add(self.succeeded).saturating_add(self.failed)
    }

    /// Those that have not reached their end.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.waiting.saturating_add(self.queued).saturating_add(self.soaking)
    }

    /// How many must succeed.
    pub(super) fn needed(&self, wave: &Wave) -> u64 {
        self.counted().saturating_mul(wave.min_success_percent.min(100).into()).div_ceil(100)
    }

    /// How many may fail.
    pub(super) fn may_fail(&self, wave: &Wave) -> u64 {
        self.counted().saturating_mul(wave.max_failure_percent.min(100).into()) / 100
    }

    fn add(&mut self, state: TargetState) {
        let count = match state {
            TargetState::Waiting => &mut self.waiting,
            TargetState::Queued => &mut self.queued,
            TargetState::Soaking => &mut self.soaking,
            TargetState::Succeeded => &mut self.succeeded,
            TargetState::Failed => &mut self.failed,
            TargetState::Skipped => &mut self.skipped,
            TargetState::Cancelled => &mut self.cancelled,
        };
        *count = count.saturating_add(1);
    }
}

/// The targets of a rollout, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By wave; a wave that is missing has no targets.
    pub waves: Vec<WaveTally>,
    /// How many were started less than 60 seconds ago.
    pub started_lately: u64,
    /// When the first of these was started.
    pub first_lately: Option<Timestamp>,
    /// The next moment after now at which a target that soaks is to be looked at: the end of its soak, or
    /// when it is judged at the latest.
    pub next_look: Option<Timestamp>,
}

impl Tally {
    /// Counts targets as they stand at `now`. A store has the same from one query by wave and state.
    #[must_use]
    pub fn of<'a>(targets: impl IntoIterator<Item = &'a RolloutTarget>, now: Timestamp) -> Self {
        let mut tally = Self::default();
        let minute_ago = now.checked_sub(super::decide::MINUTE).unwrap_or(Timestamp::MIN);
        for target in targets {
            let wave = usize::try_from(target.wave).unwrap_or(usize::MAX).min(super::MAX_WAVES);
            if tally.waves.len() <= wave {
                tally.waves.resize(wave.saturating_add(1), WaveTally::default());
            }
            if let Some(counts) = tally.waves.get_mut(wave) {
                counts.add(target.state);
            }
            if let Some(at) = target.started_at.filter(|at| *at > minute_ago) {
                tally.started_lately = tally.started_lately.saturating_add(1);
                tally.first_lately = Some(tally.first_lately.map_or(at, |first| first.min(at)));
            }
            if target.state == TargetState::Soaking {
                let looks = [target.soak_until, target.judge_by].into_iter().flatten();
                let looks = looks.filter(|at| *at > now).chain(tally.next_look);
                tally.next_look = looks.min();
            }
        }
        tally
    }

    /// One wave.
    #[must_use]
    pub fn wave(&self, number: u32) -> WaveTally {
        usize::try_from(number).ok().and_then(|at| self.waves.get(at)).copied().unwrap_or_default()
    }

    /// All waves together.
    #[must_use]
    pub fn whole(&self) -> WaveTally {
        self.waves.iter().fold(WaveTally::default(), |sum, w| WaveTally {
            waiting: sum.waiting.saturating_add(w.waiting),
            queued: sum.queued.saturating_add(w.queued),
            soaking: sum.soaking.saturating_add(w.soaking),
            succeeded: sum.succeeded.saturating_add(w.succeeded),
            failed: sum.failed.saturating_add(w.failed),
            skipped: sum.skipped.saturating_add(w.skipped),
            cancelled: sum.cancelled.saturating_add(w.cancelled),
        })
    }
}
