//! Messages that were damaged on the way: each is refused, with a place inside of it, or is another
//! message that builds to the same bytes.

use proptest::prelude::*;

use iso8583::{Dialect, FieldFormat, Length, LengthEncoding, Message};

use crate::{for_every_dialect, rebuilt};

/// Strict reading refuses the bytes or builds them again; lenient reading notes what strict reading
/// refuses.
fn check(dialect: &'static Dialect, bytes: &[u8]) -> Result<(), TestCaseError> {
    let strict = Message::parse(dialect, bytes);
    match &strict {
        Ok(message) => prop_assert_eq!(rebuilt(message), bytes),
        Err(error) => prop_assert!(error.offset() <= bytes.len(), "{} of {}", error, bytes.len()),
    }
    match Message::parse_lenient(dialect, bytes) {
        Ok(lenient) => {
            prop_assert_eq!(lenient.deviations.is_empty(), strict.is_ok());
            prop_assert!(lenient.deviations.iter().all(|deviation| deviation.offset() <= bytes.len()));
        }
        Err(error) => {
            prop_assert!(error.offset() <= bytes.len(), "{} of {}", error, bytes.len());
            prop_assert!(strict.is_err());
        }
    }
    Ok(())
}

#[test]
fn a_message_cut_off_anywhere_is_refused_inside_of_what_is_left() {
    for_every_dialect(12, |sample| {
        for end in 0..sample.bytes.len() {
            let cut = &sample.bytes[..end];
            let error = Message::parse(sample.dialect, cut).err();
            let error = error.ok_or_else(|| TestCaseError::fail(format!("{end} bytes are a message")))?;
            prop_assert!(error.offset() <= end, "{} of {}", error, end);
            check(sample.dialect, cut)?;
        }
        Ok(())
    });
}

#[test]
fn a_message_with_more_bytes_than_it_has_is_refused_where_they_begin() {
    for_every_dialect(12, |sample| {
        for more in [0x00, 0x20, 0x30, 0xFF] {
            let longer = [sample.bytes.as_slice(), &[more]].concat();
            let error = Message::parse(sample.dialect, &longer).err();
            prop_assert_eq!(error.map(|error| error.offset()), Some(sample.bytes.len()));
            check(sample.dialect, &longer)?;
        }
        Ok(())
    });
}

#[test]
fn every_length_one_more_or_one_less_is_refused_or_another_message() {
    for_every_dialect(24, |sample| {
        let message = sample.message();
        for field in message.fields() {
            let width = prefix_width(field.format());
            let (start, end) = (field.offset() - width, field.offset());
            for change in [-1i64, 1] {
                let prefix = &sample.bytes[start..end];
                let Some(changed) = with_length(field.format(), prefix, change) else { continue };
                let bytes = [&sample.bytes[..start], &changed, &sample.bytes[end..]].concat();
                prop_assert_ne!(&bytes, &sample.bytes);
                check(sample.dialect, &bytes)?;
            }
        }
        Ok(())
    });
}

#[test]
fn every_bit_of_the_bitmap_flipped_is_refused_or_another_message() {
    for_every_dialect(12, |sample| {
        let message = sample.message();
        let mti = message.mti().to_string();
        let start = if sample.bytes.starts_with(mti.as_bytes()) || sample.bytes[0] >= 0xF0 { 4 } else { 2 };
        let first = message.fields().next().map(|field| field.offset() - prefix_width(field.format()));
        let end = first.unwrap_or(sample.bytes.len());
        let digits = digits_of(&sample.bytes[start..end]);
        for at in start..end {
            for damaged in flipped(digits, sample.bytes[at]) {
                let mut bytes = sample.bytes.clone();
                bytes[at] = damaged;
                check(sample.dialect, &bytes)?;
            }
        }
        Ok(())
    });
}

#[test]
fn every_byte_changed_is_refused_or_another_message() {
    for_every_dialect(8, |sample| {
        for at in 0..sample.bytes.len() {
            for change in [0x01, 0x10, 0x80, 0xFF] {
                let mut bytes = sample.bytes.clone();
                bytes[at] ^= change;
                check(sample.dialect, &bytes)?;
            }
        }
        Ok(())
    });
}

/// Bytes of the length before a field's content.
fn prefix_width(format: &FieldFormat) -> usize {
    let Length::Variable { prefix_digits, .. } = format.length() else { return 0 };
    let digits = usize::from(prefix_digits);
    match format.length_encoding() {
        LengthEncoding::Ascii | LengthEncoding::Ebcdic => digits,
        LengthEncoding::Hex => digits.div_ceil(2) * 2,
        _ => digits.div_ceil(2),
    }
}

/// A length changed by one, in the same number of bytes; `None` when there is none or no such length.
fn with_length(format: &FieldFormat, prefix: &[u8], change: i64) -> Option<Vec<u8>> {
    let encoding = format.length_encoding();
    if prefix.is_empty() {
        return None;
    }
    let text: String = match encoding {
        LengthEncoding::Ascii | LengthEncoding::Hex => String::from_utf8(prefix.to_vec()).unwrap(),
        LengthEncoding::Ebcdic => prefix.iter().map(|byte| char::from(byte & 0x0F | 0x30)).collect(),
        _ => hex::encode(prefix),
    };
    let radix = if matches!(encoding, LengthEncoding::Binary | LengthEncoding::Hex) { 16 } else { 10 };
    let length = u64::from_str_radix(&text, radix).unwrap().checked_add_signed(change)?;
    let width = text.len();
    let changed = if radix == 16 { format!("{length:0width$X}") } else { format!("{length:0width$}") };
    match encoding {
        _ if changed.len() != width => None,
        LengthEncoding::Ascii | LengthEncoding::Hex => Some(changed.into_bytes()),
        LengthEncoding::Ebcdic => Some(changed.bytes().map(|digit| digit | 0xF0).collect()),
        _ => Some(hex::decode(changed).unwrap()),
    }
}

const DIGITS: &[u8] = b"0123456789ABCDEF";
const EBCDIC: &[u8] = b"\xF0\xF1\xF2\xF3\xF4\xF5\xF6\xF7\xF8\xF9\xC1\xC2\xC3\xC4\xC5\xC6";

/// The hexadecimal digits that a bitmap is written in; none when it is binary.
fn digits_of(bitmap: &[u8]) -> &'static [u8] {
    let written_in = |digits: &&[u8]| bitmap.len() >= 16 && bitmap.iter().all(|byte| digits.contains(byte));
    [DIGITS, EBCDIC].into_iter().find(written_in).unwrap_or_default()
}

/// A byte of a bitmap with each of its bits flipped, as the bitmap is written.
fn flipped(digits: &[u8], byte: u8) -> Vec<u8> {
    match digits.iter().position(|digit| *digit == byte) {
        Some(digit) => (0..4).filter_map(|bit| digits.get(digit ^ (1 << bit)).copied()).collect(),
        None => (0..8).map(|bit| byte ^ (1 << bit)).collect(),
    }
}
