//! `tmsctl firmware …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Change;

/// `tmsctl firmware …`
#[derive(Debug, Subcommand)]
pub enum FirmwareCommand {
    /// Make a signing key, without a server
    ///
    /// Keep the key off the server: whoever has enough keys can make terminals install anything.
    Keygen(Keygen),
    /// Make a signed package from an image, without a server
    Build(Build),
    /// Upload a package; the server checks its signatures
    Publish {
        /// The package, as `build` made it
        package: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List published firmware
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make published firmware what a terminal should run
    Assign(Assign),
}

/// `tmsctl firmware keygen`
#[derive(Debug, Args)]
pub struct Keygen {
    /// Where to put the private key; the file must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The trust root that servers and terminals check against: the new key is added to it. Made
    /// when it does not exist
    #[arg(long, value_name = "FILE")]
    pub trust_root: Option<PathBuf>,
    /// How many keys of the trust root must sign; as before, or 1, when left out
    #[arg(long, value_name = "KEYS", requires = "trust_root")]
    pub threshold: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl firmware build`
#[derive(Debug, Args)]
pub struct Build {
    /// The image
    pub image: PathBuf,
    /// Where to put the package; replaced when it exists
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A private key to sign with (may be repeated)
    #[arg(long, value_name = "FILE", required = true)]
    pub key: Vec<PathBuf>,
    /// Who makes the terminal
    #[arg(long)]
    pub vendor: String,
    /// A model the image is for (may be repeated)
    #[arg(long, required = true)]
    pub model: Vec<String>,
    /// A hardware revision the image is for (may be repeated); all when left out
    #[arg(long, value_name = "REVISION")]
    pub hardware_revision: Vec<String>,
    /// The image's version, such as 1.4.0
    #[arg(long)]
    pub version: String,
    /// Raise it when older images have become dangerous: terminals never go below
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub security_counter: u32,
    /// What changed, in English
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub notes_en: String,
    /// What changed, in Chinese
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub notes_zh: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl firmware assign`
#[derive(Debug, Args)]
pub struct Assign {
    /// The terminal's number
    pub terminal: String,
    /// The firmware's id, as `publish` and `list` print it
    pub firmware: String,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub change: Change,
}
