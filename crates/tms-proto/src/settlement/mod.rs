//! Closing a batch: totals told and compared, details sent where the two sides differ, batch + 1.
//!
//! The terminal keeps a [`Settle`]: it records transactions in the open [batch](Detail), closes it, tells
//! its [`Totals`] (0500), sends details (0320) in the order of the standard when the host does not agree
//! or chip transactions ask for it, and ends with their number. Only the host's answer to that opens the
//! next batch, so that a crash anywhere repeats a message and forgets none. The host keeps a
//! [`BatchLedger`], which counts every detail once however often it comes.
//!
//! A card number is a [`Pan`] on its way and a [`MaskedPan`] in everything that is kept or shown.
//!
//! Where the function code has no batch number beside it (only UnionPay's DE60 has one), DE48 begins
//! with its six digits.

mod detail;
mod error;
mod ledger;
#[cfg(test)]
mod model;
mod pan;
mod terminal;
#[cfg(test)]
mod tests;
mod totals;
mod wire;

pub(crate) use detail::Parts;
pub use detail::{BatchMessage, CardClass, CardDetail, ChipDetail, ChipEnding, MAX_CARDS};
pub use error::SettleError;
pub use ledger::{BatchLedger, Closed, LedgerError, MAX_RECORDS, Taken};
pub use pan::{MaskedPan, Pan};
pub use terminal::{Detail, MAX_DETAILS, Message, Progress, Settle, Side, State};
pub(crate) use wire::{check_batch, read_totals};

pub use totals::{Balance, CurrencyTotals, MAX_AMOUNT, MAX_COUNT, Sum, Totals};
