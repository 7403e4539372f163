//! Values that a field can hold, from arbitrary bytes.

use iso8583::{Class, Digits, FieldFormat, Length, Unit};

/// The longest value of a variable field, so that inputs stay short; past all one- and two-digit
/// boundaries that matter.
const LONGEST: usize = 130;

/// Takes `length` and as many of `bytes` as it needs, and makes a value of the field's class with
/// an allowed length. Missing bytes count as zero. Returns what was not taken.
pub fn value<'a>(format: &FieldFormat, length: u8, bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    out.clear();
    let sign = format.class() == Class::SignedNumeric;
    let mut units = match format.length() {
        Length::Fixed(units) => usize::from(units),
        Length::Variable { max, .. } => usize::from(length) % (usize::from(max).min(LONGEST) + 1),
    };
    // Lengths in bytes say nothing of half a byte.
    let in_bytes = format.unit() == Unit::Bytes && matches!(format.digits(), Digits::Bcd { .. });
    if in_bytes && matches!(format.class(), Class::Numeric | Class::SignedNumeric | Class::Track) {
        units &= !1;
    }
    if sign {
        out.push(if length & 0x80 == 0 { b'C' } else { b'D' });
    }
    let (taken, rest) = bytes.split_at(units.min(bytes.len()));
    let alphabet = alphabet(format.class());
    let padded = taken.iter().copied().chain(std::iter::repeat(0)).take(units);
    out.extend(padded.map(|byte| match alphabet {
        [] => byte,
        // What is of the class already stays as it is: seeds are readable.
        _ if alphabet.contains(&byte) => byte,
        _ => alphabet[usize::from(byte) % alphabet.len()],
    }));
    rest
}

/// The characters of a class; none means every byte.
fn alphabet(class: Class) -> &'static [u8] {
    match class {
        Class::Numeric | Class::SignedNumeric => b"0123456789",
        Class::Track => b"0123456789:;<=>?",
        Class::Alphabetic => b"ABCXYZabcxyz ",
        Class::Binary => b"",
        _ => b"0123456789ABCXYZabcxyz ",
    }
}
