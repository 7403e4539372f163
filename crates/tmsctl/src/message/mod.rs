//! `tmsctl message`: single ISO 8583 messages between bytes and something readable.

mod decode;
mod describe;
mod diff;
mod doctor;
mod encode;
mod frame;
mod input;
mod shape;

use std::path::Path;

use iso8583::Dialect;

use crate::cli::MessageCommand;
use crate::failure::Failure;

/// Runs `tmsctl message …`.
///
/// # Errors
///
/// The input is no message of the dialect, with the reason.
pub fn run(command: &MessageCommand) -> Result<(), Failure> {
    let done = match command {
        MessageCommand::Decode(options) => decode::run(options),
        MessageCommand::Describe(options) => describe::run(options),
        MessageCommand::Diff(options) => diff::run(options),
        MessageCommand::Doctor(options) => doctor::run(options),
        MessageCommand::Encode(options) => encode::run(options),
    };
    done.map_err(Failure::scrubbed)
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
