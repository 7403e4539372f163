//! Why a message and a value of some type do not fit each other.

use std::fmt;

use serde::de::{Expected, Unexpected};

use crate::error::{BuildError, ParseReason, ValueError};

use super::hide;

/// Why a message cannot be read into a type, or a message cannot be made from a value.
///
/// It names the field and, for a message that was read, the byte at which its content begins. It
/// never holds a value of the message: what the `Deserialize` or `Serialize` of a type says about a
/// sensitive field is dropped, and card numbers in what it says about others are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldsError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    /// In the notation of [`Message::text`](crate::Message::text); empty when not known.
    path: String,
    offset: Option<usize>,
    reason: FieldsReason,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldsReason {
    /// The type needs a field that the message does not have.
    #[error("the message does not carry it")]
    Missing,
    /// A member of the type has a name that is no path of a message, and is needed or given.
    #[error("is no name of a field: names are `mti` or paths such as 41, 60.3 and 55/9F06")]
    Name,
    /// A value of another kind than the type takes.
    #[error("is {found} where {expected} is expected")]
    Type {
        /// The kind of what is there: `text`, `a number`, `bytes`, ….
        found: &'static str,
        /// What the type expects, in its own words.
        expected: String,
    },
    /// A value of the right kind that the type does not take.
    #[error("holds something other than {0}")]
    Value(String),
    /// A borrowed target for characters that do not stand in the message as they are.
    #[error(
        "is packed, encoded or escaped in the message, so that it cannot be borrowed: \
         read it into a String, a Vec<u8> or a Cow"
    )]
    NotBorrowed,
    /// Something other than a decimal number.
    #[error("is not a decimal number")]
    NotANumber,
    /// A number that the type cannot hold.
    #[error("holds a number that does not fit {0}")]
    OutOfRange(&'static str),
    /// A value that no variant of an enum stands for.
    #[error("is none of {}", .0.join(", "))]
    UnknownVariant(&'static [&'static str]),
    /// A field that a type with `deny_unknown_fields` does not name.
    #[error("is not expected in the message")]
    Unexpected,
    /// Two members of the type that name the same field.
    #[error("is named twice")]
    Duplicate,
    /// A subfield that occurs more than once where the type takes one value.
    #[error("occurs {0} times: read it into a Vec")]
    Repeated(usize),
    /// A struct or map for a field that has no structure in the dialect.
    #[error("has no subfields in the dialect")]
    NoStructure,
    /// A struct or map for a field with a structure that only the embedding program knows, and
    /// that can be read only.
    #[error("has no subfields that could be written in the dialect")]
    ReadOnly,
    /// A subfield that its field does not have.
    #[error("the dialect has no such subfield")]
    NoSubfield,
    /// A positional subfield that is left out before one that is not.
    #[error("is left out, and a subfield that stands after it is not")]
    Gap,
    /// Something that no message can hold.
    #[error("{0} cannot be in a message")]
    Unsupported(&'static str),
    /// A negative number for a field other than one of class `x+n`.
    #[error("cannot hold a negative number")]
    Negative,
    /// A message type that is not four decimal digits.
    #[error("is not four decimal digits")]
    Mti,
    /// A value from which a message is made, without its type.
    #[error("has no message type: it is a text under the key `mti`")]
    NoMti,
    /// A value that its field cannot hold.
    #[error("{0}")]
    Refused(ValueError),
    /// A field that cannot be set.
    #[error("the dialect has no such field that can be set")]
    Undefined,
    /// Another reason why a message cannot be built.
    #[error("{0}")]
    Build(BuildError),
    /// Content that is not divided into subfields as the dialect says.
    #[error("{0}")]
    Content(ParseReason),
    /// What the type itself says.
    #[error("{0}")]
    Custom(String),
    /// A sensitive value that the type refuses; what it says is not told, because it may quote.
    #[error("is sensitive and is refused by the type it is read into or written from")]
    Hidden,
}

impl FieldsError {
    pub(super) fn new(reason: FieldsReason) -> Self {
        Self(Box::new(Inner { path: String::new(), offset: None, reason }))
    }

    /// The field in the notation of [`Message::text`](crate::Message::text): `41`, `60.3`,
    /// `55/9F06`, or `mti`. `None` when the error is about the message as a whole, or comes from
    /// a place where serde does not tell which field it was at (flattened structs, untagged and
    /// internally tagged enums).
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        Some(self.0.path.as_str()).filter(|path| !path.is_empty())
    }

    /// Bytes from the beginning of the message body to the content of the field, where the message
    /// has it.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// What does not fit.
    #[must_use]
    pub fn reason(&self) -> &FieldsReason {
        &self.0.reason
    }

    pub(super) fn at_offset(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Without what a type says about a sensitive value.
    pub(super) fn hidden_if(self, secret: bool) -> Self {
        self.map_reason(|reason| match reason {
            FieldsReason::Custom(_) if secret => FieldsReason::Hidden,
            reason => reason,
        })
    }

    /// The error with its path, if it has one, taken as one from `key` on.
    pub(super) fn below(mut self, key: &str, separator: &str) -> Self {
        let path = &mut self.0.path;
        if !path.is_empty() {
            path.insert_str(0, separator);
        }
        path.insert_str(0, key);
        self
    }

    pub(super) fn map_reason(mut self, map: impl FnOnce(FieldsReason) -> FieldsReason) -> Self {
        self.0.reason = map(self.0.reason);
        self
    }

    /// An error about a name that the type, and not the message, has.
    fn named(name: &str, reason: FieldsReason) -> Self {
        Self::new(reason).below(name, "")
    }
}

impl fmt::Display for FieldsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            None if matches!(self.reason(), FieldsReason::Type { .. } | FieldsReason::Value(_)) => {
                f.write_str("a field of the message")?;
            }
            None => f.write_str("message")?,
            Some("mti") => f.write_str("message type")?,
            Some(path) => write!(f, "field {path}")?,
        }
        if let Some(offset) = self.offset() {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl std::error::Error for FieldsError {}

// The default constructors of serde quote what they found. None of these does.
impl serde::de::Error for FieldsError {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::new(FieldsReason::Custom(hide::numbers(&said.to_string())))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        // What serde says for `&str` and `&[u8]`, which take borrowed values only.
        if matches!(expected.as_str(), "a borrowed string" | "a borrowed byte array") {
            return Self::new(FieldsReason::NotBorrowed);
        }
        Self::new(FieldsReason::Type { found: kind(found), expected: hide::numbers(&expected) })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(FieldsReason::Value(hide::numbers(&expected.to_string())))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new(FieldsReason::Value(hide::numbers(&expected.to_string())))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FieldsReason::UnknownVariant(expected))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::named(&hide::numbers(field), FieldsReason::Unexpected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::named(field, FieldsReason::Missing)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::named(field, FieldsReason::Duplicate)
    }
}

impl serde::ser::Error for FieldsError {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::new(FieldsReason::Custom(hide::numbers(&said.to_string())))
    }
}

/// The kind of a value, without the value.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a truth value",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a structure",
        _ => "something else",
    }
}
