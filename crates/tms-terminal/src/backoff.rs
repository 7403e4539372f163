//! Waiting before the next connection: longer after each failure, and never two terminals in step.

use std::time::Duration;

use crate::{agent::Exit, failure::FailureKind, materials::Entropy};

/// The system's [backoff](tms_proto::backoff), with the terminal's own chance.
#[derive(Clone, Debug)]
pub struct Backoff {
    bounds: tms_proto::backoff::Backoff,
    entropy: Entropy,
}

impl Backoff {
    /// Waits between `shortest` and `longest`.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration, entropy: Entropy) -> Self {
        Self { bounds: tms_proto::backoff::Backoff::new(shortest, longest), entropy }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        self.bounds.next_wait(self.random())
    }

    /// A wait near the longest, for what asking again soon will not change.
    #[must_use]
    pub fn long_wait(&self) -> Duration {
        self.bounds.long_wait(self.random())
    }

    /// It worked: the next failure starts small again.
    pub fn reset(&mut self) {
        self.bounds.reset();
    }

    /// A connection ended on which the terminal had signed on.
    pub(crate) fn session_ended(&mut self, exit: &Exit) {
        // A sign-on that brings no key for what follows is no success: the next would bring none either.
        if !matches!(exit, Exit::Lost(failure) if failure.kind.voids_sign_on()) {
            self.reset();
        }
    }

    /// The wait after a failure of this kind.
    pub(crate) fn after(&mut self, kind: FailureKind) -> Duration {
        if kind.is_lasting() { self.long_wait() } else { self.next_wait() }
    }

    fn random(&self) -> u32 {
        u32::from_be_bytes(self.entropy.bytes())
    }
}
