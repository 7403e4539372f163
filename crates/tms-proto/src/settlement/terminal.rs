//! The terminal's batch, from its first transaction to the host's last word.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    BatchMessage, CardClass, CardDetail, ChipDetail, ChipEnding, MAX_CARDS, SettleError, Totals,
    totals::CurrencyTotals,
};
use crate::{
    mutation::{Mutation, without},
    profile::Refusal,
};

/// Most transactions of a batch; a count has three digits.
pub const MAX_DETAILS: usize = 999;
/// So many refusals in a row that are about the message, and not about what it says, count as final.
pub(super) const MAX_SPOILED: u8 = 5;
/// Batch numbers have six digits and begin at 1 again.
const LAST_BATCH: u32 = 999_999;

/// A transaction of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// By magnetic stripe or typed number.
    Card(CardDetail),
    /// By chip.
    Chip(ChipDetail),
}

impl Detail {
    fn trace(&self) -> u32 {
        match self {
            Self::Card(card) => card.trace,
            Self::Chip(chip) => chip.trace,
        }
    }

    /// What it adds to the totals: a failed transaction adds nothing.
    fn share(&self) -> Option<(CardClass, u64)> {
        match self {
            Self::Card(card) => Some((card.class, card.amount)),
            Self::Chip(chip) => (chip.ending == ChipEnding::Approved).then_some((chip.class, chip.amount)),
        }
    }
}

/// Which way the money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The card holder pays: a sale.
    Debit,
    /// The card holder is paid: a refund.
    Credit,
}

/// Where the batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It takes transactions.
    Open,
    /// Its totals are fixed and the host has not answered them yet.
    Closing,
    /// Its details are sent (the 批上送 state of Chinese terminals).
    Uploading {
        /// Whether the host agreed with the totals.
        balanced: bool,
        /// Messages that the host has taken.
        taken: usize,
    },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Uploading { .. } => "being uploaded",
        })
    }
}

/// The next thing to say to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The totals (0500).
    Totals(Totals),
    /// Details, or their end (0320).
    Batch(BatchMessage),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "save first when it says so"]
pub struct Progress {
    /// Save before anything else is said or done.
    pub must_save: bool,
    /// This batch is settled, once it is saved; [`Settle::settled`] says so from then on. The terminal
    /// prints its totals, and plans that wait for a settlement begin.
    pub settled: Option<u32>,
}

impl Progress {
    const NOTHING: Self = Self { must_save: false, settled: None };
    const SAVE: Self = Self { must_save: true, settled: None };
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    detail: Detail,
    side: Side,
}

/// The terminal's batch. Durable: save it whenever a step says so, and what a crash leaves is enough to
/// go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    batch: u32,
    entries: Vec<Entry>,
    totals: Totals,
    state: State,
    /// Trace numbers of details that the host refused for good.
    refused: Vec<u32>,
    /// Refusals in a row of what is said now that may come from a line that spoils messages.
    #[serde(default)]
    spoiled: u8,
    settled: Option<u32>,
}

impl Settle {
    /// An empty batch; numbers run from 1 to 999999. `currency` is that of its amounts (ISO 4217).
    #[must_use]
    pub fn new(batch: u32, currency: u16) -> Self {
        Self {
            batch: batch.clamp(1, LAST_BATCH),
            entries: Vec::new(),
            totals: Totals::new(currency),
            state: State::Open,
            refused: Vec::new(),
            spoiled: 0,
            settled: None,
        }
    }

    /// The number of the batch (DE60.2).
    #[must_use]
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Takes the number that the host gives at a sign-on, while the batch is empty.
    pub fn adopt(&mut self, batch: u32) -> Progress {
        let free = self.state == State::Open && self.entries.is_empty() && self.batch != batch;
        if !free || !(1..=LAST_BATCH).contains(&batch) {
            return Progress::NOTHING;
        }
        self.batch = batch;
        Progress::SAVE
    }

