//! Fixed-length values one after the other, with or without their two-digit tags.

use encoding_rs::GBK;
use jiff::civil::{Date, DateTime};

use crate::emv::EmvError;

pub(super) struct Writer {
    out: Vec<u8>,
    tags: bool,
}

impl Writer {
    pub(super) fn new(tags: bool) -> Self {
        Self { out: Vec::with_capacity(440), tags }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    fn tag(&mut self, tag: u8) {
        if self.tags {
            self.out.extend_from_slice(format!("{tag:02}").as_bytes());
        }
    }

    /// Text in GBK, spaces to its right.
    pub(super) fn text(&mut self, tag: u8, length: usize, text: &str) -> Result<(), EmvError> {
        let bytes = self.printable(text)?;
        let Some(missing) = length.checked_sub(bytes.len()) else { return Err(self.unfit("a value")) };
        self.tag(tag);
        self.out.extend_from_slice(&bytes);
        self.out.extend(std::iter::repeat_n(b' ', missing));
        Ok(())
    }

    /// A two-digit length, then the text.
    pub(super) fn counted(&mut self, tag: u8, max: usize, text: &str) -> Result<(), EmvError> {
        let bytes = self.printable(text)?;
        if bytes.len() > max {
            return Err(self.unfit("a value"));
        }
        self.tag(tag);
        self.out.extend_from_slice(format!("{:02}", bytes.len()).as_bytes());
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    pub(super) fn number(&mut self, tag: u8, length: usize, number: u16) -> Result<(), EmvError> {
        self.text(tag, length, &format!("{number:0length$}"))
    }

    pub(super) fn date(&mut self, tag: u8, date: Option<Date>) -> Result<(), EmvError> {
        let text = date.map(|d| format!("{:04}{:02}{:02}", d.year(), d.month(), d.day()));
        self.text(tag, 8, text.as_deref().unwrap_or(""))
    }

    /// `YYMMDDhhmmss`.
    pub(super) fn short_time(&mut self, tag: u8, at: Option<DateTime>) -> Result<(), EmvError> {
        if at.is_some_and(|at| !(2000..2100).contains(&at.year())) {
            return Err(self.unfit("a time outside 2000 to 2099"));
        }
        let text = at.map(long).unwrap_or_default();
        self.text(tag, 12, text.get(2..).unwrap_or(""))
    }

    /// `YYYYMMDDhhmmss`.
    pub(super) fn long_time(&mut self, tag: u8, at: Option<DateTime>) -> Result<(), EmvError> {
        self.text(tag, 14, &at.map(long).unwrap_or_default())
    }

    /// Text that reads back as it was: no blanks at its end, nothing outside GBK.
    fn printable(&self, text: &str) -> Result<Vec<u8>, EmvError> {
        let (bytes, _, lost) = GBK.encode(text);
        if lost || text.ends_with(' ') || text.chars().any(char::is_control) {
            return Err(self.unfit("a text"));
        }
        Ok(bytes.into_owned())
    }

    fn unfit(&self, what: &'static str) -> EmvError {
        EmvError::Digits { what, offset: self.out.len(), wanted: "what its tag holds" }
    }
}

fn long(at: DateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{:04}{:02}{:02}{hour:02}{minute:02}{second:02}", date.year(), date.month(), date.day())
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
    tags: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], tags: bool) -> Self {
        Self { bytes, rest: bytes, tags }
    }

    pub(super) fn offset(&self) -> usize {
        self.bytes.len().saturating_sub(self.rest.len())
    }

