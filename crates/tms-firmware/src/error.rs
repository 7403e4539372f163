//! What can be wrong with a package, an envelope, a manifest or a key.

use std::io;

use tms_crypto::keyfile::KeyFileError;

/// Why something about firmware was refused. Each sentence says what was found and what was needed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirmwareError {
    /// The file does not begin like a package.
    #[error("this is not a firmware package: it does not begin with TMSFW1")]
    NotAPackage,
    /// The file ends too early.
    #[error(
        "the firmware package is truncated: {part} has {found} of {expected} bytes; transfer the package again"
    )]
    Truncated {
        /// Which part ends too early: `magic`, `envelope` or `image`.
        part: &'static str,
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Bytes after the end of the image.
    #[error("the firmware package goes on after the {0} bytes of its image")]
    TrailingBytes(u64),
    /// The envelope is larger than any honest one.
    #[error("the envelope claims {found} bytes, at most {max} are allowed")]
    EnvelopeTooLarge {
        /// What the package says.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The envelope is not the expected JSON.
    #[error("the envelope is malformed: {0}")]
    Envelope(String),
    /// A trusted key's signature does not fit the manifest.
    #[error(
        "the signature by key {keyid} does not verify: the manifest was changed after signing, or another key signed it"
    )]
    SignatureInvalid {
        /// Which trusted key.
        keyid: String,
    },
    /// Too few trusted keys signed.
    #[error(
        "the manifest carries {valid} of the {threshold} trusted signatures that are needed; have it signed by keys of the trust root"
    )]
    NotEnoughSignatures {
        /// Good signatures by distinct trusted keys.
        valid: usize,
        /// How many the trust root demands.
        threshold: usize,
    },
    /// The signed manifest itself is wrong.
    #[error("the manifest is malformed: {0}")]
    Manifest(String),
    /// The image is not the signed one.
    #[error("the image is not the signed one: its SHA-256 is {found}, the manifest says {expected}")]
    HashMismatch {
        /// Hexadecimal, from the manifest.
        expected: String,
        /// Hexadecimal, of the image.
        found: String,
    },
    /// A version that cannot be ordered.
    #[error("`{text}` is no version: {reason} (an example is 1.4.2 or 1.4.2-rc.1)")]
    Version {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The trust root file is wrong.
    #[error("the trust root is unusable: {0}")]
    TrustRoot(String),
    /// A private key file is wrong.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The cryptographic library failed to make a key or a signature.
    #[error("a signing key could not be made or used")]
    Signing,
    /// Reading or writing failed.
    #[error("reading or writing firmware failed: {0}")]
    Io(#[from] io::Error),
}
