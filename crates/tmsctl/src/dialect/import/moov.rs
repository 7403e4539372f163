//! Dialects from the JSON specifications of moov-io/iso8583.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{Dialect, Field, Structure, Unknown, Unreadable};

/// Composites within composites.
const MAX_DEPTH: usize = 4;

#[derive(Deserialize)]
struct Spec {
    fields: BTreeMap<String, Raw>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    length: usize,
    #[serde(default)]
    description: String,
    #[serde(default)]
    enc: String,
    #[serde(default)]
    prefix: String,
    padding: Option<Padding>,
    tag: Option<TagSpec>,
    #[serde(default)]
    subfields: BTreeMap<String, Raw>,
    bitmap: Option<Box<Raw>>,
    #[serde(default)]
    disableautoexpand: bool,
}

#[derive(Deserialize)]
struct Padding {
    #[serde(rename = "type")]
    side: String,
    #[serde(default)]
    pad: String,
}

#[derive(Deserialize)]
struct TagSpec {
    #[serde(default)]
    length: usize,
    #[serde(default)]
    enc: String,
}

/// Reads a specification. Fields that cannot be converted are returned beside the dialect.
pub(super) fn read(json: &str) -> Result<(Dialect, Vec<Unknown>), Unreadable> {
    let spec: Spec = serde_json::from_str(json)
        .map_err(|error| Unreadable(format!("the file is no specification: {error}")))?;
    let mut dialect = Dialect { mti: "ascii", bitmap: "binary", ..Dialect::default() };
    let mut unknown = Vec::new();
    for (key, raw) in &spec.fields {
        let Ok(number) = key.parse::<u16>() else {
            return Err(Unreadable(format!("`{key}` is no field number")));
        };
        match number {
            0 => match raw.enc.as_str() {
                "ASCII" => dialect.mti = "ascii",
                "BCD" => dialect.mti = "bcd",
                "EBCDIC" | "EBCDIC1047" => dialect.mti = "ebcdic",
                enc => unknown.push(no_equal("0", "encoding", enc)),
            },
            1 => match bitmap(&raw.enc) {
                Some(bitmap) => {
                    dialect.bitmap = bitmap;
                    // A length of 16 reads sixteen bytes whatever the first bit says.
                    dialect.bitmaps = match (raw.length, raw.disableautoexpand) {
                        (16.., _) => Some("always-16"),
                        (_, true) => Some("one"),
                        _ => None,
                    };
                }
                None => unknown.push(no_equal("1", "encoding", &raw.enc)),
            },
            2..=128 => match field(raw, key, 0) {
                Ok(field) => {
                    dialect.fields.insert(number, field.numbered(number));
                }
                Err(error) => {
                    dialect.lost.insert(number, error.what.clone());
                    unknown.push(error);
                }
            },
            _ => unknown.push(Unknown { field: key.clone(), what: "messages end at field 128".to_owned() }),
        }
    }
    if dialect.fields.is_empty() && dialect.lost.is_empty() {
        return Err(Unreadable("the specification has no fields".to_owned()));
    }
    Ok((dialect, unknown))
}

fn field(raw: &Raw, path: &str, depth: usize) -> Result<Field, Unknown> {
    if depth > MAX_DEPTH {
        return Err(Unknown {
            field: path.to_owned(),
            what: format!("composites more than {MAX_DEPTH} deep"),
        });
    }
    let mut field = Field { name: raw.description.trim().to_owned(), max: raw.length, ..Field::default() };
    if field.name.is_empty() {
        path.clone_into(&mut field.name);
    }
    prefix(raw, path, &mut field)?;
    if raw.subfields.is_empty() {
        content(raw, path, &mut field)?;
    } else {
        composite(raw, path, depth, &mut field)?;
    }
    padding(raw, &mut field);
    match field.max {
        1..=65_534 => Ok(field),
        max => Err(Unknown { field: path.to_owned(), what: format!("a length of {max}") }),
    }
}

fn prefix(raw: &Raw, path: &str, field: &mut Field) -> Result<(), Unknown> {
    let (encoding, width) = raw.prefix.split_once('.').unwrap_or((&raw.prefix, ""));
    if width == "Fixed" {
        return Ok(());
    }
    let encoding = match encoding {
        "ASCII" => "ascii",
        "BCD" => "bcd",
        "Binary" => "binary",
        "EBCDIC" | "EBCDIC1047" => "ebcdic",
        "Hex" => "hex",
        _ => return Err(no_equal(path, "prefix", &raw.prefix)),
    };
    if width.is_empty() || width.len() > 6 || !width.bytes().all(|byte| byte == b'L') {
        return Err(no_equal(path, "prefix", &raw.prefix));
    }
    // `Binary.L` and `Hex.L` are one byte of length, which a dialect file calls two digits.
    let digits = if matches!(encoding, "binary" | "hex") { width.len() * 2 } else { width.len() };
    if digits > 6 {
        return Err(no_equal(path, "prefix", &raw.prefix));
    }
    field.length = Some(encoding);
    field.prefix_digits = digits;
    let most = 10usize.pow(u32::try_from(digits).unwrap_or(6)) - 1;
    if field.max > most {
        field
            .notes
            .push(format!("The original allows {}; {digits} digits of length can say {most}.", field.max));
        field.max = most;
    }
    Ok(())
}

