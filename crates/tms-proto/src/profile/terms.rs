//! What functions, refusals and announcements mean, whatever their codes are.

use std::fmt;

use serde::Deserialize;

/// What a message does. The wire form of each is the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Function {
    /// Terminal starts its day or its connection; may receive working keys.
    SignOn,
    /// Terminal ends its day.
    SignOff,
    /// Either side asks whether the other is there.
    Echo,
    /// UnionPay 状态上送: fixed tags.
    Status,
    /// The full typed report ([`crate::report::Report`]).
    Report,
    /// Terminal fetches its parameters (UnionPay 参数传递).
    Parameters,
    /// Host sends parameters.
    ParameterPush,
    /// Terminal reads one block of a file.
    FileRead,
    /// Terminal asks for work.
    TaskPoll,
    /// Host gives work.
    Command,
    /// Terminal tells how work went.
    TaskResult,
    /// Terminal sends a piece of its log.
    LogUpload,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignOn => "sign-on",
            Self::SignOff => "sign-off",
            Self::Echo => "echo",
            Self::Status => "status",
            Self::Report => "report",
            Self::Parameters => "parameter request",
            Self::ParameterPush => "parameter push",
            Self::FileRead => "file read",
            Self::TaskPoll => "task poll",
            Self::Command => "command",
            Self::TaskResult => "task result",
            Self::LogUpload => "log upload",
        })
    }
}

/// Why a request was not done, independent of a profile's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The terminal is not in the estate, or is not who its certificate says.
    InvalidTerminal,
    /// The terminal may not do this.
    NotPermitted,
    /// The message is malformed or lacks a mandatory field.
    FormatError,
    /// The function is unknown here.
    NotSupported,
    /// What was asked for does not exist.
    NotFound,
    /// An offset or length lies outside the object.
    OutOfRange,
    /// Not now; try again later.
    Busy,
    /// The message has no MAC, a wrong one, or one that the receiver has no key for. UnionPay
    /// terminals sign on again (unionpay.md §6).
    MacWrong,
    /// The other side failed.
    SystemError,
    /// A code that the profile does not list.
    Other,
}

impl Refusal {
    /// Whether asking again can help, after a new sign-on when the MAC was wrong. Everything else is
    /// final.
    #[must_use]
    pub fn may_retry(self) -> bool {
        matches!(self, Self::Busy | Self::SystemError | Self::MacWrong)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidTerminal => "terminal not registered",
            Self::NotPermitted => "not permitted",
            Self::FormatError => "format error",
            Self::NotSupported => "function not supported",
            Self::NotFound => "not found",
            Self::OutOfRange => "offset or length out of range",
            Self::Busy => "busy, try again",
            Self::MacWrong => "MAC missing or wrong",
            Self::SystemError => "system malfunction",
            Self::Other => "refused",
        })
    }
}

/// What waits for a terminal that asks; a profile maps each kind to a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingWork {
    /// Parameters to fetch.
    Parameters,
    /// A status report is wanted.
    Status,
    /// A new sign-on is wanted.
    SignOn,
    /// A task to fetch.
    Task,
}
