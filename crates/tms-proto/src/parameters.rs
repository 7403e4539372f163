//! Terminal parameters on the wire: as fixed-length tags (UnionPay DE62, facts §4.4 and §4.5) or
//! as named values in TLV; and pushes of them, and of EMV data, by a host that may speak first.

mod answer;
mod file;
mod held;
mod push;
mod records;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use encoding_rs::GBK;

use crate::{
    body::{self, Body, put, tag},
    error::ProtocolError,
    profile::{Profile, TagKey, TagPad, TagPlace, TagRule},
};

pub use answer::{Outcome, PushAnswer, PushRefusal};
pub use file::{Action, RecordFile};
pub use held::{Held, Progress};
pub use push::{Base, Part, Push};

/// Parameter values by name.
pub type Values = BTreeMap<String, String>;

/// Longest `name=value` in TLV, in bytes.
const MAX_PARAMETER_BYTES: usize = 512;

/// SHA-256 of a set of parameters, by which host and terminal agree that they have the same: of the lines
/// `name=value`, each with a line feed, in the order of the names' bytes.
#[must_use]
pub fn content_hash(values: &Values) -> [u8; 32] {
    let lines: String = values.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    tms_crypto::digest::sha256(lines.as_bytes())
}

/// Writes the values that the profile has tags for, in the profile's order.
///
/// # Errors
/// When a value does not fit its tag; the error names the parameter.
pub fn encode_tags(profile: &Profile, place: TagPlace, values: &Values) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::with_capacity(160);
    for rule in profile.tags(place) {
        let Some(value) = values.get(&rule.name) else { continue };
        out.extend_from_slice(rule.tag.as_bytes());
        put_tag_value(&mut out, rule, value)?;
    }
    Ok(out)
}

/// Reads a string of fixed-length tags.
///
/// # Errors
/// An unknown tag is an error that names its offset: without lengths nothing after it can be
/// trusted (facts §4.5). So is a value that ends early.
pub fn decode_tags(profile: &Profile, place: TagPlace, bytes: &[u8]) -> Result<Values, ProtocolError> {
    let mut values = Values::new();
    for tag in Tags::new(profile, place, bytes) {
        let (rule, value, offset) = tag?;
        values.insert(rule.name.clone(), tag_value(rule, value, offset)?.into_owned());
    }
    Ok(values)
}

/// A well-formed string of fixed-length tags, as it came.
#[derive(Clone)]
pub struct TagValues {
    profile: Arc<Profile>,
    place: TagPlace,
    bytes: Box<[u8]>,
}

impl TagValues {
    /// Takes a string of tags after reading all of it.
    ///
    /// # Errors
    /// As [`decode_tags`].
    pub fn read(profile: &Arc<Profile>, place: TagPlace, bytes: &[u8]) -> Result<Self, ProtocolError> {
        if !is_plain(profile.tag_keys(place), bytes) {
            for tag in Tags::new(profile, place, bytes) {
                let (rule, value, offset) = tag?;
                tag_value(rule, value, offset)?;
            }
        }
        Ok(Self { profile: Arc::clone(profile), place, bytes: bytes.into() })
    }

    /// Names and values, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        Tags::new(&self.profile, self.place, &self.bytes).filter_map(|tag| tag.ok()).filter_map(
            |(rule, value, offset)| Some((rule.name.as_str(), tag_value(rule, value, offset).ok()?)),
        )
    }

    /// Values by name.
    #[must_use]
    pub fn to_values(&self) -> Values {
        self.iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }
}