fn content(raw: &Raw, path: &str, field: &mut Field) -> Result<(), Unknown> {
    let numeric = raw.kind == "Numeric";
    if !matches!(raw.kind.as_str(), "String" | "Numeric" | "Binary" | "Hex" | "Track1" | "Track2" | "Track3")
    {
        return Err(no_equal(path, "type", &raw.kind));
    }
    match raw.enc.as_str() {
        "ASCII" if numeric => (field.class, field.digits) = ("n", Some("ascii")),
        "ASCII" => (field.class, field.text) = ("ans", Some("ascii")),
        "EBCDIC" if numeric => (field.class, field.digits) = ("n", Some("ebcdic")),
        "EBCDIC" => (field.class, field.text) = ("ans", Some("ebcdic-037")),
        "EBCDIC1047" if numeric => (field.class, field.digits) = ("n", Some("ebcdic")),
        "EBCDIC1047" => (field.class, field.text) = ("ans", Some("ebcdic-1047")),
        "BCD" => (field.class, field.digits) = ("n", Some("bcd-right")),
        "LBCD" => (field.class, field.digits) = ("n", Some("bcd-left")),
        "Binary" => (field.class, field.binary) = ("b", Some("raw")),
        // Characters in the program, bytes on the wire.
        "ASCIIToHex" => (field.class, field.binary) = ("b", Some("raw")),
        // Bytes in the program, characters on the wire.
        "HexToASCII" | "Hex" => (field.class, field.binary) = ("b", Some("hex")),
        enc => return Err(no_equal(path, "encoding", enc)),
    }
    Ok(())
}

fn composite(raw: &Raw, path: &str, depth: usize, field: &mut Field) -> Result<(), Unknown> {
    let mut inner = Vec::with_capacity(raw.subfields.len());
    let ber = raw.tag.as_ref().is_some_and(|tag| tag.enc == "BerTLVTag");
    field.class = if ber || raw.bitmap.is_some() { "b" } else { "ans" };
    if field.class == "b" {
        field.binary = Some("raw");
    }
    if ber {
        field.structure = Structure::BerTlv;
        return Ok(());
    }
    for (key, raw) in &raw.subfields {
        inner.push((key.clone(), self::field(raw, &format!("{path}.{key}"), depth + 1)?));
    }
    if let Some(raw) = &raw.bitmap {
        let bitmap = bitmap(&raw.enc).ok_or_else(|| no_equal(path, "encoding of its bitmap", &raw.enc))?;
        let mut fields = BTreeMap::new();
        for (key, field) in inner {
            match key.parse::<u16>() {
                Ok(number @ 2..=128) => fields.insert(number, field),
                _ => return Err(no_equal(path, "subfield", &key)),
            };
        }
        field.structure = Structure::Bitmapped { bitmap, fields };
        return Ok(());
    }
    match raw.tag.as_ref().filter(|tag| tag.length > 0) {
        Some(tag) => tagged(tag, inner, path, field),
        None => {
            inner.sort_by_key(|(key, _)| key.parse::<u32>().unwrap_or(u32::MAX));
            let parts: Vec<_> = inner.into_iter().map(|(_, part)| part).collect();
            if parts.iter().any(|part| part.text.or(part.digits) != Some("ascii")) {
                (field.class, field.binary) = ("b", Some("raw"));
            } else {
                field.text = Some("ascii");
            }
            field.divide(parts);
            Ok(())
        }
    }
}

/// Tag, length, value in characters, where all lengths are written alike.
fn tagged(tag: &TagSpec, inner: Vec<(String, Field)>, path: &str, field: &mut Field) -> Result<(), Unknown> {
    let length_size = inner.first().map_or(0, |(_, field)| field.prefix_digits);
    let alike = |field: &Field| field.length == Some("ascii") && field.prefix_digits == length_size;
    if tag.enc != "ASCII" || !inner.iter().all(|(_, field)| alike(field)) {
        let what = "tags or lengths that are not all ASCII and equally long";
        return Err(Unknown { field: path.to_owned(), what: what.to_owned() });
    }
    let tags = inner
        .into_iter()
        .map(|(key, mut field)| {
            // The structure has the length, so the value itself needs none.
            let tag = format!("{key:0>width$}", width = tag.length);
            field.structure = Structure::None;
            (tag, field)
        })
        .collect();
    field.structure = Structure::Tlv { tag_size: tag.length, length_size, tags };
    Ok(())
}

/// What the builder fills a short value with.
fn padding(raw: &Raw, field: &mut Field) {
    let Some(padding) = raw.padding.as_ref().filter(|_| !field.is_variable()) else {
        return;
    };
    match (padding.side.as_str(), padding.pad.as_str()) {
        ("Left", "0") => field.fill = Some("zeros-left"),
        ("Left", " ") => field.fill = Some("spaces-left"),
        ("Right", "0") => field.fill = Some("zeros-right"),
        ("Right", " ") => field.fill = Some("spaces-right"),
        ("None", _) => {}
        (side, pad) => field.notes.push(format!("The original fills it on the {side} with {pad:?}.")),
    }
    if field.class == "b" && field.fill.take().is_some() {
        field.notes.push("The original fills short values.".to_owned());
    }
}

fn bitmap(enc: &str) -> Option<&'static str> {
    match enc {
        "Binary" => Some("binary"),
        "HexToASCII" | "Hex" => Some("hex"),
        _ => None,
    }
}

fn no_equal(path: &str, what: &str, value: &str) -> Unknown {
    Unknown { field: path.to_owned(), what: format!("the {what} `{value}` has no equal") }
}
