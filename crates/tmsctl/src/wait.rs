//! Waiting for what many terminals do, with a bar.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::{MAX_ABSENCE, POLL_INTERVAL, pause};

/// What a bar shows.
pub(crate) struct Look {
    /// Terminals that have reached their end.
    pub(crate) done: u64,
    /// All of them.
    pub(crate) total: u64,
    /// What happens right now.
    pub(crate) text: String,
    /// Whether there is nothing to wait for any more.
    pub(crate) is_over: bool,
}

/// Asks for `place` until there is nothing to wait for or the time is over; gives what was answered last, and
/// whether it was the first.
pub(crate) fn until_over(
    client: &Client,
    place: &str,
    first: Value,
    timeout: Duration,
    look: impl Fn(&Value) -> Look,
) -> Result<(Value, bool), Failure> {
    let started = Instant::now();
    let (mut value, mut last_seen) = (first, started);
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{spinner} [{bar:30}] {pos} of {len} terminals, {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let Look { done, total, text, is_over } = look(&value);
        let left = timeout.saturating_sub(started.elapsed());
        if is_over || left.is_zero() {
            bar.finish_and_clear();
            return Ok((value, is_over));
        }
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(text);
        bar.tick();
        pause(POLL_INTERVAL.min(left));
        match client.get(place) {
            Ok(newer) => (value, last_seen) = (newer, Instant::now()),
            // A server that restarts goes on with it.
            Err(failure) if failure.is_transient() && last_seen.elapsed() < MAX_ABSENCE => {}
            Err(failure) => {
                bar.finish_and_clear();
                return Err(failure);
            }
        }
    }
}
