//! `tmsctl message`: single ISO 8583 messages between bytes and something readable.

mod decode;
mod describe;
mod diff;
mod doctor;
mod encode;
mod frame;
mod input;
mod shape;

use crate::cli::MessageCommand;
use crate::dialect::by_name_or_file as dialect;
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
