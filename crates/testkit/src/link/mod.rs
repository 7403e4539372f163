//! One connection between a host and a terminal, frame by frame, on which everything can go wrong.
//!
//! ```
//! use jiff::{SignedDuration, Timestamp};
//! use testkit::link::{Arrival, End, Fault, Link, Settings};
//! use testkit::rng::Rng;
//!
//! let mut link = Link::new(Settings::bare(), Rng::new(1));
//! link.script(End::Terminal, 2, Fault::Duplicate);
//! let now = Timestamp::UNIX_EPOCH;
//! link.send(End::Terminal, b"once".to_vec(), now);
//! link.send(End::Terminal, b"twice".to_vec(), now);
//! let later = now + SignedDuration::from_secs(1);
//! let arrived: Vec<_> = std::iter::from_fn(|| link.poll(later)).map(|(_, what)| what).collect();
//! assert_eq!(arrived, [
//!     Arrival::Frame(b"once".to_vec()),
//!     Arrival::Frame(b"twice".to_vec()),
//!     Arrival::Frame(b"twice".to_vec()),
//! ]);
//! ```

mod fault;
mod way;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::rng::Rng;

pub use fault::{Chances, Counts, Fault};
use way::Way;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The host's.
    Host,
    /// The terminal's.
    Terminal,
}

impl End {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Host => Self::Terminal,
            Self::Terminal => Self::Host,
        }
    }
}

/// What carries the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// TLS over TCP: frames arrive whole, in order and once, or the connection breaks.
    Protected,
    /// Nothing protects them: what was changed, cut, repeated or overtaken arrives as it is.
    Bare,
}

/// What a link is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What carries the frames.
    pub mode: Mode,
    /// How long a frame is under way.
    pub delay: SignedDuration,
    /// How much longer it may be, by chance.
    pub jitter: SignedDuration,
    /// How many bits pass in a second, in each direction; `None` for as many as there are.
    pub bits_per_second: Option<u64>,
    /// Bytes that may be under way in one direction. With more the connection breaks: the other end
    /// does not take them.
    pub queue_bytes: usize,
    /// Whether a frame that was cut arrives with the length prefix of what is left (two bytes), as from a
    /// gateway that cuts messages; else the prefix is cut with the rest.
    pub mend_length: bool,
    /// What goes wrong by chance.
    pub chances: Chances,
}

impl Settings {
    /// A good line with 20 ms of delay, under TLS.
    #[must_use]
    pub fn protected() -> Self {
        Self {
            mode: Mode::Protected,
            delay: SignedDuration::from_millis(20),
            jitter: SignedDuration::ZERO,
            bits_per_second: None,
            queue_bytes: 1024 * 1024,
            mend_length: true,
            chances: Chances::default(),
        }
    }

    /// The same line without TLS.
    #[must_use]
    pub fn bare() -> Self {
        Self { mode: Mode::Bare, ..Self::protected() }
    }
}

/// What reaches an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A frame, or what is left of it.
    Frame(Vec<u8>),
    /// The other end says nothing more.
    Closed,
    /// The connection is gone.
    Broken,
}

/// The connection. Ends are told of a break or a close once; nothing arrives after that.
#[derive(Debug)]
pub struct Link {
    settings: Settings,
    rng: Rng,
    to_host: Way,
    to_terminal: Way,
    scripted: BTreeMap<(End, u64), Fault>,
    counts: Counts,
}

