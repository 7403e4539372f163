//! Where time and randomness come from: the machine, or whoever runs the server as a library on a
//! clock and a source of its own.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

/// A clock that every part of the server shares. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that answers what `now` answers.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// What fills bytes that must not be guessed, or, in a simulation, that must be the same again.
type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Random bytes for names, ids and challenges. Keys and secrets never come from here: they are always
/// drawn from the operating system.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

impl Random {
    /// Bytes that `fill` gives. Anything but the operating system's is for simulations and tests
    /// only: who can foretell a challenge can answer it without being asked.
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// `N` bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl Default for Random {
    /// The operating system's.
    fn default() -> Self {
        Self::new(tms_crypto::random::fill)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
