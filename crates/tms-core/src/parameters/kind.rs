//! The values that a parameter takes, and their one canonical spelling.

use encoding_rs::GBK;
use jiff::civil::{Date, DateTime};

/// The values that a parameter takes, and their one canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number; canonical without leading zeros.
    Integer {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// Yes or no; canonical `1` or `0`, also accepted as `true`/`false`, `yes`/`no`, `on`/`off`.
    Switch,
    /// A telephone number of digits, `-`, `+`, `*`, `#`, `,` or space, without padding; may be empty.
    Phone {
        /// At most so many characters.
        max_chars: usize,
    },
    /// Text without control characters and without spaces at its ends, that GBK can write.
    Text {
        /// At most so many bytes in GBK.
        max_gbk_bytes: usize,
    },
    /// Printable ASCII without spaces at its ends; may be empty.
    Ascii {
        /// At most so many characters.
        max_chars: usize,
    },
    /// Digits, exactly so many, or none.
    Digits {
        /// How many.
        count: usize,
    },
    /// One of these.
    Choice(&'static [&'static str]),
    /// A day, canonical as `2026-11-30`, also accepted as `20261130`; or empty.
    Date,
    /// A local time in the years 2000 to 2099, canonical as `2026-11-30T08:00:00`, also accepted as
    /// `20261130080000`; or empty.
    Time,
}

impl Kind {
    /// A regular expression (ECMA 262) that every canonical value matches, where one says more than the
    /// kind's own name; what it cannot say, such as a range, is checked besides.
    #[must_use]
    pub fn pattern(self) -> Option<String> {
        match self {
            Self::Integer { .. } => Some("^(0|[1-9][0-9]*)$".to_owned()),
            Self::Switch => Some("^[01]$".to_owned()),
            Self::Phone { max_chars } => Some(format!("^[0-9+*#, -]{{0,{max_chars}}}$")),
            Self::Ascii { max_chars } => Some(format!("^[ -~]{{0,{max_chars}}}$")),
            Self::Digits { count } => Some(format!("^([0-9]{{{count}}})?$")),
            Self::Choice(choices) => Some(format!("^({})$", choices.join("|"))),
            Self::Date => Some("^([0-9]{4}-[0-9]{2}-[0-9]{2})?$".to_owned()),
            Self::Time => Some("^(20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})?$".to_owned()),
            Self::Text { .. } => None,
        }
    }

    /// The canonical spelling of a value, or what would be one.
    pub(super) fn canonical(self, value: &str) -> Result<String, String> {
        match self {
            Self::Integer { min, max } => {
                let digits =
                    (1..=9).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
                match value.parse::<u32>() {
                    Ok(number) if digits && (min..=max).contains(&number) => Ok(number.to_string()),
                    _ => Err(format!("it takes a whole number from {min} to {max}")),
                }
            }
            Self::Switch => match value.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Ok("1".to_owned()),
                "0" | "false" | "no" | "off" => Ok("0".to_owned()),
                _ => Err("it takes 1 or 0 (or true/false, yes/no, on/off)".to_owned()),
            },
            Self::Phone { max_chars } => {
                let text = value.trim_matches(' ');
                let valid = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+*#, ".contains(&byte));
                if valid && text.len() <= max_chars {
                    Ok(text.to_owned())
                } else {
                    Err(format!("it takes at most {max_chars} digits or '-+*#,' signs"))
                }
            }
            Self::Text { max_gbk_bytes } => {
                // Every kind of space: GBK has a wide one, and a padded tag cannot keep any at its end.
                let text = value.trim();
                let (gbk, _, lossy) = GBK.encode(text);
                if lossy || text.chars().any(char::is_control) {
                    Err("it takes printable characters of the GBK set".to_owned())
                } else if gbk.len() > max_gbk_bytes {
                    Err(format!("it takes at most {max_gbk_bytes} bytes in GBK, and this has {}", gbk.len()))
                } else {
                    Ok(text.to_owned())
                }
            }
            Self::Ascii { max_chars } => {
                let text = value.trim_matches(' ');
                if text.len() <= max_chars && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    Ok(text.to_owned())
                } else {
                    Err(format!("it takes at most {max_chars} printable ASCII characters"))
                }
            }
            Self::Digits { count } => {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                if digits && (value.is_empty() || value.len() == count) {
                    Ok(value.to_owned())
                } else {
                    Err(format!("it takes {count} digits, or nothing"))
                }
            }
            Self::Choice(choices) => match choices.iter().find(|choice| **choice == value) {
                Some(choice) => Ok((*choice).to_owned()),
                None => Err(format!("it takes one of {}", choices.join(", "))),
            },
            Self::Date => {
                day(value).ok_or_else(|| "it takes a day such as 2026-11-30, or nothing".to_owned())
            }
            Self::Time => time(value).ok_or_else(|| {
                "it takes a local time from 2000 to 2099 such as 2026-11-30T08:00:00, or nothing".to_owned()
            }),
        }
    }
}

fn day(value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(String::new());
    }
    let date: Date = match value.len() {
        8 => Date::strptime("%Y%m%d", value).ok()?,
        10 => value.parse().ok()?,
        _ => return None,
    };
    (date.year() > 0).then(|| date.to_string())
}

fn time(value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(String::new());
    }
    let time: DateTime = match value.len() {
        14 => DateTime::strptime("%Y%m%d%H%M%S", value).ok()?,
        19 => value.parse().ok()?,
        _ => return None,
    };
    (2000..2100).contains(&time.year()).then(|| time.to_string())
}
