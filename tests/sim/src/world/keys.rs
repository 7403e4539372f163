//! Working keys: both ends have the same, whatever was lost while they were exchanged.

use jiff::{SignedDuration, Timestamp};
use tms_core::OperationKind;
use tms_server::service;

use super::{Checked, World, later};
use crate::{
    host::ready,
    options::{Sabotage, Work},
    outcome::invariant,
};

/// How long a report may take when nothing goes wrong.
const PROOF: SignedDuration = SignedDuration::from_secs(60);

impl World {
    /// Somebody wants a terminal to have new keys.
    pub(super) fn order_keys(&mut self, place: usize) -> Checked {
        let Some(app) = self.host.app.clone().filter(|_| self.has_room_for_work(place)) else {
            return Ok(());
        };
        let tid = self.tid(place);
        if let Ok(operation) = ready(service::command(&app, &tid, OperationKind::ExchangeKeys)) {
            self.promised(place, Work::Keys, &operation);
        }
        self.look_at_operations(place)?;
        self.touch(place);
        Ok(())
    }

    /// At the end, every terminal says something under the keys that it has: the host has to take it.
    pub(super) fn prove_keys(&mut self) -> Checked {
        let before: Vec<_> = (0..self.terminals.len()).map(|place| self.reported_at(place)).collect();
        self.proves_keys = true;
        for place in 0..self.terminals.len() {
            let local = self.terminals[place].now();
            let Some(connection) = &mut self.terminals[place].connection else { continue };
            connection.report_again(local);
            let ticked = connection.tick(local);
            self.after_terminal(place, ticked)?;
            self.touch(place);
        }
        let end = later(self.clock.now(), PROOF);
        self.run_until(end)?;
        self.proves_keys = false;
        for (place, before) in before.into_iter().enumerate() {
            self.checked(invariant::KEYS);
            if self.reported_at(place) == before {
                let what = "the host did not take a report under the keys that the terminal has";
                return Err(self.violation(Some(place), invariant::KEYS, what));
            }
        }
        Ok(())
    }

    /// Makes the MAC of a frame one under another key, where that is what is broken.
    pub(super) fn with_other_keys(&self, place: usize, frame: &mut [u8]) {
        let macs = self.terminals[place].variety.macs;
        if self.proves_keys
            && macs
            && self.is_broken(Sabotage::OtherKeys)
            && let Some(last) = frame.last_mut()
        {
            // The last digit of a MAC stays one.
            *last ^= 1;
        }
    }

    fn reported_at(&self, place: usize) -> Option<Timestamp> {
        let tid = &self.terminals[place].tid;
        self.host.store.look(|contents| contents.terminals.get(tid)?.reported.at)
    }
}
