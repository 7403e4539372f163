//! From the keys of a field to its format.

use super::BitmapEncoding;
use super::error::DialectError;
use super::file::FieldKeys;
use super::words::{self, word};
use crate::class::Class;
use crate::format::{
    Binary, Charset, DatePattern, Digits, FieldFormat, Fill, Length, LengthEncoding, Notation, Unit,
};
use crate::mask::Sensitivity;
use crate::structure::Structure;

/// How things are written where a field says nothing itself.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) length: LengthEncoding,
    pub(super) digits: Digits,
    pub(super) variable_digits: Digits,
    pub(super) charset: Charset,
    pub(super) binary: Binary,
    pub(super) bitmap: BitmapEncoding,
    /// Whether a variable length has a prefix of its own, and not one that its structure gives.
    pub(super) prefixed: bool,
}

/// Makes formats and collects what is wrong with them.
pub(super) struct Formats {
    pub(super) errors: Vec<DialectError>,
    /// Places for formats inside of fields that may still be made.
    places_left: usize,
}

/// Formats inside of fields: more than any dialect has, and few enough that a small file cannot fill the
/// memory by naming a set of tags again and again.
const MAX_PLACES: usize = 20_000;

impl Formats {
    pub(super) fn new() -> Self {
        Self { errors: Vec::new(), places_left: MAX_PLACES }
    }

    /// Counts places for formats inside of a field.
    pub(super) fn take_places(&mut self, line: Option<usize>, path: &str, count: usize) -> Option<()> {
        match self.places_left.checked_sub(count) {
            Some(left) => {
                self.places_left = left;
                Some(())
            }
            None => {
                let reason = format!("a dialect may have {MAX_PLACES} fields and tags inside of fields");
                self.wrong(line, path, "structure", reason)
            }
        }
    }

