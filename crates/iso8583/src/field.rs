//! One field of a parsed message.

use std::borrow::Cow;
use std::fmt;

use crate::class::Class;
use crate::format::{Align, Binary, Digits, FieldFormat};
use crate::mask::{Sensitivity, hex_scrubbed, scrub_text};
use crate::text::escape;

/// A field of a message, borrowed from the message's bytes.
///
/// `Display` and `Debug` mask what the dialect calls sensitive; [`Field::text`] does not.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub(crate) format: &'a FieldFormat,
    pub(crate) content: &'a [u8],
    pub(crate) units: usize,
    pub(crate) sensitivity: Sensitivity,
}

impl<'a> Field<'a> {
    /// The field's number, 2 to 128.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.format.number
    }

    /// How the dialect writes the field.
    #[must_use]
    pub fn format(&self) -> &'a FieldFormat {
        self.format
    }

    /// The content on the wire, without a length prefix.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.content
    }

    /// Characters in the value: digits for packed numbers, bytes for class `b`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units
    }

    /// Whether the value has no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units == 0
    }

    /// Why the value must not be shown, in this message.
    #[must_use]
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// The value as text, **unmasked**.
    ///
    /// Class `b` is lower-case hexadecimal. Other classes are the characters of the value: packed
    /// digits are unpacked and their filler is gone; packed track data uses the ISO/IEC 7811
    /// characters, so the separator is `=`. Bytes that are not UTF-8 appear as `\xB2`; a value that
    /// contains `\x` has it written `\x5Cx`. [`Builder::set`](crate::Builder::set) takes every
    /// such text back to the same bytes.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        self.part_text(0, self.units).unwrap_or_default()
    }

    /// The text of the positional subfield `part`, from 1; `None` when the dialect has no such
    /// subfield or the value ends before it.
    #[must_use]
    pub fn part(&self, part: u8) -> Option<Cow<'a, str>> {
        let part = self.format.parts.get(usize::from(part).checked_sub(1)?)?;
        let length = match part.length {
            Some(length) => length,
            None => self.units.checked_sub(part.start).filter(|length| *length > 0)?,
        };
        self.part_text(part.start, length)
    }

    /// The text with what may not be shown replaced by `*`: all of a sensitive value, and card
    /// numbers that stand in any other.
    #[must_use]
    pub fn masked(&self) -> Cow<'a, str> {
        match (self.sensitivity, self.format.class, self.format.binary) {
            (Sensitivity::None, Class::Binary, Binary::Raw) => Cow::Owned(hex_scrubbed(self.content)),
            (Sensitivity::None, ..) => match self.text() {
                Cow::Borrowed(text) => scrub_text(text),
                Cow::Owned(text) => Cow::Owned(scrub_text(&text).into_owned()),
            },
            (sensitivity, ..) => Cow::Owned(sensitivity.mask(&self.text())),
        }
    }

    fn part_text(&self, start: usize, length: usize) -> Option<Cow<'a, str>> {
        let end = start.checked_add(length).filter(|end| *end <= self.units)?;
        match (self.format.class, self.format.digits, self.format.binary) {
            (Class::Binary, _, Binary::Raw) => Some(Cow::Owned(lower_hex(self.content.get(start..end)?))),
            (Class::Binary, _, Binary::Hex) => {
                let hex = self.content.get(start * 2..end * 2)?;
                Some(Cow::Owned(hex.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect()))
            }
            (class, Digits::Bcd { align, .. }, _) if class.is_packable() => {
                let (sign, packed) = self.content.split_at_checked(self.format.sign_len())?;
                let digits = self.units.checked_sub(sign.len())?;
                // The filler of an odd number of digits stands first when they are aligned right.
                let filler = if align == Align::Right { digits % 2 } else { 0 };
                let mut text = String::with_capacity(length);
                for at in start..end {
                    text.push(char::from(match at.checked_sub(sign.len()) {
                        None => *sign.get(at)?,
                        Some(digit) => b'0' + nibble(packed, filler + digit)?,
                    }));
                }
                Some(Cow::Owned(text))
            }
            _ => Some(escape(self.content.get(start..end)?)),
        }
    }
}

/// The packed digit at a place; the high half of a byte comes first.
fn nibble(packed: &[u8], place: usize) -> Option<u8> {
    let byte = packed.get(place / 2)?;
    Some(if place.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })
}

fn lower_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0F));
    }
    text
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: {:?})", self.number(), self.masked())
    }
}
