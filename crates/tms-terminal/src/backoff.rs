//! Waiting before the next connection: longer after each failure, and never two terminals in step.

use std::time::Duration;

use tms_crypto::random_bytes;

use crate::{agent::Exit, failure::FailureKind};

/// The system's [backoff](tms_proto::backoff), with the system's chance.
#[derive(Clone, Debug)]
pub struct Backoff(tms_proto::backoff::Backoff);

impl Backoff {
    /// Waits between `shortest` and `longest`.
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self(tms_proto::backoff::Backoff::new(shortest, longest))
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        self.0.next_wait(random())
    }

    /// A wait near the longest, for what asking again soon will not change.
    #[must_use]
    pub fn long_wait(&self) -> Duration {
        self.0.long_wait(random())
    }

    /// It worked: the next failure starts small again.
    pub fn reset(&mut self) {
        self.0.reset();
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
}

fn random() -> u32 {
    u32::from_be_bytes(random_bytes())
}
