//! Standard output: text, tables and JSON.

use std::io::{self, IsTerminal, Write};

use clap::ColorChoice;
use comfy_table::Table;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// Prints a line to standard output.
///
/// # Errors
///
/// Standard output cannot be written. A reader that went away (`tmsctl … | head`) is no error.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as one line of JSON.
///
/// # Errors
///
/// As [`line()`].
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("the result cannot be written as JSON: {error}")))?;
    line(&text)
}

/// Whether standard output gets colours: when asked for, or when it is a terminal that has them and
/// nobody set `NO_COLOR` (<https://no-color.org>).
#[must_use]
pub fn coloured(choice: ColorChoice) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            !set("NO_COLOR")
                && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
                && io::stdout().is_terminal()
        }
    }
}

/// A heading, which stands out where there are colours.
#[must_use]
pub fn strong(text: &str, colour: bool) -> String {
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// An empty table with these column names.
#[must_use]
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_header(columns.iter().copied());
    table
}

/// The text at a JSON pointer of a value, safe to print: strings as they are, other values as JSON,
/// nothing for what is absent.
#[must_use]
pub fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => printable(text),
        Some(other) => other.to_string(),
    }
}

/// Text from outside made safe to print: control characters, which could drive the person's
/// terminal, are escaped.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}测试\n"), "a\\u{1b}[2Jb\\u{9b}测试\\n");
    }
}
