//! Alarms: durable before they are answered, because the terminal forgets them then.

use tms_core::TerminalId;
use tms_proto::{Exchange, alarm::Alarm};
use tracing::warn;

use super::{Ended, Session};

impl Session {
    pub(super) async fn alarm(
        &mut self,
        terminal: &TerminalId,
        exchange: Exchange,
        alarm: Alarm,
    ) -> Result<(), Ended> {
        let kept = tms_core::Alarm {
            number: 0,
            terminal: terminal.clone(),
            sequence: alarm.sequence,
            kind: alarm.kind.to_string(),
            severity: alarm.severity.0,
            at: alarm.time,
            text: alarm.text.clone(),
            received_at: self.app.now(),
        };
        match self.app.store.add_alarm(kept.clone()).await {
            Ok(true) => {
                self.app.counters.alarms.increment();
                self.app.events.alarm(&kept);
                warn!(
                    terminal = terminal.as_str(), kind = %alarm.kind, severity = %alarm.severity,
                    text = alarm.text, "alarm"
                );
            }
            // It came before, and its answer was lost.
            Ok(false) => {}
            Err(error) => {
                let refusal = self.store_refusal(&error);
                return self.refuse(exchange, refusal);
            }
        }
        self.approve(exchange)
    }
}
