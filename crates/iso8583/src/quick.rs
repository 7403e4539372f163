//! A first pass over the fields of a message that only ever says yes.
//!
//! Nearly all messages are in order. For them it is enough to know where each field ends and that
//! every byte is of its class, and neighbours of the same class are judged in one go. Whenever
//! anything is not as usual this pass gives up, and the careful one in `read` decides and explains.

use crate::bitmap::{Bitmap, BitmapLayout, SecondBitmap, ThirdBitmap, split_announcement};
use crate::dialect::{BitmapEncoding, MtiEncoding};
use crate::format::{Align, Digits, FieldFormat, Length, LengthEncoding, Unit};
use crate::message::Ends;
use crate::mti::Mti;
use crate::plan::{Check, Plan};
use crate::scan;

/// What this pass knows of the fields, in rows for each word of the bitmap.
pub(crate) type Table = [[Quick; 64]; 3];

/// What this pass knows of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    kind: Kind,
    judge: Judge,
    /// Where an odd number of packed digits has its filler, and what it is.
    filler: Filler,
    /// Bytes of a fixed field, or the most characters of another.
    len: u16,
    /// Characters of a fixed field.
    units: u16,
    /// Whether the bytes before the content, if there are any, are judged as the content is.
    shares_prefix: bool,
}

/// How the length of a field is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In a way that is left to the careful pass.
    Rare,
    Fixed,
    /// As `Fixed`, with an odd number of packed digits.
    FixedOdd,
    Ascii2,
    Ascii3,
    /// A packed prefix of one or two bytes that counts bytes …
    Bcd1,
    Bcd2,
    /// … or packed digits.
    Bcd1Half,
    Bcd2Half,
}

/// What all bytes of a run of fields have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    Anything,
    Digits,
    Packed,
    Text,
    Alphanumeric,
    UpperHex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filler {
    None,
    /// After the last digit, or before the first.
    Last(u8),
    First(u8),
}

impl Quick {
    /// A field that is left to the careful pass, or none at all.
    pub(crate) const RARE: Self = Self {
        kind: Kind::Rare,
        judge: Judge::Anything,
        filler: Filler::None,
        len: 0,
        units: 0,
        shares_prefix: false,
    };

    pub(crate) fn of(format: &FieldFormat) -> Self {
        let packed = format.is_packed();
        let judge = match Plan::of(format).check_kind() {
            Check::Nothing => Judge::Anything,
            Check::Digits => Judge::Digits,
            Check::Text => Judge::Text,
            Check::Alphanumeric => Judge::Alphanumeric,
            Check::UpperHex => Judge::UpperHex,
            Check::Packed { pad: 0..=9, .. } => Judge::Packed,
            Check::Packed { .. } | Check::Slow => return Self::RARE,
        };
        let filler = match format.digits {
            Digits::Bcd { align: Align::Left, pad } if packed => Filler::Last(pad),
            Digits::Bcd { align: Align::Right, pad } if packed => Filler::First(pad),
            _ => Filler::None,
        };
        let hex = judge == Judge::UpperHex;
        let kind = match (format.length, format.length_encoding) {
            (Length::Fixed(digits), _) if packed && digits % 2 == 1 => Kind::FixedOdd,
            (Length::Fixed(_), _) => Kind::Fixed,
            (Length::Variable { .. }, _) if hex || (packed && format.unit == Unit::Bytes) => Kind::Rare,
            (Length::Variable { prefix_digits: 2, .. }, LengthEncoding::Ascii) if !packed => Kind::Ascii2,
            (Length::Variable { prefix_digits: 3, .. }, LengthEncoding::Ascii) if !packed => Kind::Ascii3,
            (Length::Variable { prefix_digits: 1 | 2, .. }, LengthEncoding::Bcd) if packed => Kind::Bcd1Half,
            (Length::Variable { prefix_digits: 3 | 4, .. }, LengthEncoding::Bcd) if packed => Kind::Bcd2Half,
            (Length::Variable { prefix_digits: 1 | 2, .. }, LengthEncoding::Bcd) => Kind::Bcd1,
            (Length::Variable { prefix_digits: 3 | 4, .. }, LengthEncoding::Bcd) => Kind::Bcd2,
            _ => Kind::Rare,
        };
        let len = match format.length {
            Length::Fixed(_) => format.content_len(format.max_units()),
            Length::Variable { .. } if format.unit == Unit::Digits && judge == Judge::Anything => {
                return Self::RARE;
            }
            Length::Variable { .. } => format.max_units(),
        };
        if len > usize::from(u16::MAX) {
            return Self::RARE;
        }
        #[allow(clippy::cast_possible_truncation, reason = "formats are at most 65,535 characters long")]
        Self {
            kind,
            judge,
            filler,
            len: len as u16,
            units: format.max_units() as u16,
            shares_prefix: match judge {
                Judge::Packed => !matches!(kind, Kind::Ascii2 | Kind::Ascii3),
                // Digits are text, too.
                Judge::Digits | Judge::Text | Judge::Alphanumeric => {
                    matches!(kind, Kind::Ascii2 | Kind::Ascii3)
                }
                Judge::Anything | Judge::UpperHex => false,
            },
        }
    }
}

