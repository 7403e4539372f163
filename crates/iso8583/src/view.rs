//! The characters of a field's content, whatever its encoding.

use std::borrow::Cow;

use crate::class::Class;
use crate::ebcdic;
use crate::format::{Align, Binary, Charset, Digits, FieldFormat, Length, Part};
use crate::plan::hex_value;
use crate::text::escape;

/// Some characters of the content of a field.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// How the content is written.
    pub(crate) format: &'a FieldFormat,
    /// The whole content on the wire.
    pub(crate) content: &'a [u8],
    /// How each byte of the content is written; hexadecimal takes two on the wire.
    bytes: Binary,
    /// Characters in the whole content.
    pub(crate) total: usize,
    /// The first character of the view …
    first: usize,
    /// … and how many there are.
    pub(crate) units: usize,
}

/// How characters stand in the bytes of a content.
#[derive(Clone, Copy)]
enum Coding {
    Bytes,
    Characters(Charset),
    Packed(Align),
}

impl<'a> View<'a> {
    /// All characters of a content.
    #[inline]
    pub(crate) fn new(format: &'a FieldFormat, content: &'a [u8], units: usize) -> Self {
        let bytes = if format.class == Class::Binary { format.binary } else { Binary::Raw };
        Self { format, content, bytes, total: units, first: 0, units }
    }

    /// `length` of the characters from `start` on; `None` when there are not as many.
    pub(crate) fn part(&self, start: usize, length: usize) -> Option<Self> {
        let end = start.checked_add(length).filter(|end| *end <= self.units)?;
        Some(Self { first: self.first + start, units: end - start, ..*self })
    }

    /// The positional subfield `part` of `parts`, from 1. It is written as the field around it,
    /// unless that is of bytes.
    pub(crate) fn positional(&self, parts: &'a [Part], part: u8) -> Option<Self> {
        let part = parts.get(usize::from(part).checked_sub(1)?)?;
        let length = match part.length {
            Some(length) => length,
            None => self.units.checked_sub(part.start).filter(|length| *length > 0)?,
        };
        let view = self.part(part.start, length)?;
        let has_own = self.format.class == Class::Binary;
        Some(if has_own { view.reread(&part.format, None) } else { view })
    }

    /// The nibble that an odd number of packed digits leaves over.
    pub(crate) fn filler_nibble(&self) -> Option<u8> {
        let Coding::Packed(align) = self.coding() else { return None };
        let sign = self.format.sign_len();
        if self.total.saturating_sub(sign).is_multiple_of(2) {
            return None;
        }
        match align {
            Align::Left => {
                self.byte((self.content.len() / self.width()).checked_sub(1)?).map(|byte| byte & 0x0F)
            }
            Align::Right => self.byte(sign).map(|byte| byte >> 4),
        }
    }

    /// The same bytes of the wire, read in another way; `units` where something else than the
    /// bytes tells how many characters there are.
    pub(crate) fn reread(&self, format: &'a FieldFormat, units: Option<usize>) -> Self {
        let content = self.wire();
        let view = Self { format, content, bytes: self.bytes, total: 0, first: 0, units: 0 };
        let units = units.unwrap_or_else(|| view.count());
        Self { total: units, units, ..view }
    }

    /// Whether each byte of the content is a character or a byte of the value, so that what is
    /// inside may be written in its own way.
    pub(crate) fn is_bytewise(&self) -> bool {
        !matches!(self.coding(), Coding::Packed(_))
    }

    /// Whether the bytes of the content stand on the wire as they are.
    pub(crate) fn is_raw(&self) -> bool {
        self.bytes == Binary::Raw
    }

    /// How many characters the bytes hold, where no length tells.
    fn count(&self) -> usize {
        let len = self.content.len() / self.width();
        let (Coding::Packed(align), Digits::Bcd { pad, .. }) = (self.coding(), self.format.digits) else {
            return len;
        };
        let sign = self.format.sign_len().min(len);
        let whole = sign + (len - sign) * 2;
        // A fixed length knows better than its filler.
        if whole == self.format.max_units() + 1 && matches!(self.format.length, Length::Fixed(_)) {
            return whole - 1;
        }
        let filler = match align {
            Align::Left => len
                .checked_sub(1)
                .filter(|last| *last >= sign)
                .and_then(|at| self.byte(at))
                .map(|byte| byte & 0x0F),
            Align::Right => self.byte(sign).map(|byte| byte >> 4),
        };
        whole - usize::from(pad > 9 && filler == Some(pad))
    }

