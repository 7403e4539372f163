//! What terminals tell their host unasked: that something is wrong.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::TerminalId;

/// Most alarms that are kept of one terminal; older ones make room.
pub const MAX_ALARMS_KEPT: usize = 1_000;

/// Something is wrong with a terminal, as it said itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its place among all alarms, in the order in which they came; the store gives it.
    pub number: u64,
    /// Which terminal.
    pub terminal: TerminalId,
    /// Grows with each alarm of the terminal; one that comes twice is known by it.
    pub sequence: u64,
    /// What is wrong, for example `paper-out`.
    pub kind: String,
    /// How bad it is: 1 good to know, 2 somebody should see to it, 3 somebody must see to it now.
    pub severity: u8,
    /// When the terminal noticed it, by its own clock.
    pub at: Timestamp,
    /// A sentence for people; may be empty.
    pub text: String,
    /// When the host got it.
    pub received_at: Timestamp,
}