/// A stretch of the message whose bytes are all judged alike.
struct Run {
    judge: Judge,
    start: usize,
}

impl Run {
    #[inline]
    fn holds(&self, body: &[u8], end: usize) -> bool {
        let Some(bytes) = body.get(self.start..end) else { return false };
        match self.judge {
            Judge::Anything => true,
            Judge::Digits => scan::digits(bytes),
            Judge::Packed => scan::packed_digits(bytes),
            Judge::Text => scan::text(bytes),
            Judge::Alphanumeric => scan::alphanumeric(bytes),
            Judge::UpperHex => scan::upper_hex(bytes),
        }
    }
}

/// Type and bitmaps of a message whose head is as usual, and where its fields begin.
#[inline]
pub(crate) fn head(mti: MtiEncoding, layout: BitmapLayout, body: &[u8]) -> Option<(Mti, Bitmap, usize)> {
    if layout.second != SecondBitmap::Chained || layout.third == ThirdBitmap::Leading {
        return None;
    }
    let (mti, at) = match mti {
        MtiEncoding::Ascii => {
            let digits: &[u8; 4] = body.first_chunk()?;
            (Mti::from_digits(digits.map(|byte| byte.wrapping_sub(b'0')))?, 4)
        }
        MtiEncoding::Bcd => {
            let &[high, low] = body.first_chunk()?;
            (Mti::from_digits([high >> 4, high & 0x0F, low >> 4, low & 0x0F])?, 2)
        }
        MtiEncoding::Ebcdic => return None,
    };
    let word = |at: usize| match layout.encoding {
        BitmapEncoding::Binary => Some((u64::from_be_bytes(*body.get(at..)?.first_chunk()?), at + 8)),
        BitmapEncoding::Hex => Some((scan::hex_word(body.get(at..)?.first_chunk()?)?, at + 16)),
        BitmapEncoding::EbcdicHex => None,
    };
    let (first, at) = word(at)?;
    let (first, announced) = split_announcement(first);
    if !announced {
        return Some((mti, Bitmap::from_words([first, 0, 0]), at));
    }
    let (second, at) = word(at)?;
    (second != 0).then_some((mti, Bitmap::from_words([first, second, 0]), at))
}

