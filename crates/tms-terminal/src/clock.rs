//! One clock for a terminal: wall time that never jumps while the process lives.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Wall time at the start, moved on by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    wall: Timestamp,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), wall: Timestamp::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// How long until `due`; nothing when it has passed, at most an hour.
    pub(crate) fn until(&self, due: Timestamp) -> Duration {
        let left = due.duration_since(self.now()).min(SignedDuration::from_hours(1));
        Duration::try_from(left).unwrap_or(Duration::ZERO)
    }
}
