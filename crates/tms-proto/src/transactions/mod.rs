//! The transaction journal: what a terminal did at the counter, for those who ask about it later.
//!
//! A journal is a run of [`Entry`] records, one BER-TLV element each, that the terminal sends in
//! [chunks](crate::upload::Chunk) by offset like a log: after a break it goes on where the host says. A
//! card number in it is a [`MaskedPan`]: there is no way to put a whole one in.

#[cfg(test)]
mod tests;

use iso8583::tlv;
use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Body, put},
    error::ProtocolError,
    settlement::{MAX_AMOUNT, MaskedPan},
};

/// Most entries of one journal.
pub const MAX_ENTRIES: usize = 10_000;
/// Longest kind of a transaction, in bytes.
pub const MAX_KIND_BYTES: usize = 16;
const NAME: &str = "transaction journal";

mod tag {
    pub(super) const ENTRY: u32 = 0xDF8140;
    pub(super) const TRACE: u32 = 0xDF8141;
    pub(super) const BATCH: u32 = 0xDF8142;
    pub(super) const AT: u32 = 0xDF8143;
    pub(super) const KIND: u32 = 0xDF8144;
    pub(super) const AMOUNT: u32 = 0xDF8145;
    pub(super) const CURRENCY: u32 = 0xDF8146;
    pub(super) const CARD: u32 = 0xDF8147;
    pub(super) const RESPONSE: u32 = 0xDF8148;
    pub(super) const REVERSED: u32 = 0xDF8149;
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The terminal's number of it (DE11).
    pub trace: u32,
    /// Its batch.
    pub batch: u32,
    /// When, in seconds since 1970 UTC.
    pub at_s: i64,
    /// What it was, such as `sale` or `refund`: at most 16 bytes.
    pub kind: String,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217.
    pub currency: u16,
    /// The card, if there was one.
    pub card: Option<MaskedPan>,
    /// DE39 of the answer; empty when there was none.
    pub response: String,
    /// Whether it was reversed.
    pub reversed: bool,
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put(&mut out, tag::TRACE, &self.trace.to_be_bytes());
        put(&mut out, tag::BATCH, &self.batch.to_be_bytes());
        put(&mut out, tag::AT, &self.at_s.to_be_bytes());
        put(&mut out, tag::KIND, body::truncate(&self.kind, MAX_KIND_BYTES).as_bytes());
        put(&mut out, tag::AMOUNT, &self.amount.to_be_bytes());
        put(&mut out, tag::CURRENCY, &self.currency.to_be_bytes());
        if let Some(card) = &self.card {
            put(&mut out, tag::CARD, card.as_str().as_bytes());
        }
        put(&mut out, tag::RESPONSE, body::truncate(&self.response, 3).as_bytes());
        put(&mut out, tag::REVERSED, &[u8::from(self.reversed)]);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let body = Body::parse(bytes)?;
        let amount = body.u64(tag::AMOUNT, NAME)?;
        if amount > MAX_AMOUNT {
            return Err(ProtocolError::body(NAME, "has an amount of more than twelve digits"));
        }
        let card = match body.find(tag::CARD) {
            Some(card) => Some(MaskedPan::parse(&body::text(card, NAME, 19)?)?),
            None => None,
        };
        Ok(Self {
            trace: body.u32(tag::TRACE, NAME)?,
            batch: body.u32(tag::BATCH, NAME)?,
            at_s: i64::from_be_bytes(body.array(tag::AT, NAME)?),
            kind: body.text(tag::KIND, NAME, MAX_KIND_BYTES)?,
            amount,
            currency: u16::from_be_bytes(body.array(tag::CURRENCY, NAME)?),
            card,
            response: body.text(tag::RESPONSE, NAME, 3)?,
            reversed: body.u8(tag::REVERSED, NAME)? != 0,
        })
    }
}

/// The bytes of a journal, to be sent in chunks. Of more than [`MAX_ENTRIES`] the newest are taken.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries.iter().skip(entries.len().saturating_sub(MAX_ENTRIES)) {
        put(&mut out, tag::ENTRY, &entry.encode());
    }
    out
}

/// Reads the bytes of a whole journal.
///
/// # Errors
/// When an entry is malformed, or there are too many. An element that is no entry is skipped.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, ProtocolError> {
    let mut entries = Vec::new();
    for element in tlv::read(bytes) {
        let element = element.map_err(|error| ProtocolError::body(NAME, error.to_string()))?;
        if element.tag != tag::ENTRY {
            continue;
        }
        if entries.len() >= MAX_ENTRIES {
            return Err(ProtocolError::body(NAME, "has too many entries"));
        }
        entries.push(Entry::decode(element.value)?);
    }
    Ok(entries)
}
