//! A message put together field by field.

use std::fmt;

use crate::bitmap::Bitmap;
use crate::dialect::Dialect;
use crate::error::{BuildError, ValueError};
use crate::format::FieldFormat;
use crate::message::{MAX_MESSAGE_BYTES, Message};
use crate::mti::Mti;
use crate::write;

/// Builds one message. Each value is checked against its field when it is set; the bitmap follows
/// from what was set.
///
/// `Debug` prints field numbers only, because values may be secret.
#[derive(Clone)]
pub struct Builder<'d> {
    dialect: &'d Dialect,
    mti: Mti,
    bitmap: Bitmap,
    /// Fields as they will stand on the wire, prefix included, in the order they were set.
    wire: Vec<u8>,
    /// Field number and place in `wire`, in ascending order of number.
    places: Vec<(u8, std::ops::Range<usize>)>,
}

impl<'d> Builder<'d> {
    /// Starts a message without fields.
    #[must_use]
    pub fn new(dialect: &'d Dialect, mti: Mti) -> Self {
        // Most messages fit, so that setting fields seldom allocates.
        Self {
            dialect,
            mti,
            bitmap: Bitmap::default(),
            wire: Vec::with_capacity(256),
            places: Vec::with_capacity(16),
        }
    }

    /// Starts the reply to `message`: its type plus ten, and those of the fields in `echo` that it
    /// carries, copied byte for byte.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoResponse`] when the message's type has no response.
    pub fn reply_to(message: &Message<'d>, echo: &[u8]) -> Result<Self, BuildError> {
        let mti = message.mti().response().ok_or(BuildError::NoResponse(message.mti()))?;
        let mut reply = Self::new(message.dialect(), mti);
        for field in echo.iter().filter_map(|number| message.field(*number)) {
            let start = reply.wire.len();
            write::prefix(field.format(), field.len(), &mut reply.wire);
            reply.wire.extend_from_slice(field.bytes());
            reply.keep(field.number(), start);
        }
        Ok(reply)
    }

    /// The message type.
    #[must_use]
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// Sets field `number` to a value given as text, in the form of
    /// [`Field::text`](crate::Field::text): hexadecimal (either case) for class `b`, characters
    /// otherwise. Values are not filled up: a fixed field takes exactly its length. A field set
    /// twice keeps the later value.
    ///
    /// # Errors
    ///
    /// [`BuildError::Value`] when the field cannot hold the value, [`BuildError::Undefined`] when
    /// the dialect has no such field. The builder is unchanged then.
    pub fn set(&mut self, number: u8, text: &str) -> Result<&mut Self, BuildError> {
        self.append(number, |format, out| write::text(format, text, out))
    }

    /// Sets field `number` to a value given as bytes: the bytes themselves for class `b`, one byte
    /// for each character otherwise (GBK text for `ans`, ASCII digits for `n` also where the wire
    /// packs them).
    ///
    /// # Errors
    ///
    /// As [`Builder::set`].
    pub fn set_bytes(&mut self, number: u8, value: &[u8]) -> Result<&mut Self, BuildError> {
        self.append(number, |format, out| write::bytes(format, value, out))
    }

    /// The finished message.
    ///
    /// # Errors
    ///
    /// [`BuildError::TooLong`] when it exceeds [`MAX_MESSAGE_BYTES`].
    pub fn build(&self) -> Result<Vec<u8>, BuildError> {
        let mut out = Vec::with_capacity(36 + self.wire.len());
        self.build_into(&mut out)?;
        Ok(out)
    }

    /// Appends the finished message to `out`.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; `out` is unchanged then.
    pub fn build_into(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let start = out.len();
        write::mti(self.dialect.mti, self.mti, out);
        let (bitmap, used) = self.bitmap.to_bytes();
        write::bitmap(self.dialect.bitmap, bitmap.get(..used).unwrap_or(&bitmap), out);
        for (_, place) in &self.places {
            out.extend_from_slice(self.wire.get(place.clone()).unwrap_or_default());
        }
        let built = out.len() - start;
        if built > MAX_MESSAGE_BYTES {
            out.truncate(start);
            return Err(BuildError::TooLong(built));
        }
        Ok(())
    }

    fn append(
        &mut self,
        number: u8,
        write: impl FnOnce(&FieldFormat, &mut Vec<u8>) -> Result<(), ValueError>,
    ) -> Result<&mut Self, BuildError> {
        let format = self.dialect.field(number).ok_or(BuildError::Undefined(number))?;
        let start = self.wire.len();
        write(format, &mut self.wire).map_err(|reason| BuildError::Value { field: number, reason })?;
        self.keep(number, start);
        Ok(self)
    }

    fn keep(&mut self, number: u8, start: usize) {
        let place = start..self.wire.len();
        self.bitmap.insert(number);
        match self.places.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => {
                if let Some(entry) = self.places.get_mut(at) {
                    entry.1 = place;
                }
            }
            Err(at) => self.places.insert(at, (number, place)),
        }
    }
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({} ", self.mti)?;
        f.debug_list().entries(self.bitmap.iter()).finish()?;
        f.write_str(")")
    }
}
