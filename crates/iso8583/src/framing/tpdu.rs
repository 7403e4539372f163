//! The transport protocol data unit: five bytes of address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex::{HexError, fmt_hex, from_hex};

/// Five bytes: protocol id (0x60), destination (2 bytes), source (2 bytes), in BCD.
///
/// The text form is ten hexadecimal digits, such as `6000030000`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tpdu(pub [u8; 5]);

impl Tpdu {
    /// The unit of a reply: destination and source change places.
    ///
    /// A request to `6005250000` is answered with `6000000525`.
    #[must_use]
    pub const fn swapped(self) -> Self {
        let [id, d0, d1, s0, s1] = self.0;
        Self([id, s0, s1, d0, d1])
    }
}

impl fmt::Display for Tpdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

impl fmt::Debug for Tpdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tpdu({self})")
    }
}

impl FromStr for Tpdu {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        from_hex(text, "TPDU").map(Self)
    }
}

impl Serialize for Tpdu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tpdu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
