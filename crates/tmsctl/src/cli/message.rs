//! `tmsctl message …`

use std::fmt;

use clap::{Args, ColorChoice, Subcommand, ValueEnum};
use iso8583::framing::Framing;

/// `tmsctl message …`
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Show what a message says
    ///
    /// Card numbers, track data, PINs and keys are masked unless --reveal is given.
    #[command(after_long_help = DECODE_EXAMPLES)]
    Decode(Decode),
    /// Explain a message byte by byte, also one that breaks the rules of its dialect
    ///
    /// Each line is a field or subfield with its path, the bytes it stands in, its name, its format
    /// and its value. What strict reading refuses is marked where it stands. Card numbers, track
    /// data, PINs and keys are masked unless --reveal is given.
    #[command(after_long_help = DESCRIBE_EXAMPLES)]
    Describe(Describe),
    /// Show what is different between two messages
    ///
    /// Values are compared down to subfields. Those that are masked are compared in full and shown
    /// masked, unless --reveal is given.
    #[command(after_long_help = DIFF_EXAMPLES)]
    Diff(Diff),
    /// Find out in which framing and dialect unknown bytes are
    ///
    /// The bytes may be one message or a stream of several frames. Framings and dialects that fit
    /// are listed with the best first, each with what speaks for it and against it.
    #[command(after_long_help = DOCTOR_EXAMPLES)]
    Doctor(Doctor),
    /// Make a message from the JSON that `decode --json` prints
    Encode(Encode),
}

const DECODE_EXAMPLES: &str = "\
Examples:
  tmsctl message decode --framing len2-tpdu-header 0057 6005010000 613100311108 0800…
  tmsctl message decode --dialect iso87-ascii --lenient capture.bin
  xxd -p capture.bin | tmsctl message decode --json";

const DESCRIBE_EXAMPLES: &str = "\
Examples:
  tmsctl message describe --framing len2-tpdu-header capture.bin
  tmsctl message describe --dialect acquirer.toml --color always 0800… | less -R";

const DIFF_EXAMPLES: &str = "\
Examples:
  tmsctl message diff accepted.bin refused.bin
  tmsctl message diff --framing len2 sent.hex - < received.hex";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  tmsctl message doctor capture.bin
  tmsctl message doctor --dialect acquirer.toml 0057600501000061…
  base64 capture.bin | tmsctl message doctor --json";

/// What one message is given as: text in hexadecimal or base64, a file, or standard input.
// No derived `Debug`, because the message may hold card data.
#[derive(Args, Clone)]
pub struct Given {
    /// The message: hexadecimal (white space is ignored), base64, a file, or - for standard input,
    /// which is also read when this is left out
    #[arg(value_name = "MESSAGE")]
    pub message: Vec<String>,
    /// In which form files and standard input hold it
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub input: Form,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("input", &self.input).finish_non_exhaustive()
    }
}

/// The form of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Told by the content: hexadecimal or base64 text, otherwise bytes as they are
    Auto,
    /// Hexadecimal digits and white space
    Hex,
    /// Base64 and white space
    Base64,
    /// The bytes as they are
    Raw,
}

/// How the messages are written and delimited.
#[derive(Args, Clone, Debug)]
pub struct Wire {
    /// How the peer writes messages: a built-in dialect such as unionpay, iso87-ascii or
    /// iso87-binary, or a dialect file
    #[arg(long, value_name = "NAME|FILE", default_value = "unionpay")]
    pub dialect: String,
    /// What stands before the message: none, len2, len2-tpdu, len2-tpdu-header, ascii4 and the like
    #[arg(long, value_name = "FRAMING", default_value = "none")]
    pub framing: Framing,
}

/// `tmsctl message decode`
#[derive(Debug, Args)]
pub struct Decode {
    /// The message.
    #[command(flatten)]
    pub given: Given,
    /// Dialect and framing.
    #[command(flatten)]
    pub wire: Wire,
    /// Show also a message that breaks the rules of its dialect, with what is wrong in it
    #[arg(long)]
    pub lenient: bool,
    /// Show sensitive values in full
    #[arg(long)]
    pub reveal: bool,
    /// Print JSON that `encode` takes back (when nothing in it is masked)
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl message describe`
#[derive(Debug, Args)]
pub struct Describe {
    /// The message.
    #[command(flatten)]
    pub given: Given,
    /// Dialect and framing.
    #[command(flatten)]
    pub wire: Wire,
    /// Show sensitive values in full
    #[arg(long)]
    pub reveal: bool,
    /// Print JSON, a list with an object for each line
    #[arg(long, conflicts_with = "color")]
    pub json: bool,
    /// When to use colours; NO_COLOR in the environment is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// `tmsctl message diff`
#[derive(Args)]
pub struct Diff {
    /// The first message: hexadecimal, base64, a file, or - for standard input
    pub first: String,
    /// The second message, likewise
    pub second: String,
    /// In which form files and standard input hold them
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub input: Form,
    /// Dialect and framing.
    #[command(flatten)]
    pub wire: Wire,
    /// Show sensitive values in full
    #[arg(long)]
    pub reveal: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "color")]
    pub json: bool,
    /// When to use colours; NO_COLOR in the environment is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff").field("input", &self.input).field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// `tmsctl message doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The bytes.
    #[command(flatten)]
    pub given: Given,
    /// A dialect file to try before the built-in dialects; may be given several times
    #[arg(long, value_name = "FILE")]
    pub dialect: Vec<String>,
    /// A framing to try besides the usual ones; may be given several times
    #[arg(long, value_name = "FRAMING")]
    pub framing: Vec<Framing>,
    /// Show everything that was found, not only the best three
    #[arg(long)]
    pub all: bool,
    /// Print JSON, a list with an object for each diagnosis
    #[arg(long, conflicts_with = "color")]
    pub json: bool,
    /// When to use colours; NO_COLOR in the environment is honoured
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// `tmsctl message encode`
#[derive(Args)]
pub struct Encode {
    /// The message as JSON, such as {"mti":"0800","fields":{"11":"000001"}}. Read from standard
    /// input when left out
    pub message: Option<String>,
    /// How the peer writes messages: a built-in dialect such as unionpay, iso87-ascii or
    /// iso87-binary, or a dialect file
    #[arg(long, value_name = "NAME|FILE", default_value = "unionpay")]
    pub dialect: String,
    /// What to put before the message: none, len2, len2-tpdu, len2-tpdu-header, ascii4 and the
    /// like. When left out, what the JSON has parts for
    #[arg(long, value_name = "FRAMING")]
    pub framing: Option<Framing>,
}

impl fmt::Debug for Encode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encode")
            .field("dialect", &self.dialect)
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}
