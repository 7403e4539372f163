//! `tmsctl dialect import`: dialect files from what other ISO 8583 libraries read.

mod classes;
mod jpos;
mod model;
mod moov;
mod write;

use std::fs;

use iso8583::Dialect;

use crate::cli::{Import, Source};
use crate::failure::Failure;
use crate::output;

/// The largest description, in bytes. Those of jPOS have about 30 000.
const MAX_INPUT_BYTES: u64 = 4 << 20;

/// Runs `tmsctl dialect import`.
///
/// # Errors
///
/// The file cannot be read, or has a field that no dialect file can describe.
pub(super) fn run(options: &Import) -> Result<(), Failure> {
    let path = &options.file;
    let source = super::read_file(path, MAX_INPUT_BYTES)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = options.name.clone().unwrap_or(stem);
    let text =
        convert(options.from, &source, &name, options.keep_going).map_err(|problem| match problem {
            Problem::Unreadable(reason) => Failure::new(format!("{}: {reason}", path.display())),
            Problem::Fields(fields) => Failure::new(format!("{}: {}", path.display(), fields.join("\n")))
                .next("with --keep-going these fields become comments in the dialect file"),
        })?;
    match &options.output {
        None => output::line(text.trim_end()),
        Some(path) => fs::write(path, text)
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display()))),
    }
}

/// Why there is no dialect file.
#[derive(Debug)]
pub(super) enum Problem {
    /// The source is no description of that kind, or its dialect would not load.
    Unreadable(String),
    /// Fields that cannot be converted.
    Fields(Vec<String>),
}

/// The dialect file for a description.
pub(super) fn convert(from: Source, source: &str, name: &str, keep_going: bool) -> Result<String, Problem> {
    let (read, origin) = match from {
        Source::Jpos => (jpos::read(source), "a packager file of jPOS"),
        Source::Moov => (moov::read(source), "a specification of moov-io/iso8583"),
    };
    let (mut dialect, unknown) = read.map_err(|error| Problem::Unreadable(error.0))?;
    let messages = unknown.iter().map(|unknown| format!("field {}: {}", unknown.field, unknown.what));
    if !keep_going && !unknown.is_empty() {
        return Err(Problem::Fields(messages.collect()));
    }
    // What is no field of its own has no other place.
    let elsewhere = |field: &str| field.parse::<u16>().is_ok_and(|number| dialect.lost.contains_key(&number));
    let notes: Vec<_> = messages
        .zip(&unknown)
        .filter(|(_, unknown)| !elsewhere(&unknown.field))
        .map(|(note, _)| note)
        .collect();
    dialect.notes.extend(notes);
    let text = write::toml(&dialect, name, origin);
    match Dialect::from_toml(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Problem::Unreadable(format!("the dialect made of it does not load: {error}"))),
    }
}

#[cfg(test)]
mod tests;
