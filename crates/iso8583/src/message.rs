//! A message read from bytes.

use std::borrow::Cow;
use std::fmt;

use crate::bitmap::Bitmap;
use crate::dialect::Dialect;
use crate::error::{ParseError, ParseReason, Path};
use crate::field::Field;
use crate::format::FieldFormat;
use crate::mti::Mti;
use crate::read::{self, Failure};

/// The largest message body, in bytes: what a two-byte length can announce.
pub const MAX_MESSAGE_BYTES: usize = 0xFFFF;

/// A message that borrows the bytes it was read from.
///
/// Reading is strict: whatever the dialect would not write in the same way is refused, so building
/// the fields of an accepted message gives the same bytes again.
///
/// `Debug` prints the fields with sensitive values masked.
#[derive(Clone)]
pub struct Message<'a> {
    dialect: &'a Dialect,
    mti: Mti,
    bitmap: Bitmap,
    body: &'a [u8],
    /// One for each field, in ascending order of field number.
    spans: Vec<Span>,
}

/// Where the content of a field is in the body, and how many characters it has. Bodies are at most
/// [`MAX_MESSAGE_BYTES`] long, so 16 bits are enough.
#[derive(Clone, Copy)]
struct Span {
    start: u16,
    end: u16,
    units: u16,
}

impl<'a> Message<'a> {
    /// Reads one message, from its type indicator to its last byte.
    ///
    /// # Errors
    ///
    /// The first thing that `dialect` would not have written, with field and byte offset: a
    /// truncated field, a bad digit, a length above the maximum, an undefined field, a filler
    /// nibble other than the dialect's, bytes after the last field.
    pub fn parse(dialect: &'a Dialect, body: &'a [u8]) -> Result<Self, ParseError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(ParseError::new(Path::End, MAX_MESSAGE_BYTES, ParseReason::TooLong(body.len())));
        }
        let at = |path| move |error| error_at(body, path, error);
        let (rest, mti) = read::mti(dialect.mti, body).map_err(at(Path::Mti))?;
        let (mut rest, bitmap) = read::bitmap(dialect.bitmap, rest).map_err(at(Path::Bitmap))?;
        let mut spans = Vec::with_capacity(bitmap.len());
        for number in bitmap.iter() {
            let path = Path::Field(number);
            let Some(format) = dialect.field(number) else {
                return Err(ParseError::new(path, body.len() - rest.len(), ParseReason::Undefined));
            };
            let (after, (content, units)) = read::field(format, rest).map_err(at(path))?;
            let end = body.len() - after.len();
            spans.push(Span { start: narrow(end - content.len()), end: narrow(end), units: narrow(units) });
            rest = after;
        }
        if !rest.is_empty() {
            return Err(ParseError::new(
                Path::End,
                body.len() - rest.len(),
                ParseReason::Trailing(rest.len()),
            ));
        }
        Ok(Self { dialect, mti, bitmap, body, spans })
    }

    /// The type of a message that need not be readable any further: what a format error is
    /// answered with. `None` when not even the type is.
    #[must_use]
    pub fn peek_mti(dialect: &Dialect, body: &[u8]) -> Option<Mti> {
        read::mti(dialect.mti, body).ok().map(|(_, mti)| mti)
    }

    /// The message type.
    #[must_use]
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// The dialect the message was read in.
    #[must_use]
    pub fn dialect(&self) -> &'a Dialect {
        self.dialect
    }

    /// The bytes the message was read from.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the message carries field `number`.
    #[must_use]
    pub fn has(&self, number: u8) -> bool {
        number > 1 && self.bitmap.contains(number)
    }

    /// Field `number`, or `None` when the message does not carry it.
    #[must_use]
    pub fn field(&self, number: u8) -> Option<Field<'a>> {
        let (format, content, units) = self.content(number)?;
        let sensitivity = self.dialect.sensitivity(format, self.mti, |path| self.text(path));
        Some(Field { format, content, units, sensitivity })
    }

    /// All fields in ascending order of their numbers.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        self.bitmap.iter().filter_map(|number| self.field(number))
    }

    /// The unmasked text at a path: a field such as `"41"`, or a positional subfield such as
    /// `"60.3"`. `None` when the message does not carry it or the path is not one.
    ///
    /// See [`Field::text`] for the form.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        let (number, part) = match path.split_once('.') {
            Some((number, part)) => (number, Some(part.parse().ok()?)),
            None => (path, None),
        };
        let (format, content, units) = self.content(number.parse().ok()?)?;
        // Sensitivity does not matter to unmasked text, and working it out may need this function.
        let field = Field { format, content, units, sensitivity: format.sensitivity };
        match part {
            Some(part) => field.part(part),
            None => Some(field.text()),
        }
    }

    /// The content of field `number` as it is on the wire, after its length prefix.
    #[must_use]
    pub fn bytes(&self, number: u8) -> Option<&'a [u8]> {
        self.content(number).map(|(_, content, _)| content)
    }

    fn content(&self, number: u8) -> Option<(&'a FieldFormat, &'a [u8], usize)> {
        if !self.has(number) {
            return None;
        }
        let span = self.spans.get(self.bitmap.rank(number))?;
        let content = self.body.get(usize::from(span.start)..usize::from(span.end))?;
        Some((self.dialect.field(number)?, content, usize::from(span.units)))
    }
}

fn narrow(within_body: usize) -> u16 {
    // The body's length was checked, and no field has more characters than twice its bytes; a
    // dialect limits a field to 65,535 characters.
    u16::try_from(within_body).unwrap_or(u16::MAX)
}

fn error_at(body: &[u8], path: Path, error: nom::Err<Failure<'_>>) -> ParseError {
    match error {
        nom::Err::Error(failure) | nom::Err::Failure(failure) => {
            ParseError::new(path, body.len() - failure.rest.len(), failure.reason)
        }
        // Only streaming parsers ask for more, and none is used.
        nom::Err::Incomplete(_) => {
            ParseError::new(path, body.len(), ParseReason::Truncated { needed: 1, left: 0 })
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} ", self.mti)?;
        f.debug_map().entries(self.fields().map(|field| (field.number(), field.masked()))).finish()?;
        f.write_str(")")
    }
}
