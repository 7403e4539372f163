//! What a firmware transfer keeps for the length of a connection, and what its failures are called.

use jiff::Timestamp;
use tms_firmware::{FirmwareError, InstallError, VerifiedManifest};
use tms_proto::{task::Outcome, transfer::Transfer};

use crate::{flash::SlotWriter, state::TaskKey};

/// A fetch on this connection.
#[derive(Debug)]
pub(super) struct Fetch {
    /// Who wants it.
    pub(super) task: TaskKey,
    pub(super) stage: Stage,
    /// When to ask again; answers drive it otherwise.
    pub(super) due: Timestamp,
    pub(super) useless_in_a_row: u32,
    /// The first block to come will show that the transfer goes on from an earlier connection.
    pub(super) resuming: bool,
    /// The host has given a block on this connection, so it has the operation in hand.
    pub(super) served: bool,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Stage {
    Plan { bytes: Vec<u8>, waiting: bool },
    Manifest { bytes: Vec<u8>, total_bytes: Option<u64>, waiting: bool },
    Image { transfer: Box<Transfer>, writer: SlotWriter, verified: Box<VerifiedManifest>, saved_bytes: u64 },
}

/// Block requests of this connection. The host answers them in order, so that after a change of plan
/// the answers still to come for the old fetch can be told from those for the new one.
#[derive(Debug, Default)]
pub(super) struct Reads {
    in_flight: usize,
    stale: usize,
}

impl Reads {
    pub(super) fn asked(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// An answer came. Gives whether it is for the present fetch.
    pub(super) fn answered(&mut self) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        let stale = self.stale > 0;
        self.stale = self.stale.saturating_sub(1);
        !stale
    }

    /// Another fetch begins.
    pub(super) fn replaced(&mut self) {
        self.stale = self.in_flight;
    }
}

impl Fetch {
    pub(super) fn manifest(task: TaskKey, now: Timestamp) -> Self {
        Self::new(task, Stage::Manifest { bytes: Vec::new(), total_bytes: None, waiting: false }, now)
    }

    pub(super) fn plan(task: TaskKey, now: Timestamp) -> Self {
        Self::new(task, Stage::Plan { bytes: Vec::new(), waiting: false }, now)
    }

    pub(super) fn new(task: TaskKey, stage: Stage, now: Timestamp) -> Self {
        Self { task, stage, due: now, useless_in_a_row: 0, resuming: false, served: false }
    }

    pub(super) fn retry_due(&self) -> Timestamp {
        match &self.stage {
            Stage::Manifest { waiting: true, .. } | Stage::Plan { waiting: true, .. } => Timestamp::MAX,
            _ => self.due,
        }
    }
}

/// What a bad manifest is called on the wire.
pub(super) fn firmware_outcome(error: &FirmwareError) -> Outcome {
    match error {
        FirmwareError::HashMismatch { .. } => Outcome::HASH_MISMATCH,
        _ => Outcome::SIGNATURE_INVALID,
    }
}

/// What a refused image is called on the wire.
pub(super) fn install_outcome(error: &InstallError) -> Outcome {
    match error {
        InstallError::WrongModel { .. } | InstallError::WrongHardware { .. } => Outcome::WRONG_MODEL,
        InstallError::RollbackVersion { .. } | InstallError::RollbackCounter { .. } => Outcome::ROLLBACK,
        InstallError::TooLarge { .. } => Outcome::NO_SPACE,
        InstallError::SizeMismatch { .. } | InstallError::HashMismatch { .. } => Outcome::HASH_MISMATCH,
        // What was wanted is so already.
        InstallError::AlreadyRunning { .. } => Outcome::DONE,
        _ => Outcome::WRONG_STATE,
    }
}
