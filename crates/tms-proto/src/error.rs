use std::borrow::Cow;

use iso8583::{BuildError, ParseError, framing::FrameError};

use tms_crypto::mac::{MacAlgorithm, MacError, MacKeyError};

use crate::{emv::EmvError, profile::Function, reason::Reason};

/// Why a message could not be understood or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The frame around the message is wrong; the connection cannot be trusted any further.
    #[error("framing: {0}")]
    Frame(#[from] FrameError),
    /// The bytes inside the frame are not a message of this dialect.
    #[error("message: {0}")]
    Parse(#[from] ParseError),
    /// A value does not fit the dialect's field.
    #[error("cannot build the message: {0}")]
    Build(#[from] BuildError),
    /// The profile has no place on the wire for this function.
    #[error("this profile cannot carry {0}")]
    NotInProfile(Function),
    /// A body that a function needs is absent, too long, or not well formed.
    #[error("{what}: {reason}")]
    Body {
        /// The part of the message.
        what: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// A body of a download is malformed.
    #[error("download: {0}")]
    Emv(#[from] EmvError),
    /// A message arrived that no request is waiting for, or that this side never receives.
    #[error("unexpected {0}")]
    Unexpected(String),
    /// A message must carry a MAC and there is no key to make it with.
    #[error("{0} must carry a MAC, and there is no MAC key yet; sign on first")]
    NoMacKey(Function),
    /// A configured MAC key for another algorithm than the profile's.
    #[error("the MAC key is for {found}, the profile's MACs are {wanted}")]
    OtherMacKey {
        /// The profile's.
        wanted: MacAlgorithm,
        /// The key's.
        found: MacAlgorithm,
    },
    /// A configured MAC key, in a profile that has none or takes its key from the sign-on.
    #[error("the profile takes no configured MAC key; it needs [mac] with key = \"static\"")]
    NoStaticMacKey,
    /// The bytes are no key for the profile's algorithm.
    #[error("MAC key: {0}")]
    MacKey(#[from] MacKeyError),
    /// A MAC could not be computed.
    #[error("MAC: {0}")]
    Mac(#[from] MacError),
    /// More waits to be sent, or to be taken by the driver, than a session holds: a storm, or a driver
    /// that does not take it.
    #[error("too many {what} wait")]
    Overrun {
        /// What waits.
        what: &'static str,
    },
    /// Too many messages in a row that were of no use.
    #[error("{count} messages in a row were of no use, the last because {reason}")]
    Useless {
        /// How many.
        count: u32,
        /// Why the last one was.
        reason: Reason,
    },
    /// Too many requests are waiting for their replies.
    #[error("{limit} requests are already waiting for a reply")]
    TooManyOutstanding {
        /// The limit in force.
        limit: usize,
    },
}

impl ProtocolError {
    pub(crate) fn body(what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Body { what, reason: reason.into() }
    }
}

/// Why a profile file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not TOML, an unknown key, or a value of the wrong type; the message has line and column.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// The file is well formed but contradicts itself or its dialect.
    #[error("{place}: {reason}")]
    Invalid {
        /// The table and key.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}
