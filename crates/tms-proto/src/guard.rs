//! Checks that the model tests may take away, one at a time.
//!
//! A state machine asks [`kept`] beside each check that its safety rests on. Outside tests the answer is
//! the constant `true`. A model test runs its machine once whole and once [`without`] each guard, and
//! expects to find the harm that the missing guard lets in: so it is known that the model would notice.

/// One check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A plan older than the one in force is refused.
    PlanVersion,
    /// What a plan has done is not done again under the next one.
    PlanCarryOver,
    /// An action that began is not offered again.
    PlanBegun,
    /// An action without a safe repeat is reported, not repeated, after a restart.
    PlanInterrupted,
    /// Nothing starts before its window opens.
    PlanWindowStart,
    /// Nothing starts after its window has closed.
    PlanWindowEnd,
    /// A failed action is tried only as often as the plan says.
    PlanRetryCount,
    /// A failed action waits before it is tried again.
    PlanRetryDelay,
    /// A failure that stops the plan ends the later actions.
    PlanStop,
    /// A result has one action that is running.
    PlanFinishesRunning,
    /// An action waits for what triggers it.
    PlanTrigger,
    /// The contact that brought the plan is not the next one.
    PlanNextContact,
    /// Reconciliation comes before the action.
    PlanReconcileFirst,
    /// Unreported results are kept when a plan is replaced.
    PlanKeepsResults,
    /// No more results wait than there is room for.
    PlanResultRoom,
}

#[cfg(not(test))]
pub(crate) const fn kept(_: Guard) -> bool {
    true
}

#[cfg(test)]
pub(crate) use broken::{kept, without};

#[cfg(test)]
mod broken {
    use std::cell::Cell;

    use super::Guard;

    thread_local! {
        static MISSING: Cell<Option<Guard>> = const { Cell::new(None) };
    }

    /// Whether the guard stands on this thread.
    pub(crate) fn kept(guard: Guard) -> bool {
        MISSING.with(Cell::get) != Some(guard)
    }

    /// Runs `work` with one guard missing on this thread, also when `work` panics.
    pub(crate) fn without<R>(guard: Guard, work: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                MISSING.with(|missing| missing.set(None));
            }
        }
        let _restore = Restore;
        MISSING.with(|missing| missing.set(Some(guard)));
        work()
    }
}
