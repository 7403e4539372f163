//! Messages for people to read: what each field is, where it stands, what is wrong with it.
//!
//! ```
//! use iso8583::{Dialect, Message};
//!
//! let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
//! let body = b"\x08\x00\x00\x20\0\0\0\0\0\x10\x00\x00\x42\x00\x11\x00\0\0\x01\x00\x30";
//! let text = Message::parse(dialect, body)?.describe().to_string();
//! assert!(text.contains("ISO 8583:1987, network management, request, from the acquirer"));
//! assert!(text.contains("60.3"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod table;
mod words;

use std::ops::Range;

use serde::Serialize;

use crate::bitmap::Bitmap;
use crate::dialect::MtiEncoding;
use crate::error::ParseError;
use crate::field::Field;
use crate::mask::{MASK, hex_of_joined};
use crate::message::{Lenient, Message, Partial};
use crate::paint::printable;
use crate::path::Path;
use crate::read;

/// A message set out line by line. `Display` makes aligned columns of it.
///
/// Sensitive values, and card numbers wherever they stand, are masked.
#[derive(Clone)]
pub struct Describe<'m, 'a> {
    message: &'m Message<'a>,
    problems: &'m [ParseError],
    rest: &'a [u8],
    colour: bool,
    unmasked: bool,
}

/// One line of a description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// `type`, `bitmap`, `rest`, or the path of a field or subfield, such as `60.3`.
    pub path: String,
    /// What the dialect calls it; for type and bitmap what they say in words.
    pub name: String,
    /// The format in the notation of the standard, such as `n..19`; empty where there is none.
    pub notation: String,
    /// The value as [`Field::masked`] or, when asked for, [`Field::text`] gives it; control
    /// characters are escaped.
    pub value: String,
    /// Whether something of the value is not shown.
    pub masked: bool,
    /// Bytes from the beginning of the message to the content.
    pub start: usize,
    /// … and to its end.
    pub end: usize,
    /// 0 for a field, 1 for its subfields, and so on.
    pub depth: usize,
    /// What strict reading refuses here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Something that the dialect would not have written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Bytes from the beginning of the message to what is wrong.
    pub offset: usize,
    /// What is wrong there.
    pub reason: String,
}

impl<'a> Message<'a> {
    /// The message set out line by line.
    #[must_use]
    pub fn describe(&self) -> Describe<'_, 'a> {
        Describe { message: self, problems: &[], rest: &[], colour: false, unmasked: false }
    }
}

impl<'a> Lenient<'a> {
    /// The message set out line by line, every deviation at its field.
    #[must_use]
    pub fn describe(&self) -> Describe<'_, 'a> {
        Describe { problems: &self.deviations, rest: self.rest, ..self.message.describe() }
    }
}

impl<'a> Partial<'a> {
    /// What was read set out line by line, the error at its field; `None` when nothing was read.
    #[must_use]
    pub fn describe(&self) -> Option<Describe<'_, 'a>> {
        let message = self.message.as_ref()?;
        let last = message.fields().last();
        let read = match last {
            Some(field) => field.offset() + field.bytes().len(),
            None => fields_start(message),
        };
        let rest = message.body().get(read..).unwrap_or_default();
        Some(Describe { problems: self.error.as_slice(), rest, ..message.describe() })
    }
}

impl Describe<'_, '_> {
    /// With colours, as SGR sequences, or without them (the default).
    #[must_use]
    pub fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }

    /// With all values in full. What is printed then must be kept as carefully as the card data,
    /// PINs and keys in it.
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.unmasked = true;
        self
    }

    /// The lines.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Rows { rows: self.head(), unmasked: self.unmasked };
        for field in self.message.fields() {
            rows.field(&field, 0);
        }
        for problem in self.problems {
            rows.problem(self.message, problem);
        }
        self.rest_row(&mut rows);
        rows.rows
    }

    /// Type and bitmap.
    fn head(&self) -> Vec<Row> {
        let type_end = if self.message.dialect().mti == MtiEncoding::Bcd { 2 } else { 4 };
        let numbers = announced(self.message);
        let numbers = match numbers.as_slice() {
            [] => "no field".to_owned(),
            numbers => numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(" "),
        };
        let mti = self.message.mti();
        let mti_text = format!("{mti}  {}", words::of(mti));
        let bitmap_end = fields_start(self.message).max(type_end);
        vec![
            Row { name: "Message type".to_owned(), ..Row::new("type", mti_text, 0..type_end) },
            Row { name: "Fields present".to_owned(), ..Row::new("bitmap", numbers, type_end..bitmap_end) },
        ]
    }

    /// What was not read. Where a PIN or a key may be in it, nothing of it is shown.
    fn rest_row(&self, rows: &mut Rows) {
        let end = self.message.body().len();
        let problems: Vec<Problem> =
            self.problems.iter().filter(|error| error.path() == Path::End).map(Problem::from).collect();
        if self.rest.is_empty() && problems.is_empty() {
            return;
        }
        let sensitive = self.unread_sensitive();
        let (name, value, masked) = if sensitive.is_empty() || self.unmasked {
            let (value, masked) = shown_unread(self.rest, self.unmasked);
            ("Not read".to_owned(), value, masked)
        } else {
            (format!("Not read, with field {}", sensitive.join(", ")), MASK.to_owned(), true)
        };
        let start = end - self.rest.len().min(end);
        rows.rows.push(Row { name, masked, problems, ..Row::new("rest", value, start..end) });
    }

    /// Fields that were announced and not read and whose values must not be shown.
    fn unread_sensitive(&self) -> Vec<String> {
        let (message, dialect) = (self.message, self.message.dialect());
        let sensitivity = |number| dialect.sensitivity_of(number, message.mti(), |path| message.text(path));
        announced(message)
            .into_iter()
            .filter(|number| !message.has(*number) && sensitivity(*number).is_sensitive())
            .map(|number| number.to_string())
            .collect()
    }
}

