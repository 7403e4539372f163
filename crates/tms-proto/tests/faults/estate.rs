//! The least of an estate: a host with a few tasks to have done, and a terminal with a journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use testkit::{
    link::{Chances, End, Settings},
    pair::{Happened, Pair},
};
use tms_crypto::keyblock::{Tmk, WorkingKeys, unwrap_working_keys, wrap_working_keys};
use tms_proto::{
    Answer, HostEvent, Profile, TerminalEvent,
    task::{Command, Outcome, Task, TaskResult},
};
use uuid::Uuid;

/// Tasks that the host wants done.
const TASKS: u128 = 6;
/// How long the terminal waits before it connects again.
const RECONNECT: SignedDuration = SignedDuration::from_secs(3);
/// How often either side looks whether there is something to say.
const ROUND: SignedDuration = SignedDuration::from_secs(10);
/// Both sides give a silent connection up after this.
const SILENCE: SignedDuration = SignedDuration::from_secs(90);

pub(crate) struct Estate {
    pub(crate) pair: Pair,
    /// How often each task took effect.
    pub(crate) effects: BTreeMap<Uuid, u32>,
    /// Faults that struck on connections that have ended.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    open: BTreeSet<Uuid>,
    journal: BTreeSet<Uuid>,
    keeps_journal: bool,
    to_tell: BTreeSet<Uuid>,
    tmk: Tmk,
    settings: Settings,
    seed: u64,
    signed_on: bool,
    heard: Timestamp,
}

impl Estate {
    pub(crate) fn new(profile: &Arc<Profile>, settings: Settings, seed: u64) -> Self {
        let mut estate = Self {
            pair: Pair::new(Arc::clone(profile), settings.clone(), seed),
            effects: BTreeMap::new(),
            faults: BTreeMap::new(),
            open: (1..=TASKS).map(Uuid::from_u128).collect(),
            journal: BTreeSet::new(),
            keeps_journal: true,
            to_tell: BTreeSet::new(),
            tmk: Tmk::new([0x11; 16]),
            settings,
            seed,
            signed_on: false,
            heard: Timestamp::UNIX_EPOCH,
        };
        estate.begin();
        estate
    }

    pub(crate) fn without_journal(mut self) -> Self {
        self.keeps_journal = false;
        self
    }

    pub(crate) fn stop_faults(&mut self) {
        self.settings.chances = Chances::default();
        self.pair.link.settings_mut().chances = Chances::default();
    }

    pub(crate) fn run_for_s(&mut self, seconds: i64) {
        let end = self.pair.now() + SignedDuration::from_secs(seconds);
        while self.pair.now() < end {
            let round = (self.pair.now() + ROUND).min(end);
            let mut over = false;
            while let Some(happened) = self.pair.step(round) {
                over |= !self.take(happened);
                if over {
                    break;
                }
            }
            if over || self.pair.now() >= self.heard + SILENCE {
                self.reconnect();
            } else {
                self.speak();
            }
        }
    }

    /// Every task was done once, and the host knows.
    pub(crate) fn check(&self, case: impl Display) {
        assert!(self.open.is_empty(), "{case}: {} tasks have no end", self.open.len());
        let all: BTreeMap<_, _> = (1..=TASKS).map(|n| (Uuid::from_u128(n), 1)).collect();
        assert_eq!(self.effects, all, "{case}");
    }

    fn begin(&mut self) {
        let now = self.pair.now();
        self.heard = now;
        self.signed_on = false;
        if self.pair.host.profile().needs_static_mac_key() {
            let key = || self.pair.host.profile().static_mac_key(&[0x5A; 16]).unwrap();
            let (host, terminal) = (key(), key());
            self.pair.host.set_mac_key(host).unwrap();
            self.pair.terminal.set_mac_key(terminal).unwrap();
        }
        self.pair.terminal.sign_on(b"", now).unwrap();
    }

    fn reconnect(&mut self) {
        for (name, count) in &self.pair.link.counts().faults {
            *self.faults.entry(name).or_default() += count;
        }
        if !self.keeps_journal {
            self.to_tell.clear();
        }
        let wait = self.pair.now() + RECONNECT;
        while self.pair.step(wait).is_some() {}
        self.seed = self.seed.wrapping_add(1_000_003);
        self.pair.reconnect(self.settings.clone(), self.seed);
        self.begin();
    }

