//! Field formats: the small independent choices that together say how one field is written.

use std::fmt;
use std::str::FromStr;

use crate::class::Class;
use crate::mask::Sensitivity;

/// How one field of a dialect is written on the wire.
///
/// A format is the product of independent choices: class × length × encoding of the length ×
/// unit of the length × encoding of the content. A dialect file states them; see
/// [`Dialect::from_toml`](crate::Dialect::from_toml).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFormat {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) length: Length,
    pub(crate) length_encoding: LengthEncoding,
    pub(crate) unit: Unit,
    pub(crate) digits: Digits,
    pub(crate) binary: Binary,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) parts: Vec<Part>,
}

impl FieldFormat {
    /// The field's number, 2 to 128.
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

    /// How bytes are written (class `b`).
    #[must_use]
    pub fn binary(&self) -> Binary {
        self.binary
    }

    /// How the field prints when no rule of the dialect says otherwise.
    #[must_use]
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// The positional subfields; the first is `.1`.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
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

    /// Bytes on the wire for a value of `units` characters, without the length prefix.
    pub(crate) fn content_len(&self, units: usize) -> usize {
        match (self.class, self.digits, self.binary) {
            (Class::Binary, _, Binary::Raw) => units,
            (Class::Binary, _, Binary::Hex) => units * 2,
            (class, Digits::Bcd { .. }, _) if class.is_packable() => {
                let sign = self.sign_len();
                sign + (units - sign.min(units)).div_ceil(2)
            }
            _ => units,
        }
    }
}

/// The longest field, in characters; with the sign of `x+n` it still fits 16 bits.
const LONGEST: u16 = 65_534;

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
pub enum LengthEncoding {
    /// One ASCII digit for each prefix digit.
    Ascii,
    /// Two digits to the byte, so `...` takes two bytes and the first nibble is 0.
    Bcd,
    /// An unsigned big-endian integer in as many bytes as `Bcd` would take.
    Binary,
}

/// What a length on the wire counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Characters, which for packed fields are digits and for class `b` are bytes of the value.
    Characters,
    /// Bytes on the wire. A packed value then has an even number of digits.
    Bytes,
}

/// How decimal digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// One ASCII character for each digit.
    Ascii,
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

/// How the bytes of class `b` are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// As they are.
    Raw,
    /// As two upper-case hexadecimal characters for each byte.
    Hex,
}

/// A positional subfield.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(crate) name: String,
    pub(crate) class: Class,
    pub(crate) start: usize,
    /// `None` for a last part that takes what is left.
    pub(crate) length: Option<usize>,
}

impl Part {
    /// What the subfield is called in the dialect.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The characters the subfield may hold.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
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

/// Class and length in the notation of the standard: `n6`, `n..19`, `ans...999`, `x+n8`, `b8`
/// (lengths of `b` are in bytes here, where the standard counts bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notation {
    pub(crate) class: Class,
    pub(crate) length: Length,
}

impl FromStr for Notation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let class_end = text.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(text.len());
        let (class, rest) = text.split_at(class_end);
        let class = Class::from_name(class)
            .ok_or_else(|| format!("`{text}` begins with no known class; use one of n a an ans z b x+n"))?;
        let number = rest.trim_start_matches('.');
        let dots = rest.len() - number.len();
        let max: u16 = number
            .parse()
            .ok()
            .filter(|max| (1..=LONGEST).contains(max) && number.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| format!("`{text}` needs a length from 1 to 65534 after its class"))?;
        let length = match dots {
            0 => Length::Fixed(max),
            prefix_digits @ 1..=6 => {
                if number.len() > prefix_digits {
                    return Err(format!("`{text}` is longer than {prefix_digits} digits of length can say"));
                }
                #[allow(clippy::cast_possible_truncation, reason = "at most 6 by the pattern")]
                Length::Variable { prefix_digits: prefix_digits as u8, max }
            }
            _ => return Err(format!("`{text}` has more than six dots")),
        };
        Ok(Self { class, length })
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dots = match self.length {
            Length::Fixed(_) => 0,
            Length::Variable { prefix_digits, .. } => usize::from(prefix_digits),
        };
        write!(f, "{}{:.>dots$}{}", self.class, "", self.length.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_read_and_print_alike() {
        for text in ["n6", "n..19", "ans...999", "x+n8", "b8", "z..37", "a2", "an.9", "b......60000"] {
            assert_eq!(text.parse::<Notation>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_broken_notation_says_why() {
        for (text, why) in [
            ("q6", "no known class"),
            ("n", "needs a length"),
            ("n..", "needs a length"),
            ("n0", "needs a length"),
            ("n..100", "longer than 2 digits"),
            ("n.......9", "more than six dots"),
            ("n70000", "needs a length"),
            ("n6x", "needs a length"),
            ("n+6", "no known class"),
        ] {
            let error = text.parse::<Notation>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
