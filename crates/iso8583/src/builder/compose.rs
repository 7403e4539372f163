//! Fields put together from their subfields.

use crate::bitmap::{Bitmap, BitmapLayout, SecondBitmap, ThirdBitmap};
use crate::class::Class;
use crate::dialect::BitmapEncoding;
use crate::ebcdic;
use crate::error::{BuildError, ValueError};
use crate::format::{Charset, FieldFormat, Part};
use crate::mask::scrub_text;
use crate::path::{MAX_DEPTH, Tag};
use crate::structure::{Structure, Tags};
use crate::{tlv, write};

use super::Builder;

/// What a field or subfield is set to.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// A value as text, in the form of [`Field::text`](crate::Field::text).
    Text(&'a str),
    /// Subfields, each with the step that names it: a part number such as `3`, or a tag such as
    /// `9F06`.
    Parts(&'a [(&'a str, Content<'a>)]),
}

impl std::fmt::Debug for Content<'_> {
    /// Prints steps only: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text"),
            Self::Parts(parts) => {
                f.debug_map().entries(parts.iter().map(|(step, part)| (step, part))).finish()
            }
        }
    }
}

impl Builder<'_> {
    /// Sets field `number` from its subfields. Positional subfields are given in order and without
    /// gaps; tagged ones stand on the wire in the order given; those of a nested bitmap in the
    /// order of their numbers.
    ///
    /// Where the structure of the field depends on another field, that one is set first.
    ///
    /// # Errors
    ///
    /// As [`Builder::set`], and when the field has no such subfield.
    pub fn set_parts(&mut self, number: u8, parts: &[(&str, Content<'_>)]) -> Result<&mut Self, BuildError> {
        let format = self.dialect.field(number).ok_or(BuildError::Undefined(number))?;
        let structure = self.structure_of(number, format);
        let value = Composer { field: number, depth: 0 }.compose(format, structure, parts)?;
        self.set_bytes(number, &value)
    }
}

pub(crate) struct Composer {
    pub(crate) field: u8,
    /// Steps down from the field.
    pub(crate) depth: usize,
}

impl Composer {
    /// The value of a field or subfield, as `Builder::set_bytes` takes it.
    pub(crate) fn compose(
        &self,
        format: &FieldFormat,
        structure: &Structure,
        parts: &[(&str, Content<'_>)],
    ) -> Result<Vec<u8>, BuildError> {
        let charset = format.charset;
        let mut out = Vec::new();
        match structure {
            Structure::Positional(known) => return self.positional(format, known, parts),
            Structure::BerTlv(tags) => {
                for (step, content) in parts {
                    let (tag, entry) = self.tag(tags, step, ber_tag(step))?;
                    // What is inside of a constructed object is divided as the whole.
                    let inside = match (&entry.structure, content) {
                        (Structure::None, Content::Parts(_)) if tag.is_constructed() => structure,
                        (own, _) => own,
                    };
                    let value = self.content(entry, inside, content)?;
                    tlv::write(&mut out, tag.ber_number().unwrap_or_default(), &value);
                }
            }
            Structure::TagTable { tags, .. } => {
                for (step, content) in parts {
                    let (tag, entry) = self.tag(tags, step, Tag::text(step.as_bytes()))?;
                    put_characters(charset, tag.bytes(), &mut out);
                    let value = self.units(entry, &entry.structure, content)?;
                    self.check(entry, &value)?;
                    write::prefix(entry, value.len(), &mut out);
                    write::content(entry, &value, &mut out);
                }
            }
            Structure::Tlv { tag_len, length_len, tags } => {
                for (step, content) in parts {
                    let (tag, entry) = self.tag_of(tags, step, *tag_len)?;
                    let value = self.content(entry, &entry.structure, content)?;
                    put_characters(charset, tag.bytes(), &mut out);
                    self.put_length(charset, *length_len, value.len(), &mut out)?;
                    out.extend_from_slice(&value);
                }
            }
            Structure::Ltv { length_len, tag_len, counts_tag, tags } => {
                for (step, content) in parts {
                    let (tag, entry) = self.tag_of(tags, step, *tag_len)?;
                    let value = self.content(entry, &entry.structure, content)?;
                    let counted = if *counts_tag { tag.bytes().len() } else { 0 };
                    self.put_length(charset, *length_len, counted + value.len(), &mut out)?;
                    put_characters(charset, tag.bytes(), &mut out);
                    out.extend_from_slice(&value);
                }
            }
            Structure::Bitmapped { bitmap, fields } => self.bitmapped(*bitmap, fields, parts, &mut out)?,
            Structure::None | Structure::Own(_) => {
                if let Some((step, _)) = parts.first() {
                    return Err(self.no_part(step));
                }
            }
        }
        if format.class != Class::Binary {
            // The value of a field of characters is what they stand for, not what is on the wire.
            out.iter_mut().for_each(|byte| *byte = ebcdic::decode(charset, *byte));
        }
        Ok(out)
    }

    fn positional(
        &self,
        format: &FieldFormat,
        known: &[Part],
        parts: &[(&str, Content<'_>)],
    ) -> Result<Vec<u8>, BuildError> {
        let mut out = Vec::new();
        for (at, (step, content)) in parts.iter().enumerate() {
            let wanted: usize = step.parse().map_err(|_| self.no_part(step))?;
            if wanted != at + 1 && wanted <= known.len() {
                return Err(BuildError::PartOrder { field: self.field, expected: at + 1 });
            }
            let part = known.get(at).filter(|_| wanted == at + 1).ok_or_else(|| self.no_part(step))?;
            let value = self.units(&part.format, &part.format.structure, content)?;
            self.check(&part.format, &value)?;
            if format.class == Class::Binary {
                write::content(&part.format, &value, &mut out);
            } else {
                out.extend_from_slice(&value);
            }
        }
        Ok(out)
    }

    fn bitmapped(
        &self,
        encoding: BitmapEncoding,
        fields: &[Option<FieldFormat>],
        parts: &[(&str, Content<'_>)],
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let mut chosen = Vec::with_capacity(parts.len());
        let mut bitmap = Bitmap::default();
        for (step, content) in parts {
            let number: u8 = step.parse().map_err(|_| self.no_part(step))?;
            let format = usize::from(number).checked_sub(2).and_then(|at| fields.get(at)?.as_ref());
            chosen.push((number, format.ok_or_else(|| self.no_part(step))?, content));
            bitmap.insert(number);
        }
        chosen.sort_by_key(|(number, ..)| *number);
        chosen.dedup_by_key(|(number, ..)| *number);
        let layout = BitmapLayout { encoding, second: SecondBitmap::Chained, third: ThirdBitmap::None };
        let mut bytes = [0; write::LONGEST_HEAD];
        let len = write::bitmaps(layout, bitmap, &mut bytes, 0);
        out.extend_from_slice(bytes.get(..len).unwrap_or(&bytes));
        for (_, format, content) in chosen {
            let value = self.units(format, &format.structure, content)?;
            write::bytes(format, &value, out).map_err(|reason| self.value(reason))?;
        }
        Ok(())
    }

    /// A value as it is on the wire, without a length.
    fn content(
        &self,
        format: &FieldFormat,
        structure: &Structure,
        content: &Content<'_>,
    ) -> Result<Vec<u8>, BuildError> {
        let value = self.units(format, structure, content)?;
        self.check(format, &value)?;
        let mut out = Vec::with_capacity(value.len());
        write::content(format, &value, &mut out);
        Ok(out)
    }

    /// A value, one byte for each character.
    fn units(
        &self,
        format: &FieldFormat,
        structure: &Structure,
        content: &Content<'_>,
    ) -> Result<Vec<u8>, BuildError> {
        match content {
            Content::Text(text) => {
                let value = write::value_of(format, text).map_err(|reason| self.value(reason))?;
                Ok(write::filled(format, &value).into_owned())
            }
            Content::Parts(_) if self.depth + 1 >= MAX_DEPTH => Err(BuildError::TooDeep(self.field)),
            Content::Parts(parts) => {
                Self { depth: self.depth + 1, ..*self }.compose(format, structure, parts)
            }
        }
    }

    fn check(&self, format: &FieldFormat, value: &[u8]) -> Result<(), BuildError> {
        write::check(format, value).map_err(|reason| self.value(reason))
    }

    fn tag<'t>(
        &self,
        tags: &'t Tags,
        step: &str,
        tag: Option<Tag>,
    ) -> Result<(Tag, &'t FieldFormat), BuildError> {
        tag.and_then(|tag| Some((tag, tags.format(tag)?))).ok_or_else(|| self.no_part(step))
    }

    fn tag_of<'t>(
        &self,
        tags: &'t Tags,
        step: &str,
        tag_len: u8,
    ) -> Result<(Tag, &'t FieldFormat), BuildError> {
        let tag = Tag::text(step.as_bytes()).filter(|tag| tag.bytes().len() == usize::from(tag_len));
        self.tag(tags, step, tag)
    }

    fn put_length(
        &self,
        charset: Charset,
        digits: u8,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let width = usize::from(digits);
        let text = format!("{length:0width$}");
        if text.len() > width {
            let max = 10usize.pow(u32::from(digits.min(9))) - 1;
            return Err(self.value(ValueError::TooLong { max, found: length, unit: "bytes" }));
        }
        put_characters(charset, text.as_bytes(), out);
        Ok(())
    }

    fn value(&self, reason: ValueError) -> BuildError {
        BuildError::Value { field: self.field, reason }
    }

    fn no_part(&self, step: &str) -> BuildError {
        BuildError::NoPart {
            field: self.field,
            step: scrub_text(&step.chars().take(40).collect::<String>()).into_owned(),
        }
    }
}

fn put_characters(charset: Charset, characters: &[u8], out: &mut Vec<u8>) {
    out.extend(characters.iter().map(|character| ebcdic::encode(charset, *character)));
}

/// A BER tag from hexadecimal digits; `None` when they are no tag by the rules of BER.
fn ber_tag(step: &str) -> Option<Tag> {
    let number =
        u32::from_str_radix(step, 16).ok().filter(|_| step.len().is_multiple_of(2) && step.len() <= 8)?;
    let tag = Tag::ber(number);
    let head = [tag.bytes(), &[0]].concat();
    let well_formed = tlv::read_head(&head).is_ok_and(|(read, _, len)| read == number && len == head.len());
    (well_formed && tag.is_named(step)).then_some(tag)
}
