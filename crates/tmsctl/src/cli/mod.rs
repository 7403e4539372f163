//! The command line: what can be typed and what the help says.

#![allow(rustdoc::bare_urls, reason = "these comments are the help text, where <> would be printed")]

mod command;
mod dialect;
mod estate;
mod firmware;
mod message;
mod places;
mod rollout;

pub use command::{AlarmCommand, At, DeviceCommand, EmvCommand, PlanCommand, SetName, Sure};
pub use dialect::{Check, DialectCommand, Import, Show, Source};
pub use estate::{
    Change, CredentialCommand, Fetch, Login, LogsCommand, OperationCommand, ParameterCommand, Reset, Rotate,
    SetParameters, TerminalCommand, Wait, Whoami,
};
pub use firmware::{Assign, Build, FirmwareCommand, Keygen};
pub use message::{Decode, Describe, Diff, Doctor, Encode, Form, Given, MessageCommand, Wire};
pub use places::{Edit, EstateCommand, Format, GroupCommand, GroupContent, Kind, LifeCycle, SelectorCommand};
pub use rollout::{BatchCommand, BatchWait, CreateRollout, RolloutAction, RolloutCommand, Run, Told, Watch};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Manage a terminal estate, and read and write ISO 8583 messages off-line.
// No `Debug` here and below, because a token may be inside.
#[derive(Parser)]
#[command(name = "tmsctl", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong command line.")]
pub struct Cli {
    /// Which server, and as whom.
    #[command(flatten)]
    pub connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which server to talk to, and as whom. What is not given comes from `tmsctl login`.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    /// The server's REST address, such as https://tms.example:8443
    #[arg(long, global = true, value_name = "URL", env = "TMSCTL_SERVER")]
    pub server: Option<String>,
    /// A bearer token (prefer the variable: others can see command lines)
    #[arg(long, global = true, value_name = "TOKEN", env = "TMSCTL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Certificates (PEM) that may vouch for the server, instead of the system's
    #[arg(long, global = true, value_name = "FILE", env = "TMSCTL_CA")]
    pub ca: Option<PathBuf>,
    /// Send password and token without encryption to a server that is not this machine
    #[arg(long, global = true)]
    pub allow_plain_http: bool,
}

/// The command groups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in to a server and remember it
    Login(Login),
    /// Show who the server takes you for, and what you may do
    Whoami(Whoami),
    /// Look at terminals, and say where they stand and what they are known by
    #[command(subcommand)]
    Terminal(TerminalCommand),
    /// Order terminals in groups: acquirer, branch, merchant, store
    #[command(subcommand)]
    Group(GroupCommand),
    /// Save and try selectors: which terminals are meant, in a line of text
    #[command(subcommand)]
    Selector(SelectorCommand),
    /// Take files of terminals in and out
    #[command(subcommand)]
    Estate(EstateCommand),
    /// Change what a terminal's parameters should be
    #[command(subcommand)]
    Parameter(ParameterCommand),
    /// Make, sign, publish and assign firmware
    #[command(subcommand)]
    Firmware(FirmwareCommand),
    /// Have a terminal start again
    Reset(Reset),
    /// Have a terminal do one thing: lock, test, show a message, set its clock, …
    #[command(subcommand)]
    Command(DeviceCommand),
    /// Give a terminal a plan: what to do, and when
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Look at what terminals said unasked
    #[command(subcommand)]
    Alarm(AlarmCommand),
    /// Put what all terminals download: chip card keys and parameters, blocked cards, TMS parameters
    #[command(subcommand)]
    Emv(EmvCommand),
    /// Change a terminal's credentials
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Collect and read a terminal's logs
    #[command(subcommand)]
    Logs(LogsCommand),
    /// Look at operations: work that terminals were given
    #[command(subcommand)]
    Operation(OperationCommand),
    /// Change many terminals in waves, with a pause or a stop when something goes wrong
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Give a command to many terminals at once
    Run(Run),
    /// Look at commands that many terminals were given at once
    #[command(subcommand)]
    Batch(BatchCommand),
    /// Read and write single ISO 8583 messages, without a server
    #[command(subcommand)]
    Message(MessageCommand),
    /// Check, show and import descriptions of how peers write messages, without a server
    #[command(subcommand)]
    Dialect(DialectCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
