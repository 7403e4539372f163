//! Character classes of ISO 8583: which characters the value of a field may hold.

use std::fmt;

/// What the value of a field is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// `n`: decimal digits.
    Numeric,
    /// `a`: letters and space.
    Alphabetic,
    /// `an` and `anp`: letters, digits and space. (`an` proper has no space, but fixed fields are
    /// filled with spaces by nearly every sender.)
    Alphanumeric,
    /// `s`: printable characters that are neither letters nor digits, and bytes from 0x80 on.
    Special,
    /// `as`: letters and special characters.
    AlphabeticSpecial,
    /// `ns`: digits and special characters.
    NumericSpecial,
    /// `ans`: any text without control characters. Bytes from 0x80 on are allowed, because names
    /// and addresses travel in the national character set (GBK on UnionPay links).
    Text,
    /// `z`: track 2 and 3 data in the ISO/IEC 7811 five-bit set, whose sixteen characters are
    /// `0123456789:;<=>?`. Some senders write the separator as `D`.
    Track,
    /// `x+n`: a sign, `C` for credit or `D` for debit, followed by digits.
    SignedNumeric,
    /// `b`: bytes of any value.
    Binary,
}

impl Class {
    /// The name the standard gives the class, such as `ans`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Numeric => "n",
            Self::Alphabetic => "a",
            Self::Alphanumeric => "an",
            Self::Special => "s",
            Self::AlphabeticSpecial => "as",
            Self::NumericSpecial => "ns",
            Self::Text => "ans",
            Self::Track => "z",
            Self::SignedNumeric => "x+n",
            Self::Binary => "b",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "n" => Self::Numeric,
            "a" => Self::Alphabetic,
            "an" | "anp" => Self::Alphanumeric,
            "s" => Self::Special,
            "as" => Self::AlphabeticSpecial,
            "ns" => Self::NumericSpecial,
            "ans" => Self::Text,
            "z" => Self::Track,
            "x+n" => Self::SignedNumeric,
            "b" => Self::Binary,
            _ => return None,
        })
    }

    /// Whether the class may be packed two characters to the byte.
    pub(crate) const fn is_packable(self) -> bool {
        matches!(self, Self::Numeric | Self::Track | Self::SignedNumeric)
    }

    /// Whether one character (one byte) belongs to the class. The sign of `x+n` is not looked at
    /// here: it has its own place.
    pub(crate) const fn allows(self, byte: u8) -> bool {
        match self {
            Self::Numeric | Self::SignedNumeric => byte.is_ascii_digit(),
            Self::Alphabetic => byte.is_ascii_alphabetic() || byte == b' ',
            Self::Alphanumeric => byte.is_ascii_alphanumeric() || byte == b' ',
            Self::Special => is_text(byte) && !byte.is_ascii_alphanumeric(),
            Self::AlphabeticSpecial => is_text(byte) && !byte.is_ascii_digit(),
            Self::NumericSpecial => is_text(byte) && !byte.is_ascii_alphabetic(),
            Self::Text => is_text(byte),
            Self::Track => matches!(byte, b'0'..=b'?' | b'D'),
            Self::Binary => true,
        }
    }

    /// Whether one packed digit belongs to the class.
    pub(crate) const fn allows_nibble(self, nibble: u8) -> bool {
        nibble <= 9 || matches!(self, Self::Track)
    }
}

/// No control character.
const fn is_text(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F
}

/// The sign of an `x+n` value.
pub(crate) const fn is_sign(byte: u8) -> bool {
    matches!(byte, b'C' | b'D')
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
