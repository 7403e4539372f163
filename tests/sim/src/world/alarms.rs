//! What goes wrong with a terminal's hardware: every alarm that it raised is in the host's store, once.

use std::collections::{BTreeMap, BTreeSet};

use tms_proto::{alarm::Alarm, report::Health};

use super::{Checked, World};
use crate::{outcome::invariant, terminal::CREDENTIALS, trace::Happened};

/// Wrong secrets in a row that lock a role, and raise an alarm.
const GUESSES: u32 = tms_terminal::keypad::TRIES;

/// The alarms of one terminal.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// All that it has raised, by sequence.
    raised: BTreeMap<u64, Alarm>,
    /// Those that wait for the host, as last looked at.
    waiting: BTreeSet<u64>,
    /// Those that gave way to others because too many waited.
    displaced: BTreeSet<u64>,
    /// How many the terminal said it had no room for.
    dropped: u64,
}

impl World {
    /// Something breaks, or is mended; or somebody guesses at the keypad.
    pub(super) fn mishap(&mut self, place: usize, value: u64) -> Checked {
        let Some(device) = self.at_hand(place) else { return Ok(()) };
        let local = self.terminals[place].now();
        let done = if value.is_multiple_of(8) {
            let (role, _) = CREDENTIALS[(value / 8) as usize % CREDENTIALS.len()];
            (0..GUESSES).try_for_each(|_| device.try_login(role, "1", local).map(drop))
        } else {
            let mut health = device.snapshot().health;
            for part in [value / 8, value / 64].into_iter().take(1 + (value / 512 % 2) as usize) {
                break_or_mend(&mut health, part);
            }
            device.set_health(health, local)
        };
        self.after_hands(place, done)
    }

    /// Looks at the terminal's alarms, when all of them are durable.
    pub(super) fn look_at_alarms(&mut self, place: usize) -> Checked {
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        let known = &self.terminals[place].alarms;
        let seen = device.state(|state| {
            let log = &state.alarms;
            let same = log.dropped() == known.dropped
                && log.waiting().map(|alarm| &alarm.sequence).eq(known.waiting.iter());
            (!same).then(|| (log.dropped(), log.waiting().cloned().collect::<Vec<_>>()))
        });
        let Some((dropped, waiting)) = seen else { return Ok(()) };
        self.checked(invariant::ALARMS);
        for alarm in &waiting {
            let alarms = &mut self.terminals[place].alarms;
            let Some(known) = alarms.raised.get(&alarm.sequence) else {
                alarms.raised.insert(alarm.sequence, alarm.clone());
                self.counts.alarms += 1;
                self.note(Some(place), Happened::Raised { what: alarm.kind.to_string() });
                continue;
            };
            if known != alarm {
                let what =
                    format!("{} and {} have the same sequence {}", known.kind, alarm.kind, alarm.sequence);
                return Err(self.violation(Some(place), invariant::ALARMS, what));
            }
        }
        let now: BTreeSet<u64> = waiting.iter().map(|alarm| alarm.sequence).collect();
        let before = std::mem::replace(&mut self.terminals[place].alarms.waiting, now.clone());
        let mut room = dropped.saturating_sub(self.terminals[place].alarms.dropped);
        self.terminals[place].alarms.dropped = dropped;
        for gone in before.difference(&now) {
            if self.is_stored(place, *gone) {
                continue;
            }
            if room == 0 {
                let what = format!("alarm {gone} is not in the store, and the terminal has let go of it");
                return Err(self.violation(Some(place), invariant::ALARMS, what));
            }
            room -= 1;
            self.terminals[place].alarms.displaced.insert(*gone);
        }
        Ok(())
    }

    /// Whether the host has an alarm as it was raised.
    fn is_stored(&self, place: usize, sequence: u64) -> bool {
        let terminal = &self.terminals[place];
        let Some(raised) = terminal.alarms.raised.get(&sequence) else { return false };
        self.host.store.look(|contents| {
            let stored = contents.alarms.get(&terminal.tid).and_then(|all| all.get(&sequence));
            stored.is_some_and(|stored| {
                (stored.kind.as_str(), stored.at, stored.text.as_str(), stored.severity)
                    == (
                        raised.kind.to_string().as_str(),
                        raised.time,
                        raised.text.as_str(),
                        raised.severity.0,
                    )
            })
        })
    }

    /// Whether alarms wait for the host.
    pub(super) fn raises_alarms(&self, place: usize) -> bool {
        let device = self.terminals[place].device.as_ref();
        device.is_some_and(|device| device.state(|state| state.alarms.next().is_some()))
    }

    /// All alarms of a terminal, at the end.
    pub(super) fn check_alarms(&mut self, place: usize) -> Checked {
        self.checked(invariant::ALARMS);
        let terminal = &self.terminals[place];
        let alarms = &terminal.alarms;
        let lost = alarms.raised.keys().filter(|sequence| !alarms.displaced.contains(sequence));
        let lost = lost.copied().find(|sequence| !self.is_stored(place, *sequence));
        let invented = self.host.store.look(|contents| {
            let stored = contents.alarms.get(&terminal.tid)?;
            stored.keys().copied().find(|sequence| !alarms.raised.contains_key(sequence))
        });
        let what = match (lost, invented) {
            (Some(sequence), _) => format!("alarm {sequence} was raised and is not in the store"),
            (None, Some(sequence)) => format!("alarm {sequence} is in the store and was not raised"),
            (None, None) => return Ok(()),
        };
        Err(self.violation(Some(place), invariant::ALARMS, what))
    }

    /// Has the host forget every alarm.
    pub(super) fn forget_alarms(&mut self) {
        let mut contents = self.host.store.snapshot();
        contents.alarms.clear();
        self.starts_on(contents);
    }
}

fn break_or_mend(health: &mut Health, part: u64) {
    let works = match part % 8 {
        0 => &mut health.paper,
        1 => &mut health.printer,
        2 => &mut health.card_reader,
        3 => &mut health.keyboard,
        4 => &mut health.pin_pad,
        5 => &mut health.display,
        6 => &mut health.tampered,
        _ => {
            health.battery_percent = if health.battery_percent > 15 { (part / 8 % 16) as u8 } else { 80 };
            return;
        }
    };
    *works = !*works;
}
