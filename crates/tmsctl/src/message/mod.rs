//! `tmsctl message`: single ISO 8583 messages between hexadecimal and something readable.

mod decode;
mod encode;
mod shape;

use std::io::Read;
use std::path::Path;

use iso8583::Dialect;

use crate::cli::MessageCommand;
use crate::failure::Failure;

/// The largest input, in bytes: hexadecimal of the largest message, generously spaced.
const MAX_INPUT_BYTES: u64 = 1 << 20;

/// Runs `tmsctl message …`.
///
/// # Errors
///
/// The input is no message of the dialect, with the reason.
pub fn run(command: &MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::Decode(options) => decode::run(options),
        MessageCommand::Encode(options) => encode::run(options),
    }
}

/// A built-in dialect by name, or one from a file.
fn dialect(name_or_file: &str) -> Result<Dialect, Failure> {
    if let Some(builtin) = Dialect::builtin(name_or_file) {
        return Ok(builtin.clone());
    }
    if !Path::new(name_or_file).exists() {
        let known = Dialect::builtin_names().join(", ");
        return Err(Failure::new(format!("`{name_or_file}` is neither a built-in dialect nor a file"))
            .next(format!("give --dialect one of {known}, or the path of a dialect file")));
    }
    let text = std::fs::read_to_string(name_or_file)
        .map_err(|error| Failure::new(format!("dialect file {name_or_file} cannot be read: {error}")))?;
    Dialect::from_toml(&text).map_err(|error| Failure::new(format!("dialect file {name_or_file}: {error}")))
}

/// The argument, or standard input when there is none (or `-`).
fn argument_or_stdin(argument: Option<&str>) -> Result<String, Failure> {
    if let Some(text) = argument.filter(|text| *text != "-") {
        return Ok(text.to_owned());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("standard input cannot be read as text: {error}")))?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(Failure::new("standard input is longer than 1 MiB").next("give one message at a time"));
    }
    Ok(text)
}
