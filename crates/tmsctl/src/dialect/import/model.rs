//! What the importers have in common: fields in the terms of a dialect file, before they are written.

use std::collections::BTreeMap;

/// A dialect to be written.
#[derive(Debug, Default)]
pub(super) struct Dialect {
    pub(super) mti: &'static str,
    pub(super) bitmap: &'static str,
    /// `bitmaps` of the dialect file, when it is not `chained`.
    pub(super) bitmaps: Option<&'static str>,
    pub(super) fields: BTreeMap<u16, Field>,
    /// Fields that could not be converted, by number.
    pub(super) lost: BTreeMap<u16, String>,
    /// What else a reader should know.
    pub(super) notes: Vec<String>,
}

/// One field, or something inside one.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) class: &'static str,
    /// Digits of the length prefix; 0 for a fixed length.
    pub(super) prefix_digits: usize,
    /// The longest value, in the dialect file's unit.
    pub(super) max: usize,
    pub(super) length: Option<&'static str>,
    pub(super) unit: Option<&'static str>,
    pub(super) digits: Option<&'static str>,
    pub(super) pad: Option<char>,
    pub(super) text: Option<&'static str>,
    pub(super) binary: Option<&'static str>,
    pub(super) fill: Option<&'static str>,
    pub(super) structure: Structure,
    /// What the original said and a dialect file cannot.
    pub(super) notes: Vec<String>,
}

/// What a field is made of.
#[derive(Clone, Debug, Default)]
pub(super) enum Structure {
    #[default]
    None,
    Positional(Vec<Field>),
    BerTlv,
    Tlv {
        tag_size: usize,
        length_size: usize,
        tags: Vec<(String, Field)>,
    },
    Bitmapped {
        bitmap: &'static str,
        fields: BTreeMap<u16, Field>,
    },
}

impl Field {
    /// The format as a dialect file has it.
    pub(super) fn format(&self) -> String {
        format!("{}{}{}", self.class, ".".repeat(self.prefix_digits), self.max)
    }

    pub(super) fn is_variable(&self) -> bool {
        self.prefix_digits > 0
    }

    /// The field as number `number` of a message. Tracks 2 and 3 have separators between their digits,
    /// which the sources do not tell apart.
    pub(super) fn numbered(mut self, number: u16) -> Self {
        if matches!(number, 35 | 36) && self.class == "n" {
            self.class = "z";
        }
        self
    }
}

/// Why a field cannot be converted.
#[derive(Debug)]
pub(super) struct Unknown {
    /// Number or path of the field.
    pub(super) field: String,
    /// What it has that a dialect file cannot say.
    pub(super) what: String,
}

/// Why a file cannot be converted at all.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

/// What stands for a class the source does not know: the fields that nobody should see, by number.
/// Sources do not say what must be masked, so the numbers of the standard decide.
pub(super) fn sensitivity(number: u16) -> Option<&'static str> {
    Some(match number {
        2 | 34 | 102 | 103 => "pan",
        35 | 36 | 45 => "track",
        52 => "pin",
        55 => "private",
        96 => "key",
        _ => return None,
    })
}
