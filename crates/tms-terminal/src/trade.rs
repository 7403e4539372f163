//! What the terminal sells: an invented transaction now and then, kept in batches until they are settled.
//!
//! Each batch has a file of its own, one JSON line a transaction; the state says how many bytes of it
//! count, so that a line that a crash tore is no transaction. The last batches stay for the journal.

use std::{collections::VecDeque, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tms_proto::{
    settlement::MaskedPan,
    transactions::{self, Entry},
};

use crate::{state::TaskKey, storage::Storage};

/// Batches whose transactions stay for the journal, the open one included.
const BATCHES: usize = 8;
/// Most transactions in a batch; more must wait for a settlement.
pub const MAX_BATCH: u32 = 500;

/// The books. Durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trade {
    /// The open batch.
    pub open: Batch,
    /// Batches that ended, oldest first, as far as the journal still has them.
    pub ended: VecDeque<Batch>,
    /// The batch that was settled last.
    pub settled_batch: Option<u32>,
    /// Transactions since manufacture.
    pub transactions: u64,
    /// Trace number of a sale whose answer never came and that must be reversed.
    pub reversal: Option<u32>,
    /// Someone wants the open batch settled: a plan's action, or nobody in particular.
    pub settle: Option<Settle>,
}

/// A wish to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The batch that shall be settled.
    pub batch: u32,
    /// Who waits for it.
    pub task: Option<TaskKey>,
}

/// One batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Its number, 1 to 999999.
    pub number: u32,
    /// Its totals.
    pub totals: Totals,
    /// How much of its file counts.
    pub bytes: u64,
}

/// Totals of a batch. Amounts are in the smallest unit of the currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Sales.
    pub debit_count: u32,
    /// Their sum.
    pub debit_amount: u64,
    /// Refunds and voids.
    pub credit_count: u32,
    /// Their sum.
    pub credit_amount: u64,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Its batch.
    pub batch: u32,
    /// Its trace number (DE11), 1 to 999999.
    pub trace: u32,
    /// When, by the terminal's clock.
    pub time: Timestamp,
    /// What.
    pub kind: Kind,
    /// Amount in the smallest unit of the currency.
    pub amount: u64,
    /// The card, masked.
    pub card: String,
}

/// What a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Money to the merchant.
    Sale,
    /// Money back to the card.
    Refund,
}

impl Default for Trade {
    fn default() -> Self {
        Self {
            open: Batch { number: 1, ..Batch::default() },
            ended: VecDeque::new(),
            settled_batch: None,
            transactions: 0,
            reversal: None,
            settle: None,
        }
    }
}

impl Batch {
    /// Transactions in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.totals.debit_count.saturating_add(self.totals.credit_count)
    }

    fn file(&self) -> String {
        format!("batch-{}.jsonl", self.number as usize % BATCHES)
    }
}

impl Trade {
    /// Books a transaction. The caller saves the books; what was written before is not counted until then.
    ///
    /// # Errors
    /// When the storage fails.
    pub(crate) fn book(&mut self, storage: &dyn Storage, transaction: &Transaction) -> io::Result<()> {
        let file = self.open.file();
        let mut line = serde_json::to_vec(transaction)?;
        line.push(b'\n');
        // Whatever lies behind is torn, or an older batch's.
        storage.truncate(&file, self.open.bytes)?;
        storage.write_at(&file, self.open.bytes, &line)?;
        storage.sync(&file)?;
        self.open.bytes = self.open.bytes.saturating_add(line.len() as u64);
        self.transactions = self.transactions.saturating_add(1);
        let totals = &mut self.open.totals;
        let (count, amount) = match transaction.kind {
            Kind::Sale => (&mut totals.debit_count, &mut totals.debit_amount),
            Kind::Refund => (&mut totals.credit_count, &mut totals.credit_amount),
        };
        *count = count.saturating_add(1);
        *amount = amount.saturating_add(transaction.amount);
        Ok(())
    }

    /// The next trace number.
    #[must_use]
    pub fn next_trace(&self) -> u32 {
        u32::try_from(self.transactions % 999_999).unwrap_or(0).saturating_add(1)
    }

    /// Ends the open batch with its settlement and begins the next.
    pub fn settled(&mut self) {
        self.settled_batch = Some(self.open.number);
        self.end(true);
    }

    /// Forgets the open batch's transactions and begins the next.
    pub fn clear(&mut self) {
        self.end(false);
    }

    /// Takes the host's batch number, where nothing is booked under the terminal's own.
    pub fn adopt(&mut self, number: u32) -> bool {
        let free = self.open.count() == 0 && self.settle.is_none();
        let takes = (1..=999_999).contains(&number) && free && number != self.open.number;
        if takes {
            self.forget_file_of(number);
            self.open = Batch { number, ..Batch::default() };
        }
        takes
    }

    fn end(&mut self, keep: bool) {
        let ended = std::mem::take(&mut self.open);
        if keep && ended.count() > 0 {
            self.ended.push_back(ended);
        }
        let number = if ended.number >= 999_999 { 1 } else { ended.number.saturating_add(1) };
        self.forget_file_of(number);
        self.open = Batch { number, ..Batch::default() };
        self.settle = None;
    }

    /// The file of a new batch may be that of an old one, which is lost to the journal then.
    fn forget_file_of(&mut self, number: u32) {
        let new = Batch { number, ..Batch::default() };
        self.ended.retain(|batch| batch.file() != new.file());
    }

    /// The transactions of a batch.
    ///
    /// # Errors
    /// When the storage fails or a line is damaged.
    pub(crate) fn transactions_of(
        &self,
        storage: &dyn Storage,
        batch: &Batch,
    ) -> io::Result<Vec<Transaction>> {
        let bytes = lines_of(storage, batch)?;
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(read_line).collect()
    }

