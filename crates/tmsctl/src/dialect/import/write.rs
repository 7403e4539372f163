//! Writing a dialect file: what most fields share stands under `[encoding]`, the rest with its field,
//! and what was lost in a comment.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::{Dialect, Field, Structure, sensitivity};

/// What `[encoding]` will say.
struct Defaults {
    length: &'static str,
    digits: &'static str,
    variable_digits: &'static str,
    text: &'static str,
    binary: &'static str,
}

/// The text of the dialect file.
pub(super) fn toml(dialect: &Dialect, name: &str, origin: &str) -> String {
    let defaults = Defaults {
        length: most(dialect, |field| field.length, "ascii"),
        digits: most(dialect, |field| field.digits.filter(|_| !field.is_variable()), "ascii"),
        variable_digits: most(dialect, |field| field.digits.filter(|_| field.is_variable()), "ascii"),
        text: most(dialect, |field| field.text, "ascii"),
        binary: most(dialect, |field| field.binary, "raw"),
    };
    let mut text = String::new();
    comment(&mut text, "", &format!("Imported from {origin}."));
    comment(
        &mut text,
        "",
        "The original does not say which fields must be masked; the numbers of the standard decided.",
    );
    for note in &dialect.notes {
        comment(&mut text, "", note);
    }
    let _ = writeln!(text, "name = {}\nframing = \"none\"\n\n[encoding]", quoted(name));
    let mut encoding = vec![("mti", dialect.mti), ("bitmap", dialect.bitmap)];
    encoding.extend(dialect.bitmaps.map(|bitmaps| ("bitmaps", bitmaps)));
    encoding.extend([
        ("length", defaults.length),
        ("digits", defaults.digits),
        ("variable_digits", defaults.variable_digits),
        ("text", defaults.text),
        ("binary", defaults.binary),
    ]);
    for (key, value) in encoding {
        let _ = writeln!(text, "{key} = \"{value}\"");
    }
    fields(&mut text, "field", &dialect.fields, &defaults, true);
    for (number, what) in &dialect.lost {
        text.push('\n');
        comment(&mut text, "", &format!("Field {number} could not be converted: {what}"));
        let _ = writeln!(text, "# [field.{number}]");
    }
    text
}

/// The most frequent of what fields say; the first in the alphabet of equals.
fn most(
    dialect: &Dialect,
    of: impl Fn(&Field) -> Option<&'static str>,
    otherwise: &'static str,
) -> &'static str {
    let mut counts = BTreeMap::<&str, usize>::new();
    for word in dialect.fields.values().filter_map(of) {
        *counts.entry(word).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(otherwise, |(word, _)| word)
}

fn fields(text: &mut String, table: &str, fields: &BTreeMap<u16, Field>, defaults: &Defaults, masked: bool) {
    for (number, field) in fields {
        let path = format!("{table}.{number}");
        text.push('\n');
        for note in &field.notes {
            comment(text, "", note);
        }
        let _ = writeln!(text, "[{path}]");
        for (key, value) in keys(field, defaults) {
            let _ = writeln!(text, "{key} = {}", quoted(&value));
        }
        if let Some(kind) = sensitivity(*number).filter(|_| masked) {
            let _ = writeln!(text, "sensitive = \"{kind}\"");
        }
        structure(text, &path, field, defaults);
    }
}

fn structure(text: &mut String, path: &str, field: &Field, defaults: &Defaults) {
    match &field.structure {
        Structure::None => {}
        Structure::BerTlv => text.push_str("structure = \"ber-tlv\"\ntags = \"emv\"\n"),
        Structure::Positional(parts) => {
            text.push_str("parts = [\n");
            for part in parts {
                entry(text, None, part, field.class == "b");
            }
            text.push_str("]\n");
        }
        Structure::Tlv { tag_size, length_size, tags } => {
            let _ = writeln!(
                text,
                "structure = \"tlv\"\ntag_size = {tag_size}\nlength_size = {length_size}\ntags = ["
            );
            for (tag, field) in tags {
                entry(text, Some(tag), field, false);
            }
            text.push_str("]\n");
        }
        Structure::Bitmapped { bitmap, fields: inner } => {
            let _ = writeln!(text, "structure = \"bitmapped\"\nbitmap = \"{bitmap}\"");
            fields(text, &format!("{path}.field"), inner, defaults, false);
        }
    }
}

/// A part or a tagged object, on one line. Only parts of bytes say how they are written.
fn entry(text: &mut String, tag: Option<&str>, field: &Field, bytes: bool) {
    for note in &field.notes {
        comment(text, "    ", note);
    }
    let mut keys = Vec::new();
    keys.extend(tag.map(|tag| ("tag", tag.to_owned())));
    keys.extend([("name", field.name.clone()), ("format", field.format())]);
    if bytes {
        for (key, value) in [("digits", field.digits), ("text", field.text), ("binary", field.binary)] {
            keys.extend(value.map(|value| (key, value.to_owned())));
        }
        keys.extend(field.pad.filter(|pad| *pad != '0').map(|pad| ("pad", pad.to_string())));
    }
    let keys: Vec<_> = keys.iter().map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
    let _ = writeln!(text, "    {{ {} }},", keys.join(", "));
}

/// The keys of a field that `[encoding]` does not say already.
fn keys(field: &Field, defaults: &Defaults) -> Vec<(&'static str, String)> {
    let mut keys = vec![("name", field.name.clone()), ("format", field.format())];
    let digits = if field.is_variable() { defaults.variable_digits } else { defaults.digits };
    for (key, value, default) in [
        ("length", field.length, defaults.length),
        ("digits", field.digits, digits),
        ("text", field.text, defaults.text),
        ("binary", field.binary, defaults.binary),
        ("unit", field.unit, "characters"),
        ("fill", field.fill, "none"),
    ] {
        if let Some(value) = value.filter(|value| *value != default) {
            keys.push((key, value.to_owned()));
        }
    }
    if let Some(pad) = field.pad.filter(|pad| *pad != '0') {
        keys.push(("pad", pad.to_string()));
    }
    keys
}

fn comment(text: &mut String, indent: &str, line: &str) {
    let _ = writeln!(text, "{indent}# {}", one_line(line));
}

/// Text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(one_line(text)).to_string()
}

/// Text without line breaks and other control characters, which a comment or a name cannot have.
fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_control()).collect::<Vec<_>>().join(" ").trim().to_owned()
}
