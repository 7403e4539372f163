//! Days of the week.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};

use crate::id::IdError;

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A set of days of the week that is not empty. As text `mon,tue`, `mon-fri` or `daily`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const DAILY: Self = Self(0b111_1111);

    /// These days; `None` when there are none.
    pub fn new(days: impl IntoIterator<Item = Weekday>) -> Option<Self> {
        let bits = days.into_iter().fold(0, |bits, day| bits | bit(day));
        (bits != 0).then_some(Self(bits))
    }

    /// Whether a day is one of them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    fn has(self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| self.0.checked_shr(index).unwrap_or(0) & 1 == 1)
    }
}

fn bit(day: Weekday) -> u8 {
    1_u8.checked_shl(u32::from(day.to_monday_zero_offset().unsigned_abs())).unwrap_or(0)
}

impl FromStr for Days {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong =
            || IdError::new("set of days", text, "write mon,wed or mon-fri or daily; days are mon to sun");
        if text == "daily" {
            return Ok(Self::DAILY);
        }
        let index = |name: &str| NAMES.iter().position(|known| *known == name).ok_or_else(wrong);
        let mut bits = 0_u8;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (index(first)?, index(last)?);
            if first > last {
                return Err(wrong());
            }
            for day in first..=last {
                bits |= u32::try_from(day).ok().and_then(|day| 1_u8.checked_shl(day)).unwrap_or(0);
            }
        }
        Ok(Self(bits))
    }
}

impl TryFrom<String> for Days {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Days> for String {
    fn from(days: Days) -> String {
        days.to_string()
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::DAILY {
            return f.write_str("daily");
        }
        let mut day = 0_usize;
        let mut separator = "";
        while let Some(first) = NAMES.get(day) {
            let last = (day..NAMES.len()).take_while(|day| self.has(*day)).last();
            if let Some(last) = last {
                f.write_str(separator)?;
                separator = ",";
                f.write_str(first)?;
                if last > day {
                    f.write_str(if last == day.saturating_add(1) { "," } else { "-" })?;
                    f.write_str(NAMES.get(last).unwrap_or(&""))?;
                }
                day = last;
            }
            day = day.saturating_add(1);
        }
        Ok(())
    }
}

impl fmt::Debug for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Days({self})")
    }
}
