//! From the keys of a dialect file to a dialect: every word checked, every default applied.

use super::error::DialectError;
use super::file::{self, At, DialectFile, FieldKeys, PartKeys, RuleKeys};
use super::{BitmapEncoding, Dialect, DialectParts, MtiEncoding, Rule, When, builtin_text};
use crate::bitmap::{BitmapLayout, SecondBitmap, ThirdBitmap};
use crate::class::Class;
use crate::format::{
    Align, Binary, Charset, Digits, FieldFormat, Fill, Length, LengthEncoding, Notation, Part, Unit,
};
use crate::framing::Framing;
use crate::mask::Sensitivity;
use crate::structure::Structure;

/// Dialects may extend dialects that extend dialects; built-in ones do so at most once.
const DEEPEST_EXTENDS: usize = 4;

/// Checks a file and makes the dialect.
pub(super) fn resolve(file: DialectFile) -> Result<Dialect, DialectError> {
    let file = extend(file, DEEPEST_EXTENDS)?;
    let name = file
        .name
        .filter(|name| !name.value.is_empty())
        .ok_or_else(|| DialectError::new(None, None, "the file needs a `name`"))?;
    let encoding = |key: &'static str| {
        file.encoding.get(key).ok_or_else(|| {
            DialectError::new(None, None, format!("the file needs `{key}` under [encoding], or an `extends`"))
        })
    };
    let defaults = Defaults {
        length: word(encoding("length")?, None, "length", LENGTHS)?,
        digits: word(encoding("digits")?, None, "digits", DIGITS)?,
        variable_digits: word(encoding("variable_digits")?, None, "variable_digits", DIGITS)?,
        binary: word(encoding("binary")?, None, "binary", BINARIES)?,
    };
    let mut fields = vec![None; 191];
    for (number, keys) in &file.fields {
        let place = number
            .parse::<usize>()
            .ok()
            .filter(|parsed| parsed.to_string() == *number)
            .and_then(|number| number.checked_sub(2))
            .and_then(|index| fields.get_mut(index));
        let Some(place) = place else {
            return Err(DialectError::new(keys.line, Some(number.clone()), "fields are numbered 2 to 192"));
        };
        *place = Some(field(number, keys, &defaults)?);
    }
    let rules = file.rules.iter().map(|keys| rule(keys, &fields)).collect::<Result<_, _>>()?;
    Ok(Dialect::assemble(DialectParts {
        name: name.value,
        mti: word(
            encoding("mti")?,
            None,
            "mti",
            &[("ascii", MtiEncoding::Ascii), ("bcd", MtiEncoding::Bcd), ("ebcdic", MtiEncoding::Ebcdic)],
        )?,
        bitmap: BitmapLayout {
            encoding: word(
                encoding("bitmap")?,
                None,
                "bitmap",
                &[
                    ("binary", BitmapEncoding::Binary),
                    ("hex", BitmapEncoding::Hex),
                    ("ebcdic-hex", BitmapEncoding::EbcdicHex),
                ],
            )?,
            second: SecondBitmap::Chained,
            third: ThirdBitmap::None,
        },
        framing: match &file.framing {
            None => Framing::NONE,
            Some(framing) => framing
                .value
                .parse()
                .map_err(|error| DialectError::new(framing.line, None, format!("framing: {error}")))?,
        },
        fields,
        rules,
        structure_rules: Vec::new(),
    }))
}

fn extend(file: DialectFile, depth: usize) -> Result<DialectFile, DialectError> {
    let Some(extends) = &file.extends else {
        return Ok(file);
    };
    let base = builtin_text(&extends.value).filter(|_| depth > 0).ok_or_else(|| {
        let known = Dialect::builtin_names().join(", ");
        let reason = format!("`{}` is no dialect that can be extended; there are {known}", extends.value);
        DialectError::new(extends.line, None, reason)
    })?;
    let base = extend(file::read(base)?, depth - 1)?;
    Ok(file.over(base))
}

/// What `[encoding]` says for all fields.
struct Defaults {
    length: LengthEncoding,
    digits: Digits,
    variable_digits: Digits,
    binary: Binary,
}

