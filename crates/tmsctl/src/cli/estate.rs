//! Commands that talk to a server about terminals.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::places::Edit;

/// `tmsctl login`
#[derive(Debug, Args)]
pub struct Login {
    /// Who you are
    #[arg(long, default_value = "admin")]
    pub user: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl whoami`
#[derive(Debug, Args)]
pub struct Whoami {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl terminal …`
#[derive(Debug, Subcommand)]
pub enum TerminalCommand {
    /// List the estate's terminals
    List {
        /// Those that it means only, such as 'group under icbc-bj and not tag canary', or @NAME
        #[arg(long)]
        selector: Option<String>,
        /// Only say how many there are
        #[arg(long)]
        count: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how a terminal's batches of transactions were settled
    Batch {
        /// The terminal's number
        terminal: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change where a terminal stands and what it is known by
    Edit {
        /// The terminal's number
        terminal: String,
        /// What to change.
        #[command(flatten)]
        edit: Edit,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change every terminal that a selector means
    Bulk {
        /// Which terminals, such as 'model = A920 and tag canary', or @NAME
        #[arg(long)]
        selector: String,
        /// What to change.
        #[command(flatten)]
        edit: Edit,
        /// Only say what would come of it
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put another terminal into the place of one, which is retired
    Replace {
        /// The terminal that goes
        terminal: String,
        /// The terminal that comes
        by: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one terminal: what it is and what it should be
    Show {
        /// The terminal's number
        terminal: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tmsctl parameter …`
#[derive(Debug, Subcommand)]
pub enum ParameterCommand {
    /// Set or unset parameters; the terminal is told at once, or at its next contact
    Set(SetParameters),
}

/// `tmsctl parameter set`
#[derive(Debug, Args)]
pub struct SetParameters {
    /// The terminal's number
    pub terminal: String,
    /// Parameters and their values, such as timeout_s=30
    #[arg(value_name = "NAME=VALUE", value_parser = assignment, required_unless_present = "unset")]
    pub set: Vec<(String, String)>,
    /// Give a parameter back to its default (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub unset: Vec<String>,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub change: Change,
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// `tmsctl reset`
#[derive(Debug, Args)]
pub struct Reset {
    /// The terminal's number
    pub terminal: String,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub change: Change,
}

/// `tmsctl credential …`
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Give a role a new secret; the old one works until the terminal has proved the new one
    Rotate(Rotate),
}

/// `tmsctl credential rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    /// The terminal's number
    pub terminal: String,
    /// Whose secret: 99 administrator, 00 supervisor, 01 to 98 operators, or another role's name
    #[arg(long, default_value = "99")]
    pub role: String,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub change: Change,
}

/// `tmsctl logs …`
#[derive(Debug, Subcommand)]
pub enum LogsCommand {
    /// Have a terminal send its log, wait for it, and print or save it
    Fetch(Fetch),
    /// Print or save a log or a journal that a terminal has sent
    Show {
        /// The operation that brought it
        operation: String,
        /// Save it here instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the logs and journals that a terminal has sent
    List {
        /// The terminal's number
        terminal: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tmsctl logs fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// The terminal's number
    pub terminal: String,
    /// Save the log here instead of printing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How long to wait for the terminal, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout_s: u64,
    /// Print the finished operation as JSON; the log goes to --out
    #[arg(long, requires = "out")]
    pub json: bool,
}

/// `tmsctl operation …`
#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// Show one operation
    Show {
        /// The operation's id
        operation: String,
        /// Whether to wait, and how to print.
        #[command(flatten)]
        change: Change,
    },
    /// Withdraw an operation; a terminal that has begun it is told to give it up
    Cancel {
        /// The operation's id
        operation: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the operations of a terminal
    List {
        /// The terminal's number
        terminal: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What all commands that give a terminal work have in common.
#[derive(Debug, Args)]
pub struct Change {
    /// Whether to wait.
    #[command(flatten)]
    pub wait: Wait,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whether and how long to wait for the terminal.
#[derive(Debug, Args)]
pub struct Wait {
    /// Wait until the terminal has done it; fail when it did not
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    pub timeout_s: u64,
}
