//! How a run went.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use crate::options::Options;

/// The invariants, by the names under which a violation is told.
pub mod invariant {
    /// An acknowledged operation stays known.
    pub const NOT_LOST: &str = "no acknowledged operation is lost";
    /// When the faults stop, every operation ends.
    pub const ENDS: &str = "every operation ends";
    /// What ended stays as it ended.
    pub const FINAL: &str = "an operation that has ended does not change";
    /// Done means that the effect is there.
    pub const DONE: &str = "done means that the effect is there";
    /// No effect comes twice.
    pub const ONCE: &str = "no operation has its effect twice";
    /// What runs was signed for this model, is whole, and is not older than what ran before.
    pub const FIRMWARE: &str = "no unsigned, older or half image ever runs";
    /// The secret that the host holds opens the terminal.
    pub const ADMINISTRATOR: &str = "the administrator secret that the host holds opens the terminal";
    /// Desired, reported and real state agree at the end.
    pub const AGREE: &str = "desired and reported state agree at the end";
    /// Nothing panics.
    pub const NO_PANIC: &str = "nothing panics";
    /// Nothing grows without bound.
    pub const BOUNDED: &str = "memory is bounded";
    /// Nobody talks or spins without end.
    pub const QUIET: &str = "nobody talks or spins without end";
    /// A terminal that has power comes back.
    pub const COMES_BACK: &str = "a terminal that has power comes back";

    /// What was sold and settled is in the host's ledger, once.
    pub const SETTLED: &str = "every sale is settled once";
    /// What terminals have was published as it is, and is the newest in the end.
    pub const SETS: &str = "a set in force is whole, and in the end the newest";
    /// What terminals raise is stored.
    pub const ALARMS: &str = "every alarm is stored once";
    /// Neither end is left with keys that the other does not have.
    pub const KEYS: &str = "both ends have the same working keys";
    /// What a plan says is done when it is due, and told.
    pub const PLANS: &str = "an action of a plan runs when it is due, once, and is told";

    /// All of them.
    pub const ALL: [&str; 17] = [
        NOT_LOST,
        ENDS,
        FINAL,
        DONE,
        ONCE,
        FIRMWARE,
        ADMINISTRATOR,
        AGREE,
        NO_PANIC,
        BOUNDED,
        QUIET,
        COMES_BACK,
        SETTLED,
        SETS,
        ALARMS,
        KEYS,
        PLANS,
    ];
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which, in the words of [`invariant`].
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
    /// The terminal, by its number in the run.
    pub terminal: Option<u32>,
    /// Events that the run had gone through.
    pub step: u64,
    /// When, in virtual time.
    pub at: Timestamp,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VIOLATED: {}: {}", self.invariant, self.what)?;
        if let Some(terminal) = self.terminal {
            write!(f, " (terminal {terminal})")?;
        }
        write!(f, "; at step {}, virtual time {:.3}", self.step, self.at)
    }
}

/// What happened in one run or in many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Runs.
    pub runs: u64,
    /// Events.
    pub steps: u64,
    /// Terminals.
    pub terminals: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Sign-ons that the host approved.
    pub sign_ons: u64,
    /// Messages that the host took.
    pub messages: u64,
    /// Of these, refused ones.
    pub refused: u64,
    /// Firmware transfers that went on after a break.
    pub resumed: u64,
    /// Starts of terminals.
    pub boots: u64,
    /// Physical effects of operations.
    pub effects: u64,
    /// Sales.
    pub sales: u64,
    /// Batches that were settled.
    pub batches: u64,
    /// Alarms that were raised.
    pub alarms: u64,
    /// Sets that were published.
    pub sets: u64,
    /// Acknowledged operations by kind and by how they ended.
    pub operations: BTreeMap<(&'static str, &'static str), u64>,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Times that each invariant was checked.
    pub checks: BTreeMap<&'static str, u64>,
    /// Connections by kind of terminal.
    pub varieties: BTreeMap<String, u64>,
    /// Virtual time, in seconds.
    pub virtual_s: u64,
}

impl Counts {
    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.steps += other.steps;
        self.terminals += other.terminals;
        self.connections += other.connections;
        self.sign_ons += other.sign_ons;
        self.messages += other.messages;
        self.refused += other.refused;
        self.resumed += other.resumed;
        self.boots += other.boots;
        self.effects += other.effects;
        self.sales += other.sales;
        self.batches += other.batches;
        self.alarms += other.alarms;
        self.sets += other.sets;
        self.virtual_s += other.virtual_s;
        add_all(&mut self.operations, &other.operations);
        add_all(&mut self.faults, &other.faults);
        add_all(&mut self.checks, &other.checks);
        add_all(&mut self.varieties, &other.varieties);
    }
}

fn add_all<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (name, count) in more {
        *sum.entry(name.clone()).or_default() += count;
    }
}

/// A run and how it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was run.
    pub options: Options,
    /// What happened.
    pub counts: Counts,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// The same for two runs in which the same happened.
    pub trace_hash: u64,
    /// The last things that happened to the terminal concerned, and to the host.
    pub trace: Vec<String>,
}
