//! Message type indicators: four digits that say version, class, function and origin.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A message type indicator such as `0800`, kept as its four decimal digits.
///
/// Any four digits are a valid value: whether a peer knows the type is a question for the
/// protocol, which can answer with a response code, and not for the codec.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mti([u8; 4]);

impl Mti {
    /// Makes an indicator from its decimal reading: `Mti::new(800)` is `0800`.
    ///
    /// Returns `None` above 9999.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number > 9999 {
            return None;
        }
        Some(Self([
            (number / 1000) as u8,
            (number / 100 % 10) as u8,
            (number / 10 % 10) as u8,
            (number % 10) as u8,
        ]))
    }

    /// Makes an indicator from four digit values (0 to 9 each, not ASCII).
    #[must_use]
    pub const fn from_digits(digits: [u8; 4]) -> Option<Self> {
        let [version, class, function, origin] = digits;
        if version > 9 || class > 9 || function > 9 || origin > 9 {
            return None;
        }
        Some(Self(digits))
    }

    /// Whether both are the same, in one comparison.
    #[inline]
    pub(crate) const fn is(self, other: Self) -> bool {
        u32::from_ne_bytes(self.0) == u32::from_ne_bytes(other.0)
    }

    /// The four digit values, first digit first.
    #[must_use]
    pub const fn digits(self) -> [u8; 4] {
        self.0
    }

    /// First digit: 0 for ISO 8583:1987, 1 for :1993, 2 for :2003, 8 national, 9 private.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.0[0]
    }

    /// Second digit: 3 file action, 5 reconciliation, 6 administrative, 8 network management, ….
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0[1]
    }

    /// Third digit: even when the sender begins an exchange, odd when it answers one.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0[2]
    }

    /// Fourth digit: who sent it (0 acquirer, 2 issuer, 4 other) plus one when it is a repeat.
    #[must_use]
    pub const fn origin(self) -> u8 {
        self.0[3]
    }

    /// Whether the message begins an exchange: a request, an advice, a notification or an
    /// instruction (even third digit).
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.function().is_multiple_of(2)
    }

    /// Whether the message answers another one (odd third digit).
    #[must_use]
    pub const fn is_response(self) -> bool {
        !self.is_request()
    }

    /// Whether the message is an advice (third digit 2): something that already happened.
    #[must_use]
    pub const fn is_advice(self) -> bool {
        self.function() == 2
    }

    /// Whether the message repeats an earlier one that got no answer (odd fourth digit, 1, 3 or 5).
    #[must_use]
    pub const fn is_repeat(self) -> bool {
        matches!(self.origin(), 1 | 3 | 5)
    }

    /// The type of the first attempt: `0801` gives `0800`; a type that is no repeat stays as it is.
    #[must_use]
    pub const fn without_repeat(self) -> Self {
        let [version, class, function, origin] = self.0;
        let first = if self.is_repeat() { origin - 1 } else { origin };
        Self([version, class, function, first])
    }

    /// The type that answers this one: `0800` gives `0810`, the repeat `0801` gives `0810` too.
    ///
    /// `None` for a response, and for a notification before version :2003, which has no answer.
    #[must_use]
    pub const fn response(self) -> Option<Self> {
        let answered = match self.function() {
            0 | 2 => true,
            // Acknowledgements of notifications and instructions came with :2003.
            4 | 6 => self.version() == 2,
            _ => false,
        };
        if !answered {
            return None;
        }
        let [version, class, function, origin] = self.without_repeat().0;
        Some(Self([version, class, function + 1, origin]))
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}{b}{c}{d}")
    }
}

impl fmt::Debug for Mti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mti({self})")
    }
}

/// A text that is not four decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message type is four decimal digits, such as 0800")]
pub struct MtiError;

impl FromStr for Mti {
    type Err = MtiError;

    fn from_str(text: &str) -> Result<Self, MtiError> {
        let ascii: [u8; 4] = text.as_bytes().try_into().map_err(|_| MtiError)?;
        Self::from_digits(ascii.map(|byte| byte.wrapping_sub(b'0'))).ok_or(MtiError)
    }
}

impl Serialize for Mti {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mti {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(of: &str) -> Option<String> {
        of.parse::<Mti>().unwrap().response().map(|mti| mti.to_string())
    }

    #[test]
    fn a_response_adds_ten_and_clears_the_repeat() {
        assert_eq!(response("0800").as_deref(), Some("0810"));
        assert_eq!(response("0801").as_deref(), Some("0810"));
        assert_eq!(response("0303").as_deref(), Some("0312"));
        assert_eq!(response("0320").as_deref(), Some("0330"));
        assert_eq!(response("2146").as_deref(), Some("2156"));
    }

    #[test]
    fn responses_and_old_notifications_have_no_response() {
        assert_eq!(response("0810"), None);
        assert_eq!(response("1644"), None);
        assert_eq!(response("0880"), None);
    }

    #[test]
    fn only_four_decimal_digits_are_a_message_type() {
        for text in ["", "080", "08000", "08O0", "08 0", "０800"] {
            assert_eq!(text.parse::<Mti>(), Err(MtiError), "{text}");
        }
        assert_eq!(Mti::new(10_000), None);
        assert_eq!(Mti::new(800).map(|mti| mti.to_string()).as_deref(), Some("0800"));
    }
}
