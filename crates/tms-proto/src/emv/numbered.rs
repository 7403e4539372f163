//! Lists whose entries have numbers of three digits, from 000: the card blacklist (unionpay.md §4.9) and what is
//! taken to be downloaded in the same way, the contactless parameters and the tables of cards without PIN.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EmvError, Forms};
use crate::parameters::{Values, content_hash};

/// Most entries of a numbered list: numbers have three digits.
pub const MAX_NUMBERED: usize = 1000;

const LAST: u8 = b'1';
const MORE: u8 = b'2';

/// What a numbered list may consist of.
pub trait Entry: Clone + PartialEq {
    /// What errors call several of them.
    const WHAT: &'static str;

    /// Writes it as it stands in a page.
    fn put(&self, out: &mut Vec<u8>, forms: &Forms);

    /// Reads the entries of a page, which begin `offset` bytes into the body: no more than [`MAX_NUMBERED`].
    ///
    /// # Errors
    /// When one is malformed.
    fn read_all(bytes: &[u8], forms: &Forms, offset: usize) -> Result<Vec<Self>, EmvError>;

    /// Name and value of it as a record, by which sets are compared.
    fn record(&self, number: usize) -> (String, String);
}

/// All entries of one list, in the order of their numbers on the wire: at most 1000. `Debug` prints how many.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    into = "Vec<T>",
    try_from = "Vec<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Entry + Deserialize<'de>")
)]
pub struct Numbered<T>(Vec<T>);

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Entry> Numbered<T> {
    /// Adds an entry.
    ///
    /// # Errors
    /// When there are 1000 already.
    pub fn push(&mut self, entry: T) -> Result<(), EmvError> {
        if self.0.len() >= MAX_NUMBERED {
            return Err(EmvError::TooMany { what: T::WHAT, limit: MAX_NUMBERED });
        }
        self.0.push(entry);
        Ok(())
    }

    /// [`content_hash`](crate::parameters::content_hash) of the entries as records, by which host and terminal agree
    /// that they have the same.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.into())
    }

    /// The body that answers a question for the entries from number `from` on.
    pub(super) fn page(&self, from: u16, forms: &Forms) -> Vec<u8> {
        const HEAD: usize = 4;
        let mut entries = Vec::new();
        let mut next = usize::from(from);
        for entry in self.0.iter().skip(next) {
            let before = entries.len();
            entry.put(&mut entries, forms);
            if entries.len().saturating_add(HEAD) > forms.room() {
                entries.truncate(before);
                break;
            }
            next = next.saturating_add(1);
        }
        let flag = match next {
            _ if entries.is_empty() => return b"0000".to_vec(),
            next if next < self.0.len() => MORE,
            _ => LAST,
        };
        let mut out = vec![flag];
        out.extend_from_slice(format!("{:03}", next.saturating_sub(1)).as_bytes());
        out.extend_from_slice(&entries);
        out
    }
}

impl<T> Numbered<T> {
    /// All entries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Entry> fmt::Debug for Numbered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numbered({} {})", self.0.len(), T::WHAT)
    }
}

impl<T> From<Numbered<T>> for Vec<T> {
    fn from(list: Numbered<T>) -> Self {
        list.0
    }
}

impl<T: Entry> TryFrom<Vec<T>> for Numbered<T> {
    type Error = EmvError;

    fn try_from(entries: Vec<T>) -> Result<Self, EmvError> {
        if entries.len() > MAX_NUMBERED {
            return Err(EmvError::TooMany { what: T::WHAT, limit: MAX_NUMBERED });
        }
        Ok(Self(entries))
    }
}

impl<T: Entry> From<&Numbered<T>> for Values {
    fn from(list: &Numbered<T>) -> Self {
        list.iter().enumerate().map(|(number, entry)| entry.record(number)).collect()
    }
}

/// One message of a numbered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberedPage<T> {
    /// There is nothing to do.
    Nothing,
    /// Some entries.
    Entries {
        /// Whether more follow.
        more: bool,
        /// Number of the last entry in this message, 0 to 999.
        end: u16,
        /// The entries.
        entries: Vec<T>,
    },
}

impl<T: Entry> NumberedPage<T> {
    /// Reads the body of a reply. Any flag but last (1) and more (2) means that there is nothing to do.
    ///
    /// # Errors
    /// When an entry is malformed; the message has no digit of it.
    pub fn decode(body: &[u8], forms: &Forms) -> Result<Self, EmvError> {
        let (flag, rest) = body.split_first().ok_or(EmvError::Short { what: "the body" })?;
        let more = match *flag {
            LAST => false,
            MORE => true,
            _ => return Ok(Self::Nothing),
        };
        let (end, rest) = rest.split_at_checked(3).ok_or(EmvError::Short { what: "the end index" })?;
        let end =
            number(end).ok_or(EmvError::Digits { what: "the end index", offset: 1, wanted: "a number" })?;
        let offset = body.len().saturating_sub(rest.len());
        Ok(Self::Entries { more, end, entries: T::read_all(rest, forms, offset)? })
    }
}

/// A number in ASCII digits only.
pub(super) fn number(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    text.parse().ok()
}
