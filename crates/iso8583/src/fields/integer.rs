//! Whole numbers as the digits of a field.

use crate::class::Class;
use crate::format::{FieldFormat, Length};

use super::error::{FieldsError, FieldsReason};

/// A whole number of any of Rust's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Integer {
    pub(super) negative: bool,
    pub(super) magnitude: u128,
}

impl Integer {
    /// Reads the text of a field: digits, after a sign in class `x+n`.
    pub(super) fn read(class: Class, text: &str) -> Result<Self, FieldsError> {
        let not_a_number = || FieldsError::new(FieldsReason::NotANumber);
        let (negative, digits) = match (class, text.strip_prefix('C'), text.strip_prefix('D')) {
            // Digits in hexadecimal are not a number in decimal.
            (Class::Binary, ..) => return Err(not_a_number()),
            (Class::SignedNumeric, Some(credit), _) => (false, credit),
            (Class::SignedNumeric, _, Some(debit)) => (true, debit),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(not_a_number());
        }
        // Nothing but digits, so only the size can be wrong.
        let magnitude =
            digits.parse().map_err(|_| FieldsError::new(FieldsReason::OutOfRange("any integer")))?;
        Ok(Self { negative, magnitude })
    }

    /// The text that a field takes: as many digits as a field of fixed length has, or as few as
    /// the number needs.
    pub(super) fn text(self, format: Option<&FieldFormat>) -> Result<String, FieldsError> {
        let class = format.map(FieldFormat::class);
        let sign = match (class, self.negative) {
            (Some(Class::Binary), _) => {
                return Err(FieldsError::new(FieldsReason::Unsupported("a number in a field of bytes")));
            }
            (Some(Class::SignedNumeric), false) => "C",
            (Some(Class::SignedNumeric), true) => "D",
            (_, false) => "",
            (_, true) => return Err(FieldsError::new(FieldsReason::Negative)),
        };
        let width = match format.map(FieldFormat::length) {
            Some(Length::Fixed(width)) => usize::from(width),
            _ => 1,
        };
        Ok(format!("{sign}{:0width$}", self.magnitude))
    }

    pub(super) fn unsigned(magnitude: impl Into<u128>) -> Self {
        Self { negative: false, magnitude: magnitude.into() }
    }

    pub(super) fn signed(number: impl Into<i128>) -> Self {
        let number = number.into();
        Self { negative: number < 0, magnitude: number.unsigned_abs() }
    }

    /// The number as a type of Rust, which `target` names.
    pub(super) fn to<T: TryFrom<u128> + TryFrom<i128>>(self, target: &'static str) -> Result<T, FieldsError> {
        let converted = if self.negative {
            0i128.checked_sub_unsigned(self.magnitude).and_then(|number| T::try_from(number).ok())
        } else {
            T::try_from(self.magnitude).ok()
        };
        converted.ok_or_else(|| FieldsError::new(FieldsReason::OutOfRange(target)))
    }
}
