//! From a type to a message: the message itself, and its fields.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{Impossible, SerializeMap, SerializeStruct, SerializeStructVariant, Serializer};

use crate::builder::Builder;
use crate::dialect::Dialect;
use crate::error::BuildError;
use crate::mti::Mti;

use super::error::{FieldsError, FieldsReason};
use super::integer::Integer;
use super::output::{Output, Tree, ValueSerializer, unsupported};
use super::parts::{self, refused};
use super::read::{MTI, field_number};
use super::value::separator;

pub(super) fn write<T: Serialize + ?Sized>(builder: &mut Builder<'_>, fields: &T) -> Result<(), FieldsError> {
    fields.serialize(Whole { builder, has_mti: &mut false })
}

pub(super) fn new<'d, T: Serialize + ?Sized>(
    dialect: &'d Dialect,
    fields: &T,
) -> Result<Builder<'d>, FieldsError> {
    let no_mti = || FieldsError::new(FieldsReason::NoMti);
    let mut builder = Builder::new(dialect, Mti::new(0).ok_or_else(no_mti)?);
    let mut has_mti = false;
    fields.serialize(Whole { builder: &mut builder, has_mti: &mut has_mti })?;
    if has_mti { Ok(builder) } else { Err(no_mti()) }
}

/// The message that a struct, a map or a variant is written into.
struct Whole<'b, 'd> {
    builder: &'b mut Builder<'d>,
    has_mti: &'b mut bool,
}

impl<'b, 'd> Whole<'b, 'd> {
    fn variant(self, mti: &str) -> Result<Self, FieldsError> {
        ToMti { builder: self.builder, has_mti: self.has_mti }
            .text(mti)
            .map_err(|error| error.below(MTI, ""))?;
        Ok(self)
    }

    fn members(self) -> Members<'b, 'd> {
        Members { whole: self, name: None, given: [false; 256], parts: BTreeMap::new() }
    }
}

const NOT_A_MESSAGE: &str = "something other than a struct, a map or an enum of message types";

macro_rules! not_a_message {
    ($($method:ident($($argument:ty),*) -> $ok:ty)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$ok, FieldsError> {
            unsupported(NOT_A_MESSAGE)
        }
    )*};
}

type No = Impossible<(), FieldsError>;

impl<'b, 'd> Serializer for Whole<'b, 'd> {
    type Ok = ();
    type Error = FieldsError;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = Members<'b, 'd>;
    type SerializeStruct = Members<'b, 'd>;
    type SerializeStructVariant = Members<'b, 'd>;

    not_a_message! {
        serialize_bool(bool) -> ()
        serialize_i8(i8) -> ()
        serialize_i16(i16) -> ()
        serialize_i32(i32) -> ()
        serialize_i64(i64) -> ()
        serialize_u8(u8) -> ()
        serialize_u16(u16) -> ()
        serialize_u32(u32) -> ()
        serialize_u64(u64) -> ()
        serialize_f32(f32) -> ()
        serialize_f64(f64) -> ()
        serialize_char(char) -> ()
        serialize_str(&str) -> ()
        serialize_bytes(&[u8]) -> ()
        serialize_seq(Option<usize>) -> No
        serialize_tuple(usize) -> No
        serialize_tuple_struct(&'static str, usize) -> No
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No
    }

    fn serialize_none(self) -> Result<(), FieldsError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), FieldsError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), FieldsError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), FieldsError> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, mti: &'static str) -> Result<(), FieldsError> {
        self.variant(mti).map(|_| ())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        mti: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        value.serialize(self.variant(mti)?)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'b, 'd>, FieldsError> {
        Ok(self.members())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'b, 'd>, FieldsError> {
        Ok(self.members())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        mti: &'static str,
        _: usize,
    ) -> Result<Members<'b, 'd>, FieldsError> {
        Ok(self.variant(mti)?.members())
    }
}

/// The type and the fields, one after the other.
struct Members<'b, 'd> {
    whole: Whole<'b, 'd>,
    name: Option<String>,
    /// Fields that were given as a whole.
    given: [bool; 256],
    /// Fields that were given by their subfields. Those are put together at the end, when all of
    /// them are there.
    parts: BTreeMap<u8, Vec<(String, Tree)>>,
}

