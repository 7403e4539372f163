//! From the keys about the inside of a field to its structure.

use std::collections::BTreeMap;

use super::builtin;
use super::error::did_you_mean;
use super::file::{FieldKeys, StructureKeys, TagKeys};
use super::formats::{Defaults, Formats};
use super::words::{self, Kind, word};
use crate::class::Class;
use crate::format::{Align, Binary, Charset, Digits, FieldFormat, Fill, Length, LengthEncoding, Part, Unit};
use crate::mask::Sensitivity;
use crate::path::{MAX_DEPTH, Tag};
use crate::structure::{Structure, Tags};

/// The last field of a nested bitmap.
const LAST_FIELD: usize = 128;

/// Keys that each kind understands beside `structure`.
const fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::None => &[],
        Kind::Positional => &["parts"],
        Kind::BerTlv => &["tags", "unknown_tags"],
        Kind::TagTable => &["tag_size", "tags", "unknown_tags"],
        Kind::Tlv => &["tag_size", "length_size", "tags", "unknown_tags"],
        Kind::Ltv => &["tag_size", "length_size", "length_counts", "tags", "unknown_tags"],
        Kind::Bitmapped => &["bitmap", "field"],
    }
}

/// What is being divided: its path, the line that says so, its format, and how deep it stands.
#[derive(Clone, Copy)]
struct Whole<'a> {
    path: &'a str,
    line: Option<usize>,
    format: &'a FieldFormat,
    depth: usize,
}

impl Formats {
    /// The structure of a field; `None` when something is wrong with it.
    pub(super) fn structure(
        &mut self,
        path: &str,
        line: Option<usize>,
        keys: &StructureKeys,
        format: &FieldFormat,
        defaults: &Defaults,
        depth: usize,
    ) -> Option<Structure> {
        let whole = Whole { path, line, format, depth };
        let kind = self.kind(whole, keys)?;
        self.only(whole, keys, kind)?;
        if kind != Kind::None && depth >= MAX_DEPTH {
            let reason = format!("fields may stand {MAX_DEPTH} deep within fields, not deeper");
            return self.wrong(line, path, "structure", reason);
        }
        match kind {
            Kind::None => Some(Structure::None),
            Kind::Positional => self.positional(whole, keys, defaults),
            Kind::BerTlv => {
                if format.class != Class::Binary {
                    let reason = "ber-tlv is made of bytes, so the field is of class b";
                    return self.wrong(line, path, "structure", reason);
                }
                Some(Structure::BerTlv(self.tags(whole, keys, kind, defaults)?))
            }
            Kind::TagTable | Kind::Tlv | Kind::Ltv => self.tagged(whole, keys, kind, defaults),
            Kind::Bitmapped => self.bitmapped(whole, keys, defaults),
        }
    }

    fn kind(&mut self, whole: Whole<'_>, keys: &StructureKeys) -> Option<Kind> {
        match keys.words.get("structure") {
            Some(at) => {
                let found = word(at, Some(whole.path), "structure", words::KINDS);
                self.keep(found)
            }
            None if keys.parts.is_some() => Some(Kind::Positional),
            None => {
                let kinds = words::KINDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
                let reason = format!("needs a `structure`: one of {kinds}");
                self.wrong(whole.line, whole.path, "structure", reason)
            }
        }
    }

