//! A message put together field by field.

mod compose;

use std::fmt;

use bytes::BufMut;

use crate::bitmap::{Bitmap, THIRD_FIELD, ThirdBitmap};
use crate::dialect::{Dialect, When};
use crate::error::{BuildError, ValueError};
use crate::format::FieldFormat;
use crate::message::{MAX_MESSAGE_BYTES, Message};
use crate::mti::Mti;
use crate::plan::Plan;
use crate::structure::Structure;
use crate::view::View;
use crate::write;

pub(crate) use compose::Composer;
pub use compose::Content;

/// Builds one message. Each value is checked against its field when it is set; the bitmap follows
/// from what was set.
///
/// A builder that is [cleared](Builder::clear) and used again does not allocate once it has seen
/// its largest message. `Debug` prints field numbers only, because values may be secret.
#[derive(Clone)]
pub struct Builder<'d> {
    dialect: &'d Dialect,
    mti: Mti,
    bitmap: Bitmap,
    /// Fields as they will stand on the wire, prefix included, in the order they were set.
    wire: Vec<u8>,
    /// Places in `wire`, in ascending order of field number.
    places: Vec<Place>,
    /// Whether `wire` holds the fields in their order and nothing else.
    in_order: bool,
}

#[derive(Clone, Copy)]
struct Place {
    number: u8,
    start: u32,
    end: u32,
}

impl<'d> Builder<'d> {
    /// Starts a message without fields.
    #[must_use]
    pub fn new(dialect: &'d Dialect, mti: Mti) -> Self {
        // Most messages fit, so that setting fields seldom allocates.
        let (wire, places) = (Vec::with_capacity(256), Vec::with_capacity(16));
        Self { dialect, mti, bitmap: Bitmap::default(), wire, places, in_order: true }
    }

    /// Starts another message, without fields, in the memory of the last.
    pub fn clear(&mut self, mti: Mti) -> &mut Self {
        self.mti = mti;
        self.bitmap = Bitmap::default();
        self.wire.clear();
        self.places.clear();
        self.in_order = true;
        self
    }

    /// Starts the reply to `message`: its type plus ten without the repeat bit, and those of the
    /// fields in `echo` that it carries, copied byte for byte.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoResponse`] when the message's type has no response.
    pub fn reply_to(message: &Message<'d>, echo: &[u8]) -> Result<Self, BuildError> {
        let mti = message.mti().response().ok_or(BuildError::NoResponse(message.mti()))?;
        let mut reply = Self::new(message.dialect(), mti);
        echo.iter().filter_map(|number| message.field(*number)).for_each(|field| reply.copy(&field));
        Ok(reply)
    }

    /// Starts a message of the same type with the same fields, byte for byte.
    #[must_use]
    pub fn copy_of(message: &Message<'d>) -> Self {
        let mut copy = Self::new(message.dialect(), message.mti());
        message.fields().for_each(|field| copy.copy(&field));
        copy
    }

    fn copy(&mut self, field: &crate::Field<'_>) {
        let start = self.wire.len();
        write::prefix(field.format(), field.len(), &mut self.wire);
        self.wire.extend_from_slice(field.bytes());
        self.keep(field.number(), start);
    }

    /// The message type.
    #[must_use]
    pub fn mti(&self) -> Mti {
        self.mti
    }

    pub(crate) fn set_mti(&mut self, mti: Mti) {
        self.mti = mti;
    }

