//! The short notation of the standard for class and length.

use std::fmt;
use std::str::FromStr;

use crate::class::Class;

use super::Length;

/// The longest field, in characters; with the sign of `x+n` it still fits 16 bits.
const LONGEST: u16 = 65_534;

/// Class and length in the notation of the standard: `n6`, `n..19`, `ans...999`, `x+n8`, `b8`
/// (lengths of `b` are in bytes here, where the standard counts bits). Whether a maximum fits its
/// length prefix depends on how the prefix is written and is judged where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notation {
    pub(crate) class: Class,
    pub(crate) length: Length,
}

impl FromStr for Notation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let class_end = text.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(text.len());
        let (class, rest) = text.split_at(class_end);
        let class = Class::from_name(class).ok_or_else(|| {
            format!("`{text}` begins with no known class; use one of n a an as ns anp ans s z x+n b")
        })?;
        let number = rest.trim_start_matches('.');
        let dots = rest.len() - number.len();
        let max: u16 = number
            .parse()
            .ok()
            .filter(|max| (1..=LONGEST).contains(max) && number.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| format!("`{text}` needs a length from 1 to 65534 after its class"))?;
        let length = match dots {
            0 => Length::Fixed(max),
            prefix_digits @ 1..=6 =>
            {
                #[allow(clippy::cast_possible_truncation, reason = "at most 6 by the pattern")]
                Length::Variable { prefix_digits: prefix_digits as u8, max }
            }
            _ => return Err(format!("`{text}` has more than six dots")),
        };
        Ok(Self { class, length })
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dots = match self.length {
            Length::Fixed(_) => 0,
            Length::Variable { prefix_digits, .. } => usize::from(prefix_digits),
        };
        write!(f, "{}{:.>dots$}{}", self.class, "", self.length.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_read_and_print_alike() {
        for text in ["n6", "n..19", "ans...999", "x+n8", "b8", "z..37", "a2", "an.9", "b......60000"] {
            assert_eq!(text.parse::<Notation>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_broken_notation_says_why() {
        for (text, why) in [
            ("q6", "no known class"),
            ("n", "needs a length"),
            ("n..", "needs a length"),
            ("n0", "needs a length"),
            ("n.......9", "more than six dots"),
            ("n70000", "needs a length"),
            ("n6x", "needs a length"),
            ("n+6", "no known class"),
        ] {
            let error = text.parse::<Notation>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
