use iso8583::tlv::TlvError;

/// Why bytes are not the EMV data that they should be. Says tags and lengths, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmvError {
    /// The bytes are no sequence of data objects.
    #[error(transparent)]
    Tlv(#[from] TlvError),
    /// A data object that must be there is not.
    #[error("data object {tag:X} is missing")]
    Missing {
        /// Its tag.
        tag: u32,
    },
    /// A data object is there twice.
    #[error("data object {tag:X} is there twice")]
    Twice {
        /// Its tag.
        tag: u32,
    },
    /// A data object stands before the one that begins an entry.
    #[error("data object {tag:X} stands outside an entry")]
    OutsideEntry {
        /// Its tag.
        tag: u32,
    },
    /// A value has a length that its tag cannot have.
    #[error("data object {tag:X} has {found} bytes, not {wanted}")]
    Length {
        /// Its tag.
        tag: u32,
        /// Bytes of the value.
        found: usize,
        /// What it may have.
        wanted: &'static str,
    },
    /// A value has the right length and makes no sense.
    #[error("data object {tag:X} is not {wanted}")]
    Value {
        /// Its tag.
        tag: u32,
        /// What it should be.
        wanted: &'static str,
    },
    /// A key's check value is not the hash of the key.
    #[error("the check value (DF03) is not the SHA-1 of the key")]
    CheckValue,
    /// A key whose check value cannot be verified here.
    #[error("the check value is made with algorithm {algorithm:02X} (DF06); only SHA-1 (01) can be verified")]
    Unverifiable {
        /// DF06.
        algorithm: u8,
    },
    /// More data objects, entries or bytes than anything legitimate has.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most that there may be.
        limit: usize,
    },
    /// The body of a reply, or a part of it, is not there.
    #[error("{what} is missing or cut short")]
    Short {
        /// What.
        what: &'static str,
    },
    /// The first character of a body is none that this body can begin with.
    #[error("control byte {found:02X} means nothing here")]
    Control {
        /// The byte.
        found: u8,
    },
    /// Characters that should be digits.
    #[error("{what} at offset {offset} is not {wanted}")]
    Digits {
        /// What.
        what: &'static str,
        /// Bytes from the beginning of the body.
        offset: usize,
        /// What it should be.
        wanted: &'static str,
    },
    /// An entry is there already.
    #[error("{what} is there already")]
    Repeated {
        /// What.
        what: &'static str,
    },
}
