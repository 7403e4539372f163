//! `tmsctl dialect …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `tmsctl dialect …`
#[derive(Debug, Subcommand)]
pub enum DialectCommand {
    /// List the built-in dialects
    List,
    /// Say everything that is wrong with a dialect file
    ///
    /// A dialect that a file extends is a built-in one, or a file beside it.
    Check(Check),
    /// Show what a dialect says about each field, or about one
    Show(Show),
    /// Print the JSON schema of dialect files, for editors
    Schema,
    /// Make a dialect file from the description that another ISO 8583 library reads
    ///
    /// What has no equal stands in the file as a comment.
    Import(Import),
}

/// `tmsctl dialect check`
#[derive(Debug, Args)]
pub struct Check {
    /// The dialect file
    pub file: PathBuf,
}

/// `tmsctl dialect show`
#[derive(Debug, Args)]
pub struct Show {
    /// A built-in dialect or a dialect file
    #[arg(value_name = "NAME|FILE")]
    pub dialect: String,
    /// Only this field, with what is inside it
    pub field: Option<u8>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl dialect import`
#[derive(Debug, Args)]
pub struct Import {
    /// Whose description it is
    #[arg(long, value_enum)]
    pub from: Source,
    /// The description
    pub file: PathBuf,
    /// What the dialect is called; the file's name when left out
    #[arg(long)]
    pub name: Option<String>,
    /// Where to write the dialect file; standard output when left out
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write a field that cannot be converted as a comment, instead of stopping
    #[arg(long)]
    pub keep_going: bool,
}

/// Whose description a dialect is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// An XML file of jPOS's GenericPackager
    Jpos,
    /// A JSON specification of moov-io/iso8583
    Moov,
}
