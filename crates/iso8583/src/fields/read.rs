//! From a message to a type: the message itself, and the walk over what it holds.

use std::vec;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::message::Message;

use super::error::{FieldsError, FieldsReason};
use super::hide;
use super::value::{Group, Place, Value};

pub(super) fn read<'de, T: Deserialize<'de>>(message: &Message<'de>) -> Result<T, FieldsError> {
    T::deserialize(Whole { message }).map_err(|error| {
        let is_path = error.path().is_some_and(|path| path.starts_with(|c: char| c.is_ascii_digit()));
        error.map_reason(|reason| match reason {
            FieldsReason::Missing if !is_path => FieldsReason::Name,
            FieldsReason::Custom(said) => FieldsReason::Custom(hide::values(said, message)),
            reason => reason,
        })
    })
}

/// The message as a map from paths to values, or as an enum whose variants are message types.
#[derive(Clone, Copy)]
struct Whole<'m, 'de> {
    message: &'m Message<'de>,
}

impl<'m, 'de> Whole<'m, 'de> {
    fn entries(self, names: Option<&'static [&'static str]>) -> Entries<'m, 'de> {
        let place = Place::new(self.message);
        let mut named = Vec::new();
        // A struct that has no member for the type does not find it unexpected.
        if names.is_none_or(|names| names.contains(&MTI)) {
            named.push((MTI, Value::mti(self.message)));
        }
        let names = names.unwrap_or_default();
        named.extend(names.iter().filter(|name| is_deep(name)).filter_map(|name| {
            let group = Group::find(self.message, name)?;
            Some((*name, Value::new(place, group)))
        }));
        Entries { place, names, named: named.into_iter(), rest: Rest::Fields(self.message, 2), value: None }
    }
}

pub(super) const MTI: &str = "mti";

/// Whether a name is a path of more than one step.
fn is_deep(name: &str) -> bool {
    name.contains(['.', '/'])
}

impl<'de> Deserializer<'de> for Whole<'_, 'de> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_map(self.entries(None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_map(self.entries(Some(names)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_enum(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// Which variant follows from the type; its content is the message.
impl<'de> EnumAccess<'de> for Whole<'_, 'de> {
    type Error = FieldsError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), FieldsError> {
        let mti = self.message.mti().to_string();
        let variant = seed
            .deserialize(StrDeserializer::<FieldsError>::new(&mti))
            .map_err(|error| error.at_value(MTI, Some(0), false))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Whole<'_, 'de> {
    type Error = FieldsError;

    fn unit_variant(self) -> Result<(), FieldsError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, FieldsError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, FieldsError> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        self.deserialize_struct("", names, visitor)
    }
}

/// Names and values, one after the other: first those that a struct asks for by more than the name
/// of a field, then all fields or subfields.
pub(super) struct Entries<'m, 'de> {
    place: Place,
    /// The members of a struct; none for a map.
    names: &'static [&'static str],
    named: vec::IntoIter<(&'static str, Value<'m, 'de>)>,
    rest: Rest<'m, 'de>,
    value: Option<(Name, Value<'m, 'de>)>,
}

/// What a value is called.
enum Name {
    Member(&'static str),
    Field(u8),
    Subfield(String),
}

impl Name {
    fn with<T>(&self, then: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Member(name) => then(name),
            Self::Subfield(name) => then(name),
            // Most fields have a name that is looked at once, so none is kept.
            Self::Field(number) => {
                let digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
                let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
                then(digits.get(zeros..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("0"))
            }
        }
    }
}

enum Rest<'m, 'de> {
    /// The fields of the message from this one on.
    Fields(&'m Message<'de>, u8),
    /// Subfields with their names.
    Subfields(vec::IntoIter<(String, Group<'de>)>),
}

impl<'de> Entries<'_, 'de> {
    /// The subfields of one field.
    pub(super) fn within(
        value: &Value<'_, 'de>,
        names: Option<&'static [&'static str]>,
    ) -> Result<Self, FieldsError> {
        let names = names.unwrap_or_default();
        let (place, groups) = value.subfields()?;
        let deep = names.iter().filter(|name| is_deep(name));
        let named: Vec<_> =
            deep.filter_map(|name| Some((*name, Value::new(place, value.group()?.below(name)?)))).collect();
        Ok(Self {
            place,
            names,
            named: named.into_iter(),
            rest: Rest::Subfields(groups.into_iter()),
            value: None,
        })
    }

    fn next(&mut self) -> Option<(Name, Group<'de>)> {
        loop {
            let (name, group) = match &mut self.rest {
                Rest::Subfields(groups) => {
                    let (name, group) = groups.next()?;
                    (Name::Subfield(name), group)
                }
                Rest::Fields(message, next) => {
                    let field = (*next..=u8::MAX).find_map(|number| message.field(number))?;
                    *next = field.number().saturating_add(1);
                    (Name::Field(field.number()), Group::one(field))
                }
            };
            if !name.with(|name| self.is_read_by_its_subfields(name)) {
                return Some((name, group));
            }
        }
    }

    /// Whether a struct has members for subfields of a field, and none for the field: it does not
    /// find the field unexpected.
    fn is_read_by_its_subfields(&self, field: &str) -> bool {
        let deep = |name: &&str| name.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '/']));
        self.names.iter().any(deep) && !self.names.contains(&field)
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = FieldsError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldsError> {
        if let Some((name, value)) = self.named.next() {
            self.value = Some((Name::Member(name), value));
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        let Some((name, group)) = self.next() else {
            return Ok(None);
        };
        let key = name.with(|name| seed.deserialize(StrDeserializer::new(name)))?;
        self.value = Some((name, Value::new(self.place, group)));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, FieldsError> {
        // Serde asks for a value after each key, once.
        let Some((name, value)) = self.value.take() else {
            return Err(FieldsError::new(FieldsReason::Unsupported("a value without its name")));
        };
        let (offset, secret, separator) = (value.offset(), value.is_secret(), value.separator());
        seed.deserialize(value).map_err(|error| {
            name.with(|name| match error.path() {
                None => error.at_value(name, offset, secret),
                Some(_) => error.below(name, separator),
            })
        })
    }
}
