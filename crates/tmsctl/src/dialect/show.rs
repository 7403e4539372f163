//! `tmsctl dialect show`: what a dialect says, with everything that it inherits.

use comfy_table::Table;
use iso8583::{
    Align, Binary, Charset, Dialect, Digits, FieldFormat, Fill, Length, LengthEncoding, Sensitivity,
    Structure, StructureCase, Unit,
};
use serde_json::{Map, Value, json};

use crate::cli::Show;
use crate::failure::Failure;
use crate::output;

const COLUMNS: &[&str] = &["field", "name", "format", "length", "content", "shown", "inside"];

/// Prints the fields of a dialect, or one of them.
///
/// # Errors
///
/// The dialect has no such field.
pub(super) fn run(dialect: &Dialect, options: &Show) -> Result<(), Failure> {
    let fields: Vec<&FieldFormat> =
        match options.field {
            None => dialect.fields().collect(),
            Some(number) => vec![dialect.field(number).ok_or_else(|| {
                Failure::new(format!("the dialect {} has no field {number}", dialect.name()))
            })?],
        };
    if options.json {
        let fields: Map<String, Value> =
            fields.iter().map(|format| (format.number().to_string(), json_of(dialect, format))).collect();
        return output::json(&json!({
            "name": dialect.name(),
            "framing": dialect.framing().to_string(),
            "fields": fields,
        }));
    }
    let mut table = output::table(COLUMNS);
    for format in &fields {
        let path = format.number().to_string();
        table.add_row(row(&path, format));
        if options.field.is_some() {
            add_inside(&mut table, &path, format.structure());
        }
    }
    output::line(&table.to_string())?;
    for case in options.field.iter().flat_map(|number| dialect.structure_cases(*number)) {
        let path = options.field.map(|number| number.to_string()).unwrap_or_default();
        output::line(&format!("\nfield {path} in {}: {}", messages(case), kind(case.structure())))?;
        let mut table = output::table(COLUMNS);
        add_inside(&mut table, &path, case.structure());
        output::line(&table.to_string())?;
    }
    Ok(())
}

fn add_inside(table: &mut Table, path: &str, structure: &Structure) {
    let mut add = |path: &str, format: &FieldFormat| {
        table.add_row(row(path, format));
    };
    inside(&mut add, path, structure);
}

/// The messages in which a structure holds.
fn messages(case: StructureCase<'_>) -> String {
    let types: Vec<_> = case.mtis().iter().map(ToString::to_string).collect();
    let types = if types.is_empty() { "all messages".to_owned() } else { types.join(", ") };
    match case.when() {
        None => types,
        Some((path, values)) => format!("{types} where {path} is {}", values.join(" or ")),
    }
}

fn row(path: &str, format: &FieldFormat) -> [String; 7] {
    [
        path.to_owned(),
        output::printable(format.name()),
        format.notation(),
        length(format),
        content(format),
        shown(format.sensitivity()).to_owned(),
        kind(format.structure()).to_owned(),
    ]
}

/// Hands over everything inside a field with its path.
fn inside(each: &mut impl FnMut(&str, &FieldFormat), path: &str, structure: &Structure) {
    let mut below = |path: String, format: &FieldFormat| {
        each(&path, format);
        inside(&mut *each, &path, format.structure());
    };
    match structure {
        Structure::Positional(parts) => {
            for part in parts {
                below(format!("{path}.{}", part.format().number()), part.format());
            }
        }
        Structure::BerTlv(tags)
        | Structure::TagTable { tags, .. }
        | Structure::Tlv { tags, .. }
        | Structure::Ltv { tags, .. } => {
            for (tag, format) in tags.iter() {
                below(format!("{path}/{tag}"), format);
            }
        }
        Structure::Bitmapped { fields, .. } => {
            for format in fields.iter().flatten() {
                below(format!("{path}.{}", format.number()), format);
            }
        }
        _ => {}
    }
}

