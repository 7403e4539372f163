//! What happened, in a form that costs little while nobody looks, and a hash of all of it.

use std::{collections::VecDeque, fmt};

use jiff::Timestamp;
use testkit::link::End;

/// Entries kept for each terminal: of frames, and of everything else.
const KEPT: [usize; 2] = [40, 60];

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    /// An end sent a frame.
    Sent { line: u32, from: End, bytes: usize, frame: Option<Vec<u8>> },
    /// A frame reached an end.
    Arrived { line: u32, at: End, bytes: usize },
    /// An end learned that there is nothing more.
    Over { line: u32, at: End, how: &'static str },
    /// A session ended on the host.
    HostEnded { line: u32, why: String },
    /// A connection ended at the terminal.
    TerminalEnded { line: u32, why: String },
    /// A terminal opened a connection.
    Connected { line: u32 },
    /// A connection could not be opened.
    NotConnected { why: &'static str },
    /// A terminal started.
    Booted { count: u32, version: String },
    /// An operation was acknowledged.
    Enqueued { operation: usize, kind: String },
    /// An operation is seen in another state.
    State { operation: usize, state: &'static str },
    /// Something went wrong, or was put right.
    Fault { what: &'static str, value: i64 },
    /// Something physical took effect.
    Effect { what: String },
    /// The host closed a batch.
    Closed { batch: u32, sales: u32 },
    /// A terminal raised an alarm.
    Raised { what: String },
    /// Somebody published a set.
    Published { what: &'static str },
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    entries: u64,
    /// By terminal, newest last; the last is the host's.
    recent: Vec<[VecDeque<(u64, Timestamp, Happened)>; 2]>,
}

impl Trace {
    pub(crate) fn new(terminals: usize) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, entries: 0, recent: vec![Default::default(); terminals + 1] }
    }

    /// Notes what happened to a terminal; to the host without one.
    pub(crate) fn note(&mut self, at: Timestamp, terminal: Option<usize>, what: Happened) {
        self.entries += 1;
        let place = terminal.unwrap_or(self.recent.len() - 1);
        self.mix(at.as_microsecond() as u64);
        self.mix(place as u64);
        self.mix(what.digest());
        let kind = usize::from(!matches!(what, Happened::Sent { .. } | Happened::Arrived { .. }));
        let recent = &mut self.recent[place][kind];
        if recent.len() >= KEPT[kind] {
            recent.pop_front();
        }
        recent.push_back((self.entries, at, what));
    }

    /// The same for two runs in which the same happened at the same times.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The last things that happened to a terminal and to the host, in the order of time.
    pub(crate) fn last(&self, terminal: Option<usize>, show: impl Fn(&[u8]) -> String) -> Vec<String> {
        let host = self.recent.len() - 1;
        let mut places = vec![host];
        places.extend(terminal.filter(|place| *place != host));
        let mut all: Vec<_> = places.iter().flat_map(|place| self.recent[*place].iter().flatten()).collect();
        all.sort_by_key(|(entry, ..)| *entry);
        all.iter().map(|(_, at, what)| line(*at, what, &show)).collect()
    }

    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23);
    }
}

fn line(at: Timestamp, what: &Happened, show: &impl Fn(&[u8]) -> String) -> String {
    let frame = match what {
        Happened::Sent { frame: Some(frame), .. } => format!("  {}", show(frame)),
        _ => String::new(),
    };
    format!("{:.3}  {what}{frame}", at)
}

fn text(text: &str) -> u64 {
    text.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn end(end: End) -> u64 {
    match end {
        End::Host => 1,
        End::Terminal => 2,
    }
}

impl Happened {
    /// A number for what happened, without anything that secrets or the machine decide.
    fn digest(&self) -> u64 {
        let (kind, a, b) = match self {
            Self::Sent { line, from, bytes, .. } => (1, u64::from(*line) << 2 | end(*from), *bytes as u64),
            Self::Arrived { line, at, bytes } => (2, u64::from(*line) << 2 | end(*at), *bytes as u64),
            Self::Over { line, at, how } => (3, u64::from(*line) << 2 | end(*at), text(how)),
            Self::HostEnded { line, why } => (4, u64::from(*line), text(why)),
            Self::TerminalEnded { line, why } => (5, u64::from(*line), text(why)),
            Self::Connected { line } => (6, u64::from(*line), 0),
            Self::NotConnected { why } => (7, text(why), 0),
            Self::Booted { count, version } => (8, u64::from(*count), text(version)),
            Self::Enqueued { operation, kind } => (9, *operation as u64, text(kind)),
            Self::State { operation, state } => (10, *operation as u64, text(state)),
            Self::Fault { what, value } => (11, text(what), *value as u64),
            Self::Effect { what } => (12, text(what), 0),
            Self::Closed { batch, sales } => (13, u64::from(*batch), u64::from(*sales)),
            Self::Raised { what } => (14, text(what), 0),
            Self::Published { what } => (15, text(what), 0),
        };
        (a.wrapping_mul(0x9E37_79B9_7F4A_7C15)).rotate_left(17)
            ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
            ^ (kind << 56)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = |from: &End| if *from == End::Terminal { "->" } else { "<-" };
        match self {
            Self::Sent { line, from, bytes, .. } => write!(f, "line {line} {} {bytes} bytes", arrow(from)),
            Self::Arrived { line, at, bytes } => write!(f, "line {line} {bytes} bytes reach the {at:?}"),
            Self::Over { line, at, how } => write!(f, "line {line} is {how} for the {at:?}"),
            Self::HostEnded { line, why } => write!(f, "line {line} host ends: {why}"),
            Self::TerminalEnded { line, why } => write!(f, "line {line} terminal ends: {why}"),
            Self::Connected { line } => write!(f, "line {line} opened"),
            Self::NotConnected { why } => write!(f, "not connected: {why}"),
            Self::Booted { count, version } => write!(f, "boot {count} with version {version}"),
            Self::Enqueued { operation, kind } => write!(f, "operation #{operation} acknowledged: {kind}"),
            Self::State { operation, state } => write!(f, "operation #{operation} is {state}"),
            Self::Fault { what, value } => write!(f, "FAULT {what} {value}"),
            Self::Effect { what } => write!(f, "EFFECT {what}"),
            Self::Closed { batch, sales } => write!(f, "batch {batch} closed with {sales} sales"),
            Self::Raised { what } => write!(f, "alarm raised: {what}"),
            Self::Published { what } => write!(f, "set {what} published"),
        }
    }
}