impl Link {
    /// A new connection.
    #[must_use]
    pub fn new(settings: Settings, rng: Rng) -> Self {
        Self {
            settings,
            rng,
            to_host: Way::default(),
            to_terminal: Way::default(),
            scripted: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// What the link is like from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Has a fault strike the frame that `from` sends as its `nth`, counted from 1; chance then leaves
    /// that frame alone.
    pub fn script(&mut self, from: End, nth: u64, fault: Fault) {
        self.scripted.insert((from, nth), fault);
    }

    /// What the link has done so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Sends a frame. After the connection broke or this end closed it is lost.
    pub fn send(&mut self, from: End, frame: Vec<u8>, now: Timestamp) {
        let bytes = frame.len();
        let way = match from {
            End::Host => &mut self.to_terminal,
            End::Terminal => &mut self.to_host,
        };
        if way.is_over() {
            return;
        }
        way.sent += 1;
        self.counts.frames += 1;
        self.counts.bytes = self.counts.bytes.saturating_add(bytes as u64);
        let scripted = self.scripted.remove(&(from, way.sent));
        let fault = scripted.or_else(|| self.settings.chances.draw(&mut self.rng, bytes));
        if let Some(fault) = fault {
            self.counts.fault(fault.name());
        }
        let due = way.due(bytes, &self.settings, &mut self.rng, now);
        let protected = self.settings.mode == Mode::Protected;
        match fault {
            None => way.put(due, frame, protected),
            Some(Fault::Delay(by)) => way.put(later(due, by), frame, protected),
            Some(Fault::Lose) if protected => way.stall(),
            Some(Fault::Lose) => {}
            Some(Fault::HalfClose) => {
                way.put(due, frame, protected);
                way.close(due);
            }
            Some(Fault::Break) => self.break_off(now),
            // The other end's TLS finds that out, and says so.
            Some(_) if protected => self.break_at(due, from),
            Some(Fault::Reorder) => {
                let behind = self.settings.delay.saturating_mul(3).saturating_add(self.settings.jitter);
                way.put(later(due, behind.max(SignedDuration::from_millis(5))), frame, false);
            }
            Some(Fault::Duplicate) => {
                way.put(due, frame.clone(), false);
                let again = later(due, self.rng.within(self.settings.delay));
                way.put(again, frame, false);
            }
            Some(Fault::Truncate { keep_bytes }) => {
                way.put(due, cut(frame, keep_bytes, self.settings.mend_length), false);
            }
            Some(Fault::Corrupt { bit }) => way.put(due, flip(frame, bit), false),
        }
        let under_way = self.to_host.bytes.max(self.to_terminal.bytes);
        self.counts.most_bytes_under_way = self.counts.most_bytes_under_way.max(under_way);
        if under_way > self.settings.queue_bytes {
            self.counts.fault("queue full");
            self.break_off(now);
        }
    }

    /// `from` says nothing more; what it sent still arrives.
    pub fn close(&mut self, from: End, now: Timestamp) {
        let (delay, way) = (self.settings.delay, self.way_from(from));
        way.close(later(now, delay));
    }

    /// The connection is gone, and what is under way is lost. Both ends learn of it at once.
    pub fn break_off(&mut self, now: Timestamp) {
        self.to_host.break_at(now);
        self.to_terminal.break_at(now);
    }

    /// Holds everything up until `until`: nothing arrives before. Under TLS it arrives then; bare, what is
    /// sent meanwhile is lost.
    pub fn partition(&mut self, until: Timestamp) {
        self.to_host.hold(until);
        self.to_terminal.hold(until);
    }

    /// Whether both ends have been told that there will be nothing more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.to_host.is_told() && self.to_terminal.is_told()
    }

    /// When something arrives next.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        [self.to_host.next_due(), self.to_terminal.next_due()].into_iter().flatten().min()
    }

    /// What has arrived by `now`, and where, in the order of time.
    pub fn poll(&mut self, now: Timestamp) -> Option<(End, Arrival)> {
        let due = self.next_due().filter(|due| *due <= now)?;
        // Where both are due at once the host is first, always.
        if self.to_host.next_due() == Some(due) {
            return Some((End::Host, self.to_host.take()?));
        }
        Some((End::Terminal, self.to_terminal.take()?))
    }

    fn way_from(&mut self, from: End) -> &mut Way {
        match from {
            End::Host => &mut self.to_terminal,
            End::Terminal => &mut self.to_host,
        }
    }

    /// A break that the receiver finds at `due`; the sender learns of it after another delay.
    fn break_at(&mut self, due: Timestamp, sender: End) {
        let back = later(due, self.settings.delay);
        self.way_from(sender).break_when(due);
        self.way_from(sender.other()).break_when(back);
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn cut(mut frame: Vec<u8>, keep_bytes: usize, mend_length: bool) -> Vec<u8> {
    frame.truncate(keep_bytes);
    if mend_length && let Some((prefix, rest)) = frame.split_at_mut_checked(2) {
        prefix.copy_from_slice(&u16::try_from(rest.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    frame
}

fn flip(mut frame: Vec<u8>, bit: usize) -> Vec<u8> {
    let bits = frame.len().saturating_mul(8);
    if let Some(bit) = bit.checked_rem(bits)
        && let Some(byte) = frame.get_mut(bit / 8)
    {
        *byte ^= 1 << (bit % 8);
    }
    frame
}

#[cfg(test)]
mod tests;
