//! The grammar of a message as nom parsers over borrowed bytes.
//!
//! Every parser accepts only what building writes, so that whatever is accepted can be built again
//! to the same bytes.

use nom::IResult;
use nom::bytes::complete::take;
use nom::error::ErrorKind;

use crate::bitmap::Bitmap;
use crate::class::{Class, is_sign};
use crate::dialect::{BitmapEncoding, MtiEncoding};
use crate::error::ParseReason;
use crate::format::{Align, Binary, Digits, FieldFormat, Length, LengthEncoding, Unit};
use crate::mti::Mti;

/// Where a parser stopped and why. The place is kept as the rest of the input, from which the
/// offset follows.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) reason: ParseReason,
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

fn fail<T>(rest: &[u8], reason: ParseReason) -> Parsed<'_, T> {
    Err(nom::Err::Failure(Failure { rest, reason }))
}

/// Exactly `needed` bytes.
fn bytes(needed: usize, input: &[u8]) -> Parsed<'_, &[u8]> {
    take(needed)(input).map_err(|_: nom::Err<Failure<'_>>| truncated(needed, input))
}

/// Exactly `N` bytes as an array.
fn array<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match input.split_first_chunk::<N>() {
        Some((array, rest)) => Ok((rest, *array)),
        None => Err(truncated(N, input)),
    }
}

fn truncated(needed: usize, rest: &[u8]) -> nom::Err<Failure<'_>> {
    nom::Err::Failure(Failure { rest, reason: ParseReason::Truncated { needed, left: rest.len() } })
}

pub(crate) fn mti(encoding: MtiEncoding, input: &[u8]) -> Parsed<'_, Mti> {
    match encoding {
        MtiEncoding::Ascii => {
            let (rest, ascii) = array::<4>(input)?;
            match Mti::from_digits(ascii.map(|byte| byte.wrapping_sub(b'0'))) {
                Some(mti) => Ok((rest, mti)),
                None => not_a_digit(input, &ascii),
            }
        }
        MtiEncoding::Bcd => {
            let (rest, [high, low]) = array::<2>(input)?;
            match Mti::from_digits([high >> 4, high & 0x0F, low >> 4, low & 0x0F]) {
                Some(mti) => Ok((rest, mti)),
                None => not_packed(input, &[high, low]),
            }
        }
    }
}

fn not_a_digit<'a, T>(input: &'a [u8], ascii: &[u8]) -> Parsed<'a, T> {
    let (at, byte) = find(ascii, |byte| !byte.is_ascii_digit());
    fail(input.get(at..).unwrap_or_default(), ParseReason::NotADigit(byte))
}

fn not_packed<'a, T>(input: &'a [u8], packed: &[u8]) -> Parsed<'a, T> {
    let (at, byte) = find(packed, |byte| !is_packed_decimal(byte));
    fail(input.get(at..).unwrap_or_default(), ParseReason::NotPackedDigits(byte))
}

fn find(bytes: &[u8], wrong: impl Fn(u8) -> bool) -> (usize, u8) {
    bytes.iter().copied().enumerate().find(|(_, byte)| wrong(*byte)).unwrap_or_default()
}

fn is_packed_decimal(byte: u8) -> bool {
    byte >> 4 <= 9 && byte & 0x0F <= 9
}

pub(crate) fn bitmap(encoding: BitmapEncoding, input: &[u8]) -> Parsed<'_, Bitmap> {
    let (rest, primary) = half_bitmap(encoding, input)?;
    let bitmap = Bitmap::from_primary(primary);
    if !bitmap.announces_secondary() {
        return Ok((rest, bitmap));
    }
    let (end, secondary) = half_bitmap(encoding, rest)?;
    let bitmap = bitmap.with_secondary(secondary);
    if !bitmap.has_second_half() {
        return fail(rest, ParseReason::EmptySecondary);
    }
    Ok((end, bitmap))
}

fn half_bitmap(encoding: BitmapEncoding, input: &[u8]) -> Parsed<'_, [u8; 8]> {
    match encoding {
        BitmapEncoding::Binary => array::<8>(input),
        BitmapEncoding::Hex => {
            let (rest, hex) = array::<16>(input)?;
            let mut half = 0u64;
            for (at, byte) in hex.into_iter().enumerate() {
                let Some(nibble) = upper_hex(byte) else {
                    return fail(input.get(at..).unwrap_or_default(), ParseReason::NotHex(byte));
                };
                half = half << 4 | u64::from(nibble);
            }
            Ok((rest, half.to_be_bytes()))
        }
    }
}

/// The value of one upper-case hexadecimal digit. Lower case would be built as upper case and is
/// therefore not read.
pub(crate) fn upper_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// One field: its content on the wire and the number of characters in it.
pub(crate) fn field<'a>(format: &FieldFormat, input: &'a [u8]) -> Parsed<'a, (&'a [u8], usize)> {
    let (rest, units) = match format.length {
        Length::Fixed(_) => (input, format.max_units()),
        Length::Variable { prefix_digits, .. } => {
            let (rest, said) = length(format.length_encoding, prefix_digits, input)?;
            match units_of(format, said) {
                Some(units) => (rest, units),
                None => {
                    let max = said_of(format, format.max_units());
                    return fail(input, ParseReason::Length { length: said, max });
                }
            }
        }
    };
    let (end, content) = bytes(format.content_len(units), rest)?;
    match check(format, content, units) {
        Ok(()) => Ok((end, (content, units))),
        Err((at, reason)) => fail(rest.get(at..).unwrap_or_default(), reason),
    }
}