impl std::fmt::Debug for TagValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A first look that only ever says yes: whether the tags stand in the order of the table, as senders write
/// them, with values that are text as they are. Anything else is left to the careful way, which explains.
fn is_plain(keys: &[TagKey], bytes: &[u8]) -> bool {
    let (mut keys, mut rest) = (keys.iter(), bytes);
    while let Some((tag, after)) = rest.split_first_chunk::<2>() {
        let Some(key) = keys.find(|key| key.tag == *tag) else { return false };
        let Some((value, after)) = after.split_at_checked(key.length) else { return false };
        let plain = match key.pad {
            TagPad::Zeros => value.iter().all(u8::is_ascii_digit),
            TagPad::Spaces => value.is_ascii(),
            TagPad::Gbk | TagPad::Hex => false,
        };
        if !plain {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Goes over a string of tags. Senders keep to the order of the table, so each tag is looked for from the
/// one before it on.
struct Tags<'a> {
    profile: &'a Profile,
    keys: &'a [TagKey],
    bytes: &'a [u8],
    offset: usize,
    next: usize,
}

impl<'a> Tags<'a> {
    fn new(profile: &'a Profile, place: TagPlace, bytes: &'a [u8]) -> Self {
        Self { profile, keys: profile.tag_keys(place), bytes, offset: 0, next: 0 }
    }

    fn find(&mut self, tag: [u8; 2]) -> Option<TagKey> {
        let (before, after) = self.keys.split_at_checked(self.next).unwrap_or((self.keys, &[]));
        let at = match after.iter().position(|key| key.tag == tag) {
            Some(ahead) => self.next.saturating_add(ahead),
            None => before.iter().position(|key| key.tag == tag)?,
        };
        self.next = at.saturating_add(1);
        self.keys.get(at).copied()
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<(&'a TagRule, &'a [u8], usize), ProtocolError>;

    fn next(&mut self) -> Option<Self::Item> {
        const NAME: &str = "tag table";
        let offset = self.offset;
        let rest = self.bytes.get(offset..).filter(|rest| !rest.is_empty())?;
        // Whatever is wrong, nothing after it can be trusted.
        self.offset = usize::MAX;
        let found = rest.split_first_chunk().and_then(|(tag, rest)| {
            let key = self.find(*tag)?;
            Some((key, self.profile.tag_rule(key)?, rest))
        });
        let Some((key, rule, rest)) = found else {
            return Some(Err(ProtocolError::body(NAME, format!("unknown tag at offset {offset}"))));
        };
        let Some(value) = rest.get(..key.length) else {
            let reason = format!("tag {} at offset {offset} ends early", rule.tag);
            return Some(Err(ProtocolError::body(NAME, reason)));
        };
        self.offset = offset.saturating_add(2).saturating_add(key.length);
        Some(Ok((rule, value, offset)))
    }
}

/// Writes named values in TLV.
///
/// # Errors
/// When a value is too long for the wire; the error names the parameter.
pub fn encode_named(values: &Values) -> Result<Vec<u8>, ProtocolError> {
    let mut out = Vec::with_capacity(256);
    for (name, value) in values {
        let pair = format!("{name}={value}");
        if pair.len() > MAX_PARAMETER_BYTES {
            return Err(ProtocolError::body(
                "parameters",
                format!("{name} is longer than {MAX_PARAMETER_BYTES} bytes"),
            ));
        }
        put(&mut out, tag::PARAMETER, pair.as_bytes());
    }
    Ok(out)
}

/// Reads named values in TLV.
///
/// # Errors
/// When an element is malformed or not `name=value`.
pub fn decode_named(bytes: &[u8]) -> Result<Values, ProtocolError> {
    named(&Body::parse(bytes)?)
}

fn named(body: &Body<'_>) -> Result<Values, ProtocolError> {
    let mut values = Values::new();
    for element in body.all(tag::PARAMETER) {
        let pair = body::text(element, "parameter", MAX_PARAMETER_BYTES)?;
        let (name, value) =
            pair.split_once('=').ok_or_else(|| ProtocolError::body("parameter", "is not name=value"))?;
        values.insert(name.to_owned(), value.to_owned());
    }
    Ok(values)
}

fn put_tag_value(out: &mut Vec<u8>, rule: &TagRule, value: &str) -> Result<(), ProtocolError> {
    let bytes = match rule.pad {
        TagPad::Gbk => {
            let (bytes, _, lost) = GBK.encode(value);
            if lost {
                return Err(ProtocolError::body(
                    "tag table",
                    format!("{} has characters outside GBK", rule.name),
                ));
            }
            bytes.into_owned()
        }
        TagPad::Hex => hex_bytes(value)
            .ok_or_else(|| ProtocolError::body("tag table", format!("{} is not hex", rule.name)))?,
        TagPad::Zeros | TagPad::Spaces => value.as_bytes().to_vec(),
    };
    let Some(missing) = rule.length.checked_sub(bytes.len()) else {
        return Err(ProtocolError::body(
            "tag table",
            format!("{} has {} bytes, tag {} holds {}", rule.name, bytes.len(), rule.tag, rule.length),
        ));
    };
    match rule.pad {
        TagPad::Zeros | TagPad::Hex => {
            out.extend(std::iter::repeat_n(if rule.pad == TagPad::Hex { 0 } else { b'0' }, missing));
            out.extend_from_slice(&bytes);
        }
        TagPad::Spaces | TagPad::Gbk => {
            out.extend_from_slice(&bytes);
            out.extend(std::iter::repeat_n(b' ', missing));
        }
    }
    Ok(())
}

fn tag_value<'a>(rule: &TagRule, value: &'a [u8], offset: usize) -> Result<Cow<'a, str>, ProtocolError> {
    let malformed =
        || ProtocolError::body("tag table", format!("tag {} at offset {offset} is malformed", rule.tag));
    match rule.pad {
        TagPad::Hex => Ok(value.iter().map(|b| format!("{b:02x}")).collect()),
        TagPad::Gbk => {
            let (text, _, malformed_text) = GBK.decode(value);
            if malformed_text { Err(malformed()) } else { Ok(text.trim_end().to_owned().into()) }
        }
        TagPad::Spaces => std::str::from_utf8(value).map(|t| t.trim_end().into()).map_err(|_| malformed()),
        TagPad::Zeros => {
            if !value.iter().all(u8::is_ascii_digit) {
                return Err(malformed());
            }
            let text = std::str::from_utf8(value).map_err(|_| malformed())?;
            let number = text.trim_start_matches('0');
            Ok(if number.is_empty() { "0" } else { number }.into())
        }
    }
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unionpay() -> Profile {
        Profile::builtin("unionpay").unwrap()
    }

    #[test]
    fn a_full_parameter_string_reads_as_named_values_and_writes_back() {
        let mut text = b"11601230133".to_vec();
        for (tag, phone) in [("14", "82790625"), ("15", "82790626"), ("16", "82790627"), ("17", "82790628")] {
            text.extend_from_slice(format!("{tag}{phone:<14}").as_bytes());
        }
        text.extend_from_slice(b"181191020021022");
        let name = GBK.encode("测试商户").0.into_owned();
        text.extend_from_slice(&name);
        text.extend(std::iter::repeat_n(b' ', 40 - name.len()));
        text.extend_from_slice(b"23324025126");
        text.extend_from_slice(&[0xFF, 0x80, 0, 0]);

        let values = decode_tags(&unionpay(), TagPlace::Parameters, &text).unwrap();
        assert_eq!(values["merchant_name"], "测试商户");
        assert_eq!(values["timeout_s"], "30");
        assert_eq!(values["phone_1"], "82790625");
        assert_eq!(values["transactions"], "ff800000");
        assert_eq!(encode_tags(&unionpay(), TagPlace::Parameters, &values).unwrap(), text);
    }

    #[test]
    fn an_unknown_tag_names_its_offset() {
        let error = decode_tags(&unionpay(), TagPlace::Parameters, b"12309901").unwrap_err().to_string();
        assert!(error.contains("unknown tag at offset 4"), "{error}");
    }

    #[test]
    fn a_value_that_ends_early_names_its_tag() {
        let error = decode_tags(&unionpay(), TagPlace::Parameters, b"123").unwrap_err().to_string();
        assert!(error.contains("tag 12 at offset 0 ends early"), "{error}");
    }

    #[test]
    fn a_value_longer_than_its_tag_names_the_parameter() {
        let values = Values::from([("timeout_s".to_owned(), "100".to_owned())]);
        let error = encode_tags(&unionpay(), TagPlace::Parameters, &values).unwrap_err().to_string();
        assert!(error.contains("timeout_s has 3 bytes"), "{error}");
    }

    proptest! {
        #[test]
        fn named_values_survive_the_wire(values in prop::collection::btree_map("[a-z_]{1,20}", "[ -~]{0,40}", 0..20)) {
            prop_assert_eq!(decode_named(&encode_named(&values).unwrap()).unwrap(), values);
        }

        #[test]
        fn tags_are_kept_exactly_when_they_can_be_read(
            chosen in prop::collection::vec((any::<prop::sample::Index>(), "[0-9 ]{40}|[0-9]{40}|[0-9é]{40}"), 0..12),
            in_order in prop::bool::weighted(0.7),
            spoiled in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
            cut in 0usize..3,
        ) {
            let profile = Arc::new(unionpay());
            for place in [TagPlace::Status, TagPlace::Parameters] {
                let rules: Vec<_> = profile.tags(place).collect();
                let mut chosen: Vec<_> = chosen.iter().map(|(at, text)| (at.index(rules.len()), text)).collect();
                if in_order {
                    chosen.sort();
                    chosen.dedup_by_key(|(at, _)| *at);
                }
                let mut bytes = Vec::new();
                for (at, text) in chosen {
                    bytes.extend_from_slice(rules[at].tag.as_bytes());
                    bytes.extend(text.bytes().cycle().take(rules[at].length));
                }
                if let Some((at, byte)) = spoiled.as_ref().filter(|_| !bytes.is_empty()) {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes.truncate(bytes.len().saturating_sub(cut));
                let read = TagValues::read(&profile, place, &bytes);
                match decode_tags(&profile, place, &bytes) {
                    Ok(values) => prop_assert_eq!(read.unwrap().to_values(), values),
                    Err(error) => prop_assert_eq!(read.unwrap_err().to_string(), error.to_string()),
                }
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_values(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_tags(&unionpay(), TagPlace::Status, &bytes);
            let _ = decode_named(&bytes);
        }
    }
}
