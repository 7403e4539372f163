//! What a terminal does.

use jiff::{SignedDuration, Timestamp};
use testkit::link::{Arrival, Chances, End, Link};
use tms_terminal::{Device, Exit, Failure, FailureKind, device::Next, state::StateError};

use super::{Checked, World, later, lines::count};
use crate::{
    host::ready,
    ledger::Seen,
    options::Sabotage,
    outcome::invariant,
    terminal::{Life, Line, MAX_LINES},
    trace::Happened,
};

/// Looks at one terminal at one moment before it is said to spin.
const MAX_ROUNDS: u32 = 2_000;
/// Effects that must not come twice (`Command::repeat`); a message shown again does no harm.
pub(super) const ONLY_ONCE: [&str; 5] =
    ["restart", "restart-application", "print-test-slip", "clear-reversal", "clear-batch"];
/// How long a connection is tried that nobody answers.
const CONNECT_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

impl World {
    /// Does everything of a terminal that is due.
    pub(super) fn step(&mut self, place: usize) -> Checked {
        let mut rounds = 0;
        while self.terminals[place].next_due(&self.host.clock) <= self.clock.now() {
            rounds += 1;
            if rounds > MAX_ROUNDS {
                let what = format!("after {rounds} rounds at one moment something is still due");
                return Err(self.violation(Some(place), invariant::QUIET, what));
            }
            self.live(place)?;
            self.carry(place)?;
            self.host_time(place);
            self.terminal_time(place)?;
            self.reap(place);
        }
        self.look_at_operations(place)?;
        if self.terminals[place].rotating {
            self.check_secrets(place)?;
        }
        self.touch(place);
        Ok(())
    }

    /// Power, start, connection.
    fn live(&mut self, place: usize) -> Checked {
        let now = self.clock.now();
        match self.terminals[place].life {
            Life::Off { until } if until <= now => self.power_on(place),
            Life::Boots { at } if at <= now => self.boot(place),
            Life::Waits { at } if at <= now => self.connect(place),
            Life::Waits { .. } => self.between_connections(place),
            _ => Ok(()),
        }
    }

    fn power_on(&mut self, place: usize) -> Checked {
        let terminal = &mut self.terminals[place];
        terminal.disk.power_on(&mut terminal.rng);
        terminal.storage.power_lost();
        let (scenario, materials) = (terminal.scenario.clone(), terminal.materials.clone());
        let opened = Device::open(scenario, materials, terminal.storage.clone(), terminal.now());
        match opened {
            Ok(device) => {
                terminal.device = Some(device);
                terminal.life = Life::Boots { at: later(self.clock.now(), SignedDuration::from_millis(900)) };
                Ok(())
            }
            Err(_) if !terminal.disk.is_on() => {
                self.power_lost(place);
                Ok(())
            }
            Err(StateError::Io { .. }) => {
                // It cannot even say that it was never started; somebody starts it again later.
                terminal.life = Life::Off { until: later(self.clock.now(), SignedDuration::from_secs(30)) };
                Ok(())
            }
            Err(error) => {
                let what = format!("its storage cannot be used after a power cut: {error}");
                Err(self.violation(Some(place), invariant::COMES_BACK, what))
            }
        }
    }

    /// What a terminal does by itself while it has no connection.
    fn between_connections(&mut self, place: usize) -> Checked {
        let terminal = &self.terminals[place];
        let (Some(device), local) = (terminal.device.clone(), terminal.now()) else { return Ok(()) };
        if device.next_due(local) > local {
            return Ok(());
        }
        let ticked = device.tick(local);
        self.effects(place)?;
        match ticked {
            Err(exit) => self.ended(place, exit),
            Ok(()) => self.witness(place),
        }
    }

    /// After somebody did something at the terminal.
    pub(super) fn after_hands(&mut self, place: usize, done: Result<(), StateError>) -> Checked {
        self.effects(place)?;
        if !self.terminals[place].disk.is_on() {
            self.power_lost(place);
            self.touch(place);
            return Ok(());
        }
        if done.is_ok() {
            self.witness(place)?;
        }
        if done.is_ok() && self.terminals[place].connection.is_some() {
            let local = self.terminals[place].now();
            let ticked = self.terminals[place].connection.as_mut().map(|c| c.tick(local));
            return self.after_terminal(place, ticked.unwrap_or(Ok(())));
        }
        self.touch(place);
        Ok(())
    }

    fn boot(&mut self, place: usize) -> Checked {
        let terminal = &mut self.terminals[place];
        terminal.storage.before_boot();
        let Some(device) = terminal.device.clone() else { return Ok(()) };
        let booted = device.boot(terminal.now());
        self.effects(place)?;
        if !self.terminals[place].disk.is_on() {
            // Perhaps after all that mattered, in the line of its log; it starts again all the same.
            self.power_lost(place);
            return Ok(());
        }
        if let Err(error) = booted {
            return self.ended(place, Exit::Storage(error));
        }
        self.counts.boots += 1;
        self.terminals[place].life = Life::Waits { at: self.clock.now() };
        self.check_image(place)?;
        self.check_secrets(place)?;
        self.witness(place)
    }

