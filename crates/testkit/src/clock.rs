//! Virtual time: it stands still until somebody turns it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};

/// The true time of a simulated world. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Since the epoch: fine enough for a byte on a fast line, and wide enough for every year.
    micros: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that shows `start`, to the microsecond.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { micros: Arc::new(AtomicI64::new(start.as_microsecond())) }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        at_micros(self.micros.load(Ordering::Relaxed))
    }

    /// Turns the clock forward to `to`, or to the microsecond after it: what is due then is due. A clock
    /// that shows a later time already stays.
    pub fn advance_to(&self, to: Timestamp) {
        self.micros.fetch_max(micros_at_or_after(to), Ordering::Relaxed);
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: SignedDuration) {
        self.advance_to(self.now().saturating_add(by).unwrap_or(Timestamp::MAX));
    }

    /// A clock of somebody in this world, right until it [jumps](Skewed::jump).
    #[must_use]
    pub fn skewed(&self) -> Skewed {
        Skewed { truth: self.clone(), off_by_micros: Arc::default() }
    }
}

/// Somebody's own clock, which may be wrong. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Skewed {
    truth: Clock,
    off_by_micros: Arc<AtomicI64>,
}

impl Skewed {
    /// What this clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shown_at(self.truth.now())
    }

    /// What this clock shows at a true time.
    #[must_use]
    pub fn shown_at(&self, truth: Timestamp) -> Timestamp {
        at_micros(truth.as_microsecond().saturating_add(self.off_by_micros.load(Ordering::Relaxed)))
    }

    /// The true time at which this clock, left alone, shows `shown`, or the microsecond after it.
    #[must_use]
    pub fn truth_at(&self, shown: Timestamp) -> Timestamp {
        at_micros(micros_at_or_after(shown).saturating_sub(self.off_by_micros.load(Ordering::Relaxed)))
    }

    /// Jumps, forward or back.
    pub fn jump(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(if by.is_negative() { i64::MIN } else { i64::MAX });
        let off = self.off_by_micros.load(Ordering::Relaxed).saturating_add(by);
        self.off_by_micros.store(off, Ordering::Relaxed);
    }

    /// Shows the true time again.
    pub fn set_right(&self) {
        self.off_by_micros.store(0, Ordering::Relaxed);
    }
}

fn micros_at_or_after(at: Timestamp) -> i64 {
    at.as_microsecond().saturating_add(i64::from(at.subsec_nanosecond() % 1_000 > 0))
}

fn at_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_it_is_turned_and_never_back() {
        let clock = Clock::new(Timestamp::UNIX_EPOCH);
        let same = clock.clone();
        clock.advance(SignedDuration::from_secs(5));
        same.advance_to(Timestamp::UNIX_EPOCH);
        assert_eq!(same.now(), Timestamp::from_second(5).unwrap());
    }

    #[test]
    fn a_clock_that_jumped_goes_on_at_the_same_pace() {
        let clock = Clock::new(Timestamp::UNIX_EPOCH);
        let wrong = clock.skewed();
        wrong.jump(SignedDuration::from_hours(-24));
        clock.advance(SignedDuration::from_secs(5));
        assert_eq!(wrong.now(), Timestamp::from_second(5 - 86_400).unwrap());
        assert_eq!(wrong.truth_at(wrong.now()), clock.now());
        wrong.set_right();
        assert_eq!(wrong.now(), clock.now());
    }

    #[test]
    fn what_is_due_between_two_ticks_is_due_when_the_clock_has_been_turned_to_it() {
        let clock = Clock::new(Timestamp::UNIX_EPOCH);
        for nanos in [1, 1_499, -3_000_000_001] {
            let due = Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(nanos);
            let wrong = clock.skewed();
            wrong.jump(SignedDuration::from_secs(-1));
            assert!(wrong.shown_at(wrong.truth_at(due)) >= due);
            clock.advance_to(due);
            assert!(clock.now() >= due);
        }
    }

    #[test]
    fn a_clock_stays_a_clock_however_far_it_jumps() {
        let wrong = Clock::new(Timestamp::UNIX_EPOCH).skewed();
        wrong.jump(SignedDuration::MAX);
        assert_eq!(wrong.now(), Timestamp::MAX);
        assert_eq!(wrong.truth_at(Timestamp::MIN), Timestamp::MIN);
    }
}
