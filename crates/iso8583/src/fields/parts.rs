//! From subfields by name to the value of their field.

use crate::builder::{Builder, Composer, Content};
use crate::class::Class;
use crate::error::{BuildError, ValueError};
use crate::format::{Charset, FieldFormat};
use crate::path::Tag;
use crate::structure::{Structure, Tags};
use crate::{text, write};

use super::error::{FieldsError, FieldsReason};
use super::integer::Integer;
use super::output::Tree;
use super::value::separator;

/// Puts `tree` where the steps of a path lead to.
pub(super) fn insert(parts: &mut Vec<(String, Tree)>, path: &str, tree: Tree) {
    let Some((step, rest)) = path.split_once(['.', '/']) else {
        parts.push((path.to_owned(), tree));
        return;
    };
    let existing = parts.iter_mut().rev().find_map(|(name, tree)| match tree {
        Tree::Parts(parts) if name == step => Some(parts),
        _ => None,
    });
    match existing {
        Some(existing) => insert(existing, rest, tree),
        None => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, tree);
            parts.push((step.to_owned(), Tree::Parts(inner)));
        }
    }
}

/// Sets a field from its subfields.
pub(super) fn set(
    builder: &mut Builder<'_>,
    number: u8,
    parts: Vec<(String, Tree)>,
) -> Result<(), FieldsError> {
    let named = |error: FieldsError, separator| error.below(&number.to_string(), separator);
    let Some(format) = builder.dialect().field(number) else {
        return Err(named(FieldsError::new(FieldsReason::Undefined), ""));
    };
    let structure = builder.structure_of(number, format);
    compose(number, format, structure, parts)
        .and_then(|value| builder.set_bytes(number, &value).map(|_| ()).map_err(refused))
        .map_err(|error| named(error, separator(structure)))
}

/// The reason alone: which field it is about is known from where it came up.
pub(super) fn refused(error: BuildError) -> FieldsError {
    FieldsError::new(match error {
        BuildError::Value { reason, .. } => FieldsReason::Refused(reason),
        BuildError::Undefined(_) => FieldsReason::Undefined,
        BuildError::NoPart { .. } => FieldsReason::NoSubfield,
        error => FieldsReason::Build(error),
    })
}

fn compose(
    field: u8,
    format: &FieldFormat,
    structure: &Structure,
    mut parts: Vec<(String, Tree)>,
) -> Result<Vec<u8>, FieldsError> {
    if let Structure::Positional(_) = structure {
        // Maps have their names in another order, "10" before "2".
        parts.sort_by_key(|(step, _)| step.parse::<u8>().unwrap_or(u8::MAX));
    }
    let texts = parts
        .into_iter()
        .map(|(step, tree)| {
            let text = part(field, structure, &step, tree).map_err(|(error, sep)| error.below(&step, sep))?;
            Ok((step, text))
        })
        .collect::<Result<Vec<_>, FieldsError>>()?;
    let contents: Vec<_> = texts.iter().map(|(step, text)| (step.as_str(), Content::Text(text))).collect();
    Composer { field, depth: 0 }.compose(format, structure, &contents).map_err(|error| match error {
        BuildError::PartOrder { expected, .. } => {
            FieldsError::new(FieldsReason::Gap).below(&expected.to_string(), "")
        }
        error => refused(error),
    })
}

/// The text of one subfield. An error comes with what stands before a path that it has.
fn part(
    field: u8,
    structure: &Structure,
    step: &str,
    tree: Tree,
) -> Result<String, (FieldsError, &'static str)> {
    let (format, inside) = entry(structure, step).map_err(|reason| (FieldsError::new(reason), ""))?;
    // What is inside of a constructed object is divided as the whole.
    let inside = match (structure, inside) {
        (Structure::BerTlv(_), Structure::None) => structure,
        (_, inside) => inside,
    };
    let text = match tree {
        Tree::Text(text) => text,
        Tree::Bytes(bytes) => text_of(format, &bytes),
        Tree::Parts(parts) => {
            let separator = separator(inside);
            let value = compose(field, format, inside, parts).map_err(|error| (error, separator))?;
            text_of(format, &value)
        }
        Tree::Integer(integer) => number(format, integer).map_err(|error| (error, ""))?,
    };
    match check(format, &text) {
        Ok(()) => Ok(text),
        Err(reason) => Err((FieldsError::new(FieldsReason::Refused(reason)), "")),
    }
}

/// How the subfield that a step names is written, and what is inside.
fn entry<'s>(structure: &'s Structure, step: &str) -> Result<(&'s FieldFormat, &'s Structure), FieldsReason> {
    let at = |base: usize| step.parse::<usize>().ok().and_then(|number| number.checked_sub(base));
    let tagged = |tags: &'s Tags, tag: Option<Tag>| tag.and_then(|tag| tags.format(tag));
    let format = match structure {
        Structure::None => return Err(FieldsReason::NoStructure),
        Structure::Own(_) => return Err(FieldsReason::ReadOnly),
        Structure::Positional(parts) => at(1).and_then(|at| parts.get(at)).map(|part| part.format()),
        Structure::Bitmapped { fields, .. } => at(2).and_then(|at| fields.get(at)?.as_ref()),
        Structure::BerTlv(tags) => tagged(tags, u32::from_str_radix(step, 16).ok().map(Tag::ber)),
        Structure::TagTable { tags, .. } | Structure::Tlv { tags, .. } | Structure::Ltv { tags, .. } => {
            tagged(tags, Tag::text(step.as_bytes()))
        }
    };
    format.map(|format| (format, format.structure())).ok_or(FieldsReason::NoSubfield)
}

/// The text that stands for the bytes of a value.
fn text_of(format: &FieldFormat, value: &[u8]) -> String {
    match (format.class(), format.charset()) {
        (Class::Binary, _) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        (_, Charset::Ascii) => text::escape(value).into_owned(),
        _ => value.iter().copied().map(char::from).collect::<String>().replace("\\x", "\\x5Cx"),
    }
}

/// The text of a number in a field.
pub(super) fn number(format: &FieldFormat, integer: Integer) -> Result<String, FieldsError> {
    let text = integer.text(Some(format))?;
    if check(format, &text) != Err(ValueError::OddDigits) {
        return Ok(text);
    }
    // A zero in front changes nothing about a number.
    let (sign, digits) = text.split_at(text.len() - text.trim_start_matches(['C', 'D']).len());
    Ok(format!("{sign}0{digits}"))
}

fn check(format: &FieldFormat, text: &str) -> Result<(), ValueError> {
    let value = write::value_of(format, text)?;
    write::check(format, &write::filled(format, &value))
}
