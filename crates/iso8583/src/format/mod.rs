//! Field formats: the small independent choices that together say how one field is written.

mod date;
mod notation;

use crate::class::Class;
use crate::mask::Sensitivity;
use crate::structure::Structure;

pub use date::{DatePattern, DateTime};
pub(crate) use notation::Notation;

/// How one field of a dialect, or one subfield, is written on the wire.
///
/// A format is the product of independent choices: class × length × encoding of the length ×
/// unit of the length × encoding of the content × structure. A dialect file states them; see
/// [`Dialect::from_toml`](crate::Dialect::from_toml).
#[derive(Clone, Debug, PartialEq)]
pub struct FieldFormat {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) length: Length,
    pub(crate) length_encoding: LengthEncoding,
    pub(crate) unit: Unit,
    pub(crate) digits: Digits,
    pub(crate) charset: Charset,
    pub(crate) binary: Binary,
    pub(crate) fill: Fill,
    pub(crate) date: Option<DatePattern>,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) structure: Structure,
}

impl FieldFormat {
    /// The field's number, 2 to 192; for a positional subfield its place from 1, and 0 for a
    /// subfield that a tag names.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// What the field is called in the dialect, such as `System trace audit number`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The characters the value may hold.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Fixed or variable length.
    #[must_use]
    pub fn length(&self) -> Length {
        self.length
    }

    /// How a variable length is written before the content.
    #[must_use]
    pub fn length_encoding(&self) -> LengthEncoding {
        self.length_encoding
    }

    /// What a length on the wire counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How digits are written (classes `n`, `z` and `x+n`).
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.digits
    }

    /// How other characters are written, among them the sign of `x+n`.
    #[must_use]
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// How bytes are written (class `b`).
    #[must_use]
    pub fn binary(&self) -> Binary {
        self.binary
    }

    /// What a value too short for a fixed field is filled up with when it is set.
    #[must_use]
    pub fn fill(&self) -> Fill {
        self.fill
    }

    /// How a date or a time stands in the field, if it holds one.
    #[must_use]
    pub fn date(&self) -> Option<&DatePattern> {
        self.date.as_ref()
    }

    /// How the field prints when no rule of the dialect says otherwise.
    #[must_use]
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// What is inside the field when no rule of the dialect says otherwise.
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The positional subfields; the first is `.1`. Empty for other structures.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        match &self.structure {
            Structure::Positional(parts) => parts,
            _ => &[],
        }
    }

    /// The short notation of the standard, such as `n6` or `ans...999`.
    #[must_use]
    pub fn notation(&self) -> String {
        Notation { class: self.class, length: self.length }.to_string()
    }

    /// Characters (bytes for class `b`) that the value may have at most. The sign of `x+n` is
    /// counted.
    pub(crate) fn max_units(&self) -> usize {
        self.length.max() + self.sign_len()
    }

    pub(crate) fn sign_len(&self) -> usize {
        usize::from(self.class == Class::SignedNumeric)
    }

    /// Whether two characters share a byte.
    pub(crate) fn is_packed(&self) -> bool {
        self.class.is_packable() && matches!(self.digits, Digits::Bcd { .. })
    }

    /// Whether the filler nibble, and not the length, tells an odd number of packed digits.
    pub(crate) fn pad_tells_odd(&self) -> bool {
        self.is_packed()
            && self.unit == Unit::Bytes
            && matches!((self.length, self.digits), (Length::Variable { .. }, Digits::Bcd { pad: 10.., .. }))
    }

    /// Bytes on the wire for a value of `units` characters, without the length prefix.
    pub(crate) fn content_len(&self, units: usize) -> usize {
        if self.class == Class::Binary {
            return if self.binary == Binary::Raw { units } else { units * 2 };
        }
        if self.is_packed() {
            let sign = self.sign_len();
            return sign + (units - sign.min(units)).div_ceil(2);
        }
        units
    }

    /// What the length prefix says for a value of `units` characters.
    pub(crate) fn said_of(&self, units: usize) -> usize {
        match self.unit {
            Unit::Characters => units,
            Unit::Digits if self.class == Class::Binary => units * 2,
            Unit::Digits => units,
            Unit::Bytes => self.content_len(units),
        }
    }

    /// Bytes of the length prefix; none for a fixed length.
    pub(crate) fn prefix_len(&self) -> usize {
        match self.length {
            Length::Fixed(_) => 0,
            Length::Variable { prefix_digits, .. } => self.length_encoding.width(prefix_digits),
        }
    }
}

