//! Values of your own on groups and terminals: `floor = 3`, `contract = "2024/17"`, `rented = true`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::id::{IdError, text_id, within};

/// Most attributes of one terminal or group.
pub const MAX_ATTRIBUTES: usize = 64;
/// Longest text of an attribute, in bytes.
pub const MAX_ATTRIBUTE_BYTES: usize = 256;

/// The name of an attribute: 1 to 40 lower-case letters, digits, `_` or `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[a-z][a-z0-9_-]{0,39}$", example = "floor"))]
pub struct AttributeName(Arc<str>);

text_id!(
    AttributeName,
    "attribute name",
    "it has 1 to 40 lower-case letters, digits, '_' or '-', and begins with a letter",
    |text| within(text, 40)
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
);

/// The value of an attribute. In JSON it is a string, a whole number, or `true` or `false`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AttributeValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Text of at most [`MAX_ATTRIBUTE_BYTES`] bytes without control characters.
    Text(String),
}

/// Attributes by name.
pub type Attributes = BTreeMap<AttributeName, AttributeValue>;

impl AttributeValue {
    /// Makes a text value.
    ///
    /// # Errors
    /// When it is too long or has control characters.
    pub fn text(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.len() > MAX_ATTRIBUTE_BYTES || text.chars().any(char::is_control) {
            let rule = "it has at most 256 bytes, without control characters";
            return Err(IdError::new("attribute value", &text, rule));
        }
        Ok(Self::Text(text))
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl de::Visitor<'_> for ValueVisitor {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, true or false")
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<AttributeValue, E> {
        Ok(AttributeValue::Flag(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<AttributeValue, E> {
        Ok(AttributeValue::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<AttributeValue, E> {
        let number = i64::try_from(number);
        number.map(AttributeValue::Integer).map_err(|_| E::custom("the number is greater than 2^63 - 1"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AttributeValue, E> {
        AttributeValue::text(text).map_err(E::custom)
    }
}

/// Whether a terminal or group may have all these.
///
/// # Errors
/// When there are more than [`MAX_ATTRIBUTES`], or a text is not as [`AttributeValue::text`] makes it.
pub fn check(attributes: &Attributes) -> Result<(), IdError> {
    if attributes.len() > MAX_ATTRIBUTES {
        let text = format!("{} attributes", attributes.len());
        return Err(IdError::new("set of attributes", &text, "there are at most 64"));
    }
    attributes.values().try_for_each(|value| match value {
        AttributeValue::Text(text) => AttributeValue::text(text.as_str()).map(drop),
        AttributeValue::Flag(_) | AttributeValue::Integer(_) => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_json_what_it_is() {
        for (value, json) in [
            (AttributeValue::Integer(-3), "-3"),
            (AttributeValue::Flag(true), "true"),
            (AttributeValue::Text("三楼".into()), "\"三楼\""),
        ] {
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(serde_json::from_str::<AttributeValue>(json).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_value_says_what_is() {
        for bad in ["1.5", "null", "[]", "{}"] {
            let error = serde_json::from_str::<AttributeValue>(bad).unwrap_err();
            assert!(error.to_string().contains("text, a whole number, true or false"), "{bad}: {error}");
        }
        let bell = "\"\\u0007\"".to_owned();
        for bad in ["9223372036854775808".to_owned(), format!("\"{}\"", "x".repeat(257)), bell] {
            assert!(serde_json::from_str::<AttributeValue>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn there_is_an_end_to_attributes() {
        let many = |n: usize| {
            (0..n)
                .map(|n| (format!("a{n}").parse().unwrap(), AttributeValue::Integer(1)))
                .collect::<Attributes>()
        };
        assert!(check(&many(MAX_ATTRIBUTES)).is_ok());
        assert!(check(&many(MAX_ATTRIBUTES + 1)).is_err());
        assert!(check(&[("a".parse().unwrap(), AttributeValue::Text("x\n".into()))].into()).is_err());
    }
}
