//! What a terminal can be told to do.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::plan::PlanSource;

/// What a terminal can be told to do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Leave, start again and come back.
    Reboot,
    /// Fetch an image and its signed manifest, verify both, install and start the image.
    InstallFirmware {
        /// Name of the image for file reads; its manifest has the same name with `.manifest`.
        file: String,
        /// Exact size of the image.
        size_bytes: u64,
        /// SHA-256 of the image. The signed manifest must agree.
        sha256: [u8; 32],
    },
    /// Keep a new verifier beside the one in force.
    CredentialPrepare {
        /// The administrator role, for example `99`.
        role: String,
        /// The new generation.
        generation: u32,
        /// The generation that the host holds to be in force. The terminal keeps that one, even
        /// if it still has a later one that the host gave up.
        base: u32,
        /// The verifier, sealed to the terminal's own key.
        sealed: Vec<u8>,
    },
    /// Let the new generation open the terminal, beside the old one.
    CredentialCommit {
        /// The role.
        role: String,
        /// The prepared generation.
        generation: u32,
    },
    /// Prove that the new generation is in place.
    CredentialVerify {
        /// The role.
        role: String,
        /// The committed generation.
        generation: u32,
        /// Fresh random bytes that the proof covers.
        challenge: [u8; 16],
    },
    /// Forget the old generation.
    CredentialConfirm {
        /// The role.
        role: String,
        /// The verified generation.
        generation: u32,
    },
    /// Forget the new generation; the old one stays in force.
    CredentialAbandon {
        /// The role.
        role: String,
        /// The generation given up.
        generation: u32,
    },
    /// Send the log.
    CollectLogs {
        /// Send at most this much, the newest part.
        max_bytes: u64,
    },
    /// Start the payment application again; the terminal itself keeps running.
    RestartApplication,
    /// Back to the state of delivery, but for what it takes to come back to this host and to be opened by
    /// its people: identity, certificate, keys, addresses, administrator credentials, and the journal.
    FactoryReset,
    /// Take no payments until [`Command::Unlock`].
    Lock {
        /// What the display says meanwhile; at most [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES).
        message: String,
    },
    /// Take payments again.
    Unlock,
    /// Forget a reversal that cannot be delivered. Whether the money moved must be known otherwise.
    ClearReversal,
    /// Forget the transactions of the current batch.
    ClearBatch,
    /// Print a slip that shows that the printer works.
    PrintTestSlip {
        /// A line of the host's on it.
        text: Option<String>,
    },
    /// Check every part; the result has a value for each.
    SelfTest,
    /// Say what there is to know without checking anything; the result has the values.
    Diagnose,
    /// Send the journal of transactions.
    CollectJournal {
        /// The first batch wanted; everything there is when absent.
        from_batch: Option<u32>,
        /// Send at most this much, the newest part.
        max_bytes: u64,
    },
    /// Set the clock. See [`check_clock`](super::check_clock) for what a terminal refuses.
    SyncClock {
        /// The time when this was sent; whole seconds.
        time: Timestamp,
        /// Local time less UTC, in seconds.
        utc_offset_s: i32,
        /// Take it even if it is years from the terminal's own idea.
        force: bool,
    },
    /// Show a message to whoever stands at the terminal.
    ShowMessage {
        /// The message; at most [`MAX_TEXT_BYTES`](super::MAX_TEXT_BYTES).
        text: String,
        /// Not to be shown any more from then on; whole seconds.
        until: Option<Timestamp>,
        /// How long it stays on the display; 0 until a key is pressed.
        seconds: u16,
    },
    /// Come to the host elsewhere from now on. The terminal tries the new addresses, keeps them once it
    /// has signed on over one, and takes the old ones again when it cannot. See [`crate::address`].
    ChangeTmsAddress {
        /// `host:port`, the preferred one first; 1 to [`MAX_ADDRESSES`](crate::address::MAX_ADDRESSES).
        addresses: Vec<String>,
        /// Connections that may be tried before the old addresses are taken again, at least 1.
        attempts: u8,
    },
    /// Take a plan in the place of the one in force. See [`crate::plan`].
    InstallPlan(
        /// Where the plan is.
        PlanSource,
    ),
    /// Give an operation up: what has not begun never begins, what is under way stops where it can. A
    /// cancelled operation is not resumed.
    CancelOperation {
        /// The operation to give up.
        target: Uuid,
    },
    /// A command that this version does not know.
    Unknown(u8),
    /// A command whose content this version cannot use; it answers
    /// [`Outcome::INVALID`](super::Outcome::INVALID), so that the host does not send it again and again.
    Unusable {
        /// The command's number.
        code: u8,
        /// What is wrong with its content.
        reason: String,
    },
}

