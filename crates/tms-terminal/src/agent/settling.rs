//! Settling the batch over the connection.

use jiff::Timestamp;
use tms_proto::{
    Function, Refusal,
    settlement::{BatchMessage, Totals},
};

use super::{Connection, Exit, RETRY_AFTER_MS};

impl Connection {
    /// Tells the host the next thing of a batch that someone wants settled.
    pub(super) fn pump_settlement(&mut self, now: Timestamp) -> Result<(), Exit> {
        if self.settle_due > now || self.machine().state.trade.settle.is_none() {
            return Ok(());
        }
        if !self.session.supports(Function::Settlement) {
            // Nobody to tell: the batch ends at the terminal.
            return Ok(self.machine().settled(now)?);
        }
        let Some((batch, message)) = self.machine().next_settlement(now)? else { return Ok(()) };
        self.settle_due = Timestamp::MAX;
        Ok(self.session.settle(batch, &message, now)?)
    }

    /// When there is something to say.
    pub(super) fn next_settlement_due(&self) -> Timestamp {
        if self.machine().state.trade.settle.is_some() { self.settle_due } else { Timestamp::MAX }
    }

    pub(super) fn on_totals(&mut self, batch: u32, totals: &Totals, now: Timestamp) -> Result<(), Exit> {
        self.settle_due = now;
        Ok(self.machine().on_totals(batch, totals, now)?)
    }

    pub(super) fn on_batch_taken(
        &mut self,
        batch: u32,
        message: &BatchMessage,
        now: Timestamp,
    ) -> Result<(), Exit> {
        self.settle_due = now;
        Ok(self.machine().on_batch_taken(batch, message, now)?)
    }

    pub(super) fn on_settlement_refused(&mut self, refusal: Refusal, now: Timestamp) -> Result<(), Exit> {
        let again = self.machine().on_settlement_refused(refusal, now)?;
        self.settle_due = if again { self.after(RETRY_AFTER_MS, now) } else { now };
        Ok(())
    }

    pub(super) fn on_settlement_missing(&mut self, now: Timestamp) {
        self.settle_due = self.after(RETRY_AFTER_MS, now);
    }
}