    /// The dialect of the message.
    #[must_use]
    pub fn dialect(&self) -> &'d Dialect {
        self.dialect
    }

    /// Sets field `number` to a value given as text, in the form of
    /// [`Field::text`](crate::Field::text): hexadecimal (either case) for class `b`, characters
    /// otherwise. A fixed field takes exactly its length, unless the dialect says what a shorter
    /// value is filled up with. A field set twice keeps the later value.
    ///
    /// # Errors
    ///
    /// [`BuildError::Value`] when the field cannot hold the value, [`BuildError::Undefined`] when
    /// the dialect has no such field. The builder is unchanged then.
    #[inline]
    pub fn set(&mut self, number: u8, text: &str) -> Result<&mut Self, BuildError> {
        let start = self.wire.len();
        if self.dialect.quick(number).put_text(text, &mut self.wire) {
            self.keep(number, start);
            return Ok(self);
        }
        self.append(number, |format, out| write::text(format, text, out))
    }

    /// Sets field `number` to a value given as bytes: the bytes themselves for class `b`, one byte
    /// for each character otherwise (GBK text for `ans`, ASCII digits for `n` also where the wire
    /// packs them, Latin-1 where it has EBCDIC).
    ///
    /// # Errors
    ///
    /// As [`Builder::set`].
    #[inline]
    pub fn set_bytes(&mut self, number: u8, value: &[u8]) -> Result<&mut Self, BuildError> {
        let start = self.wire.len();
        if self.dialect.quick(number).put(value, &mut self.wire) {
            self.keep(number, start);
            return Ok(self);
        }
        self.append(number, |format, out| write::bytes(format, value, out))
    }

    /// The finished message.
    ///
    /// # Errors
    ///
    /// [`BuildError::TooLong`] when it exceeds [`MAX_MESSAGE_BYTES`].
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let mut out = Vec::with_capacity(52 + self.wire.len());
        self.build_into(&mut out)?;
        Ok(out)
    }

    /// Appends the finished message to `out`.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; `out` is unchanged then.
    pub fn build_into(&self, out: &mut impl BufMut) -> Result<(), BuildError> {
        self.write(self.bitmap, out)
    }

    /// Appends the finished message to `out`, with a message authentication code as its last
    /// field, 64 or 128. `mac` gets the final bytes from the message type to the last byte before
    /// that field, the bitmap announcing it, and gives the field's value.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`], [`BuildError::AfterMac`] when a later field is set, and what
    /// [`Builder::set_bytes`] says of the value; `out` is unchanged then.
    pub fn build_with_mac<M: AsRef<[u8]>>(
        &self,
        out: &mut Vec<u8>,
        field: u8,
        mac: impl FnOnce(&[u8]) -> M,
    ) -> Result<(), BuildError> {
        let format = self.dialect.field(field).ok_or(BuildError::Undefined(field))?;
        if let Some(last) = self.places.last().filter(|place| place.number >= field) {
            return Err(BuildError::AfterMac { field: last.number, mac: field });
        }
        let start = out.len();
        let mut bitmap = self.bitmap;
        bitmap.insert(field);
        self.write(bitmap, out)?;
        let value = mac(out.get(start..).unwrap_or_default());
        let written = write::bytes(format, value.as_ref(), out)
            .map_err(|reason| BuildError::Value { field, reason })
            .and_then(|()| check_size(out.len() - start));
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write(&self, bitmap: Bitmap, out: &mut impl BufMut) -> Result<(), BuildError> {
        let (head, head_len) = write::head(self.dialect.mti, self.dialect.bitmap, self.mti, bitmap);
        let third = (bitmap.has_word(2) && self.dialect.bitmap.third == ThirdBitmap::Field65)
            .then(|| write::word(self.dialect.bitmap.encoding, bitmap.third()));
        let fields: usize = if self.in_order {
            self.wire.len()
        } else {
            self.places.iter().map(|place| place.range().len()).sum()
        };
        check_size(head_len + fields + third.map_or(0, |(_, len)| len))?;
        out.put_slice(head.get(..head_len).unwrap_or(&head));
        if self.in_order && third.is_none() {
            out.put_slice(&self.wire);
            return Ok(());
        }
        let put = |places: &[Place], out: &mut dyn FnMut(&[u8])| {
            places.iter().for_each(|place| out(self.wire.get(place.range()).unwrap_or_default()));
        };
        let split = self.places.partition_point(|place| place.number < THIRD_FIELD);
        let (before, after) = self.places.split_at_checked(split).unwrap_or((&self.places, &[]));
        put(before, &mut |bytes| out.put_slice(bytes));
        if let Some((word, len)) = third {
            out.put_slice(word.get(..len).unwrap_or(&word));
        }
        put(after, &mut |bytes| out.put_slice(bytes));
        Ok(())
    }

    #[cold]
    fn append(
        &mut self,
        number: u8,
        write: impl FnOnce(&FieldFormat, &mut Vec<u8>) -> Result<(), ValueError>,
    ) -> Result<&mut Self, BuildError> {
        let format = self.dialect.field(number).ok_or(BuildError::Undefined(number))?;
        if number == THIRD_FIELD && self.dialect.bitmap.third != ThirdBitmap::None {
            return Err(BuildError::Undefined(number));
        }
        let start = self.wire.len();
        write(format, &mut self.wire).map_err(|reason| BuildError::Value { field: number, reason })?;
        self.keep(number, start);
        Ok(self)
    }

    #[inline]
    fn keep(&mut self, number: u8, start: usize) {
        #[allow(clippy::cast_possible_truncation, reason = "at most 192 fields of 64 KiB, often replaced")]
        let place = Place { number, start: start as u32, end: self.wire.len() as u32 };
        self.bitmap.insert(number);
        if self.places.last().is_none_or(|last| last.number < number) {
            self.places.push(place);
            return;
        }
        self.in_order = false;
        match self.places.binary_search_by_key(&number, |place| place.number) {
            Ok(at) => {
                if let Some(entry) = self.places.get_mut(at) {
                    *entry = place;
                }
            }
            Err(at) => self.places.insert(at, place),
        }
    }

    /// What is inside field `number`, given the type and the fields set so far.
    pub(crate) fn structure_of<'s>(&'s self, number: u8, format: &'d FieldFormat) -> &'d Structure {
        let mut rules = self.dialect.structure_rules.iter().filter(|rule| rule.field == number);
        rules
            .find(|rule| rule.applies(self.mti, false, |when, value| self.is(when, value)))
            .map_or(&format.structure, |rule| &rule.then)
    }

    /// Whether the text at the path of a condition is `value`; `None` when it is not set.
    fn is(&self, when: &When, value: &str) -> Option<bool> {
        let at = self.places.binary_search_by_key(&when.field, |place| place.number).ok()?;
        let format = self.dialect.field(when.field)?;
        let extent = Plan::of(format).extent(&self.wire, self.places.get(at)?.range().start).ok()?;
        let view = View::new(format, self.wire.get(extent.start..extent.end)?, extent.units);
        let view = match when.part {
            None => view,
            Some(part) => {
                let part = format.parts().get(usize::from(part).checked_sub(1)?)?;
                view.part(part.start, part.length.or_else(|| view.units.checked_sub(part.start))?)?
            }
        };
        Some(view.is_text(value))
    }
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

fn check_size(built: usize) -> Result<(), BuildError> {
    if built > MAX_MESSAGE_BYTES { Err(BuildError::TooLong(built)) } else { Ok(()) }
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({} ", self.mti)?;
        f.debug_list().entries(self.bitmap.iter()).finish()?;
        f.write_str(")")
    }
}