/// Whether the fields that `bitmap` announces stand from byte `start` to the end of `body` and are
/// all in order; `ends` holds their ends then.
#[inline]
pub(crate) fn fields(table: &Table, body: &[u8], start: usize, bitmap: Bitmap, ends: &mut Ends) -> bool {
    let mut at = start;
    let mut run = Run { judge: Judge::Anything, start };
    let mut slots = ends.slots();
    for (word, row) in bitmap.words().into_iter().zip(table) {
        if word == 0 {
            continue;
        }
        // The lowest bit is found and cleared faster than the highest.
        let mut left = word.reverse_bits();
        while left != 0 {
            #[allow(clippy::indexing_slicing, reason = "six bits, and the row has 64 places")]
            let field = &row[(left.trailing_zeros() & 63) as usize];
            left &= left - 1;
            if field.kind == Kind::Fixed {
                if field.judge != run.judge {
                    if !run.holds(body, at) {
                        return false;
                    }
                    run = Run { judge: field.judge, start: at };
                }
                at += usize::from(field.len);
            } else {
                let Some((content, end)) = field.variable(body, at) else { return false };
                // A prefix of digits may be judged together with what follows.
                if field.judge != run.judge || !field.shares_prefix {
                    if !run.holds(body, at) {
                        return false;
                    }
                    run = Run { judge: field.judge, start: content };
                }
                at = end;
            }
            if let Some(slot) = slots.next() {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "an end beyond that of the body is given up below"
                )]
                {
                    *slot = at as u16;
                }
            }
        }
    }
    at == body.len() && run.holds(body, at)
}

impl Quick {
    /// Where the content begins and ends of a field that begins at `at` and is not simply fixed;
    /// `None` when it is not in order.
    #[inline]
    fn variable(&self, body: &[u8], at: usize) -> Option<(usize, usize)> {
        let (content, said) = match self.kind {
            Kind::Rare | Kind::Fixed => return None,
            Kind::FixedOdd => {
                let end = at + usize::from(self.len);
                return self.has_filler(body, at, end).then_some((at, end));
            }
            Kind::Ascii2 => {
                let prefix: &[u8; 2] = body.get(at..)?.first_chunk()?;
                let [tens, ones] = prefix.map(|byte| byte.wrapping_sub(b'0'));
                (at + 2, (tens <= 9 && ones <= 9).then_some(usize::from(tens) * 10 + usize::from(ones))?)
            }
            Kind::Ascii3 => {
                let prefix: &[u8; 3] = body.get(at..)?.first_chunk()?;
                let [hundreds, tens, ones] = prefix.map(|byte| byte.wrapping_sub(b'0'));
                let said = usize::from(hundreds) * 100 + usize::from(tens) * 10 + usize::from(ones);
                (at + 3, (hundreds <= 9 && tens <= 9 && ones <= 9).then_some(said)?)
            }
            Kind::Bcd1 | Kind::Bcd1Half => {
                let prefix = *body.get(at)?;
                let (high, low) = (prefix >> 4, prefix & 0x0F);
                (at + 1, (high <= 9 && low <= 9).then_some(usize::from(high) * 10 + usize::from(low))?)
            }
            Kind::Bcd2 | Kind::Bcd2Half => {
                let prefix: &[u8; 2] = body.get(at..)?.first_chunk()?;
                let [(a, b), (c, d)] = prefix.map(|byte| (usize::from(byte >> 4), usize::from(byte & 0x0F)));
                (at + 2, (a <= 9 && b <= 9 && c <= 9 && d <= 9).then_some(a * 1000 + b * 100 + c * 10 + d)?)
            }
        };
        if said > usize::from(self.len) {
            return None;
        }
        if !matches!(self.kind, Kind::Bcd1Half | Kind::Bcd2Half) {
            return Some((content, content + said));
        }
        let end = content + said.div_ceil(2);
        (said % 2 == 0 || self.has_filler(body, content, end)).then_some((content, end))
    }