    /// What each side says by itself.
    fn speak(&mut self) {
        let now = self.pair.now();
        if !self.signed_on {
            return;
        }
        // What waits for an answer is not said again before its time is over.
        if self.pair.terminal.outstanding() > 0 {
            return;
        }
        if let Some(id) = self.to_tell.first() {
            let _ = self.pair.terminal.send_result(&TaskResult::new(*id, 1, Outcome::DONE), now);
        } else if !self.pair.terminal.profile().pushes() {
            let _ = self.pair.terminal.poll_task(now);
        } else {
            let _ = self.pair.terminal.echo(now);
        }
        if self.pair.host.can_push()
            && let Some(task) = self.next_task()
        {
            let _ = self.pair.host.push_command(task, now);
        }
    }

    fn next_task(&self) -> Option<Task> {
        self.open.first().map(|id| Task { operation: *id, step: 1, command: Command::Reboot })
    }

    /// Gives whether the connection goes on.
    fn take(&mut self, happened: Happened) -> bool {
        match happened {
            Happened::AtHost(event) => self.at_host(event),
            Happened::AtTerminal(event) => return self.at_terminal(event),
            Happened::GivenUp(end, _) | Happened::Closed(end) | Happened::Broken(end) => {
                self.pair.link.close(end.other(), self.pair.now());
                // A host that is gone is noticed by the terminal's timeouts, or by the link's end.
                return end == End::Host;
            }
        }
        true
    }

    fn at_host(&mut self, event: HostEvent) {
        let now = self.pair.now();
        match event {
            HostEvent::SignOn { exchange, .. } => {
                let keys = WorkingKeys::generate(false);
                let block = wrap_working_keys(&self.tmk, &keys);
                let working = self.pair.host.profile().name() == "unionpay";
                let answer =
                    if working { Answer::Keys { block: &block, keys: &keys } } else { Answer::Approved };
                self.pair.host.answer(exchange, answer, now).unwrap();
            }
            HostEvent::TaskPoll { exchange } => {
                let task = self.next_task();
                self.pair.host.answer(exchange, Answer::Task(task.as_ref()), now).unwrap();
            }
            HostEvent::TaskResult { exchange, result } => {
                assert_eq!(result.outcome, Outcome::DONE);
                assert!(self.effects.contains_key(&result.operation), "a result of nothing that was done");
                self.open.remove(&result.operation);
                self.pair.host.answer(exchange, Answer::Approved, now).unwrap();
            }
            _ => {}
        }
    }

    fn at_terminal(&mut self, event: TerminalEvent) -> bool {
        let now = self.pair.now();
        match event {
            TerminalEvent::SignedOn { keys, .. } => {
                if let Some(block) = keys {
                    // All or nothing: keys that cannot be opened end the connection.
                    let Ok(keys) = unwrap_working_keys(&self.tmk, &block) else { return false };
                    self.pair.terminal.set_working_keys(&keys).unwrap();
                }
                self.signed_on = true;
            }
            TerminalEvent::Command { request, task } => {
                self.carry_out(&task);
                let _ = self.pair.terminal.answer(request, None, now);
            }
            TerminalEvent::Task(Some(task)) => self.carry_out(&task),
            TerminalEvent::ResultTaken { operation, .. } => {
                self.to_tell.remove(&operation);
            }
            TerminalEvent::Refused { .. } | TerminalEvent::Unanswered { .. } => return false,
            TerminalEvent::Dropped(_) => return true,
            _ => {}
        }
        self.heard = now;
        true
    }

    fn carry_out(&mut self, task: &Task) {
        assert_eq!(task.command, Command::Reboot, "nobody asked for {task:?}");
        if !self.journal.contains(&task.operation) {
            *self.effects.entry(task.operation).or_default() += 1;
            if self.keeps_journal {
                self.journal.insert(task.operation);
            }
        }
        self.to_tell.insert(task.operation);
    }
}
