//! A terminal's time zone.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::id::IdError;

/// A time zone by its IANA name, such as `Asia/Shanghai`; that is the default. The rules of all zones are part
/// of the program: it reads no file for them. Cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "Asia/Shanghai"))]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The name, as the database of zones spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What a clock on the wall shows.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(at)
    }

    /// The zone for calculations.
    #[must_use]
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::get("Asia/Shanghai").unwrap_or(TimeZone::UTC))
    }
}

impl FromStr for Zone {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "it is an IANA name such as Asia/Shanghai";
        let known = TimeZone::get(text).ok().filter(|zone| zone.iana_name().is_some());
        known.map(Self).ok_or_else(|| IdError::new("time zone", text, rule))
    }
}

impl TryFrom<String> for Zone {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.as_str().to_owned()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.as_str())
    }
}
