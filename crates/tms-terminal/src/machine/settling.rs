//! Settling: the open batch's totals and details told to the host, until it has them all.
//!
//! The [`Settle`] of the protocol lies in a file of its own while it goes on. It is made of the batch's
//! transactions, of which there are no more once someone wants it settled; so a crash before it was first
//! kept costs nothing. The end is kept there first and then in the books: a start that finds it ended
//! closes the books.

use jiff::Timestamp;
use tms_proto::{
    Refusal,
    settlement::{
        BatchMessage, CardClass, CardDetail, ChipDetail, ChipEnding, Detail, Message, Pan, Progress, Settle,
        Side, State, Totals,
    },
    task::Outcome,
};

use super::Machine;
use crate::{
    state::StateError,
    storage::Storage,
    trade::{Batch, Kind, Transaction},
};

const FILE: &str = "settle.json";
/// Wait before totals that were refused for good are told of the terminal's own accord: it doubles.
const FIRST_WAIT_S: i64 = 60;
const LONGEST_WAIT_S: i64 = 3_600;
/// ISO 4217 of what the terminal sells in: renminbi.
pub(super) const CURRENCY: u16 = 156;

pub(super) fn load(storage: &dyn Storage) -> Result<Option<Settle>, StateError> {
    let read = storage.read(FILE).map_err(|error| StateError::io(&storage.location(FILE), error))?;
    let Some(bytes) = read else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map_err(|error| StateError::Damaged { file: storage.location(FILE), reason: error.to_string() })
}

impl Machine {
    /// What to tell the host next of the batch that is to be settled.
    pub(crate) fn next_settlement(&mut self, now: Timestamp) -> Result<Option<(u32, Message)>, StateError> {
        let open = self.state.trade.open;
        if self.state.trade.settle.is_none() {
            return Ok(None);
        }
        if self.settling.as_ref().is_none_or(|settle| !goes_on(settle, &open)) {
            let settle = self.closed_batch()?;
            self.keep_settling(settle)?;
            self.note(now, 'I', "txn", &format!("settling batch {}: {} items", open.number, open.count()));
        }
        let settle = self.settling.as_ref();
        Ok(settle.and_then(|settle| Some((settle.batch(), settle.next_message()?))))
    }

    /// The host's word on the totals. Gives whether that was of use.
    pub(crate) fn on_totals(
        &mut self,
        batch: u32,
        totals: &Totals,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let Some(mut settle) = self.settling.clone() else { return Ok(false) };
        match settle.on_totals(batch, totals) {
            Ok(progress) => self.progress(settle, progress, now),
            Err(error) => {
                self.note(now, 'W', "txn", &format!("settlement: {error}"));
                Ok(false)
            }
        }
    }

    /// The host has a message of the batch. Gives whether that was of use.
    pub(crate) fn on_batch_taken(
        &mut self,
        batch: u32,
        message: &BatchMessage,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let Some(mut settle) = self.settling.clone() else { return Ok(false) };
        let progress = settle.on_taken(batch, message);
        self.progress(settle, progress, now)
    }

