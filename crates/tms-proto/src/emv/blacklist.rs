//! The blacklist of cards and BINs (unionpay.md §4.9).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BlacklistForm, EmvError, Forms};
use crate::parameters::content_hash;

/// Digits that one entry can have, and that every entry of the fixed form takes.
const MAX_DIGITS: usize = 14;
/// Entries are numbered with three digits, from 000.
const MAX_CARDS: usize = 1000;
/// Digits of a card that may be shown: its BIN.
const SHOWN_DIGITS: usize = 6;

/// A blocked card, or the beginning of its number. `Debug` prints no more than a BIN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BlockedCard(String);

impl BlockedCard {
    /// A card or BIN of 1 to 14 digits.
    ///
    /// # Errors
    /// When it is none; the message has no digit of it.
    pub fn new(digits: &str) -> Result<Self, EmvError> {
        if (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits.to_owned()))
        } else {
            Err(EmvError::Digits { what: "a blocked card", offset: 0, wanted: "1 to 14 digits" })
        }
    }

    /// The digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BlockedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN_DIGITS).unwrap_or(&self.0);
        write!(f, "{shown}{}", "*".repeat(self.0.len().saturating_sub(shown.len())))
    }
}

impl From<BlockedCard> for String {
    fn from(card: BlockedCard) -> Self {
        card.0
    }
}

impl TryFrom<String> for BlockedCard {
    type Error = EmvError;

    fn try_from(digits: String) -> Result<Self, EmvError> {
        Self::new(&digits)
    }
}

/// All blocked cards of one terminal, in the order of their numbers on the wire: at most 1000.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<BlockedCard>", try_from = "Vec<BlockedCard>")]
pub struct Blacklist(Vec<BlockedCard>);

impl Blacklist {
    /// Adds a card.
    ///
    /// # Errors
    /// When there are 1000 already.
    pub fn push(&mut self, card: BlockedCard) -> Result<(), EmvError> {
        if self.0.len() >= MAX_CARDS {
            return Err(EmvError::TooMany { what: "blocked cards", limit: MAX_CARDS });
        }
        self.0.push(card);
        Ok(())
    }

    /// Whether a card number is blocked: it is in the list, or begins with an entry.
    #[must_use]
    pub fn blocks(&self, card: &str) -> bool {
        self.0.iter().any(|entry| card.starts_with(&entry.0))
    }

    /// All cards.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BlockedCard> {
        self.0.iter()
    }

    /// [`content_hash`](crate::parameters::content_hash) of the cards as records of a push, by which host and terminal
    /// agree that they have the same.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.into())
    }

    /// How many cards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body that answers a question for the cards from number `from` on.
    pub(super) fn page(&self, from: u16, forms: &Forms) -> Vec<u8> {
        const HEAD: usize = 4;
        let mut entries = Vec::new();
        let mut next = usize::from(from);
        for card in self.0.iter().skip(next) {
            let before = entries.len();
            card.put(&mut entries, forms.blacklist);
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

impl fmt::Debug for Blacklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blacklist({} cards)", self.0.len())
    }
}

impl From<Blacklist> for Vec<BlockedCard> {
    fn from(list: Blacklist) -> Self {
        list.0
    }
}

impl TryFrom<Vec<BlockedCard>> for Blacklist {
    type Error = EmvError;

    fn try_from(cards: Vec<BlockedCard>) -> Result<Self, EmvError> {
        if cards.len() > MAX_CARDS {
            return Err(EmvError::TooMany { what: "blocked cards", limit: MAX_CARDS });
        }
        Ok(Self(cards))
    }
}

const LAST: u8 = b'1';
const MORE: u8 = b'2';

/// One message of a blacklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlacklistPage {
    /// There is nothing to do.
    Nothing,
    /// Some cards.
    Cards {
        /// Whether more follow.
        more: bool,
        /// Number of the last card in this message, 0 to 999.
        end: u16,
        /// The cards.
        cards: Vec<BlockedCard>,
    },
}

impl BlacklistPage {
    /// Reads the body of a 390 reply. Any flag but last (1) and more (2) means that there is nothing to do.
    ///
    /// # Errors
    /// When an entry is malformed; the message has no digit of it.
    pub fn decode(body: &[u8], form: BlacklistForm) -> Result<Self, EmvError> {
        let (flag, rest) = body.split_first().ok_or(EmvError::Short { what: "the body" })?;
        let more = match *flag {
            LAST => false,
            MORE => true,
            _ => return Ok(Self::Nothing),
        };
        let (end, mut rest) = rest.split_at_checked(3).ok_or(EmvError::Short { what: "the end index" })?;
        let end =
            number(end).ok_or(EmvError::Digits { what: "the end index", offset: 1, wanted: "a number" })?;
        let mut cards = Vec::new();
        while !rest.is_empty() {
            let offset = body.len().saturating_sub(rest.len());
            let (card, after) = BlockedCard::split(rest, form, offset)?;
            cards.push(card);
            rest = after;
        }
        Ok(Self::Cards { more, end, cards })
    }
}

impl BlockedCard {
    fn put(&self, out: &mut Vec<u8>, form: BlacklistForm) {
        out.extend_from_slice(format!("{:02}", self.0.len()).as_bytes());
        out.extend_from_slice(self.0.as_bytes());
        if form == BlacklistForm::Fixed14 {
            out.extend(std::iter::repeat_n(b' ', MAX_DIGITS.saturating_sub(self.0.len())));
        }
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

/// A number in ASCII digits only.
pub(super) fn number(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    text.parse().ok()
}
