//! Dates and times inside fields.

use std::fmt;
use std::str::FromStr;

/// How a date or a time stands in a field of digits: two-digit items in their order.
///
/// The text form is `CC` century, `YY` year, `MM` month, `DD` day, `hh` hour, `mm` minute and `ss`
/// second, such as `MMDDhhmmss`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatePattern(Vec<Item>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Century,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

const ITEMS: [(&str, Item); 7] = [
    ("CC", Item::Century),
    ("YY", Item::Year),
    ("MM", Item::Month),
    ("DD", Item::Day),
    ("hh", Item::Hour),
    ("mm", Item::Minute),
    ("ss", Item::Second),
];

/// A date or a time as far as a field tells it. Everything else is up to the reader: the year of
/// a field `MMDD`, or the zone of any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateTime {
    /// The first two digits of the year.
    pub century: Option<u8>,
    /// The last two digits of the year.
    pub year: Option<u8>,
    /// 1 to 12.
    pub month: Option<u8>,
    /// 1 to 31, and no more than the month has.
    pub day: Option<u8>,
    /// 0 to 23.
    pub hour: Option<u8>,
    /// 0 to 59.
    pub minute: Option<u8>,
    /// 0 to 60: clocks may insert a leap second.
    pub second: Option<u8>,
}

impl DatePattern {
    /// Digits that such a date takes.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.0.len() * 2
    }

    /// The date that `digits` (ASCII) tell; `None` when they are too few, too many or no date.
    pub(crate) fn read(&self, mut digits: impl Iterator<Item = u8>) -> Option<DateTime> {
        let mut date = DateTime::default();
        for item in &self.0 {
            let (tens, ones) = (digits.next()?, digits.next()?);
            if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
                return None;
            }
            let number = (tens - b'0') * 10 + (ones - b'0');
            let (place, range) = match item {
                Item::Century => (&mut date.century, 0..=99),
                Item::Year => (&mut date.year, 0..=99),
                Item::Month => (&mut date.month, 1..=12),
                Item::Day => (&mut date.day, 1..=31),
                Item::Hour => (&mut date.hour, 0..=23),
                Item::Minute => (&mut date.minute, 0..=59),
                Item::Second => (&mut date.second, 0..=60),
            };
            if !range.contains(&number) {
                return None;
            }
            *place = Some(number);
        }
        let exists = date.day.is_none_or(|day| day <= date.longest_month());
        (exists && digits.next().is_none()).then_some(date)
    }
}

impl DateTime {
    /// All four digits of the year, where the field has them.
    #[must_use]
    pub fn full_year(&self) -> Option<u16> {
        Some(u16::from(self.century?) * 100 + u16::from(self.year?))
    }

    /// Days of the month. A February whose year is not known may have 29.
    fn longest_month(&self) -> u8 {
        match self.month {
            Some(4 | 6 | 9 | 11) => 30,
            Some(2) => match (self.full_year(), self.year) {
                (Some(year), _) if year % 4 != 0 || (year % 100 == 0 && year % 400 != 0) => 28,
                (None, Some(year)) if year % 4 != 0 => 28,
                _ => 29,
            },
            _ => 31,
        }
    }
}

impl FromStr for DatePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error =
            || format!("`{text}` is no date; write CC, YY, MM, DD, hh, mm, ss in their order, each once");
        let mut items = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (after, item) = ITEMS
                .iter()
                .find_map(|(name, item)| Some((rest.strip_prefix(name)?, *item)))
                .filter(|(_, item)| !items.contains(item))
                .ok_or_else(error)?;
            items.push(item);
            rest = after;
        }
        if items.is_empty() { Err(error()) } else { Ok(Self(items)) }
    }
}

impl fmt::Display for DatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .filter_map(|item| ITEMS.iter().find(|(_, known)| known == item))
            .try_for_each(|(name, _)| f.write_str(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, digits: &str) -> Option<DateTime> {
        pattern.parse::<DatePattern>().unwrap().read(digits.bytes())
    }

    #[test]
    fn patterns_print_as_they_are_written() {
        for text in ["MMDDhhmmss", "YYMM", "hhmmss", "CCYYMMDDhhmmss", "YYMMDD"] {
            assert_eq!(text.parse::<DatePattern>().unwrap().to_string(), text);
        }
        for text in ["", "MMM", "YYYY", "MMDDMM", "mmdd", "day"] {
            assert!(text.parse::<DatePattern>().unwrap_err().contains("CC, YY"), "{text}");
        }
    }

    #[test]
    fn a_date_is_read_item_by_item() {
        let date = read("CCYYMMDDhhmmss", "20281121123456").unwrap();
        assert_eq!((date.full_year(), date.month, date.second), (Some(2028), Some(11), Some(56)));
        assert_eq!(read("MMDD", "1121").unwrap().full_year(), None);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for (pattern, digits) in [
            ("MMDD", "1321"),
            ("MMDD", "0431"),
            ("MMDD", "0230"),
            ("YYMMDD", "270229"),
            ("CCYYMMDD", "21000229"),
            ("hhmmss", "240000"),
            ("hhmmss", "12345"),
            ("hhmmss", "1234567"),
            ("MMDD", "11x1"),
            ("MMDD", "0000"),
        ] {
            assert_eq!(read(pattern, digits), None, "{pattern} {digits}");
        }
        for (pattern, digits) in [("MMDD", "0229"), ("YYMMDD", "280229"), ("CCYYMMDD", "20000229")] {
            assert!(read(pattern, digits).is_some(), "{pattern} {digits}");
        }
    }
}
