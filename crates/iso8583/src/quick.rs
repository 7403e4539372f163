//! A first pass over the fields of a message that only ever says yes.
//!
//! Nearly all messages are in order. For them it is enough to know where each field ends and that
//! every byte is of its class, and neighbours of the same class are judged in one go. Whenever
//! anything is not as usual this pass gives up, and the careful one in `read` decides and explains.

use crate::bitmap::Bitmap;
use crate::format::{Align, Digits, FieldFormat, Length, LengthEncoding, Unit};
use crate::message::Ends;
use crate::plan::{Check, Plan};
use crate::scan;

/// What this pass knows of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    kind: Kind,
    judge: Judge,
    /// Bytes of a fixed field, or the most characters of another.
    len: u16,
    /// Of packed digits: where an odd number has its filler, and what it is.
    filler: Filler,
}

/// How the length of a field is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In a way that is left to the careful pass.
    Rare,
    Fixed,
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
    /// A digit after the last, or before the first; `fixed` fields always have it.
    Last(u8),
    First(u8),
}

impl Quick {
    pub(crate) const RARE: Self =
        Self { kind: Kind::Rare, judge: Judge::Anything, len: 0, filler: Filler::None };

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
        let (len, filler) = match format.length {
            // Only an odd number of digits has a filler.
            Length::Fixed(digits) if digits % 2 == 0 => {
                (format.content_len(format.max_units()), Filler::None)
            }
            Length::Fixed(_) => (format.content_len(format.max_units()), filler),
            Length::Variable { .. } if format.unit == Unit::Digits && judge == Judge::Anything => {
                return Self::RARE;
            }
            Length::Variable { .. } => (format.max_units(), filler),
        };
        #[allow(clippy::cast_possible_truncation, reason = "formats are at most 65,535 characters long")]
        Self { kind, judge, len: len as u16, filler }
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

/// Whether the fields that `bitmap` announces stand from byte `start` to the end of `body` and are
/// all in order; `ends` holds their ends then.
#[inline]
pub(crate) fn fields(
    quick: &[Quick; 256],
    body: &[u8],
    start: usize,
    bitmap: Bitmap,
    ends: &mut Ends,
) -> bool {
    let mut at = start;
    let mut run = Run { judge: Judge::Anything, start };
    let mut slots = ends.slots();
    for number in bitmap.iter() {
        let field = &quick[usize::from(number)];
        let begin = at;
        // A prefix of digits may be judged together with what it stands before.
        let (content, end, own_prefix) = match field.kind {
            Kind::Fixed => (at, at + usize::from(field.len), false),
            Kind::Rare => return false,
            Kind::Ascii2 => match body.get(at..at + 2) {
                Some(&[tens, ones]) => {
                    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
                    if tens > 9 || ones > 9 {
                        return false;
                    }
                    let said = usize::from(tens * 10 + ones);
                    if said > usize::from(field.len) {
                        return false;
                    }
                    (at + 2, at + 2 + said, field.judge != Judge::Digits)
                }
                _ => return false,
            },
            Kind::Ascii3 => match body.get(at..at + 3) {
                Some(&[hundreds, tens, ones]) => {
                    let digits = [hundreds, tens, ones].map(|byte| byte.wrapping_sub(b'0'));
                    if digits.iter().any(|digit| *digit > 9) {
                        return false;
                    }
                    let [hundreds, tens, ones] = digits.map(usize::from);
                    let said = hundreds * 100 + tens * 10 + ones;
                    if said > usize::from(field.len) {
                        return false;
                    }
                    (at + 3, at + 3 + said, field.judge != Judge::Digits)
                }
                _ => return false,
            },
            Kind::Bcd1 | Kind::Bcd1Half => {
                let Some(&prefix) = body.get(at) else { return false };
                let (high, low) = (prefix >> 4, prefix & 0x0F);
                let said = usize::from(high * 10 + low);
                if high > 9 || low > 9 || said > usize::from(field.len) {
                    return false;
                }
                let half = field.kind == Kind::Bcd1Half;
                let end = at + 1 + if half { said.div_ceil(2) } else { said };
                if half && said % 2 == 1 && !field.has_filler(body, at + 1, end) {
                    return false;
                }
                (at + 1, end, field.judge != Judge::Packed)
            }
            Kind::Bcd2 | Kind::Bcd2Half => {
                let Some(&[first, second]) = body.get(at..at + 2) else { return false };
                let (a, b, c, d) = (first >> 4, first & 0x0F, second >> 4, second & 0x0F);
                let said = usize::from(a * 10 + b) * 100 + usize::from(c * 10 + d);
                if a > 9 || b > 9 || c > 9 || d > 9 || said > usize::from(field.len) {
                    return false;
                }
                let half = field.kind == Kind::Bcd2Half;
                let end = at + 2 + if half { said.div_ceil(2) } else { said };
                if half && said % 2 == 1 && !field.has_filler(body, at + 2, end) {
                    return false;
                }
                (at + 2, end, field.judge != Judge::Packed)
            }
        };
        if field.kind == Kind::Fixed && field.filler != Filler::None && !field.has_filler(body, at, end) {
            return false;
        }
        if run.judge != field.judge || own_prefix {
            if !run.holds(body, begin) {
                return false;
            }
            run = Run { judge: field.judge, start: content };
        }
        if let Some(slot) = slots.next() {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "no end is beyond that of the body, or all is in vain"
            )]
            {
                *slot = end as u16;
            }
        }
        at = end;
    }
    at == body.len() && run.holds(body, at)
}

impl Quick {
    #[inline]
    fn has_filler(&self, body: &[u8], start: usize, end: usize) -> bool {
        match self.filler {
            Filler::None => true,
            Filler::Last(pad) => body.get(end.wrapping_sub(1)).is_some_and(|byte| byte & 0x0F == pad),
            Filler::First(pad) => body.get(start).is_some_and(|byte| byte >> 4 == pad),
        }
    }
}
