//! Selling and settling.

use std::io;

use jiff::Timestamp;
use tms_proto::task::Outcome;

use super::Machine;
use crate::{
    state::StateError,
    trade::{Kind, MAX_BATCH, Settle, Transaction},
};

impl Machine {
    /// Sells something, unless the terminal is locked or has to settle or reverse first.
    pub(crate) fn trade(&mut self, now: Timestamp) -> Result<(), StateError> {
        let own = self.state.clock.reads(now);
        if let Err(error) = self.log.activity(own) {
            tracing::warn!(tid = %self.scenario.identity.tid, %error, "log line lost");
        }
        let may_settle = self.may_tell_totals(now);
        let before = self.state.trade.clone();
        let trade = &mut self.state.trade;
        if self.state.lock.is_some() || trade.reversal.is_some() || trade.settle.is_some() {
            return Ok(());
        }
        if trade.open.count() >= MAX_BATCH {
            // The host refused its totals for good. Nothing is sold before it takes them.
            return if may_settle { self.settle() } else { Ok(()) };
        }
        let chance = u64::from_be_bytes(self.materials.entropy.bytes());
        let transaction = Transaction {
            batch: trade.open.number,
            trace: trade.next_trace(),
            time: own,
            kind: if chance.is_multiple_of(16) { Kind::Refund } else { Kind::Sale },
            amount: (chance >> 8) % 100_000,
            card: format!("622848******{:04}", (chance >> 32) % 10_000),
        };
        trade
            .book(self.storage.as_ref(), &transaction)
            .map_err(|error| StateError::io(&self.storage.location("batch"), error))?;
        let every = self.scenario.faults.lose_answer_every;
        if every.is_some_and(|every| trade.transactions.is_multiple_of(u64::from(every))) {
            trade.reversal = Some(transaction.trace);
        }
        let after = self.scenario.behaviour.settle_after;
        if may_settle && (trade.open.count() >= MAX_BATCH || (after > 0 && trade.open.count() >= after)) {
            trade.settle = Some(Settle { batch: trade.open.number, task: None });
        }
        self.save_books(before)
    }

    /// Someone wants the open batch settled.
    pub(crate) fn settle(&mut self) -> Result<(), StateError> {
        let before = self.state.trade.clone();
        let batch = before.open.number;
        self.state.trade.settle.get_or_insert(Settle { batch, task: None });
        self.save_books(before)
    }

    /// The open batch is settled.
    pub(crate) fn settled(&mut self, now: Timestamp) -> Result<(), StateError> {
        let task = self.state.trade.settle.and_then(|settle| settle.task);
        self.state.trade.settled();
        self.totals_refused = None;
        self.changed = true;
        if let Some(task) = task {
            self.state.finish(task.result(Outcome::DONE), now);
        }
        self.save()
    }

    /// The transactions of the open batch.
    pub(crate) fn transactions(&self) -> io::Result<Vec<Transaction>> {
        self.state.trade.transactions_of(self.storage.as_ref(), &self.state.trade.open)
    }
}
