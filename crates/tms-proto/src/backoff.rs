//! Waiting longer after each failure, and never two terminals in step.
//!
//! The one backoff of this system: transfers, uploads and connections wait by it. It takes its
//! chance from outside, so that a simulation repeats itself: from [`Jitter`], or from the system's
//! random source.

use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Exponential backoff with jitter: a wait is uniform between the shortest and a ceiling that doubles
/// with each failure up to the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits between `shortest` and `longest`.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0 }
    }

    /// The wait after one more failure; `random` is any number, uniform over its range.
    pub fn next_wait(&mut self, random: u32) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.saturating_add(1));
        let ceiling = self.shortest.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.between(ceiling, random)
    }

    /// A wait near the longest, for what asking again soon will not change.
    #[must_use]
    pub fn long_wait(&self, random: u32) -> Duration {
        (self.longest / 2).saturating_add(self.between(self.longest, random) / 2)
    }

    /// It worked: the next failure starts small again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn between(&self, ceiling: Duration, random: u32) -> Duration {
        let span = ceiling.saturating_sub(self.shortest);
        // Below 2^94 times below 2^32; never more than the span, so that it is a duration again.
        let nanos = span.as_nanos().saturating_mul(u128::from(random)) / u128::from(u32::MAX);
        let seconds = u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos % NANOS_PER_SECOND).unwrap_or(0);
        self.shortest.saturating_add(Duration::new(seconds, rest))
    }
}

/// Numbers that look random and follow from a seed (SplitMix64). They spread waits and protect
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jitter(u64);

impl Jitter {
    /// The numbers of this seed; give each terminal its own.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The upper half is the better one, and always fits.
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_stay_between_their_bounds_and_grow_with_failures() {
        let mut backoff = Backoff::new(100 * MS, 3_000 * MS);
        let mut jitter = Jitter::new(7);
        for failure in 1..40_u32 {
            let wait = backoff.next_wait(jitter.next_number());
            let ceiling = (100 * 2_u32.saturating_pow(failure).min(30)) * MS;
            assert!(wait >= 100 * MS && wait <= ceiling, "failure {failure}: {wait:?}");
            assert_eq!(backoff.failures(), failure);
        }
        backoff.reset();
        assert!(backoff.next_wait(u32::MAX) <= 200 * MS);
        assert!((1_500 * MS..=3_000 * MS).contains(&backoff.long_wait(0)));
        assert_eq!(backoff.long_wait(u32::MAX), 3_000 * MS);
    }

    #[test]
    fn two_terminals_do_not_wait_alike() {
        let backoff = Backoff::new(MS, 10_000 * MS);
        let waits: std::collections::BTreeSet<Duration> =
            (0..50).map(|seed| backoff.long_wait(Jitter::new(seed).next_number())).collect();
        assert!(waits.len() > 40);
    }

    #[test]
    fn a_longest_wait_without_end_is_no_panic() {
        for shortest in [Duration::ZERO, MS, Duration::MAX] {
            let mut backoff = Backoff::new(shortest, Duration::MAX);
            for random in (0..100).chain([u32::MAX - 1, u32::MAX]) {
                assert!(backoff.next_wait(random) >= shortest);
                assert!(backoff.long_wait(random) >= shortest / 2);
            }
        }
    }

    #[test]
    fn equal_bounds_give_that_wait() {
        assert_eq!(Backoff::new(5 * MS, 5 * MS).next_wait(1 << 31), 5 * MS);
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut one, mut other) = (Jitter::new(3), Jitter::new(3));
        assert!((0..9).all(|_| one.next_number() == other.next_number()));
    }
}
