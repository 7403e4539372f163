//! What is to be done now.

use jiff::{SignedDuration, Timestamp};

use super::{Rollout, RolloutState, Tally, Wave};

/// What `per_minute` is measured in.
pub(super) const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// Something to be done. Each is carried out in one transaction that raises the rollout's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Give so many waiting targets of the wave their operation, in the order of the targets, and make them
    /// `queued` with `started_at` now. A terminal that is out of use by now becomes `skipped` instead.
    Start {
        /// The wave.
        wave: u32,
        /// How many; never 0.
        count: u64,
    },
    /// Make this wave the current one.
    NextWave {
        /// The wave.
        wave: u32,
    },
    /// Make the state `awaiting_approval`.
    AwaitApproval {
        /// For this wave.
        wave: u32,
    },
    /// Make the state `paused`, for this reason.
    Halt {
        /// A sentence for people.
        reason: String,
    },
    /// Make every waiting target `skipped`.
    SkipWaiting,
    /// Withdraw the operation of every queued target, and tell the terminal to give it up where it may have
    /// begun. Doing it again does no harm.
    CancelOpen,
    /// Look at every soaking target ([`super::observe()`]) now, whatever is left of its soak.
    JudgeSoaking,
    /// Make the state this one: `finishing`, `finished` or `aborted`.
    Become {
        /// The state.
        state: RolloutState,
    },
    /// Nothing more changes before this moment unless a target or a person does something.
    Wake {
        /// The moment.
        at: Timestamp,
    },
}

/// Says what is to be done. The decisions are carried out in their order; after that the answer for the new
/// counts is what is left to do, and in the end only `Wake` or nothing.
#[must_use]
pub fn decide(rollout: &Rollout, tally: &Tally, now: Timestamp) -> Vec<Decision> {
    let whole = tally.whole();
    let mut decisions = Vec::new();
    let ended = |state| match whole.open() {
        0 => Some(Decision::Become { state }),
        _ => None,
    };
    match rollout.state {
        RolloutState::Draft
        | RolloutState::Paused
        | RolloutState::AwaitingApproval
        | RolloutState::Finished
        | RolloutState::Aborted => {}
        RolloutState::Running => decisions = running(rollout, tally, now),
        RolloutState::Finishing | RolloutState::Aborting => {
            let aborting = rollout.state == RolloutState::Aborting;
            if whole.waiting > 0 {
                decisions.push(Decision::SkipWaiting);
            }
            if aborting && whole.queued > 0 {
                decisions.push(Decision::CancelOpen);
            }
            if aborting && whole.soaking > 0 {
                decisions.push(Decision::JudgeSoaking);
            }
            let end = if aborting { RolloutState::Aborted } else { RolloutState::Finished };
            decisions.extend(ended(end));
        }
    }
    let look = tally.next_look.filter(|_| !rollout.state.is_final());
    decisions.extend(look.map(|at| Decision::Wake { at }));
    decisions
}

fn running(rollout: &Rollout, tally: &Tally, now: Timestamp) -> Vec<Decision> {
    let Some(wave) = rollout.current() else {
        return vec![Decision::Become { state: RolloutState::Finishing }];
    };
    if let Some(reason) = halt(rollout, wave, tally) {
        return vec![Decision::Halt { reason }];
    }
    let counts = tally.wave(rollout.wave);
    if passed(rollout, wave, tally) {
        let next = rollout.wave.saturating_add(1);
        return vec![match usize::try_from(next).is_ok_and(|next| next < rollout.waves.len()) {
            true => Decision::NextWave { wave: next },
            false => Decision::Become { state: RolloutState::Finishing },
        }];
    }
    if wave.needs_approval && rollout.approved <= rollout.wave && counts.counted() > 0 {
        return vec![Decision::AwaitApproval { wave: rollout.wave }];
    }
    let rate = u64::from(rollout.caps.per_minute).saturating_sub(tally.started_lately);
    let room = u64::from(rollout.caps.concurrent).saturating_sub(tally.whole().queued);
    let count = counts.waiting.min(rate).min(room);
    if count > 0 {
        return vec![Decision::Start { wave: rollout.wave, count }];
    }
    let slot = tally.first_lately.filter(|_| counts.waiting > 0 && rate == 0);
    let slot = slot.and_then(|first| first.checked_add(MINUTE).ok()).filter(|at| *at > now);
    slot.map(|at| Decision::Wake { at }).into_iter().collect()
}

/// Whether the next wave may begin.
fn passed(rollout: &Rollout, wave: &Wave, tally: &Tally) -> bool {
    let counts = tally.wave(rollout.wave);
    let enough = counts.succeeded >= counts.needed(wave);
    let accepted = counts.queued == 0 && tally.whole().failed <= rollout.accepted_failures;
    counts.waiting == 0 && counts.soaking == 0 && (enough || accepted)
}

/// Why the rollout may not go on, if it may not.
fn halt(rollout: &Rollout, current: &Wave, tally: &Tally) -> Option<String> {
    let (mut failed, mut may_fail) = (0_u64, 0_u64);
    let mut too_many = None;
    for (wave, number) in rollout.waves.iter().zip(0..=rollout.wave) {
        let counts = tally.wave(number);
        let limit = counts.may_fail(wave);
        failed = failed.saturating_add(counts.failed);
        may_fail = may_fail.saturating_add(limit);
        if counts.failed > limit {
            let (number, of) = (number.saturating_add(1), counts.counted());
            too_many = Some(format!("{} of {of} in wave {number} failed; {limit} may", counts.failed));
        }
    }
    if failed <= rollout.accepted_failures {
        return None;
    }
    let counts = tally.wave(rollout.wave);
    let needed = counts.needed(current);
    let reachable = counts.counted().saturating_sub(counts.failed);
    let number = rollout.wave.saturating_add(1);
    let whole = || {
        let text = || format!("{failed} failed in the waves up to {number}; {may_fail} may in all");
        (failed > may_fail).then(text)
    };
    let short = || {
        let text = || format!("wave {number} cannot reach {needed} successes; {reachable} are possible");
        (reachable < needed).then(text)
    };
    too_many.or_else(whole).or_else(short)
}
