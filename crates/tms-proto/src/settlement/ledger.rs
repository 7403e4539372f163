//! What a host keeps of a terminal's batches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Balance, BatchMessage, CardClass, ChipEnding, MaskedPan, Totals};
use crate::mutation::{Mutation, without};

/// Most details of one batch that are kept; a terminal has at most 999.
pub const MAX_RECORDS: usize = 2_000;

/// Batches that ended and are remembered.
const REMEMBERED: usize = 8;

/// A terminal's batch as the host has it. Durable: save it before the answer goes out.
///
/// A detail is known by its trace number, so that what comes twice counts once. The batches before the
/// present one are remembered as they ended, because messages of them may come again. A number that comes
/// again while it is remembered, with other totals, is another batch; with the same totals it is taken for a
/// repeat, because the messages hold nothing else that tells two batches of one number apart (unionpay.md §4.10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLedger {
    batch: Option<u32>,
    told: Option<Totals>,
    records: BTreeMap<u32, Record>,
    /// Numbers of records that another transaction came with too, so that there are never more.
    #[serde(default)]
    contested: BTreeSet<u32>,
    /// The batches that ended last, the newest at the end.
    closed: VecDeque<Closed>,
}

/// A transaction as a host keeps it: without its card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    class: CardClass,
    card: MaskedPan,
    amount: u64,
    failed: bool,
}

/// What came of a message with details.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Details that are new.
    pub new: usize,
    /// Details that were there already.
    pub repeated: usize,
    /// Details with the number of another one. The first stays.
    pub conflicting: usize,
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Its number.
    pub batch: u32,
    /// The totals that the terminal told, if it did.
    pub totals: Option<Totals>,
    /// Details that the terminal says it sent.
    pub announced: u16,
    /// Details that the host has.
    pub received: u16,
    /// Numbers that came with another transaction too, each counted once however often it came.
    pub conflicts: u32,
    /// Whether the totals were agreed on when they were told.
    pub agreed: bool,
    /// Whether the details make up the totals; `None` when not all details were wanted.
    pub details_match: Option<bool>,
}

impl Closed {
    /// Whether nothing is missing and everything adds up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.announced == self.received && self.conflicts == 0 && self.details_match.unwrap_or(self.agreed)
    }
}

/// Why details are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// More details than any batch has.
    #[error("a batch of more than {MAX_RECORDS} details is none")]
    Full,
}

impl BatchLedger {
    /// The batch in hand.
    #[must_use]
    pub fn batch(&self) -> Option<u32> {
        self.batch
    }

    /// Details of the batch in hand.
    #[must_use]
    pub fn received(&self) -> usize {
        self.records.len()
    }

    /// How the batch before the one in hand ended.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.back()
    }

    /// Takes totals, and gives what to answer. `own` are the host's own totals of the batch; a host that
    /// does not see transactions has none, cannot agree, and gets the details.
    pub fn on_totals(&mut self, batch: u32, totals: &Totals, own: Option<&Totals>) -> Totals {
        if let Some(closed) = self.repeat_of(batch)
            && closed.totals.is_some_and(|told| told.same_sums(totals))
        {
            return judged(totals, own);
        }
        self.begin(batch);
        let answer = judged(totals, own);
        self.told = Some(answer);
        answer
    }

    /// Takes details, each once.
    ///
    /// # Errors
    /// When there are more than any batch has.
    pub fn on_details(&mut self, batch: u32, message: &BatchMessage) -> Result<Taken, LedgerError> {
        let records = records(message);
        if self.repeat_of(batch).is_some() {
            return Ok(Taken { repeated: records.len(), ..Taken::default() });
        }
        self.begin(batch);
        let mut taken = Taken::default();
        for (trace, record) in records {
            match self.records.get(&trace) {
                Some(known) if *known == record && !without(Mutation::CountTwice) => {
                    taken.repeated = taken.repeated.saturating_add(1);
                }
                Some(_) => {
                    self.contested.insert(trace);
                    taken.conflicting = taken.conflicting.saturating_add(1);
                }
                None if self.records.len() >= MAX_RECORDS => return Err(LedgerError::Full),
                None => {
                    self.records.insert(trace, record);
                    taken.new = taken.new.saturating_add(1);
                }
            }
        }
        Ok(taken)
    }

    /// The terminal has sent everything. Asked again, it gives the same.
    pub fn on_end(&mut self, batch: u32, count: u16, balanced: bool) -> Closed {
        if let Some(closed) = self.repeat_of(batch) {
            return closed.clone();
        }
        self.begin(batch);
        let closed = Closed {
            batch,
            totals: self.told,
            announced: count,
            received: u16::try_from(self.records.len()).unwrap_or(u16::MAX),
            conflicts: u32::try_from(self.contested.len()).unwrap_or(u32::MAX),
            agreed: self.told.is_some_and(|told| told.is_balanced()),
            details_match: (!balanced).then(|| self.adds_up()),
        };
        let mut ended = std::mem::take(&mut self.closed);
        ended.retain(|earlier| earlier.batch != batch);
        ended.push_back(closed.clone());
        if ended.len() > REMEMBERED {
            ended.pop_front();
        }
        *self = Self { closed: ended, ..Self::default() };
        closed
    }

    /// The batch of this number, if it has ended: its messages are repeats.
    fn repeat_of(&self, batch: u32) -> Option<&Closed> {
        let over = self.batch != Some(batch) && !without(Mutation::ForgetClosed);
        self.closed.iter().rev().find(|closed| over && closed.batch == batch)
    }

    /// Another number is another batch; what was left of the one before is given up.
    fn begin(&mut self, batch: u32) {
        if self.batch != Some(batch) {
            *self = Self { batch: Some(batch), closed: std::mem::take(&mut self.closed), ..Self::default() };
        }
    }

    fn adds_up(&self) -> bool {
        let Some(told) = &self.told else { return false };
        [CardClass::Domestic, CardClass::Foreign].into_iter().all(|class| {
            let records = self.records.values().filter(|record| record.class == class && !record.failed);
            let sums = records.fold((0_u64, 0_u64), |(count, amount), record| {
                (count.saturating_add(1), amount.saturating_add(record.amount))
            });
            sums == told.gross(class)
        })
    }
}

fn judged(totals: &Totals, own: Option<&Totals>) -> Totals {
    let balance = |class: CardClass| match own {
        Some(own) if own.of(class).same_sums(&totals.of(class)) => Balance::Balanced,
        _ => Balance::Unbalanced,
    };
    totals.answered(balance(CardClass::Domestic), balance(CardClass::Foreign))
}

fn records(message: &BatchMessage) -> Vec<(u32, Record)> {
    match message {
        BatchMessage::Cards(cards) => cards
            .iter()
            .map(|card| {
                let (class, amount) = (card.class, card.amount);
                (card.trace, Record { class, card: card.pan.masked(), amount, failed: false })
            })
            .collect(),
        BatchMessage::Chip { detail, .. } => {
            let failed = detail.ending != ChipEnding::Approved;
            let (class, amount) = (detail.class, detail.amount);
            vec![(detail.trace, Record { class, card: detail.pan.masked(), amount, failed })]
        }
        BatchMessage::End { .. } => Vec::new(),
    }
}
