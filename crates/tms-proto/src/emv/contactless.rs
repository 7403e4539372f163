//! Contactless parameters (非接业务参数, unionpay.md §4.8): templates such as FF805D, which this crate does not open.

use std::fmt;

use iso8583::tlv::{self, Tlv};
use serde::{Deserialize, Serialize};

use super::{
    EmvError, Forms, Numbered,
    numbered::{Entry, MAX_NUMBERED},
};

/// Most bytes of one template with its tag: what the smallest body that a profile may agree on has room for.
const MAX_BYTES: usize = 430;

/// The contactless parameters of one terminal, in the order of their numbers on the wire.
pub type ContactlessSet = Numbered<ContactlessTemplate>;

/// One template of contactless parameters, as it is on the wire: tag, length, and data objects that are the
/// acquirer's. `Debug` prints the tag and the length only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ContactlessTemplate {
    tag: u32,
    bytes: Vec<u8>,
}

impl ContactlessTemplate {
    /// Reads a template: one constructed data object, and nothing behind it.
    ///
    /// # Errors
    /// When it is no such object, what is in it is no sequence of data objects, or it has more than 430 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EmvError> {
        let mut objects = tlv::read(bytes);
        let first = objects.next().ok_or(EmvError::Short { what: "a template" })??;
        if objects.next().is_some() {
            return Err(EmvError::TooMany { what: "data objects in place of one template", limit: 1 });
        }
        Self::new(first)
    }

    fn new(object: Tlv<'_>) -> Result<Self, EmvError> {
        let Tlv { tag, value } = object;
        if !is_constructed(tag) || value.is_empty() {
            return Err(EmvError::Value {
                tag,
                wanted: "a template (a constructed data object with content)",
            });
        }
        for inner in tlv::read(value) {
            inner?;
        }
        // Lengths in the fewest bytes, so that both sides have the same bytes of the same template.
        let mut bytes = Vec::with_capacity(value.len().saturating_add(8));
        tlv::write(&mut bytes, tag, value);
        if bytes.len() > MAX_BYTES {
            return Err(EmvError::TooMany { what: "bytes of one template", limit: MAX_BYTES });
        }
        Ok(Self { tag, bytes })
    }

    /// Its tag.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Tag, length and content.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bit 6 of a tag's first byte.
fn is_constructed(tag: u32) -> bool {
    tag.to_be_bytes().into_iter().find(|byte| *byte != 0).is_some_and(|first| first & 0x20 != 0)
}

impl Entry for ContactlessTemplate {
    const WHAT: &'static str = "templates";

    fn put(&self, out: &mut Vec<u8>, _forms: &Forms) {
        out.extend_from_slice(&self.bytes);
    }

    fn read_all(bytes: &[u8], _forms: &Forms, _offset: usize) -> Result<Vec<Self>, EmvError> {
        let mut templates = Vec::new();
        for object in tlv::read(bytes) {
            if templates.len() >= MAX_NUMBERED {
                return Err(EmvError::TooMany { what: Self::WHAT, limit: MAX_NUMBERED });
            }
            templates.push(Self::new(object?)?);
        }
        Ok(templates)
    }

    fn record(&self, number: usize) -> (String, String) {
        (format!("{number:03}"), hex::encode_upper(&self.bytes))
    }
}

impl fmt::Debug for ContactlessTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}: {} bytes", self.tag, self.bytes.len())
    }
}

impl From<ContactlessTemplate> for String {
    fn from(template: ContactlessTemplate) -> Self {
        hex::encode_upper(&template.bytes)
    }
}

impl TryFrom<String> for ContactlessTemplate {
    type Error = EmvError;

    fn try_from(text: String) -> Result<Self, EmvError> {
        let bytes = hex::decode(text).map_err(|_| EmvError::Short { what: "the template in hex" })?;
        Self::decode(&bytes)
    }
}
