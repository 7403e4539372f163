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
use crate::view::{Asked, View};
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
    /// The largest field number set so far.
    last: u8,
    /// Where the fields are in `wire`, in ascending order of field number, once one was set out of
    /// order. Before that `wire` holds them in their order and nothing else, and this is empty.
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    number: u8,
    start: usize,
    end: usize,
}

impl<'d> Builder<'d> {
    /// Starts a message without fields.
    #[must_use]
    pub fn new(dialect: &'d Dialect, mti: Mti) -> Self {
        // Most messages fit, so that setting fields seldom allocates.
        let wire = Vec::with_capacity(256);
        Self { dialect, mti, bitmap: Bitmap::default(), wire, last: 0, places: Vec::new() }
    }

    /// Starts another message, without fields, in the memory of the last.
    pub fn clear(&mut self, mti: Mti) -> &mut Self {
        self.mti = mti;
        self.bitmap = Bitmap::default();
        self.wire.clear();
        self.places.clear();
        self.last = 0;
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
        echo.iter().for_each(|number| reply.copy(message, *number));
        Ok(reply)
    }

    /// Starts a message of the same type with the same fields, byte for byte.
    #[must_use]
    pub fn copy_of(message: &Message<'d>) -> Self {
        let mut copy = Self::new(message.dialect(), message.mti());
        message.contents().for_each(|(number, _)| copy.copy(message, number));
        copy
    }

    /// Takes over a field with its prefix as it stands in `message`, if it is there.
    fn copy(&mut self, message: &Message<'_>, number: u8) {
        if let Some(wire) = message.wire(number) {
            let start = self.wire.len();
            self.wire.extend_from_slice(wire);
            self.keep(number, start);
        }
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
        if number > self.last
            && self.places.is_empty()
            && self.dialect.quick(number).put_text(text, &mut self.wire)
        {
            self.bitmap.insert(number);
            self.last = number;
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
    #[inline(always)]
    pub fn set_bytes(&mut self, number: u8, value: &[u8]) -> Result<&mut Self, BuildError> {
        if number > self.last
            && self.places.is_empty()
            && self.dialect.quick(number).put(value, &mut self.wire)
        {
            self.bitmap.insert(number);
            self.last = number;
            return Ok(self);
        }
        self.append(number, |format, out| write::bytes(format, value, out))
    }

    /// Sets several fields as [`Builder::set_bytes`] does one; quickest in ascending order.
    ///
    /// # Errors
    ///
    /// As [`Builder::set_bytes`], for the first value that its field cannot hold; the fields before
    /// it are set then.
    pub fn set_all<'v>(
        &mut self,
        fields: impl IntoIterator<Item = (u8, &'v [u8])>,
    ) -> Result<&mut Self, BuildError> {
        for (number, value) in fields {
            self.set_bytes(number, value)?;
        }
        Ok(self)
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
        if self.last >= field {
            return Err(BuildError::AfterMac { field: self.last, mac: field });
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
        let in_order = self.places.is_empty();
        let fields: usize = if in_order {
            self.wire.len()
        } else {
            self.places.iter().map(|place| place.range().len()).sum()
        };
        check_size(head_len + fields + third.map_or(0, |(_, len)| len))?;
        out.put_slice(head.get(..head_len).unwrap_or(&head));
        if in_order && third.is_none() {
            out.put_slice(&self.wire);
            return Ok(());
        }
        let put = |places: &[Place], out: &mut dyn FnMut(&[u8])| {
            places.iter().for_each(|place| out(self.wire.get(place.range()).unwrap_or_default()));
        };
        let places = if in_order { self.walk() } else { self.places.clone() };
        let split = places.partition_point(|place| place.number < THIRD_FIELD);
        let (before, after) = places.split_at_checked(split).unwrap_or((&places, &[]));
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

    fn keep(&mut self, number: u8, start: usize) {
        if number > self.last && self.places.is_empty() {
            self.bitmap.insert(number);
            self.last = number;
            return;
        }
        if self.places.is_empty() {
            self.places = self.walk();
        }
        let place = Place { number, start, end: self.wire.len() };
        self.bitmap.insert(number);
        self.last = self.last.max(number);
        match self.places.binary_search_by_key(&number, |place| place.number) {
            Ok(at) => {
                if let Some(entry) = self.places.get_mut(at) {
                    *entry = place;
                }
            }
            Err(at) => self.places.insert(at, place),
        }
    }

    /// Where the fields are in `wire` when all of them stand there in their order.
    fn walk(&self) -> Vec<Place> {
        let mut start = 0;
        self.bitmap
            .iter()
            .map_while(|number| {
                let plan = self.dialect.plans.get(usize::from(number))?;
                let end = plan.extent(&self.wire, start).ok()?.end;
                let place = Place { number, start, end };
                start = end;
                Some(place)
            })
            .collect()
    }

    /// Where field `number` begins in `wire`.
    fn start_of(&self, number: u8) -> Option<usize> {
        let find =
            |places: &[Place]| places.iter().find(|place| place.number == number).map(|place| place.start);
        if self.places.is_empty() { find(&self.walk()) } else { find(&self.places) }
    }

    /// What is inside field `number`, given the type and the fields set so far.
    pub(crate) fn structure_of<'s>(&'s self, number: u8, format: &'d FieldFormat) -> &'d Structure {
        let mut rules = self.dialect.structure_rules.iter().filter(|rule| rule.field == number);
        rules
            .find(|rule| {
                rule.applies(
                    self.mti,
                    false,
                    |when| Some(Asked::new(self.view_of(when)?, when.is_plain)),
                    Asked::is,
                )
            })
            .map_or(&format.structure, |rule| &rule.then)
    }

    /// What stands at the path of a condition; `None` when it is not set.
    fn view_of(&self, when: &When) -> Option<View<'_>> {
        let format = self.dialect.field(when.field)?;
        let extent = Plan::of(format).extent(&self.wire, self.start_of(when.field)?).ok()?;
        let view = View::new(format, self.wire.get(extent.start..extent.end)?, extent.units);
        match when.part {
            None => Some(view),
            Some(part) => view.positional(format.parts(), part),
        }
    }
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
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
