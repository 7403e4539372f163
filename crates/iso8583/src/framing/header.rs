//! The UnionPay message header (报文头): twelve BCD digits between TPDU and message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex::{HexError, fmt_hex, from_hex};

/// Six bytes: application class n2, software version n2, terminal state n1, processing
/// requirement n1, software sub-version n6.
///
/// Digits are given as they are on the wire, because some senders put nibbles above 9 there. The
/// text form is twelve hexadecimal digits, such as `613100311108`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header(pub [u8; 6]);

impl Header {
    /// 应用类别定义, as a BCD byte: 0x60 magnetic stripe, 0x61 chip, ….
    #[must_use]
    pub const fn application_class(self) -> u8 {
        self.0[0]
    }

    /// 软件总版本号, the generation of the specification as a BCD byte: 0x31 for 2010, 0x32 later.
    #[must_use]
    pub const fn software_version(self) -> u8 {
        self.0[1]
    }

    /// 终端状态: 0 normal, 1 test or training.
    #[must_use]
    pub const fn terminal_state(self) -> u8 {
        self.0[2] >> 4
    }

    /// 处理要求: what the centre wants the terminal to do next, 0 to 15; terminals send 0.
    #[must_use]
    pub const fn processing_requirement(self) -> u8 {
        self.0[2] & 0x0F
    }

    /// The same header with another processing requirement, of which the low four bits are taken.
    #[must_use]
    pub const fn with_processing_requirement(self, requirement: u8) -> Self {
        let mut bytes = self.0;
        bytes[2] = bytes[2] & 0xF0 | requirement & 0x0F;
        Self(bytes)
    }

    /// 软件分版本号, six BCD digits: usually the specification's generation and four of the vendor.
    #[must_use]
    pub const fn software_sub_version(self) -> [u8; 3] {
        let [_, _, _, a, b, c] = self.0;
        [a, b, c]
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_hex(&self.0, f)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({self})")
    }
}

impl FromStr for Header {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        from_hex(text, "header").map(Self)
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