    /// Bytes on the wire for each byte of the content.
    fn width(&self) -> usize {
        if self.is_raw() { 1 } else { 2 }
    }

    /// A byte of the content.
    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        if self.is_raw() {
            return self.content.get(at).copied();
        }
        let digit = |at| hex_value(self.bytes, *self.content.get(at)?).or_else(|| self.lower_hex(at));
        Some(digit(at * 2)? << 4 | digit(at * 2 + 1)?)
    }

    /// Lower-case hexadecimal is a deviation that lenient reading lets through.
    fn lower_hex(&self, at: usize) -> Option<u8> {
        let byte = *self.content.get(at)?;
        char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    }

    /// Bytes from the beginning of the view's bytes on the wire to those of character `at`.
    pub(crate) fn wire_offset(&self, at: usize) -> usize {
        self.wire_place(self.first + at).saturating_sub(self.wire_place(self.first))
    }

    /// Where on the wire the byte is in which a character of the whole content begins.
    fn wire_place(&self, unit: usize) -> usize {
        self.width() * (self.half_place(unit) / 2)
    }

    /// Where a character of the whole content begins, in half bytes.
    fn half_place(&self, unit: usize) -> usize {
        let Coding::Packed(align) = self.coding() else {
            return unit * 2;
        };
        let sign = self.format.sign_len();
        match unit.checked_sub(sign) {
            None => unit * 2,
            Some(digit) => sign * 2 + self.filler(align) + digit,
        }
    }

    fn coding(&self) -> Coding {
        match (self.format.class, self.format.digits) {
            (Class::Binary, _) => Coding::Bytes,
            (class, Digits::Bcd { align, .. }) if class.is_packable() => Coding::Packed(align),
            (Class::SignedNumeric, Digits::Ebcdic) => Coding::Characters(self.format.charset),
            (class, Digits::Ebcdic) if class.is_packable() => Coding::Characters(Charset::Ebcdic037),
            (class, _) if class.is_packable() => Coding::Characters(Charset::Ascii),
            _ => Coding::Characters(self.format.charset),
        }
    }

    /// The bytes of the wire that hold the view; with packed digits also a neighbour's half byte.
    pub(crate) fn wire(&self) -> &'a [u8] {
        if self.units == self.total {
            return self.content;
        }
        let (first, end) = (self.first, self.first + self.units);
        let range = self.wire_place(first)..self.width() * self.half_place(end).div_ceil(2);
        self.content.get(range).unwrap_or_default()
    }

    /// The value of a character: the byte itself for class `b`, ASCII or Latin-1 otherwise.
    pub(crate) fn unit(&self, at: usize) -> Option<u8> {
        if at >= self.units {
            return None;
        }
        let at = self.first + at;
        match self.coding() {
            Coding::Bytes => self.byte(at),
            Coding::Characters(charset) => Some(ebcdic::decode(charset, self.byte(at)?)),
            Coding::Packed(_) if at < self.format.sign_len() => {
                Some(ebcdic::decode(self.format.charset, self.byte(at)?))
            }
            Coding::Packed(align) => {
                let place = at + self.half_bytes(align);
                let byte = self.byte(place / 2)?;
                Some(b'0' + if place.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })
            }
        }
    }

    /// The filler of an odd number of digits stands first when they are aligned right.
    fn filler(&self, align: Align) -> usize {
        let digits = self.total.saturating_sub(self.format.sign_len());
        if align == Align::Right { digits % 2 } else { 0 }
    }

    /// The values of all characters.
    #[inline]
    pub(crate) fn units(&self) -> Units<'a> {
        let coding = self.coding();
        let places = match coding {
            Coding::Packed(align) => self.half_bytes(align),
            _ => 0,
        };
        Units { view: *self, coding, places, at: 0 }
    }

    /// What the place of a character is more than its number, in half bytes, after the sign.
    #[inline]
    fn half_bytes(&self, align: Align) -> usize {
        self.format.sign_len() + self.filler(align)
    }

    /// The value: bytes for class `b`, ASCII or Latin-1 characters otherwise.
    pub(crate) fn value(&self) -> Cow<'a, [u8]> {
        match self.plain() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => Cow::Owned(self.units().collect()),
        }
    }

    /// The value where it stands on the wire as it is.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        match self.coding() {
            Coding::Bytes | Coding::Characters(Charset::Ascii) if self.is_raw() => {
                self.content.get(self.first..self.first + self.units)
            }
            _ => None,
        }
    }

    /// The text of [`Field::text`](crate::Field::text).
    pub(crate) fn text(&self) -> Cow<'a, str> {
        match (self.coding(), self.plain()) {
            (Coding::Bytes, _) => Cow::Owned(lower_hex(self.units())),
            (Coding::Characters(Charset::Ascii), Some(plain)) => escape(plain),
            (Coding::Characters(Charset::Ascii), None) => {
                Cow::Owned(escape(&self.units().collect::<Vec<_>>()).into_owned())
            }
            (Coding::Characters(_) | Coding::Packed(_), _) => {
                let text: String = self.units().map(char::from).collect();
                Cow::Owned(if text.contains("\\x") { text.replace("\\x", "\\x5Cx") } else { text })
            }
        }
    }

    /// The number that the characters from `first` on write, where they are so few that it cannot be too large
    /// and stand on the wire as most numbers do; `None` says nothing.
    #[inline]
    pub(crate) fn short_number(&self, first: usize) -> Option<u64> {
        /// Any number of so many digits is one of 64 bits.
        const DIGITS: usize = 19;
        if self.units > DIGITS || !self.is_raw() {
            return None;
        }
        match self.coding() {
            Coding::Characters(Charset::Ascii) => {
                let digits = self.content.get(self.first + first..self.first + self.units)?;
                digits.iter().try_fold(0, |number, byte| {
                    let digit = byte.wrapping_sub(b'0');
                    (digit <= 9).then(|| number * 10 + u64::from(digit))
                })
            }
            Coding::Packed(align) if self.format.sign_len() == 0 => {
                let start = self.first + first + self.filler(align);
                let end = self.first + self.units + self.filler(align);
                let bytes = self.content.get(start / 2..end.div_ceil(2))?;
                let mut number = 0;
                for (byte, at) in bytes.iter().zip((start / 2 * 2..).step_by(2)) {
                    let (high, low) = (byte >> 4, byte & 0x0F);
                    if at >= start {
                        number = number * 10 + u64::from((high <= 9).then_some(high)?);
                    }
                    if at + 1 < end && at + 1 >= start {
                        number = number * 10 + u64::from((low <= 9).then_some(low)?);
                    }
                }
                Some(number)
            }
            _ => None,
        }
    }

    /// Whether [`View::text`] is `text`, ASCII without escapes, without making it.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        match self.coding() {
            Coding::Bytes => {
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                rest.is_empty()
                    && pairs.len() == self.units
                    && self.units().zip(pairs).all(|(byte, pair)| hex_pair(byte) == *pair)
            }
            _ => {
                text.len() == self.units
                    && text.bytes().enumerate().all(|(at, byte)| self.unit(at) == Some(byte))
            }
        }
    }
}