/// What a terminal does with a command that began before it restarted and whose end it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// It goes on or begins again: once and twice come to the same.
    #[default]
    Safe,
    /// It answers [`Outcome::INTERRUPTED`](super::Outcome::INTERRUPTED) and does it never again: the
    /// effect is a thing of the world, such as a slip of paper, or a second one would hit something new.
    Once,
}

impl fmt::Debug for Command {
    // The sealed verifier is ciphertext, but a log is no place for it either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Command {
    /// A short name for logs and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::InstallFirmware { .. } => "install-firmware",
            Self::CredentialPrepare { .. } => "credential-prepare",
            Self::CredentialCommit { .. } => "credential-commit",
            Self::CredentialVerify { .. } => "credential-verify",
            Self::CredentialConfirm { .. } => "credential-confirm",
            Self::CredentialAbandon { .. } => "credential-abandon",
            Self::CollectLogs { .. } => "collect-logs",
            Self::RestartApplication => "restart-application",
            Self::FactoryReset => "factory-reset",
            Self::Lock { .. } => "lock",
            Self::Unlock => "unlock",
            Self::ClearReversal => "clear-reversal",
            Self::ClearBatch => "clear-batch",
            Self::PrintTestSlip { .. } => "print-test-slip",
            Self::SelfTest => "self-test",
            Self::Diagnose => "diagnose",
            Self::CollectJournal { .. } => "collect-journal",
            Self::SyncClock { .. } => "sync-clock",
            Self::ShowMessage { .. } => "show-message",
            Self::ChangeTmsAddress { .. } => "change-tms-address",
            Self::InstallPlan(_) => "install-plan",
            Self::CancelOperation { .. } => "cancel-operation",
            Self::Unknown(_) => "unknown",
            Self::Unusable { .. } => "unusable",
        }
    }

    /// Whether the command may go on after a crash in its midst.
    ///
    /// A restart that was ordered is its own crash: a terminal notes the result before anything asks, when
    /// it comes up. Setting the clock is not repeated because the time told has passed.
    #[must_use]
    pub fn repeat(&self) -> Repeat {
        match self {
            Self::Reboot
            | Self::RestartApplication
            | Self::ClearReversal
            | Self::ClearBatch
            | Self::PrintTestSlip { .. }
            | Self::SyncClock { .. }
            | Self::Unknown(_)
            | Self::Unusable { .. } => Repeat::Once,
            Self::InstallFirmware { .. }
            | Self::CredentialPrepare { .. }
            | Self::CredentialCommit { .. }
            | Self::CredentialVerify { .. }
            | Self::CredentialConfirm { .. }
            | Self::CredentialAbandon { .. }
            | Self::CollectLogs { .. }
            | Self::FactoryReset
            | Self::Lock { .. }
            | Self::Unlock
            | Self::SelfTest
            | Self::Diagnose
            | Self::CollectJournal { .. }
            | Self::ShowMessage { .. }
            | Self::ChangeTmsAddress { .. }
            | Self::InstallPlan(_)
            | Self::CancelOperation { .. } => Repeat::Safe,
        }
    }

    /// Whether the command may stand in a plan. A rotation is a dialogue, and a plan that brings plans or
    /// ends other operations has no end of its own.
    #[must_use]
    pub fn may_be_planned(&self) -> bool {
        Self::is_plannable(self.code())
    }

    /// The same of a command's number.
    pub(crate) fn is_plannable(code: u8) -> bool {
        !matches!(code, 3..=7 | 22 | 23)
    }
}
