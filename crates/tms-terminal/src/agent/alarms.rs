//! Telling the host what is wrong.

use jiff::Timestamp;
use tms_proto::Function;

use super::{Connection, Exit, RETRY_AFTER_MS};

impl Connection {
    /// Sends the next alarm; one waits for its answer at a time.
    pub(super) fn pump_alarm(&mut self, now: Timestamp) -> Result<(), Exit> {
        if now < self.alarm_due || !self.session.supports(Function::Alarm) {
            return Ok(());
        }
        let Some(alarm) = self.machine().state.alarms.next().cloned() else { return Ok(()) };
        self.alarm_due = Timestamp::MAX;
        Ok(self.session.alarm(&alarm, now)?)
    }

    /// When the next alarm is to be sent.
    pub(super) fn next_alarm_due(&self) -> Timestamp {
        let sends = self.session.supports(Function::Alarm) && self.machine().state.alarms.next().is_some();
        if sends { self.alarm_due } else { Timestamp::MAX }
    }

    /// The host has it, or does not want it.
    pub(super) fn on_alarm_taken(&mut self, sequence: u64, now: Timestamp) {
        self.alarm_due = now;
        self.spoiled.alarm = 0;
        self.machine().alarm_taken(sequence);
    }

    pub(super) fn on_alarm_missing(&mut self, now: Timestamp) {
        self.alarm_due = self.after(RETRY_AFTER_MS, now);
    }
}
