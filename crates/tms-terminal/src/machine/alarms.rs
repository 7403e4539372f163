//! What is wrong with the terminal, told once until it was right again.

use jiff::Timestamp;
use tms_proto::alarm::{AlarmKind, Severity};

use super::Machine;
use crate::state::StateError;

/// Charge at and below which the battery is nearly empty.
const BATTERY_LOW_PERCENT: u8 = 15;

impl Machine {
    /// Looks at everything, and raises an alarm for what has gone wrong since the last look. Does not
    /// save; gives whether anything changed.
    pub(crate) fn watch(&mut self, now: Timestamp) -> bool {
        let health = self.health;
        let defaults = self.state.credentials.default_still_set();
        let battery = format!("{} percent", health.battery_percent);
        let checks = [
            (AlarmKind::TAMPER, health.tampered, Severity::CRITICAL, "the tamper switch was triggered"),
            (AlarmKind::PAPER_OUT, !health.paper, Severity::INFO, "the printer has no paper"),
            (
                AlarmKind::BATTERY_LOW,
                health.battery_percent <= BATTERY_LOW_PERCENT,
                Severity::WARNING,
                battery.as_str(),
            ),
            (AlarmKind::PRINTER, !health.printer, Severity::WARNING, "the printer does not work"),
            (AlarmKind::CARD_READER, !health.card_reader, Severity::WARNING, "the card reader does not work"),
            (
                AlarmKind::KEYBOARD,
                !(health.keyboard && health.pin_pad),
                Severity::WARNING,
                "the keyboard or the PIN pad does not work",
            ),
            (AlarmKind::DISPLAY, !health.display, Severity::WARNING, "the display does not work"),
            (
                AlarmKind::DEFAULT_CREDENTIAL,
                !defaults.is_empty(),
                Severity::CRITICAL,
                "a default that manuals print is still set",
            ),
        ];
        let mut changed = false;
        let own = self.state.clock.reads(now);
        for (kind, wrong, severity, text) in checks {
            if wrong && self.state.wrong.insert(kind) {
                self.state.alarms.raise(kind, severity, text, own);
                changed = true;
            } else if !wrong {
                changed |= self.state.wrong.remove(&kind);
            }
        }
        changed
    }

    /// The same, made durable. An alarm that cannot be kept was not raised: it would be told, and after a
    /// restart its number would be another's. The next look raises it.
    pub(crate) fn watch_durably(&mut self, now: Timestamp) -> Result<(), StateError> {
        let before = (self.state.alarms.clone(), self.state.wrong.clone());
        if !self.watch(now) {
            return Ok(());
        }
        let saved = self.save();
        if saved.is_err() {
            (self.state.alarms, self.state.wrong) = before;
        }
        saved
    }

    /// Somebody has tried too often.
    pub(super) fn alarm_failed_logins(&mut self, role: &str, now: Timestamp) {
        let own = self.state.clock.reads(now);
        let text = format!("too many wrong secrets for role {role}");
        self.state.alarms.raise(AlarmKind::FAILED_LOGINS, Severity::WARNING, text, own);
    }
}