    /// Looks at a terminal whose memory is what its storage holds.
    fn witness(&mut self, place: usize) -> Checked {
        self.look_at_plan(place);
        self.look_at_books(place)?;
        self.look_at_alarms(place)?;
        self.look_at_sets(place)
    }

    fn connect(&mut self, place: usize) -> Checked {
        let now = self.clock.now();
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        if self.terminals[place].unreachable_until > now {
            self.note(Some(place), Happened::NotConnected { why: "unreachable" });
            return self.not_connected(place, FailureKind::Timeout, CONNECT_TIMEOUT);
        }
        let terminal = &self.terminals[place];
        let session = self.host.session(terminal.variety, terminal.tid.as_str(), &terminal.certificate);
        let Some(session) = session else {
            self.note(Some(place), Happened::NotConnected { why: "refused" });
            return self.not_connected(place, FailureKind::ConnectionRefused, SignedDuration::ZERO);
        };
        let settings = self.settings(place);
        let terminal = &mut self.terminals[place];
        let number = terminal.lines_opened;
        terminal.lines_opened += 1;
        let seed = terminal.rng.u64();
        let link = Link::new(settings, testkit::rng::Rng::new(seed));
        terminal.lines.push(Line { number, link, session: Some(session) });
        let local = terminal.now();
        let mut connection = device.connect(local);
        let started = connection.start(local);
        terminal.connection = Some(connection);
        terminal.life = Life::Online;
        self.counts.connections += 1;
        let kind = self.terminals[place].variety.name.as_str();
        match self.counts.varieties.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.counts.varieties.insert(kind.to_owned(), 1)),
        }
        self.note(Some(place), Happened::Connected { line: number });
        self.host_says(place, self.terminals[place].lines.len() - 1);
        self.after_terminal(place, started)
    }

    fn not_connected(&mut self, place: usize, kind: FailureKind, wait: SignedDuration) -> Checked {
        let failure = Failure { kind, what: "no connection".to_owned(), next: String::new() };
        self.ended(place, Exit::Lost(failure))?;
        // The attempt itself took a while.
        match &mut self.terminals[place].life {
            Life::Boots { at } | Life::Waits { at } => *at = later(*at, wait),
            Life::Off { .. } | Life::Online => {}
        }
        Ok(())
    }

    pub(super) fn at_terminal(&mut self, place: usize, arrival: Arrival) -> Checked {
        if self.is_broken(Sabotage::Panic) && self.counts.sign_ons == 0 && self.counts.connections > 3 {
            panic!("broken on purpose");
        }
        let terminal = &mut self.terminals[place];
        let local = terminal.now();
        let Some(connection) = &mut terminal.connection else { return Ok(()) };
        let taken = match arrival {
            Arrival::Frame(frame) => connection.receive(&frame, local),
            Arrival::Closed | Arrival::Broken => Err(lost()),
        };
        self.after_terminal(place, taken)
    }

    /// Lets the sessions of a terminal do what is due.
    fn host_time(&mut self, place: usize) {
        for index in 0..self.terminals[place].lines.len() {
            let line = &mut self.terminals[place].lines[index];
            let Some(session) = &mut line.session else { continue };
            if self.host.truth_at(session.next_due()) > self.clock.now() {
                continue;
            }
            let ticked = ready(session.tick());
            self.host_says(place, index);
            if let Err(ended) = ticked {
                self.host_ends(place, index, ended);
            }
        }
    }

    fn terminal_time(&mut self, place: usize) -> Checked {
        let terminal = &mut self.terminals[place];
        let local = terminal.now();
        let Some(connection) = &mut terminal.connection else { return Ok(()) };
        if connection.next_due() > local {
            return Ok(());
        }
        let ticked = connection.tick(local);
        self.after_terminal(place, ticked)
    }

    /// After the terminal did something: its effects, what it says, and whether its connection is over.
    pub(super) fn after_terminal(&mut self, place: usize, done: Result<(), Exit>) -> Checked {
        self.effects(place)?;
        let now = self.clock.now();
        if !self.terminals[place].disk.is_on() {
            // Nothing is said any more.
            self.power_lost(place);
            return Ok(());
        }
        if done.is_ok() {
            self.witness(place)?;
        }
        let last = self.terminals[place].lines.len() - 1;
        while let Some(mut frame) = {
            let connection = self.terminals[place].connection.as_mut();
            connection.and_then(|connection| connection.poll_transmit())
        } {
            self.with_other_keys(place, &mut frame);
            self.sent(place, last, End::Terminal, &frame);
            self.terminals[place].lines[last].link.send(End::Terminal, frame, now);
        }
        let exit = match done {
            Err(exit) => Some(exit),
            Ok(()) => self.terminals[place].connection.as_ref().and_then(|c| c.exit_when_idle()),
        };
        match exit {
            Some(exit) => self.disconnect(place, exit),
            None => Ok(()),
        }
    }

    fn disconnect(&mut self, place: usize, exit: Exit) -> Checked {
        let now = self.clock.now();
        let why = match &exit {
            Exit::Lost(failure) => format!("lost: {}", failure.what),
            Exit::Storage(_) => "storage".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let terminal = &mut self.terminals[place];
        let closed = terminal.connection.as_mut().map(|connection| connection.close());
        terminal.connection = None;
        if let Some(line) = terminal.lines.last_mut() {
            line.link.close(End::Terminal, now);
            let number = line.number;
            self.note(Some(place), Happened::TerminalEnded { line: number, why });
        }
        if !self.terminals[place].disk.is_on() {
            self.power_lost(place);
            return Ok(());
        }
        match closed {
            Some(Err(error)) => self.ended(place, Exit::Storage(error)),
            _ => self.ended(place, exit),
        }
    }

    /// Asks the terminal what comes next.
    fn ended(&mut self, place: usize, exit: Exit) -> Checked {
        let now = self.clock.now();
        let terminal = &mut self.terminals[place];
        let Some(device) = terminal.device.clone() else { return Ok(()) };
        let local = terminal.now();
        let next = device.ended(exit, local);
        // A wait is a length of time: that the clock jumps meanwhile does not change it.
        let when = |at: Timestamp| later(now, at.duration_since(local).max(SignedDuration::ZERO));
        terminal.life = match next {
            Next::Boot { at } => Life::Boots { at: when(at) },
            Next::Connect { at } => Life::Waits { at: when(at) },
            Next::End => {
                let halted = device.link().halted.unwrap_or_default();
                let what = format!("it stopped for good: {halted}");
                return Err(self.violation(Some(place), invariant::COMES_BACK, what));
            }
        };
        self.effects(place)?;
        if !self.terminals[place].disk.is_on() {
            self.power_lost(place);
        }
        Ok(())
    }

    /// The power went: the terminal is gone with everything that it had not saved.
    pub(super) fn power_lost(&mut self, place: usize) {
        let now = self.clock.now();
        let terminal = &mut self.terminals[place];
        terminal.disk.cut_power();
        terminal.device = None;
        terminal.connection = None;
        let off = SignedDuration::from_secs(terminal.rng.between(1, 240) as i64);
        terminal.life = Life::Off { until: later(now, off) };
        // Without power nobody says goodbye: the host finds out, or waits.
        let told = terminal.rng.happens(500_000);
        if let Some(line) = terminal.lines.last_mut() {
            if told {
                line.link.break_off(now);
            } else {
                line.link.settings_mut().chances = Chances::default();
            }
        }
        self.fault(Some(place), "power lost", off.as_secs());
    }

    /// Forgets lines that nobody has an end of.
    fn reap(&mut self, place: usize) {
        let now = self.clock.now();
        let terminal = &mut self.terminals[place];
        let current = terminal.connection.is_some();
        let mut index = 0;
        while index < terminal.lines.len() {
            let is_current = current && index + 1 == terminal.lines.len();
            if terminal.lines[index].session.is_none() && !is_current {
                let line = terminal.lines.remove(index);
                count(&mut self.counts, &line);
            } else {
                index += 1;
            }
        }
        if terminal.lines.len() > MAX_LINES {
            terminal.lines[0].link.break_off(now);
        }
    }

    /// Takes note of what physically happened.
    fn effects(&mut self, place: usize) -> Checked {
        let all = self.terminals[place].watch.take();
        if !all.is_empty() && self.terminals[place].disk.is_on() {
            self.look_at_plan(place);
        }
        for seen in all {
            let (operation, step, what) = match seen {
                Seen::Booted(count) => {
                    let version = self.terminals[place].device.as_ref().and_then(Device::running);
                    let version = version.map(|image| image.version).unwrap_or_default();
                    self.note(Some(place), Happened::Booted { count, version });
                    if !self.is_broken(Sabotage::NoEffect) {
                        self.terminals[place].last_boot = self.clock.now();
                    }
                    continue;
                }
                Seen::Restarts(None) => continue,
                Seen::Keys => {
                    if !self.is_broken(Sabotage::NoEffect) {
                        self.terminals[place].last_keys = self.clock.now();
                    }
                    continue;
                }
                Seen::Restarts(Some((operation, step))) => (operation, step, "restart".to_owned()),
                Seen::Task { operation, step, what } => (operation, step, what),
            };
            if self.is_broken(Sabotage::NoEffect) {
                continue;
            }
            if self.is_broken(Sabotage::TwoEffects) {
                self.ledger.effect(place, operation, step);
            }
            let times = self.ledger.effect(place, operation, step);
            self.note(Some(place), Happened::Effect { what: format!("{what} of {operation} step {step}") });
            self.checked(invariant::ONCE);
            if times > 1 && ONLY_ONCE.contains(&what.as_str()) {
                let what = format!("{what} of operation {operation}, step {step}, happened {times} times");
                return Err(self.violation(Some(place), invariant::ONCE, what));
            }
            self.check_action(place, operation, step, &what)?;
        }
        Ok(())
    }
}

fn lost() -> Exit {
    let what = "the connection ended".to_owned();
    Exit::Lost(Failure { kind: FailureKind::ConnectionLost, what, next: String::new() })
}
