//! What can be wrong with a message, and where.

use crate::class::Class;
use crate::mti::Mti;
use crate::path::{MAX_DEPTH, Path, Tag};
use crate::tlv::TlvReason;

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
    /// A further bitmap that announces nothing, which building would leave out.
    #[error("a further bitmap announces no field")]
    EmptySecondary,
    /// The first bit of the bitmap, in dialects whose bitmap always has the same size.
    #[error("the first bit of the bitmap is {} where the dialect has it {}", set(*.found), set(!.found))]
    FirstBit {
        /// Whether the bit is set in the message.
        found: bool,
    },
    /// A tag that the dialect does not know, in a place where nothing tells how long its value is
    /// or where the dialect refuses what it does not know.
    #[error("tag {0} is not in the dialect's table")]
    UnknownTag(Tag),
    /// Bytes that are not BER-TLV data objects.
    #[error("{0}")]
    Tlv(TlvReason),
    /// Structures inside structures, deeper than is read.
    #[error("structures are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Content that the dialect's own structure refuses.
    #[error("{0}")]
    Own(&'static str),
    /// Bytes after the last field.
    #[error("{0} bytes follow the last field")]
    Trailing(usize),
    /// A message larger than [`MAX_MESSAGE_BYTES`](crate::MAX_MESSAGE_BYTES).
    #[error("the message has {0} bytes, more than any framing can carry")]
    TooLong(usize),
}

fn set(bit: bool) -> &'static str {
    if bit { "set" } else { "clear" }
}

/// Why the value of a field is not of the type that was asked for. The value itself is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {kind}")]
pub struct AccessError {
    path: Path,
    kind: AccessKind,
}

impl AccessError {
    pub(crate) fn new(path: Path, kind: AccessKind) -> Self {
        Self { path, kind }
    }

    /// The field or subfield that was asked for.
    #[must_use]
    pub fn path(&self) -> Path {
        self.path
    }

    /// What the value is not.
    #[must_use]
    pub fn kind(&self) -> AccessKind {
        self.kind
    }
}

/// What a value is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessKind {
    /// Something other than decimal digits.
    #[error("holds something other than decimal digits")]
    NotDigits,
    /// A number above what the type holds.
    #[error("holds a number too large for the type asked for")]
    TooLarge,
    /// An amount that does not begin with `C` or `D`, in a field of class `x+n`.
    #[error("does not begin with C or D, the sign of an amount")]
    Sign,
    /// Bytes that are not UTF-8 text.
    #[error("holds text in another character set than UTF-8")]
    NotUtf8,
    /// Bytes where characters are asked for.
    #[error("holds bytes, not characters")]
    NotText,
    /// No date, or none where the dialect says that the field has one.
    #[error("holds no date or time of its form")]
    NotADate,
    /// The dialect names no `date` for the field.
    #[error("has no date or time in the dialect")]
    NoDatePattern,
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
    /// Parts for a field whose structure does not have them.
    #[error("field {field}: the dialect has no subfield {step} there")]
    NoPart {
        /// The field's number.
        field: u8,
        /// The subfield asked for, at most 40 characters of it.
        step: String,
    },
    /// A positional subfield given out of order: each begins where the one before it ends.
    #[error("field {field}: subfields are given in order and without gaps, so .{expected} is next")]
    PartOrder {
        /// The field's number.
        field: u8,
        /// The subfield that would be next.
        expected: usize,
    },
    /// Subfields inside subfields, deeper than is read.
    #[error("field {0}: subfields are nested more than {MAX_DEPTH} deep")]
    TooDeep(u8),
    /// A field that would stand after the message authentication code, or that code itself.
    #[error("field {field} is set, and the MAC in field {mac} is the last field of a message")]
    AfterMac {
        /// The field that is set.
        field: u8,
        /// The field of the code.
        mac: u8,
    },
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
    /// An even number of digits that ends in (or begins with) the nibble by which readers know that
    /// the number is odd.
    #[error("has a digit that would be read as filler, because its length counts bytes")]
    LikeFiller,
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