    /// Refuses keys that mean nothing for the kind.
    fn only(&mut self, whole: Whole<'_>, keys: &StructureKeys, kind: Kind) -> Option<()> {
        let name = words::KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| *word);
        let tables = [
            ("parts", keys.parts.is_some()),
            ("tags", keys.tags.is_some()),
            ("field", !keys.fields.is_empty()),
        ];
        let given = keys
            .words
            .iter()
            .map(|(key, at)| (*key, at.line))
            .chain(tables.into_iter().filter(|(_, given)| *given).map(|(key, _)| (key, whole.line)));
        let extra =
            given.filter(|(key, _)| *key != "structure").find(|(key, _)| !keys_of(kind).contains(key));
        match extra {
            None => Some(()),
            Some((key, line)) => {
                let known = keys_of(kind).join(", ");
                let reason =
                    format!("`{key}` has no meaning for `structure = \"{name}\"`, which has {known}");
                self.wrong(line, whole.path, key, reason)
            }
        }
    }

    fn positional(
        &mut self,
        whole: Whole<'_>,
        keys: &StructureKeys,
        defaults: &Defaults,
    ) -> Option<Structure> {
        let keys = keys.parts.as_deref().unwrap_or_default();
        if keys.is_empty() {
            return self.wrong(whole.line, whole.path, "parts", "needs at least one of `parts`");
        }
        let bytes = whole.format.class == Class::Binary;
        let inside =
            if bytes { characters(defaults, defaults.charset) } else { as_written(whole.format, defaults) };
        let keys_len = keys.len();
        let mut parts = Vec::with_capacity(keys_len);
        let mut start = 0;
        for (at, keys) in keys.iter().enumerate() {
            let path = format!("{}.{}", whole.path, at + 1);
            let number = u8::try_from(at + 1).ok()?;
            let format = self.part(&path, number, keys, whole, bytes, &inside);
            // Goes on to find what is wrong with the other parts.
            let Some(format) = format else { continue };
            let line = keys.words.get("format").and_then(|at| at.line).or(keys.line);
            let units = if bytes { format.content_len(format.max_units()) } else { format.length.max() };
            let length = match format.length {
                Length::Fixed(_) => Some(units),
                Length::Variable { .. } => None,
            };
            if length.is_none() && at + 1 < keys_len {
                let reason = "only the last part may have a variable length";
                return self.wrong(line, &path, "format", reason);
            }
            parts.push(Part { format, start, length });
            start += units;
            if start > whole.format.length.max() {
                let max = whole.format.length.max();
                let reason = format!("the parts so far take {start} characters and the field has {max}");
                return self.wrong(line, &path, "format", reason);
            }
        }
        (parts.len() == keys_len).then_some(Structure::Positional(parts))
    }

    fn part(
        &mut self,
        path: &str,
        number: u8,
        keys: &FieldKeys,
        whole: Whole<'_>,
        bytes: bool,
        inside: &Defaults,
    ) -> Option<FieldFormat> {
        if !bytes {
            for key in ["digits", "pad", "text", "binary"] {
                if let Some(at) = keys.words.get(key) {
                    let reason = format!("`{key}` has no meaning here: a part is written as its field is");
                    return self.wrong(at.line, path, key, reason);
                }
            }
        }
        let format = self.field(path, number, keys, inside, whole.depth + 1)?;
        if format.class == Class::SignedNumeric {
            let line = keys.words.get("format").and_then(|at| at.line);
            return self.wrong(line, path, "format", "parts cannot be of class x+n");
        }
        Some(format)
    }

    fn tagged(
        &mut self,
        whole: Whole<'_>,
        keys: &StructureKeys,
        kind: Kind,
        defaults: &Defaults,
    ) -> Option<Structure> {
        let raw = whole.format.class != Class::Binary || whole.format.binary == Binary::Raw;
        if whole.format.is_packed() || !raw {
            let reason = "tags of characters need a field of text, or of bytes that are not written as hex";
            return self.wrong(whole.line, whole.path, "structure", reason);
        }
        let tag_len = self.size(whole, keys, "tag_size", 8)?;
        let length_len = match kind {
            Kind::TagTable => 0,
            _ => self.size(whole, keys, "length_size", 6)?,
        };
        let counts = keys.words.get("length_counts");
        let counts = counts.map(|at| word(at, Some(whole.path), "length_counts", words::COUNTS));
        let counts_tag = match counts {
            Some(found) => self.keep(found)?,
            None => false,
        };
        let tags = self.tags(whole, keys, kind, defaults)?;
        if let Some((tag, _)) = tags.iter().find(|(tag, _)| tag.bytes().len() != usize::from(tag_len)) {
            let reason = format!("the tag `{tag}` has not the {tag_len} characters of `tag_size`");
            return self.wrong(whole.line, whole.path, "tags", reason);
        }
        Some(match kind {
            Kind::TagTable => Structure::TagTable { tag_len, tags },
            Kind::Tlv => Structure::Tlv { tag_len, length_len, tags },
            _ => Structure::Ltv { length_len, tag_len, counts_tag, tags },
        })
    }

    fn size(&mut self, whole: Whole<'_>, keys: &StructureKeys, key: &'static str, most: u8) -> Option<u8> {
        let Some(at) = keys.words.get(key) else {
            return self.wrong(whole.line, whole.path, key, format!("needs a `{key}`"));
        };
        match at.value.parse::<u8>() {
            Ok(size) if (1..=most).contains(&size) => Some(size),
            _ => self.wrong(at.line, whole.path, key, format!("`{key}` is a number from 1 to {most}")),
        }
    }

    fn tags(
        &mut self,
        whole: Whole<'_>,
        keys: &StructureKeys,
        kind: Kind,
        defaults: &Defaults,
    ) -> Option<Tags> {
        let table = kind == Kind::TagTable;
        let ber = kind == Kind::BerTlv;
        let keep_unknown = match keys.words.get("unknown_tags") {
            None => !table,
            Some(at) => {
                let found = word(at, Some(whole.path), "unknown_tags", words::UNKNOWNS);
                let keep = self.keep(found)?;
                if keep && table {
                    let reason =
                        "a tag-table cannot keep unknown tags, because it has no lengths to skip them";
                    return self.wrong(at.line, whole.path, "unknown_tags", reason);
                }
                keep
            }
        };
        let list = match &keys.tags {
            Some(TagKeys::List(list)) => list.as_slice(),
            Some(TagKeys::Named(name)) => {
                let Some(list) = builtin::tags(&name.value).filter(|_| ber) else {
                    let nearest = did_you_mean(&name.value, builtin::TAG_SETS);
                    let reason = if ber {
                        format!("`tags` is `{}`; the built-in set is emv{nearest}", name.value)
                    } else {
                        "the built-in tags are those of chip cards, for ber-tlv".to_owned()
                    };
                    return self.wrong(name.line, whole.path, "tags", reason);
                };
                list
            }
            None if table => {
                let reason = "a tag-table needs its `tags`, because only they tell the lengths";
                return self.wrong(whole.line, whole.path, "tags", reason);
            }
            None => &[],
        };
        let inside = if ber { packed(defaults) } else { characters(defaults, whole.format.charset) };
        let inside = Defaults { prefixed: table, ..inside };
        self.take_places(whole.line, whole.path, list.len())?;
        let before = self.errors.len();
        let mut known = BTreeMap::new();
        for keys in list {
            let Some(tag) = self.tag(whole, keys, ber) else { continue };
            let path = format!("{}/{tag}", whole.path);
            let Some(mut format) = self.field(&path, 0, keys, &inside, whole.depth + 1) else { continue };
            // The length of a data object counts its bytes.
            if !table {
                format.unit = Unit::Bytes;
            }
            if known.insert(tag, format).is_some() {
                self.wrong::<()>(keys.line, &path, "tag", "the tag stands twice");
            }
        }
        (self.errors.len() == before).then(|| Tags::new(known, keep_unknown, unknown(ber, &inside)))
    }

    fn tag(&mut self, whole: Whole<'_>, keys: &FieldKeys, ber: bool) -> Option<Tag> {
        let Some(at) = keys.words.get("tag") else {
            return self.wrong(keys.line, whole.path, "tag", "each of `tags` needs a `tag`");
        };
        let text = &at.value;
        let tag = if ber { ber_tag(text) } else { Tag::text(text.as_bytes()) };
        if tag.is_none() {
            let wanted =
                if ber { "the hexadecimal digits of a BER tag" } else { "one to eight printable characters" };
            return self.wrong(at.line, whole.path, "tag", format!("`{text}` is not {wanted}"));
        }
        tag
    }

    fn bitmapped(
        &mut self,
        whole: Whole<'_>,
        keys: &StructureKeys,
        defaults: &Defaults,
    ) -> Option<Structure> {
        let raw = whole.format.class != Class::Binary || whole.format.binary == Binary::Raw;
        if whole.format.is_packed() || !raw {
            let reason = "a nested bitmap needs a field of text, or of bytes that are not written as hex";
            return self.wrong(whole.line, whole.path, "structure", reason);
        }
        let bitmap = match keys.words.get("bitmap") {
            None => defaults.bitmap,
            Some(at) => {
                let found = word(at, Some(whole.path), "bitmap", words::BITMAPS);
                self.keep(found)?
            }
        };
        if keys.fields.is_empty() {
            let reason = format!("needs its fields, as [field.{}.field.2] and so on", whole.path);
            return self.wrong(whole.line, whole.path, "field", reason);
        }
        self.take_places(whole.line, whole.path, LAST_FIELD - 1)?;
        let before = self.errors.len();
        let mut fields = vec![None; LAST_FIELD - 1];
        for (number, keys) in &keys.fields {
            let path = format!("{}.{number}", whole.path);
            let parsed = number.parse::<u8>().ok().filter(|parsed| parsed.to_string() == *number);
            let place = parsed.and_then(|number| fields.get_mut(usize::from(number).checked_sub(2)?));
            match (parsed, place) {
                (Some(parsed), Some(place)) => {
                    *place = self.field(&path, parsed, keys, defaults, whole.depth + 1);
                }
                _ => {
                    let reason = "fields of a nested bitmap are numbered 2 to 128";
                    self.wrong::<()>(keys.line, &path, "field", reason);
                }
            }
        }
        (self.errors.len() == before).then_some(Structure::Bitmapped { bitmap, fields })
    }
}