    /// Appends the field for a value of one byte for each character, and tells whether it did: a
    /// value that is not as usual is left to careful writing.
    #[inline]
    pub(crate) fn put(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let (units, most) = (value.len(), usize::from(self.len));
        let fine = match self.judge {
            Judge::Digits | Judge::Packed => scan::digits(value),
            Judge::Text => scan::text(value),
            Judge::Alphanumeric => scan::alphanumeric(value),
            Judge::Anything => true,
            Judge::UpperHex => false,
        };
        if !fine {
            return false;
        }
        #[allow(clippy::cast_possible_truncation, reason = "each is a digit or two")]
        match self.kind {
            Kind::Fixed | Kind::FixedOdd if units == usize::from(self.units) => {}
            Kind::Ascii2 if units <= most => {
                out.extend_from_slice(&[b'0' + (units / 10) as u8, b'0' + (units % 10) as u8]);
            }
            Kind::Ascii3 if units <= most => out.extend_from_slice(&[
                b'0' + (units / 100) as u8,
                b'0' + (units / 10 % 10) as u8,
                b'0' + (units % 10) as u8,
            ]),
            Kind::Bcd1 | Kind::Bcd1Half if units <= most => out.push((units / 10 * 16 + units % 10) as u8),
            Kind::Bcd2 | Kind::Bcd2Half if units <= most => out.extend_from_slice(&[
                (units / 1000 * 16 + units / 100 % 10) as u8,
                (units / 10 % 10 * 16 + units % 10) as u8,
            ]),
            _ => return false,
        }
        if self.judge == Judge::Packed {
            self.pack(value, out);
        } else {
            append(value, out);
        }
        true
    }

    /// As [`Quick::put`], for a value in the form of texts.
    #[inline]
    pub(crate) fn put_text(&self, text: &str, out: &mut Vec<u8>) -> bool {
        match self.judge {
            // Bytes are written in hexadecimal, and only text may have escapes.
            Judge::Anything => false,
            Judge::Text if text.as_bytes().contains(&b'\\') => false,
            _ => self.put(text.as_bytes(), out),
        }
    }

    #[inline]
    fn pack(&self, digits: &[u8], out: &mut Vec<u8>) {
        let mut digits = digits;
        if let Filler::First(pad) = self.filler
            && digits.len() % 2 == 1
            && let Some((&first, rest)) = digits.split_first()
        {
            out.push(pad << 4 | first & 0x0F);
            digits = rest;
        }
        let (pairs, last) = digits.as_chunks::<2>();
        out.extend(pairs.iter().map(|&[high, low]| high << 4 | low & 0x0F));
        if let (Filler::Last(pad), [last]) = (self.filler, last) {
            out.push(last << 4 | pad);
        }
    }

    #[inline]
    fn has_filler(&self, body: &[u8], start: usize, end: usize) -> bool {
        match self.filler {
            Filler::None => true,
            Filler::Last(pad) => body.get(end.wrapping_sub(1)).is_some_and(|byte| byte & 0x0F == pad),
            Filler::First(pad) => body.get(start).is_some_and(|byte| byte >> 4 == pad),
        }
    }
}

/// Appends a value that is short more often than not, without a call for those that are.
#[inline]
fn append(value: &[u8], out: &mut Vec<u8>) {
    let (start, len) = (out.len(), value.len());
    match (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        (Some(first), Some(last)) if len <= 16 => {
            // What `last` has more than `first`, moved next to it: nothing when both are the same.
            let more = u128::from(u64::from_le_bytes(*last)) << 64 >> (8 * (16 - len));
            let more = more & !u128::from(u64::MAX);
            out.extend_from_slice(&(u128::from(u64::from_le_bytes(*first)) | more).to_le_bytes());
            out.truncate(start + len);
        }
        (Some(_), _) => out.extend_from_slice(value),
        _ => match (value.first_chunk::<4>(), value.last_chunk::<4>(), value) {
            (Some(first), Some(last), _) => {
                let more = u64::from(u32::from_le_bytes(*last)) << 32 >> (8 * (8 - len));
                let more = more & !u64::from(u32::MAX);
                out.extend_from_slice(&(u64::from(u32::from_le_bytes(*first)) | more).to_le_bytes());
                out.truncate(start + len);
            }
            (.., &[a, b, c]) => out.extend_from_slice(&[a, b, c]),
            (.., &[a, b]) => out.extend_from_slice(&[a, b]),
            (.., &[a]) => out.push(a),
            _ => {}
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_are_appended_whole() {
        for len in 0..40u8 {
            let value: Vec<u8> = (1..=len).collect();
            let mut out = vec![0xAA; 3];
            append(&value, &mut out);
            assert_eq!(out, [vec![0xAA; 3], value].concat());
        }
    }
}