type Words<T> = &'static [(&'static str, T)];

const LENGTHS: Words<LengthEncoding> =
    &[("ascii", LengthEncoding::Ascii), ("bcd", LengthEncoding::Bcd), ("binary", LengthEncoding::Binary)];
const DIGITS: Words<Digits> = &[
    ("ascii", Digits::Ascii),
    ("bcd-left", Digits::Bcd { align: Align::Left, pad: 0 }),
    ("bcd-right", Digits::Bcd { align: Align::Right, pad: 0 }),
];
const BINARIES: Words<Binary> = &[("raw", Binary::Raw), ("hex", Binary::Hex)];
const UNITS: Words<Unit> = &[("characters", Unit::Characters), ("bytes", Unit::Bytes)];

/// The meaning of one word, or an error that lists the words there are.
fn word<T: Copy>(
    at: &At<String>,
    field: Option<&str>,
    key: &str,
    words: &[(&str, T)],
) -> Result<T, DialectError> {
    words.iter().find(|(word, _)| *word == at.value).map(|(_, value)| *value).ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let reason = format!("`{key}` is `{}` and may be one of {known}", at.value);
        DialectError::new(at.line, field.map(str::to_owned), reason)
    })
}

fn field(number: &str, keys: &FieldKeys, defaults: &Defaults) -> Result<FieldFormat, DialectError> {
    let error = |line: Option<usize>, reason: String| {
        DialectError::new(line.or(keys.line), Some(number.to_owned()), reason)
    };
    let required =
        |key: &'static str| keys.words.get(key).ok_or_else(|| error(None, format!("needs a `{key}`")));
    let name = required("name")?;
    let format = required("format")?;
    let Notation { class, length } = format.value.parse().map_err(|reason| error(format.line, reason))?;
    let variable = matches!(length, Length::Variable { .. });
    let mut digits = match keys.words.get("digits") {
        Some(at) => word(at, Some(number), "digits", DIGITS)?,
        None if variable => defaults.variable_digits,
        None => defaults.digits,
    };
    if let Some(at) = keys.words.get("pad") {
        let nibble = (at.value.len() == 1).then(|| u8::from_str_radix(&at.value, 16).ok()).flatten();
        match (&mut digits, nibble) {
            (Digits::Bcd { pad, .. }, Some(nibble)) => *pad = nibble,
            (Digits::Bcd { .. }, None) => {
                return Err(error(at.line, "`pad` is one hexadecimal digit".to_owned()));
            }
            (Digits::Ascii | Digits::Ebcdic, _) => {
                return Err(error(at.line, "`pad` has no meaning for ASCII digits".to_owned()));
            }
        }
    }
    let sensitivity = match keys.words.get("sensitive") {
        None => Sensitivity::None,
        Some(at) => sensitivity(at, number)?,
    };
    let optional = |key: &'static str| keys.words.get(key);
    let mut made = FieldFormat {
        // The caller has checked the number.
        number: number.parse().map_err(|_| error(None, "fields are numbered 2 to 192".to_owned()))?,
        name: name.value.clone(),
        class,
        length,
        length_encoding: optional("length")
            .map_or(Ok(defaults.length), |at| word(at, Some(number), "length", LENGTHS))?,
        unit: optional("unit").map_or(Ok(Unit::Characters), |at| word(at, Some(number), "unit", UNITS))?,
        digits,
        binary: optional("binary")
            .map_or(Ok(defaults.binary), |at| word(at, Some(number), "binary", BINARIES))?,
        charset: Charset::Ascii,
        fill: Fill::None,
        date: None,
        sensitivity,
        structure: Structure::None,
    };
    let parts = parts(number, keys, &made)?;
    if !parts.is_empty() {
        made.structure = Structure::Positional(parts);
    }
    if let Length::Variable { prefix_digits, max } = length {
        let packed = class.is_packable() && digits != Digits::Ascii;
        if made.unit == Unit::Bytes && packed && !max.is_multiple_of(2) && !made.pad_tells_odd() {
            return Err(error(
                format.line,
                "needs an even maximum, because its length counts bytes".to_owned(),
            ));
        }
        let longest = made.said_of(made.max_units());
        if longest > made.length_encoding.longest(prefix_digits) {
            let reason = format!("can be {longest} long, more than {prefix_digits} digits of length can say");
            return Err(error(format.line, reason));
        }
    }
    Ok(made)
}