/// Parts of text or digits are written as the field around them.
fn as_written(format: &FieldFormat, defaults: &Defaults) -> Defaults {
    Defaults {
        length: format.length_encoding,
        digits: format.digits,
        variable_digits: format.digits,
        charset: format.charset,
        binary: format.binary,
        bitmap: defaults.bitmap,
        prefixed: false,
    }
}

/// Everything inside is characters.
fn characters(defaults: &Defaults, charset: Charset) -> Defaults {
    let ascii = charset == Charset::Ascii;
    let digits = if ascii { Digits::Ascii } else { Digits::Ebcdic };
    Defaults {
        length: if ascii { LengthEncoding::Ascii } else { LengthEncoding::Ebcdic },
        digits,
        variable_digits: digits,
        charset,
        binary: Binary::Raw,
        bitmap: defaults.bitmap,
        prefixed: false,
    }
}

/// Data objects of chip cards: packed digits and ASCII text, wherever they travel.
fn packed(defaults: &Defaults) -> Defaults {
    let digits = Digits::Bcd { align: Align::Right, pad: 0 };
    Defaults {
        length: LengthEncoding::Ascii,
        digits,
        variable_digits: digits,
        charset: Charset::Ascii,
        binary: Binary::Raw,
        bitmap: defaults.bitmap,
        prefixed: false,
    }
}

