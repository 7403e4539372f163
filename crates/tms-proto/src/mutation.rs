//! Guards that a model check may take away, to show that it notices.
//!
//! A check that never fails proves little. Each guard below stands at one place of a state machine as
//! `&& !without(Mutation::Name)`; in a build without tests that is a constant, and costs nothing. The
//! models run once with every guard, and once without each of them, and must then find the fault.

/// A guard, by what happens without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    // Journal.
    /// A task that a restart cut short is done again although it must not be.
    RepeatLostTask,
    /// A cancelled task is resumed.
    ResumeCancelledTask,
    /// A cancellation that comes before its operation is forgotten.
    ForgetCancellation,
    /// A result that the host does not have makes room for others.
    EvictUnacknowledged,
    /// A second result takes the place of the first.
    OverwriteResult,
    // Address.
    /// New addresses take the place of the old ones before they are proved.
    KeepUntriedAddresses,
    /// Connections that are tried are not counted.
    EndlessTrial,
    // Plan.
    /// A plan older than the one in force takes its place.
    AnyPlanVersion,
    /// What a plan has done is done again under the next one.
    ForgetDoneActions,
    /// An action that began is begun again while it runs.
    ForgetBegun,
    /// What must not be repeated is repeated after a restart.
    RepeatInterrupted,
    /// An action starts before its window opens.
    IgnoreWindowStart,
    /// An action starts after its window has closed.
    IgnoreWindowEnd,
    /// A failed action is tried for ever.
    EndlessRetries,
    /// A failed action is tried again at once.
    HastyRetries,
    /// Later actions begin while one that may stop them is tried again.
    OvertakeStop,
    /// A failure that should stop the plan does not.
    IgnoreStop,
    /// A result ends whatever runs.
    AnyResultEnds,
    /// An action does not wait for what triggers it.
    IgnoreTrigger,
    /// The contact that brought the plan counts as the next one.
    AnyContact,
    /// An action begins before the batch is settled.
    SkipReconciliation,
    /// The restart that belongs to an action is left out.
    SkipRestart,
    /// An occasion counts only for the action that can begin at that moment.
    ForgetMissedTriggers,
    /// Results that wait are dropped with their plan.
    DropResults,
    /// A cancelled action goes on after a restart.
    ResumeCancelledAction,
    /// A clock that goes back makes a retry wait as long as the clock went.
    TrustClockForRetries,
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

    // Rotation, the host.
    /// A result of another operation counts.
    AnyOperation,
    /// A result of another step counts.
    AnyStep,
    /// A result counts as proof without one.
    NoProof,
    /// A rotation can be given up when the old secret may be forgotten.
    AbandonAfterProof,

    // Rotation, the terminal.
    /// The answer goes out before what it says is durable.
    AnswerFirst,
    /// A generation that was in force can be prepared again.
    OldGeneration,
    /// Any number can be prepared.
    GenerationAhead,
    /// The host need not know which generation is in force.
    AnyBase,
    /// What the host holds to be in force is dropped when its confirmation was lost.
    BaseForgotten,
    /// A secret opens before it is committed.
    PreparedOpens,
    /// One operation commits what another prepared.
    ForeignOperation,
    /// The old secret opens after the confirmation.
    OldStays,
    /// A default can be a new secret.
    DefaultTaken,
    /// A default opens the terminal.
    DefaultOpens,

    // Settlement.
    /// Transactions go on in a batch whose totals are told.
    TradeWhileClosing,
    /// Any answer of the host is one to the message that waits.
    AnyAnswer,
    /// A batch counts as settled before that is durable.
    AnnounceFirst,
    /// The host takes what comes again for another transaction.
    CountTwice,
    /// The host forgets which batch ended last.
    ForgetClosed,
    /// What one spoiled frame was answered with is the host's last word.
    OneSpoiledFrame,
    /// A batch whose end the host refused counts as settled.
    RefusedEndSettles,
}

/// Whether this guard is away.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn without(_guard: Mutation) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::{check, without};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

    use super::Mutation;

    thread_local! {
        static AWAY: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Whether this guard is away.
    pub(crate) fn without(guard: Mutation) -> bool {
        AWAY.get() == Some(guard)
    }

    /// Runs a model `cases` times through up to `steps` transitions each, always the same ones.
    pub(crate) fn check<T: StateMachineTest>(cases: u32, steps: usize)
    where
        <T::Reference as ReferenceStateMachine>::Transition: 'static,
        <T::Reference as ReferenceStateMachine>::State: 'static,
    {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let strategy = T::Reference::sequential_strategy(1..steps);
        let checked = TestRunner::new_with_rng(config.clone(), rng).run(&strategy, |(state, steps, seen)| {
            T::test_sequential(config.clone(), state, steps, seen);
            Ok(())
        });
        if let Err(failed) = checked {
            panic!("{failed}");
        }
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