    /// The batch that was settled last.
    #[must_use]
    pub fn settled(&self) -> Option<u32> {
        self.settled
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Transactions in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its totals.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Trace numbers of details of this batch that the host refused for good.
    #[must_use]
    pub fn refused(&self) -> &[u32] {
        &self.refused
    }

    /// Takes a transaction. The same one again, as after a restart, changes nothing.
    ///
    /// # Errors
    /// When the batch takes no more: it is being closed, or full.
    pub fn record(&mut self, detail: Detail, side: Side) -> Result<Progress, SettleError> {
        if let Some(known) = self.entries.iter().find(|entry| entry.detail.trace() == detail.trace()) {
            let same = known.detail == detail && known.side == side;
            return if same { Ok(Progress::NOTHING) } else { Err(SettleError::TraceTaken(detail.trace())) };
        }
        if self.state != State::Open && !without(Mutation::TradeWhileClosing) {
            return Err(SettleError::IllegalState { state: self.state, action: "take a transaction" });
        }
        if self.entries.len() >= MAX_DETAILS {
            return Err(SettleError::Full);
        }
        if let Some((class, amount)) = detail.share() {
            let totals = match class {
                CardClass::Domestic => &mut self.totals.domestic,
                CardClass::Foreign => self.totals.foreign.get_or_insert_default(),
            };
            let sum = match side {
                Side::Debit => &mut totals.debit,
                Side::Credit => &mut totals.credit,
            };
            *sum = sum.with(amount).ok_or(SettleError::Full)?;
        }
        self.entries.push(Entry { detail, side });
        Ok(Progress::SAVE)
    }

    /// Closes the batch. `unsent` counts the reversals, script notices and off-line advices that the
    /// host has not had yet: they come first. Closing what is closed already changes nothing.
    ///
    /// # Errors
    /// When something is unsent.
    pub fn close(&mut self, unsent: usize) -> Result<Progress, SettleError> {
        if unsent > 0 {
            return Err(SettleError::SendFirst(unsent));
        }
        if self.state != State::Open {
            return Ok(Progress::NOTHING);
        }
        self.state = State::Closing;
        Ok(Progress::SAVE)
    }

    /// What to say to the host next; the same until it has been answered.
    #[must_use]
    pub fn next_message(&self) -> Option<Message> {
        match self.state {
            State::Open => None,
            State::Closing => Some(Message::Totals(self.totals)),
            State::Uploading { balanced, taken } => Some(Message::Batch(self.upload(balanced, taken))),
        }
    }

    /// The host answered the totals.
    ///
    /// # Errors
    /// When it answered others: ask again.
    pub fn on_totals(&mut self, batch: u32, answer: &Totals) -> Result<Progress, SettleError> {
        if self.state != State::Closing || batch != self.batch {
            return Ok(Progress::NOTHING);
        }
        if !answer.same_sums(&self.totals) {
            return Err(SettleError::OtherTotals);
        }
        self.state = State::Uploading { balanced: answer.is_balanced(), taken: 0 };
        self.spoiled = 0;
        Ok(Progress::SAVE)
    }

    /// The host has a message of the upload. An answer that comes late changes nothing.
    pub fn on_taken(&mut self, batch: u32, message: &BatchMessage) -> Progress {
        match self.state {
            State::Uploading { balanced, taken }
                if (batch == self.batch && self.upload(balanced, taken) == *message)
                    || without(Mutation::AnyAnswer) =>
            {
                self.advance(balanced, taken)
            }
            _ => Progress::NOTHING,
        }
    }

    /// The host refused what [`Settle::next_message`] says. It says the same afterwards when the refusal
    /// may pass or be of a message that was spoiled on its way, and always when it is of the batch's end,
    /// because what the host has not closed is not settled: wait, and say it again. After any other
    /// refusal the batch is open again if its totals were refused, and goes on without the detail
    /// otherwise.
    pub fn on_refused(&mut self, refusal: Refusal) -> Progress {
        if refusal.may_retry() || self.state == State::Open {
            return Progress::NOTHING;
        }
        let is_end = match self.state {
            State::Uploading { balanced, taken } => self.upload(balanced, taken).is_end(),
            State::Open | State::Closing => false,
        };
        if is_end && !without(Mutation::RefusedEndSettles) {
            return Progress::NOTHING;
        }
        self.spoiled = self.spoiled.saturating_add(1);
        if refusal.is_about_message() && self.spoiled < MAX_SPOILED && !without(Mutation::OneSpoiledFrame) {
            return Progress::SAVE;
        }
        match self.state {
            State::Open => Progress::NOTHING,
            State::Closing => {
                self.state = State::Open;
                self.spoiled = 0;
                Progress::SAVE
            }
            State::Uploading { balanced, taken } => {
                match self.upload(balanced, taken) {
                    BatchMessage::Cards(cards) => self.refused.extend(cards.iter().map(|card| card.trace)),
                    BatchMessage::Chip { detail, .. } => self.refused.push(detail.trace),
                    BatchMessage::End { .. } => {}
                }
                self.advance(balanced, taken)
            }
        }
    }

    fn advance(&mut self, balanced: bool, taken: usize) -> Progress {
        if !self.upload(balanced, taken).is_end() {
            self.state = State::Uploading { balanced, taken: taken.saturating_add(1) };
            self.spoiled = 0;
            return Progress::SAVE;
        }
        let settled = self.batch;
        let next = if settled >= LAST_BATCH { 1 } else { settled.saturating_add(1) };
        *self = Self { settled: Some(settled), ..Self::new(next, self.totals.currency) };
        Progress { must_save: !without(Mutation::AnnounceFirst), settled: Some(settled) }
    }

    /// The message after `taken` others: by stripe what was paid, then what was paid back, by chip what
    /// was approved, then what failed. What both sides agree on is not sent again by stripe.
    fn upload(&self, balanced: bool, taken: usize) -> BatchMessage {
        let mut messages = 0_usize;
        let mut details = 0_usize;
        for side in [Side::Debit, Side::Credit] {
            let cards = self.entries.iter().filter(|entry| entry.side == side && !balanced);
            let cards: Vec<_> = cards.filter_map(Entry::card).collect();
            for group in cards.chunks(MAX_CARDS) {
                if messages == taken {
                    return BatchMessage::Cards(group.iter().map(|card| (*card).clone()).collect());
                }
                messages = messages.saturating_add(1);
                details = details.saturating_add(group.len());
            }
        }
        for approved in [true, false] {
            let chips = self.entries.iter().filter_map(Entry::chip);
            for chip in chips.filter(|chip| (chip.ending == ChipEnding::Approved) == approved) {
                if messages == taken {
                    // What failed has one code whether the totals agree or not.
                    return BatchMessage::Chip {
                        detail: Box::new(chip.clone()),
                        balanced: balanced && approved,
                    };
                }
                messages = messages.saturating_add(1);
                details = details.saturating_add(1);
            }
        }
        // Bounded by MAX_DETAILS.
        BatchMessage::End { count: u16::try_from(details).unwrap_or(u16::MAX), balanced }
    }
}

impl Entry {
    fn card(&self) -> Option<&CardDetail> {
        match &self.detail {
            Detail::Card(card) => Some(card),
            Detail::Chip(_) => None,
        }
    }

    fn chip(&self) -> Option<&ChipDetail> {
        match &self.detail {
            Detail::Chip(chip) => Some(chip),
            Detail::Card(_) => None,
        }
    }
}

impl Totals {
    /// Count and amount of both sides together, of one kind of cards: a detail does not say its side.
    pub(super) fn gross(&self, class: CardClass) -> (u64, u64) {
        let CurrencyTotals { debit, credit, .. } = self.of(class);
        (
            u64::from(debit.count).saturating_add(u64::from(credit.count)),
            debit.amount.saturating_add(credit.amount),
        )
    }
}
