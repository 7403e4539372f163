//! One direction of a link.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::{Arrival, Mode, Settings, later};
use crate::rng::Rng;

/// One direction. Frames stand in the order in which they arrive.
#[derive(Debug, Default)]
pub(super) struct Way {
    under_way: VecDeque<(Timestamp, Arrival)>,
    /// Bytes of the frames under way.
    pub(super) bytes: usize,
    /// Frames sent so far.
    pub(super) sent: u64,
    /// Until when the line is busy with what was sent before.
    busy_until: Option<Timestamp>,
    /// When the last of what must stay in order arrives.
    last_due: Option<Timestamp>,
    /// Nothing arrives before.
    held_until: Option<Timestamp>,
    /// Nothing arrives any more, and nobody is told.
    stalled: bool,
    /// The sender closed, or the connection broke.
    over: bool,
    /// The receiver knows.
    told: bool,
}

impl Way {
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// When a frame that is sent now arrives, if nothing happens to it.
    pub(super) fn due(
        &mut self,
        bytes: usize,
        settings: &Settings,
        rng: &mut Rng,
        now: Timestamp,
    ) -> Timestamp {
        let begins = self.busy_until.map_or(now, |busy| busy.max(now));
        let ends = match settings.bits_per_second {
            Some(rate) => later(begins, time_for(bytes, rate)),
            None => begins,
        };
        self.busy_until = Some(ends);
        let jitter = if settings.jitter.is_zero() { settings.jitter } else { rng.within(settings.jitter) };
        let due = later(later(ends, settings.delay), jitter);
        match self.held_until.filter(|held| *held > now) {
            // Nothing repeats what a bare line lost.
            Some(_) if settings.mode == Mode::Bare => Timestamp::MAX,
            Some(held) => due.max(later(held, settings.delay)),
            None => due,
        }
    }

    /// Puts a frame on its way; `in_order` for one that none before it may be overtaken by.
    pub(super) fn put(&mut self, due: Timestamp, frame: Vec<u8>, in_order: bool) {
        if self.stalled || due == Timestamp::MAX {
            return;
        }
        let due = match self.last_due.filter(|_| in_order) {
            Some(last) => due.max(last),
            None => due,
        };
        self.last_due = Some(self.last_due.map_or(due, |last| last.max(due)));
        self.bytes = self.bytes.saturating_add(frame.len());
        self.insert(due, Arrival::Frame(frame));
    }

    /// Nothing that is sent from now on arrives.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
    }

    /// The sender says nothing more.
    pub(super) fn close(&mut self, due: Timestamp) {
        if self.over {
            return;
        }
        self.over = true;
        if !self.stalled {
            let due = self.last_due.map_or(due, |last| last.max(due));
            self.insert(due, Arrival::Closed);
        }
    }

    /// The connection is gone: only that arrives, at `due`.
    pub(super) fn break_at(&mut self, due: Timestamp) {
        self.under_way.clear();
        self.bytes = 0;
        self.over = true;
        if !self.told {
            self.under_way.push_back((due, Arrival::Broken));
        }
    }

    /// The receiver finds the connection gone at `due`; what arrives before that still does.
    pub(super) fn break_when(&mut self, due: Timestamp) {
        self.over = true;
        if self.told {
            return;
        }
        while self.under_way.back().is_some_and(|(other, _)| *other > due) {
            if let Some((_, Arrival::Frame(frame))) = self.under_way.pop_back() {
                self.bytes = self.bytes.saturating_sub(frame.len());
            }
        }
        if !matches!(self.under_way.back(), Some((_, Arrival::Broken))) {
            self.under_way.push_back((due, Arrival::Broken));
        }
    }

    /// Nothing arrives before `until`.
    pub(super) fn hold(&mut self, until: Timestamp) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
        for (due, _) in &mut self.under_way {
            *due = (*due).max(until);
        }
        self.last_due = self.last_due.map(|last| last.max(until));
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.under_way.front().map(|(due, _)| *due)
    }

    pub(super) fn take(&mut self) -> Option<Arrival> {
        let (_, arrival) = self.under_way.pop_front()?;
        match &arrival {
            Arrival::Frame(frame) => self.bytes = self.bytes.saturating_sub(frame.len()),
            Arrival::Closed | Arrival::Broken => {
                // What overtook the end of the stream is not heard any more.
                self.told = true;
                self.under_way.clear();
                self.bytes = 0;
            }
        }
        Some(arrival)
    }

    /// Behind what arrives at the same time.
    fn insert(&mut self, due: Timestamp, arrival: Arrival) {
        let place = self.under_way.iter().rposition(|(other, _)| *other <= due).map_or(0, |at| at + 1);
        self.under_way.insert(place, (due, arrival));
    }
}

fn time_for(bytes: usize, bits_per_second: u64) -> SignedDuration {
    let micros = (bytes as u128).saturating_mul(8_000_000) / u128::from(bits_per_second.max(1));
    SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
