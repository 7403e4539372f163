//! The grammar of a message: type, bitmaps, fields.
//!
//! Strict reading accepts only what building writes, so that whatever is accepted can be built
//! again to the same bytes. Lenient reading follows the same grammar and notes what it does not
//! like.

use nom::IResult;
use nom::bytes::complete::take;
use nom::error::ErrorKind;

use crate::bitmap::{Bitmap, BitmapLayout, SecondBitmap, THIRD_FIELD, ThirdBitmap, split_announcement};
use crate::dialect::{BitmapEncoding, Dialect, MtiEncoding};
use crate::ebcdic;
use crate::error::{ParseError, ParseReason};
use crate::message::Ends;
use crate::mti::Mti;
use crate::path::Path;
use crate::plan::{Fault, upper_hex};

/// Where a parser stopped and why. The place is kept as the rest of the input, from which the
/// offset follows.
#[derive(Debug)]
struct Failure<'a> {
    rest: &'a [u8],
    reason: ParseReason,
}

impl<'a> nom::error::ParseError<&'a [u8]> for Failure<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Self {
        Self { rest, reason: ParseReason::Truncated { needed: rest.len() + 1, left: rest.len() } }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'a, T> = IResult<&'a [u8], T, Failure<'a>>;

#[cold]
fn fail<T>(rest: &[u8], reason: ParseReason) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Failure { rest, reason }))
}

/// Exactly `N` bytes as an array.
#[inline]
fn array<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match take::<_, _, Failure<'_>>(N)(input) {
        Ok((rest, bytes)) => match bytes.first_chunk() {
            Some(array) => Ok((rest, *array)),
            None => fail(input, ParseReason::Truncated { needed: N, left: bytes.len() }),
        },
        Err(_) => fail(input, ParseReason::Truncated { needed: N, left: input.len() }),
    }
}

fn offset(whole: &[u8], error: nom::Err<Failure<'_>>) -> Fault {
    match error {
        nom::Err::Error(failure) | nom::Err::Failure(failure) => {
            (whole.len().saturating_sub(failure.rest.len()), failure.reason)
        }
        // Only streaming parsers ask for more, and none is used.
        nom::Err::Incomplete(_) => (whole.len(), ParseReason::Truncated { needed: 1, left: 0 }),
    }
}

/// The message type and the bytes it takes.
#[inline]
pub(crate) fn mti(encoding: MtiEncoding, body: &[u8]) -> Result<(Mti, usize), ParseError> {
    match mti_parser(encoding, body) {
        Ok((rest, mti)) => Ok((mti, body.len() - rest.len())),
        Err(error) => {
            let (at, reason) = offset(body, error);
            Err(ParseError::new(Path::Mti, at, reason))
        }
    }
}

#[inline]
fn mti_parser(encoding: MtiEncoding, input: &[u8]) -> Parsed<'_, Mti> {
    let zero = if encoding == MtiEncoding::Ebcdic { 0xF0 } else { b'0' };
    if encoding == MtiEncoding::Bcd {
        let (rest, [high, low]) = array::<2>(input)?;
        return match Mti::from_digits([high >> 4, high & 0x0F, low >> 4, low & 0x0F]) {
            Some(mti) => Ok((rest, mti)),
            None => {
                let first_is_fine = high >> 4 <= 9 && high & 0x0F <= 9;
                let (at, byte) = if first_is_fine { (1, low) } else { (0, high) };
                fail(input.get(at..).unwrap_or_default(), ParseReason::NotPackedDigits(byte))
            }
        };
    }
    let (rest, digits) = array::<4>(input)?;
    match Mti::from_digits(digits.map(|byte| byte.wrapping_sub(zero))) {
        Some(mti) => Ok((rest, mti)),
        None => {
            let at = digits.iter().position(|byte| byte.wrapping_sub(zero) > 9).unwrap_or_default();
            let byte = digits.get(at).copied().unwrap_or_default();
            fail(input.get(at..).unwrap_or_default(), ParseReason::NotADigit(byte))
        }
    }
}

/// Eight bytes of bitmap that begin at `at`, and where they end.
#[inline]
fn word(encoding: BitmapEncoding, body: &[u8], at: usize) -> Result<(u64, usize), Fault> {
    let input = body.get(at..).unwrap_or_default();
    match word_parser(encoding, input) {
        Ok((rest, word)) => Ok((word, body.len() - rest.len())),
        Err(error) => {
            let (within, reason) = offset(input, error);
            Err((at + within, reason))
        }
    }
}

#[inline]
fn word_parser(encoding: BitmapEncoding, input: &[u8]) -> Parsed<'_, u64> {
    if encoding == BitmapEncoding::Binary {
        let (rest, bytes) = array::<8>(input)?;
        return Ok((rest, u64::from_be_bytes(bytes)));
    }
    let (rest, hex) = array::<16>(input)?;
    if encoding == BitmapEncoding::Hex
        && let Some(word) = crate::scan::hex_word(&hex)
    {
        return Ok((rest, word));
    }
    let mut word = 0u64;
    for (at, byte) in hex.into_iter().enumerate() {
        let digit =
            if encoding == BitmapEncoding::EbcdicHex { ebcdic::hex_digit(byte) } else { upper_hex(byte) };
        let Some(digit) = digit else {
            return fail(input.get(at..).unwrap_or_default(), ParseReason::NotHex(byte));
        };
        word = word << 4 | u64::from(digit);
    }
    Ok((rest, word))
}

