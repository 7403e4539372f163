//! The command line: what can be typed and what the help says.

use clap::{Args, Parser, Subcommand};
use iso8583::framing::Framing;

/// Manage a terminal estate, and read and write ISO 8583 messages off-line.
#[derive(Debug, Parser)]
#[command(name = "tmsctl", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The command groups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read and write single ISO 8583 messages, without a server
    #[command(subcommand)]
    Message(MessageCommand),
}

/// `tmsctl message …`
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Show what a message says
    ///
    /// Card numbers, track data, PINs and keys are masked unless --reveal is given.
    Decode(Decode),
    /// Make a message from the JSON that `decode --json` prints
    Encode(Encode),
}

/// `tmsctl message decode`
#[derive(Debug, Args)]
pub struct Decode {
    /// The message in hexadecimal; white space is ignored. Read from standard input when left out
    pub hex: Option<String>,
    /// How the peer writes messages: unionpay, iso87-ascii, iso87-binary, or a dialect file
    #[arg(long, value_name = "NAME|FILE", default_value = "unionpay")]
    pub dialect: String,
    /// What stands before the message: none, len2, len2-tpdu, len2-tpdu-header or ascii4
    #[arg(long, value_name = "FRAMING", default_value = "none")]
    pub framing: Framing,
    /// Show sensitive values in full
    #[arg(long)]
    pub reveal: bool,
    /// Print JSON that `encode` takes back (when nothing in it is masked)
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl message encode`
#[derive(Debug, Args)]
pub struct Encode {
    /// The message as JSON, such as {"mti":"0800","fields":{"11":"000001"}}. Read from standard
    /// input when left out
    pub message: Option<String>,
    /// How the peer writes messages: unionpay, iso87-ascii, iso87-binary, or a dialect file
    #[arg(long, value_name = "NAME|FILE", default_value = "unionpay")]
    pub dialect: String,
    /// What to put before the message: none, len2, len2-tpdu, len2-tpdu-header or ascii4. When
    /// left out, what the JSON has parts for
    #[arg(long, value_name = "FRAMING")]
    pub framing: Option<Framing>,
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
