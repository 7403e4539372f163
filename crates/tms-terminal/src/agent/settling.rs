//! Settling the batch over the connection.

use jiff::Timestamp;
use tms_proto::{
    Function, Refusal,
    settlement::{BatchMessage, Totals},
};

use super::{Connection, Exit, RETRY_AFTER_MS};
use crate::failure::{Failure, FailureKind};

/// So many useless answers in a row end the connection.
const MAX_USELESS: u32 = 8;

/// What came in a row without getting the settlement on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InVain {
    refused: u32,
    useless: u32,
}

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
        let of_use = self.machine().on_totals(batch, totals, now)?;
        self.settlement_answered(of_use, "the host answers other totals than it was told", now)
    }

    pub(super) fn on_batch_taken(
        &mut self,
        batch: u32,
        message: &BatchMessage,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let of_use = self.machine().on_batch_taken(batch, message, now)?;
        self.settlement_answered(of_use, "the host takes what it was not told", now)
    }

    fn settlement_answered(&mut self, of_use: bool, what: &str, now: Timestamp) -> Result<(), Exit> {
        if of_use {
            self.settle_in_vain = InVain::default();
            self.settle_due = now;
            return Ok(());
        }
        let InVain { useless, .. } = &mut self.settle_in_vain;
        *useless = useless.saturating_add(1);
        if *useless > MAX_USELESS {
            return Err(Exit::Lost(Failure::new(FailureKind::Protocol, what, "")));
        }
        self.settle_later(now);
        Ok(())
    }

    pub(super) fn on_settlement_refused(&mut self, refusal: Refusal, now: Timestamp) -> Result<(), Exit> {
        if self.machine().on_settlement_refused(refusal, now)? {
            let InVain { refused, .. } = &mut self.settle_in_vain;
            *refused = refused.saturating_add(1);
            self.settle_later(now);
        } else {
            self.settle_in_vain = InVain::default();
            self.settle_due = now;
        }
        Ok(())
    }

    pub(super) fn on_settlement_missing(&mut self, now: Timestamp) {
        self.settle_in_vain.useless = self.settle_in_vain.useless.saturating_add(1);
        self.settle_later(now);
    }

    /// The same is said again: after a second, then after two … and at last once in about a minute.
    fn settle_later(&mut self, now: Timestamp) {
        let InVain { refused, useless } = self.settle_in_vain;
        let doublings = refused.saturating_add(useless).saturating_sub(1).min(6);
        self.settle_due = self.after(RETRY_AFTER_MS << doublings, now);
    }
}
