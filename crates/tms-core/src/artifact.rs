//! Large things that lie in the object store and what the estate knows about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{FirmwareId, OperationId, TerminalId};

/// A published firmware package. Its signature was checked before the record was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareRecord {
    /// Its identity.
    pub id: FirmwareId,
    /// The version that a terminal reports once it runs it.
    pub version: String,
    /// The models that it is for.
    pub models: Vec<String>,
    /// Size of the image, in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the image, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The signed envelope (JSON), which the terminal checks for itself.
    pub envelope: String,
    /// Where the image lies, relative to the object store's root.
    pub object: String,
    /// When it was published.
    pub published_at: Timestamp,
}

/// A log that a terminal sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBundle {
    /// The operation that asked for it.
    pub operation: OperationId,
    /// The terminal that sent it.
    pub terminal: TerminalId,
    /// Where it lies, relative to the object store's root.
    pub object: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// When it was complete.
    pub collected_at: Timestamp,
}