    /// What a result holds; an error is kept.
    pub(super) fn keep<T>(&mut self, result: Result<T, DialectError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    pub(super) fn wrong<T>(
        &mut self,
        line: Option<usize>,
        path: &str,
        key: &'static str,
        reason: impl Into<String>,
    ) -> Option<T> {
        self.errors.push(DialectError::new(line, Some(path.to_owned()), reason).key_of(key));
        None
    }

    /// A field with what is inside it. `depth` is the number of fields around it.
    pub(super) fn field(
        &mut self,
        path: &str,
        number: u8,
        keys: &FieldKeys,
        defaults: &Defaults,
        depth: usize,
    ) -> Option<FieldFormat> {
        let mut format = self.plain(path, number, keys, defaults)?;
        if !keys.structure.is_empty() {
            format.structure =
                self.structure(path, keys.line, &keys.structure, &format.clone(), defaults, depth)?;
        }
        Some(format)
    }

    /// A field without what is inside it.
    pub(super) fn plain(
        &mut self,
        path: &str,
        number: u8,
        keys: &FieldKeys,
        defaults: &Defaults,
    ) -> Option<FieldFormat> {
        let before = self.errors.len();
        let name = self.required(path, keys, "name")?;
        let text = self.required(path, keys, "format")?;
        let format_line = keys.words.get("format").and_then(|at| at.line).or(keys.line);
        let Notation { class, length } = match text.parse() {
            Ok(notation) => notation,
            Err(reason) => return self.wrong(format_line, path, "format", reason),
        };
        let variable = matches!(length, Length::Variable { .. });
        let usual_digits = if variable { defaults.variable_digits } else { defaults.digits };
        let mut made = FieldFormat {
            number,
            name,
            class,
            length,
            length_encoding: self.word(path, keys, "length", words::LENGTHS).unwrap_or(defaults.length),
            unit: self.word(path, keys, "unit", words::UNITS).unwrap_or(Unit::Characters),
            digits: self.word(path, keys, "digits", words::DIGITS).unwrap_or(usual_digits),
            charset: self.word(path, keys, "text", words::CHARSETS).unwrap_or(defaults.charset),
            binary: self.word(path, keys, "binary", words::BINARIES).unwrap_or(defaults.binary),
            fill: self.word(path, keys, "fill", words::FILLS).unwrap_or(Fill::None),
            date: None,
            sensitivity: self.word(path, keys, "sensitive", words::SECRETS).unwrap_or(Sensitivity::None),
            structure: Structure::None,
        };
        if made.class == Class::SignedNumeric {
            // A sign is written as its digits are, unless they are packed.
            made.charset = match (made.digits, made.charset) {
                (Digits::Ascii, _) => Charset::Ascii,
                (Digits::Ebcdic, Charset::Ascii) => Charset::Ebcdic037,
                (_, charset) => charset,
            };
        }
        self.pad(path, keys, &mut made);
        self.date(path, keys, &mut made);
        self.fits(path, keys, &made, defaults.prefixed);
        (self.errors.len() == before).then_some(made)
    }

    fn required(&mut self, path: &str, keys: &FieldKeys, key: &'static str) -> Option<String> {
        match keys.words.get(key) {
            Some(at) => Some(at.value.clone()),
            None => self.wrong(keys.line, path, key, format!("needs a `{key}`")),
        }
    }

    fn word<T: Copy>(
        &mut self,
        path: &str,
        keys: &FieldKeys,
        key: &'static str,
        words: words::Words<T>,
    ) -> Option<T> {
        let found = word(keys.words.get(key)?, Some(path), key, words);
        self.keep(found)
    }

    fn pad(&mut self, path: &str, keys: &FieldKeys, format: &mut FieldFormat) {
        let Some(at) = keys.words.get("pad") else {
            return;
        };
        let nibble = (at.value.len() == 1).then(|| u8::from_str_radix(&at.value, 16).ok()).flatten();
        match (&mut format.digits, nibble) {
            (Digits::Bcd { pad, .. }, Some(nibble)) => *pad = nibble,
            (Digits::Bcd { .. }, None) => {
                self.wrong::<()>(at.line, path, "pad", "`pad` is one hexadecimal digit");
            }
            // Inherited from a dialect with packed digits.
            _ if at.line.is_none() => {}
            _ => {
                self.wrong::<()>(at.line, path, "pad", "`pad` has a meaning only for packed digits");
            }
        }
    }

    fn date(&mut self, path: &str, keys: &FieldKeys, format: &mut FieldFormat) {
        let Some(at) = keys.words.get("date") else {
            return;
        };
        let pattern: DatePattern = match at.value.parse() {
            Ok(pattern) => pattern,
            Err(reason) => {
                self.wrong::<()>(at.line, path, "date", reason);
                return;
            }
        };
        if pattern.digits() == format.length.max()
            && !matches!(format.class, Class::Binary | Class::SignedNumeric)
        {
            format.date = Some(pattern);
        } else if at.line.is_some() {
            // An inherited date ends with the format it was made for.
            let digits = pattern.digits();
            let reason = format!("the date has {digits} digits and the field is {}", format.notation());
            self.wrong::<()>(at.line, path, "date", reason);
        }
    }

    /// Whether the format's choices go together.
    fn fits(&mut self, path: &str, keys: &FieldKeys, format: &FieldFormat, prefixed: bool) {
        let line = |key: &str| keys.words.get(key).and_then(|at| at.line).or(keys.line);
        if format.fill != Fill::None {
            let fixed = matches!(format.length, Length::Fixed(_));
            if !fixed || matches!(format.class, Class::Binary | Class::SignedNumeric) {
                let reason = "only text and digits of fixed length can be filled up";
                self.wrong::<()>(line("fill"), path, "fill", reason);
            } else if let Fill::Left(filler) | Fill::Right(filler) = format.fill
                && !format.class.allows(filler)
            {
                let reason = format!("class {} has no spaces to fill it up with", format.class);
                self.wrong::<()>(line("fill"), path, "fill", reason);
            }
        }
        let (Length::Variable { prefix_digits, max }, true) = (format.length, prefixed) else {
            return;
        };
        if format.unit == Unit::Bytes
            && format.is_packed()
            && !max.is_multiple_of(2)
            && !format.pad_tells_odd()
        {
            let reason = "needs an even maximum, because its length counts bytes";
            self.wrong::<()>(line("format"), path, "format", reason);
            return;
        }
        let longest = format.said_of(format.max_units());
        if longest > format.length_encoding.longest(prefix_digits) {
            let reason = format!("can be {longest} long, more than {prefix_digits} digits of length can say");
            self.wrong::<()>(line("format"), path, "format", reason);
        }
    }
}
