//! Bodies in BER-TLV with private tags.
//!
//! Tags are of the private class in two bytes (DF41…), with BER lengths; numbers are big-endian
//! of fixed width. An unknown tag is skipped, so that either side may learn new ones first.

use std::borrow::Cow;

use iso8583::tlv;
use jiff::Timestamp;

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
    /// Revision and hash of a set of records.
    pub(crate) const STANDING: u32 = 0xDF60;
    /// Number of a part and how many there are.
    pub(crate) const PART: u32 = 0xDF61;
    /// A record: length of its name, name, value.
    pub(crate) const RECORD: u32 = 0xDF62;
    /// How a push went.
    pub(crate) const PUSH_OUTCOME: u32 = 0xDF63;
    pub(crate) const MESSAGE: u32 = 0xDF70;
    pub(crate) const TIME: u32 = 0xDF71;
    pub(crate) const UTC_OFFSET: u32 = 0xDF72;
    pub(crate) const FORCE: u32 = 0xDF73;
    pub(crate) const SECONDS: u32 = 0xDF74;
    pub(crate) const ADDRESS: u32 = 0xDF75;
    pub(crate) const ATTEMPTS: u32 = 0xDF76;
    pub(crate) const ITEM: u32 = 0xDF77;
    pub(crate) const PLAN: u32 = 0xDF78;
    pub(crate) const ACTION: u32 = 0xDF79;
    pub(crate) const ACTION_ID: u32 = 0xDF7A;
    pub(crate) const TRIGGER: u32 = 0xDF7B;
    pub(crate) const WINDOW: u32 = 0xDF7C;
    pub(crate) const RETRY: u32 = 0xDF7D;
    pub(crate) const RULES: u32 = 0xDF7E;
    pub(crate) const ACTION_STATE: u32 = 0xDF7F;
    pub(crate) const TARGET: u32 = 0xDF8150;
    pub(crate) const FROM_BATCH: u32 = 0xDF8151;
    pub(crate) const PLAN_VERSION: u32 = 0xDF8152;
    pub(crate) const PLAN_ID: u32 = 0xDF8153;
    pub(crate) const DETAILS: u32 = 0xDF8154;
    pub(crate) const LOCKED: u32 = 0xDF8155;
    pub(crate) const DEFAULT_CREDENTIAL: u32 = 0xDF8156;
    pub(crate) const FREE_STORAGE: u32 = 0xDF8157;
    pub(crate) const UPTIME: u32 = 0xDF8158;
    pub(crate) const TRANSACTIONS: u32 = 0xDF8159;
    pub(crate) const COMM_ATTEMPTS: u32 = 0xDF815A;
    pub(crate) const COMM_SUCCESSES: u32 = 0xDF815B;
    pub(crate) const CLOCK_STEP: u32 = 0xDF815C;
    pub(crate) const CAPK_HASH: u32 = 0xDF815D;
    pub(crate) const AID_HASH: u32 = 0xDF815E;
    pub(crate) const BLACKLIST_HASH: u32 = 0xDF815F;
    pub(crate) const BATCH: u32 = 0xDF8160;
    pub(crate) const PARAMETERS_HASH: u32 = 0xDF8161;
    pub(crate) const APPLICATION: u32 = 0xDF8162;
    pub(crate) const ALARM_KIND: u32 = 0xDF8163;
    pub(crate) const SEVERITY: u32 = 0xDF8164;
    pub(crate) const SEQUENCE: u32 = 0xDF8165;
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

    /// Whole seconds since 1970.
    pub(crate) fn time(&self, tag: u32, name: &'static str) -> Result<Timestamp, ProtocolError> {
        seconds(self.array(tag, name)?, name)
    }

    /// A byte that is 0 or 1.
    pub(crate) fn flag(&self, tag: u32, name: &'static str) -> Result<bool, ProtocolError> {
        match self.u8(tag, name)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(ProtocolError::body(name, format!("element {tag:X} is {other}, not 0 or 1"))),
        }
    }

    pub(crate) fn optional_array<const N: usize>(
        &self,
        tag: u32,
        name: &'static str,
    ) -> Result<Option<[u8; N]>, ProtocolError> {
        self.find(tag).map(|_| self.array(tag, name)).transpose()
    }

    pub(crate) fn optional_text(
        &self,
        tag: u32,
        name: &'static str,
        max_bytes: usize,
    ) -> Result<Option<String>, ProtocolError> {
        self.find(tag).map(|bytes| text(bytes, name, max_bytes)).transpose()
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

/// Eight bytes of whole seconds since 1970.
pub(crate) fn seconds(bytes: [u8; 8], name: &'static str) -> Result<Timestamp, ProtocolError> {
    Timestamp::from_second(i64::from_be_bytes(bytes))
        .map_err(|_| ProtocolError::body(name, "a time is out of range"))
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

/// What a receiver takes of a text: no control characters, and not more than `max_bytes`.
pub(crate) fn clean(text: &str, max_bytes: usize) -> Cow<'_, str> {
    let text = truncate(text, max_bytes);
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
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

/// Appends a text as the receiver takes it.
pub(crate) fn put_text(out: &mut Vec<u8>, tag: u32, text: &str, max_bytes: usize) {
    put(out, tag, clean(text, max_bytes).as_bytes());
}

/// Appends a time in whole seconds.
pub(crate) fn put_time(out: &mut Vec<u8>, tag: u32, time: Timestamp) {
    put(out, tag, &time.as_second().to_be_bytes());
}
