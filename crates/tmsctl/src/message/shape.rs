//! The JSON form of a message.
//!
//! ```json
//! {"mti":"0800","fields":{"11":"000001","41":"99999906"},"framing":{"tpdu":"6005010000","header":"613100311108"}}
//! ```

use std::fmt;

use iso8583::framing::{Header, Tpdu};
use iso8583::{Mti, ParseError};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A message as `decode --json` prints it and `encode` takes it.
// No `Debug` here and below, because card data may be inside.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageShape {
    pub(super) mti: Mti,
    pub(super) fields: Fields,
    /// Numbers of the fields of which something is not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) masked: Vec<String>,
    #[serde(default, skip_serializing_if = "FramingShape::is_empty")]
    pub(super) framing: FramingShape,
    /// What lenient reading let pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) deviations: Vec<Deviation>,
}

/// Something that strict reading refuses.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deviation {
    pub(super) path: String,
    pub(super) offset: usize,
    pub(super) reason: String,
}

impl From<&ParseError> for Deviation {
    fn from(error: &ParseError) -> Self {
        Self { path: error.path().to_string(), offset: error.offset(), reason: error.reason().to_string() }
    }
}

/// What stood before the message; absent parts are left out.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FramingShape {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tpdu: Option<Tpdu>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<Header>,
    /// A vendor's header, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vendor: Option<String>,
}

impl FramingShape {
    fn is_empty(&self) -> bool {
        self.tpdu.is_none() && self.header.is_none() && self.vendor.is_none()
    }
}

/// Field numbers with their values as text, in the order they stand in.
pub(super) struct Fields(pub(super) Vec<(u8, String)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(number, text)| (number.to_string(), text)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads the object by hand, because a map would silently keep one of two equal keys.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of field numbers and texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields: Vec<(u8, String)> = Vec::new();
        while let Some((key, text)) = map.next_entry::<String, String>()? {
            let number = key
                .parse::<u8>()
                .ok()
                .filter(|number| (2..=128).contains(number) && number.to_string() == key)
                .ok_or_else(|| A::Error::custom(format!("`{key}` is no field number from 2 to 128")))?;
            if fields.iter().any(|(other, _)| *other == number) {
                return Err(A::Error::custom(format!("field {number} stands twice")));
            }
            fields.push((number, text));
        }
        Ok(Fields(fields))
    }
}
