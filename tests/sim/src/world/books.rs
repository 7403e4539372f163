//! What was sold: every sale of a batch that is settled is in the host's ledger once, and none is lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use tms_core::OperationKind;
use tms_proto::settlement::{Closed, MaskedPan};
use tms_store::Store;
use tms_terminal::trade::{Kind, Transaction};

use super::{Checked, World};
use crate::{host::ready, options::Sabotage, outcome::invariant, terminal::Life, trace::Happened};

/// The document in which the host keeps a terminal's batches.
const LEDGER: &str = "batch";
/// One in so many things that a merchant does is to settle.
const SETTLES_ONE_IN: u64 = 6;

/// What a merchant knows of one terminal.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The number of the open batch.
    batch: Option<u32>,
    /// What was sold in it, by trace number.
    open: BTreeMap<u32, Transaction>,
    /// The power went while something was sold: it is in the books or not.
    in_doubt: bool,
    /// Batches with sales that the terminal was told to forget.
    forgotten: usize,
    /// The batch of each sale that the host has settled. Trace numbers only grow.
    settled: HashMap<u32, u32>,
    /// Batches that the host has closed, and how the last of them ended.
    closed: BTreeSet<u32>,
    last_closed: Option<Closed>,
    /// The host's document as it was last looked at, and the details of its batch in hand.
    document: String,
    at_host: BTreeMap<u32, Detail>,
}

/// What the host keeps of a terminal's batches, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
struct Ledger {
    #[serde(default)]
    records: BTreeMap<u32, Detail>,
    #[serde(default)]
    closed: Vec<Closed>,
}

/// One sale as the host has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Detail {
    card: MaskedPan,
    amount: u64,
    failed: bool,
}

impl World {
    /// A merchant sells something, or settles.
    pub(super) fn serve(&mut self, place: usize, value: u64) -> Checked {
        if value.is_multiple_of(SETTLES_ONE_IN) { self.settle(place) } else { self.sell(place) }
    }

    /// Somebody buys something, if the terminal sells.
    pub(super) fn sell(&mut self, place: usize) -> Checked {
        let Some(device) = self.at_hand(place) else { return Ok(()) };
        let count = || device.state(|state| state.trade.transactions);
        let before = count();
        let done = device.trade(self.terminals[place].now());
        let is_on = self.terminals[place].disk.is_on();
        let books = &mut self.terminals[place].books;
        match &done {
            Ok(()) if count() > before => {
                let sold = device.transactions().ok().and_then(|mut all| all.pop());
                if let Some(sold) = sold {
                    books.open.insert(sold.trace, sold);
                    self.counts.sales += 1;
                }
            }
            Ok(()) => {}
            Err(_) => books.in_doubt |= !is_on,
        }
        self.after_hands(place, done)
    }

    fn settle(&mut self, place: usize) -> Checked {
        let Some(device) = self.at_hand(place) else { return Ok(()) };
        let done = device.settle();
        self.after_hands(place, done)
    }

    /// The terminal, if it has power and is not starting: otherwise nobody can use it.
    pub(super) fn at_hand(&self, place: usize) -> Option<tms_terminal::Device> {
        let terminal = &self.terminals[place];
        let off = matches!(terminal.life, Life::Off { .. } | Life::Boots { .. });
        terminal.device.clone().filter(|_| !off)
    }

    /// Looks at the terminal's books, when everything in them is durable.
    pub(super) fn look_at_books(&mut self, place: usize) -> Checked {
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        let (open, settled) = device.state(|state| (state.trade.open, state.trade.settled_batch));
        let books = &mut self.terminals[place].books;
        let batch = *books.batch.get_or_insert(open.number);
        if batch != open.number {
            books.batch = Some(open.number);
            let sold = std::mem::take(&mut books.open);
            let closed = books.closed.contains(&batch);
            self.checked(invariant::SETTLED);
            if settled == Some(batch) {
                if !closed {
                    let what = format!("batch {batch} is settled for the terminal and not for the host");
                    return Err(self.violation(Some(place), invariant::SETTLED, what));
                }
                self.counts.batches += 1;
            } else if !sold.is_empty() {
                let books = &mut self.terminals[place].books;
                books.forgotten += 1;
                if books.forgotten > self.told_to_forget(place) {
                    let what = format!("batch {batch} with {} sales is gone and not settled", sold.len());
                    return Err(self.violation(Some(place), invariant::SETTLED, what));
                }
            }
        }
        let books = &mut self.terminals[place].books;
        let sums = |kind: Kind| {
            books
                .open
                .values()
                .filter(|sale| sale.kind == kind)
                .fold((0_u32, 0_u64), |(count, sum), sale| (count + 1, sum + sale.amount))
        };
        let totals = open.totals;
        if sums(Kind::Sale) == (totals.debit_count, totals.debit_amount)
            && sums(Kind::Refund) == (totals.credit_count, totals.credit_amount)
        {
            return Ok(());
        }
        let booked = device.transactions().unwrap_or_default();
        let new = booked.len() == books.open.len() + 1
            && booked.iter().filter(|sale| books.open.get(&sale.trace) != Some(sale)).count() == 1;
        if std::mem::take(&mut books.in_doubt) && new {
            books.open = booked.into_iter().map(|sale| (sale.trace, sale)).collect();
            return Ok(());
        }
        let what =
            format!("the books of batch {} have {} sales of {}", open.number, booked.len(), books.open.len());
        Err(self.violation(Some(place), invariant::SETTLED, what))
    }

