//! `tmsctl message …`

use clap::{Args, Subcommand};
use iso8583::framing::Framing;

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
    pub hex: Vec<String>,
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
