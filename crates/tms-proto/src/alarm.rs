//! What a terminal tells its host unasked: that something is wrong.
//!
//! Each [`Alarm`] has a sequence number that only grows, so that a host which gets one twice, because its
//! answer was lost, takes it once. The terminal keeps in its [`AlarmLog`] what the host may not have yet.

use std::{collections::VecDeque, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    body::{Body, put, put_text, put_time, tag},
    error::ProtocolError,
    task::MAX_REASON_BYTES,
};

/// Most alarms that wait for the host.
pub const MAX_WAITING_ALARMS: usize = 32;

/// Something is wrong with a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Grows with each alarm of a terminal, not always by one.
    pub sequence: u64,
    /// What is wrong.
    pub kind: AlarmKind,
    /// How bad it is.
    pub severity: Severity,
    /// When it was noticed; whole seconds.
    pub time: Timestamp,
    /// A sentence for people; at most [`MAX_REASON_BYTES`].
    pub text: String,
}

/// What is wrong. Unknown codes keep their number; those from 128 on are a terminal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlarmKind(pub u8);

impl AlarmKind {
    /// Someone opened the terminal.
    pub const TAMPER: Self = Self(1);
    /// The printer has no paper.
    pub const PAPER_OUT: Self = Self(2);
    /// The battery is nearly empty.
    pub const BATTERY_LOW: Self = Self(3);
    /// The printer does not work.
    pub const PRINTER: Self = Self(4);
    /// A card reader does not work.
    pub const CARD_READER: Self = Self(5);
    /// The keyboard or the PIN pad does not work.
    pub const KEYBOARD: Self = Self(6);
    /// The display does not work.
    pub const DISPLAY: Self = Self(7);
    /// An administrator credential is still the one that the terminal was delivered with.
    pub const DEFAULT_CREDENTIAL: Self = Self(8);
    /// Many failed logins in a short time.
    pub const FAILED_LOGINS: Self = Self(9);
    /// The memory fails or is nearly full.
    pub const STORAGE: Self = Self(10);
    /// A certificate ends soon.
    pub const CERTIFICATE: Self = Self(11);
    /// The clock has lost the time.
    pub const CLOCK: Self = Self(12);
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::TAMPER => "tamper",
            Self::PAPER_OUT => "paper-out",
            Self::BATTERY_LOW => "battery-low",
            Self::PRINTER => "printer",
            Self::CARD_READER => "card-reader",
            Self::KEYBOARD => "keyboard",
            Self::DISPLAY => "display",
            Self::DEFAULT_CREDENTIAL => "default-credential",
            Self::FAILED_LOGINS => "failed-logins",
            Self::STORAGE => "storage",
            Self::CERTIFICATE => "certificate",
            Self::CLOCK => "clock",
            Self(code) => return write!(f, "alarm-{code}"),
        })
    }
}

/// How bad it is; more is worse. Unknown codes keep their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Severity(pub u8);

impl Severity {
    /// Good to know.
    pub const INFO: Self = Self(1);
    /// Somebody should see to it.
    pub const WARNING: Self = Self(2);
    /// Somebody must see to it now.
    pub const CRITICAL: Self = Self(3);
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::INFO => "info",
            Self::WARNING => "warning",
            Self::CRITICAL => "critical",
            Self(code) => return write!(f, "severity {code}"),
        })
    }
}

impl Alarm {
    /// The body of an alarm message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put(&mut out, tag::SEQUENCE, &self.sequence.to_be_bytes());
        put(&mut out, tag::ALARM_KIND, &[self.kind.0]);
        put(&mut out, tag::SEVERITY, &[self.severity.0]);
        put_time(&mut out, tag::TIME, self.time);
        if !self.text.is_empty() {
            put_text(&mut out, tag::MESSAGE, &self.text, MAX_REASON_BYTES);
        }
        out
    }

    /// Reads the body of an alarm message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "alarm";
        let body = Body::parse(bytes)?;
        Ok(Self {
            sequence: body.u64(tag::SEQUENCE, NAME)?,
            kind: AlarmKind(body.u8(tag::ALARM_KIND, NAME)?),
            severity: Severity(body.u8(tag::SEVERITY, NAME)?),
            time: body.time(tag::TIME, NAME)?,
            text: body.optional_text(tag::MESSAGE, NAME, MAX_REASON_BYTES)?.unwrap_or_default(),
        })
    }
}

/// The alarms of a terminal that its host may not have yet. Durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmLog {
    last: u64,
    waiting: VecDeque<Alarm>,
    /// Alarms that found no room.
    dropped: u64,
}

