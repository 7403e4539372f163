//! From a message to a type: the message itself, and the walk over what it holds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::field::Field;
use crate::message::Message;
use crate::path::Step;

use super::error::{FieldsError, FieldsReason};
use super::hide;
use super::value::{Group, Value};

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

impl<'de> Whole<'_, 'de> {
    fn visit<V: Visitor<'de>>(self, names: Names, visitor: V) -> Result<V::Value, FieldsError> {
        let parent = Parent::Message(self.message);
        let rest = self.message.fields().map(|field| Ok((Name::Field(field.number()), Group::one(field))));
        visitor.visit_map(Entries { parent, names, asked: 0, deep: false, rest, value: None })
    }
}

/// The name of the message type.
pub(super) const MTI: &str = "mti";

impl<'de> Deserializer<'de> for Whole<'_, 'de> {
    type Error = FieldsError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldsError> {
        self.visit(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldsError> {
        self.visit(Some(names), visitor)
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
            .map_err(|error| error.at_offset(0).below(MTI, ""))?;
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

/// Reads the subfields of one field into a struct or a map.
pub(super) fn subfields<'de, V: Visitor<'de>>(
    field: Field<'de>,
    names: Names,
    visitor: V,
) -> Result<V::Value, FieldsError> {
    let mut groups: Vec<Group<'de>> = Vec::new();
    let mut by_tag = BTreeMap::new();
    for subfield in field.subfields() {
        let subfield = subfield.map_err(|error| {
            FieldsError::new(FieldsReason::Content(error.reason())).at_offset(error.offset())
        })?;
        if let Some(Step::Tag(tag)) = subfield.step() {
            let place = *by_tag.entry(tag).or_insert(groups.len());
            if let Some(group) = groups.get_mut(place) {
                group.more.push(subfield);
                continue;
            }
        }
        groups.push(Group::one(subfield));
    }
    let named = |group: Group<'de>| {
        let name = group.first.step().map(|step| step.to_string()).unwrap_or_default();
        Ok((Name::Subfield(name), group))
    };
    let rest = groups.into_iter().map(named);
    visitor.visit_map(Entries {
        parent: Parent::Field(field),
        names,
        asked: 0,
        deep: false,
        rest,
        value: None,
    })
}

/// The members of a struct; none for a map.
type Names = Option<&'static [&'static str]>;

/// Names and values, one after the other: first those that a struct asks for by more than the name
/// of a field, then all fields or subfields.
struct Entries<'m, 'de, I> {
    parent: Parent<'m, 'de>,
    names: Names,
    /// How many of the names were looked at …
    asked: usize,
    /// … and whether any of them has more than one step.
    deep: bool,
    rest: I,
    value: Option<(Name, Value<'m, 'de>)>,
}

#[derive(Clone, Copy)]
enum Parent<'m, 'de> {
    Message(&'m Message<'de>),
    Field(Field<'de>),
}

impl<'m, 'de> Parent<'m, 'de> {
    /// The value at a path of more than one step, or the message type.
    fn find(self, name: &str) -> Option<Value<'m, 'de>> {
        match self {
            Self::Message(message) if name == MTI => Some(Value::mti(message)),
            Self::Message(message) => {
                let (number, path) = name.split_once(['.', '/'])?;
                Some(Group::below(message.field(field_number(number)?)?, path)?.into())
            }
            Self::Field(_) if name == MTI => None,
            Self::Field(field) => Group::below(field, name).map(Value::from),
        }
    }
}

const SEPARATORS: [u8; 2] = *b"./";

/// The number that a name stands for: `41`, and not `041`.
pub(super) fn field_number(name: &str) -> Option<u8> {
    name.parse().ok().filter(|_| !name.starts_with(['0', '+']))
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

impl<'m, 'de, I: Iterator<Item = Result<(Name, Group<'de>), FieldsError>>> Entries<'m, 'de, I> {
    /// The next value that a struct asks for by more than the name of a field.
    fn next_asked(&mut self) -> Option<(&'static str, Value<'m, 'de>)> {
        // A map takes the type, too. A struct without it does not find it unexpected.
        let names = self.names.unwrap_or(&[MTI]);
        loop {
            let name = names.get(self.asked)?;
            self.asked += 1;
            let deep = name.bytes().any(|byte| SEPARATORS.contains(&byte));
            self.deep |= deep;
            if (deep || *name == MTI)
                && let Some(value) = self.parent.find(name)
            {
                return Some((name, value));
            }
        }
    }

    fn next(&mut self) -> Option<Result<(Name, Group<'de>), FieldsError>> {
        if !self.deep {
            return self.rest.next();
        }
        let names = self.names.unwrap_or_default();
        self.rest.find(|next| match next {
            Ok((name, _)) => !name.with(|name| is_read_by_its_subfields(name, names)),
            Err(_) => true,
        })
    }
}

/// Whether a struct has members for subfields of a field, and none for the field: it does not find
/// the field unexpected.
fn is_read_by_its_subfields(field: &str, names: &[&str]) -> bool {
    let deep = |name: &&str| name.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '/']));
    names.iter().any(deep) && !names.contains(&field)
}

impl<'de, I: Iterator<Item = Result<(Name, Group<'de>), FieldsError>>> MapAccess<'de>
    for Entries<'_, 'de, I>
{
    type Error = FieldsError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldsError> {
        if let Some((name, value)) = self.next_asked() {
            self.value = Some((Name::Member(name), value));
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        let Some((name, group)) = self.next().transpose()? else {
            return Ok(None);
        };
        let key = name.with(|name| seed.deserialize(StrDeserializer::new(name)))?;
        self.value = Some((name, group.into()));
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
                None => error.hidden_if(secret).at_offset(offset).below(name, ""),
                Some(_) => error.below(name, separator),
            })
        })
    }
}
