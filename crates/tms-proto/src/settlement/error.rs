//! Why a terminal's batch does not take a step.

use super::State;

/// Why a step is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// This cannot be done in this state.
    #[error("a batch that is {state} cannot {action}")]
    IllegalState {
        /// Where the batch stands.
        state: State,
        /// What was to be done.
        action: &'static str,
    },
    /// The host must first have what is older.
    #[error("{0} reversals, notices or advices have to be sent before the batch is closed")]
    SendFirst(usize),
    /// The batch holds as much as its totals can count.
    #[error("the batch is full; settle it first")]
    Full,
    /// Another transaction of this batch has the number.
    #[error("trace number {0:06} is another transaction's")]
    TraceTaken(u32),
    /// The host answered other totals than were sent.
    #[error("the host answered totals that were not sent")]
    OtherTotals,
}
