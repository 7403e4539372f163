//! Batches of transactions: totals and details counted once each, durable before they are answered.

use tms_core::TerminalId;
use tms_proto::{
    Answer, Exchange, Refusal,
    settlement::{BatchLedger, BatchMessage, Totals},
};
use tracing::{info, warn};

use super::{Ended, Session};

/// Name of the document with a terminal's ledger.
pub(crate) const DOCUMENT: &str = "batch";

impl Session {
    /// Answers totals. The host does not see transactions, so it has none of its own to compare with: it
    /// asks for the details, and compares with those.
    pub(super) async fn totals(
        &mut self,
        terminal: &TerminalId,
        exchange: Exchange,
        batch: u32,
        totals: Totals,
    ) -> Result<(), Ended> {
        let mut ledger = match self.ledger(terminal).await {
            Ok(ledger) => ledger,
            Err(refusal) => return self.refuse(exchange, refusal),
        };
        let answered = ledger.on_totals(batch, &totals, None);
        if let Err(refusal) = self.keep_ledger(terminal, &ledger).await {
            return self.refuse(exchange, refusal);
        }
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, Answer::Settled { batch, totals: &answered }, now)?)
    }

    pub(super) async fn batch(
        &mut self,
        terminal: &TerminalId,
        exchange: Exchange,
        batch: u32,
        message: BatchMessage,
    ) -> Result<(), Ended> {
        match self.count_details(terminal, batch, &message).await {
            Ok(()) => {
                if matches!(message, BatchMessage::End { .. }) {
                    // What waited for it is announced in the reply already.
                    self.look_for_work().await?;
                }
                let now = self.app.now();
                Ok(self.protocol.answer(exchange, Answer::BatchTaken { batch, message: &message }, now)?)
            }
            Err(refusal) => self.refuse(exchange, refusal),
        }
    }

    async fn count_details(
        &mut self,
        terminal: &TerminalId,
        batch: u32,
        message: &BatchMessage,
    ) -> Result<(), Refusal> {
        let mut ledger = self.ledger(terminal).await?;
        let before = ledger.clone();
        if let BatchMessage::End { count, balanced, .. } = message {
            let closed = ledger.on_end(batch, *count, *balanced);
            let (announced, received) = (closed.announced, closed.received);
            match closed.is_complete() {
                true => info!(terminal = terminal.as_str(), batch, received, "batch settled"),
                false => warn!(
                    terminal = terminal.as_str(),
                    batch, announced, received, "batch closed, and its details do not make up its totals"
                ),
            }
        } else {
            let taken = ledger.on_details(batch, message).map_err(|error| {
                warn!(terminal = terminal.as_str(), batch, %error, "batch details refused");
                Refusal::OutOfRange
            })?;
            if taken.conflicting > 0 {
                warn!(terminal = terminal.as_str(), batch, taken.conflicting, "details with used numbers");
            }
        }
        // A repeat changes nothing, and costs no write.
        if ledger != before {
            if matches!(message, BatchMessage::End { .. }) {
                // First: once the ledger has the end, a repeat of it tells nothing new.
                let settled = self.app.store.record_settlement(terminal, self.app.now()).await;
                settled.map_err(|e| self.store_refusal(&e))?;
            }
            self.keep_ledger(terminal, &ledger).await?;
        }
        Ok(())
    }

    async fn ledger(&self, terminal: &TerminalId) -> Result<BatchLedger, Refusal> {
        let document = self.app.store.document(terminal, DOCUMENT).await;
        let document = document.map_err(|e| self.store_refusal(&e))?;
        let Some(text) = document else { return Ok(BatchLedger::default()) };
        serde_json::from_str(&text).map_err(|error| {
            // Nothing is counted over what cannot be read: a newer program wrote it.
            tracing::error!(terminal = terminal.as_str(), %error, "the ledger in the store cannot be read");
            Refusal::SystemError
        })
    }

    async fn keep_ledger(&self, terminal: &TerminalId, ledger: &BatchLedger) -> Result<(), Refusal> {
        let text = serde_json::to_string(ledger).map_err(|_| Refusal::SystemError)?;
        let kept = self.app.store.put_document(terminal, DOCUMENT, text).await;
        kept.map_err(|e| self.store_refusal(&e))
    }
}
