//! Subfields found one after the other.

use std::ops::Range;

use crate::bitmap;
use crate::class::Class;
use crate::dialect::BitmapEncoding;
use crate::ebcdic;
use crate::error::{ParseError, ParseReason};
use crate::field::Field;
use crate::format::FieldFormat;
use crate::path::{Step, Tag};
use crate::plan::Plan;
use crate::read;
use crate::tlv;
use crate::view::View;

use super::{Structure, Tags};

/// An iterator over the subfields of a field.
pub(crate) struct Subfields<'a> {
    field: Field<'a>,
    /// The next subfield begins here, in characters of the field.
    at: usize,
    /// The number of subfields so far.
    count: usize,
    /// The fields of a nested bitmap that are left.
    announced: Option<bitmap::Iter>,
    /// The subfield that is being looked at, once that much is known.
    looking: Option<Step>,
    done: bool,
}

/// A subfield: its step, its format, where its value is in characters of the field, and where the
/// next one begins.
struct Found<'a> {
    step: Step,
    format: &'a FieldFormat,
    value: Range<usize>,
    next: usize,
    /// Characters of the value, where something other than its bytes tells.
    units: Option<usize>,
}

/// Where in the field, in its characters, and why.
type Stop = (usize, ParseReason);

impl<'a> Subfields<'a> {
    pub(crate) fn new(field: Field<'a>) -> Self {
        Self { field, at: 0, count: 0, announced: None, looking: None, done: false }
    }