fn json_of(dialect: &Dialect, format: &FieldFormat) -> Value {
    let mut value = Map::new();
    value.insert("name".to_owned(), json!(format.name()));
    value.insert("format".to_owned(), json!(format.notation()));
    for (key, text) in [("length", length(format)), ("content", content(format))] {
        if !text.is_empty() {
            value.insert(key.to_owned(), json!(text));
        }
    }
    if let Some(date) = format.date() {
        value.insert("date".to_owned(), json!(date.to_string()));
    }
    if format.sensitivity().is_sensitive() {
        value.insert("sensitive".to_owned(), json!(format.sensitivity().to_string()));
    }
    let path = format.number().to_string();
    insert_structure(&mut value, &path, format.structure());
    let cases: Vec<_> = dialect.structure_cases(format.number()).map(|case| case_json(case, &path)).collect();
    if !cases.is_empty() {
        value.insert("in_some_messages".to_owned(), Value::Array(cases));
    }
    Value::Object(value)
}

fn case_json(case: StructureCase<'_>, path: &str) -> Value {
    let mut value = Map::new();
    let types: Vec<_> = case.mtis().iter().map(ToString::to_string).collect();
    value.insert("mti".to_owned(), json!(types));
    if let Some((path, values)) = case.when() {
        value.insert("when".to_owned(), json!({ "path": path, "values": values }));
    }
    insert_structure(&mut value, path, case.structure());
    Value::Object(value)
}

fn insert_structure(value: &mut Map<String, Value>, path: &str, structure: &Structure) {
    let kind = kind(structure);
    if kind.is_empty() {
        return;
    }
    let mut fields = Map::new();
    let mut insert = |path: &str, format: &FieldFormat| {
        let plain = json!({ "name": format.name(), "format": format.notation() });
        fields.insert(path.to_owned(), plain);
    };
    inside(&mut insert, path, structure);
    value.insert("structure".to_owned(), json!(kind));
    value.insert("inside".to_owned(), Value::Object(fields));
}

/// How the length is written; nothing for a fixed length.
fn length(format: &FieldFormat) -> String {
    let Length::Variable { prefix_digits, .. } = format.length() else {
        return String::new();
    };
    let encoding = match format.length_encoding() {
        LengthEncoding::Ascii => "ASCII",
        LengthEncoding::Ebcdic => "EBCDIC",
        LengthEncoding::Bcd => "BCD",
        LengthEncoding::Binary => "binary",
        LengthEncoding::Hex => "hex",
        _ => "other",
    };
    let unit = match format.unit() {
        Unit::Characters => "",
        Unit::Digits => ", counts half bytes",
        Unit::Bytes => ", counts bytes",
    };
    format!("{} {encoding}{unit}", "L".repeat(usize::from(prefix_digits)))
}

/// How the content is written.
fn content(format: &FieldFormat) -> String {
    let mut text = match format.class() {
        iso8583::Class::Binary => match format.binary() {
            Binary::Raw => "bytes",
            Binary::Hex => "hex",
            Binary::EbcdicHex => "hex in EBCDIC",
            _ => "other",
        }
        .to_owned(),
        iso8583::Class::Numeric | iso8583::Class::Track | iso8583::Class::SignedNumeric => {
            match format.digits() {
                Digits::Ascii => "ASCII".to_owned(),
                Digits::Ebcdic => "EBCDIC".to_owned(),
                Digits::Bcd { align, pad } => {
                    let side = if align == Align::Left { "left" } else { "right" };
                    if pad == 0 { format!("packed {side}") } else { format!("packed {side}, filler {pad:X}") }
                }
                _ => "other".to_owned(),
            }
        }
        _ => match format.charset() {
            Charset::Ascii => "ASCII",
            Charset::Ebcdic037 => "EBCDIC 037",
            Charset::Ebcdic1047 => "EBCDIC 1047",
            _ => "other",
        }
        .to_owned(),
    };
    if let Some(date) = format.date() {
        text = format!("{text}, {date}");
    }
    match format.fill() {
        Fill::None => text,
        Fill::Left(filler) => format!("{text}, filled with {:?} on the left", char::from(filler)),
        Fill::Right(filler) => format!("{text}, filled with {:?} on the right", char::from(filler)),
    }
}

fn shown(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::None => "",
        Sensitivity::Pan => "first six, last four",
        _ => "never",
    }
}

fn kind(structure: &Structure) -> &'static str {
    match structure {
        Structure::None => "",
        Structure::Positional(_) => "positional",
        Structure::BerTlv(_) => "ber-tlv",
        Structure::TagTable { .. } => "tag-table",
        Structure::Tlv { .. } => "tlv",
        Structure::Ltv { .. } => "ltv",
        Structure::Bitmapped { .. } => "bitmapped",
        _ => "own",
    }
}
