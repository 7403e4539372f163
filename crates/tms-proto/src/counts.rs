//! What a session has seen.

use crate::profile::Refusal;

/// Kinds of refusal that are counted apart.
const KINDS: usize = 16;

/// What a session has seen since it began. Counters stop at their largest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Whole frames that came in.
    pub messages: u64,
    /// Of these, bytes that were no message of the dialect.
    pub unreadable: u32,
    /// Of these, replies that answered nothing.
    pub strays: u32,
    /// Of these, requests whose type says that they repeat an earlier one.
    pub repeats: u32,
    refused: [u32; KINDS],
}

impl Counts {
    /// Requests that were answered with `refusal`, by the session itself or by its driver.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u32 {
        self.refused.get(refusal as usize).copied().unwrap_or(0)
    }

    /// Requests that were refused, whatever the reason.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().map(|count| u64::from(*count)).sum()
    }

    pub(crate) fn note_refusal(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal as usize) {
            *count = count.saturating_add(1);
        }
    }
}
