//! What can be wrong with a message, and where.

use std::fmt;

use crate::class::Class;
use crate::mti::Mti;

/// The place in a message that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// The message type indicator.
    Mti,
    /// The bitmap (field 1 and its continuation).
    Bitmap,
    /// A field by its number.
    Field(u8),
    /// The end of the message, after the last field.
    End,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mti => f.write_str("message type"),
            Self::Bitmap => f.write_str("bitmap"),
            Self::Field(number) => write!(f, "field {number}"),
            Self::End => f.write_str("end of message"),
        }
    }
}

/// Why bytes are not a message of the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} at byte {offset}: {reason}")]
pub struct ParseError {
    path: Path,
    offset: usize,
    reason: ParseReason,
}

impl ParseError {
    pub(crate) fn new(path: Path, offset: usize, reason: ParseReason) -> Self {
        Self { path, offset, reason }
    }

    /// The part of the message that is wrong.
    #[must_use]
    pub fn path(&self) -> Path {
        self.path
    }

    /// Bytes from the beginning of the message body (of the type indicator) to what is wrong.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong there.
    #[must_use]
    pub fn reason(&self) -> ParseReason {
        self.reason
    }
}

/// What is wrong with the bytes at one place of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReason {
    /// The message ends too early.
    #[error("{needed} bytes are needed and {left} are left")]
    Truncated {
        /// Bytes that the item takes.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// Something other than a decimal digit in a length, a type or a number.
    #[error("0x{0:02x} is not a decimal digit")]
    NotADigit(u8),
    /// A packed byte with a nibble above 9 where only decimal digits may stand.
    #[error("0x{0:02x} does not hold two decimal digits")]
    NotPackedDigits(u8),
    /// The nibble left over by an odd number of digits does not hold the dialect's filler.
    #[error("the filler nibble is {found:x} where the dialect writes {expected:x}")]
    Pad {
        /// What is there.
        found: u8,
        /// What the dialect writes.
        expected: u8,
    },
    /// A byte that does not belong to the class of the field.
    #[error("0x{byte:02x} is not allowed in a value of class {class}")]
    Character {
        /// The byte found.
        byte: u8,
        /// The class of the field.
        class: Class,
    },
    /// A signed amount that does not begin with `C` or `D`.
    #[error("0x{0:02x} is not a sign: a signed amount begins with C or D")]
    Sign(u8),
    /// A byte that is not an upper-case hexadecimal digit.
    #[error("0x{0:02x} is not an upper-case hexadecimal digit")]
    NotHex(u8),
    /// A length prefix above what the field allows.
    #[error("the length says {length} where at most {max} is allowed")]
    Length {
        /// What the prefix says.
        length: usize,
        /// What the dialect allows, in the same unit.
        max: usize,
    },
    /// The bitmap announces a field the dialect does not have.
    #[error("the dialect has no such field")]
    Undefined,
    /// A second bitmap that announces nothing, which building would leave out.
    #[error("the second bitmap announces no field")]
    EmptySecondary,
    /// Bytes after the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
    /// A message larger than [`MAX_MESSAGE_BYTES`](crate::MAX_MESSAGE_BYTES).
    #[error("the message has {0} bytes, more than any framing can carry")]
    TooLong(usize),
}

/// Why a message cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value that its field cannot hold. Values of sensitive fields are not quoted.
    #[error("field {field}: {reason}")]
    Value {
        /// The field's number.
        field: u8,
        /// What is wrong with the value.
        reason: ValueError,
    },
    /// A field that the dialect does not have; field 1 is the bitmap and is set by building.
    #[error("field {0}: the dialect has no such field that can be set")]
    Undefined(u8),
    /// A reply to something that has none.
    #[error("message type {0} has no response")]
    NoResponse(Mti),
    /// A message larger than [`MAX_MESSAGE_BYTES`](crate::MAX_MESSAGE_BYTES).
    #[error("the message would have {0} bytes, more than any framing can carry")]
    TooLong(usize),
}

/// What is wrong with a value for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A value of the wrong length for a field of fixed length.
    #[error("needs exactly {expected} {unit} and has {found}")]
    WrongLength {
        /// Length of the field.
        expected: usize,
        /// Length of the value.
        found: usize,
        /// `characters`, `digits` or `bytes`.
        unit: &'static str,
    },
    /// A value longer than the field allows.
    #[error("takes at most {max} {unit} and has {found}")]
    TooLong {
        /// Longest value.
        max: usize,
        /// Length of the value.
        found: usize,
        /// `characters`, `digits` or `bytes`.
        unit: &'static str,
    },
    /// An odd number of digits in a field whose length counts bytes.
    #[error("needs an even number of digits, because its length counts bytes")]
    OddDigits,
    /// A character that the class of the field does not have.
    #[error("character {at} is not allowed in a value of class {class}")]
    Character {
        /// Position of the byte in the value, from 1.
        at: usize,
        /// The class of the field.
        class: Class,
    },
    /// A signed amount that does not begin with `C` or `D`.
    #[error("begins with neither C nor D, the sign of an amount")]
    Sign,
    /// A text for a field of bytes that is not pairs of hexadecimal digits.
    #[error("is written as pairs of hexadecimal digits")]
    NotHex,
}
