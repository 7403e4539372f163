//! The files that a host pushes records of, and what a push does to one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The files whose records a host may push: DE101 of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFile {
    /// Parameters: name and value.
    Parameters,
    /// Public keys: [`crate::emv::CapkId`] and the key's data objects in hex, with a packed expiry.
    Capk,
    /// Applications: AID and its data objects, in hex.
    Aid,
    /// Blocked cards: the digits, and an empty value.
    Blacklist,
}

impl RecordFile {
    /// Every file.
    pub const ALL: [Self; 4] = [Self::Parameters, Self::Capk, Self::Aid, Self::Blacklist];

    /// Its name in DE101.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parameters => "PARAMETERS",
            Self::Capk => "CAPK",
            Self::Aid => "AID",
            Self::Blacklist => "BLACKLIST",
        }
    }

    /// The file with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name.trim_end())
    }

    /// Whether values are hex of binary data, which travels as it is.
    pub(super) fn is_binary(self) -> bool {
        matches!(self, Self::Capk | Self::Aid)
    }
}

impl fmt::Display for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a push does. A profile's codes of `parameter_push` stand in this order (DE91 of :1987, DE24 of :1993).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Adds records, none of which may be there.
    Add,
    /// Changes records, all of which must be there.
    Change,
    /// Deletes records, all of which must be there. Values are empty.
    Delete,
    /// Replaces all records, whatever was there.
    ReplaceAll,
    /// Asks for records: those that are named, or all. Changes nothing.
    Inquire,
}

impl Action {
    /// Every action, in the order of a profile's codes.
    pub const ALL: [Self; 5] = [Self::Add, Self::Change, Self::Delete, Self::ReplaceAll, Self::Inquire];

    /// Its place among a profile's codes.
    #[must_use]
    pub fn place(self) -> usize {
        match self {
            Self::Add => 0,
            Self::Change => 1,
            Self::Delete => 2,
            Self::ReplaceAll => 3,
            Self::Inquire => 4,
        }
    }

    /// Whether it only makes sense for the set that the host believes the terminal to have.
    #[must_use]
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Add | Self::Change | Self::Delete)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::ReplaceAll => "replace all",
            Self::Inquire => "inquire",
        })
    }
}
