//! Commands for many terminals: rollouts and batches.

use clap::{Args, Subcommand};

/// `tmsctl rollout …`
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Write a rollout, as a draft; nothing happens before it is started
    #[command(after_help = CREATE_HELP)]
    Create(Box<CreateRollout>),
    /// List rollouts
    List {
        /// Only those that were started and are not over
        #[arg(long)]
        under_way: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a rollout: its waves, how far it has come, when it will be over
    Show(Watch),
    /// List a rollout's terminals, in the order in which they are started
    Targets {
        /// The rollout's id
        rollout: String,
        /// Only those of this wave, counted from 1
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        wave: Option<u32>,
        /// Only those in this state: waiting, queued, soaking, succeeded, failed, skipped or cancelled
        #[arg(long)]
        state: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start a rollout; its terminals are those that its selector means now
    Start(Watch),
    /// Hold a rollout up: it starts no more terminals, and what was started goes on
    Pause(Told),
    /// Let a rollout go on after a pause, and accept the failures so far
    Resume(Told),
    /// Let a wave begin that waits for approval
    Approve {
        /// Which rollout.
        #[command(flatten)]
        told: Told,
        /// Which wave, counted from 1, and all before it; the one that waits when left out
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        wave: Option<u32>,
    },
    /// Call a rollout back: what has not ended is withdrawn, also from terminals that were started
    Abort(Told),
    /// End a rollout early: it starts no more terminals, and what was started goes on to its end
    Finish(Told),
}

/// A rollout that is told something.
#[derive(Debug, Args)]
pub struct Told {
    /// The rollout's id
    pub rollout: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A rollout that may be waited for.
#[derive(Debug, Args)]
pub struct Watch {
    /// The rollout's id
    pub rollout: String,
    /// Wait until it is over, or needs a person; fail unless it is finished
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, requires = "wait")]
    pub timeout_s: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tmsctl rollout create`
#[derive(Debug, Args)]
pub struct CreateRollout {
    /// What people call it
    #[arg(long)]
    pub name: String,
    /// Its id; the server's choice when left out
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Which terminals, such as 'group under "north" and model = "SIM-8"'
    #[arg(long)]
    pub selector: String,
    /// What it does to each.
    #[command(flatten)]
    pub action: RolloutAction,
    /// A wave, in the order in which they are given (may be repeated); the rest is the last one
    #[arg(long = "wave", value_name = "SIZE[,OPTION…]")]
    pub waves: Vec<String>,
    /// How long a terminal is watched before it is judged, such as 30m
    #[arg(long, value_name = "TIME", default_value = "0")]
    pub soak: String,
    /// So many in a hundred of a wave must succeed before the next one begins
    #[arg(long, value_name = "PERCENT", default_value_t = 95, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub success: u8,
    /// No more than so many in a hundred of a wave may fail, or the rollout is paused
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub failure: u8,
    /// Have a person approve every wave but the first before it begins
    #[arg(long)]
    pub approve: bool,
    /// At most so many terminals are started in a minute
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    pub per_minute: u32,
    /// At most so many terminals are at work at once
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub concurrent: u32,
    /// When terminals may begin, in the zone of each, such as 'mon-fri 22:00-04:00'
    #[arg(long)]
    pub window: Option<String>,
    /// How long a terminal has to carry it out, and again to report, before it has failed
    #[arg(long, value_name = "TIME", default_value = "1d")]
    pub answer_within: String,
    /// Only say how many terminals each wave would have
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a rollout does.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RolloutAction {
    /// Make a published firmware package the desired one
    #[arg(long, value_name = "PACKAGE")]
    pub firmware: Option<String>,
    /// Make the effective configuration the desired one
    #[arg(long)]
    pub configuration: bool,
    /// Give a command: its name, or JSON as `tmsctl operation show --json` prints it
    #[arg(long, value_name = "KIND")]
    pub command: Option<String>,
}

const CREATE_HELP: &str = "\
A SIZE is a count (10), a share of all (5%), tag:NAME, or rest. OPTIONs are soak=TIME,
success=PERCENT, failure=PERCENT and approve; what is left out is as --soak, --success, --failure
and --approve say. A TIME is in seconds, or has a unit: 90s, 30m, 2h, 1d.
  tmsctl rollout create --name spring --firmware 5f2c… --selector 'model = \"SIM-8\"' \\
    --wave tag:pilot,soak=1d --wave 5%,soak=2h,approve --wave 25%";

/// `tmsctl run`
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct Run {
    /// What they shall do: a name such as self-test, or JSON
    pub kind: String,
    /// Its details
    #[arg(value_name = "NAME=TEXT")]
    pub details: Vec<String>,
    /// Which terminals, such as 'group under "north" and model = "SIM-8"'
    #[arg(long)]
    pub selector: String,
    /// Not earlier, such as 2027-01-31T22:00:00+08:00
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// What is not done by then expires
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// Only then, in the zone of each terminal, such as 'mon-fri 22:00-04:00'
    #[arg(long)]
    pub window: Option<String>,
    /// Not before the next settlement of each terminal
    #[arg(long)]
    pub after_settlement: bool,
    /// Which of several goes first, from 0 to 9; the higher the sooner
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
    /// Only say how many terminals it would be for, and name some
    #[arg(long)]
    pub dry_run: bool,
    /// Do it even if it destroys something; needed for factory-reset, clear-reversal and clear-batch
    #[arg(long)]
    pub yes: bool,
    /// Whether to wait, and how to print.
    #[command(flatten)]
    pub wait: BatchWait,
}

const RUN_HELP: &str = "\
Details that are no text are written NAME:=JSON, such as max_bytes:=65536.
  tmsctl run lock message='Closed for stocktaking' --selector 'mid = \"102310060510002\"'
  tmsctl run collect-logs max_bytes:=65536 --selector 'tag pilot' --dry-run";

/// `tmsctl batch …`
#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// Show what has become of a batch, as `tmsctl run` made it
    Show {
        /// The batch's id
        batch: String,
        /// Whether to wait, and how to print.
        #[command(flatten)]
        wait: BatchWait,
    },
    /// Withdraw what is still open of a batch; terminals that have begun are told to give it up
    Cancel {
        /// The batch's id
        batch: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whether and how long to wait for a batch.
#[derive(Debug, Args)]
pub struct BatchWait {
    /// Wait until every terminal has done it; fail when one did not
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    pub timeout_s: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
