//! Card numbers, whole and masked.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::ProtocolError;

const SHORTEST: usize = 8;
const LONGEST: usize = 19;
/// Shorter numbers are hidden entirely: six and four digits of them would leave too little.
const SHORTEST_SHOWN: usize = 13;
const HEAD: usize = 6;
const TAIL: usize = 4;

/// A whole card number (PAN), 8 to 19 digits. `Debug` prints it masked; serialized it is whole, for a
/// terminal's own memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(try_from = "String")]
pub struct Pan(String);

impl Pan {
    /// Takes digits for a card number.
    ///
    /// # Errors
    /// When there are not 8 to 19 digits, or the first is 0, which no issuer has.
    pub fn new(digits: &str) -> Result<Self, ProtocolError> {
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if !plain || !(SHORTEST..=LONGEST).contains(&digits.len()) {
            return Err(ProtocolError::body("card number", "is not 8 to 19 digits"));
        }
        Ok(Self(digits.to_owned()))
    }

    /// The digits, for the wire.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be kept and shown.
    #[must_use]
    pub fn masked(&self) -> MaskedPan {
        let digits = &self.0;
        let shown = digits.len() >= SHORTEST_SHOWN;
        let tail = digits.len().saturating_sub(TAIL);
        let masked = digits.char_indices().map(|(n, digit)| match n {
            n if shown && (n < HEAD || n >= tail) => digit,
            _ => '*',
        });
        MaskedPan(masked.collect())
    }
}

impl TryFrom<String> for Pan {
    type Error = ProtocolError;

    fn try_from(digits: String) -> Result<Self, ProtocolError> {
        Self::new(&digits)
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.masked(), f)
    }
}

/// A card number of which at most the first six and the last four digits are there. There is no way
/// back, and none to make one that shows more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MaskedPan(String);

impl MaskedPan {
    /// Reads what [`Pan::masked`] gives.
    ///
    /// # Errors
    /// When it is something else, above all when it shows more digits.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        let wrong = || ProtocolError::body("masked card number", "shows too much, or is none");
        let hidden = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let head = text.len().saturating_sub(hidden.len());
        let stars = hidden.trim_end_matches(|c: char| c.is_ascii_digit());
        let tail = hidden.len().saturating_sub(stars.len());
        let only_stars = !stars.is_empty() && stars.bytes().all(|b| b == b'*');
        let as_shown = if text.len() >= SHORTEST_SHOWN { (HEAD, TAIL) } else { (0, 0) };
        let little = head <= as_shown.0 && tail <= as_shown.1;
        if !only_stars || !little || !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, stars for what is hidden.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MaskedPan {
    type Error = ProtocolError;

    fn try_from(text: String) -> Result<Self, ProtocolError> {
        Self::parse(&text)
    }
}

impl fmt::Display for MaskedPan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
