//! Guards that a model check may take away, to show that it notices.
//!
//! A check that never fails proves little. Each guard below stands at one place of a state machine as
//! `&& !without(Mutation::Name)`; in a build without tests that is a constant, and costs nothing. The
//! models run once with every guard, and once without each of them, and must then find the fault.

/// A guard, by what happens without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    // Transfer.
    /// A block of the wrong length is taken.
    AnyLength,
    /// Another size of the file is taken.
    AnySize,
    /// Blocks are written as they come.
    AnyOrder,
    /// What was written counts as durable.
    WrittenIsDurable,
    /// Requests reach as far ahead as the window alone allows, whatever is durable.
    AheadOfDurable,
    /// A cancelled transfer goes on after a restart.
    ResumeCancelled,
    /// The file is believed without its hash.
    NoHash,
    /// A block that was lost is not asked for again.
    ForgetMissing,
}

/// Whether this guard is away.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn without(_guard: Mutation) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::without;

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static AWAY: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Whether this guard is away.
    pub(crate) fn without(guard: Mutation) -> bool {
        AWAY.get() == Some(guard)
    }

    impl Mutation {
        /// Runs `check` without this guard.
        pub(crate) fn during<T>(self, check: impl FnOnce() -> T) -> T {
            struct Back;
            impl Drop for Back {
                fn drop(&mut self) {
                    AWAY.set(None);
                }
            }
            AWAY.set(Some(self));
            let _back = Back;
            check()
        }

        /// Whether `check`, a whole model check, fails without this guard. What it would print is not
        /// printed.
        pub(crate) fn is_noticed_by(self, check: impl FnOnce() + std::panic::UnwindSafe) -> bool {
            std::panic::catch_unwind(|| self.during(check)).is_err()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_away_only_while_its_check_runs_even_when_that_fails() {
        assert!(Mutation::NoHash.is_noticed_by(|| assert!(!without(Mutation::NoHash))));
        assert!(!Mutation::NoHash.is_noticed_by(|| assert!(!without(Mutation::AnySize))));
        assert!(!without(Mutation::NoHash));
    }
}
