//! Where something is in a message.

use std::fmt;

/// How deep structures may stand inside each other: a subfield of a subfield of a subfield of a
/// subfield.
pub const MAX_DEPTH: usize = 4;

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
    /// A subfield.
    Sub(SubPath),
    /// The end of the message, after the last field.
    End,
}

/// A field and the steps to one of its subfields. Prints as `60.3`, `55/9F06` or `127.25.3`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SubPath {
    field: u8,
    len: u8,
    steps: [Step; MAX_DEPTH],
}

/// One step from a field or subfield down to a subfield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A positional subfield from 1, or a field of a nested bitmap.
    Part(u8),
    /// A tagged subfield.
    Tag(Tag),
}

/// A tag: up to eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    bytes: [u8; 8],
    len: u8,
    ber: bool,
}

impl Path {
    /// The path one step below; `None` when that is deeper than [`MAX_DEPTH`].
    pub(crate) fn below(self, step: Step) -> Option<Self> {
        let mut path = match self {
            Self::Field(field) => SubPath { field, len: 0, steps: [Step::Part(0); MAX_DEPTH] },
            Self::Sub(path) => path,
            _ => return None,
        };
        *path.steps.get_mut(usize::from(path.len))? = step;
        path.len += 1;
        Some(Self::Sub(path))
    }

    /// The number of the field that the place is in; `None` outside of fields.
    #[must_use]
    pub fn field(&self) -> Option<u8> {
        match self {
            Self::Field(field) => Some(*field),
            Self::Sub(path) => Some(path.field),
            _ => None,
        }
    }

    /// The steps below the field; empty for a field itself.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Sub(path) => path.steps(),
            _ => &[],
        }
    }
}

impl SubPath {
    /// The field's number.
    #[must_use]
    pub fn field(&self) -> u8 {
        self.field
    }

    /// The steps below the field, at least one and at most [`MAX_DEPTH`].
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        self.steps.get(..usize::from(self.len)).unwrap_or(&self.steps)
    }
}

impl Tag {
    /// A BER tag from its bytes as a big-endian number, such as `0x9F06`.
    #[must_use]
    pub fn ber(number: u32) -> Self {
        let (mut bytes, mut len) = ([0; 8], 0);
        let skipped = (number.leading_zeros() / 8).min(3) as usize;
        for (place, byte) in bytes.iter_mut().zip(number.to_be_bytes().into_iter().skip(skipped)) {
            *place = byte;
            len += 1;
        }
        Self { bytes, len, ber: true }
    }

    /// A tag of one to eight characters, such as `01`; `None` for any other length and for
    /// characters that are not printable ASCII.
    #[must_use]
    pub fn text(characters: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        let place = bytes.get_mut(..characters.len()).filter(|place| !place.is_empty())?;
        place.copy_from_slice(characters);
        let printable = characters.iter().all(|byte| (0x20..0x7F).contains(byte));
        printable.then_some(Self { bytes, len: u8::try_from(characters.len()).ok()?, ber: false })
    }

    /// The tag's bytes; characters are ASCII also where the wire has EBCDIC.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The bytes of a BER tag as a big-endian number; `None` for a tag of characters.
    #[must_use]
    pub fn ber_number(&self) -> Option<u32> {
        self.ber.then(|| self.bytes().iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Whether the tag prints as `name`, hexadecimal digits in either case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        if !self.ber {
            return self.bytes() == name.as_bytes();
        }
        let (pairs, rest) = name.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        rest.is_empty()
            && pairs.len() == self.bytes().len()
            && self.bytes().iter().zip(pairs).all(|(byte, &[high, low])| {
                digit(high) == Some(u32::from(byte >> 4)) && digit(low) == Some(u32::from(byte & 0x0F))
            })
    }

    /// Whether the value of a BER tag is itself a sequence of data objects (bit 6 of the first
    /// byte, ISO/IEC 8825-1).
    #[must_use]
    pub fn is_constructed(&self) -> bool {
        self.ber && self.bytes[0] & 0x20 != 0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mti => f.write_str("message type"),
            Self::Bitmap => f.write_str("bitmap"),
            Self::Field(number) => write!(f, "field {number}"),
            Self::Sub(path) => write!(f, "field {path}"),
            Self::End => f.write_str("end of message"),
        }
    }
}

impl fmt::Display for SubPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        self.steps().iter().try_for_each(|step| match step {
            Step::Part(number) => write!(f, ".{number}"),
            Step::Tag(tag) => write!(f, "/{tag}"),
        })
    }
}

impl fmt::Debug for SubPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(number) => write!(f, "{number}"),
            Self::Tag(tag) => write!(f, "{tag}"),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| {
            if self.ber { write!(f, "{byte:02X}") } else { write!(f, "{}", char::from(*byte)) }
        })
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_they_are_asked_for() {
        let below = |path: Path, step| path.below(step).unwrap();
        let field = Path::Field(127);
        assert_eq!(below(below(field, Step::Part(25)), Step::Part(3)).to_string(), "field 127.25.3");
        assert_eq!(below(Path::Field(55), Step::Tag(Tag::ber(0x9F06))).to_string(), "field 55/9F06");
        let status = Step::Tag(Tag::text(b"01").unwrap());
        assert_eq!(below(Path::Field(62), status).to_string(), "field 62/01");
    }

    #[test]
    fn a_path_has_at_most_four_steps() {
        let deep = (0..4).try_fold(Path::Field(55), |path, _| path.below(Step::Tag(Tag::ber(0x70))));
        assert_eq!(deep.unwrap().to_string(), "field 55/70/70/70/70");
        assert_eq!(deep.unwrap().below(Step::Part(1)), None);
        assert_eq!(Path::End.below(Step::Part(1)), None);
    }

    #[test]
    fn tags_keep_their_bytes() {
        assert_eq!(Tag::ber(0).bytes(), [0]);
        assert_eq!(Tag::ber(0xDF_8105).ber_number(), Some(0xDF_8105));
        assert!(Tag::ber(0x70).is_constructed() && !Tag::ber(0x9F06).is_constructed());
        assert_eq!(Tag::text(b""), None);
        assert_eq!(Tag::text(b"123456789"), None);
        assert_eq!(Tag::text(b"a\n"), None);
        assert_eq!(Tag::text(b"p").unwrap().ber_number(), None);
    }
}
