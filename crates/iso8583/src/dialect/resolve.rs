//! From the keys of a dialect file to a dialect: every word checked, every default applied. All that
//! is wrong is collected.

use super::error::DialectError;
use super::file::{At, DialectFile, RuleKeys};
use super::formats::{Defaults, Formats};
use super::words::{self, Words, word};
use super::{Dialect, DialectParts, MtiEncoding, Rule, When};
use crate::bitmap::{BitmapLayout, SecondBitmap, THIRD_FIELD, ThirdBitmap};
use crate::format::{Charset, FieldFormat};
use crate::framing::Framing;
use crate::mask::Sensitivity;
use crate::mti::Mti;
use crate::structure::StructureRule;

/// The last field without a third bitmap, and with one.
const LAST_OF_ONE: usize = 64;
const LAST_FIELD: usize = 128;
const LAST_OF_THREE: usize = 192;

/// Checks a file, whose base lies under it already, and makes the dialect.
pub(super) fn resolve(file: &DialectFile) -> Result<Dialect, Vec<DialectError>> {
    let mut formats = Formats::new();
    let name = file.name.as_ref().map(|name| name.value.clone()).filter(|name| !name.is_empty());
    if name.is_none() {
        formats.errors.push(DialectError::new(None, None, "the file needs a `name`").key_of("name"));
    }
    let framing = framing(file, &mut formats);
    let encoding = encoding(file, &mut formats);
    let (Some(name), Some((mti, bitmap, defaults))) = (name, encoding) else {
        return Err(formats.errors);
    };
    let fields = fields(file, (bitmap.second, bitmap.third), &defaults, &mut formats);
    // A rule about a field that is wrong itself would only be confusing.
    if !formats.errors.is_empty() {
        return Err(formats.errors);
    }
    let rules = file.sensitive.iter().filter_map(|keys| sensitive(keys, &fields, &mut formats)).collect();
    let structure_rules =
        file.structures.iter().filter_map(|keys| structure(keys, &fields, &defaults, &mut formats)).collect();
    if !formats.errors.is_empty() {
        return Err(formats.errors);
    }
    Ok(Dialect::assemble(DialectParts { name, mti, bitmap, framing, fields, rules, structure_rules }))
}

fn framing(file: &DialectFile, formats: &mut Formats) -> Framing {
    let Some(framing) = &file.framing else {
        return Framing::NONE;
    };
    framing.value.parse().unwrap_or_else(|error| {
        let reason = format!("framing: {error}");
        formats.errors.push(DialectError::new(framing.line, None, reason).key_of("framing"));
        Framing::NONE
    })
}

/// What `[encoding]` says.
fn encoding(file: &DialectFile, formats: &mut Formats) -> Option<(MtiEncoding, BitmapLayout, Defaults)> {
    let before = formats.errors.len();
    let mut words = Encoding { file, formats };
    let mti = words.required("mti", words::MTIS);
    let bitmap = words.required("bitmap", words::BITMAPS);
    let length = words.required("length", words::LENGTHS);
    let digits = words.required("digits", words::DIGITS);
    let variable_digits = words.required("variable_digits", words::DIGITS);
    let binary = words.required("binary", words::BINARIES);
    let charset = words.optional("text", words::CHARSETS).unwrap_or(Charset::Ascii);
    let second = words.optional("bitmaps", words::SECONDS).unwrap_or(SecondBitmap::Chained);
    let third = words.optional("third_bitmap", words::THIRDS).unwrap_or(ThirdBitmap::None);
    if second == SecondBitmap::Never && third != ThirdBitmap::None {
        let line = file.encoding.get("third_bitmap").and_then(|at| at.line);
        let reason = "`third_bitmap` needs a second bitmap, and `bitmaps` is `one`";
        formats.errors.push(DialectError::new(line, None, reason).key_of("third_bitmap"));
    }
    if formats.errors.len() > before {
        return None;
    }
    let layout = BitmapLayout { encoding: bitmap?, second, third };
    let defaults = Defaults {
        length: length?,
        digits: digits?,
        variable_digits: variable_digits?,
        charset,
        binary: binary?,
        bitmap: layout.encoding,
        prefixed: true,
    };
    Some((mti?, layout, defaults))
}

struct Encoding<'f> {
    file: &'f DialectFile,
    formats: &'f mut Formats,
}

impl Encoding<'_> {
    fn required<T: Copy>(&mut self, key: &'static str, words: Words<T>) -> Option<T> {
        if !self.file.encoding.contains_key(key) {
            let reason = format!("the file needs `{key}` under [encoding], or an `extends`");
            self.formats.errors.push(DialectError::new(None, None, reason).key_of(key));
        }
        self.optional(key, words)
    }

    fn optional<T: Copy>(&mut self, key: &'static str, words: Words<T>) -> Option<T> {
        let found = word(self.file.encoding.get(key)?, None, key, words);
        self.formats.keep(found)
    }
}