    fn find(&mut self) -> Result<Option<Found<'a>>, Stop> {
        let view = &self.field.view;
        let at = self.at;
        match self.field.structure {
            Structure::None => Ok(None),
            Structure::Positional(parts) => {
                let Some(part) = parts.get(self.count) else { return Ok(None) };
                let left = view.units.saturating_sub(part.start);
                let length = part.length.unwrap_or(left);
                // Trailing subfields may be left out.
                if left == 0 || left < length {
                    return Ok(None);
                }
                let step = Step::Part(part.format.number);
                let end = part.start + length;
                Ok(Some(Found { step, format: &part.format, value: part.start..end, next: end, units: None }))
            }
            _ if at >= view.units && !matches!(self.field.structure, Structure::Bitmapped { .. }) => Ok(None),
            Structure::BerTlv(tags) => ber(view, tags, at).map(Some),
            Structure::TagTable { .. } | Structure::Bitmapped { .. } | Structure::Own(_)
                if !(view.is_bytewise() && view.is_raw()) =>
            {
                Err((at, ParseReason::Own("the structure needs content that is written byte by byte")))
            }
            Structure::TagTable { tag_len, tags } => {
                let (tag, start) = self.tag(at, usize::from(*tag_len))?;
                let format = tags.format(tag).ok_or((at, ParseReason::UnknownTag(tag)))?;
                self.looking = Some(Step::Tag(tag));
                let extent = Plan::of(format)
                    .extent(self.field.view.wire(), start)
                    .map_err(|(_, reason)| (start, reason))?;
                Ok(Some(Found {
                    step: Step::Tag(tag),
                    format,
                    value: extent.start..extent.end,
                    next: extent.end,
                    units: Some(extent.units),
                }))
            }
            Structure::Tlv { tag_len, length_len, tags } => {
                let (tag, after_tag) = self.tag(at, usize::from(*tag_len))?;
                let (length, start) = self.length(after_tag, usize::from(*length_len))?;
                self.tagged(tags, tag, at, start, length, after_tag)
            }
            Structure::Ltv { length_len, tag_len, counts_tag, tags } => {
                let (length, after_length) = self.length(at, usize::from(*length_len))?;
                let (tag, start) = self.tag(after_length, usize::from(*tag_len))?;
                let counted = if *counts_tag { usize::from(*tag_len) } else { 0 };
                let short = ParseReason::Truncated { needed: counted, left: length };
                let length = length.checked_sub(counted).ok_or((at, short))?;
                self.tagged(tags, tag, at, start, length, at)
            }
            Structure::Bitmapped { bitmap, fields } => self.announced(*bitmap, fields),
            Structure::Own(own) => {
                let content = view.wire();
                let found = own.structure.next(content, at).map_err(|why| (at, ParseReason::Own(why)))?;
                let Some((tag, value)) = found else { return Ok(None) };
                // A structure that does not advance would never end.
                if value.start < at || value.end <= at || value.end > content.len() || value.start > value.end
                {
                    return Err((
                        at,
                        ParseReason::Own("the dialect's own structure gave an impossible range"),
                    ));
                }
                let next = value.end;
                Ok(Some(Found { step: Step::Tag(tag), format: &own.value, value, next, units: None }))
            }
        }
    }

    /// The character at a place; bytes of class `b` are characters here.
    fn character(&self, at: usize) -> Option<u8> {
        let view = &self.field.view;
        let unit = view.unit(at)?;
        Some(if view.format.class == Class::Binary {
            ebcdic::decode(view.format.charset, unit)
        } else {
            unit
        })
    }

    fn tag(&self, at: usize, len: usize) -> Result<(Tag, usize), Stop> {
        let mut characters = [0; 8];
        let place = characters.get_mut(..len).ok_or((at, ParseReason::TooDeep))?;
        for (place, one) in place.iter_mut().zip(at..) {
            *place = self.character(one).ok_or_else(|| self.truncated(at, len))?;
        }
        let wrong = place.first().copied().unwrap_or_default();
        match Tag::text(place) {
            Some(tag) => Ok((tag, at + len)),
            None => Err((at, ParseReason::Character { byte: wrong, class: Class::Text })),
        }
    }

    fn length(&self, at: usize, len: usize) -> Result<(usize, usize), Stop> {
        let mut length = 0usize;
        for one in at..at + len {
            let digit = self.character(one).ok_or_else(|| self.truncated(at, len))?;
            if !digit.is_ascii_digit() {
                return Err((one, ParseReason::NotADigit(digit)));
            }
            length = length * 10 + usize::from(digit - b'0');
        }
        Ok((length, at + len))
    }

    fn truncated(&self, at: usize, needed: usize) -> Stop {
        (at, ParseReason::Truncated { needed, left: self.field.view.units.saturating_sub(at) })
    }

    fn tagged(
        &self,
        tags: &'a Tags,
        tag: Tag,
        at: usize,
        start: usize,
        length: usize,
        length_at: usize,
    ) -> Result<Option<Found<'a>>, Stop> {
        let format = tags.format(tag).ok_or((at, ParseReason::UnknownTag(tag)))?;
        let left = self.field.view.units.saturating_sub(start);
        if length > left {
            return Err((length_at, ParseReason::Truncated { needed: length, left }));
        }
        let next = start + length;
        Ok(Some(Found { step: Step::Tag(tag), format, value: start..next, next, units: None }))
    }

    fn announced(
        &mut self,
        encoding: BitmapEncoding,
        fields: &'a [Option<FieldFormat>],
    ) -> Result<Option<Found<'a>>, Stop> {
        let content = self.field.view.wire();
        if self.announced.is_none() {
            if content.is_empty() {
                return Ok(None);
            }
            let (bitmap, after) = read::nested_bitmap(encoding, content)?;
            self.at = after;
            self.announced = Some(bitmap.iter());
        }
        let Some(number) = self.announced.as_mut().and_then(Iterator::next) else {
            let left = content.len().saturating_sub(self.at);
            return if left == 0 { Ok(None) } else { Err((self.at, ParseReason::Trailing(left))) };
        };
        self.looking = Some(Step::Part(number));
        let format = usize::from(number)
            .checked_sub(2)
            .and_then(|place| fields.get(place)?.as_ref())
            .ok_or((self.at, ParseReason::Undefined))?;
        let plan = Plan::of(format);
        let extent = plan.extent(content, self.at)?;
        if extent.units > plan.max_units() {
            return Err((self.at, plan.longer_than_allowed(extent.units)));
        }
        Ok(Some(Found {
            step: Step::Part(number),
            format,
            value: extent.start..extent.end,
            next: extent.end,
            units: Some(extent.units),
        }))
    }

    fn subfield(&self, found: &Found<'a>) -> Result<Field<'a>, Stop> {
        let parent = &self.field;
        let view = self.view_of(found);
        let view = view.ok_or((found.value.start, ParseReason::Truncated { needed: 1, left: 0 }))?;
        let inside = match (&found.format.structure, found.step, parent.structure) {
            (Structure::None, Step::Tag(tag), Structure::BerTlv(tags))
                if tag.is_constructed()
                    && tags.get(tag).is_none_or(|format| format.class == Class::Binary) =>
            {
                parent.structure
            }
            (structure, ..) => structure,
        };
        Ok(Field {
            format: found.format,
            structure: inside,
            view,
            sensitivity: found.format.sensitivity.inside(parent.sensitivity, self.is_named(found.step)),
            path: parent.path.below(found.step).ok_or((found.value.start, ParseReason::TooDeep))?,
            offset: parent.offset + parent.view.wire_offset(found.value.start),
        })
    }

    /// Whether the dialect knows what the subfield is.
    fn is_named(&self, step: Step) -> bool {
        match (self.field.structure, step) {
            (
                Structure::BerTlv(tags) | Structure::Tlv { tags, .. } | Structure::Ltv { tags, .. },
                Step::Tag(tag),
            ) => tags.get(tag).is_some(),
            (Structure::Own(_) | Structure::None, _) => false,
            _ => true,
        }
    }

    fn view_of(&self, found: &Found<'a>) -> Option<View<'a>> {
        let parent = &self.field.view;
        let own_encoding = match self.field.structure {
            Structure::Positional(_) => parent.format.class == Class::Binary,
            _ => true,
        };
        let part = parent.part(found.value.start, found.value.len())?;
        let reread = own_encoding && parent.is_bytewise();
        Some(if reread { part.reread(found.format, found.units) } else { part })
    }

    fn error(&self, (at, reason): Stop, step: Option<Step>) -> ParseError {
        let path = step.and_then(|step| self.field.path.below(step)).unwrap_or(self.field.path);
        ParseError::new(path, self.field.offset + self.field.view.wire_offset(at), reason)
    }
}

/// The data object that begins at `at`.
fn ber<'a>(view: &View<'a>, tags: &'a Tags, at: usize) -> Result<Found<'a>, Stop> {
    // Four bytes of tag and five of length at most.
    let mut head = [0; 9];
    let mut len = 0;
    for (place, at) in head.iter_mut().zip(at..) {
        let Some(byte) = view.unit(at) else { break };
        *place = byte;
        len += 1;
    }
    let fault = |reason| (at, ParseReason::Tlv(reason));
    let (number, length, head_len) = tlv::read_head(head.get(..len).unwrap_or(&head)).map_err(fault)?;
    let start = at + head_len;
    let left = view.units.saturating_sub(start);
    if length > left {
        return Err(fault(tlv::TlvReason::ValueTruncated { length, left }));
    }
    let tag = Tag::ber(number);
    let format = tags.format(tag).ok_or((at, ParseReason::UnknownTag(tag)))?;
    let next = start + length;
    Ok(Found { step: Step::Tag(tag), format, value: start..next, next, units: None })
}

impl<'a> Iterator for Subfields<'a> {
    type Item = Result<Field<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.looking = None;
        let found = match self.find() {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.done = true;
                return None;
            }
            Err(stop) => {
                self.done = true;
                return Some(Err(self.error(stop, self.looking)));
            }
        };
        self.at = found.next;
        self.count += 1;
        let field = self.subfield(&found);
        self.done = field.is_err();
        Some(field.map_err(|stop| self.error(stop, Some(found.step))))
    }
}
