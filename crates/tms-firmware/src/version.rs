//! Firmware versions: one to four numbers, optionally a pre-release, totally ordered.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::FirmwareError;

/// Longest version text, in bytes.
pub const MAX_VERSION_BYTES: usize = 32;

/// A version such as `1.4.2` or `1.4.2-rc.1`. Missing numbers count as 0; a pre-release comes before
/// its release, and its parts compare as in Semantic Versioning 2.0.0 §11.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    numbers: [u32; 4],
}

impl Version {
    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn pre_release(&self) -> Option<&str> {
        self.text.split_once('-').map(|(_, pre)| pre)
    }
}

impl Default for Version {
    /// `0`, before every release.
    fn default() -> Self {
        Self { text: "0".to_owned(), numbers: [0; 4] }
    }
}

impl FromStr for Version {
    type Err = FirmwareError;

    fn from_str(text: &str) -> Result<Self, FirmwareError> {
        let wrong = |reason| FirmwareError::Version { text: text.chars().take(64).collect(), reason };
        if text.len() > MAX_VERSION_BYTES {
            return Err(wrong("it is longer than 32 characters"));
        }
        let (release, pre) = text.split_once('-').map_or((text, None), |(release, pre)| (release, Some(pre)));
        let mut numbers = [0; 4];
        let mut parts = release.split('.');
        for (place, part) in numbers.iter_mut().zip(parts.by_ref()) {
            if !part.bytes().all(|b| b.is_ascii_digit()) || part.is_empty() {
                return Err(wrong("every part must be a number"));
            }
            *place = part.parse().map_err(|_| wrong("a number is too large"))?;
        }
        if parts.next().is_some() {
            return Err(wrong("it has more than four numbers"));
        }
        let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if pre.is_some_and(|pre| !pre.split('.').all(good)) {
            return Err(wrong("the pre-release must be letters and digits"));
        }
        Ok(Self { text: text.to_owned(), numbers })
    }
}

impl TryFrom<String> for Version {
    type Error = FirmwareError;

    fn try_from(text: String) -> Result<Self, FirmwareError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre_release(), other.pre_release()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_pre_releases(a, b),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

fn compare_pre_releases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u32>(), b.parse::<u32>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_ascend_as_people_expect() {
        let ascending = [
            "0",
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta",
            "1.0.0-rc.2",
            "1.0.0-rc.10",
            "1.0",
            "1.0.0.1",
            "1.9",
            "1.10",
            "2",
        ];
        for pair in ascending.windows(2) {
            assert!(v(pair[0]) < v(pair[1]), "{pair:?}");
        }
        assert_eq!(v("1"), v("1.0.0"));
    }

    #[test]
    fn what_cannot_be_ordered_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "must be a number"),
            ("v1", "must be a number"),
            ("1..2", "must be a number"),
            ("1.2.3.4.5", "more than four"),
            ("99999999999", "too large"),
            ("1.0-", "pre-release"),
            ("1.0-a b", "pre-release"),
            ("1.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "longer than 32"),
        ] {
            let message = text.parse::<Version>().unwrap_err().to_string();
            assert!(message.contains(reason), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_prints_back(text in "\\PC{0,40}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn order_is_antisymmetric_and_transitive(texts in prop::collection::vec("[0-2](\\.[0-2]){0,2}(-[ab1](\\.[12])?)?", 3)) {
            let [a, b, c] = [v(&texts[0]), v(&texts[1]), v(&texts[2])];
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}