impl Row {
    fn new(path: &str, value: String, bytes: Range<usize>) -> Self {
        Self {
            path: path.to_owned(),
            name: String::new(),
            notation: String::new(),
            value,
            masked: false,
            start: bytes.start,
            end: bytes.end,
            depth: 0,
            problems: Vec::new(),
        }
    }
}

struct Rows {
    rows: Vec<Row>,
    unmasked: bool,
}

impl Rows {
    fn field(&mut self, field: &Field<'_>, depth: usize) {
        let (value, masked) = shown(field, self.unmasked);
        let start = field.offset();
        self.rows.push(Row {
            name: printable(field.format().name()),
            notation: field.format().notation(),
            masked,
            depth,
            ..Row::new(&path_text(field.path()), value, start..start + field.bytes().len())
        });
        for subfield in field.subfields().map_while(Result::ok) {
            self.field(&subfield, depth + 1);
        }
    }

    /// Marks a problem at its row; a field that was not read gets one.
    fn problem(&mut self, message: &Message<'_>, error: &ParseError) {
        let mut path = match error.path() {
            Path::End => return,
            Path::Mti => "type".to_owned(),
            Path::Bitmap => "bitmap".to_owned(),
            path => path_text(path),
        };
        loop {
            // The last of equal paths that does not begin behind the problem.
            let here = |row: &&mut Row| row.path == path && row.start <= error.offset().max(row.start.min(1));
            if let Some(row) = self.rows.iter_mut().rev().find(here) {
                row.problems.push(Problem::from(error));
                return;
            }
            // A subfield that was not read is told about at what is around it.
            match path.rfind(['.', '/']) {
                Some(end) => path.truncate(end),
                None => break,
            }
        }
        let format = error.path().field().and_then(|number| message.dialect().field(number));
        self.rows.push(Row {
            name: format.map_or(String::new(), |format| printable(format.name())),
            notation: format.map_or(String::new(), |format| format.notation()),
            problems: vec![Problem::from(error)],
            ..Row::new(&path, String::new(), error.offset()..error.offset())
        });
    }
}

impl From<&ParseError> for Problem {
    fn from(error: &ParseError) -> Self {
        Self { offset: error.offset(), reason: error.reason().to_string() }
    }
}

/// The fields that the bitmaps announce, also those that could not be read.
pub(crate) fn announced(message: &Message<'_>) -> Vec<u8> {
    head(message).map_or(Vec::new(), |(bitmap, _)| bitmap.iter().collect())
}

/// Where the first field begins.
fn fields_start(message: &Message<'_>) -> usize {
    head(message).map_or(0, |(_, start)| start)
}

fn head(message: &Message<'_>) -> Option<(Bitmap, usize)> {
    let mut notes: Vec<ParseError> = Vec::new();
    let (_, bitmap, start) = read::head(message.dialect(), message.body(), &mut notes).ok()?;
    Some((bitmap, start))
}

/// A path without the word `field`.
pub(crate) fn path_text(path: Path) -> String {
    let text = path.to_string();
    text.strip_prefix("field ").map_or(text.clone(), str::to_owned)
}

/// The value of a field as it may be shown, and whether something of it is not.
pub(crate) fn shown(field: &Field<'_>, unmasked: bool) -> (String, bool) {
    if unmasked {
        return (printable(&field.text()), false);
    }
    let masked = field.masked();
    (printable(&masked), masked != field.text())
}

fn shown_unread(bytes: &[u8], unmasked: bool) -> (String, bool) {
    let full: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if unmasked {
        return (full, false);
    }
    let scrubbed = hex_of_joined(bytes);
    let masked = scrubbed != full;
    (scrubbed, masked)
}
