//! A message read from bytes.

mod typed;

use std::borrow::Cow;
use std::fmt;

use crate::bitmap::{Bitmap, THIRD_FIELD, ThirdBitmap};
use crate::dialect::{Dialect, Rule, When};
use crate::error::{ParseError, ParseReason};
use crate::field::Field;
use crate::format::FieldFormat;
use crate::mask::Sensitivity;
use crate::mti::Mti;
use crate::path::Path;
use crate::plan::{Extent, Plan};
use crate::quick;
use crate::read::{self, Notes, Strict};
use crate::structure::{self, Structure};
use crate::view::{Asked, View};

/// The largest message body, in bytes: what a two-byte length can announce.
pub const MAX_MESSAGE_BYTES: usize = 0xFFFF;

/// A message that borrows the bytes it was read from.
///
/// Reading does not allocate. It is strict unless asked otherwise: whatever the dialect would not
/// write in the same way is refused, so building the fields of an accepted message gives the same
/// bytes again.
///
/// `Debug` prints the fields with sensitive values masked.
#[derive(Clone)]
pub struct Message<'a> {
    dialect: &'a Dialect,
    mti: Mti,
    bitmap: Bitmap,
    body: &'a [u8],
    /// Where the first field begins.
    start: u16,
    ends: Ends,
}

/// Where each of the first fields ends, in the order of field numbers. Few messages have more;
/// what comes after is found by walking on from the last.
#[derive(Clone)]
pub(crate) struct Ends([u16; Ends::KEPT]);

impl Ends {
    const KEPT: usize = 32;

    #[inline]
    pub(crate) fn slots(&mut self) -> impl Iterator<Item = &mut u16> {
        self.0.iter_mut()
    }

    #[inline]
    pub(crate) fn set(&mut self, place: usize, end: usize) {
        if let Some(kept) = self.0.get_mut(place) {
            *kept = narrow(end);
        }
    }
}

/// What strict reading made of a message up to the first deviation.
#[derive(Clone, Debug)]
pub struct Partial<'a> {
    /// The fields before the deviation; `None` when not even the bitmap could be read.
    pub message: Option<Message<'a>>,
    /// The deviation; `None` for a message that strict reading accepts.
    pub error: Option<ParseError>,
}

/// What lenient reading made of a message.
#[derive(Clone)]
pub struct Lenient<'a> {
    /// The fields that could be read, some perhaps with content that the dialect forbids.
    pub message: Message<'a>,
    /// All that strict reading would have refused, in the order of the bytes.
    pub deviations: Vec<ParseError>,
    /// What is left where reading had to stop, or what follows the last field.
    pub rest: &'a [u8],
}

impl fmt::Debug for Lenient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lenient")
            .field("message", &self.message)
            .field("deviations", &self.deviations)
            .field("rest_bytes", &self.rest.len())
            .finish()
    }
}

impl<'a> Message<'a> {
    /// Reads one message, from its type indicator to its last byte.
    ///
    /// # Errors
    ///
    /// The first thing that `dialect` would not have written, with field and byte offset: a
    /// truncated field, a bad digit, a length above the maximum, an undefined field, a filler
    /// nibble other than the dialect's, a structure that does not hold, bytes after the last
    /// field. [`Message::parse_partial`] keeps the fields before it.
    #[inline]
    pub fn parse(dialect: &'a Dialect, body: &'a [u8]) -> Result<Self, ParseError> {
        check_size(body)?;
        let (mti, bitmap, start) = match quick::head(dialect.mti, dialect.bitmap, body) {
            Some(head) => head,
            None => read::head(dialect, body, &mut Strict)?,
        };
        let mut message = Self::empty(dialect, body, mti, bitmap, start);
        if !quick::fields(&dialect.quick, body, start, bitmap, &mut message.ends) {
            read::fields(dialect, body, start, &mut message.bitmap, &mut message.ends, &mut Strict)?;
        }
        message.check_structures(&mut Strict)?;
        Ok(message)
    }

