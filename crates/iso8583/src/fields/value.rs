//! From one field to a type.

use std::borrow::Cow;
use std::cell::Cell;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use crate::class::Class;
use crate::dialect::MtiEncoding;
use crate::field::Field;
use crate::format::{Binary, Digits};
use crate::message::Message;

use super::error::{FieldsError, FieldsReason};
use super::integer::Integer;
use super::read::Entries;

/// What is known about the surroundings of a value.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The address of the message's first byte.
    start: usize,
    /// Whether the value is inside a sensitive one.
    secret: bool,
}

impl Place {
    pub(super) fn new(message: &Message<'_>) -> Self {
        Self { start: message.body().as_ptr().addr(), secret: false }
    }
}

/// A field, or a subfield with those further ones that have the same name.
#[derive(Clone)]
pub(super) struct Group<'de> {
    first: Field<'de>,
    more: Vec<Field<'de>>,
}

impl<'de> Group<'de> {
    pub(super) fn one(field: Field<'de>) -> Self {
        Self { first: field, more: Vec::new() }
    }

    pub(super) fn find(message: &Message<'de>, path: &str) -> Option<Self> {
        let (number, rest) = path.split_at(path.find(['.', '/'])?);
        Self::one(message.field(number.parse().ok()?)?).below(rest.get(1..)?)
    }

    pub(super) fn below(&self, _path: &str) -> Option<Self> {
        None
    }

    fn len(&self) -> usize {
        1 + self.more.len()
    }

    fn get(&self, at: usize) -> Option<Field<'de>> {
        if at == 0 { Some(self.first) } else { self.more.get(at - 1).copied() }
    }
}

/// A value to be read into a type.
pub(super) struct Value<'v, 'de> {
    source: Source<'de>,
    place: Place,
    /// For an element of a list.
    byte: Option<Byte<'v>>,
}

#[derive(Clone)]
enum Source<'de> {
    /// The message type as text.
    Mti(Cow<'de, str>),
    Group(Group<'de>),
}

impl<'de> Value<'_, 'de> {
    pub(super) fn mti(message: &Message<'de>) -> Self {
        let ascii = (message.dialect().mti == MtiEncoding::Ascii).then(|| message.body().get(..4));
        let borrowed = ascii.flatten().and_then(|ascii| std::str::from_utf8(ascii).ok());
        let text = borrowed.map_or_else(|| Cow::Owned(message.mti().to_string()), Cow::Borrowed);
        Self { source: Source::Mti(text), place: Place::new(message), byte: None }
    }

    pub(super) fn new(place: Place, group: Group<'de>) -> Self {
        let secret = place.secret || group.first.sensitivity().is_sensitive();
        Self { source: Source::Group(group), place: Place { secret, ..place }, byte: None }
    }

    pub(super) fn group(&self) -> Option<&Group<'de>> {
        match &self.source {
            Source::Mti(_) => None,
            Source::Group(group) => Some(group),
        }
    }

    /// Whether nothing may be told of the value.
    pub(super) fn is_secret(&self) -> bool {
        self.place.secret
    }

    /// Where the value is in the message. It is not there when a structure had to be decoded to
    /// find it.
    pub(super) fn offset(&self) -> Option<usize> {
        match &self.source {
            Source::Mti(_) => Some(0),
            Source::Group(group) => group
                .first
                .bytes()
                .as_ptr()
                .addr()
                .checked_sub(self.place.start)
                .filter(|offset| *offset <= crate::MAX_MESSAGE_BYTES),
        }
    }

    /// What stands in a path between the name of the value and that of a subfield.
    pub(super) fn separator(&self) -> &'static str {
        "."
    }

    /// The subfields by name.
    pub(super) fn subfields(&self) -> Result<(Place, Vec<(String, Group<'de>)>), FieldsError> {
        Err(FieldsError::new(FieldsReason::NoStructure))
    }

    /// How often it occurs.
    fn count(&self) -> usize {
        self.group().map_or(1, Group::len)
    }

    /// The field, when it occurs once.
    fn only(&self) -> Result<Option<Field<'de>>, FieldsError> {
        match &self.source {
            Source::Mti(_) => Ok(None),
            Source::Group(group) if group.more.is_empty() => Ok(Some(group.first)),
            Source::Group(group) => Err(FieldsError::new(FieldsReason::Repeated(group.len()))),
        }
    }

    fn text(&self) -> Result<Cow<'de, str>, FieldsError> {
        Ok(match (self.only()?, &self.source) {
            (Some(field), _) => field.text(),
            (None, Source::Mti(text)) => text.clone(),
            (None, Source::Group(group)) => group.first.text(),
        })
    }

    fn bytes(&self) -> Result<Cow<'de, [u8]>, FieldsError> {
        Ok(match self.only()? {
            Some(field) => bytes_of(&field),
            None => match self.text()? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        })
    }

    fn integer(&self) -> Result<Integer, FieldsError> {
        let class = self.only()?.map_or(Class::Numeric, |field| field.format().class());
        Integer::read(class, &self.text()?)
    }
}

