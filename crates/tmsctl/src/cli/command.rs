//! Commands that have a terminal do one thing.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Change;

/// A terminal and what all commands have in common.
#[derive(Debug, Args)]
pub struct At {
    /// The terminal's number
    pub terminal: String,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub change: Change,
}

/// A command that destroys something.
#[derive(Debug, Args)]
pub struct Sure {
    /// Which terminal.
    #[command(flatten)]
    pub at: At,
    /// Do it; without this nothing happens
    #[arg(long, required = true)]
    pub yes: bool,
}

/// `tmsctl command …`
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Start the payment application again; the terminal keeps running
    RestartApplication(At),
    /// Back to the state of delivery; identity, keys, addresses and administrator credentials stay
    FactoryReset(Sure),
    /// Take no payments until unlocked
    Lock {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// What the display says meanwhile; at most 240 bytes, 80 Chinese characters
        #[arg(long, value_name = "TEXT")]
        message: String,
    },
    /// Take payments again
    Unlock(At),
    /// Forget a reversal that cannot be delivered; know otherwise whether the money moved
    ClearReversal(Sure),
    /// Forget the transactions of the current batch
    ClearBatch(Sure),
    /// Print a slip that shows that the printer works
    PrintTestSlip {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// A line on it
        #[arg(long)]
        text: Option<String>,
    },
    /// Check every part; the result has a line for each
    SelfTest(At),
    /// Ask for all there is to know, without checking anything
    Diagnose(At),
    /// Have the journal of transactions sent; read it with `tmsctl logs show`
    CollectJournal {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// The first batch wanted; everything there is when left out
        #[arg(long, value_name = "BATCH")]
        from_batch: Option<u32>,
        /// At most so many bytes, the newest part
        #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
        max_bytes: u64,
    },
    /// Give the terminal new working keys; where it must ask, with its next sign-on
    ExchangeKeys(At),
    /// Set the clock to the server's time
    SyncClock {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// Local time less UTC, in minutes
        #[arg(long, value_name = "MINUTES", default_value_t = 480, allow_negative_numbers = true)]
        utc_offset_min: i32,
        /// Even if that is years from the terminal's own idea
        #[arg(long)]
        force: bool,
    },
    /// Show a message to whoever stands at the terminal
    ShowMessage {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// The message; at most 240 bytes, 80 Chinese characters
        #[arg(long)]
        text: String,
        /// Not to be shown any more from then on, such as 2027-01-31T18:00:00+08:00
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// How long it stays, in seconds; 0 until a key is pressed
        #[arg(long, default_value_t = 0)]
        seconds: u16,
    },
    /// Have the terminal come elsewhere from now on; it comes back to the old address if that fails
    ChangeTmsAddress {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// A new address, such as tms.example:9000, the preferred one first (may be repeated)
        #[arg(long = "address", value_name = "HOST:PORT", required = true)]
        addresses: Vec<String>,
        /// Connections that may be tried before the old addresses are taken again
        #[arg(long, default_value_t = 3)]
        attempts: u8,
    },
}

/// `tmsctl plan …`
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Give a terminal a plan of actions, in place of the one that it has
    #[command(after_help = PLAN_HELP)]
    Install {
        /// Which terminal.
        #[command(flatten)]
        at: At,
        /// The plan, a JSON file
        #[arg(value_name = "FILE")]
        plan: PathBuf,
    },
    /// End the plan that a terminal has: what has not begun never will
    Withdraw(At),
}

const PLAN_HELP: &str = r#"A plan is JSON such as
  {"actions": [
    {"id": 1, "command": "self_test", "trigger": "at_once"},
    {"id": 2, "command": {"install_firmware": {"firmware": "…"}},
     "trigger": "after_settlement", "retry": {"delay_s": 600, "count": 3}, "on_error": "stop"}]}
Triggers: at_once, {"at": "2027-01-01T02:00:00Z"}, next_contact, after_settlement, by_hand.
An action may have a window {"start": …, "end": …}, and a follow_up: reconcile_first or
restart_after. Firmware is a published package for the terminal's model; it does not become the
desired one. A plan without actions ends the one in force, as `tmsctl plan withdraw` does.
`tmsctl operation show` tells how each action went."#;

/// `tmsctl alarm …`
#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// List what terminals said unasked, newest first
    List {
        /// Only of this terminal
        #[arg(long, value_name = "TERMINAL")]
        terminal: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A set that all terminals download.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SetName {
    /// Public keys of card organisations: a list of their data objects (9F06, 9F22, …) in hexadecimal
    Capks,
    /// Parameters of chip applications: a list of their data objects (9F06, DF01, …) in hexadecimal
    Aids,
    /// Blocked cards: a list of card numbers or their beginnings
    Blacklist,
    /// Where, when and how terminals call the TMS: an object
    TmsParameters,
    /// Contactless parameters: a list of templates (FF805D, …) in hexadecimal
    Contactless,
    /// Card ranges that need no PIN: a list of the beginnings of card numbers
    PinFreeBins,
    /// Cards of those ranges that need a PIN all the same: a list of card numbers or their beginnings
    PinFreeBlacklist,
}

/// `tmsctl emv …`
#[derive(Debug, Subcommand)]
pub enum EmvCommand {
    /// Put a set in place of the one before; every terminal downloads it, or is pushed it, at its next contact.
    /// An empty set takes nothing from terminals that download: they are told that there is nothing to do and
    /// keep what they have
    Put {
        /// Which set
        set: SetName,
        /// Its content, a JSON file
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the sets and their revisions
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a set as it was put
    Show {
        /// Which set
        set: SetName,
    },
}
