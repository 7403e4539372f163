//! Details of a batch on the wire (DE48 and DE62 of 0320; unionpay.md §4.11).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{MAX_AMOUNT, Pan};
use crate::error::ProtocolError;

/// Most transactions in one message: 322 digits of DE48.
pub const MAX_CARDS: usize = 8;
/// Digits of one transaction: class, trace, card number, amount.
const CARD_DIGITS: usize = 40;
/// Longest chip data (DE55).
const MAX_CHIP_BYTES: usize = 255;
const NAME: &str = "batch detail";

/// Where a card was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CardClass {
    /// In the country.
    Domestic,
    /// Elsewhere.
    Foreign,
}

impl CardClass {
    fn digits(self) -> &'static str {
        match self {
            Self::Domestic => "00",
            Self::Foreign => "01",
        }
    }

    fn read(digits: &str) -> Option<Self> {
        match digits {
            "00" => Some(Self::Domestic),
            "01" => Some(Self::Foreign),
            _ => None,
        }
    }
}

/// A transaction by magnetic stripe or typed card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardDetail {
    /// Where the card was issued.
    pub class: CardClass,
    /// The terminal's number of the transaction, six digits. It is the detail's identity in its batch.
    pub trace: u32,
    /// The card.
    pub pan: Pan,
    /// In minor units.
    pub amount: u64,
}

/// A transaction by chip.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipDetail {
    /// Where the card was issued.
    pub class: CardClass,
    /// The terminal's number of the transaction (DE11).
    pub trace: u32,
    /// The card (DE2).
    pub pan: Pan,
    /// In minor units (DE4).
    pub amount: u64,
    /// ISO 4217, three digits.
    pub currency: String,
    /// How the card was read (DE22), three digits.
    pub entry_mode: u16,
    /// Which of several cards with this number (DE23).
    pub sequence: Option<u16>,
    /// What card and terminal said to each other (DE55), at most 255 bytes.
    pub chip_data: Vec<u8>,
    /// How it ended.
    pub ending: ChipEnding,
}

impl std::fmt::Debug for ChipDetail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChipDetail")
            .field("trace", &self.trace)
            .field("pan", &self.pan)
            .field("amount", &self.amount)
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

/// How a chip transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChipEnding {
    /// Approved on line (DE62 usage 6).
    Approved,
    /// Failed, or approved by the host and refused by the card (DE62 usage 7).
    Failed {
        /// DE39 that the terminal had, two characters.
        response: String,
        /// Kind of the last application cryptogram, one digit.
        cryptogram: u8,
        /// Whether the issuer's answer was authentic, one digit.
        arpc_result: u8,
    },
}

/// A message of a batch upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchMessage {
    /// One to eight transactions (201).
    Cards(Vec<CardDetail>),
    /// A chip transaction (203; 205 when the totals agreed; 204 when it failed).
    Chip {
        /// It.
        detail: Box<ChipDetail>,
        /// Whether it was approved and the totals agreed.
        balanced: bool,
    },
    /// The end (207 when the totals agreed, else 202).
    End {
        /// How many details there were.
        count: u16,
        /// Whether the totals agreed.
        balanced: bool,
    },
}

/// What a message consists of beside its standard fields.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) fields: Vec<(u8, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
    /// DE11, where it is the number of the transaction and not of the message.
    pub(crate) trace: Option<u32>,
}

/// What was found in a message.
pub(crate) struct Found<'a> {
    /// DE48 without a batch number.
    pub(crate) details: Option<&'a str>,
    pub(crate) trace: Option<u32>,
    pub(crate) pan: Option<&'a str>,
    pub(crate) amount: Option<&'a str>,
    pub(crate) entry_mode: Option<&'a str>,
    pub(crate) sequence: Option<&'a str>,
    pub(crate) chip_data: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

/// The place of a message's code in a profile's list of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Cards,
    ChipApproved,
    ChipFailed,
    ChipBalanced,
    EndUnbalanced,
    EndBalanced,
}

