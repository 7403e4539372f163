//! Which blocks have been asked for, and which of them have to be asked for again.

use std::collections::BTreeMap;

use super::window::Sent;
use crate::mutation::{Mutation, without};

/// Answers to later requests after which a block counts as lost.
const PASSED: u8 = 3;
/// Requests for one block that may wait for answers at once.
pub(super) const MOST_REQUESTS_FOR_ONE: u8 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flights {
    in_flight: BTreeMap<u64, Flight>,
    /// Blocks to ask for again, before any new one.
    missing: BTreeMap<u64, Wanted>,
    /// Requests without an answer whose blocks have come all the same.
    superfluous: usize,
}

#[derive(Debug)]
struct Flight {
    length: u32,
    sent: Sent,
    /// Requests for it that have no answer yet.
    unanswered: u8,
    /// Answers to later requests.
    passed: u8,
}

/// A block to ask for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) length: u32,
    /// Requests for it that have no answer yet.
    pub(super) unanswered: u8,
}

/// A block that came and was waited for.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) was_in_flight: bool,
    /// When it was asked for, if it was asked for once: an answer to one of several requests tells
    /// nothing of the link.
    pub(super) sent: Option<Sent>,
}

impl Flights {
    /// Blocks in flight.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Requests without an answer.
    pub(super) fn unanswered(&self) -> usize {
        let each = self.in_flight.values().map(|flight| usize::from(flight.unanswered));
        each.fold(self.superfluous, usize::saturating_add)
    }

    /// Whether nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The length that a block must have, if it is waited for.
    pub(super) fn expected(&self, offset: u64) -> Option<u32> {
        let flight = self.in_flight.get(&offset).map(|flight| flight.length);
        flight.or_else(|| self.missing.get(&offset).map(|missing| missing.length))
    }

    /// Notes a request.
    pub(super) fn depart(&mut self, offset: u64, wanted: &Wanted, sent: Sent) {
        let unanswered = wanted.unanswered.saturating_add(1);
        let flight = Flight { length: wanted.length, sent, unanswered, passed: 0 };
        self.in_flight.insert(offset, flight);
    }

    /// A block to ask for again.
    pub(super) fn next_missing(&mut self) -> Option<(u64, Wanted)> {
        self.missing.pop_first()
    }

    /// A block came.
    pub(super) fn land(&mut self, offset: u64) -> Landed {
        let missing = self.missing.remove(&offset).map_or(1, |missing| missing.unanswered);
        let Some(flight) = self.in_flight.remove(&offset) else {
            self.superfluous = self.superfluous.saturating_add(usize::from(missing.saturating_sub(1)));
            return Landed { was_in_flight: false, sent: None };
        };
        self.superfluous = self.superfluous.saturating_add(usize::from(flight.unanswered.saturating_sub(1)));
        self.pass(offset, flight.sent.number);
        Landed { was_in_flight: true, sent: (flight.unanswered == 1).then_some(flight.sent) }
    }

    /// An answer came that nothing waits for any more.
    pub(super) fn note_superfluous(&mut self) {
        self.superfluous = self.superfluous.saturating_sub(1);
    }

    /// One request for this block has come to nothing. Gives whether it has to be asked for again.
    pub(super) fn give_up(&mut self, offset: u64) -> bool {
        if let Some(missing) = self.missing.get_mut(&offset) {
            missing.unanswered = missing.unanswered.saturating_sub(1);
            return false;
        }
        let Some(flight) = self.in_flight.get_mut(&offset) else {
            self.note_superfluous();
            return false;
        };
        flight.unanswered = flight.unanswered.saturating_sub(1);
        if flight.unanswered > 0 {
            return false;
        }
        let length = flight.length;
        self.in_flight.remove(&offset);
        if !without(Mutation::ForgetMissing) {
            self.missing.insert(offset, Wanted { length, unanswered: 0 });
        }
        true
    }

    /// A later request was answered before these: after a few such answers they count as lost.
    fn pass(&mut self, offset: u64, number: u64) {
        let mut lost = Vec::new();
        for (at, flight) in self.in_flight.range_mut(..offset).filter(|(_, f)| f.sent.number < number) {
            flight.passed = flight.passed.saturating_add(1);
            if flight.passed >= PASSED && flight.unanswered < MOST_REQUESTS_FOR_ONE {
                lost.push(*at);
            }
        }
        for at in lost {
            if let Some(flight) = self.in_flight.remove(&at) {
                self.missing.insert(at, Wanted { length: flight.length, unanswered: flight.unanswered });
            }
        }
    }
}
