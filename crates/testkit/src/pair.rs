//! Both ends of the protocol on one [`Link`] and one [`Clock`], without anything else.
//!
//! ```
//! use std::sync::Arc;
//! use testkit::{link::Settings, pair::{Happened, Pair}};
//! use tms_proto::{Answer, HostEvent, Profile, TerminalEvent};
//!
//! let profile = Arc::new(Profile::builtin("iso87").unwrap());
//! let mut pair = Pair::new(profile, Settings::protected(), 1);
//! pair.terminal.sign_on(b"", pair.now()).unwrap();
//! let signed_on = pair.run_for_s(30, |pair, happened| match happened {
//!     Happened::AtHost(HostEvent::SignOn { exchange, .. }) => {
//!         pair.host.answer(exchange, Answer::Approved, pair.now()).unwrap();
//!         false
//!     }
//!     Happened::AtTerminal(TerminalEvent::SignedOn { .. }) => true,
//!     _ => false,
//! });
//! assert!(signed_on);
//! ```

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tms_proto::{HostEvent, HostSession, Identity, Profile, ProtocolError, TerminalEvent, TerminalSession};

use crate::{
    clock::Clock,
    link::{Arrival, End, Link, Settings},
    rng::Rng,
};

/// The TID that both ends of a [`Pair`] know.
pub const TID: &str = "10000001";
/// The MID.
pub const MID: &str = "102310060510002";

/// Host, terminal, and what is between them.
#[derive(Debug)]
pub struct Pair {
    /// The host's end.
    pub host: HostSession,
    /// The terminal's end.
    pub terminal: TerminalSession,
    /// The connection.
    pub link: Link,
    profile: Arc<Profile>,
    clock: Clock,
    happened: VecDeque<Happened>,
    ended: [bool; 2],
}

/// What happened.
#[derive(Debug)]
pub enum Happened {
    /// The host learned something.
    AtHost(HostEvent),
    /// The terminal learned something.
    AtTerminal(TerminalEvent),
    /// A session gave the connection up; this was why.
    GivenUp(End, ProtocolError),
    /// The other end says nothing more.
    Closed(End),
    /// The connection broke.
    Broken(End),
}

impl Pair {
    /// A connection between a host and the terminal with [`TID`] and [`MID`], at the epoch.
    #[must_use]
    pub fn new(profile: Arc<Profile>, settings: Settings, seed: u64) -> Self {
        let host = HostSession::new(Arc::clone(&profile), Some(TID.to_owned()));
        let terminal = TerminalSession::new(Arc::clone(&profile), Identity::new(TID, MID));
        Self {
            host,
            terminal,
            profile,
            link: Link::new(settings, Rng::new(seed)),
            clock: Clock::new(Timestamp::UNIX_EPOCH),
            happened: VecDeque::new(),
            ended: [false; 2],
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether this end can say anything: its session did not give up, and it was not told of an end.
    #[must_use]
    pub fn is_open(&self, end: End) -> bool {
        !self.ended[index(end)]
    }

    /// A new connection between the same two, in place of this one: sessions begin anew, time goes on.
    pub fn reconnect(&mut self, settings: Settings, seed: u64) {
        let profile = Arc::clone(&self.profile);
        let clock = self.clock.clone();
        *self = Self { clock, ..Self::new(profile, settings, seed) };
    }

    /// Goes on until `until` says so, for at most so many seconds of virtual time. Gives whether it did.
    pub fn run_for_s(&mut self, seconds: i64, mut until: impl FnMut(&mut Self, Happened) -> bool) -> bool {
        let limit = self.now() + SignedDuration::from_secs(seconds);
        while let Some(happened) = self.step(limit) {
            if until(self, happened) {
                return true;
            }
        }
        false
    }

    /// The next thing that happens by `limit`, to which the time then goes.
    pub fn step(&mut self, limit: Timestamp) -> Option<Happened> {
        loop {
            self.collect();
            if let Some(happened) = self.happened.pop_front() {
                return Some(happened);
            }
            let timeouts = [
                self.is_open(End::Host).then(|| self.host.poll_timeout()).flatten(),
                self.is_open(End::Terminal).then(|| self.terminal.poll_timeout()).flatten(),
            ];
            let due = timeouts.into_iter().chain([self.link.next_due()]).flatten().min();
            let Some(due) = due.filter(|due| *due <= limit) else {
                self.clock.advance_to(limit);
                return None;
            };
            self.clock.advance_to(due);
            let now = self.now();
            self.host.handle_timeout(now);
            self.terminal.handle_timeout(now);
            if let Some((end, arrival)) = self.link.poll(now) {
                self.arrive(end, arrival, now);
            }
        }
    }

    fn arrive(&mut self, end: End, arrival: Arrival, now: Timestamp) {
        if !self.is_open(end) {
            return;
        }
        let frame = match arrival {
            Arrival::Frame(frame) => frame,
            Arrival::Closed => return self.end(end, Happened::Closed(end)),
            Arrival::Broken => return self.end(end, Happened::Broken(end)),
        };
        let taken = match end {
            End::Host => self.host.receive(&frame, now),
            End::Terminal => self.terminal.receive(&frame, now),
        };
        if let Err(error) = taken {
            self.collect();
            self.link.close(end, now);
            self.end(end, Happened::GivenUp(end, error));
        }
    }

    fn end(&mut self, end: End, how: Happened) {
        self.ended[index(end)] = true;
        self.happened.push_back(how);
    }

    /// Takes what the sessions have to say and to tell.
    fn collect(&mut self) {
        let now = self.now();
        while let Some(frame) = self.host.poll_transmit() {
            if self.is_open(End::Host) {
                self.link.send(End::Host, frame.to_vec(), now);
            }
        }
        while let Some(frame) = self.terminal.poll_transmit() {
            if self.is_open(End::Terminal) {
                self.link.send(End::Terminal, frame.to_vec(), now);
            }
        }
        while let Some(event) = self.host.poll_event() {
            self.happened.push_back(Happened::AtHost(event));
        }
        while let Some(event) = self.terminal.poll_event() {
            self.happened.push_back(Happened::AtTerminal(event));
        }
    }
}

fn index(end: End) -> usize {
    match end {
        End::Host => 0,
        End::Terminal => 1,
    }
}