/// What the length prefix says, whatever it counts.
fn length(encoding: LengthEncoding, prefix_digits: u8, input: &[u8]) -> Parsed<'_, usize> {
    let width = prefix_width(encoding, prefix_digits);
    let (rest, prefix) = bytes(width, input)?;
    let mut said = 0usize;
    for &byte in prefix {
        // At most six digits or three bytes, so this stays far below overflow.
        said = match encoding {
            LengthEncoding::Ascii if byte.is_ascii_digit() => said * 10 + usize::from(byte - b'0'),
            LengthEncoding::Ascii => return not_a_digit(input, prefix),
            LengthEncoding::Bcd if is_packed_decimal(byte) => {
                said * 100 + usize::from((byte >> 4) * 10 + (byte & 0x0F))
            }
            LengthEncoding::Bcd => return not_packed(input, prefix),
            LengthEncoding::Binary => said << 8 | usize::from(byte),
        };
    }
    Ok((rest, said))
}

/// Bytes of a length prefix.
pub(crate) fn prefix_width(encoding: LengthEncoding, prefix_digits: u8) -> usize {
    let digits = usize::from(prefix_digits);
    match encoding {
        LengthEncoding::Ascii => digits,
        LengthEncoding::Bcd | LengthEncoding::Binary => digits.div_ceil(2),
    }
}

/// Characters of a value whose length prefix says `said`; `None` when no value of the field has
/// that length.
fn units_of(format: &FieldFormat, said: usize) -> Option<usize> {
    let per_unit = unit_len(format);
    let sign = format.sign_len();
    let units = match per_unit {
        PerByte::One => said,
        PerByte::Two => said.checked_sub(sign)? * 2 + sign,
        PerByte::Half => said.is_multiple_of(2).then_some(said / 2)?,
    };
    (units >= sign && units <= format.max_units()).then_some(units)
}

/// What the length prefix says for a value of `units` characters.
pub(crate) fn said_of(format: &FieldFormat, units: usize) -> usize {
    match format.unit {
        Unit::Characters => units,
        Unit::Bytes => format.content_len(units),
    }
}

/// Characters for each counted unit of a length.
enum PerByte {
    One,
    Two,
    Half,
}

fn unit_len(format: &FieldFormat) -> PerByte {
    match (format.unit, format.class, format.digits, format.binary) {
        (Unit::Bytes, Class::Binary, _, Binary::Hex) => PerByte::Half,
        (Unit::Bytes, class, Digits::Bcd { .. }, _) if class.is_packable() => PerByte::Two,
        _ => PerByte::One,
    }
}

/// Checks the content of a field; an error carries the offset in the content.
fn check(format: &FieldFormat, content: &[u8], units: usize) -> Result<(), (usize, ParseReason)> {
    match (format.class, format.digits, format.binary) {
        (Class::Binary, _, Binary::Raw) => Ok(()),
        (Class::Binary, _, Binary::Hex) => {
            all(content, 0, |byte| upper_hex(byte).is_some(), ParseReason::NotHex)
        }
        (Class::SignedNumeric, digits, _) => {
            let (&sign, amount) =
                content.split_first().ok_or((0, ParseReason::Truncated { needed: 1, left: 0 }))?;
            if !is_sign(sign) {
                return Err((0, ParseReason::Sign(sign)));
            }
            check_digits(Class::Numeric, digits, amount, units.saturating_sub(1))
                .map_err(|(at, reason)| (at + 1, reason))
        }
        (class, digits, _) if class.is_packable() => check_digits(class, digits, content, units),
        (class, ..) => {
            all(content, 0, |byte| class.allows(byte), |byte| ParseReason::Character { byte, class })
        }
    }
}

fn check_digits(
    class: Class,
    digits: Digits,
    content: &[u8],
    units: usize,
) -> Result<(), (usize, ParseReason)> {
    let Digits::Bcd { align, pad } = digits else {
        return all(content, 0, |byte| class.allows(byte), |byte| ParseReason::Character { byte, class });
    };
    let whole = |bytes, from| {
        all(
            bytes,
            from,
            |byte| class.allows_nibble(byte >> 4) && class.allows_nibble(byte & 0x0F),
            ParseReason::NotPackedDigits,
        )
    };
    if units.is_multiple_of(2) {
        return whole(content, 0);
    }
    // An odd number of digits: one nibble of the first or last byte is filler.
    let (at, odd, bytes, from) = match align {
        Align::Left => match content.split_last() {
            Some((&last, bytes)) => (bytes.len(), last.rotate_left(4), bytes, 0),
            None => return Ok(()),
        },
        Align::Right => match content.split_first() {
            Some((&first, bytes)) => (0, first, bytes, 1),
            None => return Ok(()),
        },
    };
    whole(bytes, from)?;
    let (found, digit) = (odd >> 4, odd & 0x0F);
    if !class.allows_nibble(digit) {
        return Err((at, ParseReason::NotPackedDigits(content.get(at).copied().unwrap_or_default())));
    }
    if found != pad {
        return Err((at, ParseReason::Pad { found, expected: pad }));
    }
    Ok(())
}

fn all(
    bytes: &[u8],
    from: usize,
    allowed: impl Fn(u8) -> bool,
    reason: impl Fn(u8) -> ParseReason,
) -> Result<(), (usize, ParseReason)> {
    match bytes.iter().position(|byte| !allowed(*byte)) {
        None => Ok(()),
        Some(at) => Err((from + at, reason(bytes.get(at).copied().unwrap_or_default()))),
    }
}