fn sensitivity(at: &At<String>, field: &str) -> Result<Sensitivity, DialectError> {
    Sensitivity::from_name(&at.value).ok_or_else(|| {
        let reason =
            format!("`{}` is no kind of secret; use one of none, pan, track, pin, key, private", at.value);
        DialectError::new(at.line, Some(field.to_owned()), reason)
    })
}

fn parts(number: &str, keys: &FieldKeys, whole: &FieldFormat) -> Result<Vec<Part>, DialectError> {
    let keys = keys.parts.as_deref().unwrap_or_default();
    let mut made = Vec::with_capacity(keys.len());
    let mut start = 0;
    for (at, PartKeys { name, format }) in keys.iter().enumerate() {
        let error =
            |reason: String| DialectError::new(format.line, Some(format!("{number}.{}", at + 1)), reason);
        let notation: Notation = format.value.parse().map_err(error)?;
        let length = match notation.length {
            Length::Fixed(length) => Some(usize::from(length)),
            Length::Variable { .. } if at + 1 == keys.len() => None,
            Length::Variable { .. } => {
                return Err(error("only the last part may have a variable length".to_owned()));
            }
        };
        if notation.class == Class::SignedNumeric {
            return Err(error("parts cannot be of class x+n".to_owned()));
        }
        let format = FieldFormat {
            number: u8::try_from(at + 1).map_err(|_| error("a field has at most 255 parts".to_owned()))?,
            name: name.clone(),
            class: notation.class,
            length: notation.length,
            ..whole.clone()
        };
        made.push(Part { format, start, length });
        start += notation.length.max();
        if start > whole.length.max() {
            return Err(error(format!(
                "the parts so far take {start} characters and the field has {}",
                whole.length.max()
            )));
        }
    }
    Ok(made)
}

fn rule(keys: &RuleKeys, fields: &[Option<FieldFormat>]) -> Result<Rule<Sensitivity>, DialectError> {
    let field = keys.field.to_string();
    let error = |line: Option<usize>, reason: String| {
        DialectError::new(line.or(keys.line), Some(field.clone()), reason)
    };
    if format_of(keys.field, fields).is_none() {
        return Err(error(None, "the dialect has no such field to call sensitive".to_owned()));
    }
    let mtis = keys
        .mti
        .iter()
        .map(|mti| mti.value.parse().map_err(|reason| error(mti.line, format!("`{}`: {reason}", mti.value))))
        .collect::<Result<_, _>>()?;
    let when = match &keys.when {
        None => None,
        // An inherited rule outlives the part it asks about: without the part it always holds, so the
        // field is masked.
        Some((path, values)) if path.line.is_none() || is_path(&path.value, fields) => {
            let (field, part) = path.value.split_once('.').unwrap_or((&path.value, ""));
            Some(When {
                field: field.parse().map_err(|_| error(path.line, format!("`{}` is no path", path.value)))?,
                part: part.parse().ok(),
                values: values.clone(),
            })
        }
        Some((path, _)) => {
            return Err(error(path.line, format!("`{}` is no field or part of the dialect", path.value)));
        }
    };
    Ok(Rule { field: keys.field, mtis, when, then: sensitivity(&keys.kind, &field)? })
}

fn is_path(path: &str, fields: &[Option<FieldFormat>]) -> bool {
    let (number, part) = path.split_once('.').unwrap_or((path, "0"));
    let (Ok(number), Ok(part)) = (number.parse(), part.parse::<usize>()) else {
        return false;
    };
    format_of(number, fields)
        .is_some_and(|field| part <= field.parts().len() && (part > 0 || !path.contains('.')))
}

fn format_of(number: u8, fields: &[Option<FieldFormat>]) -> Option<&FieldFormat> {
    fields.get(usize::from(number).checked_sub(2)?)?.as_ref()
}
