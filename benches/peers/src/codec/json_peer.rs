//! `iso8583-codec-rs` 0.1: reads to and builds from JSON values, with its bundled specification of
//! ISO 8583:1987.
//!
//! Reading checks lengths only; its separate validation is not timed. It cannot write into a
//! buffer that is used again. Building includes making the JSON value, which is its only input.

use std::hint::black_box;

use iso8583_codec_rs::iso8583::{parse_bytes, publish_bytes};
use iso8583_codec_rs::{LoadedSpec, load_spec};
use serde_json::{Map, Value, json};

use super::fastest_peer::package_file;
use super::{case, same_bytes, take};
use crate::messages::Sample;
use crate::{Case, Operation};

const NAME: &str = "iso8583-codec-rs";

pub(super) fn load() -> Result<&'static LoadedSpec, String> {
    let path = package_file("iso8583-codec-rs", "specifications/fields.json")?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let spec = load_spec(&text).map_err(|error| error.to_string())?;
    Ok(Box::leak(Box::new(spec)))
}

pub(super) fn cases(spec: &'static LoadedSpec, sample: &Sample) -> Result<Vec<Case>, String> {
    let ascii = sample.ascii;
    let mti = sample.mti;
    let parsed = parse_bytes(ascii, spec).map_err(|error| format!("{NAME}: {error}"))?;
    let fields = parsed["fields"].as_object().ok_or("no fields")?;
    if fields.len() != sample.fields.len() {
        return Err(format!("{NAME} reads other fields from {}", sample.name));
    }
    let fields: &'static Map<String, Value> = Box::leak(Box::new(fields.clone()));
    let names: &'static [&'static str] = fields.keys().map(String::as_str).collect::<Vec<_>>().leak();
    same_bytes(NAME, sample, ascii, &build(spec, mti, fields))?;

    Ok(vec![
        case(sample, "ascii", Operation::Parse, NAME, move || {
            take(&parse_bytes(black_box(ascii), spec).unwrap());
        }),
        case(sample, "ascii", Operation::ParseAndRead, NAME, move || {
            let parsed = parse_bytes(black_box(ascii), spec).unwrap();
            for (name, value) in parsed["fields"].as_object().unwrap() {
                take(name.as_str());
                take(value);
            }
        }),
        case(sample, "ascii", Operation::ParseAndGet, NAME, move || {
            let parsed = parse_bytes(black_box(ascii), spec).unwrap();
            let fields = &parsed["fields"];
            for name in black_box(names) {
                take(&fields[name]);
            }
        }),
        case(sample, "ascii", Operation::Build, NAME, move || {
            take(&build(spec, mti, black_box(fields)));
        }),
    ])
}

fn build(spec: &LoadedSpec, mti: &str, fields: &Map<String, Value>) -> Vec<u8> {
    let mut composed = Map::new();
    for (name, value) in fields {
        composed.insert(name.clone(), value.clone());
    }
    publish_bytes(&json!({ "mti": mti, "fields": composed }), spec).unwrap()
}
