//! How one function, or one tag, looks on the wire.

use iso8583::Mti;
use serde::Deserialize;

use super::Function;

/// Who may send a function's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The terminal asks the host.
    Terminal,
    /// The host asks the terminal.
    Host,
    /// Either.
    Both,
}

/// How one function looks on the wire.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The function.
    pub function: Function,
    /// MTI of the request.
    pub mti: Mti,
    /// Other types that are taken for the same request; the reply has the type that belongs to each.
    pub also: Vec<Mti>,
    /// Who asks.
    pub from: Direction,
    /// Path of the data element that tells functions of one MTI apart.
    pub select: String,
    /// Values of `select`; the first is the one sent.
    pub codes: Vec<String>,
    /// Data elements of the request.
    pub request: Fields,
    /// Data elements of the reply. One without DE39 is an approval (unionpay.md §4.10).
    pub reply: Fields,
    /// Layout of the body field.
    pub body: BodyLayout,
    /// DE101 of a file message; the first is the one sent.
    pub files: Vec<String>,
    /// Name of the response codes that its replies have; `None` for those of `[response]`.
    pub responses: Option<String>,
}

/// Which data elements a message has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Those that every such message has: one without is refused.
    #[serde(default, rename = "m")]
    pub mandatory: Vec<u8>,
    /// Those that it has when there is something to say in them.
    #[serde(default, rename = "c")]
    pub conditional: Vec<u8>,
    /// Those that a sender may add, and that this side does not need.
    #[serde(default, rename = "o")]
    pub optional: Vec<u8>,
}

impl Fields {
    /// Whether every such message has field `n`.
    #[must_use]
    pub fn always(&self, n: u8) -> bool {
        self.mandatory.contains(&n)
    }

    /// Whether field `n` is listed at all. A message may have others too.
    #[must_use]
    pub fn lists(&self, n: u8) -> bool {
        self.all().any(|field| field == n)
    }

    /// Every listed field: mandatory, conditional, optional.
    pub fn all(&self) -> impl Iterator<Item = u8> + '_ {
        [&self.mandatory, &self.conditional, &self.optional].into_iter().flatten().copied()
    }
}

/// Layout of a function's body field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyLayout {
    /// BER-TLV with this protocol's private tags.
    #[default]
    Tlv,
    /// UnionPay's fixed-length ASCII tags.
    Tags,
    /// Terminal serial block in the request, key block in the reply (UnionPay DE62 用法十九).
    SignOn,
}

/// One entry of a fixed-length tag table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// Two ASCII digits.
    pub tag: String,
    /// Bytes of the value.
    pub length: usize,
    /// Parameter name, or `health.*`.
    pub name: String,
    /// Messages that the tag stands in.
    #[serde(rename = "in")]
    pub place: Vec<TagPlace>,
    /// How a value fills its length.
    pub pad: TagPad,
}

/// An entry as a reader looks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TagKey {
    pub(crate) tag: [u8; 2],
    /// Bytes of the value.
    pub(crate) length: usize,
    /// How a value fills its length.
    pub(crate) pad: TagPad,
    /// Place of its rule in the whole table.
    pub(crate) rule: usize,
}

impl TagKey {
    /// The entries of one message, in wire order. Tags of other than two bytes were refused.
    pub(super) fn all(rules: &[TagRule], place: TagPlace) -> Box<[Self]> {
        let here = rules.iter().enumerate().filter(|(_, rule)| rule.place.contains(&place));
        here.filter_map(|(index, rule)| {
            let tag = rule.tag.as_bytes().try_into().ok()?;
            Some(Self { tag, length: rule.length, pad: rule.pad, rule: index })
        })
        .collect()
    }
}

/// The two messages that use the tag table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagPlace {
    /// Host to terminal.
    Parameters,
    /// Terminal to host.
    Status,
}

/// How a tag's value fills its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagPad {
    /// A number, zeros to its left.
    Zeros,
    /// ASCII text, spaces to its right.
    Spaces,
    /// GBK text, spaces to its right.
    Gbk,
    /// Bytes, written in hex as a value.
    Hex,
}
