//! What is inside a field: how subfields are found in its content.

mod check;
mod subfields;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::dialect::{BitmapEncoding, Rule};
use crate::format::{FieldFormat, Part};
use crate::path::Tag;

use check::PlainTag;
pub(crate) use check::check;
pub(crate) use subfields::Subfields;

/// The structure of a field in some messages only.
pub(crate) type StructureRule = Rule<Structure>;

/// How the content of a field is divided into subfields.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Structure {
    /// Not at all.
    #[default]
    None,
    /// Subfields of known lengths one after the other.
    Positional(Vec<Part>),
    /// BER-TLV data objects (ISO/IEC 8825-1), as EMV has them.
    BerTlv(Tags),
    /// Tags of `tag_len` characters, each followed by a value whose length only the table tells.
    TagTable {
        /// Characters of a tag.
        tag_len: u8,
        /// The table.
        tags: Tags,
    },
    /// Tag, length, value, with tags and decimal lengths of characters.
    Tlv {
        /// Characters of a tag.
        tag_len: u8,
        /// Characters of a length.
        length_len: u8,
        /// The tags that have names.
        tags: Tags,
    },
    /// Length, tag, value, with tags and decimal lengths of characters.
    Ltv {
        /// Characters of a length.
        length_len: u8,
        /// Characters of a tag.
        tag_len: u8,
        /// Whether the length counts the tag, too.
        counts_tag: bool,
        /// The tags that have names.
        tags: Tags,
    },
    /// A bitmap of its own and the fields that it announces.
    Bitmapped {
        /// How the bitmap is written.
        bitmap: BitmapEncoding,
        /// The formats of fields 2 and up; that of field `n` stands at `n - 2`.
        fields: Vec<Option<FieldFormat>>,
    },
    /// Something only the caller can divide.
    Own(Own),
}

impl Structure {
    /// Whether the inside of a field can be wrong where the field itself is not.
    pub(crate) fn is_checked(&self, field: &FieldFormat) -> bool {
        match self {
            Self::None => false,
            Self::Positional(parts) => {
                parts.iter().any(|part| part.class() != field.class || part.format.structure != Self::None)
            }
            _ => true,
        }
    }
}

impl Structure {
    /// Whether a subfield at any depth is one that must not be shown.
    pub(crate) fn names_sensitive(&self) -> bool {
        let sensitive =
            |format: &FieldFormat| format.sensitivity.is_sensitive() || format.structure.names_sensitive();
        match self {
            Self::None => false,
            Self::Positional(parts) => parts.iter().any(|part| sensitive(&part.format)),
            Self::BerTlv(tags)
            | Self::TagTable { tags, .. }
            | Self::Tlv { tags, .. }
            | Self::Ltv { tags, .. } => sensitive(&tags.unknown) || tags.known.values().any(sensitive),
            Self::Bitmapped { fields, .. } => fields.iter().flatten().any(sensitive),
            Self::Own(own) => sensitive(&own.value),
        }
    }

    /// Whether values that may be card numbers stand in the field without bounds that can be seen.
    pub(crate) fn joins_values(&self) -> bool {
        match self {
            Self::None => false,
            Self::Positional(parts) => parts.iter().any(|part| part.length.is_none_or(|length| length > 12)),
            _ => true,
        }
    }
}

/// The tags of a structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Tags {
    pub(crate) known: BTreeMap<Tag, FieldFormat>,
    pub(crate) keep_unknown: bool,
    /// How the value of a tag is written that is not in the table.
    pub(crate) unknown: Box<FieldFormat>,
    /// Those that a first look can judge, in ascending order.
    plain: Box<[PlainTag]>,
}

impl Tags {
    pub(crate) fn new(known: BTreeMap<Tag, FieldFormat>, keep_unknown: bool, unknown: FieldFormat) -> Self {
        let plain = known.iter().filter_map(|(tag, format)| PlainTag::new(*tag, format)).collect();
        Self { known, keep_unknown, unknown: Box::new(unknown), plain }
    }

    /// How the value of a tag is written; `None` for a tag without a name.
    #[must_use]
    pub fn get(&self, tag: Tag) -> Option<&FieldFormat> {
        self.known.get(&tag)
    }

    /// The tags that have names, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &FieldFormat)> {
        self.known.iter().map(|(tag, format)| (*tag, format))
    }

    /// Whether tags that are not in the table are kept or refused.
    #[must_use]
    pub fn keep_unknown(&self) -> bool {
        self.keep_unknown
    }

    /// How the value of any tag is written; `None` when it is refused.
    pub(crate) fn format(&self, tag: Tag) -> Option<&FieldFormat> {
        self.known.get(&tag).or_else(|| self.keep_unknown.then_some(&*self.unknown))
    }
}

/// A division of a field's content that no dialect file can describe, given by the embedding
/// program through [`Dialect::with_structure`](crate::Dialect::with_structure).
pub trait OwnStructure: Send + Sync {
    /// The subfield that begins at byte `at` of `content`: its tag (up to eight printable
    /// characters, which name it in paths) and the bytes of its value. `None` when `content` ends
    /// at `at`. The next subfield begins where the value ends.
    ///
    /// # Errors
    ///
    /// Why no subfield begins there, as one sentence without any part of the content.
    fn next(&self, content: &[u8], at: usize) -> Result<Option<(Tag, Range<usize>)>, &'static str>;
}

/// A shared [`OwnStructure`] and how its values are written.
#[derive(Clone)]
pub struct Own {
    pub(crate) structure: Arc<dyn OwnStructure>,
    pub(crate) value: Box<FieldFormat>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.structure, &other.structure) && self.value == other.value
    }
}
