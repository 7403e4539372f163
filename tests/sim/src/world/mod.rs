//! The world of one run: a host, terminals, what is between them, and one queue of events.

mod alarms;
mod books;
mod check;
mod chores;
mod faults;
mod keys;
mod lines;
mod operator;
mod plans;
mod sets;
mod steps;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
};

use jiff::{SignedDuration, Timestamp};
use testkit::{clock::Clock, rng::Rng};
use tms_core::TerminalId;
use tms_server::service::{self, GivenCredential, NewTerminal};

use crate::{
    firmware::{HARDWARE, MODEL},
    host::{Host, JANITOR, LIFETIME, ready},
    ledger::Ledger,
    options::{Options, Sabotage},
    outcome::{Counts, Outcome, Violation, invariant},
    terminal::{CREDENTIALS, Terminal, roles},
    trace::{Happened, Trace},
    varieties,
};

pub(crate) use self::{alarms::Alarms, books::Books, books::ledger_key, chores::Chances, plans::Plans};

/// When every run begins.
const BEGIN_S: i64 = 1_800_000_000;
/// How often it is looked whether everything has ended, once the faults stopped.
const SETTLE_ROUND: SignedDuration = SignedDuration::from_secs(120);
/// After so many of these rounds connections break.
const ROUNDS_OF_A_CONNECTION: u32 = 12;
/// How long everything may take to end: longer than any operation may stay open.
const SETTLE_LIMIT: SignedDuration = LIFETIME.checked_mul(2).expect("hours");

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Something of a terminal, by its place in the world.
    Terminal(usize),
    /// Somebody wants something of a terminal.
    Operator(usize),
    /// Work of a kind that has chances of its own, by its place among those.
    Chore(usize, usize),
    /// Somebody publishes a set.
    Publisher,
    /// A fault strikes a terminal.
    Strike(usize, crate::options::Fault),
    /// A terminal's clock is set right.
    TerminalClockRight(usize),
    /// A fault strikes the host.
    StrikeHost(crate::options::Fault),
    /// The host starts again.
    HostStarts,
    /// The host's store works again.
    StoreHeals,
    /// The host's clock is set right.
    HostClockRight,
    /// What the host does now and then.
    Janitor,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    options: Options,
    clock: Clock,
    queue: BinaryHeap<Reverse<(Timestamp, u64, Due)>>,
    sequence: u64,
    host: Host,
    /// The host's own chances: when it dies, when its store fails.
    host_rng: Rng,
    terminals: Vec<Terminal>,
    /// The number of each terminal among those of the options.
    numbers: Vec<usize>,
    ledger: Ledger,
    trace: Trace,
    counts: Counts,
    /// The faults have stopped.
    calm: bool,
    /// Images that each terminal has run.
    ran: HashSet<(usize, [u8; 32])>,
    /// Sets that were published, and the chances of whoever does it.
    published: sets::Published,
    sets_rng: Rng,
    /// Everything has come to its end, as far as it does.
    ends: bool,
    /// Each terminal shows which keys it has.
    proves_keys: bool,
    /// Frames that each terminal's lines carried since the janitor last came.
    frames: Vec<u64>,
}

type Checked = Result<(), Violation>;

/// Runs a world to its end.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut world = World::new(options);
    let violation = crate::panics::catch(|| world.go())
        .unwrap_or_else(|panic| Err(world.violation(None, invariant::NO_PANIC, panic)));
    world.outcome(violation.err())
}