/// A view that is asked for one text after the other. Most differ in their first character.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    view: View<'a>,
    /// `None` where the texts are not the characters of values: those of bytes are hexadecimal, and
    /// others may have escapes.
    first: Option<u8>,
    is_plain: bool,
}

impl<'a> Asked<'a> {
    #[inline]
    pub(crate) fn new(view: View<'a>, is_plain: bool) -> Self {
        let first = if is_plain && view.format.class != Class::Binary { view.unit(0) } else { None };
        Self { view, first, is_plain }
    }

    /// Whether the text of the view is `text`.
    #[inline]
    pub(crate) fn is(&self, text: &str) -> bool {
        if !self.is_plain {
            return self.view.text() == text;
        }
        let may_be = self.first.is_none_or(|first| text.as_bytes().first() == Some(&first));
        may_be && self.view.is_text(text)
    }
}

/// The characters of a view one after the other.
pub(crate) struct Units<'a> {
    view: View<'a>,
    coding: Coding,
    /// Of packed digits: how far the nibble of a character is from its number.
    places: usize,
    at: usize,
}

impl Iterator for Units<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let view = &self.view;
        if self.at >= view.units {
            return None;
        }
        let at = view.first + self.at;
        self.at += 1;
        match self.coding {
            Coding::Bytes => view.byte(at),
            Coding::Characters(charset) => Some(ebcdic::decode(charset, view.byte(at)?)),
            Coding::Packed(_) if at >= view.format.sign_len() => {
                let place = at + self.places;
                let byte = view.byte(place / 2)?;
                Some(b'0' + if place.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })
            }
            Coding::Packed(_) => Some(ebcdic::decode(view.format.charset, view.byte(at)?)),
        }
    }
}

fn lower_hex(bytes: impl Iterator<Item = u8>) -> String {
    bytes.flat_map(hex_pair).map(char::from).collect()
}

fn hex_pair(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    [digit(byte >> 4), digit(byte & 0x0F)]
}
