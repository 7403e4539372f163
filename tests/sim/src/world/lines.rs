//! What lines carry, and what the host answers.

use jiff::SignedDuration;
use testkit::link::{Arrival, Chances, End, Mode, Settings};
use tms_server::session::Ended;

use super::{Checked, World};
use crate::{
    host::ready,
    options::{Fault, Sabotage},
    outcome::Counts,
    terminal::Line,
    trace::Happened,
};

impl World {
    /// What this terminal's next connection is like.
    pub(super) fn settings(&mut self, place: usize) -> Settings {
        let mode = self.terminals[place].variety.mode;
        let rng = &mut self.terminals[place].rng;
        let delay = SignedDuration::from_millis(rng.between(5, 400) as i64);
        let jitter = SignedDuration::from_millis(rng.between(0, 80) as i64);
        let rates = [None, None, Some(256_000), Some(64_000), Some(9_600)];
        let bits_per_second = *rng.pick(&rates).unwrap_or(&None);
        let mend_length = rng.happens(500_000);
        let queue_bytes = if self.is_broken(Sabotage::Hoard) { usize::MAX } else { 256 * 1024 };
        let chances = if self.calm { Chances::default() } else { self.chances(mode) };
        Settings { mode, delay, jitter, bits_per_second, queue_bytes, mend_length, chances }
    }

    fn chances(&self, mode: Mode) -> Chances {
        let on = |fault, protected: u32, bare: u32| match (self.options.faults.contains(&fault), mode) {
            (false, _) => 0,
            (true, Mode::Protected) => protected,
            (true, Mode::Bare) => bare,
        };
        Chances {
            lose: on(Fault::Lose, 3_000, 10_000),
            delay: on(Fault::Delay, 6_000, 10_000),
            reorder: on(Fault::Reorder, 3_000, 10_000),
            duplicate: on(Fault::Duplicate, 3_000, 10_000),
            truncate: on(Fault::Truncate, 3_000, 5_000),
            corrupt: on(Fault::Corrupt, 5_000, 10_000),
            half_close: on(Fault::HalfClose, 5_000, 5_000),
            break_off: on(Fault::Break, 20_000, 10_000),
            longest_delay: SignedDuration::from_secs(45),
        }
    }

    /// Delivers what has arrived.
    pub(super) fn carry(&mut self, place: usize) -> Checked {
        let now = self.clock.now();
        for index in 0..self.terminals[place].lines.len() {
            while let Some(line) = self.terminals[place].lines.get_mut(index)
                && let Some((end, arrival)) = line.link.poll(now)
            {
                let number = line.number;
                match &arrival {
                    Arrival::Frame(frame) => {
                        let bytes = frame.len();
                        self.frames[place] += 1;
                        self.note(Some(place), Happened::Arrived { line: number, at: end, bytes });
                    }
                    Arrival::Closed => {
                        self.note(Some(place), Happened::Over { line: number, at: end, how: "closed" });
                    }
                    Arrival::Broken => {
                        self.note(Some(place), Happened::Over { line: number, at: end, how: "broken" });
                    }
                }
                match end {
                    End::Host => {
                        self.at_host(place, index, arrival);
                        self.look_at_ledger(place)?;
                    }
                    End::Terminal if index + 1 == self.terminals[place].lines.len() => {
                        self.at_terminal(place, arrival)?;
                    }
                    // The terminal has given that line up.
                    End::Terminal => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn at_host(&mut self, place: usize, index: usize, arrival: Arrival) {
        let line = &mut self.terminals[place].lines[index];
        let Some(session) = &mut line.session else { return };
        let taken = match arrival {
            Arrival::Frame(frame) => ready(session.frame(&frame)),
            Arrival::Closed | Arrival::Broken => Err(Ended::Closed),
        };
        self.host_says(place, index);
        if let Err(ended) = taken {
            self.host_ends(place, index, ended);
        }
    }

    /// Sends what the host has to say on a line.
    pub(super) fn host_says(&mut self, place: usize, index: usize) {
        let now = self.clock.now();
        while let Some(frame) = {
            let line = &mut self.terminals[place].lines[index];
            line.session.as_mut().and_then(|session| session.poll_transmit())
        } {
            self.sent(place, index, End::Host, &frame);
            self.terminals[place].lines[index].link.send(End::Host, frame, now);
        }
    }

    pub(super) fn host_ends(&mut self, place: usize, index: usize, ended: Ended) {
        let now = self.clock.now();
        let line = &mut self.terminals[place].lines[index];
        let (number, why) = (line.number, ended.to_string());
        if let Some(session) = line.session.take() {
            ready(session.close(ended));
        }
        line.link.close(End::Host, now);
        self.note(Some(place), Happened::HostEnded { line: number, why });
    }

    pub(super) fn sent(&mut self, place: usize, index: usize, from: End, frame: &[u8]) {
        let (line, bytes) = (self.terminals[place].lines[index].number, frame.len());
        let frame = self.options.keep_frames.then(|| frame.to_vec());
        self.note(Some(place), Happened::Sent { line, from, bytes, frame });
    }
}

/// Adds the faults that a line has had.
pub(super) fn count(counts: &mut Counts, line: &Line) {
    for (name, times) in &line.link.counts().faults {
        *counts.faults.entry(name).or_default() += times;
    }
}
