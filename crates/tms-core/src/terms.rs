//! The terms on which an operation is carried out: when, before which others, how often again.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{BatchId, IdError, RolloutId};
use crate::retry::RetryPolicy;
use crate::schedule::{Window, Zone};

/// Which of several operations goes first: 0 to 9, the higher the sooner; 5 unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u8, minimum = 0, maximum = 9))]
pub struct Priority(u8);

impl Priority {
    /// After all others.
    pub const LOWEST: Self = Self(0);
    /// Before all others.
    pub const HIGHEST: Self = Self(9);
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<u8> for Priority {
    type Error = IdError;

    fn try_from(number: u8) -> Result<Self, IdError> {
        match number {
            0..=9 => Ok(Self(number)),
            _ => Err(IdError::new("priority", &number.to_string(), "it is from 0 to 9")),
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> u8 {
        priority.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Trigger {
    /// Nothing.
    #[default]
    AtOnce,
    /// The next settlement of the terminal.
    AfterSettlement,
}

/// The terms on which an operation is carried out. The default is what an operation without any has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Which of several goes first; equal ones in the order in which they were made.
    #[serde(default)]
    pub priority: Priority,
    /// Not to be offered to the terminal earlier.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// To be offered only while this is open, in the terminal's zone. What was begun goes on when it closes.
    #[serde(default)]
    pub window: Option<Window>,
    /// What it waits for.
    #[serde(default)]
    pub trigger: Trigger,
    /// When and how often it is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The rollout that made it.
    #[serde(default)]
    pub rollout: Option<RolloutId>,
    /// The call that made it together with others.
    #[serde(default)]
    pub batch: Option<BatchId>,
    /// Who asked for it.
    #[serde(default)]
    pub author: Option<String>,
}

/// Whether an operation may be offered to its terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It may, now.
    Ready,
    /// Not before this moment.
    At(Timestamp),
    /// After the terminal's next settlement.
    AfterSettlement,
    /// Its window does not open within three weeks.
    Never,
}

impl Terms {
    /// Whether an operation on these terms may be offered at `now`. `created_at` is when it was made,
    /// `settled_at` when its terminal last completed a settlement, `zone` where that stands.
    #[must_use]
    pub fn readiness(
        &self,
        now: Timestamp,
        created_at: Timestamp,
        settled_at: Option<Timestamp>,
        zone: &Zone,
    ) -> Readiness {
        let from = self.not_before.map_or(created_at, |not_before| not_before.max(created_at));
        if self.trigger == Trigger::AfterSettlement && settled_at.is_none_or(|settled| settled < from) {
            return if now < from { Readiness::At(from) } else { Readiness::AfterSettlement };
        }
        // A clock that was set back does not hold up what has no term of its own.
        let earliest = self.not_before.map_or(now, |not_before| not_before.max(now));
        let opening = match &self.window {
            Some(window) => window.next_opening(earliest, zone),
            None => Some(earliest),
        };
        match opening {
            Some(at) if at <= now => Readiness::Ready,
            Some(at) => Readiness::At(at),
            None => Readiness::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_operation_that_was_stored_without_terms_has_the_usual_ones() {
        let terms: Terms = serde_json::from_str("{}").unwrap();
        assert_eq!(terms, Terms::default());
        assert_eq!(u8::from(terms.priority), 5);
        let now = at("2026-11-27T12:00:00Z");
        assert_eq!(terms.readiness(now, now, None, &Zone::default()), Readiness::Ready);
        // Even when the clock was set back since.
        assert_eq!(terms.readiness(now - 1.hour(), now, None, &Zone::default()), Readiness::Ready);
    }

    #[test]
    fn a_priority_is_one_digit() {
        assert!(serde_json::from_str::<Priority>("10").is_err());
        assert_eq!(serde_json::from_str::<Priority>("9").unwrap(), Priority::HIGHEST);
        assert!(Priority::LOWEST < Priority::default() && Priority::default() < Priority::HIGHEST);
    }

    #[test]
    fn a_window_counts_from_not_before_on_in_the_terminals_zone() {
        let terms = Terms {
            not_before: Some(at("2026-11-27T22:00:00Z")),
            window: Some("daily 01:00-05:00".parse().unwrap()),
            ..Terms::default()
        };
        let made = at("2026-11-20T00:00:00Z");
        // 02:00 in Shanghai, too early by half a day.
        let early = terms.readiness(at("2026-11-26T18:00:00Z"), made, None, &Zone::default());
        assert_eq!(early, Readiness::At(at("2026-11-28T17:00:00Z")));
        let open = terms.readiness(at("2026-11-28T17:00:00Z"), made, None, &Zone::default());
        assert_eq!(open, Readiness::Ready);
    }

    #[test]
    fn only_a_settlement_after_the_operation_was_due_sets_it_off() {
        let terms = Terms { trigger: Trigger::AfterSettlement, ..Terms::default() };
        let (made, now) = (at("2026-11-27T12:00:00Z"), at("2026-11-27T18:00:00Z"));
        let with = |settled| terms.readiness(now, made, settled, &Zone::default());
        assert_eq!(with(None), Readiness::AfterSettlement);
        assert_eq!(with(Some(at("2026-11-27T11:59:59Z"))), Readiness::AfterSettlement);
        assert_eq!(with(Some(at("2026-11-27T13:00:00Z"))), Readiness::Ready);
    }
}