impl Place {
    /// Places of `batch_upload` (201, 203, 204, 205) and of `batch_end` (202, 207).
    pub(crate) fn at(is_end: bool, index: usize) -> Option<Self> {
        match (is_end, index) {
            (false, 0) => Some(Self::Cards),
            (false, 1) => Some(Self::ChipApproved),
            (false, 2) => Some(Self::ChipFailed),
            (false, 3) => Some(Self::ChipBalanced),
            (true, 0) => Some(Self::EndUnbalanced),
            (true, 1) => Some(Self::EndBalanced),
            _ => None,
        }
    }

    /// Index into the profile's codes.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Cards | Self::EndUnbalanced => 0,
            Self::ChipApproved | Self::EndBalanced => 1,
            Self::ChipFailed => 2,
            Self::ChipBalanced => 3,
        }
    }
}

impl BatchMessage {
    /// Whether this ends the upload.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::End { .. })
    }

    /// Details in it.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Cards(cards) => cards.len(),
            Self::Chip { .. } => 1,
            Self::End { .. } => 0,
        }
    }

    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Cards(_) => Place::Cards,
            Self::Chip { detail, balanced } => match (&detail.ending, balanced) {
                (ChipEnding::Failed { .. }, _) => Place::ChipFailed,
                (ChipEnding::Approved, true) => Place::ChipBalanced,
                (ChipEnding::Approved, false) => Place::ChipApproved,
            },
            Self::End { balanced: true, .. } => Place::EndBalanced,
            Self::End { balanced: false, .. } => Place::EndUnbalanced,
        }
    }

    pub(crate) fn parts(&self) -> Result<Parts, ProtocolError> {
        let mut parts = Parts::default();
        match self {
            Self::Cards(cards) => parts.fields.push((48, encode_cards(cards)?.into_bytes())),
            Self::End { count, .. } => parts.fields.push((48, number(u64::from(*count), 4)?.into_bytes())),
            Self::Chip { detail, .. } => {
                if detail.chip_data.len() > MAX_CHIP_BYTES {
                    return Err(ProtocolError::body(NAME, "has too much chip data"));
                }
                parts.trace = Some(detail.trace);
                parts.fields.push((2, detail.pan.reveal().as_bytes().to_vec()));
                parts.fields.push((4, number(detail.amount, 12)?.into_bytes()));
                parts.fields.push((22, number(u64::from(detail.entry_mode), 3)?.into_bytes()));
                if let Some(sequence) = detail.sequence {
                    parts.fields.push((23, number(u64::from(sequence), 3)?.into_bytes()));
                }
                if !detail.chip_data.is_empty() {
                    parts.fields.push((55, detail.chip_data.clone()));
                }
                parts.body = Some(detail.body()?.into_bytes());
            }
        }
        Ok(parts)
    }

    pub(crate) fn read(place: Place, found: &Found<'_>) -> Result<Self, ProtocolError> {
        let missing = || ProtocolError::body(NAME, "lacks a field");
        match place {
            Place::Cards => decode_cards(found.details.ok_or_else(missing)?).map(Self::Cards),
            Place::EndBalanced | Place::EndUnbalanced => {
                let count = found.details.ok_or_else(missing)?;
                let count = Some(count).filter(|count| count.len() == 4).and_then(digits);
                Ok(Self::End {
                    count: count.ok_or_else(|| ProtocolError::body(NAME, "has no count of four digits"))?,
                    balanced: place == Place::EndBalanced,
                })
            }
            Place::ChipApproved | Place::ChipBalanced | Place::ChipFailed => Ok(Self::Chip {
                detail: Box::new(ChipDetail::read(place, found)?),
                balanced: place == Place::ChipBalanced,
            }),
        }
    }
}

impl ChipDetail {
    fn body(&self) -> Result<String, ProtocolError> {
        let (class, amount) = (self.class.digits(), number(self.amount, 12)?);
        if self.currency.len() != 3 {
            return Err(ProtocolError::body(NAME, "has no currency of three digits"));
        }
        Ok(match &self.ending {
            ChipEnding::Approved => format!("61{class}00{amount}{}", self.currency),
            ChipEnding::Failed { response, cryptogram, arpc_result } => {
                if response.len() != 2 || *cryptogram > 9 || *arpc_result > 9 {
                    return Err(ProtocolError::body(NAME, "has an ending that does not fit"));
                }
                format!("71{class}{response}{amount}{}{cryptogram}{arpc_result}", self.currency)
            }
        })
    }

