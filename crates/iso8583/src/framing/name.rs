//! Names of framings: the parts in the order in which they stand on the wire.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bounds, Framing, Heading, Lrc, Prefix, PrefixForm};

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        let mut words = Words { f, first: true };
        match self.bounds {
            Bounds::Whole => {}
            Bounds::Length { lead, prefix } => {
                if let Some(lead) = lead {
                    words.word(format_args!("x{lead:02x}"))?;
                }
                words.prefix(prefix)?;
            }
            Bounds::StxEtx { prefix, .. } => {
                words.word(format_args!("stx"))?;
                prefix.map_or(Ok(()), |prefix| words.prefix(prefix))?;
            }
        }
        if self.tpdu {
            words.word(format_args!("tpdu"))?;
        }
        match self.heading {
            Heading::None => {}
            Heading::UnionPay => words.word(format_args!("header"))?,
            Heading::Vendor(len_bytes) => words.word(format_args!("header{len_bytes}"))?,
        }
        match self.bounds {
            Bounds::StxEtx { lrc: Lrc::Xor, .. } => words.word(format_args!("etx-lrc")),
            Bounds::StxEtx { lrc: Lrc::Sum, .. } => words.word(format_args!("etx-sum")),
            _ => Ok(()),
        }
    }
}

/// Writes words with `-` between them.
struct Words<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    first: bool,
}

impl Words<'_, '_> {
    fn word(&mut self, word: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.f.write_str("-")?;
        }
        self.f.write_fmt(word)
    }

    fn prefix(&mut self, prefix: Prefix) -> fmt::Result {
        self.word(format_args!("{}", prefix.form.name()))?;
        if prefix.inclusive { self.word(format_args!("incl")) } else { Ok(()) }
    }
}

impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framing({self})")
    }
}

/// A text that names no framing. The message says how names are made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no framing; a name lists the parts of a frame in their order, with `-` between them: \
     a length (len2, len2le, len4, len4le, ascii4, bcd2 or cmf3; then incl if it counts itself; before it \
     x02 or the like for a constant byte), tpdu, header (UnionPay's) or header12 or the like (bytes of a \
     vendor's); between stx and etx-lrc or etx-sum where those enclose the frame; none if there is nothing. \
     Such as len2-tpdu-header, ascii4-header12, stx-etx-lrc"
)]
pub struct FramingNameError(String);

impl FromStr for Framing {
    type Err = FramingNameError;

    fn from_str(text: &str) -> Result<Self, FramingNameError> {
        // One spelling for one framing: `header012` or `x0A` would be a second one.
        parse(text)
            .filter(|framing| framing.to_string() == text)
            .ok_or_else(|| FramingNameError(text.chars().take(40).collect()))
    }
}

fn parse(text: &str) -> Option<Framing> {
    if text == "none" {
        return Some(Framing::NONE);
    }
    let mut words = text.split('-').peekable();
    let lead = words.peek().and_then(|word| lead(word));
    if lead.is_some() {
        words.next();
    }
    let stx = lead.is_none() && words.next_if_eq(&"stx").is_some();
    let form = PrefixForm::ALL.into_iter().find(|form| words.next_if_eq(&form.name()).is_some());
    let prefix = form.map(|form| Prefix { form, inclusive: words.next_if_eq(&"incl").is_some() });
    let tpdu = words.next_if_eq(&"tpdu").is_some();
    let heading = words.peek().and_then(|word| heading(word));
    if heading.is_some() {
        words.next();
    }
    let bounds = match (stx, prefix) {
        (true, prefix) => {
            words.next_if_eq(&"etx")?;
            let lrc = match words.next()? {
                "lrc" => Lrc::Xor,
                "sum" => Lrc::Sum,
                _ => return None,
            };
            Bounds::StxEtx { prefix, lrc }
        }
        (false, Some(prefix)) => Bounds::Length { lead, prefix },
        (false, None) if lead.is_none() => Bounds::Whole,
        (false, None) => return None,
    };
    words.next().is_none().then_some(Framing { bounds, tpdu, heading: heading.unwrap_or_default() })
}

fn lead(word: &str) -> Option<u8> {
    word.strip_prefix('x').and_then(|digits| u8::from_str_radix(digits, 16).ok())
}

fn heading(word: &str) -> Option<Heading> {
    match word.strip_prefix("header")? {
        "" => Some(Heading::UnionPay),
        digits => digits.parse::<NonZeroU8>().ok().map(Heading::Vendor),
    }
}

impl Serialize for Framing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Framing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
