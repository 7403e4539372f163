//! The characters of a field's content, whatever its encoding.

use std::borrow::Cow;

use crate::class::Class;
use crate::ebcdic;
use crate::format::{Align, Binary, Charset, Digits, FieldFormat, Length};
use crate::plan::hex_value;
use crate::text::escape;

/// Some characters of the content of a field.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// How the content is written.
    pub(crate) format: &'a FieldFormat,
    /// The whole content on the wire.
    pub(crate) content: &'a [u8],
    /// Characters in the whole content.
    pub(crate) total: usize,
    /// The first character of the view …
    pub(crate) first: usize,
    /// … and how many there are.
    pub(crate) units: usize,
}

/// How characters stand in the content.
#[derive(Clone, Copy)]
enum Coding {
    Raw,
    Hex(Binary),
    Characters(Charset),
    Packed(Align),
}

impl<'a> View<'a> {
    /// All characters of a content.
    #[inline]
    pub(crate) fn new(format: &'a FieldFormat, content: &'a [u8], units: usize) -> Self {
        Self { format, content, total: units, first: 0, units }
    }

    /// `length` of the characters from `start` on; `None` when there are not as many.
    pub(crate) fn part(&self, start: usize, length: usize) -> Option<Self> {
        let end = start.checked_add(length).filter(|end| *end <= self.units)?;
        Some(Self { first: self.first + start, units: end - start, ..*self })
    }

    /// How many characters the bytes of a content hold that no length tells of.
    pub(crate) fn units_of(format: &FieldFormat, content: &[u8]) -> usize {
        if format.class == Class::Binary {
            return if format.binary == Binary::Raw { content.len() } else { content.len() / 2 };
        }
        let Digits::Bcd { align, pad } = format.digits else {
            return content.len();
        };
        if !format.is_packed() {
            return content.len();
        }
        // A fixed length knows better than its filler.
        let sign = format.sign_len().min(content.len());
        let whole = sign + (content.len() - sign) * 2;
        if whole == format.max_units() + 1 && matches!(format.length, Length::Fixed(_)) {
            return whole - 1;
        }
        let filler = match align {
            Align::Left => content.last().map(|byte| byte & 0x0F),
            Align::Right => content.get(sign).map(|byte| byte >> 4),
        };
        whole - usize::from(pad > 9 && filler == Some(pad) && content.len() > sign)
    }

    /// Bytes from the beginning of the view's bytes on the wire to those of character `at`.
    pub(crate) fn wire_offset(&self, at: usize) -> usize {
        let place = |unit: usize| match self.coding() {
            Coding::Raw | Coding::Characters(_) => unit,
            Coding::Hex(_) => unit * 2,
            Coding::Packed(align) => {
                let sign = self.format.sign_len();
                match unit.checked_sub(sign) {
                    None => unit,
                    Some(digit) => sign + (self.filler(align) + digit) / 2,
                }
            }
        };
        place(self.first + at).saturating_sub(place(self.first))
    }

    fn coding(&self) -> Coding {
        match (self.format.class, self.format.digits) {
            (Class::Binary, _) if self.format.binary == Binary::Raw => Coding::Raw,
            (Class::Binary, _) => Coding::Hex(self.format.binary),
            (class, Digits::Bcd { align, .. }) if class.is_packable() => Coding::Packed(align),
            (Class::SignedNumeric, Digits::Ebcdic) => Coding::Characters(self.format.charset),
            (class, Digits::Ebcdic) if class.is_packable() => Coding::Characters(Charset::Ebcdic037),
            (class, _) if class.is_packable() => Coding::Characters(Charset::Ascii),
            _ => Coding::Characters(self.format.charset),
        }
    }

    /// The bytes of the wire that hold the view; with packed digits also a neighbour's half byte.
    pub(crate) fn wire(&self) -> &'a [u8] {
        let (first, end) = (self.first, self.first + self.units);
        let range = match self.coding() {
            Coding::Raw | Coding::Characters(_) => first..end,
            Coding::Hex(_) => first * 2..end * 2,
            Coding::Packed(align) => {
                if self.units == self.total {
                    return self.content;
                }
                let sign = self.format.sign_len();
                let filler = self.filler(align);
                let place = |unit: usize| match unit.checked_sub(sign) {
                    None => unit * 2,
                    Some(digit) => sign * 2 + filler + digit,
                };
                place(first) / 2..place(end).div_ceil(2)
            }
        };
        self.content.get(range).unwrap_or_default()
    }

    /// The value of a character: the byte itself for class `b`, ASCII or Latin-1 otherwise.
    pub(crate) fn unit(&self, at: usize) -> Option<u8> {
        if at >= self.units {
            return None;
        }
        let at = self.first + at;
        match self.coding() {
            Coding::Raw => self.content.get(at).copied(),
            Coding::Hex(binary) => {
                let digit = |at| hex_value(binary, *self.content.get(at)?).or_else(|| self.lower_hex(at));
                Some(digit(at * 2)? << 4 | digit(at * 2 + 1)?)
            }
            Coding::Characters(charset) => Some(ebcdic::decode(charset, *self.content.get(at)?)),
            Coding::Packed(align) => {
                let sign = self.format.sign_len();
                let Some(digit) = at.checked_sub(sign) else {
                    return Some(ebcdic::decode(self.format.charset, *self.content.get(at)?));
                };
                let place = self.filler(align) + digit;
                let byte = *self.content.get(sign + place / 2)?;
                Some(b'0' + if place.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })
            }
        }
    }

    /// Lower-case hexadecimal is a deviation that lenient reading lets through.
    fn lower_hex(&self, at: usize) -> Option<u8> {
        let byte = *self.content.get(at)?;
        char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    }

    /// The filler of an odd number of digits stands first when they are aligned right.
    fn filler(&self, align: Align) -> usize {
        let digits = self.total.saturating_sub(self.format.sign_len());
        if align == Align::Right { digits % 2 } else { 0 }
    }

    /// The values of all characters.
    pub(crate) fn units(&self) -> impl Iterator<Item = u8> {
        let view = *self;
        (0..view.units).map_while(move |at| view.unit(at))
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
            Coding::Raw | Coding::Characters(Charset::Ascii) => {
                self.content.get(self.first..self.first + self.units)
            }
            _ => None,
        }
    }

    /// The text of [`Field::text`](crate::Field::text).
    pub(crate) fn text(&self) -> Cow<'a, str> {
        match self.coding() {
            Coding::Raw | Coding::Hex(_) => Cow::Owned(lower_hex(self.units())),
            Coding::Characters(Charset::Ascii) => self.plain().map_or(Cow::Borrowed(""), escape),
            Coding::Characters(_) | Coding::Packed(_) => {
                let text: String = self.units().map(char::from).collect();
                Cow::Owned(if text.contains("\\x") { text.replace("\\x", "\\x5Cx") } else { text })
            }
        }
    }

    /// Whether [`View::text`] is `text`, without making it.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        match self.coding() {
            Coding::Raw | Coding::Hex(_) => {
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                rest.is_empty()
                    && pairs.len() == self.units
                    && self.units().zip(pairs).all(|(byte, pair)| hex_pair(byte) == *pair)
            }
            _ => text.len() == self.units && self.units().eq(text.bytes()),
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