fn fields(
    file: &DialectFile,
    (second, third): (SecondBitmap, ThirdBitmap),
    defaults: &Defaults,
    formats: &mut Formats,
) -> Vec<Option<FieldFormat>> {
    let mut fields = vec![None; LAST_OF_THREE - 1];
    let last = match (second, third) {
        (SecondBitmap::Never, _) => LAST_OF_ONE,
        (_, ThirdBitmap::None) => LAST_FIELD,
        _ => LAST_OF_THREE,
    };
    for (number, keys) in &file.fields {
        let parsed = number.parse::<usize>().ok().filter(|parsed| parsed.to_string() == *number);
        let place = parsed
            .filter(|number| *number <= last)
            .and_then(|number| number.checked_sub(2))
            .and_then(|index| fields.get_mut(index));
        let Some(place) = place else {
            if keys.line.is_none() && parsed.is_some() {
                // What a base has beyond the last gives way without a word.
                continue;
            }
            let reason = match parsed {
                Some(_) if second == SecondBitmap::Never => {
                    "fields above 64 need a second bitmap, and `bitmaps` under [encoding] says `one`"
                        .to_owned()
                }
                Some(129..=LAST_OF_THREE) => {
                    "fields above 128 need a `third_bitmap` under [encoding]".to_owned()
                }
                _ => format!("fields are numbered 2 to {last}"),
            };
            formats.errors.push(DialectError::new(keys.line, Some(number.clone()), reason));
            continue;
        };
        if parsed == Some(usize::from(THIRD_FIELD)) && third != ThirdBitmap::None {
            // What a base has there gives way without a word.
            if keys.line.is_some() {
                let reason = "field 65 is the third bitmap, as `third_bitmap` under [encoding] says";
                formats.errors.push(DialectError::new(keys.line, Some(number.clone()), reason));
            }
            continue;
        }
        // Checked to be at most 192.
        let number_parsed = parsed.and_then(|number| u8::try_from(number).ok()).unwrap_or_default();
        *place = formats.field(number, number_parsed, keys, defaults, 0);
    }
    fields
}

fn sensitive(
    keys: &RuleKeys,
    fields: &[Option<FieldFormat>],
    formats: &mut Formats,
) -> Option<Rule<Sensitivity>> {
    let path = keys.field.to_string();
    if format_of(keys.field, fields).is_none() {
        let reason = "the dialect has no such field to call sensitive";
        formats.errors.push(DialectError::new(keys.line, Some(path), reason));
        return None;
    }
    let Some(kind) = &keys.kind else {
        let reason = "a [[sensitive]] table needs a `kind`";
        formats.errors.push(DialectError::new(keys.line, Some(path), reason).key_of("kind"));
        return None;
    };
    let then = formats.keep(word(kind, Some(&path), "kind", words::SECRETS));
    let mtis = mtis(keys, &path, formats);
    let when = match &keys.when {
        None => None,
        Some((asked, values)) => match condition(asked, values, fields) {
            Ok(when) => Some(when),
            Err(reason) => {
                formats.errors.push(DialectError::new(asked.line, Some(path), reason).key_of("path"));
                return None;
            }
        },
    };
    Some(Rule { field: keys.field, mtis: mtis?, when, then: then? })
}

fn structure(
    keys: &RuleKeys,
    fields: &[Option<FieldFormat>],
    defaults: &Defaults,
    formats: &mut Formats,
) -> Option<StructureRule> {
    let path = keys.field.to_string();
    let before = formats.errors.len();
    let made = own_structure(keys, &path, fields, defaults, formats);
    // What was inherited may no longer fit a field that the file has changed: then the field has no
    // structure in these messages.
    if keys.line.is_none() && formats.errors.len() > before {
        formats.errors.truncate(before);
        return None;
    }
    made
}

fn own_structure(
    keys: &RuleKeys,
    path: &str,
    fields: &[Option<FieldFormat>],
    defaults: &Defaults,
    formats: &mut Formats,
) -> Option<StructureRule> {
    let Some(whole) = format_of(keys.field, fields) else {
        let reason = "the dialect has no such field to divide";
        formats.errors.push(DialectError::new(keys.line, Some(path.to_owned()), reason));
        return None;
    };
    if keys.structure.is_empty() {
        let reason = "a [[structure]] table needs a `structure`";
        formats.errors.push(DialectError::new(keys.line, Some(path.to_owned()), reason).key_of("structure"));
        return None;
    }
    let when = match &keys.when {
        None => None,
        Some((asked, values)) if path_is(asked, fields) => condition(asked, values, fields).ok(),
        Some((asked, _)) => {
            let reason = format!("`{}` is no field or part of the dialect", asked.value);
            formats.errors.push(DialectError::new(asked.line, Some(path.to_owned()), reason).key_of("path"));
            return None;
        }
    };
    let then = formats.structure(path, keys.line, &keys.structure, whole, defaults, 0);
    Some(Rule { field: keys.field, mtis: mtis(keys, path, formats)?, when, then: then? })
}

fn mtis(keys: &RuleKeys, path: &str, formats: &mut Formats) -> Option<Vec<Mti>> {
    keys.mti
        .iter()
        .map(|mti| {
            let parsed = mti.value.parse().map_err(|reason| {
                let reason = format!("`{}`: {reason}", mti.value);
                DialectError::new(mti.line, Some(path.to_owned()), reason).key_of("mti")
            });
            formats.keep(parsed)
        })
        .collect()
}

/// The condition of a rule. An inherited rule outlives the part it asks about: without the part a
/// sensitive field is masked in all messages.
fn condition(asked: &At<String>, values: &[String], fields: &[Option<FieldFormat>]) -> Result<When, String> {
    let (field, part) = asked.value.split_once('.').unwrap_or((&asked.value, ""));
    match field.parse() {
        Ok(field) if asked.line.is_none() || path_is(asked, fields) => {
            Ok(When::new(field, part.parse().ok(), values.to_vec()))
        }
        _ => Err(format!("`{}` is no field or part of the dialect", asked.value)),
    }
}

fn path_is(asked: &At<String>, fields: &[Option<FieldFormat>]) -> bool {
    let path = &asked.value;
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