    /// Nothing may be left: without lengths, what comes after cannot be told from a shifted value.
    pub(super) fn finish(self) -> Result<(), EmvError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("what follows the last value", "nothing"))
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], EmvError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(EmvError::Short { what: "the body of TMS parameters" })?;
        self.rest = rest;
        Ok(taken)
    }

    fn tag(&mut self, tag: u8) -> Result<(), EmvError> {
        if self.tags {
            let before = self.offset();
            if self.take(2)? != format!("{tag:02}").as_bytes() {
                return Err(EmvError::Digits {
                    what: "a tag",
                    offset: before,
                    wanted: "the next of the layout",
                });
            }
        }
        Ok(())
    }

    pub(super) fn text(&mut self, tag: u8, length: usize) -> Result<String, EmvError> {
        self.tag(tag)?;
        self.value(length)
    }

    pub(super) fn counted(&mut self, tag: u8, max: usize) -> Result<String, EmvError> {
        self.tag(tag)?;
        let length: usize = self.digits(2)?.ok_or(self.malformed("a length", "two digits"))?;
        if length > max {
            return Err(self.malformed("a length", "within what its tag holds"));
        }
        self.value(length)
    }

    pub(super) fn number(&mut self, tag: u8, length: usize) -> Result<u16, EmvError> {
        self.tag(tag)?;
        Ok(self.digits(length)?.unwrap_or(0))
    }

    pub(super) fn date(&mut self, tag: u8) -> Result<Option<Date>, EmvError> {
        self.tag(tag)?;
        let (year, month, day) = (self.digits(4)?, self.digits(2)?, self.digits(2)?);
        match (year, month, day) {
            (None | Some(0), None | Some(0), None | Some(0)) => Ok(None),
            (Some(year), Some(month), Some(day)) => self.day(year, month, day).map(Some),
            _ => Err(self.malformed("a date", "YYYYMMDD")),
        }
    }

    pub(super) fn short_time(&mut self, tag: u8) -> Result<Option<DateTime>, EmvError> {
        self.tag(tag)?;
        let year = self.digits::<i16>(2)?;
        self.time(year.map(|year| year.saturating_add(2000)))
    }

    pub(super) fn long_time(&mut self, tag: u8) -> Result<Option<DateTime>, EmvError> {
        self.tag(tag)?;
        let year = self.digits(4)?;
        self.time(year)
    }

    fn time(&mut self, year: Option<i16>) -> Result<Option<DateTime>, EmvError> {
        let (month, day) = (self.digits::<i8>(2)?, self.digits::<i8>(2)?);
        let (hour, minute, second) = (self.digits::<i8>(2)?, self.digits::<i8>(2)?, self.digits::<i8>(2)?);
        // Month and day 00 stand for no time, whatever the rest is.
        let (Some(year), Some(month), Some(day)) = (year, month, day) else {
            return if [month, day, hour, minute, second].iter().all(Option::is_none) && year.is_none() {
                Ok(None)
            } else {
                Err(self.malformed("a time", "digits"))
            };
        };
        if month == 0 && day == 0 {
            return Ok(None);
        }
        let date = self.day(year, month, day)?;
        let (Some(hour), Some(minute), Some(second)) = (hour, minute, second) else {
            return Err(self.malformed("a time", "digits"));
        };
        let time = jiff::civil::Time::new(hour, minute, second, 0);
        time.map(|time| Some(date.to_datetime(time))).map_err(|_| self.malformed("a time", "a time of day"))
    }

    fn day(&self, year: i16, month: i8, day: i8) -> Result<Date, EmvError> {
        Date::new(year, month, day).map_err(|_| self.malformed("a date", "a day of the calendar"))
    }

    /// A number, or `None` for blanks.
    fn digits<N: std::str::FromStr>(&mut self, length: usize) -> Result<Option<N>, EmvError> {
        let value = self.take(length)?;
        if value.iter().all(|b| *b == b' ') {
            return Ok(None);
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let number = text.and_then(|text| text.parse().ok());
        number.map(Some).ok_or(self.malformed("a number", "digits"))
    }

    fn value(&mut self, length: usize) -> Result<String, EmvError> {
        let value = self.take(length)?;
        let (text, _, malformed) = GBK.decode(value);
        let text = text.trim_end_matches([' ', '\0']);
        if malformed || text.chars().any(char::is_control) {
            return Err(self.malformed("a text", "printable GBK"));
        }
        Ok(text.to_owned())
    }

    fn malformed(&self, what: &'static str, wanted: &'static str) -> EmvError {
        EmvError::Digits { what, offset: self.offset(), wanted }
    }
}
