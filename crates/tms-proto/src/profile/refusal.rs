//! Why a request was not done, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was not done, independent of a profile's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The terminal is not in the estate, or is not who its certificate says.
    InvalidTerminal,
    /// The merchant is not known, or is not the terminal's.
    InvalidMerchant,
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
    /// This was taken before.
    Duplicate,
    /// Not now; try again later: the end of the business day, or something behind the host is away.
    Busy,
    /// The session is over for the other side, or its keys are: sign on again (unionpay.md §6).
    SignOnAgain,
    /// The message has no MAC, a wrong one, or one that the receiver has no key for. UnionPay
    /// terminals sign on again (unionpay.md §6).
    MacWrong,
    /// The other side failed.
    SystemError,
    /// A code that the profile does not list.
    Other,
}

/// What helps against a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The same request later.
    Retry,
    /// A new sign-on, and then the same request.
    SignOn,
    /// Nothing that the sender can do by itself.
    GiveUp,
}

impl Refusal {
    /// Every refusal, in the order in which a code that means several is read.
    pub const ALL: &'static [Self] = &[
        Self::InvalidTerminal,
        Self::InvalidMerchant,
        Self::NotPermitted,
        Self::FormatError,
        Self::NotSupported,
        Self::NotFound,
        Self::OutOfRange,
        Self::Duplicate,
        Self::Busy,
        Self::SignOnAgain,
        Self::MacWrong,
        Self::SystemError,
        Self::Other,
    ];

    /// Its key in the `[response]` table of a profile file. `mac_wrong` is `refused` of `[mac]` there, and
    /// `other` is any code that is not listed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidTerminal => "invalid_terminal",
            Self::InvalidMerchant => "invalid_merchant",
            Self::NotPermitted => "not_permitted",
            Self::FormatError => "format_error",
            Self::NotSupported => "not_supported",
            Self::NotFound => "not_found",
            Self::OutOfRange => "out_of_range",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::SignOnAgain => "sign_on_again",
            Self::MacWrong => "mac_wrong",
            Self::SystemError => "system_error",
            Self::Other => "other",
        }
    }

    /// What helps against it.
    #[must_use]
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Busy | Self::SystemError => Remedy::Retry,
            Self::SignOnAgain | Self::MacWrong => Remedy::SignOn,
            Self::InvalidTerminal
            | Self::InvalidMerchant
            | Self::NotPermitted
            | Self::FormatError
            | Self::NotSupported
            | Self::NotFound
            | Self::OutOfRange
            | Self::Duplicate
            | Self::Other => Remedy::GiveUp,
        }
    }

    /// Whether it is about the message and not about what it says. On a session that stands, the line may have
    /// spoiled the message: said again, it may be taken.
    #[must_use]
    pub fn is_about_message(self) -> bool {
        matches!(self, Self::FormatError | Self::NotSupported | Self::InvalidTerminal)
    }

    /// Whether asking again can help, after a new sign-on where [`Remedy::SignOn`] says so. Everything
    /// else is final.
    #[must_use]
    pub fn may_retry(self) -> bool {
        self.remedy() != Remedy::GiveUp
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidTerminal => "terminal not registered",
            Self::InvalidMerchant => "merchant not registered",
            Self::NotPermitted => "not permitted",
            Self::FormatError => "format error",
            Self::NotSupported => "function not supported",
            Self::NotFound => "not found",
            Self::OutOfRange => "offset or length out of range",
            Self::Duplicate => "taken before",
            Self::Busy => "busy, try again",
            Self::SignOnAgain => "sign on again",
            Self::MacWrong => "MAC missing or wrong",
            Self::SystemError => "system malfunction",
            Self::Other => "refused",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_helps() {
        for refusal in Refusal::ALL {
            let expected = match refusal {
                Refusal::Busy | Refusal::SystemError => Remedy::Retry,
                Refusal::SignOnAgain | Refusal::MacWrong => Remedy::SignOn,
                _ => Remedy::GiveUp,
            };
            assert_eq!(refusal.remedy(), expected, "{refusal}");
            assert_eq!(refusal.may_retry(), expected != Remedy::GiveUp);
        }
    }
}
