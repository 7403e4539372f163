//! The keypad's administrator login: a few tries, then a wait that doubles.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tms_crypto::password::is_documented_default;
use tms_proto::rotation::CredentialSlots;

/// Wrong secrets in a row before a role locks.
pub const TRIES: u32 = 5;
/// How long the first lock lasts. Each further one lasts twice as long as the one before.
pub const FIRST_LOCK: SignedDuration = SignedDuration::from_secs(60);
/// The longest lock.
pub const LONGEST_LOCK: SignedDuration = SignedDuration::from_hours(1);

/// What a login attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The secret is right.
    Accepted {
        /// Its generation.
        generation: u32,
    },
    /// The secret is wrong, the role unknown, or the secret is a default that manuals print.
    Refused {
        /// Tries left before the role locks.
        tries_left: u32,
    },
    /// The role is locked; the secret was not looked at.
    Locked {
        /// Until when.
        until: Timestamp,
    },
}

impl Login {
    /// Whether the terminal opened.
    #[must_use]
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// Failed logins by role. Durable: a restart does not open a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    roles: BTreeMap<String, Failures>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Failures {
    in_a_row: u32,
    locks: u32,
    until: Option<Timestamp>,
}

impl Lockout {
    /// One attempt. Save the lockout before telling anybody what it came to.
    pub fn attempt(
        &mut self,
        credentials: &CredentialSlots,
        role: &str,
        secret: &str,
        now: Timestamp,
    ) -> Login {
        let known = credentials.generations().contains_key(role);
        // An unknown role keeps no count, so that invented names cannot fill the state.
        let mut unknown = Failures::default();
        let failures = if known { self.roles.entry(role.to_owned()).or_default() } else { &mut unknown };
        // A clock that was ahead when the role locked must not make the lock longer than any.
        let latest = now.saturating_add(LONGEST_LOCK).unwrap_or(Timestamp::MAX);
        failures.until = failures.until.filter(|until| now < *until).map(|until| until.min(latest));
        if let Some(until) = failures.until {
            return Login::Locked { until };
        }
        // Public knowledge is no proof of authority, even where it was never changed.
        let generation =
            credentials.try_secret(role, secret.as_bytes()).filter(|_| !is_documented_default(secret));
        match generation {
            Some(generation) => {
                *failures = Failures::default();
                Login::Accepted { generation }
            }
            None => failures.count(now),
        }
    }
}

impl Failures {
    fn count(&mut self, now: Timestamp) -> Login {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < TRIES {
            return Login::Refused { tries_left: TRIES.saturating_sub(self.in_a_row) };
        }
        let factor = 1_i32.checked_shl(self.locks.min(16)).unwrap_or(i32::MAX);
        let length = FIRST_LOCK.saturating_mul(factor).min(LONGEST_LOCK);
        let until = now.saturating_add(length).unwrap_or(Timestamp::MAX);
        *self = Self { in_a_row: 0, locks: self.locks.saturating_add(1), until: Some(until) };
        Login::Locked { until }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tms_crypto::verifier::Verifier;

    use super::*;

    const SECRET: &str = "73920418";

    fn credentials(secret: &str) -> CredentialSlots {
        let mut slots = CredentialSlots::default();
        slots.install("99", 3, &Verifier::derive(secret.as_bytes(), [1; 16], 1));
        slots
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_right_secret_opens_and_tells_its_generation() {
        let login = Lockout::default().attempt(&credentials(SECRET), "99", SECRET, at(0));
        assert_eq!(login, Login::Accepted { generation: 3 });
    }

    #[test]
    fn the_fifth_wrong_secret_locks_and_then_even_the_right_one_waits() {
        let (mut lockout, slots) = (Lockout::default(), credentials(SECRET));
        for left in (1..TRIES).rev() {
            assert_eq!(lockout.attempt(&slots, "99", "1", at(0)), Login::Refused { tries_left: left });
        }
        assert_eq!(lockout.attempt(&slots, "99", "1", at(0)), Login::Locked { until: at(60) });
        assert_eq!(lockout.attempt(&slots, "99", SECRET, at(59)), Login::Locked { until: at(60) });
        assert!(lockout.attempt(&slots, "99", SECRET, at(60)).is_accepted());
    }

    #[test]
    fn each_lock_lasts_twice_as_long_up_to_an_hour_and_success_forgets_them() {
        let (mut lockout, slots) = (Lockout::default(), credentials(SECRET));
        let mut now = 0;
        for seconds in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            for _ in 1..TRIES {
                lockout.attempt(&slots, "99", "1", at(now));
            }
            assert_eq!(
                lockout.attempt(&slots, "99", "1", at(now)),
                Login::Locked { until: at(now + seconds) }
            );
            now += seconds;
        }
        assert!(lockout.attempt(&slots, "99", SECRET, at(now)).is_accepted());
        assert_eq!(lockout.attempt(&slots, "99", "1", at(now)), Login::Refused { tries_left: 4 });
    }

    #[test]
    fn a_lock_of_a_clock_that_was_years_ahead_ends_within_the_longest_lock() {
        let (mut lockout, slots) = (Lockout::default(), credentials(SECRET));
        let ten_years = 10 * 366 * 86_400;
        for _ in 0..TRIES {
            lockout.attempt(&slots, "99", "1", at(ten_years));
        }
        let hour = LONGEST_LOCK.as_secs();
        assert_eq!(lockout.attempt(&slots, "99", SECRET, at(0)), Login::Locked { until: at(hour) });
        assert_eq!(lockout.attempt(&slots, "99", SECRET, at(hour - 1)), Login::Locked { until: at(hour) });
        assert!(lockout.attempt(&slots, "99", SECRET, at(hour)).is_accepted());
    }

    #[test]
    fn a_documented_default_never_opens_even_where_it_is_set() {
        let login = Lockout::default().attempt(&credentials("12345678"), "99", "12345678", at(0));
        assert_eq!(login, Login::Refused { tries_left: 4 });
    }

    #[test]
    fn an_unknown_role_is_refused_and_leaves_no_trace() {
        let mut lockout = Lockout::default();
        assert!(!lockout.attempt(&credentials(SECRET), "nobody", SECRET, at(0)).is_accepted());
        assert_eq!(lockout, Lockout::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any attempts at any times, with restarts between: nothing opens while locked, nothing but
        /// the secret opens, and no five wrong ones in a row go without a lock.
        #[test]
        fn no_order_of_attempts_opens_a_locked_keypad(attempts in prop::collection::vec((any::<bool>(), 0_i64..200, any::<bool>()), 0..80)) {
            let slots = credentials(SECRET);
            let mut lockout = Lockout::default();
            let (mut now, mut wrong, mut locked_until) = (0, 0, at(-1));
            for (right, wait, restart) in attempts {
                now += wait;
                if restart {
                    lockout = serde_json::from_str(&serde_json::to_string(&lockout).unwrap()).unwrap();
                }
                let locked = at(now) < locked_until;
                let login = lockout.attempt(&slots, "99", if right { SECRET } else { "1" }, at(now));
                prop_assert_eq!(login.is_accepted(), right && !locked);
                match login {
                    Login::Accepted { .. } => wrong = 0,
                    Login::Refused { .. } => wrong += 1,
                    Login::Locked { until } => { wrong = 0; locked_until = until; }
                }
                prop_assert!(wrong < TRIES);
            }
        }
    }
}
