//! From a value of any type to where it goes: a field, a subfield, the message type.

use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

use super::error::{FieldsError, FieldsReason};
use super::integer::Integer;

/// Where a value goes.
pub(super) trait Output: Sized {
    fn text(self, text: &str) -> Result<(), FieldsError>;

    fn bytes(self, bytes: &[u8]) -> Result<(), FieldsError>;

    fn integer(self, integer: Integer) -> Result<(), FieldsError>;

    /// A number that may be one of the bytes of a list.
    fn byte(self, byte: u8) -> Result<(), FieldsError> {
        self.integer(Integer::unsigned(byte))
    }

    /// Subfields by name.
    fn parts(self, parts: Vec<(String, Tree)>) -> Result<(), FieldsError>;

    /// The values of a subfield that occurs several times, or an empty list of anything.
    fn list(self, values: Vec<Tree>) -> Result<(), FieldsError>;
}

/// A value of a subfield.
pub(super) enum Tree {
    Text(String),
    Bytes(Vec<u8>),
    Integer(Integer),
    Parts(Vec<(String, Self)>),
}

/// The values of one subfield: none when it is left out, several when it is repeated.
impl Output for &mut Vec<Tree> {
    fn text(self, text: &str) -> Result<(), FieldsError> {
        self.push(Tree::Text(text.to_owned()));
        Ok(())
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), FieldsError> {
        self.push(Tree::Bytes(bytes.to_vec()));
        Ok(())
    }

    fn integer(self, integer: Integer) -> Result<(), FieldsError> {
        self.push(Tree::Integer(integer));
        Ok(())
    }

    fn parts(self, parts: Vec<(String, Tree)>) -> Result<(), FieldsError> {
        self.push(Tree::Parts(parts));
        Ok(())
    }

    fn list(self, values: Vec<Tree>) -> Result<(), FieldsError> {
        self.extend(values);
        Ok(())
    }
}

/// An element of a list, which is either all bytes or all something else.
struct Element<'l> {
    bytes: &'l mut Vec<u8>,
    values: &'l mut Vec<Tree>,
}

impl Output for Element<'_> {
    fn text(self, text: &str) -> Result<(), FieldsError> {
        self.values.text(text)
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), FieldsError> {
        self.values.bytes(bytes)
    }

    fn integer(self, integer: Integer) -> Result<(), FieldsError> {
        self.values.integer(integer)
    }

    fn byte(self, byte: u8) -> Result<(), FieldsError> {
        self.bytes.push(byte);
        Ok(())
    }

    fn parts(self, parts: Vec<(String, Tree)>) -> Result<(), FieldsError> {
        self.values.parts(parts)
    }

    fn list(self, _: Vec<Tree>) -> Result<(), FieldsError> {
        unsupported("a list in a list")
    }
}

/// A name.
impl Output for &mut Option<String> {
    fn text(self, text: &str) -> Result<(), FieldsError> {
        *self = Some(text.to_owned());
        Ok(())
    }

    fn bytes(self, _: &[u8]) -> Result<(), FieldsError> {
        unsupported("a name of bytes")
    }

    fn integer(self, integer: Integer) -> Result<(), FieldsError> {
        *self = Some(integer.text(None)?);
        Ok(())
    }

    fn parts(self, _: Vec<(String, Tree)>) -> Result<(), FieldsError> {
        unsupported("a name with subfields")
    }

    fn list(self, _: Vec<Tree>) -> Result<(), FieldsError> {
        unsupported("a list as a name")
    }
}

pub(super) fn unsupported<T>(what: &'static str) -> Result<T, FieldsError> {
    Err(FieldsError::new(FieldsReason::Unsupported(what)))
}

/// Puts what a type serializes into an [`Output`].
pub(super) struct ValueSerializer<O>(pub(super) O);

macro_rules! integers {
    ($($method:ident $integer:ident $sign:ident)*) => {$(
        fn $method(self, number: $integer) -> Result<(), FieldsError> {
            self.0.integer(Integer::$sign(number))
        }
    )*};
}

macro_rules! unsupported {
    ($($method:ident($($argument:ty),*) -> $ok:ty = $what:literal)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$ok, FieldsError> {
            unsupported($what)
        }
    )*};
}

type No = Impossible<(), FieldsError>;

