//! Work for one terminal, and the state machine that every piece of it goes through.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{IdError, OperationId, TerminalId};
use crate::kind::OperationKind;
use crate::terms::Terms;

/// Where an operation stands.
///
/// ```text
/// queued → sent → accepted → done
///    └───────┴────────┴────→ failed | expired | cancelled
/// ```
///
/// A terminal that is told twice may accept or finish at once, so steps forward may be skipped. A
/// broken connection puts `sent` and `accepted` back to `queued`: what was told may be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OperationState {
    /// Waits for the terminal.
    Queued,
    /// On its way; the terminal has not answered.
    Sent,
    /// The terminal has it in its journal and works on it.
    Accepted,
    /// The terminal reported success. Final.
    Done,
    /// The terminal or the host gave up. Final.
    Failed,
    /// Its time ran out first. Final.
    Expired,
    /// A person, or a newer operation in its place, withdrew it. Final.
    Cancelled,
}

impl OperationState {
    /// All states, in the order of the picture above.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Sent, Self::Accepted, Self::Done, Self::Failed, Self::Expired, Self::Cancelled];

    /// Whether the operation still has to be worked on.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sent | Self::Accepted)
    }

    /// Whether nothing changes this state any more.
    pub const fn is_final(self) -> bool {
        !self.is_open()
    }

    /// Whether an operation in this state may go to `next`. Staying is always allowed, so that a
    /// repeated report does no harm.
    pub fn can_become(self, next: Self) -> bool {
        if self == next {
            return true;
        }
        match self {
            Self::Queued => true,
            Self::Sent => true,
            // An accepted operation is in the terminal's journal; being told of it again goes
            // through the queue, never straight back to `sent`.
            Self::Accepted => next != Self::Sent,
            Self::Done | Self::Failed | Self::Expired | Self::Cancelled => false,
        }
    }

    /// The state as it appears in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OperationState {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| IdError {
            what: "operation state",
            text: text.chars().take(40).collect(),
            rule: "it is queued, sent, accepted, done, failed, expired or cancelled",
        })
    }
}

/// One piece of work for one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its identity, known to the terminal too.
    pub id: OperationId,
    /// For whom.
    pub terminal: TerminalId,
    /// What to do.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// How often it was taken up for delivery.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When it expires if it is still open.
    pub expires_at: Timestamp,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// Why it stands where it stands; a sentence for people.
    pub detail: Option<String>,
    /// How far it has come, for kinds that take a while.
    pub progress: Option<Progress>,
    /// What the terminal found, by name: for kinds that ask something.
    #[serde(default)]
    pub result: BTreeMap<String, String>,
    /// The terms on which it is carried out.
    #[serde(default)]
    pub terms: Terms,
}

impl Operation {
    /// Whether it still has to be worked on.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }
}

/// The right to work on an operation, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who has it: a name that is unique to one session of one server.
    pub holder: String,
    /// It ends at this time unless it is extended.
    pub until: Timestamp,
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Units done, in bytes for transfers.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// An operation that shall be put into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOperation {
    /// Its identity. Putting the same id into the queue twice is a conflict.
    pub id: OperationId,
    /// For whom.
    pub terminal: TerminalId,
    /// What to do.
    pub kind: OperationKind,
    /// When it expires if it is still open.
    pub expires_at: Timestamp,
    /// The terms on which it is carried out.
    pub terms: Terms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_states_are_final() {
        for from in OperationState::ALL.into_iter().filter(|state| state.is_final()) {
            for to in OperationState::ALL {
                assert_eq!(from.can_become(to), from == to, "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_open_state_can_end_in_every_way_and_return_to_the_queue() {
        for from in OperationState::ALL.into_iter().filter(|state| state.is_open()) {
            for to in OperationState::ALL.into_iter().filter(|state| state.is_final()) {
                assert!(from.can_become(to), "{from} to {to}");
            }
            assert!(from.can_become(OperationState::Queued));
        }
        assert!(!OperationState::Accepted.can_become(OperationState::Sent));
    }

    #[test]
    fn states_read_back_from_their_names() {
        for state in OperationState::ALL {
            assert_eq!(state.name().parse::<OperationState>().unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        assert!("gone".parse::<OperationState>().is_err());
    }
}