impl Members<'_, '_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), FieldsError> {
        if name == MTI {
            let output = ToMti { builder: self.whole.builder, has_mti: self.whole.has_mti };
            return value.serialize(ValueSerializer(output)).map_err(|error| error.below(MTI, ""));
        }
        let (number, steps) = name.split_once(['.', '/']).unwrap_or((name, ""));
        let Some(number) = field_number(number) else {
            return Err(FieldsError::new(FieldsReason::Name).below(name, ""));
        };
        let format = self.whole.builder.dialect().field(number);
        // Whether a rule of the dialect holds is not known before the message is whole.
        let ruled = self.whole.builder.dialect().ruled.contains(number);
        let secret = ruled || format.is_some_and(|format| format.sensitivity().is_sensitive());
        let separator = format.map_or(".", |format| separator(format.structure()));
        let at = |error: FieldsError| error.hidden_if(secret).below(name, separator);
        if steps.is_empty() {
            let output = ToField { members: self, number };
            return value.serialize(ValueSerializer(output)).map_err(at);
        }
        let mut trees = Vec::new();
        value.serialize(ValueSerializer(&mut trees)).map_err(at)?;
        for tree in trees {
            parts::insert(self.parts_of(number), steps, tree);
        }
        Ok(())
    }

    fn parts_of(&mut self, number: u8) -> &mut Vec<(String, Tree)> {
        self.parts.entry(number).or_default()
    }

    fn finish(self) -> Result<(), FieldsError> {
        // What is inside of some depends on what is in the others.
        let dialect = self.whole.builder.dialect();
        let (ruled, plain): (Vec<_>, Vec<_>) =
            self.parts.into_iter().partition(|(number, _)| dialect.structured.contains(*number));
        for (number, parts) in plain.into_iter().chain(ruled) {
            // A field that is also given as a whole is that.
            if !self.given.get(usize::from(number)).is_some_and(|given| *given) {
                parts::set(self.whole.builder, number, parts)?;
            }
        }
        Ok(())
    }
}

impl SerializeStruct for Members<'_, '_> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), FieldsError> {
        self.finish()
    }
}

impl SerializeStructVariant for Members<'_, '_> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), FieldsError> {
        self.finish()
    }
}

impl SerializeMap for Members<'_, '_> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), FieldsError> {
        name.serialize(ValueSerializer(&mut self.name))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FieldsError> {
        match self.name.take() {
            Some(name) => self.member(&name, value),
            None => unsupported("a value without a name"),
        }
    }

    fn serialize_entry<K: Serialize + ?Sized, T: Serialize + ?Sized>(
        &mut self,
        name: &K,
        value: &T,
    ) -> Result<(), FieldsError> {
        self.serialize_key(name)?;
        self.serialize_value(value)
    }

    fn end(self) -> Result<(), FieldsError> {
        self.finish()
    }
}

/// A field of the message.
struct ToField<'f, 'b, 'd> {
    members: &'f mut Members<'b, 'd>,
    number: u8,
}

impl ToField<'_, '_, '_> {
    fn set(
        self,
        set: impl FnOnce(&mut Builder<'_>, u8) -> Result<(), BuildError>,
    ) -> Result<(), FieldsError> {
        set(self.members.whole.builder, self.number).map_err(refused)?;
        if let Some(given) = self.members.given.get_mut(usize::from(self.number)) {
            *given = true;
        }
        Ok(())
    }
}

impl Output for ToField<'_, '_, '_> {
    fn text(self, text: &str) -> Result<(), FieldsError> {
        self.set(|builder, number| builder.set(number, text).map(|_| ()))
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), FieldsError> {
        self.set(|builder, number| builder.set_bytes(number, bytes).map(|_| ()))
    }

    fn integer(self, integer: Integer) -> Result<(), FieldsError> {
        let format = self.members.whole.builder.dialect().field(self.number);
        let format = format.ok_or_else(|| FieldsError::new(FieldsReason::Undefined))?;
        let text = parts::number(format, integer)?;
        self.text(&text)
    }

    fn parts(self, parts: Vec<(String, Tree)>) -> Result<(), FieldsError> {
        self.members.parts_of(self.number).extend(parts);
        Ok(())
    }

    fn list(self, values: Vec<Tree>) -> Result<(), FieldsError> {
        if values.is_empty() { self.bytes(&[]) } else { unsupported("a list of values in one field") }
    }
}

/// The message type.
struct ToMti<'b, 'd> {
    builder: &'b mut Builder<'d>,
    has_mti: &'b mut bool,
}

impl ToMti<'_, '_> {
    fn set(self, mti: Option<Mti>) -> Result<(), FieldsError> {
        self.builder.set_mti(mti.ok_or_else(|| FieldsError::new(FieldsReason::Mti))?);
        *self.has_mti = true;
        Ok(())
    }
}

impl Output for ToMti<'_, '_> {
    fn text(self, text: &str) -> Result<(), FieldsError> {
        self.set(text.parse().ok())
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), FieldsError> {
        self.set(std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()))
    }

    fn integer(self, integer: Integer) -> Result<(), FieldsError> {
        self.set(integer.to("a message type").ok().and_then(Mti::new))
    }

    fn parts(self, _: Vec<(String, Tree)>) -> Result<(), FieldsError> {
        self.set(None)
    }

    fn list(self, _: Vec<Tree>) -> Result<(), FieldsError> {
        self.set(None)
    }
}
