//! `tmsctl`, the operator's command line: message tools that work off-line, and a client of the
//! server's REST interface.
//!
//! ```console
//! $ tmsctl message describe --dialect unionpay --framing len2-tpdu-header 0034600003000060…
//! $ tmsctl login --server https://tms.example:8443
//! $ tmsctl parameter set 10000001 timeout_s=30 --wait
//! ```
//!
//! Results go to standard output, as a table or with `--json` as JSON; errors go to standard error
//! as a sentence and a next step. The exit code is 0 when everything asked for was done, 1 when
//! something was refused or failed, 2 when the command line itself is wrong.
//!
//! In reading order: [`cli`] is the command line, [`message`] and [`dialect`] the off-line tools, [`failure`] and
//! [`output`] what all commands share; the others are one group of commands each.

mod batch;
mod change;
pub mod cli;
mod client;
mod device;
pub mod dialect;
pub mod failure;
mod firmware;
mod group;
mod login;
mod login_store;
mod logs;
pub mod message;
mod operation;
pub mod output;
mod places;
mod rollout;
mod terminal;
mod wait;

use std::process::ExitCode;

use clap::Parser;
use iso8583::mask::scrub_text;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs the command line of this process and gives its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match dispatch(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Help, or what is wrong with the command line. An error quotes what was typed, which may be a
/// message with a card number in it.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        eprint!("{}", scrub_text(&error.render().to_string()));
    } else {
        // A reader that went away is no error.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn dispatch(Cli { connection, command }: &Cli) -> Result<(), Failure> {
    match command {
        Command::Login(options) => login::run(connection, options),
        Command::Whoami(options) => login::whoami(connection, options),
        Command::Terminal(command) => terminal::run(connection, command),
        Command::Group(command) => group::run(connection, command),
        Command::Selector(command) => group::selector(connection, command),
        Command::Estate(command) => places::estate(connection, command),
        Command::Parameter(command) => change::parameter(connection, command),
        Command::Firmware(command) => firmware::run(connection, command),
        Command::Reset(options) => change::reset(connection, options),
        Command::Command(command) => device::command(connection, command),
        Command::Plan(command) => device::plan(connection, command),
        Command::Alarm(command) => device::alarm(connection, command),
        Command::Emv(command) => device::emv(connection, command),
        Command::Credential(command) => change::credential(connection, command),
        Command::Logs(command) => logs::run(connection, command),
        Command::Operation(command) => operation::run(connection, command),
        Command::Rollout(command) => rollout::run(connection, command),
        Command::Run(options) => batch::start(connection, options),
        Command::Batch(command) => batch::run(connection, command),
        Command::Message(command) => message::run(command),
        Command::Dialect(command) => dialect::run(command),
    }
}
