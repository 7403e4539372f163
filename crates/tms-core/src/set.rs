//! Sets that all terminals of the estate download: public keys of card organisations, parameters of
//! chip applications, blocked cards, TMS parameters, contactless parameters, cards without PIN.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::IdError;

/// Which set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SetName {
    /// Public keys of card organisations (IC 卡公钥).
    Capks,
    /// Parameters of chip applications (IC 卡参数).
    Aids,
    /// Blocked cards (卡 BIN 黑名单).
    Blacklist,
    /// Parameters of the TMS itself (TMS 参数).
    TmsParameters,
    /// Contactless parameters (非接业务参数).
    Contactless,
    /// Card ranges that need no PIN (免密新增 BIN 表).
    PinFreeBins,
    /// Cards of those ranges that need one all the same (免密卡 BIN 黑名单).
    PinFreeBlacklist,
}

impl SetName {
    /// All sets, in the order in which terminals are told of them.
    pub const ALL: [Self; 7] = [
        Self::Capks,
        Self::Aids,
        Self::Blacklist,
        Self::TmsParameters,
        Self::Contactless,
        Self::PinFreeBins,
        Self::PinFreeBlacklist,
    ];

    /// The name as it appears in JSON, addresses and the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capks => "capks",
            Self::Aids => "aids",
            Self::Blacklist => "blacklist",
            Self::TmsParameters => "tms_parameters",
            Self::Contactless => "contactless",
            Self::PinFreeBins => "pin_free_bins",
            Self::PinFreeBlacklist => "pin_free_blacklist",
        }
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SetName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|set| set.name() == text).ok_or_else(|| IdError {
            what: "set",
            text: text.chars().take(40).collect(),
            rule: "it is capks, aids, blacklist, tms_parameters, contactless, pin_free_bins or pin_free_blacklist",
        })
    }
}

/// A set as it was last put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstateSet {
    /// Which.
    pub name: SetName,
    /// Rises by one with each change, from 1.
    pub revision: u64,
    /// Its content as JSON. Whoever put it has checked it.
    pub content: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_read_back_from_their_names() {
        for set in SetName::ALL {
            assert_eq!(set.name().parse::<SetName>().unwrap(), set);
            assert_eq!(serde_json::to_value(set).unwrap(), set.name());
        }
        assert!("rates".parse::<SetName>().is_err());
    }
}
