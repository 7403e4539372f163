//! Why a message had no effect.

use std::{borrow::Cow, fmt};

use iso8583::{Mti, ParseError};
use tms_crypto::mac::MacError;

use crate::{error::ProtocolError, label::Name, profile::Function};

/// Why a message was refused, dropped or of no use: for a log, and to be counted by kind. Reasons
/// that a peer can cause as often as it likes take no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes inside the frame are no message of the dialect.
    Unreadable(ParseError),
    /// The field is missing that says what a message of this type is for.
    NoSelector {
        /// The message's type.
        mti: Mti,
        /// The field.
        field: u8,
    },
    /// No function of the profile has this type and code.
    UnknownFunction(Mti),
    /// A mandatory field is missing.
    LacksField {
        /// The function.
        function: Function,
        /// The field.
        field: u8,
    },
    /// Only the host may ask this.
    HostOnly(Function),
    /// Only a terminal may ask this.
    NoRequestOfTheHost(Mti),
    /// The message's MAC is missing, wrong or cannot be checked.
    Mac {
        /// The function.
        function: Function,
        /// The type of the message, of a reply.
        reply: Option<Mti>,
        /// What is wrong with it.
        fault: MacFault,
    },
    /// The peer may do nothing.
    PeerRefused(Function),
    /// DE41 is not the terminal of the peer's certificate.
    OtherTerminal {
        /// DE41.
        named: Name,
        /// The certificate's.
        expected: Name,
    },
    /// A request of the host lacks a mandatory field or names another terminal.
    NotForUs(Function),
    /// The function has no handler here, or not in this direction.
    Unexpected(Function),
    /// The content of a field is not well formed.
    Body {
        /// The part of the message.
        what: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// A reply to nothing that was asked.
    AnswersNothing(Mti),
    /// The reply is for another terminal.
    Foreign {
        /// Type and function of a reply that waits for the true one, `None` of one that was taken.
        reply: Option<(Mti, Function)>,
    },
    /// There was no reply in time.
    NoReplyInTime,
    /// Anything else, in words.
    Other(Cow<'static, str>),
}

/// What is wrong with a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MacFault {
    /// There is none in this field.
    Missing(u8),
    /// There is no key to check it with.
    NoKey,
    /// It stands in a field that does not end the message, so that it cannot cover all of it.
    Misplaced(u8),
    /// It does not match, or could not be computed.
    Wrong(MacError),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::NoSelector { mti, field } => write!(f, "{mti} lacks mandatory DE{field}"),
            Self::UnknownFunction(mti) => write!(f, "no function has MTI {mti} and these codes"),
            Self::LacksField { function, field } => write!(f, "{function} lacks mandatory DE{field}"),
            Self::HostOnly(function) => write!(f, "{function} comes from the host only"),
            Self::NoRequestOfTheHost(mti) => write!(f, "{mti} is no request of the host"),
            Self::Mac { function, reply: None, fault } => write!(f, "{function}: {fault}"),
            Self::Mac { function, reply: Some(mti), fault } => write!(f, "{mti} to {function}: {fault}"),
            Self::PeerRefused(function) => write!(f, "{function} of a peer that may do nothing"),
            Self::OtherTerminal { named, expected } => {
                write!(f, "DE41 is {named}, the certificate is for {expected}")
            }
            Self::NotForUs(function) => {
                write!(f, "{function} lacks a mandatory field or names another terminal")
            }
            Self::Unexpected(function) => write!(f, "unexpected {function}"),
            Self::Body { what, reason } => write!(f, "{what}: {reason}"),
            Self::AnswersNothing(mti) => write!(f, "{mti} answers nothing that was asked"),
            Self::Foreign { reply: None } => f.write_str(FOREIGN),
            Self::Foreign { reply: Some((mti, function)) } => write!(f, "{mti} to {function}: {FOREIGN}"),
            Self::NoReplyInTime => f.write_str("no answer in time"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

const FOREIGN: &str = "the reply is for another terminal";

impl fmt::Display for MacFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(place) => write!(f, "it has no MAC in DE{place}"),
            Self::NoKey => {
                f.write_str("this session has no MAC key: no sign-on gave one, or none is configured")
            }
            Self::Misplaced(found) => {
                write!(
                    f,
                    "its MAC is in DE{found}, which is not its last field, so that it cannot cover all of it"
                )
            }
            Self::Wrong(error) => error.fmt(f),
        }
    }
}

impl From<ProtocolError> for Reason {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Parse(error) => Self::Unreadable(error),
            ProtocolError::Body { what, reason } => Self::Body { what, reason },
            other => Self::Other(other.to_string().into()),
        }
    }
}