impl World {
    fn new(options: &Options) -> Self {
        let clock = Clock::new(Timestamp::from_second(BEGIN_S).expect("a time"));
        let host = Host::new(&clock, options.seed);
        let all = 0..options.terminals as usize;
        let numbers: Vec<usize> =
            all.filter(|number| options.only.is_none_or(|only| only as usize == *number)).collect();
        let varieties = varieties::all();
        let terminals: Vec<Terminal> = numbers
            .iter()
            .map(|number| {
                let kind = (options.seed as usize).wrapping_add(*number) % varieties.len();
                Terminal::new(*number, &varieties[kind], options.seed, &clock, options.sabotage)
            })
            .collect();
        let mut world = Self {
            clock,
            queue: BinaryHeap::new(),
            sequence: 0,
            host,
            host_rng: Rng::of_part(options.seed, 3),
            trace: Trace::new(terminals.len()),
            frames: vec![0; terminals.len()],
            terminals,
            numbers,
            ledger: Ledger::default(),
            counts: Counts { runs: 1, terminals: u64::from(options.terminals), ..Counts::default() },
            calm: false,
            ran: HashSet::new(),
            published: sets::Published::default(),
            sets_rng: Rng::of_part(options.seed, 4),
            ends: false,
            proves_keys: false,
            options: options.clone(),
        };
        world.enrol();
        world.schedule();
        world
    }

    fn enrol(&mut self) {
        let app = self.host.app.clone().expect("the host has started");
        for terminal in &self.terminals {
            let new = NewTerminal {
                id: terminal.tid.clone(),
                merchant: "102310060510002".parse().expect("a MID"),
                profile: terminal.variety.profile.name().parse().expect("a profile"),
                model: MODEL.to_owned(),
                hardware_revision: HARDWARE.to_owned(),
                serial: format!("SIM{}", terminal.tid),
                certificate_sha256: terminal.certificate.clone(),
                sealing_public_key: terminal.public_key.clone(),
                credentials: roles()
                    .into_iter()
                    .zip(CREDENTIALS)
                    .map(|(role, (_, secret))| GivenCredential {
                        role,
                        generation: 1,
                        secret: secret.to_owned().into(),
                    })
                    .collect(),
            };
            ready(service::enrol(&app, new, &terminal.tmk)).expect("a new terminal");
        }
    }

    /// Lets everything go wrong for its time, then lets everything settle, then looks at all of it.
    fn go(&mut self) -> Checked {
        let end = self.clock.now() + SignedDuration::from_mins(i64::from(self.options.minutes));
        self.run_until(end)?;
        self.stop_faults();
        let limit = self.clock.now() + SETTLE_LIMIT;
        let mut proved = false;
        for rounds in 1.. {
            let round = self.clock.now() + SETTLE_ROUND;
            self.run_until(round)?;
            if rounds % ROUNDS_OF_A_CONNECTION == 0 {
                self.break_lines();
            }
            let settled = self.is_settled();
            if settled && !proved {
                // What comes due meanwhile has to come to its end, too.
                self.prove_keys()?;
                proved = true;
                continue;
            }
            if settled || self.clock.now() >= limit {
                if self.is_broken(Sabotage::SilentChange) {
                    (0..self.terminals.len()).for_each(|place| self.change_silently(place));
                }
                return self.check_end();
            }
        }
        Ok(())
    }

    /// No connection lasts for ever: what changed while one stood is told when the next begins.
    fn break_lines(&mut self) {
        let now = self.clock.now();
        for place in 0..self.terminals.len() {
            for line in &mut self.terminals[place].lines {
                line.link.break_off(now);
            }
            self.touch(place);
        }
    }

    fn run_until(&mut self, end: Timestamp) -> Checked {
        while let Some(Reverse((at, _, due))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.clock.advance_to(at);
            self.counts.steps += 1;
            match due {
                Due::Terminal(place) => {
                    // An earlier look has been in between.
                    if self.terminals[place].armed != at {
                        continue;
                    }
                    self.terminals[place].armed = Timestamp::MAX;
                    self.step(place)?;
                }
                Due::Operator(place) => self.operate(place)?,
                Due::Chore(place, kind) => self.chore(place, kind)?,
                Due::Publisher => self.publish()?,
                Due::Strike(place, fault) => self.strike(place, fault)?,
                Due::StrikeHost(fault) => self.strike_host(fault)?,
                Due::TerminalClockRight(place) => {
                    self.terminals[place].clock.set_right();
                    self.fault(Some(place), "terminal clock right", 0);
                    self.touch(place);
                }
                Due::HostStarts => self.start_host()?,
                Due::StoreHeals => self.host.store_fails(0, 0),
                Due::HostClockRight => {
                    self.host.clock.set_right();
                    self.fault(None, "host clock right", 0);
                    self.touch_all();
                }
                Due::Janitor => self.janitor()?,
            }
        }
        self.clock.advance_to(end);
        Ok(())
    }