    /// Batches that somebody wanted this terminal to forget.
    fn told_to_forget(&self, place: usize) -> usize {
        let tid = &self.terminals[place].tid;
        self.host.store.look(|contents| {
            let all = contents.queues.get(tid).map(|queue| queue.all.as_slice()).unwrap_or_default();
            let kinds = all.iter().filter_map(|id| contents.operations.get(id)).map(|o| &o.kind);
            kinds.filter(|kind| matches!(kind, OperationKind::ClearBatch)).count()
        })
    }

    /// Looks at what the host has of a terminal's batches, after each of its messages.
    pub(super) fn look_at_ledger(&mut self, place: usize) -> Checked {
        let key = &self.terminals[place].ledger_key;
        let known = &self.terminals[place].books.document;
        let changed = self
            .host
            .store
            .look(|contents| contents.documents.get(key).filter(|document| *document != known).cloned());
        let Some(mut document) = changed else { return Ok(()) };
        if self.is_broken(Sabotage::LostSale) || self.is_broken(Sabotage::SettledTwice) {
            document = self.spoil_ledger(place, document);
        }
        let ledger: Ledger = serde_json::from_str(&document).unwrap_or_default();
        self.terminals[place].books.document = document;
        let books = &mut self.terminals[place].books;
        let details = std::mem::replace(&mut books.at_host, ledger.records);
        match ledger.closed.last() {
            Some(closed) if books.last_closed.as_ref() != Some(closed) => {
                books.last_closed = Some(closed.clone());
                self.check_closed(place, closed, &details)
            }
            _ => Ok(()),
        }
    }

    /// The host has just closed a batch, of which it had these details.
    fn check_closed(&mut self, place: usize, closed: &Closed, details: &BTreeMap<u32, Detail>) -> Checked {
        self.checked(invariant::SETTLED);
        self.note(Some(place), Happened::Closed { batch: closed.batch, sales: u32::from(closed.received) });
        let books = &mut self.terminals[place].books;
        books.closed.insert(closed.batch);
        let twice = details.keys().find_map(|trace| Some((*trace, *books.settled.get(trace)?)));
        books.settled.extend(details.keys().map(|trace| (*trace, closed.batch)));
        let books = &self.terminals[place].books;
        let same = |sale: &Transaction, detail: &Detail| {
            sale.amount == detail.amount && sale.card == detail.card.as_str() && !detail.failed
        };
        let lost = books.open.values().find(|sale| !details.get(&sale.trace).is_some_and(|d| same(sale, d)));
        let side =
            |kind: Kind| books.open.values().filter(move |sale| sale.kind == kind).map(|sale| sale.amount);
        let told = closed.totals.map(|totals| (totals.domestic.debit.amount, totals.domestic.credit.amount));
        let what = if let Some((trace, batch)) = twice {
            Some(format!("the sale with trace number {trace} is in it and in batch {batch}"))
        } else if let Some(sale) = lost {
            Some(format!("it lacks the sale with trace number {}", sale.trace))
        } else if books.batch != Some(closed.batch) {
            Some(format!("batch {:?} is open at the terminal", books.batch))
        } else if details.len() != books.open.len() {
            Some(format!("it has {} sales of {}", details.len(), books.open.len()))
        } else if told != Some((side(Kind::Sale).sum(), side(Kind::Refund).sum())) {
            Some(format!("its totals are {told:?}, which is not what was sold"))
        } else {
            (!closed.is_complete()).then(|| format!("the host does not find it complete: {closed:?}"))
        };
        match what {
            None => Ok(()),
            Some(what) => {
                let what = format!("the host closed batch {}: {what}", closed.batch);
                Err(self.violation(Some(place), invariant::SETTLED, what))
            }
        }
    }

    /// Whether a settlement goes on.
    pub(super) fn settles(&self, place: usize) -> bool {
        let device = self.terminals[place].device.as_ref();
        device.is_some_and(|device| device.state(|state| state.trade.settle.is_some()))
    }

    /// Takes a sale out of the host's ledger, or leaves those of a batch that was closed for the next.
    fn spoil_ledger(&self, place: usize, document: String) -> String {
        let Ok(mut ledger) = serde_json::from_str::<serde_json::Value>(&document) else { return document };
        let closes = self.terminals[place].books.at_host.len();
        if self.is_broken(Sabotage::LostSale) {
            let first = ledger["records"].as_object().and_then(|records| records.keys().next().cloned());
            let (Some(first), Some(records)) = (first, ledger["records"].as_object_mut()) else {
                return document;
            };
            records.remove(&first);
        } else if ledger["batch"].is_null() && closes > 0 {
            let earlier: serde_json::Value =
                serde_json::from_str(&self.terminals[place].books.document).unwrap_or_default();
            let next = ledger["closed"].as_array().and_then(|closed| closed.last()?["batch"].as_u64());
            ledger["batch"] = serde_json::json!(next.unwrap_or(0) + 1);
            ledger["records"] = earlier["records"].clone();
        } else {
            return document;
        }
        let document = ledger.to_string();
        let tid = &self.terminals[place].tid;
        let _ = ready(self.host.store.put_document(tid, LEDGER, document.clone()));
        document
    }
}

/// Where the host keeps the ledger of a terminal.
pub(crate) fn ledger_key(tid: &tms_core::TerminalId) -> (tms_core::TerminalId, String) {
    (tid.clone(), LEDGER.to_owned())
}
