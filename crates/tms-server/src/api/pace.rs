//! How often somebody may call: a bucket for each caller, in the form of the generic cell rate
//! algorithm, which keeps one number per caller and no timers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::app::Rate;

/// Callers that are known at a time. Those who have not called for a while make room.
const MAX_CALLERS: usize = 50_000;

/// A bucket for each caller.
#[derive(Debug)]
pub(super) struct Pace<K> {
    rate: Rate,
    /// For each caller the time, in microseconds, at which the bucket will be full again.
    full_at: Mutex<HashMap<K, i64>>,
}

/// What is left to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Calls that may come at once.
    pub(super) remaining: u64,
    /// Seconds until there are as many as there can be.
    pub(super) full_in_s: u64,
}

/// Too often: seconds until the next call is let in, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(pub(super) u64);

impl<K: Eq + Hash> Pace<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// The rate in force.
    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Counts a call.
    pub(super) fn call(&self, caller: K, now: Timestamp) -> Result<Allowance, Wait> {
        let now = now.as_microsecond();
        let interval = micros_per_call(self.rate);
        let depth = interval.saturating_mul(i64::from(self.rate.burst.max(1)));
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MAX_CALLERS && !full_at.contains_key(&caller) {
            full_at.retain(|_, at| *at > now && *at <= now.saturating_add(depth));
            if full_at.len() >= MAX_CALLERS {
                // So many callers at once are an attack, and a new one cannot be told from them.
                return Err(Wait(1));
            }
        }
        let slot = full_at.entry(caller).or_insert(now);
        // Neither a bucket that has been full for a while nor a clock that was set back counts.
        let filled = (*slot).clamp(now, now.saturating_add(depth));
        let after = filled.saturating_add(interval);
        let used = after.saturating_sub(now);
        if used > depth {
            return Err(Wait(seconds_up(used.saturating_sub(depth)).max(1)));
        }
        *slot = after;
        let left = depth.saturating_sub(used).checked_div(interval).unwrap_or(0);
        Ok(Allowance { remaining: u64::try_from(left).unwrap_or(0), full_in_s: seconds_up(used) })
    }
}

fn micros_per_call(rate: Rate) -> i64 {
    60_000_000_i64.checked_div(i64::from(rate.per_minute)).unwrap_or(60_000_000).max(1)
}

fn seconds_up(micros: i64) -> u64 {
    u64::try_from(micros.saturating_add(999_999).checked_div(1_000_000).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000) + SignedDuration::from_millis(millis)
    }

    #[test]
    fn a_burst_is_let_in_and_after_it_the_rate() {
        let pace = Pace::new(Rate { per_minute: 60, burst: 3 });
        for remaining in [2, 1, 0] {
            assert_eq!(pace.call("ann", at(0)).unwrap().remaining, remaining);
        }
        assert_eq!(pace.call("ann", at(0)), Err(Wait(1)));
        assert_eq!(pace.call("ann", at(999)), Err(Wait(1)));
        assert!(pace.call("ann", at(1_000)).is_ok());
        assert_eq!(pace.call("ann", at(1_000)), Err(Wait(1)));
        // Refused calls do not count, and the others wait for nobody.
        assert_eq!(pace.call("bob", at(1_000)).unwrap(), Allowance { remaining: 2, full_in_s: 1 });
        assert_eq!(pace.call("ann", at(60_000)).unwrap().remaining, 2);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let pace = Pace::new(Rate { per_minute: 60, burst: 2 });
        pace.call("ann", at(3_600_000)).unwrap();
        assert_eq!(pace.call("ann", at(0)), Err(Wait(1)));
        assert!(pace.call("ann", at(2_000)).is_err(), "as if the bucket had been empty");
    }

    #[test]
    fn callers_without_end_are_not_remembered_without_end() {
        let pace = Pace::new(Rate { per_minute: 60, burst: 1 });
        for caller in 0..MAX_CALLERS {
            pace.call(caller, at(0)).unwrap();
        }
        assert_eq!(pace.call(MAX_CALLERS, at(10)), Err(Wait(1)));
        assert!(pace.call(0, at(1_000)).is_ok(), "who is known is served");
        assert!(pace.call(MAX_CALLERS, at(1_001)).is_ok(), "and the idle ones make room");
        assert!(pace.full_at.lock().unwrap().len() < 10);
    }
}
