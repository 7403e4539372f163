//! Work with chances of its own: whatever one kind draws, the others stay where they are.

use jiff::SignedDuration;
use testkit::rng::Rng;

use super::{Checked, Due, World};
use crate::options::Work;

/// Kinds of work at one terminal, and after how many minutes on average there is more of it.
const CHORES: [(Work, i64); 3] = [(Work::Settle, 4), (Work::Alarms, 15), (Work::Keys, 30)];
/// The first part of a seed that is theirs.
const PARTS: u64 = 2_000_000;

/// The chances of each kind of work at one terminal.
#[derive(Debug)]
pub(crate) struct Chances([Rng; CHORES.len()]);

impl Chances {
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        Self(std::array::from_fn(|kind| Rng::of_part(seed, PARTS * (1 + kind as u64) + number as u64)))
    }
}

impl World {
    pub(super) fn schedule_chores(&mut self) {
        for place in 0..self.terminals.len() {
            (0..CHORES.len()).for_each(|kind| self.schedule_chore(place, kind));
        }
    }

    fn schedule_chore(&mut self, place: usize, kind: usize) {
        let (work, minutes) = CHORES[kind];
        let wait = self.terminals[place].chances.0[kind].wait(SignedDuration::from_mins(minutes));
        if self.options.work.contains(&work) {
            self.in_(wait, Due::Chore(place, kind));
        }
    }

    pub(super) fn chore(&mut self, place: usize, kind: usize) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.schedule_chore(place, kind);
        let value = self.terminals[place].chances.0[kind].u64();
        match CHORES[kind].0 {
            Work::Settle => self.serve(place, value),
            Work::Alarms => self.mishap(place, value),
            _ => self.order_keys(place),
        }
    }
}
