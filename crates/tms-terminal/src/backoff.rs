//! Waiting longer after each failure, and never two terminals in step.

use std::time::Duration;

use crate::{agent::Exit, failure::FailureKind, materials::Entropy};

/// Exponential backoff with full jitter: a wait is uniform between the shortest and a ceiling that
/// doubles with each failure up to the longest.
#[derive(Clone, Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
    entropy: Entropy,
}

impl Backoff {
    /// Waits between `shortest` and `longest`.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration, entropy: Entropy) -> Self {
        Self { shortest, longest: longest.max(shortest), failures: 0, entropy }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures.saturating_add(1));
        let ceiling = self.shortest.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.between(ceiling)
    }

    /// A wait near the longest, for what asking again soon will not change.
    pub fn long_wait(&mut self) -> Duration {
        self.longest / 2 + self.between(self.longest) / 2
    }

    /// It worked: the next failure starts small again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// A connection ended on which the terminal had signed on.
    pub(crate) fn session_ended(&mut self, exit: &Exit) {
        // A sign-on that brings no key for what follows is no success: the next would bring none either.
        if !matches!(exit, Exit::Lost(failure) if failure.kind.is_of_macs()) {
            self.reset();
        }
    }

    /// The wait after a failure of this kind.
    pub(crate) fn after(&mut self, kind: FailureKind) -> Duration {
        if kind.is_lasting() { self.long_wait() } else { self.next_wait() }
    }

    fn between(&self, ceiling: Duration) -> Duration {
        let span = ceiling.saturating_sub(self.shortest);
        let share = f64::from(u32::from_be_bytes(self.entropy.bytes())) / f64::from(u32::MAX);
        self.shortest.saturating_add(span.mul_f64(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_stay_between_their_bounds_and_grow_with_failures() {
        let mut backoff = Backoff::new(100 * MS, 3_000 * MS, Entropy::default());
        for failure in 1..40_u32 {
            let wait = backoff.next_wait();
            let ceiling = (100 * 2_u32.saturating_pow(failure).min(30)) * MS;
            assert!(wait >= 100 * MS && wait <= ceiling, "failure {failure}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= 200 * MS);
        assert!((1_500 * MS..=3_000 * MS).contains(&backoff.long_wait()));
    }

    #[test]
    fn two_terminals_do_not_wait_alike() {
        let waits: std::collections::BTreeSet<Duration> =
            (0..50).map(|_| Backoff::new(MS, 10_000 * MS, Entropy::default()).long_wait()).collect();
        assert!(waits.len() > 40);
    }

    #[test]
    fn equal_bounds_give_that_wait() {
        assert_eq!(Backoff::new(5 * MS, 5 * MS, Entropy::default()).next_wait(), 5 * MS);
    }
}
