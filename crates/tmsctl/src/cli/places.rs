//! Commands that order the estate: groups, selectors, where terminals stand, files of terminals.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::estate::assignment;

/// `tmsctl group …`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List the groups as a tree
    List {
        /// This group and those under it only
        #[arg(long, value_name = "GROUP")]
        under: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a group, where it stands and how many terminals belong to it
    Show {
        /// The group
        group: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a group
    Create {
        /// Its identity: letters, digits, '.', '_' or '-'
        group: String,
        /// What people call it; the identity if not given
        #[arg(long)]
        name: Option<String>,
        /// What it stands for
        #[arg(long, value_enum, default_value_t = Kind::Other)]
        kind: Kind,
        /// The group to stand under; at the top if not given
        #[arg(long, value_name = "GROUP")]
        under: Option<String>,
        /// Templates and attributes.
        #[command(flatten)]
        has: GroupContent,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Call a group something else; its identity stays
    Rename {
        /// The group
        group: String,
        /// What people call it
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a group with everything under it somewhere else
    Move {
        /// The group
        group: String,
        /// The group to stand under
        #[arg(long, value_name = "GROUP", required_unless_present = "top", conflicts_with = "top")]
        under: Option<String>,
        /// At the top
        #[arg(long)]
        top: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a group's kind, templates and attributes
    Edit {
        /// The group
        group: String,
        /// What it stands for
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Templates and attributes.
        #[command(flatten)]
        has: GroupContent,
        /// Take an attribute away (may be repeated)
        #[arg(long, value_name = "NAME")]
        unset_attribute: Vec<String>,
        /// Take all templates away
        #[arg(long, conflicts_with = "template")]
        no_templates: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take away a group to which nothing belongs
    Delete {
        /// The group
        group: String,
    },
}

/// Templates and attributes of a group.
#[derive(Debug, Args)]
pub struct GroupContent {
    /// A template in place of those that it has; a later one wins over an earlier one (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub template: Vec<String>,
    /// A value of your own: a whole number, true, false, or text (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub attribute: Vec<(String, String)>,
}

/// What a group stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The bank or processor
    Acquirer,
    /// A branch of it
    Branch,
    /// A merchant
    Merchant,
    /// A store of a merchant
    Store,
    /// Anything else
    Other,
}

/// `tmsctl selector …`
#[derive(Debug, Subcommand)]
pub enum SelectorCommand {
    /// List the saved selectors
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Save a selector under a name, in place of the one that has it; @NAME means it from then on
    Save {
        /// Its name
        name: String,
        /// The selector, such as 'group under icbc-bj and not tag canary'
        selector: String,
        /// What it is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget a saved selector
    Delete {
        /// Its name
        name: String,
    },
    /// Say how a selector is understood and how many terminals it means
    Check {
        /// The selector, or @NAME of a saved one
        selector: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to change about terminals.
#[derive(Debug, Args)]
#[group(id = "changes", required = true, multiple = true)]
pub struct Edit {
    /// The group to belong to
    #[arg(long, conflicts_with = "no_group")]
    pub group: Option<String>,
    /// Belong to no group
    #[arg(long)]
    pub no_group: bool,
    /// Add a tag (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Take a tag away (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub untag: Vec<String>,
    /// A value of your own: a whole number, true, false, or text (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub attribute: Vec<(String, String)>,
    /// Take an attribute away (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub unset_attribute: Vec<String>,
    /// The maker
    #[arg(long)]
    pub vendor: Option<String>,
    /// Where it stands, such as Asia/Shanghai
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// What may be done with it; a retired terminal can only become registered
    #[arg(long, value_enum, value_name = "STATE")]
    pub life_cycle: Option<LifeCycle>,
    /// The merchant's number
    #[arg(long, value_name = "MID")]
    pub merchant: Option<String>,
}

/// What may be done with a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LifeCycle {
    /// Known, and not in use yet
    Registered,
    /// In use
    Active,
    /// Takes no payments
    Locked,
    /// Out of use for a while: gets no work
    Suspended,
    /// Out of use for good
    Retired,
}

/// `tmsctl estate …`
#[derive(Debug, Subcommand)]
pub enum EstateCommand {
    /// Add and change terminals as a file says: all rows, or none
    Import {
        /// A CSV file with column names in its first line, or a JSON array
        file: PathBuf,
        /// How it is written; by its name if not given
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Only say what would come of it
        #[arg(long)]
        dry_run: bool,
        /// Take the rows that can be although others cannot
        #[arg(long)]
        partial: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print or save terminals as a file that can be imported
    Export {
        /// Those that it means only, or @NAME of a saved one
        #[arg(long)]
        selector: Option<String>,
        /// How to write it
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// Save it here instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// How terminals are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values
    Csv,
    /// An array of objects
    Json,
}