    fn read(place: Place, found: &Found<'_>) -> Result<Self, ProtocolError> {
        let wrong = |what: &'static str| ProtocolError::body(NAME, what);
        let text = std::str::from_utf8(found.body).ok().filter(|text| text.is_ascii());
        let text = text.ok_or_else(|| wrong("has a body that is no text"))?;
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let failed = place == Place::ChipFailed;
        let expected = if failed { ("71", 23) } else { ("61", 21) };
        if (part(0, 2), text.len()) != expected {
            return Err(wrong("has a body of another usage"));
        }
        let amount = found.amount.and_then(digits::<u64>).ok_or_else(|| wrong("has no amount"))?;
        if digits::<u64>(part(6, 18)) != Some(amount) {
            return Err(wrong("has two amounts"));
        }
        let ending = if failed {
            ChipEnding::Failed {
                response: part(4, 6).to_owned(),
                cryptogram: digits(part(21, 22)).ok_or_else(|| wrong("has no kind of cryptogram"))?,
                arpc_result: digits(part(22, 23))
                    .ok_or_else(|| wrong("has no result of the issuer's answer"))?,
            }
        } else {
            ChipEnding::Approved
        };
        let chip_data = found.chip_data.unwrap_or_default();
        if chip_data.len() > MAX_CHIP_BYTES {
            return Err(wrong("has too much chip data"));
        }
        Ok(Self {
            class: CardClass::read(part(2, 4)).ok_or_else(|| wrong("has no class of card"))?,
            trace: found.trace.ok_or_else(|| wrong("has no trace number"))?,
            pan: Pan::new(found.pan.unwrap_or_default())?,
            amount,
            currency: part(18, 21).to_owned(),
            entry_mode: found.entry_mode.and_then(digits).unwrap_or(0),
            sequence: found.sequence.and_then(digits),
            chip_data: chip_data.to_vec(),
            ending,
        })
    }
}

fn encode_cards(cards: &[CardDetail]) -> Result<String, ProtocolError> {
    if cards.is_empty() || cards.len() > MAX_CARDS {
        return Err(ProtocolError::body(NAME, "a message holds one to eight transactions"));
    }
    let mut out = format!("{:02}", cards.len());
    for card in cards {
        out.push_str(card.class.digits());
        out.push_str(&number(u64::from(card.trace), 6)?);
        // Writing to a String cannot fail.
        let _ = write!(out, "{:0>20}", card.pan.reveal());
        out.push_str(&number(card.amount, 12)?);
    }
    Ok(out)
}

fn decode_cards(text: &str) -> Result<Vec<CardDetail>, ProtocolError> {
    let wrong = || ProtocolError::body(NAME, "is not a count and so many transactions");
    let (count, rest) = text.split_at_checked(2).ok_or_else(wrong)?;
    let count: usize = digits(count).filter(|count| (1..=MAX_CARDS).contains(count)).ok_or_else(wrong)?;
    if rest.len() != count.saturating_mul(CARD_DIGITS) || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let mut cards = Vec::with_capacity(count);
    for at in (0..rest.len()).step_by(CARD_DIGITS) {
        let part = |from: usize, to: usize| {
            rest.get(at.saturating_add(from)..at.saturating_add(to)).unwrap_or_default()
        };
        cards.push(CardDetail {
            class: CardClass::read(part(0, 2)).ok_or_else(wrong)?,
            trace: digits(part(2, 8)).ok_or_else(wrong)?,
            pan: Pan::new(part(8, 28).trim_start_matches('0'))?,
            amount: digits(part(28, 40)).ok_or_else(wrong)?,
        });
    }
    Ok(cards)
}

/// `value` in `width` digits.
fn number(value: u64, width: usize) -> Result<String, ProtocolError> {
    let text = format!("{value:0width$}");
    if text.len() > width || value > MAX_AMOUNT {
        return Err(ProtocolError::body(NAME, format!("{value} does not fit into {width} digits")));
    }
    Ok(text)
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}
