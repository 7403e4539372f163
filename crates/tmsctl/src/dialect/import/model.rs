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

    /// Bytes that a value of the greatest length takes, with its prefix.
    fn bytes(&self) -> usize {
        let packed = self.has_digits() && self.digits.is_some_and(|digits| digits.starts_with("bcd"));
        let content = match (self.binary, self.class) {
            (Some("hex" | "ebcdic-hex"), "b") => self.max * 2,
            _ if packed => self.max.div_ceil(2),
            _ => self.max,
        };
        let prefix = match self.length {
            Some("bcd" | "binary") => self.prefix_digits.div_ceil(2),
            Some("hex") => self.prefix_digits.div_ceil(2) * 2,
            _ => self.prefix_digits,
        };
        content + prefix
    }

    fn has_digits(&self) -> bool {
        matches!(self.class, "n" | "z" | "x+n")
    }

    /// Divides the field by position, where a dialect file can say how; otherwise it stays whole, with
    /// a note of what is inside.
    pub(super) fn divide(&mut self, mut parts: Vec<Field>) {
        let bytes = self.class == "b" && self.binary == Some("raw");
        let last = parts.len().saturating_sub(1);
        let variable = parts.iter().enumerate().any(|(at, part)| part.is_variable() && at != last);
        // Parts of text or digits are written as the field; only parts of bytes in their own way.
        let alike = |part: &Field| match (self.text, self.digits) {
            (Some(text), _) => part.text == Some(text) || (part.digits == Some("ascii") && text == "ascii"),
            (None, digits) => part.class == self.class && part.digits == digits,
        };
        let nested = parts.iter().any(|part| !matches!(part.structure, Structure::None));
        let signed = parts.iter().any(|part| part.class == "x+n");
        if parts.is_empty() || variable || nested || signed || !(bytes || parts.iter().all(alike)) {
            self.notes.push(
                "Inside are subfields that a dialect file cannot divide; the field stays whole:".to_owned(),
            );
            self.notes.extend(parts.iter().map(|part| format!("  {} {}", part.format(), part.name)));
            return;
        }
        if let Some(part) = parts.last_mut().filter(|part| part.is_variable()) {
            part.notes.push(
                "The next subfield begins with a length of its own, which is part of it here.".to_owned(),
            );
            part.max = if bytes { part.bytes() } else { part.max + part.prefix_digits };
            (part.class, part.length) = (if bytes { "b" } else { self.class }, None);
            (part.digits, part.text) = (None, None);
            part.binary = bytes.then_some("raw");
        }
        let whole: usize = parts.iter().map(|part| if bytes { part.bytes() } else { part.max }).sum();
        self.max = self.max.max(whole);
        self.structure = Structure::Positional(parts);
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
