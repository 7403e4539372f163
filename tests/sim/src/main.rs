//! `tms-sim`: runs simulations, and says what did not hold.

#![allow(clippy::print_stdout, reason = "a command line program")]

use std::{
    io::{IsTerminal, Write},
    ops::Range,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use tms_sim::{Counts, Fault, Options, Outcome, Sabotage, Work, regressions, report, run, shrink};

/// Simulates an estate: the real host and real terminals on one virtual clock, and everything that can
/// go wrong. Ends with 1 when an invariant does not hold.
///
/// The same seed gives the same run, event by event. A run that violates an invariant is made as small
/// as it will go, and its last events are shown.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// The seed of one run. Everything random follows from it
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with_all = ["seeds", "regressions"])]
    seed: u64,

    /// Many runs: from the first seed to the one before the last, as in 0..200
    #[arg(long, value_name = "A..B", value_parser = range)]
    seeds: Option<Range<u64>>,

    /// Goes on with the next seeds until so many terminals have signed on, all runs together
    #[arg(long, value_name = "N", conflicts_with = "regressions")]
    sessions: Option<u64>,

    /// Terminals in each run: profiles in turn, with and without MACs and TLS
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    terminals: u32,

    /// Hours of virtual time in which things go wrong; then the faults stop, and everything must end
    #[arg(long, value_name = "H", default_value_t = 2.0, value_parser = hours)]
    hours: f64,

    /// Runs the committed list of runs that once violated an invariant (tests/sim/regressions.toml)
    #[arg(long)]
    regressions: bool,

    /// Only this terminal of the run, from 0; it does what it does among the others
    #[arg(long, value_name = "TERMINAL")]
    only: Option<u32>,

    /// Faults that do not happen: lose, delay, reorder, duplicate, truncate, corrupt, half-close, break,
    /// partition, power-cut, full-disk, host-crash, store, terminal-clock, host-clock, lying-host
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    without: Vec<Fault>,

    /// Work that nobody asks for: parameters, firmware, reboot, rotation, logs, cancel, command,
    /// plan, hands, settle, sets, alarms, keys
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    without_work: Vec<Work>,

    /// Breaks something on purpose, to see that it is noticed: forgetful-store, forgetful-terminal,
    /// two-effects, no-effect, strangers-key, rotten-slot, forgotten-credential, silent-change, reopened,
    /// stuck-operation, damaged-state, chatter, panic, hoard, lost-sale, settled-twice, half-set, silent-set,
    /// forgotten-alarms, other-keys, unheard-action, unasked-action
    #[arg(long = "break", value_name = "WHAT")]
    sabotage: Option<Sabotage>,

    /// Shows the last events of the terminal of --only, or of terminal 0, and of the host
    #[arg(long)]
    trace: bool,

    /// Shows a violation as it was found, without looking for a smaller run
    #[arg(long)]
    no_shrink: bool,

    /// Goes on after a violation, and tells each
    #[arg(long)]
    keep_going: bool,

    /// One line of JSON for each violation, and one for the summary
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let began = Instant::now();
    let mut told = Instant::now();
    let (mut sum, mut violations) = (Counts::default(), 0_u64);
    let shows_progress = std::io::stderr().is_terminal() && !cli.json;
    for options in cli.runs() {
        if cli.sessions.is_some_and(|wanted| sum.sign_ons >= wanted) {
            break;
        }
        let outcome = run(&options);
        sum.add(&outcome.counts);
        if outcome.violation.is_some() {
            violations += 1;
            if shows_progress {
                eprint!("\r\x1b[K");
            }
            cli.tell(&outcome);
            if !cli.keep_going {
                break;
            }
        } else if cli.trace {
            for line in &outcome.trace {
                println!("{line}");
            }
            println!("trace {:016x}", outcome.trace_hash);
        }
        if shows_progress && told.elapsed() > Duration::from_millis(250) {
            told = Instant::now();
            eprint!("\r\x1b[K{}", progress(&sum, violations, began));
            let _ = std::io::stderr().flush();
        }
    }
    if shows_progress {
        eprint!("\r\x1b[K");
    }
    let seconds = began.elapsed().as_secs_f64();
    if cli.json {
        println!("{}", report::summary_json(&sum, violations, seconds));
    } else {
        println!("{}", report::summary(&sum, violations, seconds));
    }
    ExitCode::from(u8::from(violations > 0))
}

impl Cli {
    /// The runs that were asked for.
    fn runs(&self) -> Box<dyn Iterator<Item = Options> + '_> {
        if self.regressions {
            return Box::new(regressions::all().into_iter().map(|run| self.changed(run.options())));
        }
        let minutes = (self.hours * 60.0).round() as u32;
        let seeds = match (&self.seeds, self.sessions) {
            (Some(seeds), None) => seeds.clone(),
            (Some(seeds), Some(_)) => seeds.start..u64::MAX,
            (None, Some(_)) => self.seed..u64::MAX,
            (None, None) => self.seed..self.seed.saturating_add(1),
        };
        Box::new(seeds.map(move |seed| self.changed(Options::new(seed, self.terminals, minutes))))
    }

    fn changed(&self, mut options: Options) -> Options {
        options.only = self.only;
        options.sabotage = self.sabotage;
        options.keep_frames = self.trace;
        for fault in &self.without {
            options.faults.remove(fault);
        }
        for work in &self.without_work {
            options.work.remove(work);
        }
        options
    }

    fn tell(&self, outcome: &Outcome) {
        let small = if self.no_shrink { outcome.clone() } else { shrink(outcome) };
        if self.json {
            println!("{}", report::failure_json(outcome, &small));
        } else {
            println!("{}", report::failure(outcome, &small));
        }
    }
}

fn progress(sum: &Counts, violations: u64, began: Instant) -> String {
    let seconds = began.elapsed().as_secs_f64();
    let a_minute = sum.sign_ons as f64 * 60.0 / seconds.max(0.001);
    format!(
        "{} runs, {} terminal sessions ({a_minute:.0} a minute), {violations} violations",
        sum.runs, sum.sign_ons
    )
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts
        .filter(|range: &Range<u64>| range.start < range.end)
        .ok_or("give it as FIRST..END, 0..200".to_owned())
}

fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours > 0.0 && hours <= 10_000.0 => Ok(hours),
        _ => Err("a number of hours above 0, up to 10000".to_owned()),
    }
}
