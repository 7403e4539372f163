//! The dialect file as it is written: TOML text to keys with the lines they stand on.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::error::DialectError;

/// A value and the line it stands on; no line when it was inherited from a built-in dialect.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: Option<usize>,
}

/// All keys of a dialect file.
#[derive(Debug, Default)]
pub(super) struct DialectFile {
    pub(super) name: Option<At<String>>,
    pub(super) extends: Option<At<String>>,
    pub(super) framing: Option<At<String>>,
    pub(super) encoding: BTreeMap<&'static str, At<String>>,
    pub(super) fields: BTreeMap<String, FieldKeys>,
    pub(super) rules: Vec<RuleKeys>,
}

/// The keys of one `[field.N]` table.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldKeys {
    pub(super) line: Option<usize>,
    /// Keys whose values are words, by name.
    pub(super) words: BTreeMap<&'static str, At<String>>,
    pub(super) parts: Option<Vec<PartKeys>>,
}

#[derive(Clone, Debug)]
pub(super) struct PartKeys {
    pub(super) name: String,
    pub(super) format: At<String>,
}

/// The keys of one `[[sensitive]]` table.
#[derive(Clone, Debug)]
pub(super) struct RuleKeys {
    pub(super) line: Option<usize>,
    pub(super) field: u8,
    pub(super) mti: Vec<At<String>>,
    pub(super) when: Option<(At<String>, Vec<String>)>,
    pub(super) kind: At<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDialect {
    name: Option<Spanned<String>>,
    extends: Option<Spanned<String>>,
    framing: Option<Spanned<String>>,
    #[serde(default)]
    encoding: RawEncoding,
    #[serde(default)]
    field: BTreeMap<String, Spanned<RawField>>,
    #[serde(default)]
    sensitive: Vec<Spanned<RawRule>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEncoding {
    mti: Option<Spanned<String>>,
    bitmap: Option<Spanned<String>>,
    length: Option<Spanned<String>>,
    digits: Option<Spanned<String>>,
    variable_digits: Option<Spanned<String>>,
    binary: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    name: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    length: Option<Spanned<String>>,
    unit: Option<Spanned<String>>,
    digits: Option<Spanned<String>>,
    pad: Option<Spanned<String>>,
    binary: Option<Spanned<String>>,
    sensitive: Option<Spanned<String>>,
    parts: Option<Vec<RawPart>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart {
    name: String,
    format: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    field: u8,
    #[serde(default)]
    mti: Vec<Spanned<String>>,
    when: Option<RawWhen>,
    kind: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWhen {
    path: Spanned<String>,
    values: Vec<String>,
}

/// Reads the keys of a file; what they mean is not looked at yet.
pub(super) fn read(text: &str) -> Result<DialectFile, DialectError> {
    let raw: RawDialect = toml::from_str(text).map_err(|error| {
        let offset = error.span().map(|span| span.start);
        DialectError::new(
            offset.map(|offset| line_of(text, offset)),
            offset.and_then(|offset| field_around(text, offset)),
            error.message().replace('\n', " "),
        )
    })?;
    let at = |spanned: Spanned<String>| At {
        line: Some(line_of(text, spanned.span().start)),
        value: spanned.into_inner(),
    };
    let words = |pairs: [(&'static str, Option<Spanned<String>>); 8]| {
        pairs.into_iter().filter_map(|(key, value)| Some((key, at(value?)))).collect()
    };
    let encoding = raw.encoding;
    Ok(DialectFile {
        name: raw.name.map(at),
        extends: raw.extends.map(at),
        framing: raw.framing.map(at),
        encoding: words([
            ("mti", encoding.mti),
            ("bitmap", encoding.bitmap),
            ("length", encoding.length),
            ("digits", encoding.digits),
            ("variable_digits", encoding.variable_digits),
            ("binary", encoding.binary),
            ("", None),
            ("", None),
        ]),
        fields: raw
            .field
            .into_iter()
            .map(|(number, spanned)| {
                let line = Some(line_of(text, spanned.span().start));
                let field = spanned.into_inner();
                let keys = FieldKeys {
                    line,
                    words: words([
                        ("name", field.name),
                        ("format", field.format),
                        ("length", field.length),
                        ("unit", field.unit),
                        ("digits", field.digits),
                        ("pad", field.pad),
                        ("binary", field.binary),
                        ("sensitive", field.sensitive),
                    ]),
                    parts: field.parts.map(|parts| {
                        parts
                            .into_iter()
                            .map(|part| PartKeys { name: part.name, format: at(part.format) })
                            .collect()
                    }),
                };
                (number, keys)
            })
            .collect(),
        rules: raw
            .sensitive
            .into_iter()
            .map(|spanned| {
                let line = Some(line_of(text, spanned.span().start));
                let rule = spanned.into_inner();
                RuleKeys {
                    line,
                    field: rule.field,
                    mti: rule.mti.into_iter().map(at).collect(),
                    when: rule.when.map(|when| (at(when.path), when.values)),
                    kind: at(rule.kind),
                }
            })
            .collect(),
    })
}

impl DialectFile {
    /// This file's keys laid over those of the dialect it extends.
    pub(super) fn over(self, base: Self) -> Self {
        let mut merged = base.inherited();
        merged.name = self.name;
        merged.extends = None;
        merged.framing = self.framing.or(merged.framing);
        merged.encoding.extend(self.encoding);
        for (number, keys) in self.fields {
            let field = merged.fields.entry(number).or_default();
            field.line = keys.line;
            // Parts divide a certain length, so a new format does not keep the old parts.
            if keys.words.contains_key("format") {
                field.parts = None;
            }
            field.words.extend(keys.words);
            field.parts = keys.parts.or(field.parts.take());
        }
        // The first rule that holds decides, so the file's own come first.
        merged.rules = self.rules.into_iter().chain(merged.rules).collect();
        merged
    }

    /// The same keys without lines, which would be lines of another file.
    fn inherited(mut self) -> Self {
        let words = |words: &mut BTreeMap<&'static str, At<String>>| {
            words.values_mut().for_each(|word| word.line = None)
        };
        self.framing.iter_mut().for_each(|framing| framing.line = None);
        words(&mut self.encoding);
        for field in self.fields.values_mut() {
            field.line = None;
            words(&mut field.words);
            field.parts.iter_mut().flatten().for_each(|part| part.format.line = None);
        }
        for rule in &mut self.rules {
            rule.line = None;
            rule.kind.line = None;
            rule.mti.iter_mut().for_each(|mti| mti.line = None);
            rule.when.iter_mut().for_each(|(path, _)| path.line = None);
        }
        self
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The field that an offset of the file is in, for errors of the TOML reader itself: on a line
/// `60 = { … }`, or below a header `[field.60]`.
fn field_around(text: &str, offset: usize) -> Option<String> {
    let start = text.get(..offset)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?;
    let number = line.trim_start().split_once('=').map(|(key, _)| key.trim());
    if let Some(number) =
        number.filter(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Some(number.to_owned());
    }
    let header = text.get(..start + line.len())?.lines().rfind(|line| line.starts_with('['))?;
    Some(header.strip_prefix("[field.")?.split_once(']')?.0.to_owned())
}
