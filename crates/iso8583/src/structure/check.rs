//! Whether the inside of a field is as the dialect says.

use crate::class::{Class, is_sign};
use crate::error::{ParseError, ParseReason};
use crate::field::Field;
use crate::format::{Digits, FieldFormat, Length};
use crate::plan::Plan;

/// Checks the subfields of a field and all that is inside of them.
pub(crate) fn check(field: &Field<'_>) -> Result<(), ParseError> {
    for subfield in field.subfields() {
        let subfield = subfield?;
        content(&subfield)?;
        check(&subfield)?;
    }
    Ok(())
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
