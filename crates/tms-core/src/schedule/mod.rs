//! Maintenance windows: when, on the clock of the wall where the terminal stands, work may be done.
//!
//! The one rule: a [`Window`] is open while that clock shows a time of the window. So where the clock goes
//! back, a time of the window that is shown twice is open twice; where it goes forward, a window whose times
//! are all left out does not open that day, and one that is left out in part opens when the clock arrives
//! in it. That clock runs by the rules of the [`Zone`] and is never the terminal's own.

mod days;
mod zone;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::tz::AmbiguousOffset;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

pub use days::Days;
pub use zone::Zone;

use crate::id::IdError;

/// How far ahead an opening is looked for: a weekly window may be left out once by a change of the clock.
const HORIZON_DAYS: i64 = 22;

/// Times of day on days of the week, in the terminal's zone. As text `mon-fri 22:00-04:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    days: Days,
    from: Time,
    to: Time,
}

impl Window {
    /// Makes a window that opens on these days at `from` and closes at `to`: on the next day if that is not
    /// later, so that two equal times are a whole day. Seconds are dropped.
    #[must_use]
    pub fn new(days: Days, from: Time, to: Time) -> Self {
        let minute = |time: Time| Time::constant(time.hour(), time.minute(), 0, 0);
        Self { days, from: minute(from), to: minute(to) }
    }

    /// The days on which it opens.
    #[must_use]
    pub fn days(&self) -> Days {
        self.days
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, at: Timestamp, zone: &Zone) -> bool {
        self.shows(zone.local(at))
    }

    /// The first moment from `after` on at which it is open: `after` itself while it is.
    /// `None` when there is none within three weeks.
    #[must_use]
    pub fn next_opening(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        self.next(after, zone, true)
    }

    /// The first moment from `after` on at which it is closed. `None` for a window that is always open.
    #[must_use]
    pub fn next_closing(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        self.next(after, zone, false)
    }

    /// Whether a clock that shows this shows a time of the window.
    fn shows(&self, clock: DateTime) -> bool {
        let (day, time) = (clock.weekday(), clock.time());
        if self.from < self.to {
            return self.days.contains(day) && self.from <= time && time < self.to;
        }
        let began_today = self.days.contains(day) && self.from <= time;
        let began_yesterday = self.days.contains(day.previous()) && time < self.to;
        began_today || began_yesterday
    }

    /// Whether the window is open changes only where the clock shows one of its two times, and where the clock
    /// is changed; so these moments are all that has to be looked at.
    fn next(&self, after: Timestamp, zone: &Zone, open: bool) -> Option<Timestamp> {
        if self.is_open(after, zone) == open {
            return Some(after);
        }
        let end = after.checked_add((HORIZON_DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
        let changes = zone.rules().following(after).map(|change| change.timestamp());
        let mut first = changes.take_while(|at| *at <= end).find(|at| self.is_open(*at, zone) == open);
        // The clock may be a day behind what it showed, where a zone crosses the date line.
        let today = zone.local(after).date();
        for ahead in -1..=HORIZON_DAYS {
            let Ok(date) = today.checked_add(ahead.days()) else { continue };
            for time in [self.from, self.to] {
                for at in moments(date.to_datetime(time), zone).into_iter().flatten() {
                    if at > after && self.is_open(at, zone) == open {
                        first = Some(first.map_or(at, |first| first.min(at)));
                    }
                }
            }
            let beyond = moments(date.to_datetime(Time::midnight()), zone).into_iter().flatten().min();
            if first.is_some_and(|first| beyond.is_some_and(|day| day > first)) {
                break;
            }
        }
        first
    }
}

/// The moments at which a clock in the zone shows this: none, one or two.
fn moments(clock: DateTime, zone: &Zone) -> [Option<Timestamp>; 2] {
    match zone.rules().to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(clock).ok(), None],
        AmbiguousOffset::Gap { .. } => [None, None],
        AmbiguousOffset::Fold { before, after } => {
            [before.to_timestamp(clock).ok(), after.to_timestamp(clock).ok()]
        }
    }
}

impl FromStr for Window {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "write days and times as in: mon-fri 22:00-04:00, or daily 01:00-05:00";
        let wrong = || IdError::new("window", text, rule);
        let (days, times) = text.split_once(' ').ok_or_else(wrong)?;
        let (from, to) = times.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let two = |text: &str| {
                let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<i8>().ok().filter(|_| digits)
            };
            Time::new(two(hour)?, two(minute)?, 0, 0).ok()
        };
        let (from, to) = (time(from).ok_or_else(wrong)?, time(to).ok_or_else(wrong)?);
        Ok(Self::new(days.parse()?, from, to))
    }
}

impl TryFrom<String> for Window {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> String {
        window.to_string()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, from, to } = self;
        let (to_hour, to_minute) = (to.hour(), to.minute());
        write!(f, "{days} {:02}:{:02}-{to_hour:02}:{to_minute:02}", from.hour(), from.minute())
    }
}
