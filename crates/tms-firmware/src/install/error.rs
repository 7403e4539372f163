//! Why a terminal does not install.

use crate::version::Version;

/// Why an installation, or a step of one, was refused. Nothing changes that the sentence does not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The step is not possible now.
    #[error("cannot {action} in state {state}")]
    WrongState {
        /// What was asked.
        action: &'static str,
        /// The present state's name.
        state: &'static str,
    },
    /// For other models.
    #[error("the image is for model {models}, this terminal is a {model}")]
    WrongModel {
        /// Models of the image.
        models: String,
        /// This terminal's.
        model: String,
    },
    /// For other hardware revisions.
    #[error("the image is for hardware revision {revisions}, this terminal has {revision}")]
    WrongHardware {
        /// Revisions of the image.
        revisions: String,
        /// This terminal's.
        revision: String,
    },
    /// Not newer than what runs.
    #[error("rollback refused: version {offered} is not newer than {running}, which runs")]
    RollbackVersion {
        /// Version of the image.
        offered: Version,
        /// Version that runs.
        running: Version,
    },
    /// A security counter below the highest confirmed one.
    #[error("rollback refused: security counter {offered} is below {floor}, which this terminal has reached")]
    RollbackCounter {
        /// Counter of the image.
        offered: u32,
        /// Lowest counter still allowed.
        floor: u32,
    },
    /// This very image runs.
    #[error("version {version} runs already")]
    AlreadyRunning {
        /// Its version.
        version: Version,
    },
    /// Larger than a slot.
    #[error("the image has {size_bytes} bytes, a slot holds {slot_bytes}")]
    TooLarge {
        /// Size of the image.
        size_bytes: u64,
        /// Size of a slot.
        slot_bytes: u64,
    },
    /// More or fewer bytes than were signed.
    #[error("the written image has {found} bytes, the manifest says {expected}")]
    SizeMismatch {
        /// From the manifest.
        expected: u64,
        /// In the slot.
        found: u64,
    },
    /// Other bytes than were signed.
    #[error("the written image is not the signed one: its SHA-256 is {found}, the manifest says {expected}")]
    HashMismatch {
        /// Hexadecimal, from the manifest.
        expected: String,
        /// Hexadecimal, of the slot.
        found: String,
    },
}
