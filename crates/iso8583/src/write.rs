//! Values to wire bytes: the other half of the grammar in `read`.

use std::borrow::Cow;

use crate::bitmap::{Bitmap, BitmapLayout};
use crate::class::{Class, is_sign};
use crate::dialect::{BitmapEncoding, MtiEncoding};
use crate::ebcdic;
use crate::error::ValueError;
use crate::format::{Align, Binary, Charset, Digits, FieldFormat, Fill, Length, LengthEncoding, Unit};
use crate::mti::Mti;
use crate::scan;
use crate::text::unescape;

fn mti(encoding: MtiEncoding, mti: Mti) -> ([u8; 4], usize) {
    let [a, b, c, d] = mti.digits();
    match encoding {
        MtiEncoding::Ascii => ([a, b, c, d].map(|digit| b'0' + digit), 4),
        MtiEncoding::Ebcdic => ([a, b, c, d].map(|digit| 0xF0 + digit), 4),
        MtiEncoding::Bcd => ([a << 4 | b, c << 4 | d, 0, 0], 2),
    }
}

/// The most bytes that type and bitmaps take.
pub(crate) const LONGEST_HEAD: usize = 4 + 3 * 16;

/// Type and bitmaps of a message, and how many bytes they take.
#[inline]
pub(crate) fn head(
    encoding: MtiEncoding,
    layout: BitmapLayout,
    type_: Mti,
    bitmap: Bitmap,
) -> ([u8; LONGEST_HEAD], usize) {
    let mut out = [0; LONGEST_HEAD];
    let (digits, mti_len) = mti(encoding, type_);
    if let Some(place) = out.first_chunk_mut::<4>() {
        *place = digits;
    }
    let len = bitmaps(layout, bitmap, &mut out, mti_len);
    (out, len)
}

/// Writes the bitmaps at the beginning of a message, or of a field, to `out` from byte `at` on, and
/// tells where they end.
#[inline]
pub(crate) fn bitmaps(layout: BitmapLayout, bitmap: Bitmap, out: &mut [u8], at: usize) -> usize {
    let (words, count) = bitmap.leading_words(layout);
    let mut end = at;
    for &number in words.iter().take(count) {
        let (bytes, width) = word(layout.encoding, number);
        if let Some(place) = out.get_mut(end..).and_then(|place| place.first_chunk_mut::<16>()) {
            *place = bytes;
        }
        end += width;
    }
    end
}

/// Eight bytes of bitmap.
#[inline]
pub(crate) fn word(encoding: BitmapEncoding, word: u64) -> ([u8; 16], usize) {
    match encoding {
        BitmapEncoding::Binary => {
            let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
            ([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0], 8)
        }
        BitmapEncoding::Hex => (scan::word_hex(word), 16),
        BitmapEncoding::EbcdicHex => {
            (scan::word_hex(word).map(|digit| ebcdic::encode(Charset::Ebcdic037, digit)), 16)
        }
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

fn ebcdic_hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { 0xF0 + nibble } else { 0xC1 + nibble - 10 }
}

/// Appends the field for a value given as text: hexadecimal for class `b`, characters otherwise.
///
/// Nothing is appended on error.
#[inline]
pub(crate) fn text(format: &FieldFormat, text: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
    bytes(format, &value_of(format, text)?, out)
}

/// The value that a text stands for.
#[inline]
pub(crate) fn value_of<'t>(format: &FieldFormat, text: &'t str) -> Result<Cow<'t, [u8]>, ValueError> {
    match format.class {
        Class::Binary => unhex(text).map(Cow::Owned),
        // No escape can stand in a value of these, and they are most.
        Class::Numeric | Class::SignedNumeric | Class::Alphanumeric => Ok(Cow::Borrowed(text.as_bytes())),
        _ if format.charset == Charset::Ascii => Ok(unescape(text)),
        class => latin1(text).ok_or(ValueError::Character { at: 1, class }),
    }
}

/// Latin-1 characters, with escapes undone.
fn latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(unescape(text));
    }
    let escaped: Option<String> = text
        .chars()
        .map(|character| u8::try_from(character).ok())
        .map(|byte| {
            byte.map(|byte| if byte < 0x80 { char::from(byte).to_string() } else { format!("\\x{byte:02X}") })
        })
        .collect();
    Some(Cow::Owned(unescape(&escaped?).into_owned()))
}