    /// Reads as [`Message::parse`] does and keeps what was read before the first deviation.
    #[must_use]
    pub fn parse_partial(dialect: &'a Dialect, body: &'a [u8]) -> Partial<'a> {
        let head = check_size(body).and_then(|()| read::head(dialect, body, &mut Strict));
        let (mti, bitmap, start) = match head {
            Ok(head) => head,
            Err(error) => return Partial { message: None, error: Some(error) },
        };
        let mut message = Self::empty(dialect, body, mti, bitmap, start);
        let error = read::fields(dialect, body, start, &mut message.bitmap, &mut message.ends, &mut Strict)
            .and_then(|_| message.check_structures(&mut Strict))
            .err();
        Partial { message: Some(message), error }
    }

    /// Reads what can be read and lists every deviation from the dialect.
    ///
    /// Content of the wrong class or length, another filler nibble and structures that do not hold
    /// are kept as they are. Where the place of the next field is not known any more, reading
    /// stops.
    ///
    /// # Errors
    ///
    /// When message type or bitmap cannot be read.
    pub fn parse_lenient(dialect: &'a Dialect, body: &'a [u8]) -> Result<Lenient<'a>, ParseError> {
        check_size(body)?;
        let mut deviations = Vec::new();
        let (mti, bitmap, start) = read::head(dialect, body, &mut deviations)?;
        let mut message = Self::empty(dialect, body, mti, bitmap, start);
        let read =
            read::fields(dialect, body, start, &mut message.bitmap, &mut message.ends, &mut deviations);
        let end = match read {
            Ok(end) => end,
            Err(error) => {
                deviations.push(error);
                message.end()
            }
        };
        // Notes of a list never stop the reading.
        let _ = message.check_structures(&mut deviations);
        deviations.sort_by_key(ParseError::offset);
        Ok(Lenient { message, deviations, rest: body.get(end..).unwrap_or_default() })
    }

    /// The type of a message that need not be readable any further: what a format error is
    /// answered with. `None` when not even the type is.
    #[must_use]
    pub fn peek_mti(dialect: &Dialect, body: &[u8]) -> Option<Mti> {
        read::mti(dialect.mti, body).ok().map(|(mti, _)| mti)
    }

    #[inline]
    fn empty(dialect: &'a Dialect, body: &'a [u8], mti: Mti, bitmap: Bitmap, start: usize) -> Self {
        Self { dialect, mti, bitmap, body, start: narrow(start), ends: Ends([0; Ends::KEPT]) }
    }

    #[inline]
    fn check_structures(&self, notes: &mut impl Notes) -> Result<(), ParseError> {
        let structured = self.bitmap.and(self.dialect.structured);
        if structured.is_empty() {
            return Ok(());
        }
        for number in structured.iter() {
            let Some((format, extent)) = self.content(number) else { continue };
            let structure = self.structure_of(number, format);
            if structure.is_checked(format)
                && let Some(field) = self.make_field(number, format, structure, extent)
                && let Err(error) = structure::check(&field)
            {
                notes.note(error)?;
            }
        }
        Ok(())
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
    #[inline]
    pub fn has(&self, number: u8) -> bool {
        self.bitmap.contains(number) && !self.is_bitmap(number)
    }

    /// Whether field `number` is not a field but the third bitmap.
    fn is_bitmap(&self, number: u8) -> bool {
        number == THIRD_FIELD && self.dialect.bitmap.third == ThirdBitmap::Field65
    }

    /// Field `number`, or `None` when the message does not carry it.
    #[must_use]
    #[inline]
    pub fn field(&self, number: u8) -> Option<Field<'a>> {
        let (format, extent) = self.content(number)?;
        self.make_field(number, format, self.structure_of(number, format), extent)
    }

    /// All fields in ascending order of their numbers.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        let mut at = usize::from(self.start);
        self.bitmap.iter().filter_map(move |number| {
            let extent = self.plan(number).extent(self.body, at).ok()?;
            at = extent.end;
            let format = self.dialect.field(number)?;
            self.make_field(number, format, self.structure_of(number, format), extent)
        })
    }

    /// The field or subfield at a path: `"41"`, `"60.3"`, `"55/9F06"`, `"127.25.3"`. `None` when
    /// the message does not carry it or the path is not one.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Field<'a>> {
        let end = path.find(['.', '/']).unwrap_or(path.len());
        let (number, mut rest) = path.split_at_checked(end)?;
        let mut field = self.field(number.parse().ok()?)?;
        while !rest.is_empty() {
            let step = rest.get(1..)?;
            let end = step.find(['.', '/']).unwrap_or(step.len());
            let (step, after) = step.split_at_checked(end)?;
            field = field.sub(step)?;
            rest = after;
        }
        Some(field)
    }

    /// The unmasked text at a path, in the form of [`Field::text`].
    #[must_use]
    pub fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        self.get(path).map(|field| field.text())
    }

    /// The content of field `number` as it is on the wire, after its length prefix.
    #[must_use]
    #[inline]
    pub fn bytes(&self, number: u8) -> Option<&'a [u8]> {
        self.wire(number)?.get(self.prefix_len(number)..)
    }

    /// The value of field `number`: [`Field::value`], for less than a whole [`Field`] costs.
    #[must_use]
    pub fn value(&self, number: u8) -> Option<Cow<'a, [u8]>> {
        Some(self.plain_view(number)?.value())
    }

    /// The number in field `number`, and how many digits write it; `None` where [`Field::u64`] has an error, too.
    #[must_use]
    pub fn number(&self, number: u8) -> Option<(u64, usize)> {
        let view = self.plain_view(number)?;
        let value = match view.short_number(0) {
            Some(value) => value,
            None => self.field(number)?.u64().ok()?,
        };
        (view.units > 0).then_some((value, view.units))
    }

    fn plain_view(&self, number: u8) -> Option<View<'a>> {
        let (format, extent) = self.content(number)?;
        Some(View::new(format, self.body.get(extent.start..extent.end)?, extent.units))
    }

    /// Field `number` as it is on the wire, with its length prefix.
    #[inline]
    pub(crate) fn wire(&self, number: u8) -> Option<&'a [u8]> {
        if !self.has(number) {
            return None;
        }
        let rank = self.bitmap.rank(number);
        let end = match self.ends.0.get(rank) {
            Some(end) => usize::from(*end),
            None => self.start_of(rank + 1),
        };
        self.body.get(self.start_of(rank)..end)
    }

    /// Number and content of every field in ascending order: what [`Message::fields`] gives, for
    /// those who need no more than that.
    #[inline]
    pub fn contents(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut start = usize::from(self.start);
        let mut kept = self.ends.0.iter();
        self.bitmap.iter().filter_map(move |number| {
            let end = match kept.next() {
                Some(end) => usize::from(*end),
                None => self.plan(number).extent(self.body, start).ok()?.end,
            };
            let prefix = self.prefix_len(number);
            let content = self.body.get(start + prefix..end)?;
            start = end;
            (!self.is_bitmap(number)).then_some((number, content))
        })
    }

    #[inline]
    fn prefix_len(&self, number: u8) -> usize {
        // A table of 256 has a place for every number.
        #[allow(clippy::indexing_slicing, reason = "the index is a byte and the table has 256 places")]
        usize::from(self.dialect.prefixes[usize::from(number)])
    }

    #[inline]
    fn make_field(
        &self,
        number: u8,
        format: &'a FieldFormat,
        structure: &'a Structure,
        extent: Extent,
    ) -> Option<Field<'a>> {
        Some(Field {
            format,
            structure,
            view: View::new(format, self.body.get(extent.start..extent.end)?, extent.units),
            sensitivity: self.sensitivity_of(number, format),
            path: Path::Field(number),
            offset: extent.start,
        })
    }

    #[inline]
    fn sensitivity_of(&self, number: u8, format: &FieldFormat) -> Sensitivity {
        if !self.dialect.ruled.contains(number) {
            return format.sensitivity;
        }
        // What cannot be told apart is not shown.
        self.rule(&self.dialect.rules, number, true).map_or(format.sensitivity, |rule| rule.then)
    }

    #[inline]
    fn structure_of(&self, number: u8, format: &'a FieldFormat) -> &'a Structure {
        if !self.dialect.structured.contains(number) {
            return &format.structure;
        }
        self.rule(&self.dialect.structure_rules, number, false).map_or(&format.structure, |rule| &rule.then)
    }

    /// The first rule for a field that holds in this message. The rules of a field mostly ask for the text at one
    /// place, which is looked up once.
    fn rule<'r, T>(&self, rules: &'r [Rule<T>], number: u8, missing: bool) -> Option<&'r Rule<T>> {
        let mut last: Option<(&When, Option<Asked<'_>>)> = None;
        let mut ask = |when: &'r When| match last {
            Some((known, asked)) if known.asks_as(when) => asked,
            _ => {
                let asked = self.view_of(when).map(|view| Asked::new(view, when.is_plain));
                last = Some((when, asked));
                asked
            }
        };
        rules
            .iter()
            .filter(|rule| rule.field == number)
            .find(|rule| rule.applies(self.mti, missing, &mut ask, Asked::is))
    }

    /// What stands at the path of a condition.
    #[inline]
    fn view_of(&self, when: &When) -> Option<View<'a>> {
        let view = self.plain_view(when.field)?;
        match when.part {
            None => Some(view),
            // What a rule makes of the field is not asked for: it may be the rule that asks.
            Some(part) => view.positional(view.format.parts(), part),
        }
    }

    #[inline]
    fn plan(&self, number: u8) -> &'a Plan {
        self.dialect.plans.get(usize::from(number)).unwrap_or(&Plan::UNDEFINED)
    }

    #[inline]
    fn content(&self, number: u8) -> Option<(&'a FieldFormat, Extent)> {
        if !self.has(number) {
            return None;
        }
        let at = self.start_of(self.bitmap.rank(number));
        Some((self.dialect.field(number)?, self.plan(number).extent(self.body, at).ok()?))
    }

    /// Where the field of a rank begins: where the one before it ends.
    #[inline]
    fn start_of(&self, rank: usize) -> usize {
        match rank.checked_sub(1) {
            None => usize::from(self.start),
            Some(before) => match self.ends.0.get(before) {
                Some(end) => usize::from(*end),
                None => self.walk_to(rank),
            },
        }
    }

    /// Where the field of a rank begins whose predecessor's end was not kept.
    #[cold]
    fn walk_to(&self, rank: usize) -> usize {
        let kept = Ends::KEPT;
        let mut at = self.ends.0.last().map_or(0, |end| usize::from(*end));
        for number in self.bitmap.iter().skip(kept).take(rank - kept) {
            at = self.plan(number).extent(self.body, at).map_or(at, |extent| extent.end);
        }
        at
    }

    /// Where the last field that was read ends.
    fn end(&self) -> usize {
        match self.bitmap.rank(u8::MAX).checked_sub(1) {
            None => usize::from(self.start),
            Some(last) if last < Ends::KEPT => self.ends.0.get(last).map_or(0, |end| usize::from(*end)),
            Some(last) => self.walk_to(last + 1),
        }
    }
}

#[inline]
fn check_size(body: &[u8]) -> Result<(), ParseError> {
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(ParseError::new(Path::End, MAX_MESSAGE_BYTES, ParseReason::TooLong(body.len())));
    }
    Ok(())
}

#[inline]
fn narrow(within_body: usize) -> u16 {
    // The body's length was checked.
    u16::try_from(within_body).unwrap_or(u16::MAX)
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} ", self.mti)?;
        f.debug_map().entries(self.fields().map(|field| (field.number(), field.masked()))).finish()?;
        f.write_str(")")
    }
}
