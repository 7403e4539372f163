//! `iso_8583_rs` 0.2: ASCII with hexadecimal bitmaps, strict, without copies or allocation.
//!
//! It is given its own bundled specification of ISO 8583:1987 with one change: field 48 is `ans`
//! instead of `an`, because message `B_0800` has punctuation in it.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;

use iso_8583_rs::specfile::spec_from_file;
use iso_8583_rs::{Builder, CompiledSpec, Message};
use serde_json::Value;

use super::{case, same_bytes, same_fields, take};
use crate::messages::Sample;
use crate::{Case, Operation};

/// As it stands in the table.
pub const NAME: &str = "iso_8583_rs";

/// The specification, compiled once.
pub(super) fn load() -> Result<&'static CompiledSpec, String> {
    let path = package_file("iso_8583_rs", "spec1987.yml")?;
    let mut spec = spec_from_file(&path.to_string_lossy()).map_err(|error| error.to_string())?;
    let private = spec.fields.get_mut(&48).ok_or("spec1987.yml has no field 48")?;
    "ans".clone_into(&mut private.content_type);
    let compiled = CompiledSpec::compile(&spec).map_err(|error| error.to_string())?;
    Ok(Box::leak(Box::new(compiled)))
}

/// A file that is part of a package this one depends on.
pub(super) fn package_file(package: &str, file: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let found = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&found.stdout)
        .map_err(|_| format!("cargo metadata: {}", String::from_utf8_lossy(&found.stderr)))?;
    metadata["packages"]
        .as_array()
        .and_then(|all| all.iter().find(|entry| entry["name"] == package))
        .and_then(|entry| entry["manifest_path"].as_str())
        .map(|manifest| PathBuf::from(manifest).with_file_name(file))
        .ok_or_else(|| format!("{package} is not among the packages"))
}

pub(super) fn cases(spec: &'static CompiledSpec, sample: &Sample) -> Result<Vec<Case>, String> {
    let Sample { fields, ascii, mti, .. } = *sample;
    let mti = mti.as_bytes();

    let message = Message::parse(spec, ascii).map_err(|error| format!("{NAME}, {}: {error}", sample.name))?;
    same_fields(NAME, sample, message.fields().map(|(number, value)| (number as u8, value)))?;
    let numbers: &'static [u8] = fields.iter().map(|(number, _)| *number).collect::<Vec<_>>().leak();
    let mut out = Vec::new();
    build(spec, mti, fields, &mut out);
    same_bytes(NAME, sample, ascii, &out)?;

    Ok(vec![
        case(sample, "ascii", Operation::Parse, NAME, move || {
            take(&Message::parse(spec, black_box(ascii)).unwrap());
        }),
        case(sample, "ascii", Operation::ParseAndRead, NAME, move || {
            let message = Message::parse(spec, black_box(ascii)).unwrap();
            for (number, value) in message.fields() {
                black_box(number);
                black_box(value);
            }
        }),
        case(sample, "ascii", Operation::ParseAndGet, NAME, move || {
            let message = Message::parse(spec, black_box(ascii)).unwrap();
            for number in black_box(numbers) {
                black_box(message.get(usize::from(*number)));
            }
        }),
        case(sample, "ascii", Operation::Build, NAME, move || {
            build(spec, mti, black_box(fields), &mut out);
            take(&out);
        }),
    ])
}

/// Its builder borrows the values, so each message needs a new one; that is how its own benchmark
/// builds from scratch, too.
fn build(spec: &'static CompiledSpec, mti: &[u8], fields: &[(u8, &[u8])], out: &mut Vec<u8>) {
    let mut builder = Builder::new(spec, mti).unwrap();
    for (number, value) in fields {
        builder.set(usize::from(*number), value).unwrap();
    }
    builder.pack_into(out);
}
