//! Where a transfer stands, what of it outlives a restart, and why one ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::TransferSpec;
use crate::profile::Refusal;

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Blocks are still wanted.
    Fetching,
    /// Every byte is durable, and none is believed yet: verify now.
    Finishing,
    /// The whole file has the hash that was announced.
    Done,
    /// It cannot succeed any more.
    Failed,
    /// It was called off. Nothing takes it up again.
    Cancelled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetching => "fetching",
            Self::Finishing => "finishing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

/// What the terminal keeps of a transfer through a restart. It is for one file only: with another
/// specification it counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub(super) file: String,
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) durable_bytes: u64,
    pub(super) state: State,
}

impl Saved {
    /// Bytes that were safe.
    #[must_use]
    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Where it stood.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Calls the transfer off while it does not run.
    ///
    /// # Errors
    /// When it is done already.
    pub fn cancel(&mut self) -> Result<(), TransferError> {
        if self.state == State::Done {
            return Err(TransferError::IllegalState { state: self.state, action: "cancel" });
        }
        self.state = State::Cancelled;
        Ok(())
    }

    pub(super) fn is_of(&self, spec: &TransferSpec) -> bool {
        self.file == spec.file && self.size_bytes == spec.size_bytes && self.sha256 == spec.sha256
    }
}

/// Why a transfer, or a step of it, is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file on the host is not the one announced.
    #[error("the file has {actual} bytes on the host, {announced} were announced")]
    SizeChanged {
        /// Size in the block.
        actual: u64,
        /// Size in the task.
        announced: u64,
    },
    /// A block has another length than was asked for.
    #[error("the block at {offset} has {actual} bytes instead of {expected}")]
    WrongLength {
        /// Offset of the block.
        offset: u64,
        /// Its length.
        actual: usize,
        /// The length asked for.
        expected: u32,
    },
    /// The host said no, and will not say yes later.
    #[error("the host refused the file: {0}")]
    Refused(Refusal),
    /// The host answers, and no answer is of use.
    #[error("{0} answers in a row were of no use")]
    NothingUseful(u32),
    /// The whole file is not the one announced.
    #[error("the whole file does not have the size and hash that were announced")]
    HashMismatch,
    /// This cannot be done in this state.
    #[error("a transfer that is {state} cannot {action}")]
    IllegalState {
        /// Where the transfer stands.
        state: State,
        /// What was to be done.
        action: &'static str,
    },
}
