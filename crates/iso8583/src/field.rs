//! One field of a parsed message.

use std::borrow::Cow;
use std::fmt;

use crate::class::Class;
use crate::error::{AccessError, AccessKind, ParseError};
use crate::format::{DateTime, FieldFormat};
use crate::mask::{MASK, Sensitivity, hex_of_joined, hex_scrubbed, scrub_joined, scrub_text};
use crate::path::{Path, Step};
use crate::structure::{Structure, Subfields};
use crate::view::View;

/// A field of a message or one of its subfields, borrowed from the message's bytes.
///
/// `Display` and `Debug` mask what the dialect calls sensitive; [`Field::text`] does not.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// How the field itself is written; for a positional subfield see `view`, which has the
    /// encoding of the field around it.
    pub(crate) format: &'a FieldFormat,
    pub(crate) structure: &'a Structure,
    pub(crate) view: View<'a>,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) path: Path,
    /// Where the content begins in the message.
    pub(crate) offset: usize,
}

impl<'a> Field<'a> {
    /// The number of the field, 2 to 192; for a subfield that of the field it is in.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.path.field().unwrap_or(self.format.number)
    }

    /// Where the field is in the message.
    #[must_use]
    pub fn path(&self) -> Path {
        self.path
    }

    /// The last step to a subfield; `None` for a field.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.path.steps().last().copied()
    }

    /// How the dialect writes the field.
    #[must_use]
    pub fn format(&self) -> &'a FieldFormat {
        self.format
    }

    /// What is inside the field, in this message.
    #[must_use]
    pub fn structure(&self) -> &'a Structure {
        self.structure
    }

    /// The content on the wire, without a length prefix. For a subfield of packed digits these are
    /// the bytes that hold it, possibly with half a byte of a neighbour.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        if self.view.units == self.view.total { self.view.content } else { self.view.wire() }
    }

    /// Bytes from the beginning of the message (of the type indicator) to the content.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Characters in the value: digits for packed numbers, bytes for class `b`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view.units
    }

    /// Whether the value has no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.view.units == 0
    }

    /// Why the value must not be shown, in this message.
    #[must_use]
    pub fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// The value as text, **unmasked**.
    ///
    /// Class `b` is lower-case hexadecimal. Other classes are the characters of the value: packed
    /// digits are unpacked and their filler is gone; packed track data uses the ISO/IEC 7811
    /// characters, so the separator is `=`; EBCDIC is decoded. Bytes that are not UTF-8 appear as
    /// `\xB2`; a value that contains `\x` has it written `\x5Cx`.
    /// [`Builder::set`](crate::Builder::set) takes every such text back to the same bytes.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        self.view.text()
    }

    /// The value, **unmasked**: the bytes of class `b`, and one byte for each character otherwise
    /// (digits in ASCII, text as it is on the wire or Latin-1 where that is EBCDIC).
    /// [`Builder::set_bytes`](crate::Builder::set_bytes) takes it back.
    #[must_use]
    pub fn value(&self) -> Cow<'a, [u8]> {
        self.view.value()
    }

    /// The value as UTF-8 text, **unmasked** and unescaped.
    ///
    /// # Errors
    ///
    /// For class `b`, and for text in another character set.
    pub fn str(&self) -> Result<Cow<'a, str>, AccessError> {
        if self.view.format.class == Class::Binary {
            return Err(self.error(AccessKind::NotText));
        }
        match self.view.plain() {
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(self.error(AccessKind::NotUtf8)),
            },
            None => Ok(Cow::Owned(self.view.units().map(char::from).collect())),
        }
    }

    /// The value as decimal digits, **unmasked**.
    ///
    /// # Errors
    ///
    /// When there is anything else in it.
    pub fn digits(&self) -> Result<Cow<'a, str>, AccessError> {
        if !self.view.units().all(|unit| unit.is_ascii_digit()) {
            return Err(self.error(AccessKind::NotDigits));
        }
        self.str()
    }

    /// The value as a number.
    ///
    /// # Errors
    ///
    /// When it is not all digits, has none, or is larger than 64 bits hold.
    pub fn u64(&self) -> Result<u64, AccessError> {
        self.number_from(0)
    }

    /// The value as an amount in the smallest unit of its currency; negative for `x+n` with a `D`
    /// (debit).
    ///
    /// # Errors
    ///
    /// When it is no number, begins with no sign where it should, or is too large.
    pub fn amount(&self) -> Result<i64, AccessError> {
        let signed = self.view.format.class == Class::SignedNumeric;
        let amount = i64::try_from(self.number_from(usize::from(signed))?)
            .map_err(|_| self.error(AccessKind::TooLarge))?;
        match self.view.unit(0) {
            Some(b'D') if signed => Ok(-amount),
            Some(b'C') if signed => Ok(amount),
            _ if signed => Err(self.error(AccessKind::Sign)),
            _ => Ok(amount),
        }
    }

    /// The value as the date or time that the dialect says it is.
    ///
    /// # Errors
    ///
    /// When the dialect does not say so, or the value is no such date.
    pub fn date(&self) -> Result<DateTime, AccessError> {
        let pattern = self.format.date().ok_or_else(|| self.error(AccessKind::NoDatePattern))?;
        pattern.read(self.view.units()).ok_or_else(|| self.error(AccessKind::NotADate))
    }

    /// The text of the positional subfield `part`, from 1; `None` when the dialect has no such
    /// subfield or the value ends before it.
    #[must_use]
    pub fn part(&self, part: u8) -> Option<Cow<'a, str>> {
        match self.structure {
            Structure::Positional(parts) => self.view.positional(parts, part).map(|view| view.text()),
            _ => None,
        }
    }

    /// The subfields one after the other. After an error nothing follows. Empty when the dialect
    /// knows of no structure.
    pub fn subfields(&self) -> impl Iterator<Item = Result<Field<'a>, ParseError>> + use<'a> {
        Subfields::new(*self)
    }

    /// The first subfield that `step` names: a part number such as `3`, or a tag such as `9F06`.
    #[must_use]
    pub fn sub(&self, step: &str) -> Option<Field<'a>> {
        self.subfields().map_while(Result::ok).find(|field| {
            field.step().is_some_and(|found| match found {
                Step::Part(number) => step.parse() == Ok(number),
                Step::Tag(tag) => tag.is_named(step),
            })
        })
    }

    /// The text with what may not be shown replaced by `*`: all of a sensitive value and of one in
    /// which a subfield is sensitive, and card numbers that stand in any other.
    #[must_use]
    pub fn masked(&self) -> Cow<'a, str> {
        if self.sensitivity.is_sensitive() {
            return Cow::Owned(self.sensitivity.mask(&self.text()));
        }
        if self.holds_sensitive() {
            return Cow::Borrowed(MASK);
        }
        let joined = self.structure.joins_values();
        if self.view.format.class == Class::Binary {
            let value = self.view.value();
            return Cow::Owned(if joined { hex_of_joined(&value) } else { hex_scrubbed(&value) });
        }
        let scrub = if joined { scrub_joined } else { scrub_text };
        match self.text() {
            Cow::Borrowed(text) => scrub(text),
            Cow::Owned(text) => Cow::Owned(scrub(&text).into_owned()),
        }
    }

    /// Whether a subfield at any depth is sensitive, or may be where subfields cannot be told apart.
    fn holds_sensitive(&self) -> bool {
        // A subfield that is cut short is none, and yet its beginning is there.
        if let Structure::Positional(parts) = self.structure
            && parts.iter().any(|part| {
                let is_cut = part.length.is_some_and(|length| part.start + length > self.view.units);
                let is_secret =
                    part.format.sensitivity.is_sensitive() || part.format.structure.names_sensitive();
                is_secret && is_cut && part.start < self.view.units
            })
        {
            return true;
        }
        self.structure.names_sensitive()
            && self.subfields().any(|subfield| {
                subfield.map_or(true, |field| field.sensitivity.is_sensitive() || field.holds_sensitive())
            })
    }

    fn number_from(&self, first: usize) -> Result<u64, AccessError> {
        if self.view.units <= first {
            return Err(self.error(AccessKind::NotDigits));
        }
        if let Some(number) = self.view.short_number(first) {
            return Ok(number);
        }
        self.view.units().skip(first).try_fold(0u64, |number, unit| {
            let digit = unit.wrapping_sub(b'0');
            if digit > 9 {
                return Err(self.error(AccessKind::NotDigits));
            }
            number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit)))
                .ok_or_else(|| self.error(AccessKind::TooLarge))
        })
    }

    fn error(&self, kind: AccessKind) -> AccessError {
        AccessError::new(self.path, kind)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: {:?})", self.path, self.masked())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Builder, Dialect, Message, Mti};

    /// Numbers in every coding, alone and as positional parts: (dialect, field, part).
    const PLACES: &[(&str, u8, &str)] = &[
        ("iso87-ascii", 11, "11"),
        ("iso87-ascii", 90, "90.2"),
        ("iso93-ebcdic", 11, "11"),
        ("iso03-binary", 30, "30.1"),
        ("iso03-binary", 30, "30.2"),
        ("iso87-binary", 23, "23"),
        ("iso93-binary", 26, "26"),
        ("unionpay", 11, "11"),
        ("unionpay", 22, "22"),
        ("unionpay", 60, "60.1"),
        ("unionpay", 60, "60.2"),
        ("unionpay", 60, "60.3"),
    ];

    proptest! {
        #[test]
        fn a_number_is_what_its_digits_write(digits in "[0-9]{42}") {
            for (name, number, path) in PLACES {
                let dialect = Dialect::builtin(name).unwrap();
                let length = if *number == 60 { 11 } else { dialect.field(*number).unwrap().length().max() };
                let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
                builder.set(*number, &digits[..length]).unwrap();
                let bytes = builder.build().unwrap();
                let message = Message::parse(dialect, &bytes).unwrap();
                let text = message.text(path).unwrap();
                prop_assert_eq!(message.u64(path).unwrap(), Some(text.parse().unwrap()), "{} {}", name, path);
            }
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_none() {
        let dialect = Dialect::builtin("iso87-ascii").unwrap();
        for (number, value) in
            [(41, "1000000A"), (102, "18446744073709551616"), (102, "99999999999999999999")]
        {
            let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
            builder.set(number, value).unwrap();
            let bytes = builder.build().unwrap();
            assert!(
                Message::parse(dialect, &bytes).unwrap().field(number).unwrap().u64().is_err(),
                "{value}"
            );
        }
    }
}
