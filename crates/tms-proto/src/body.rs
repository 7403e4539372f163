//! Bodies in BER-TLV with private tags.
//!
//! Tags are of the private class in two bytes (DF41…), with BER lengths; numbers are big-endian
//! of fixed width. An unknown tag is skipped, so that either side may learn new ones first.

use iso8583::tlv;

use crate::error::ProtocolError;

pub(crate) mod tag {
    pub(crate) const OPERATION: u32 = 0xDF41;
    pub(crate) const STEP: u32 = 0xDF42;
    pub(crate) const COMMAND: u32 = 0xDF43;
    pub(crate) const OUTCOME: u32 = 0xDF44;
    pub(crate) const REASON: u32 = 0xDF45;
    pub(crate) const FILE: u32 = 0xDF46;
    pub(crate) const OFFSET: u32 = 0xDF47;
    pub(crate) const TOTAL: u32 = 0xDF48;
    pub(crate) const LENGTH: u32 = 0xDF49;
    pub(crate) const CRC32: u32 = 0xDF4A;
    pub(crate) const SHA256: u32 = 0xDF4B;
    pub(crate) const ROLE: u32 = 0xDF4C;
    pub(crate) const GENERATION: u32 = 0xDF4D;
    pub(crate) const SEALED: u32 = 0xDF4E;
    pub(crate) const CHALLENGE: u32 = 0xDF4F;
    pub(crate) const PROOF: u32 = 0xDF50;
    pub(crate) const PARAMETER: u32 = 0xDF51;
    pub(crate) const REVISION: u32 = 0xDF52;
    pub(crate) const VERSION: u32 = 0xDF53;
    pub(crate) const SLOT: u32 = 0xDF54;
    pub(crate) const BOOT_COUNT: u32 = 0xDF55;
    pub(crate) const HEALTH: u32 = 0xDF56;
    pub(crate) const MODEL: u32 = 0xDF57;
    pub(crate) const HARDWARE: u32 = 0xDF58;
    pub(crate) const SECURITY_COUNTER: u32 = 0xDF59;
    pub(crate) const CREDENTIAL: u32 = 0xDF5A;
    pub(crate) const MAX_BYTES: u32 = 0xDF5B;
    pub(crate) const CHUNK: u32 = 0xDF5C;
    pub(crate) const BASE: u32 = 0xDF5D;
}

/// Most elements that a body may have; far above what any function sends.
const MAX_ELEMENTS: usize = 128;

/// A parsed body.
pub(crate) struct Body<'a>(Vec<(u32, &'a [u8])>);

impl<'a> Body<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut elements = Vec::new();
        for element in tlv::read(bytes) {
            let element = element.map_err(|e| ProtocolError::body("TLV body", e.to_string()))?;
            if elements.len() >= MAX_ELEMENTS {
                return Err(ProtocolError::body("TLV body", "too many elements"));
            }
            elements.push((element.tag, element.value));
        }
        Ok(Self(elements))
    }

    pub(crate) fn all(&self, tag: u32) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.0.iter().filter(move |(t, _)| *t == tag).map(|(_, v)| *v)
    }

    pub(crate) fn find(&self, tag: u32) -> Option<&'a [u8]> {
        self.all(tag).next()
    }

    pub(crate) fn bytes(&self, tag: u32, name: &'static str) -> Result<&'a [u8], ProtocolError> {
        self.find(tag).ok_or_else(|| ProtocolError::body(name, format!("element {tag:X} is missing")))
    }

    pub(crate) fn array<const N: usize>(
        &self,
        tag: u32,
        name: &'static str,
    ) -> Result<[u8; N], ProtocolError> {
        let bytes = self.bytes(tag, name)?;
        bytes.try_into().map_err(|_| {
            ProtocolError::body(name, format!("element {tag:X} has {} bytes instead of {N}", bytes.len()))
        })
    }

    pub(crate) fn u8(&self, tag: u32, name: &'static str) -> Result<u8, ProtocolError> {
        self.array::<1>(tag, name).map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&self, tag: u32, name: &'static str) -> Result<u32, ProtocolError> {
        self.array(tag, name).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&self, tag: u32, name: &'static str) -> Result<u64, ProtocolError> {
        self.array(tag, name).map(u64::from_be_bytes)
    }

    pub(crate) fn text(
        &self,
        tag: u32,
        name: &'static str,
        max_bytes: usize,
    ) -> Result<String, ProtocolError> {
        text(self.bytes(tag, name)?, name, max_bytes)
    }
}

/// Bounded UTF-8 without control characters.
pub(crate) fn text(bytes: &[u8], name: &'static str, max_bytes: usize) -> Result<String, ProtocolError> {
    if bytes.len() > max_bytes {
        return Err(ProtocolError::body(name, format!("{} bytes, at most {max_bytes}", bytes.len())));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(ProtocolError::body(name, "not printable UTF-8")),
    }
}

/// The longest prefix of `text` within `max_bytes` that ends at a character.
pub(crate) fn truncate(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or("")
}

/// Appends an element.
pub(crate) fn put(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    tlv::write(out, tag, value);
}