/// The bitmaps at the beginning of a message, and where they end.
#[inline]
fn bitmaps(
    layout: BitmapLayout,
    body: &[u8],
    at: usize,
    notes: &mut impl Notes,
) -> Result<(Bitmap, usize), ParseError> {
    let error = |(at, reason): Fault| ParseError::new(Path::Bitmap, at, reason);
    let read = |at| word(layout.encoding, body, at).map_err(error);
    let (first, mut end) = read(at)?;
    let (first, announced) = split_announcement(first);
    let mut words = [first, 0, 0];
    let follows = match layout.second {
        SecondBitmap::Chained => announced,
        SecondBitmap::AlwaysClear | SecondBitmap::AlwaysSet => true,
        SecondBitmap::Never => false,
    };
    let expected = match layout.second {
        SecondBitmap::Chained => announced,
        SecondBitmap::AlwaysSet => true,
        SecondBitmap::AlwaysClear | SecondBitmap::Never => false,
    };
    if announced != expected {
        notes.note(error((at, ParseReason::FirstBit { found: announced })))?;
    }
    if follows {
        let start = end;
        (words[1], end) = read(start)?;
        if words[1] == 0 && layout.second == SecondBitmap::Chained {
            notes.note(error((start, ParseReason::EmptySecondary)))?;
        }
        if layout.third == ThirdBitmap::Leading {
            let (second, announced) = split_announcement(words[1]);
            words[1] = second;
            if announced {
                let start = end;
                (words[2], end) = read(start)?;
                if words[2] == 0 {
                    notes.note(error((start, ParseReason::EmptySecondary)))?;
                }
            }
        }
    }
    Ok((Bitmap::from_words(words), end))
}

/// The bitmap inside of a field, and where it ends. A second one follows when bit 1 says so.
pub(crate) fn nested_bitmap(encoding: BitmapEncoding, content: &[u8]) -> Result<(Bitmap, usize), Fault> {
    let layout = BitmapLayout { encoding, second: SecondBitmap::Chained, third: ThirdBitmap::None };
    bitmaps(layout, content, 0, &mut Strict).map_err(|error| (error.offset(), error.reason()))
}

/// What becomes of something that the dialect would not have written.
pub(crate) trait Notes {
    /// Keeps the deviation and goes on, or gives it back to stop at it.
    fn note(&mut self, deviation: ParseError) -> Result<(), ParseError>;
}

/// Stops at the first deviation.
pub(crate) struct Strict;

impl Notes for Strict {
    #[inline]
    fn note(&mut self, deviation: ParseError) -> Result<(), ParseError> {
        Err(deviation)
    }
}

/// Notes every deviation that need not end the reading.
impl Notes for Vec<ParseError> {
    fn note(&mut self, deviation: ParseError) -> Result<(), ParseError> {
        self.push(deviation);
        Ok(())
    }
}

/// Type and bitmaps of a message, and where its fields begin.
#[inline]
pub(crate) fn head(
    dialect: &Dialect,
    body: &[u8],
    notes: &mut impl Notes,
) -> Result<(Mti, Bitmap, usize), ParseError> {
    let (mti, at) = mti(dialect.mti, body)?;
    let (bitmap, start) = bitmaps(dialect.bitmap, body, at, notes)?;
    Ok((mti, bitmap, start))
}

/// The fields that `bitmap` announces, from byte `start` on. What was read stands in `bitmap` and
/// `ends` also after an error.
#[inline]
pub(crate) fn fields(
    dialect: &Dialect,
    body: &[u8],
    start: usize,
    bitmap: &mut Bitmap,
    ends: &mut Ends,
    notes: &mut impl Notes,
) -> Result<usize, ParseError> {
    let mut at = start;
    let mut numbers = bitmap.iter();
    let mut count = 0;
    while let Some(number) = numbers.next() {
        let read = field(dialect, body, at, number, notes);
        let end = match read {
            Ok(end) => end,
            Err(error) => {
                *bitmap = bitmap.below(number);
                return Err(error);
            }
        };
        if number == THIRD_FIELD && dialect.bitmap.third == ThirdBitmap::Field65 {
            let third = word(dialect.bitmap.encoding, body, at).and_then(|(word, _)| {
                if word == 0 { Err((at, ParseReason::EmptySecondary)) } else { Ok(word) }
            });
            match third {
                Ok(word) => {
                    bitmap.set_third(word);
                    numbers.add_third(word);
                }
                Err((at, reason)) => {
                    *bitmap = bitmap.below(number);
                    return Err(ParseError::new(Path::Field(number), at, reason));
                }
            }
        }
        ends.set(count, end);
        count += 1;
        at = end;
    }
    if at < body.len() {
        notes.note(ParseError::new(Path::End, at, ParseReason::Trailing(body.len() - at)))?;
    }
    Ok(at)
}

/// Where field `number` ends that begins at byte `at`.
#[inline]
fn field(
    dialect: &Dialect,
    body: &[u8],
    at: usize,
    number: u8,
    notes: &mut impl Notes,
) -> Result<usize, ParseError> {
    let error = |at, reason| ParseError::new(Path::Field(number), at, reason);
    let Some(plan) = dialect.plans.get(usize::from(number)) else {
        return Err(error(at, ParseReason::Undefined));
    };
    let extent = plan.extent(body, at).map_err(|(at, reason)| error(at, reason))?;
    if extent.units > plan.max_units() {
        notes.note(error(at, plan.longer_than_allowed(extent.units)))?;
    }
    if let Some(content) = body.get(extent.start..extent.end)
        && let Some(format) = dialect.field(number)
        && let Err((within, reason)) = plan.check(format, content, extent.units)
    {
        notes.note(error(extent.start + within, reason))?;
    }
    Ok(extent.end)
}
