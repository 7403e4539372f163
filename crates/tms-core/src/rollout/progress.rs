//! How far a rollout has come, and when it will be over.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Rollout, RolloutState, Tally};

/// How far a rollout has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutProgress {
    /// Targets in all.
    pub total: u64,
    /// Targets that have reached their end.
    pub ended: u64,
    /// `ended` in a hundred of `total`, rounded down; 100 when there are none.
    pub percent: u8,
    /// When the last target will probably have reached its end. `None` when nothing can be said: it does not run,
    /// waits for a person, or nothing has ended yet.
    pub eta: Option<Timestamp>,
}

/// Says how far a rollout has come. The estimate takes the pace so far, or the one that `per_minute` allows if
/// that is slower, and adds the soak of every wave that has not ended.
#[must_use]
pub fn progress(rollout: &Rollout, tally: &Tally, now: Timestamp) -> RolloutProgress {
    let whole = tally.whole();
    let (total, open) = (whole.total(), whole.open());
    let ended = total.saturating_sub(open);
    let percent = match total {
        0 => 100,
        total => u8::try_from(ended.saturating_mul(100) / total).unwrap_or(100),
    };
    RolloutProgress { total, ended, percent, eta: eta(rollout, tally, now) }
}

fn eta(rollout: &Rollout, tally: &Tally, now: Timestamp) -> Option<Timestamp> {
    let moves =
        matches!(rollout.state, RolloutState::Running | RolloutState::Finishing | RolloutState::Aborting);
    let started = rollout.started_at.filter(|_| moves)?;
    let whole = tally.whole();
    let ended = whole.succeeded.saturating_add(whole.failed).saturating_add(whole.cancelled);
    if whole.open() == 0 {
        return Some(now);
    }
    if ended == 0 {
        return None;
    }
    let elapsed_s = u64::try_from(now.duration_since(started).as_secs()).unwrap_or(0);
    let at_pace_s = u128::from(elapsed_s) * u128::from(whole.open()) / u128::from(ended);
    let at_cap_s = u128::from(whole.waiting) * 60 / u128::from(rollout.caps.per_minute.max(1));
    let waves = rollout.waves.iter().zip(0..).filter(|(_, number)| tally.wave(*number).open() > 0);
    let soak_s: u64 = waves.map(|(wave, _)| u64::from(wave.soak_s)).sum();
    let left_s = at_pace_s.max(at_cap_s).saturating_add(u128::from(soak_s));
    let left = SignedDuration::from_secs(i64::try_from(left_s).unwrap_or(i64::MAX));
    now.checked_add(left).ok()
}