    /// The host refused what was said last. Gives whether it is to be said again later.
    pub(crate) fn on_settlement_refused(
        &mut self,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<bool, StateError> {
        let Some(mut settle) = self.settling.clone() else { return Ok(false) };
        let said = settle.next_message();
        let progress = settle.on_refused(refusal);
        if progress.must_save && settle.state() == State::Open {
            // The totals were refused for good: the batch is open again. The settlement goes before the
            // wish for it does: it would otherwise be there when there are more sales.
            self.drop_settling()?;
            let times = self.totals_refused.map_or(0, |(_, times)| times).saturating_add(1);
            self.totals_refused = Some((now, times));
            let task = self.state.trade.settle.take().and_then(|wish| wish.task);
            if let Some(task) = task {
                let reason = format!("the host refused the totals: {refusal}");
                self.state.finish(task.result(Outcome::FETCH_FAILED).because(reason), now);
            }
            self.save()?;
            return Ok(false);
        }
        let again = settle.next_message() == said;
        self.progress(settle, progress, now)?;
        Ok(again)
    }

    /// Whether the host has not just refused totals for good. A clock that was set back lengthens no wait.
    pub(super) fn may_tell_totals(&self, now: Timestamp) -> bool {
        let Some((at, times)) = self.totals_refused else { return true };
        let wait = FIRST_WAIT_S.saturating_mul(1 << times.saturating_sub(1).min(6)).min(LONGEST_WAIT_S);
        let waited = now.duration_since(at).as_secs();
        waited < 0 || waited >= wait
    }

    /// At a start: books that were to be closed when the power went are closed now, and a settlement of
    /// another batch, of other sales or that nobody wants is forgotten. Saves only what it must.
    pub(super) fn close_books(&mut self, now: Timestamp) -> Result<(), StateError> {
        let (open, wanted) = (self.state.trade.open, self.state.trade.settle.is_some());
        match &self.settling {
            Some(settle) if wanted && settle.settled() == Some(open.number) => self.settled(now)?,
            Some(settle) if !wanted || !goes_on(settle, &open) => {}
            _ => return Ok(()),
        }
        self.drop_settling()
    }

    fn progress(&mut self, settle: Settle, progress: Progress, now: Timestamp) -> Result<bool, StateError> {
        if !progress.must_save {
            return Ok(false);
        }
        self.keep_settling(settle)?;
        if let Some(batch) = progress.settled {
            self.note(now, 'I', "txn", &format!("batch {batch} settled"));
            self.settled(now)?;
            self.drop_settling()?;
        }
        Ok(true)
    }

    fn closed_batch(&self) -> Result<Settle, StateError> {
        let damaged = |reason: String| StateError::Damaged { file: self.storage.location(FILE), reason };
        let mut settle = Settle::new(self.state.trade.open.number, CURRENCY);
        let transactions =
            self.transactions().map_err(|error| StateError::io(&self.storage.location("batch"), error))?;
        for transaction in &transactions {
            let detail = detail(transaction).map_err(damaged)?;
            let side = match transaction.kind {
                Kind::Sale => Side::Debit,
                Kind::Refund => Side::Credit,
            };
            let _ = settle.record(detail, side).map_err(|error| damaged(error.to_string()))?;
        }
        let _ = settle.close(0).map_err(|error| damaged(error.to_string()))?;
        Ok(settle)
    }

    fn keep_settling(&mut self, settle: Settle) -> Result<(), StateError> {
        let json = serde_json::to_vec(&settle).map_err(|error| StateError::Damaged {
            file: self.storage.location(FILE),
            reason: error.to_string(),
        })?;
        self.keep(FILE, &json)?;
        self.settling = Some(settle);
        Ok(())
    }

    pub(super) fn drop_settling(&mut self) -> Result<(), StateError> {
        self.settling = None;
        let removed = self.storage.remove(FILE);
        removed.map_err(|error| StateError::io(&self.storage.location(FILE), error))
    }
}

/// Whether this is the settlement of the open batch with all its sales, and not what is left of another.
fn goes_on(settle: &Settle, open: &Batch) -> bool {
    let has_all = usize::try_from(open.count()) == Ok(settle.len());
    settle.batch() == open.number && settle.state() != State::Open && has_all
}

/// The invented card's whole number. Only its masked form is ever kept.
fn pan(transaction: &Transaction) -> Result<Pan, String> {
    let card = &transaction.card;
    let (Some(head), Some(tail)) = (card.get(..6), card.get(card.len().saturating_sub(4)..)) else {
        return Err("a transaction has no card".to_owned());
    };
    Pan::new(&format!("{head}{:06}{tail}", transaction.trace)).map_err(|error| error.to_string())
}

/// Every third card has a chip.
fn detail(transaction: &Transaction) -> Result<Detail, String> {
    let (class, trace, amount) = (CardClass::Domestic, transaction.trace, transaction.amount);
    let pan = pan(transaction)?;
    if !trace.is_multiple_of(3) {
        return Ok(Detail::Card(CardDetail { class, trace, pan, amount }));
    }
    let cryptogram = amount.to_be_bytes();
    Ok(Detail::Chip(ChipDetail {
        class,
        trace,
        pan,
        amount,
        currency: CURRENCY.to_string(),
        entry_mode: 51,
        sequence: Some(1),
        chip_data: [&[0x9F, 0x26, 8][..], &cryptogram].concat(),
        ending: ChipEnding::Approved,
    }))
}
