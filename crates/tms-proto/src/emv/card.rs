//! Card numbers and their beginnings: the blacklist and the tables of cards without PIN (unionpay.md §4.9).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    BlacklistForm, EmvError, Forms, Numbered,
    numbered::{Entry, MAX_NUMBERED, number},
};

/// Digits that one entry can have, and that every entry of the fixed form takes.
const MAX_DIGITS: usize = 14;
/// Digits of a card that may be shown: its BIN.
const SHOWN_DIGITS: usize = 6;

/// A list of cards, in the order of their numbers on the wire.
pub type CardList = Numbered<CardPrefix>;

/// The blocked cards of one terminal.
pub type Blacklist = CardList;

/// A card, or the beginning of its number. `Debug` prints no more than a BIN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CardPrefix(String);

impl CardPrefix {
    /// A card or BIN of 1 to 14 digits.
    ///
    /// # Errors
    /// When it is none; the message has no digit of it.
    pub fn new(digits: &str) -> Result<Self, EmvError> {
        if (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(EmvError::Digits { what: "a card", offset: 0, wanted: "1 to 14 digits" })
        }
    }

    /// The digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    fn split(bytes: &[u8], form: BlacklistForm, offset: usize) -> Result<(Self, &[u8]), EmvError> {
        let malformed = |what, wanted| EmvError::Digits { what, offset, wanted };
        let (length, rest) = bytes.split_at_checked(2).ok_or(EmvError::Short { what: "an entry" })?;
        let length = number(length)
            .map(usize::from)
            .filter(|length| (1..=MAX_DIGITS).contains(length))
            .ok_or(malformed("the length of an entry", "01 to 14"))?;
        let step = if form == BlacklistForm::Fixed14 { MAX_DIGITS } else { length };
        let (entry, rest) = rest.split_at_checked(step).ok_or(EmvError::Short { what: "an entry" })?;
        let card = entry.get(..length).and_then(|digits| std::str::from_utf8(digits).ok());
        let card = card.and_then(|digits| Self::new(digits).ok());
        Ok((card.ok_or(malformed("an entry", "a card number"))?, rest))
    }
}

impl Entry for CardPrefix {
    const WHAT: &'static str = "cards";

    fn put(&self, out: &mut Vec<u8>, forms: &Forms) {
        out.extend_from_slice(format!("{:02}", self.0.len()).as_bytes());
        out.extend_from_slice(self.0.as_bytes());
        if forms.blacklist == BlacklistForm::Fixed14 {
            out.extend(std::iter::repeat_n(b' ', MAX_DIGITS.saturating_sub(self.0.len())));
        }
    }

    fn read_all(bytes: &[u8], forms: &Forms, offset: usize) -> Result<Vec<Self>, EmvError> {
        let (mut rest, mut cards) = (bytes, Vec::new());
        while !rest.is_empty() {
            let before = bytes.len().saturating_sub(rest.len());
            let (card, after) = Self::split(rest, forms.blacklist, offset.saturating_add(before))?;
            if cards.len() >= MAX_NUMBERED {
                return Err(EmvError::TooMany { what: Self::WHAT, limit: MAX_NUMBERED });
            }
            cards.push(card);
            rest = after;
        }
        Ok(cards)
    }

    fn record(&self, _number: usize) -> (String, String) {
        (self.0.clone(), String::new())
    }
}

impl CardList {
    /// Whether a card number is in the list, or begins with an entry.
    #[must_use]
    pub fn has_card(&self, card: &str) -> bool {
        self.iter().any(|entry| card.starts_with(&entry.0))
    }
}

impl fmt::Debug for CardPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN_DIGITS).unwrap_or(&self.0);
        write!(f, "{shown}{}", "*".repeat(self.0.len().saturating_sub(shown.len())))
    }
}

impl From<CardPrefix> for String {
    fn from(card: CardPrefix) -> Self {
        card.0
    }
}

impl TryFrom<String> for CardPrefix {
    type Error = EmvError;

    fn try_from(digits: String) -> Result<Self, EmvError> {
        Self::new(&digits)
    }
}
