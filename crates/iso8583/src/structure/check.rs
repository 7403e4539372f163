//! Whether the inside of a field is as the dialect says.

use crate::class::{Class, is_sign};
use crate::error::{ParseError, ParseReason};
use crate::field::Field;
use crate::format::{Charset, Digits, FieldFormat, Length};
use crate::path::Tag;
use crate::plan::Plan;
use crate::scan;

use super::Structure;

/// Checks the subfields of a field and all that is inside of them.
pub(crate) fn check(field: &Field<'_>) -> Result<(), ParseError> {
    if is_plain_table(field) {
        return Ok(());
    }
    for subfield in field.subfields() {
        let subfield = subfield?;
        content(&subfield)?;
        check(&subfield)?;
    }
    Ok(())
}

/// A first look that only ever says yes: whether the field is a table of tags in ascending order, as
/// senders write them, with values of fixed length that are well formed. Anything else is left to the
/// careful way, which decides and explains.
fn is_plain_table(field: &Field<'_>) -> bool {
    let Structure::TagTable { tag_len, tags } = field.structure else { return false };
    if field.format.charset != Charset::Ascii {
        return false;
    }
    let Some(mut rest) = field.view.plain() else { return false };
    let mut plain = tags.plain.iter();
    while !rest.is_empty() {
        let Some((tag, after)) = rest.split_at_checked(usize::from(*tag_len)) else { return false };
        let key = PlainTag::key(tag);
        let Some(known) = plain.find(|known| known.key == key) else { return false };
        let Some((value, after)) = after.split_at_checked(usize::from(known.len)) else { return false };
        if !is_all(value, known.class) {
            return false;
        }
        rest = after;
    }
    true
}

/// A tag of a table whose values the first look can judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PlainTag {
    key: u64,
    /// Bytes of the value.
    len: u16,
    class: Class,
}

impl PlainTag {
    pub(super) fn new(tag: Tag, format: &FieldFormat) -> Option<Self> {
        Some(Self { key: Self::key(tag.bytes()), len: plain_len(format)?, class: format.class })
    }

    /// The characters of a tag, up to eight, as one number; among tags of one length no two have the same.
    fn key(tag: &[u8]) -> u64 {
        match tag {
            [first, second] => u64::from(u16::from_be_bytes([*first, *second])),
            tag => tag.iter().fold(0, |key, byte| key << 8 | u64::from(*byte)),
        }
    }
}

/// Whether every byte is of the class.
fn is_all(value: &[u8], class: Class) -> bool {
    match class {
        Class::Numeric => scan::digits(value),
        Class::Text => scan::text(value),
        Class::Alphanumeric => scan::alphanumeric(value),
        class => value.iter().all(|byte| class.allows(*byte)),
    }
}

/// Bytes of a value of fixed length that is one byte for each character and nothing inside.
fn plain_len(format: &FieldFormat) -> Option<u16> {
    let has_signs = matches!(format.class, Class::Binary | Class::SignedNumeric | Class::Track);
    let is_plain = format.charset == Charset::Ascii
        && !has_signs
        && !format.is_packed()
        && matches!(format.structure, Structure::None);
    match format.length {
        Length::Fixed(len) if is_plain => Some(len),
        _ => None,
    }
}

fn content(field: &Field<'_>) -> Result<(), ParseError> {
    let (format, view) = (field.format, &field.view);
    let error = |at, reason| Err(ParseError::new(field.path, field.offset + at, reason));
    if let Some(length) = wrong_length(format, view.units) {
        return error(0, length);
    }
    if std::ptr::eq(view.format, format) && view.is_raw() {
        return match Plan::of(format).check(format, view.content, view.units) {
            Ok(()) => Ok(()),
            Err((at, reason)) => error(at, reason),
        };
    }
    // Written as the field around it, or its bytes are hexadecimal as that field's are.
    let class = format.class;
    let is_wrong = |(at, unit): &(usize, u8)| match (class, at) {
        (Class::SignedNumeric, 0) => !is_sign(*unit),
        _ => !class.allows(*unit),
    };
    match (view.units().enumerate().find(is_wrong), view.format.digits, view.filler_nibble()) {
        (None, Digits::Bcd { pad, .. }, Some(found)) if std::ptr::eq(view.format, format) && found != pad => {
            error(0, ParseReason::Pad { found, expected: pad })
        }
        (None, ..) => Ok(()),
        (Some((at, byte)), ..) => {
            let at = view.wire_offset(at) - view.wire_offset(0);
            error(at, ParseReason::Character { byte, class })
        }
    }
}

fn wrong_length(format: &FieldFormat, units: usize) -> Option<ParseReason> {
    let max = format.max_units();
    let wrong = match format.length {
        Length::Fixed(_) => units != max,
        Length::Variable { .. } => units > max,
    };
    wrong.then_some(ParseReason::Length { length: units, max })
}
