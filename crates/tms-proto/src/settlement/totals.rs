//! Totals of a batch (DE48 of 0500/0510; unionpay.md §4.10).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::CardClass;
use crate::error::ProtocolError;

/// Largest amount, in minor units: twelve digits.
pub const MAX_AMOUNT: u64 = 999_999_999_999;
/// Largest count: three digits.
pub const MAX_COUNT: u16 = 999;
const NAME: &str = "settlement totals";
/// Digits of one currency's totals.
const GROUP: usize = 31;

/// An amount and how many transactions it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// In minor units (fen, cents), at most [`MAX_AMOUNT`].
    pub amount: u64,
    /// At most [`MAX_COUNT`].
    pub count: u16,
}

impl Sum {
    /// Adds a transaction, if the sum still fits its digits.
    #[must_use]
    pub fn with(self, amount: u64) -> Option<Self> {
        let sum = Self { amount: self.amount.checked_add(amount)?, count: self.count.checked_add(1)? };
        (sum.amount <= MAX_AMOUNT && sum.count <= MAX_COUNT).then_some(sum)
    }
}

/// What the host says of totals: one digit, 0 in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balance {
    /// Nothing yet.
    #[default]
    Unsaid,
    /// Both sides have the same.
    Balanced,
    /// They do not: details are wanted.
    Unbalanced,
    /// The host could not compare: details are wanted.
    Error,
    /// A digit without a known meaning: details are wanted.
    Other(u8),
}

impl Balance {
    fn digit(self) -> u8 {
        match self {
            Self::Unsaid => 0,
            Self::Balanced => 1,
            Self::Unbalanced => 2,
            Self::Error => 3,
            Self::Other(digit) => digit % 10,
        }
    }

    fn from_digit(digit: u8) -> Self {
        match digit {
            0 => Self::Unsaid,
            1 => Self::Balanced,
            2 => Self::Unbalanced,
            3 => Self::Error,
            other => Self::Other(other),
        }
    }
}

/// Totals of domestic or of foreign cards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyTotals {
    /// Sales and the like.
    pub debit: Sum,
    /// Refunds and the like.
    pub credit: Sum,
    /// The host's word on them.
    pub balance: Balance,
}

impl CurrencyTotals {
    /// Whether these are the same sums, whatever the host said of them.
    #[must_use]
    pub fn same_sums(&self, other: &Self) -> bool {
        self.debit == other.debit && self.credit == other.credit
    }

    fn is_settled(&self) -> bool {
        let nothing = self.debit == Sum::default() && self.credit == Sum::default();
        self.balance == Balance::Balanced || (nothing && self.balance == Balance::Unsaid)
    }

    fn write(&self, out: &mut String) -> Result<(), ProtocolError> {
        for sum in [self.debit, self.credit] {
            if sum.amount > MAX_AMOUNT || sum.count > MAX_COUNT {
                return Err(ProtocolError::body(NAME, "an amount or a count has too many digits"));
            }
        }
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{:012}{:03}{:012}{:03}{}",
            self.debit.amount,
            self.debit.count,
            self.credit.amount,
            self.credit.count,
            self.balance.digit()
        );
        Ok(())
    }

    fn read(digits: &str) -> Option<Self> {
        let sum = |from: usize| {
            let amount = digits.get(from..from.checked_add(12)?)?.parse().ok()?;
            let count = digits.get(from.checked_add(12)?..from.checked_add(15)?)?.parse().ok()?;
            Some(Sum { amount, count })
        };
        let balance = Balance::from_digit(digits.get(30..31)?.parse().ok()?);
        Some(Self { debit: sum(0)?, credit: sum(15)?, balance })
    }
}

/// Totals of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// ISO 4217 (DE49): 156 for renminbi.
    pub currency: u16,
    /// Cards issued in the country.
    pub domestic: CurrencyTotals,
    /// Foreign cards. `None` in the short layout that some acquirers use: 31 digits instead of 62.
    pub foreign: Option<CurrencyTotals>,
}

impl Totals {
    /// Empty totals of both kinds of cards, to be added to.
    #[must_use]
    pub fn new(currency: u16) -> Self {
        Self { currency, domestic: CurrencyTotals::default(), foreign: Some(CurrencyTotals::default()) }
    }

    /// The totals of one kind of cards.
    #[must_use]
    pub fn of(&self, class: CardClass) -> CurrencyTotals {
        match class {
            CardClass::Domestic => self.domestic,
            CardClass::Foreign => self.foreign.unwrap_or_default(),
        }
    }

    /// The same sums with the host's word on them.
    #[must_use]
    pub fn answered(mut self, domestic: Balance, foreign: Balance) -> Self {
        self.domestic.balance = domestic;
        if let Some(totals) = &mut self.foreign {
            totals.balance = foreign;
        }
        self
    }

    /// Whether the host agrees on everything.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.domestic.is_settled() && self.foreign.is_none_or(|foreign| foreign.is_settled())
    }

    /// Whether these are the same sums, whatever the host said of them.
    #[must_use]
    pub fn same_sums(&self, other: &Self) -> bool {
        let same = |class| self.of(class).same_sums(&other.of(class));
        self.currency == other.currency && same(CardClass::Domestic) && same(CardClass::Foreign)
    }

    /// DE48: 62 digits, or 31 without foreign cards.
    ///
    /// # Errors
    /// When a sum does not fit its digits.
    pub fn encode(&self) -> Result<String, ProtocolError> {
        let mut out = String::with_capacity(2 * GROUP);
        self.domestic.write(&mut out)?;
        self.foreign.map_or(Ok(()), |foreign| foreign.write(&mut out))?;
        Ok(out)
    }

    /// Reads DE48 in either layout.
    ///
    /// # Errors
    /// When it is neither.
    pub fn decode(digits: &str, currency: u16) -> Result<Self, ProtocolError> {
        let wrong = || ProtocolError::body(NAME, "are not 62 or 31 digits");
        if !digits.bytes().all(|b| b.is_ascii_digit()) || ![GROUP, 2 * GROUP].contains(&digits.len()) {
            return Err(wrong());
        }
        let (domestic, foreign) = digits.split_at_checked(GROUP).ok_or_else(wrong)?;
        let domestic = CurrencyTotals::read(domestic).ok_or_else(wrong)?;
        let foreign = match foreign {
            "" => None,
            foreign => Some(CurrencyTotals::read(foreign).ok_or_else(wrong)?),
        };
        Ok(Self { currency, domestic, foreign })
    }
}