/// How long a value may be, in characters (digits for `n` and `z`, bytes for `b`). The sign of
/// `x+n` is not counted, as in the standard: `x+n8` is nine characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Always this long, no prefix on the wire.
    Fixed(u16),
    /// Preceded by a length of `prefix_digits` decimal digits; at most `max` characters.
    Variable {
        /// Decimal digits of the prefix: 2 for `..`, 3 for `...`, at most 6.
        prefix_digits: u8,
        /// The longest value.
        max: u16,
    },
}

impl Length {
    /// The longest value, in characters.
    #[must_use]
    pub fn max(self) -> usize {
        match self {
            Self::Fixed(length) => usize::from(length),
            Self::Variable { max, .. } => usize::from(max),
        }
    }
}

/// How a variable length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LengthEncoding {
    /// One ASCII digit for each prefix digit.
    Ascii,
    /// One EBCDIC digit (0xF0 to 0xF9) for each prefix digit.
    Ebcdic,
    /// Two digits to the byte, so `...` takes two bytes and the first nibble is 0.
    Bcd,
    /// An unsigned big-endian integer in as many bytes as `Bcd` would take.
    Binary,
    /// That integer as two upper-case hexadecimal ASCII characters for each byte.
    Hex,
}

impl LengthEncoding {
    /// Bytes of a prefix of `prefix_digits` decimal digits.
    pub(crate) fn width(self, prefix_digits: u8) -> usize {
        let digits = usize::from(prefix_digits);
        match self {
            Self::Ascii | Self::Ebcdic => digits,
            Self::Bcd | Self::Binary => digits.div_ceil(2),
            Self::Hex => digits.div_ceil(2) * 2,
        }
    }

    /// The largest number such a prefix can say.
    pub(crate) fn longest(self, prefix_digits: u8) -> usize {
        match self {
            Self::Ascii | Self::Ebcdic | Self::Bcd => 10usize.pow(u32::from(prefix_digits.min(6))) - 1,
            Self::Binary | Self::Hex => (1 << (8 * u32::from(prefix_digits.min(6)).div_ceil(2))) - 1,
        }
    }
}

/// What a length on the wire counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Characters, which for packed fields are digits and for class `b` are bytes of the value.
    Characters,
    /// Half bytes: two for each byte of class `b`; the same as characters for every other class.
    Digits,
    /// Bytes on the wire. A packed value then has an even number of digits, or its filler nibble
    /// (one that is no digit, such as F) tells that the number is odd.
    Bytes,
}

/// How decimal digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Digits {
    /// One ASCII character for each digit.
    Ascii,
    /// One EBCDIC character for each digit.
    Ebcdic,
    /// Two digits to the byte. An odd number of digits leaves one nibble over, which holds `pad`
    /// (0 to 15): at the end when aligned left, at the beginning when aligned right.
    Bcd {
        /// On which side the value begins.
        align: Align,
        /// Value of the nibble left over.
        pad: u8,
    },
}

/// On which side of its bytes an odd number of packed digits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// First digit in the first nibble, pad nibble last.
    Left,
    /// Pad nibble first, last digit in the last nibble.
    Right,
}

/// How characters other than digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Charset {
    /// ASCII; bytes from 0x80 on are those of a national character set, such as GBK.
    Ascii,
    /// EBCDIC code page 037. The characters are those of Latin-1.
    Ebcdic037,
    /// EBCDIC code page 1047. The characters are those of Latin-1.
    Ebcdic1047,
}

/// How the bytes of class `b` are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binary {
    /// As they are.
    Raw,
    /// As two upper-case hexadecimal ASCII characters for each byte.
    Hex,
    /// As two upper-case hexadecimal EBCDIC characters for each byte.
    EbcdicHex,
}

/// What a value too short for a field of fixed length is filled up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// Nothing: such a value is refused.
    #[default]
    None,
    /// This character before the value, usually `0`.
    Left(u8),
    /// This character after the value, usually a space.
    Right(u8),
}

/// A positional subfield.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub(crate) format: FieldFormat,
    pub(crate) start: usize,
    /// `None` for a last part that takes what is left.
    pub(crate) length: Option<usize>,
}

impl Part {
    /// How the subfield is written; its number is its place from 1.
    #[must_use]
    pub fn format(&self) -> &FieldFormat {
        &self.format
    }

    /// What the subfield is called in the dialect.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.format.name
    }

    /// The characters the subfield may hold.
    #[must_use]
    pub fn class(&self) -> Class {
        self.format.class
    }

    /// Where the subfield begins, in characters from the beginning of the field.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Length in characters; `None` when the subfield takes all that is left.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        self.length
    }
}
