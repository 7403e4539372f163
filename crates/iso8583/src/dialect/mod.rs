//! Dialects: how one family of peers writes ISO 8583, as data.

mod builtin;
mod cases;
mod error;
mod file;
mod formats;
mod keys;
mod load;
mod resolve;
mod rule;
mod structures;
mod words;

use std::fmt;
use std::sync::Arc;

pub use cases::StructureCase;
pub use error::DialectError;
pub(crate) use rule::{Rule, When};

use crate::bitmap::{Bitmap, BitmapLayout, THIRD_FIELD, ThirdBitmap};
use crate::format::FieldFormat;
use crate::framing::Framing;
use crate::mask::Sensitivity;
use crate::mti::Mti;
use crate::plan::Plan;
use crate::quick::{self, Quick};
use crate::structure::{Own, OwnStructure, Structure, StructureRule};

/// How one family of peers writes ISO 8583: the encodings of type and bitmap, the format of every
/// field, and what may not be shown.
///
/// A dialect never changes after it was read; wrap it in an [`Arc`](std::sync::Arc) to share one
/// of your own. The built-in ones are `'static`.
#[derive(Clone)]
pub struct Dialect {
    pub(crate) name: String,
    pub(crate) mti: MtiEncoding,
    pub(crate) bitmap: BitmapLayout,
    pub(crate) framing: Framing,
    /// Formats of fields 2 to 192; the format of field `n` stands at `n - 2`.
    pub(crate) fields: Vec<Option<FieldFormat>>,
    pub(crate) rules: Vec<Rule<Sensitivity>>,
    pub(crate) structure_rules: Vec<StructureRule>,
    /// What reading needs of each format; that of field `n` stands at `n`.
    pub(crate) plans: Vec<Plan>,
    /// Bytes of the length prefix of each field; that of field `n` stands at `n`.
    pub(crate) prefixes: Box<[u8; 256]>,
    /// What the passes over messages that are in order need.
    pub(crate) quick: Box<quick::Table>,
    /// The fields that a rule may call sensitive.
    pub(crate) ruled: Bitmap,
    /// The fields whose inside strict reading looks at.
    pub(crate) structured: Bitmap,
}

/// How the message type is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MtiEncoding {
    /// Four ASCII digits.
    Ascii,
    /// Four EBCDIC digits.
    Ebcdic,
    /// Two bytes of two digits each.
    Bcd,
}

/// How each eight bytes of a bitmap are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitmapEncoding {
    /// Eight bytes.
    Binary,
    /// Sixteen upper-case hexadecimal ASCII characters.
    Hex,
    /// Sixteen upper-case hexadecimal EBCDIC characters.
    EbcdicHex,
}

impl Dialect {
    /// What a dialect file says, ready for use.
    pub(crate) fn assemble(parts: DialectParts) -> Self {
        let DialectParts { name, mti, bitmap, framing, fields, rules, structure_rules } = parts;
        let mut dialect = Self {
            name,
            mti,
            bitmap,
            framing,
            fields,
            rules,
            structure_rules,
            plans: Vec::new(),
            prefixes: Box::new([0; 256]),
            quick: Box::new([[Quick::RARE; 64]; 3]),
            ruled: Bitmap::default(),
            structured: Bitmap::default(),
        };
        dialect.prepare();
        dialect
    }

    /// Works out what reading looks up.
    fn prepare(&mut self) {
        self.plans = vec![Plan::UNDEFINED; usize::from(u8::MAX) + 1];
        for format in self.fields.iter().flatten() {
            if let Some(plan) = self.plans.get_mut(usize::from(format.number)) {
                *plan = Plan::of(format);
            }
            if let Some(quick) = quick_of(&mut self.quick, format.number) {
                *quick = Quick::of(format);
            }
            if format.structure.is_checked(format) {
                self.structured.insert(format.number);
            }
        }
        if let Some(plan) = self.plans.get_mut(usize::from(THIRD_FIELD))
            && self.bitmap.third == ThirdBitmap::Field65
        {
            *plan = Plan::third_bitmap(self.bitmap.encoding);
            // The bitmap in it is read by the careful pass.
            if let Some(quick) = quick_of(&mut self.quick, THIRD_FIELD) {
                *quick = Quick::RARE;
            }
        }
        for (prefix, plan) in self.prefixes.iter_mut().zip(&self.plans) {
            *prefix = plan.prefix_len();
        }
        self.rules.iter().for_each(|rule| self.ruled.insert(rule.field));
        self.structure_rules.iter().for_each(|rule| self.structured.insert(rule.field));
    }

    /// The same dialect with field `number` divided in a way that no dialect file can describe.
    /// Its values are written as `value` says, which is usually another field's format.
    #[must_use]
    pub fn with_structure(
        mut self,
        number: u8,
        structure: Arc<dyn OwnStructure>,
        value: FieldFormat,
    ) -> Self {
        let own = Structure::Own(Own { structure, value: Box::new(value) });
        let format = usize::from(number).checked_sub(2).and_then(|at| self.fields.get_mut(at));
        if let Some(Some(format)) = format {
            format.structure = own;
        }
        self.structure_rules.retain(|rule| rule.field != number);
        self.prepare();
        self
    }

    /// The dialect's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format of field `number`; `None` when the dialect has no such field. Field 1 is the
    /// bitmap and has no format.
    #[must_use]
    pub fn field(&self, number: u8) -> Option<&FieldFormat> {
        self.fields.get(usize::from(number).checked_sub(2)?)?.as_ref()
    }

    /// The formats of all fields in ascending order.
    pub fn fields(&self) -> impl Iterator<Item = &FieldFormat> {
        self.fields.iter().flatten()
    }

    /// What the fast passes know of field `number`.
    #[inline]
    pub(crate) fn quick(&self, number: u8) -> &Quick {
        self.quick.as_flattened().get(usize::from(number).wrapping_sub(1)).unwrap_or(&Quick::RARE)
    }

    /// How messages of the dialect are usually delimited on a stream.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Why field `number` must not be shown in a message of type `mti`, where `text` gives the
    /// text at a path of the message (as [`Message::text`](crate::Message::text) does).
    #[must_use]
    pub fn sensitivity_of<T: AsRef<str>>(
        &self,
        number: u8,
        mti: Mti,
        text: impl Fn(&str) -> Option<T>,
    ) -> Sensitivity {
        self.field(number).map_or(Sensitivity::None, |format| self.sensitivity(format, mti, text))
    }

    fn sensitivity<T: AsRef<str>>(
        &self,
        format: &FieldFormat,
        mti: Mti,
        text: impl Fn(&str) -> Option<T>,
    ) -> Sensitivity {
        self.rules
            .iter()
            .filter(|rule| rule.field == format.number)
            // What cannot be told apart is not shown.
            .find(|rule| {
                rule.applies(mti, true, |when| text(&when.path()), |text, value| text.as_ref() == value)
            })
            .map_or(format.sensitivity, |rule| rule.then)
    }
}

fn quick_of(table: &mut quick::Table, number: u8) -> Option<&mut Quick> {
    table.as_flattened_mut().get_mut(usize::from(number).checked_sub(1)?)
}

/// What a dialect is assembled from.
pub(crate) struct DialectParts {
    pub(crate) name: String,
    pub(crate) mti: MtiEncoding,
    pub(crate) bitmap: BitmapLayout,
    pub(crate) framing: Framing,
    /// As in [`Dialect`].
    pub(crate) fields: Vec<Option<FieldFormat>>,
    pub(crate) rules: Vec<Rule<Sensitivity>>,
    pub(crate) structure_rules: Vec<StructureRule>,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialect({})", self.name)
    }
}