fn unhex(text: &str) -> Result<Vec<u8>, ValueError> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ValueError::NotHex);
    }
    pairs
        .iter()
        .map(|&[high, low]| {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(ValueError::NotHex);
            #[allow(clippy::cast_possible_truncation, reason = "two hexadecimal digits fit a byte")]
            Ok((digit(high)? << 4 | digit(low)?) as u8)
        })
        .collect()
}

/// Appends the field for a value given as bytes: one byte for each character, also where the wire
/// packs two.
///
/// Nothing is appended on error.
#[inline]
pub(crate) fn bytes(format: &FieldFormat, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let value = filled(format, value);
    check(format, &value)?;
    prefix(format, value.len(), out);
    content(format, &value, out);
    Ok(())
}

/// The value at the length of its field, where the dialect says how to fill it up.
#[inline]
pub(crate) fn filled<'v>(format: &FieldFormat, value: &'v [u8]) -> Cow<'v, [u8]> {
    let missing = match format.length {
        Length::Fixed(_) => format.max_units().saturating_sub(value.len()),
        Length::Variable { .. } => 0,
    };
    if missing == 0 || format.fill == Fill::None {
        return Cow::Borrowed(value);
    }
    Cow::Owned(match format.fill {
        Fill::None => value.to_vec(),
        Fill::Left(byte) => [&vec![byte; missing], value].concat(),
        Fill::Right(byte) => [value, &vec![byte; missing]].concat(),
    })
}

/// Appends a checked value without its length.
#[inline]
pub(crate) fn content(format: &FieldFormat, value: &[u8], out: &mut Vec<u8>) {
    match (format.class, format.digits, format.charset) {
        (Class::Binary, ..) => match format.binary {
            Binary::Raw => out.extend_from_slice(value),
            Binary::Hex => {
                out.extend(value.iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 0x0F)]))
            }
            Binary::EbcdicHex => out.extend(
                value.iter().flat_map(|byte| [ebcdic_hex_digit(byte >> 4), ebcdic_hex_digit(byte & 0x0F)]),
            ),
        },
        (class, Digits::Bcd { align, pad }, charset) if class.is_packable() => {
            let (sign, digits) = value.split_at_checked(format.sign_len()).unwrap_or((value, &[]));
            out.extend(sign.iter().map(|sign| ebcdic::encode(charset, *sign)));
            pack(digits, align, pad, out);
        }
        (Class::Numeric | Class::Track, Digits::Ebcdic, _) => {
            out.extend(value.iter().map(|byte| ebcdic::encode(Charset::Ebcdic037, *byte)));
        }
        (Class::Numeric | Class::Track, ..) | (_, _, Charset::Ascii) => out.extend_from_slice(value),
        (_, _, charset) => out.extend(value.iter().map(|byte| ebcdic::encode(charset, *byte))),
    }
}

/// Appends the length prefix of a value of `units` characters; nothing for fixed fields.
#[inline]
pub(crate) fn prefix(format: &FieldFormat, units: usize, out: &mut Vec<u8>) {
    let Length::Variable { prefix_digits, .. } = format.length else {
        return;
    };
    let said = format.said_of(units);
    #[allow(clippy::cast_possible_truncation, reason = "each is below 256")]
    match (format.length_encoding, prefix_digits) {
        (LengthEncoding::Ascii, 2) => {
            out.extend_from_slice(&[b'0' + (said / 10) as u8, b'0' + (said % 10) as u8])
        }
        (LengthEncoding::Ascii, 3) => out.extend_from_slice(&[
            b'0' + (said / 100) as u8,
            b'0' + (said / 10 % 10) as u8,
            b'0' + (said % 10) as u8,
        ]),
        (LengthEncoding::Bcd, 1 | 2) => out.push((((said / 10) << 4) | (said % 10)) as u8),
        (LengthEncoding::Bcd, 3 | 4) => {
            let (high, low) = (said / 100, said % 100);
            out.extend_from_slice(&[
                (((high / 10) << 4) | (high % 10)) as u8,
                (((low / 10) << 4) | (low % 10)) as u8,
            ]);
        }
        (encoding, digits) => rare_prefix(encoding, encoding.width(digits), said, out),
    }
}

