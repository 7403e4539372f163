//! Values to wire bytes: the other half of the grammar in `read`.

use crate::class::{Class, is_sign};
use crate::dialect::{BitmapEncoding, MtiEncoding};
use crate::error::ValueError;
use crate::format::{Align, Binary, Digits, FieldFormat, Length, LengthEncoding, Unit};
use crate::mti::Mti;
use crate::read::{prefix_width, said_of};
use crate::text::unescape;

pub(crate) fn mti(encoding: MtiEncoding, mti: Mti, out: &mut Vec<u8>) {
    let [a, b, c, d] = mti.digits();
    match encoding {
        MtiEncoding::Ascii => out.extend_from_slice(&[a, b, c, d].map(|digit| b'0' + digit)),
        MtiEncoding::Bcd => out.extend_from_slice(&[a << 4 | b, c << 4 | d]),
    }
}

pub(crate) fn bitmap(encoding: BitmapEncoding, bytes: &[u8], out: &mut Vec<u8>) {
    match encoding {
        BitmapEncoding::Binary => out.extend_from_slice(bytes),
        BitmapEncoding::Hex => hex(bytes, out),
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0x0F)]);
    }
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 }
}

/// Appends the field for a value given as text: hexadecimal for class `b`, characters otherwise.
///
/// Nothing is appended on error.
pub(crate) fn text(format: &FieldFormat, text: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match format.class {
        Class::Binary => bytes(format, &unhex(text)?, out),
        _ => bytes(format, &unescape(text), out),
    }
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
pub(crate) fn bytes(format: &FieldFormat, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    check(format, value)?;
    prefix(format, value.len(), out);
    match (format.class, format.digits, format.binary) {
        (Class::Binary, _, Binary::Hex) => hex(value, out),
        (class, Digits::Bcd { align, pad }, _) if class.is_packable() => {
            let (sign, digits) = value.split_at_checked(format.sign_len()).unwrap_or((value, &[]));
            out.extend_from_slice(sign);
            pack(digits, align, pad, out);
        }
        _ => out.extend_from_slice(value),
    }
    Ok(())
}

/// Appends the length prefix of a value of `units` characters; nothing for fixed fields.
pub(crate) fn prefix(format: &FieldFormat, units: usize, out: &mut Vec<u8>) {
    let Length::Variable { prefix_digits, .. } = format.length else {
        return;
    };
    let width = prefix_width(format.length_encoding, prefix_digits);
    let mut left = said_of(format, units);
    let start = out.len();
    out.resize(start + width, 0);
    for byte in out.iter_mut().skip(start).rev() {
        #[allow(clippy::cast_possible_truncation, reason = "each arm is below 256")]
        match format.length_encoding {
            LengthEncoding::Ascii => {
                *byte = b'0' + (left % 10) as u8;
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
        }
    }
}

fn check(format: &FieldFormat, value: &[u8]) -> Result<(), ValueError> {
    let (found, unit) = (value.len(), unit_name(format));
    match format.length {
        Length::Fixed(_) if found != format.max_units() => {
            return Err(ValueError::WrongLength { expected: format.max_units(), found, unit });
        }
        Length::Variable { .. } if found > format.max_units() => {
            return Err(ValueError::TooLong { max: format.max_units(), found, unit });
        }
        Length::Variable { .. }
            if format.unit == Unit::Bytes
                && format.class.is_packable()
                && format.digits != Digits::Ascii
                && (found - format.sign_len().min(found)) % 2 == 1 =>
        {
            return Err(ValueError::OddDigits);
        }
        _ => {}
    }
    let class = format.class;
    let characters = match class {
        Class::Binary => return Ok(()),
        Class::SignedNumeric => match value.split_first() {
            Some((&sign, digits)) if is_sign(sign) => digits,
            _ => return Err(ValueError::Sign),
        },
        _ => value,
    };
    match characters.iter().position(|byte| !class.allows(*byte)) {
        None => Ok(()),
        Some(at) => Err(ValueError::Character { at: at + 1 + format.sign_len(), class }),
    }
}

fn unit_name(format: &FieldFormat) -> &'static str {
    match format.class {
        Class::Numeric => "digits",
        Class::Binary => "bytes",
        _ => "characters",
    }
}

/// Packs checked digits two to the byte. A track separator written `D` becomes the nibble it
/// stands for.
fn pack(digits: &[u8], align: Align, pad: u8, out: &mut Vec<u8>) {
    let nibble = |byte: u8| if byte == b'D' { 0x0D } else { byte & 0x0F };
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
