//! `tmsctl`, the operator's command line: message tools that work off-line, and a client of the
//! server's REST interface.
//!
//! ```console
//! $ tmsctl message decode --dialect unionpay --framing len2-tpdu-header 0034600003000060…
//! $ tmsctl login --server https://tms.example:8443
//! $ tmsctl parameter set 10000001 timeout_s=30 --wait
//! ```
//!
//! Results go to standard output, as a table or with `--json` as JSON; errors go to standard error
//! as a sentence and a next step. The exit code is 0 when everything asked for was done, 1 when
//! something was refused or failed, 2 when the command line itself is wrong.
//!
//! In reading order: [`cli`] is the command line, [`message`] the off-line tools, [`failure`] and
//! [`output`] what all commands share.

pub mod cli;
pub mod failure;
pub mod message;
pub mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Message(command) => message::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