#[cold]
fn rare_prefix(encoding: LengthEncoding, width: usize, said: usize, out: &mut Vec<u8>) {
    let mut left = said;
    let start = out.len();
    out.resize(start + width, 0);
    for byte in out.iter_mut().skip(start).rev() {
        #[allow(clippy::cast_possible_truncation, reason = "each arm is below 256")]
        match encoding {
            LengthEncoding::Ascii | LengthEncoding::Ebcdic => {
                let zero = if encoding == LengthEncoding::Ascii { b'0' } else { 0xF0 };
                *byte = zero + (left % 10) as u8;
                left /= 10;
            }
            LengthEncoding::Bcd => {
                *byte = (((left / 10 % 10) << 4) | (left % 10)) as u8;
                left /= 100;
            }
            LengthEncoding::Binary => {
                *byte = (left & 0xFF) as u8;
                left >>= 8;
            }
            LengthEncoding::Hex => {
                *byte = hex_digit((left & 0x0F) as u8);
                left >>= 4;
            }
        }
    }
}

/// Whether the field can hold a value.
#[inline]
pub(crate) fn check(format: &FieldFormat, value: &[u8]) -> Result<(), ValueError> {
    let (found, max) = (value.len(), format.max_units());
    let wrong_length = match format.length {
        Length::Fixed(_) => found != max,
        Length::Variable { .. } => found > max || format.unit == Unit::Bytes && format.is_packed(),
    };
    if wrong_length {
        check_length(format, value)?;
    }
    let fine = match format.class {
        Class::Binary => true,
        Class::Numeric => scan::digits(value),
        Class::Alphanumeric => scan::alphanumeric(value),
        Class::Text => scan::text(value),
        _ => false,
    };
    if fine { Ok(()) } else { check_characters(format.class, value) }
}

#[cold]
fn check_length(format: &FieldFormat, value: &[u8]) -> Result<(), ValueError> {
    let (found, max, unit) = (value.len(), format.max_units(), unit_name(format));
    match format.length {
        Length::Fixed(_) => return Err(ValueError::WrongLength { expected: max, found, unit }),
        Length::Variable { .. } if found > max => return Err(ValueError::TooLong { max, found, unit }),
        Length::Variable { .. } => {}
    }
    let sign = format.sign_len();
    if (found - sign.min(found)).is_multiple_of(2) {
        // With an even number no filler is there, and no digit may look like one.
        let filler = match format.digits {
            Digits::Bcd { align: Align::Left, pad } => {
                value.get(sign..).unwrap_or_default().last().is_some_and(|last| nibble(*last) == pad)
            }
            Digits::Bcd { align: Align::Right, pad } => {
                value.get(sign).is_some_and(|first| nibble(*first) == pad)
            }
            _ => false,
        };
        return if filler && format.pad_tells_odd() { Err(ValueError::LikeFiller) } else { Ok(()) };
    }
    if format.pad_tells_odd() { Ok(()) } else { Err(ValueError::OddDigits) }
}

#[cold]
fn check_characters(class: Class, value: &[u8]) -> Result<(), ValueError> {
    let (characters, skipped) = match (class, value.split_first()) {
        (Class::SignedNumeric, Some((&sign, digits))) if is_sign(sign) => (digits, 1),
        (Class::SignedNumeric, _) => return Err(ValueError::Sign),
        _ => (value, 0),
    };
    match characters.iter().position(|byte| !class.allows(*byte)) {
        None => Ok(()),
        Some(at) => Err(ValueError::Character { at: at + 1 + skipped, class }),
    }
}

fn unit_name(format: &FieldFormat) -> &'static str {
    match format.class {
        Class::Numeric => "digits",
        Class::Binary => "bytes",
        _ => "characters",
    }
}

/// A track separator written `D` becomes the nibble it stands for.
fn nibble(byte: u8) -> u8 {
    if byte == b'D' { 0x0D } else { byte & 0x0F }
}

/// Packs checked digits two to the byte.
#[inline]
fn pack(digits: &[u8], align: Align, pad: u8, out: &mut Vec<u8>) {
    let mut digits = digits;
    if align == Align::Right
        && digits.len() % 2 == 1
        && let Some((&first, rest)) = digits.split_first()
    {
        out.push(pad << 4 | nibble(first));
        digits = rest;
    }
    let (pairs, last) = digits.as_chunks::<2>();
    out.extend(pairs.iter().map(|&[high, low]| nibble(high) << 4 | nibble(low)));
    out.extend(last.iter().map(|&digit| nibble(digit) << 4 | pad));
}