impl AlarmLog {
    /// Raises an alarm, unless the same one waits already. Gives its sequence. When too many wait, the
    /// oldest of the least severe gives way.
    pub fn raise(
        &mut self,
        kind: AlarmKind,
        severity: Severity,
        text: impl Into<String>,
        now: Timestamp,
    ) -> Option<u64> {
        let text = text.into();
        if self.waiting.iter().any(|alarm| alarm.kind == kind && alarm.text == text) {
            return None;
        }
        if self.waiting.len() >= MAX_WAITING_ALARMS {
            self.dropped = self.dropped.saturating_add(1);
            let least = self.waiting.iter().map(|alarm| alarm.severity).min().unwrap_or(severity);
            if least > severity {
                return None;
            }
            if let Some(index) = self.waiting.iter().position(|alarm| alarm.severity == least) {
                self.waiting.remove(index);
            }
        }
        // A terminal that has lost its memory goes on above the numbers that it used before.
        let by_clock = u64::try_from(now.as_second()).unwrap_or(0);
        self.last = self.last.saturating_add(1).max(by_clock);
        let time = Timestamp::from_second(now.as_second()).unwrap_or(now);
        self.waiting.push_back(Alarm { sequence: self.last, kind, severity, time, text });
        Some(self.last)
    }

    /// The alarm to send next.
    #[must_use]
    pub fn next(&self) -> Option<&Alarm> {
        self.waiting.front()
    }

    /// The alarms that the host may not have yet, in the order in which they were raised.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Alarm> {
        self.waiting.iter()
    }

    /// The host has an alarm.
    pub fn taken(&mut self, sequence: u64) {
        self.waiting.retain(|alarm| alarm.sequence != sequence);
    }

    /// Sequence of the last alarm; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Alarms that found no room since manufacture.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn an_alarm_survives_the_wire(sequence: u64, codes: (u8, u8), second in 0i64..4_000_000_000, text in "[ -~纸]{0,40}") {
            let (kind, severity) = (AlarmKind(codes.0), Severity(codes.1));
            let alarm = Alarm { sequence, kind, severity, time: at(second), text };
            prop_assert_eq!(Alarm::decode(&alarm.encode()).unwrap(), alarm);
        }

        #[test]
        fn any_bytes_are_an_error_or_an_alarm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Alarm::decode(&bytes);
        }

        // Whatever is raised, lost and restarted, the host sees growing numbers and no more wait than may.
        #[test]
        fn sequences_grow_whatever_the_clock_does(steps in prop::collection::vec((0u8..20, 1u8..4, any::<bool>(), -9i64..9), 1..150)) {
            let mut log = AlarmLog::default();
            let (mut now, mut highest) = (NOON, 0);
            for (kind, severity, taken, step) in steps {
                now += step * step * step;
                log.raise(AlarmKind(kind), Severity(severity), format!("{now}"), at(now));
                log = serde_json::from_str(&serde_json::to_string(&log).unwrap()).unwrap();
                prop_assert!(log.waiting.len() <= MAX_WAITING_ALARMS);
                if let (true, Some(alarm)) = (taken, log.next().cloned()) {
                    prop_assert!(alarm.sequence > highest, "the host saw {highest} before {}", alarm.sequence);
                    highest = alarm.sequence;
                    log.taken(alarm.sequence);
                }
            }
        }
    }

    #[test]
    fn the_same_alarm_waits_once_and_a_severe_one_displaces_a_lesser() {
        let mut log = AlarmLog::default();
        assert!(log.raise(AlarmKind::PAPER_OUT, Severity::WARNING, "", at(NOON)).is_some());
        assert_eq!(log.raise(AlarmKind::PAPER_OUT, Severity::WARNING, "", at(NOON)), None);
        for n in 0..MAX_WAITING_ALARMS {
            log.raise(AlarmKind::FAILED_LOGINS, Severity::CRITICAL, n.to_string(), at(NOON));
        }
        assert_eq!((log.waiting.len(), log.dropped()), (MAX_WAITING_ALARMS, 1));
        assert_eq!(log.next().unwrap().kind, AlarmKind::FAILED_LOGINS, "the paper gave way");
        assert_eq!(log.raise(AlarmKind::PAPER_OUT, Severity::WARNING, "", at(NOON)), None);
        assert_eq!(log.dropped(), 2);
    }

    #[test]
    fn a_terminal_without_memory_does_not_use_a_number_twice() {
        let mut log = AlarmLog::default();
        let before = log.raise(AlarmKind::CLOCK, Severity::INFO, "a", at(NOON)).unwrap();
        let after = AlarmLog::default().raise(AlarmKind::CLOCK, Severity::INFO, "a", at(NOON + 60)).unwrap();
        assert!(after > before);
    }

    #[test]
    fn the_longest_text_arrives_cut_at_a_character() {
        let mut log = AlarmLog::default();
        log.raise(AlarmKind(200), Severity::INFO, "门".repeat(90), at(NOON));
        let alarm = Alarm::decode(&log.next().unwrap().encode()).unwrap();
        assert_eq!(alarm.text, "门".repeat(40));
        assert_eq!((alarm.kind.to_string(), alarm.severity.to_string()), ("alarm-200".into(), "info".into()));
    }
}