impl<O: Output> Serializer for ValueSerializer<O> {
    type Ok = ();
    type Error = FieldsError;
    type SerializeSeq = List<O>;
    type SerializeTuple = List<O>;
    type SerializeTupleStruct = List<O>;
    type SerializeTupleVariant = No;
    type SerializeMap = Parts<O>;
    type SerializeStruct = Parts<O>;
    type SerializeStructVariant = No;

    integers! {
        serialize_i8 i8 signed
        serialize_i16 i16 signed
        serialize_i32 i32 signed
        serialize_i64 i64 signed
        serialize_i128 i128 signed
        serialize_u16 u16 unsigned
        serialize_u32 u32 unsigned
        serialize_u64 u64 unsigned
        serialize_u128 u128 unsigned
    }

    unsupported! {
        serialize_f32(f32) -> () = "a floating point number"
        serialize_f64(f64) -> () = "a floating point number"
        serialize_unit() -> () = "a unit"
        serialize_unit_struct(&'static str) -> () = "a unit"
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No = "an enum with content"
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No = "an enum with content"
    }

    fn serialize_u8(self, byte: u8) -> Result<(), FieldsError> {
        self.0.byte(byte)
    }

    fn serialize_bool(self, bit: bool) -> Result<(), FieldsError> {
        self.0.integer(Integer::unsigned(u8::from(bit)))
    }

    fn serialize_char(self, character: char) -> Result<(), FieldsError> {
        self.0.text(character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), FieldsError> {
        self.0.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), FieldsError> {
        self.0.bytes(bytes)
    }

    /// Leaves the field out.
    fn serialize_none(self) -> Result<(), FieldsError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), FieldsError> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), FieldsError> {
        self.0.text(variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), FieldsError> {
        unsupported("an enum with content")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<O>, FieldsError> {
        Ok(List { output: self.0, bytes: Vec::new(), values: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<List<O>, FieldsError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<O>, FieldsError> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<O>, FieldsError> {
        Ok(Parts { output: self.0, name: None, parts: Vec::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<O>, FieldsError> {
        self.serialize_map(None)
    }
}

/// A list: the bytes of one value, or several values.
pub(super) struct List<O> {
    output: O,
    bytes: Vec<u8>,
    values: Vec<Tree>,
}

impl<O: Output> SerializeSeq for List<O> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FieldsError> {
        value.serialize(ValueSerializer(Element { bytes: &mut self.bytes, values: &mut self.values }))
    }

    fn end(self) -> Result<(), FieldsError> {
        match (self.bytes.is_empty(), self.values.is_empty()) {
            (false, true) => self.output.bytes(&self.bytes),
            (false, false) => unsupported("a list of bytes and other values"),
            (true, _) => self.output.list(self.values),
        }
    }
}

macro_rules! like_a_list {
    ($($kind:ident $method:ident)*) => {$(
        impl<O: Output> $kind for List<O> {
            type Ok = ();
            type Error = FieldsError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FieldsError> {
                SerializeSeq::serialize_element(self, value)
            }

            fn end(self) -> Result<(), FieldsError> {
                SerializeSeq::end(self)
            }
        }
    )*};
}

like_a_list! { SerializeTuple serialize_element SerializeTupleStruct serialize_field }

/// Subfields by name.
pub(super) struct Parts<O> {
    output: O,
    name: Option<String>,
    parts: Vec<(String, Tree)>,
}

impl<O: Output> Parts<O> {
    fn part<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), FieldsError> {
        let mut values = Vec::new();
        value.serialize(ValueSerializer(&mut values)).map_err(|error| error.below(name, "/"))?;
        self.parts.extend(values.into_iter().map(|value| (name.to_owned(), value)));
        Ok(())
    }
}

impl<O: Output> SerializeMap for Parts<O> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), FieldsError> {
        name.serialize(ValueSerializer(&mut self.name))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FieldsError> {
        match self.name.take() {
            Some(name) => self.part(&name, value),
            None => unsupported("a value without a name"),
        }
    }

    fn end(self) -> Result<(), FieldsError> {
        self.output.parts(self.parts)
    }
}

impl<O: Output> SerializeStruct for Parts<O> {
    type Ok = ();
    type Error = FieldsError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), FieldsError> {
        self.part(name, value)
    }

    fn end(self) -> Result<(), FieldsError> {
        self.output.parts(self.parts)
    }
}
