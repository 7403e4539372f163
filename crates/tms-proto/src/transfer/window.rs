//! How many blocks may be in flight: as many as the link holds, and a little more.
//!
//! Each answer tells the round-trip time of its block and how many blocks came in meanwhile. The
//! best rate of the last two rounds times the least round-trip time is what the link holds. At first
//! the window is twice that, so that it doubles each round until the rate no longer grows; from then
//! on it is a quarter and two blocks more, so that little waits in queues and a link that becomes
//! faster is noticed. It never holds more than ten seconds' worth, far from the time after which a
//! session gives a request up.

use jiff::Timestamp;

/// Blocks in flight before anything is known of the link. Four of 4 KiB are what TCP begins with.
const FIRST_BLOCKS: usize = 4;
/// Rounds without growth after which the link counts as full.
const FLAT_ROUNDS: u8 = 2;
/// At a window of so few blocks a round-trip time is the link's own, not that of a queue made here.
const QUEUELESS_BLOCKS: usize = 4;
/// Most seconds' worth of blocks in flight.
const MOST_SECONDS: u64 = 10;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Window {
    cap: usize,
    blocks: usize,
    /// Whether the window still doubles each round.
    starting: bool,
    flat_rounds: u8,
    /// Blocks that were answered with use.
    answered: u64,
    least_micros: Option<u64>,
    round: Round,
    last_rate: u64,
}

/// A round lasts until a block is answered that was asked for after the round began.
#[derive(Debug, Clone, Default)]
struct Round {
    /// The first request of this round.
    first: u64,
    /// The best rate, in blocks per thousand seconds.
    rate: u64,
    least_micros: Option<u64>,
    most_blocks: usize,
}

/// When a block was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    at: Timestamp,
    answered_before: u64,
}

impl Window {
    /// A window that never exceeds `cap` blocks, on a link of which nothing is known.
    pub(super) fn new(cap: usize) -> Self {
        let blocks = cap.clamp(1, FIRST_BLOCKS);
        Self {
            cap: cap.max(1),
            blocks,
            starting: true,
            flat_rounds: 0,
            answered: 0,
            least_micros: None,
            round: Round::default(),
            last_rate: 0,
        }
    }

    /// Blocks that may be in flight now.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Notes a request; `number` counts requests.
    pub(super) fn sent(&mut self, number: u64, at: Timestamp) -> Sent {
        self.round.most_blocks = self.round.most_blocks.max(self.blocks);
        Sent { number, at, answered_before: self.answered }
    }

    /// Notes an answer of use. Of a block that was asked for twice nobody knows which request it
    /// answers: `sent` is `None`, and it tells nothing of the link.
    pub(super) fn answered(&mut self, sent: Option<Sent>, next_number: u64, now: Timestamp) {
        self.answered = self.answered.saturating_add(1);
        let Some(sent) = sent else { return };
        let micros = u64::try_from(now.duration_since(sent.at).as_micros()).unwrap_or(0).max(1);
        self.least_micros = Some(self.least_micros.map_or(micros, |least| least.min(micros)));
        self.round.least_micros = Some(self.round.least_micros.map_or(micros, |least| least.min(micros)));
        let came = self.answered.saturating_sub(sent.answered_before);
        let rate = came.saturating_mul(1_000_000_000).checked_div(micros).unwrap_or(0);
        self.round.rate = self.round.rate.max(rate);
        self.resize();
        if sent.number >= self.round.first {
            self.end_round(next_number);
        }
    }

    /// The link is in trouble: ask for less.
    pub(super) fn stalled(&mut self) {
        self.blocks = (self.blocks / 2).max(1);
        self.starting = false;
    }

    fn resize(&mut self) {
        let rate = self.round.rate.max(self.last_rate);
        let thousandths = rate.saturating_mul(self.least_micros.unwrap_or(1)) / 1_000_000;
        let wanted = if self.starting {
            self.blocks.max(whole(thousandths.saturating_mul(2)).saturating_add(2))
        } else {
            whole(thousandths.saturating_mul(5) / 4).saturating_add(2)
        };
        let most = whole(rate.saturating_mul(MOST_SECONDS));
        self.blocks = wanted.min(most).clamp(1, self.cap);
    }

    fn end_round(&mut self, next_number: u64) {
        let grew = self.round.rate > self.last_rate.saturating_add(self.last_rate / 4);
        self.flat_rounds = if grew { 0 } else { self.flat_rounds.saturating_add(1) };
        self.starting &= self.flat_rounds < FLAT_ROUNDS;
        self.last_rate = self.round.rate;
        let ended = std::mem::replace(&mut self.round, Round { first: next_number, ..Round::default() });
        // The link has become longer: with what it was before, the window would stay far too small.
        if let (Some(now), Some(least)) = (ended.least_micros, self.least_micros)
            && !self.starting
            && ended.most_blocks <= QUEUELESS_BLOCKS.min(self.cap)
            && now > least.saturating_mul(2)
        {
            self.least_micros = Some(now);
            self.starting = true;
            self.flat_rounds = 0;
        }
    }
}

fn whole(thousandths: u64) -> usize {
    usize::try_from(thousandths / 1_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use jiff::SignedDuration;

    use super::*;

    /// A link that carries a block in `block_ms` and takes `delay_ms` for the way there and back.
    /// Gives the window and the longest round-trip time after `seconds`.
    fn run(window: &mut Window, block_ms: i64, delay_ms: i64, seconds: i64) -> (usize, i64) {
        let mut now = Timestamp::UNIX_EPOCH;
        let end = now + SignedDuration::from_secs(seconds);
        let (mut flying, mut free, mut longest) = (VecDeque::new(), now, 0);
        let mut number = window.round.first;
        while now < end {
            while flying.len() < window.blocks() {
                let there = now + SignedDuration::from_millis(delay_ms);
                free = free.max(there) + SignedDuration::from_millis(block_ms);
                flying.push_back((window.sent(number, now), free, now));
                number += 1;
            }
            let (sent, at, asked) = flying.pop_front().unwrap();
            now = at;
            longest = longest.max(now.duration_since(asked).as_millis() as i64);
            window.answered(Some(sent), number, now);
        }
        (window.blocks(), longest)
    }

    #[test]
    fn a_fast_long_link_is_filled_and_a_slow_one_is_not_flooded() {
        let (blocks, _) = run(&mut Window::new(256), 3, 300, 30);
        assert!((101..=140).contains(&blocks), "{blocks}");
        let (blocks, longest_ms) = run(&mut Window::new(256), 133, 300, 30);
        assert!((4..=7).contains(&blocks) && longest_ms < 3_000, "{blocks} {longest_ms}");
    }

    #[test]
    fn the_slowest_link_never_has_more_than_ten_seconds_in_flight() {
        let (blocks, longest_ms) = run(&mut Window::new(256), 3_500, 300, 300);
        assert!(blocks <= 3 && longest_ms < 15_000, "{blocks} {longest_ms}");
    }

    #[test]
    fn a_link_that_becomes_longer_is_learnt_again() {
        let mut window = Window::new(256);
        run(&mut window, 3, 100, 30);
        let (blocks, _) = run(&mut window, 3, 1_000, 60);
        assert!(blocks > 200, "{blocks}");
    }

    #[test]
    fn a_terminal_with_little_memory_keeps_to_its_own_cap() {
        assert_eq!(run(&mut Window::new(2), 3, 300, 30).0, 2);
    }
}