/// The value's bytes: those of class `b`, or one for each character.
fn bytes_of<'de>(field: &Field<'de>) -> Cow<'de, [u8]> {
    let format = field.format();
    match (format.class(), format.binary(), format.digits()) {
        (Class::Binary, Binary::Raw, _) => Cow::Borrowed(field.bytes()),
        (Class::Binary, Binary::Hex, _) => Cow::Owned(unhex(field.bytes())),
        (class, _, Digits::Bcd { .. }) if class.is_packable() => {
            Cow::Owned(field.text().into_owned().into_bytes())
        }
        _ => Cow::Borrowed(field.bytes()),
    }
}

fn unhex(checked: &[u8]) -> Vec<u8> {
    let nibble = |byte| crate::read::upper_hex(byte).unwrap_or_default();
    checked.as_chunks::<2>().0.iter().map(|&[high, low]| nibble(high) << 4 | nibble(low)).collect()
}

macro_rules! integers {
    ($($method:ident $visit:ident $integer:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
            visitor.$visit(self.integer()?.to::<$integer>(stringify!($integer))?)
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
            match self.text()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            }
        }
    )*};
}

fn unsupported<T>(what: &'static str) -> Result<T, FieldsError> {
    Err(FieldsError::new(FieldsReason::Unsupported(what)))
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = FieldsError;

    // What the type is to be is not known: the text can be made into most things.
    texts! { deserialize_any deserialize_str deserialize_string deserialize_char deserialize_identifier }

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        match self.byte {
            Some(Byte::One(byte, asked)) => {
                asked.set(true);
                visitor.visit_u8(byte)
            }
            Some(Byte::OfSeveral(count)) => Err(FieldsError::new(FieldsReason::Repeated(count))),
            None => visitor.visit_u8(self.integer()?.to("u8")?),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        match self.integer()? {
            Integer { negative: false, magnitude: digit @ 0..=1 } => visitor.visit_bool(digit == 1),
            _ => Err(FieldsError::new(FieldsReason::OutOfRange("bool, which is 0 or 1"))),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        match self.bytes()? {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        let text: CowStrDeserializer<'_, FieldsError> = self.text()?.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        let bytes = if self.only().is_ok() { self.bytes()? } else { Cow::Borrowed([].as_slice()) };
        let asked = Cell::new(false);
        let mut elements = Elements { value: &self, bytes, asked: &asked, next: 0 };
        let sequence = visitor.visit_seq(&mut elements)?;
        if elements.next < elements.len() {
            return Err(FieldsError::new(FieldsReason::Value("as many elements as are expected".to_owned())));
        }
        Ok(sequence)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, FieldsError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_map(Entries::within(&self, None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_map(Entries::within(&self, Some(names))?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_unit()
    }

    fn deserialize_f32<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        unsupported("a floating point number")
    }

    fn deserialize_f64<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        unsupported("a floating point number")
    }

    fn deserialize_unit<V: Visitor<'de>>(self, _: V) -> Result<V::Value, FieldsError> {
        unsupported("a unit")
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, FieldsError> {
        unsupported("a unit")
    }
}

/// What an element of a list is when it is asked for as a byte.
#[derive(Clone, Copy)]
enum Byte<'v> {
    /// A byte of the value; and whether one was asked for.
    One(u8, &'v Cell<bool>),
    /// Nothing: several values have no bytes in common.
    OfSeveral(usize),
}

/// The elements of a list. When the first is asked for as a `u8`, the list is the bytes of the
/// value; otherwise it is the values of a subfield that may occur several times.
struct Elements<'v, 'de> {
    value: &'v Value<'v, 'de>,
    bytes: Cow<'de, [u8]>,
    asked: &'v Cell<bool>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = FieldsError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, FieldsError> {
        if self.next >= self.len() {
            return Ok(None);
        }
        let (value, at) = (self.value, self.next);
        self.next += 1;
        let byte = match self.bytes.get(at) {
            Some(byte) if at == 0 || self.asked.get() => Some(Byte::One(*byte, self.asked)),
            _ => Some(Byte::OfSeveral(value.count())),
        };
        let source = match &value.source {
            Source::Group(group) if !self.asked.get() => {
                group.get(at).map_or_else(|| value.source.clone(), |field| Source::Group(Group::one(field)))
            }
            source => source.clone(),
        };
        seed.deserialize(Value { source, place: value.place, byte }).map(Some)
    }
}

impl Elements<'_, '_> {
    fn len(&self) -> usize {
        match (self.asked.get(), self.value.count()) {
            (true, _) => self.bytes.len(),
            // A list of bytes without a byte, and not a list of one empty value.
            (false, 1) if self.next == 0 && self.bytes.is_empty() => 0,
            (false, count) => count,
        }
    }
}
