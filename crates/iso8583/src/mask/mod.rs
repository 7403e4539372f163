//! What may not be shown, and what is shown in its place.
//!
//! Two lines of defence: a dialect says which fields are sensitive ([`Sensitivity`]), and in
//! everything else card numbers are looked for by their form ([`scrub_text`], [`hex_scrubbed`]).

mod find;
mod scrub;
mod units;

use std::fmt;

pub(crate) use scrub::{hex_of_joined, scrub_joined};
pub use scrub::{hex_scrubbed, scrub_text};

/// Why the value of a field must not be printed in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sensitivity {
    /// May be shown.
    #[default]
    None,
    /// A card number: first six and last four digits may be shown.
    Pan,
    /// Magnetic stripe data: nothing may be shown.
    Track,
    /// An encrypted PIN: nothing may be shown.
    Pin,
    /// A key, even a wrapped one: nothing may be shown.
    Key,
    /// Anything else that may hold one of these inside, such as chip data or a card list.
    Private,
}

/// What stands for a value of which nothing may be shown. Its length says nothing about the value.
pub const MASK: &str = "********";

impl Sensitivity {
    /// How a subfield marked `self` prints inside a field marked `around`. Where a structure names
    /// its subfields one by one, a field that is only `private` as a whole opens up.
    pub(crate) fn inside(self, around: Self, named: bool) -> Self {
        match (self, around) {
            (own, Self::None) => own,
            (Self::None, Self::Private) if named => Self::None,
            (Self::None, Self::Private) => Self::Private,
            (own, Self::Private) => own,
            // A key, a PIN or a track is one in all its parts.
            (_, around) => around,
        }
    }

    /// Whether a value is masked at all.
    #[must_use]
    pub fn is_sensitive(self) -> bool {
        self != Self::None
    }

    /// The text with what may not be shown replaced by `*`.
    ///
    /// Without sensitivity, these are the card numbers that stand in the text ([`scrub_text`]). A
    /// card number of 13 digits or more keeps its first six and last four; shorter ones and all
    /// other kinds become [`MASK`].
    #[must_use]
    pub fn mask(self, text: &str) -> String {
        match self {
            Self::None => scrub_text(text).into_owned(),
            Self::Pan if text.len() >= 13 && text.is_ascii() => text
                .chars()
                .enumerate()
                .map(|(at, digit)| if at < 6 || at + 4 >= text.len() { digit } else { '*' })
                .collect(),
            _ => MASK.to_owned(),
        }
    }

    /// Whether a text is what [`Sensitivity::mask`] leaves of some value, so that it cannot be
    /// encoded again.
    #[must_use]
    pub fn is_masked(self, text: &str) -> bool {
        self.is_sensitive() && (text == MASK || (self == Self::Pan && text.contains('*')))
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pan => "pan",
            Self::Track => "track",
            Self::Pin => "pin",
            Self::Key => "key",
            Self::Private => "private",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_keeps_six_and_four() {
        assert_eq!(Sensitivity::Pan.mask("4111111111111111"), "411111******1111");
        assert_eq!(Sensitivity::Pan.mask("123456789012"), MASK);
    }

    #[test]
    fn keys_and_pins_and_tracks_show_nothing_not_even_their_length() {
        for kind in [Sensitivity::Key, Sensitivity::Pin, Sensitivity::Track, Sensitivity::Private] {
            assert_eq!(kind.mask("0123456789abcdef"), MASK);
            assert_eq!(kind.mask(""), MASK);
        }
    }

    #[test]
    fn what_was_masked_is_recognised() {
        assert!(Sensitivity::Pan.is_masked("411111******1111"));
        assert!(Sensitivity::Key.is_masked(MASK));
        assert!(!Sensitivity::None.is_masked(MASK));
        assert!(!Sensitivity::Pan.is_masked("4111111111111111"));
    }
}
