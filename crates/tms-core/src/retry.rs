//! What happened each time an operation was tried, and whether it is tried again.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most attempts that a policy may ask for.
pub const MAX_ATTEMPTS: u32 = 100;

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The terminal reported success.
    Done,
    /// The terminal did not answer in time.
    Silent,
    /// The connection ended first.
    Broken,
    /// The terminal is busy: it sells, settles or installs.
    Busy,
    /// The terminal tried and did not succeed.
    Failed,
    /// The terminal does not know the command, or will never carry it out as it is.
    Refused,
    /// The host could not do its part: an image or a key is missing.
    HostFailed,
    /// Somebody withdrew the operation.
    Cancelled,
    /// Its time ran out.
    Expired,
}

impl Outcome {
    /// The word in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::HostFailed => "host_failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether trying again can change it. What is done, withdrawn or out of time stays so.
    #[must_use]
    pub const fn may_be_retried(self) -> bool {
        !matches!(self, Self::Done | Self::Cancelled | Self::Expired)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One time that an operation was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When the operation was offered to the terminal.
    pub began_at: Timestamp,
    /// When it ended; `None` while it goes on.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The node of the server that made it.
    pub node: String,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// A sentence for people.
    #[serde(default)]
    pub detail: Option<String>,
}

/// When and how often an operation is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// So many attempts in all; 1 is never again.
    pub max_attempts: u32,
    /// The shortest wait, in seconds.
    pub shortest_s: u32,
    /// The longest wait, in seconds.
    pub longest_s: u32,
    /// The outcomes after which it is tried again.
    pub retryable: BTreeSet<Outcome>,
}

impl Default for RetryPolicy {
    /// Five attempts, from 30 seconds to an hour apart, after silence, a broken connection or a busy
    /// terminal.
    fn default() -> Self {
        Self {
            max_attempts: 5,
            shortest_s: 30,
            longest_s: 3_600,
            retryable: [Outcome::Silent, Outcome::Broken, Outcome::Busy].into(),
        }
    }
}

impl RetryPolicy {
    /// Whether the policy can be followed.
    ///
    /// # Errors
    /// Says which member cannot be.
    pub fn check(&self) -> Result<(), RetryError> {
        if !(1..=MAX_ATTEMPTS).contains(&self.max_attempts) {
            return Err(RetryError::Attempts(self.max_attempts));
        }
        if self.shortest_s > self.longest_s {
            return Err(RetryError::Waits { shortest_s: self.shortest_s, longest_s: self.longest_s });
        }
        match self.retryable.iter().find(|outcome| !outcome.may_be_retried()) {
            Some(outcome) => Err(RetryError::Outcome(*outcome)),
            None => Ok(()),
        }
    }
}

/// Why a retry policy cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// Too few or too many attempts.
    #[error("max_attempts is {0}; it is from 1 to {MAX_ATTEMPTS}")]
    Attempts(u32),
    /// The shortest wait is longer than the longest.
    #[error("shortest_s is {shortest_s}, which is more than longest_s, {longest_s}")]
    Waits {
        /// The shortest wait.
        shortest_s: u32,
        /// The longest wait.
        longest_s: u32,
    },
    /// An outcome that trying again cannot change.
    #[error("what is {0} cannot be tried again")]
    Outcome(Outcome),
}

/// How long to wait after attempt number `attempt` (1 is the first) ended so; `None` when the operation is
/// not tried again.
///
/// The wait is uniform between the shortest and a ceiling that doubles with each attempt up to the longest, so
/// that terminals which failed together do not come again together. `jitter` is any number, uniform over
/// its range.
#[must_use]
pub fn after(attempt: u32, result: Outcome, policy: &RetryPolicy, jitter: u32) -> Option<Duration> {
    if attempt >= policy.max_attempts || !result.may_be_retried() || !policy.retryable.contains(&result) {
        return None;
    }
    let shortest = u64::from(policy.shortest_s).saturating_mul(1_000);
    let longest = u64::from(policy.longest_s).saturating_mul(1_000).max(shortest);
    let ceiling = shortest.saturating_mul(2_u64.saturating_pow(attempt)).min(longest);
    // Less than 2^42 times less than 2^32.
    let share = u128::from(ceiling.saturating_sub(shortest)) * u128::from(jitter) / u128::from(u32::MAX);
    let share = u64::try_from(share).unwrap_or(0);
    Some(Duration::from_millis(shortest.saturating_add(share)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy { max_attempts: 9, shortest_s: 10, longest_s: 60, ..RetryPolicy::default() };
        let wait = |attempt, jitter| after(attempt, Outcome::Silent, &policy, jitter).unwrap().as_secs();
        let ceilings: Vec<_> = (1..=5).map(|attempt| wait(attempt, u32::MAX)).collect();
        assert_eq!(ceilings, [20, 40, 60, 60, 60]);
        assert_eq!(wait(5, 0), 10);
        assert_eq!(wait(1, u32::MAX / 2), 14);
    }

    #[test]
    fn what_the_terminal_will_never_do_is_not_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(after(1, Outcome::Refused, &policy, 0), None);
        assert_eq!(after(1, Outcome::Failed, &policy, 0), None);
        assert!(after(4, Outcome::Busy, &policy, 0).is_some());
        assert_eq!(after(5, Outcome::Busy, &policy, 0), None);
    }

    #[test]
    fn a_policy_that_cannot_be_followed_says_why() {
        let usual = RetryPolicy::default();
        assert_eq!(usual.check(), Ok(()));
        let wrong = RetryPolicy { max_attempts: 0, ..usual.clone() };
        assert_eq!(wrong.check(), Err(RetryError::Attempts(0)));
        let wrong = RetryPolicy { shortest_s: 2, longest_s: 1, ..usual.clone() };
        assert_eq!(wrong.check(), Err(RetryError::Waits { shortest_s: 2, longest_s: 1 }));
        let wrong = RetryPolicy { retryable: [Outcome::Done].into(), ..usual.clone() };
        assert_eq!(wrong.check().unwrap_err().to_string(), "what is done cannot be tried again");
        assert_eq!(serde_json::from_str::<RetryPolicy>("{}").unwrap(), usual);
    }

    proptest! {
        #[test]
        fn every_operation_is_given_up_in_the_end_and_no_wait_is_out_of_bounds(
            attempt in any::<u32>(),
            max_attempts in any::<u32>(),
            shortest_s in any::<u32>(),
            longest_s in any::<u32>(),
            jitter in any::<u32>(),
        ) {
            let policy = RetryPolicy { max_attempts, shortest_s, longest_s, ..RetryPolicy::default() };
            match after(attempt, Outcome::Broken, &policy, jitter) {
                None => prop_assert!(attempt >= max_attempts),
                Some(wait) => {
                    prop_assert!(attempt < max_attempts);
                    prop_assert!(wait >= Duration::from_secs(shortest_s.into()));
                    prop_assert!(wait <= Duration::from_secs(longest_s.max(shortest_s).into()));
                }
            }
        }
    }
}