    fn janitor(&mut self) -> Checked {
        self.host.janitor();
        self.in_(JANITOR, Due::Janitor);
        self.check_bounds()?;
        for place in 0..self.terminals.len() {
            self.look_at_operations(place)?;
            self.touch(place);
        }
        Ok(())
    }

    /// Puts something into the queue.
    fn at(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, due)));
    }

    fn in_(&mut self, wait: SignedDuration, due: Due) {
        self.at(later(self.clock.now(), wait), due);
    }

    /// Sees to it that a terminal is looked at when something of it is due.
    fn touch(&mut self, place: usize) {
        let due = self.terminals[place].next_due(&self.host.clock).max(self.clock.now());
        if due < self.terminals[place].armed {
            self.terminals[place].armed = due;
            self.at(due, Due::Terminal(place));
        }
    }

    fn touch_all(&mut self) {
        for place in 0..self.terminals.len() {
            self.touch(place);
        }
    }

    fn note(&mut self, place: Option<usize>, what: Happened) {
        self.trace.note(self.clock.now(), place, what);
    }

    fn fault(&mut self, place: Option<usize>, what: &'static str, value: i64) {
        self.note(place, Happened::Fault { what, value });
    }

    fn violation(&self, place: Option<usize>, invariant: &'static str, what: impl Into<String>) -> Violation {
        let terminal = place.and_then(|place| u32::try_from(self.numbers[place]).ok());
        Violation { invariant, what: what.into(), terminal, step: self.counts.steps, at: self.clock.now() }
    }

    fn checked(&mut self, invariant: &'static str) {
        *self.counts.checks.entry(invariant).or_default() += 1;
    }

    fn is_broken(&self, sabotage: Sabotage) -> bool {
        self.options.sabotage == Some(sabotage)
    }

    fn tid(&self, place: usize) -> TerminalId {
        self.terminals[place].tid.clone()
    }

    fn outcome(mut self, violation: Option<Violation>) -> Outcome {
        let counted = self.host.counted();
        self.counts.sign_ons = counted.sign_ons;
        self.counts.messages = counted.messages;
        self.counts.refused = counted.refused;
        self.counts.resumed = counted.resumed;
        self.counts.effects = self.ledger.effects_seen;
        let begin = Timestamp::from_second(BEGIN_S).expect("a time");
        self.counts.virtual_s = u64::try_from(self.clock.now().duration_since(begin).as_secs()).unwrap_or(0);
        for promise in &self.ledger.promises {
            *self.counts.operations.entry((promise.kind.name(), promise.state.name())).or_default() += 1;
        }
        for place in 0..self.terminals.len() {
            while let Some(line) = self.terminals[place].lines.pop() {
                lines::count(&mut self.counts, &line);
            }
            let disk = self.terminals[place].disk.counts();
            for (name, count) in [
                ("power cut", disk.power_cuts),
                ("torn write", disk.torn),
                ("write lost, not synced", disk.lost_unsynced),
                ("replacement in doubt", disk.replaced_in_doubt),
                ("write refused", disk.failed),
            ] {
                *self.counts.faults.entry(name).or_default() += count;
            }
        }
        *self.counts.faults.entry("store call failed").or_default() += counted.store_errors;
        let concerned = violation.as_ref().and_then(|violation| {
            let number = violation.terminal? as usize;
            self.numbers.iter().position(|other| *other == number)
        });
        let profile = concerned.map(|place| self.terminals[place].variety);
        let trace = match &violation {
            Some(_) => self.trace.last(concerned, |frame| crate::show::frame(profile, frame)),
            None => Vec::new(),
        };
        Outcome {
            trace_hash: self.trace.hash() ^ self.trace.entries(),
            options: self.options,
            counts: self.counts,
            violation,
            trace,
        }
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
