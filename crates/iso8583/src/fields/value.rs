//! From one field to a type.

use std::borrow::Cow;
use std::cell::Cell;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use crate::class::Class;
use crate::dialect::MtiEncoding;
use crate::field::Field;
use crate::message::Message;
use crate::path::Step;
use crate::structure::Structure;

use super::error::{FieldsError, FieldsReason};
use super::integer::Integer;
use super::read;

/// A field, or a subfield with those further ones that have the same name.
#[derive(Clone)]
pub(super) struct Group<'de> {
    pub(super) first: Field<'de>,
    pub(super) more: Vec<Field<'de>>,
}

impl<'de> Group<'de> {
    pub(super) fn one(field: Field<'de>) -> Self {
        Self { first: field, more: Vec::new() }
    }

    /// The subfields below `field` that the steps of a path lead to.
    pub(super) fn below(field: Field<'de>, path: &str) -> Option<Self> {
        let (mut parent, mut found) = (field, field);
        for step in path.split(['.', '/']) {
            parent = found;
            found = parent.sub(step)?;
        }
        let same = |other: &Field<'_>| other.step() == found.step() && other.offset() != found.offset();
        let more = match found.step() {
            Some(Step::Tag(_)) => parent.subfields().map_while(Result::ok).filter(same).collect(),
            _ => Vec::new(),
        };
        Some(Self { first: found, more })
    }

    fn get(&self, at: usize) -> Option<Field<'de>> {
        if at == 0 { Some(self.first) } else { self.more.get(at - 1).copied() }
    }
}

/// A value to be read into a type.
pub(super) struct Value<'v, 'de> {
    source: Source<'de>,
    /// For an element of a list.
    byte: Option<Byte<'v>>,
}

#[derive(Clone)]
enum Source<'de> {
    /// The message type as text.
    Mti(Cow<'de, str>),
    Group(Group<'de>),
}

impl<'de> From<Group<'de>> for Value<'_, 'de> {
    fn from(group: Group<'de>) -> Self {
        Self { source: Source::Group(group), byte: None }
    }
}

impl<'de> Value<'_, 'de> {
    /// The type of a message.
    pub(super) fn mti(message: &Message<'de>) -> Self {
        let ascii = (message.dialect().mti == MtiEncoding::Ascii).then(|| message.body().get(..4));
        let borrowed = ascii.flatten().and_then(|ascii| std::str::from_utf8(ascii).ok());
        let text = borrowed.map_or_else(|| Cow::Owned(message.mti().to_string()), Cow::Borrowed);
        Self { source: Source::Mti(text), byte: None }
    }

    /// Whether nothing may be told of the value.
    pub(super) fn is_secret(&self) -> bool {
        match &self.source {
            Source::Mti(_) => false,
            Source::Group(group) => group.first.sensitivity().is_sensitive(),
        }
    }

    /// Where the value is in the message.
    pub(super) fn offset(&self) -> usize {
        match &self.source {
            Source::Mti(_) => 0,
            Source::Group(group) => group.first.offset(),
        }
    }

    /// What stands in a path between the name of the value and that of a subfield.
    pub(super) fn separator(&self) -> &'static str {
        match &self.source {
            Source::Mti(_) => ".",
            Source::Group(group) => separator(group.first.structure()),
        }
    }

    /// How often it occurs.
    fn count(&self) -> usize {
        match &self.source {
            Source::Mti(_) => 1,
            Source::Group(group) => 1 + group.more.len(),
        }
    }

    /// The field, when it occurs once; `None` for the message type.
    fn only(&self) -> Result<Option<Field<'de>>, FieldsError> {
        match &self.source {
            Source::Mti(_) => Ok(None),
            Source::Group(group) if group.more.is_empty() => Ok(Some(group.first)),
            Source::Group(_) => Err(FieldsError::new(FieldsReason::Repeated(self.count()))),
        }
    }

    fn text(&self) -> Result<Cow<'de, str>, FieldsError> {
        match (self.only()?, &self.source) {
            (None, Source::Mti(text)) => Ok(text.clone()),
            (field, _) => Ok(field.map(|field| field.text()).unwrap_or_default()),
        }
    }

    fn bytes(&self) -> Result<Cow<'de, [u8]>, FieldsError> {
        match (self.only()?, self.text()?) {
            (Some(field), _) => Ok(field.value()),
            (None, Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.as_bytes())),
            (None, Cow::Owned(text)) => Ok(Cow::Owned(text.into_bytes())),
        }
    }

    fn integer(&self) -> Result<Integer, FieldsError> {
        let Some(field) = self.only()? else {
            return Integer::read(Class::Numeric, &self.text()?);
        };
        let class = field.format().class();
        // These two do not make a text first.
        let short = match class {
            Class::SignedNumeric => field.amount().map(Integer::signed),
            _ => field.u64().map(Integer::unsigned),
        };
        match short {
            Ok(integer) if class != Class::Binary => Ok(integer),
            _ => Integer::read(class, &field.text()),
        }
    }

    fn structured(&self) -> Result<Field<'de>, FieldsError> {
        self.only()?
            .filter(|field| *field.structure() != Structure::None)
            .ok_or_else(|| FieldsError::new(FieldsReason::NoStructure))
    }
}

/// What stands in a path before the name of a subfield.
pub(super) fn separator(structure: &Structure) -> &'static str {
    match structure {
        Structure::None | Structure::Positional(_) | Structure::Bitmapped { .. } => ".",
        _ => "/",
    }
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
        read::subfields(self.structured()?, None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        read::subfields(self.structured()?, Some(names), visitor)
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
        seed.deserialize(Value { source, byte }).map(Some)
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