    /// The journal from a batch on, at most `max_bytes` of the newest transactions.
    ///
    /// # Errors
    /// When the storage fails or a line is damaged.
    pub(crate) fn journal(
        &self,
        storage: &dyn Storage,
        from_batch: Option<u32>,
        currency: u16,
        max_bytes: u64,
    ) -> io::Result<Vec<u8>> {
        let mut entries = Vec::new();
        let wanted = |batch: &&Batch| from_batch.is_none_or(|from| batch.number >= from);
        for batch in self.ended.iter().chain([&self.open]).filter(wanted) {
            let booked = self.transactions_of(storage, batch)?;
            entries.extend(booked.iter().map(|transaction| transaction.entry(currency)));
        }
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let mut first = entries.len();
        let mut bytes = 0_usize;
        for (index, entry) in entries.iter().enumerate().rev() {
            bytes = bytes.saturating_add(transactions::encode(std::slice::from_ref(entry)).len());
            if bytes > max {
                break;
            }
            first = index;
        }
        Ok(transactions::encode(entries.get(first..).unwrap_or_default()))
    }
}

impl Transaction {
    fn entry(&self, currency: u16) -> Entry {
        let kind = match self.kind {
            Kind::Sale => "sale",
            Kind::Refund => "refund",
        };
        Entry {
            trace: self.trace,
            batch: self.batch,
            at_s: self.time.as_second(),
            kind: kind.to_owned(),
            amount: self.amount,
            currency,
            card: MaskedPan::parse(&self.card).ok(),
            response: "00".to_owned(),
            reversed: false,
        }
    }
}

fn lines_of(storage: &dyn Storage, batch: &Batch) -> io::Result<Vec<u8>> {
    if batch.bytes == 0 {
        return Ok(Vec::new());
    }
    let bytes = storage.read_at(&batch.file(), 0, usize::try_from(batch.bytes).unwrap_or(usize::MAX))?;
    if bytes.len() as u64 == batch.bytes {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("batch {} is cut short", batch.number)))
    }
}

fn read_line(line: &[u8]) -> io::Result<Transaction> {
    serde_json::from_slice(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn sale(trade: &Trade, amount: u64) -> Transaction {
        Transaction {
            batch: trade.open.number,
            trace: trade.next_trace(),
            time: Timestamp::from_second(1_800_000_000).unwrap(),
            kind: if amount > 100 { Kind::Sale } else { Kind::Refund },
            amount,
            card: "622848******1234".to_owned(),
        }
    }

    fn book(trade: &mut Trade, storage: &MemoryStorage, amount: u64) {
        let transaction = sale(trade, amount);
        trade.book(storage, &transaction).unwrap();
    }

    #[test]
    fn a_batch_counts_what_was_booked_and_the_next_begins_empty() {
        let (mut trade, storage) = (Trade::default(), MemoryStorage::default());
        for amount in [500, 700, 100] {
            book(&mut trade, &storage, amount);
        }
        let totals = Totals { debit_count: 2, debit_amount: 1200, credit_count: 1, credit_amount: 100 };
        assert_eq!((trade.open.totals, trade.open.number), (totals, 1));
        let booked = trade.transactions_of(&storage, &trade.open).unwrap();
        assert_eq!(booked.iter().map(|t| t.trace).collect::<Vec<_>>(), [1, 2, 3]);
        trade.settled();
        assert_eq!((trade.open.number, trade.open.count(), trade.settled_batch), (2, 0, Some(1)));
    }

    #[test]
    fn a_line_that_was_not_counted_is_no_transaction() {
        let (mut trade, storage) = (Trade::default(), MemoryStorage::default());
        book(&mut trade, &storage, 500);
        let saved = trade.clone();
        book(&mut trade, &storage, 600);
        let mut trade = saved;
        book(&mut trade, &storage, 700);
        let booked = trade.transactions_of(&storage, &trade.open).unwrap();
        assert_eq!(booked.iter().map(|t| t.amount).collect::<Vec<_>>(), [500, 700]);
    }

    #[test]
    fn the_journal_has_the_last_batches_and_its_newest_lines_when_it_may_not_have_all() {
        let (mut trade, storage) = (Trade::default(), MemoryStorage::default());
        for amount in 1..=20 {
            book(&mut trade, &storage, 1000 + amount);
            trade.settled();
        }
        let journal = |from, max_bytes| {
            let bytes = trade.journal(&storage, from, 156, max_bytes).unwrap();
            (bytes.len() as u64, transactions::decode(&bytes).unwrap())
        };
        let (bytes, all) = journal(None, u64::MAX);
        assert_eq!(all.len(), BATCHES - 1);
        assert_eq!(all[0].card.as_ref().unwrap().as_str(), "622848******1234");
        assert_eq!(journal(Some(20), u64::MAX).1, all[all.len() - 1..]);
        assert_eq!(journal(None, bytes - 1).1, all[1..]);
    }

    #[test]
    fn the_hosts_batch_number_is_taken_only_while_nothing_is_booked() {
        let (mut trade, storage) = (Trade::default(), MemoryStorage::default());
        assert!(trade.adopt(700) && !trade.adopt(700) && !trade.adopt(0) && !trade.adopt(1_000_000));
        book(&mut trade, &storage, 500);
        assert!(!trade.adopt(701));
        assert_eq!(trade.open.number, 700);
        trade.clear();
        assert_eq!((trade.open.number, trade.open.count(), trade.settled_batch), (701, 0, None));
    }
}