/// A tag that has no name may hold anything.
fn unknown(ber: bool, inside: &Defaults) -> FieldFormat {
    FieldFormat {
        number: 0,
        name: "Unknown tag".to_owned(),
        class: if ber { Class::Binary } else { Class::Text },
        length: Length::Variable { prefix_digits: 6, max: u16::MAX - 1 },
        length_encoding: inside.length,
        unit: Unit::Bytes,
        digits: inside.digits,
        charset: inside.charset,
        binary: Binary::Raw,
        fill: Fill::None,
        date: None,
        sensitivity: Sensitivity::None,
        structure: Structure::None,
    }
}

/// The tag that hexadecimal digits write, if they are exactly one BER tag of at most four bytes.
fn ber_tag(text: &str) -> Option<Tag> {
    let digits = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| digits)?;
    let tag = Tag::ber(number);
    let (&first, more) = tag.bytes().split_first()?;
    let (last, middle) = match more.split_last() {
        None => return (first & 0x1F != 0x1F && first != 0 && text.len() == 2).then_some(tag),
        Some(split) => split,
    };
    let continued = middle.iter().all(|byte| byte & 0x80 != 0) && last & 0x80 == 0;
    (first & 0x1F == 0x1F && continued && text.len() == tag.bytes().len() * 2).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ber_tags_are_tags() {
        for text in ["5A", "57", "9F06", "DF8105", "9f06", "BF0C"] {
            assert!(ber_tag(text).is_some(), "{text}");
        }
        for text in ["", "5", "5A57", "9F", "DF81", "9F0606", "ZZ", "9F86", "+5", "DF81818105"] {
            assert!(ber_tag(text).is_none(), "{text}");
        }
    }
}
