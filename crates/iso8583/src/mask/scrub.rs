//! Card numbers inside text and bytes that nobody marked as sensitive.

use std::borrow::Cow;
use std::ops::Range;

use super::find::hidden;
use super::units::{Form, Kind, Unit, of_bytes, of_text};

/// The text with the card numbers in it replaced by `*`, except for their first six and last four
/// digits.
///
/// A card number is a run of 13 to 19 decimal digits with a valid check digit (ISO/IEC 7812-1),
/// also one that is
///
/// - printed in groups with a space or a dash between them,
/// - inside a longer run of digits (which is hidden as a whole),
/// - in other digits than ASCII ones, or escaped like the bytes in [`Field::text`](crate::Field::text),
/// - inside the hexadecimal form of some bytes.
///
/// After a card number and a track separator (`=`, `D` or `^`), the rest of the track is hidden.
/// Numbers of up to 12 digits stay as they are. A number of 13 digits or more that happens to have
/// a valid check digit is hidden, too: nobody can tell.
///
/// ```
/// use iso8583::mask::scrub_text;
///
/// assert_eq!(scrub_text("card 4111 1111 1111 1111 declined"), "card 4111 11** **** 1111 declined");
/// assert_eq!(scrub_text("RRN 632512123456"), "RRN 632512123456");
/// ```
#[must_use]
pub fn scrub_text(text: &str) -> Cow<'_, str> {
    scrubbed(text, None)
}

/// As [`scrub_text`], for a text in which values follow each other without bounds: any part of a
/// run of digits may be a card number.
pub(crate) fn scrub_joined(text: &str) -> Cow<'_, str> {
    scrubbed(text, Some(&|_| true))
}

fn scrubbed<'t>(text: &'t str, inside: Option<&dyn Fn(Range<usize>) -> bool>) -> Cow<'t, str> {
    // What may be a digit in any form; most texts have too few.
    let digits = text.bytes().filter(|byte| byte.is_ascii_hexdigit() || !byte.is_ascii()).take(13).count();
    if digits < 13 {
        return Cow::Borrowed(text);
    }
    let mut places = hidden_in_hex(text);
    let mut look = |units: &[Unit]| {
        let found = units.iter().zip(hidden(units, inside)).filter(|(_, hidden)| *hidden);
        places.extend(found.map(|(unit, _)| unit.source.clone()));
    };
    look(&of_bytes(text.as_bytes()));
    // What looks like an escape may be one, or a number that begins behind a percent sign.
    if text.contains(['\\', '%']) {
        look(&of_text(text));
    }
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    // An escape begins where its first character does, and is longer.
    places.sort_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
    Cow::Owned(with_stars(text, places))
}

/// Lower-case hexadecimal of bytes, with the digits of card numbers in them replaced by `*`, except
/// for the first six and last four.
///
/// Digits are looked for in ASCII and other character sets as in [`scrub_text`], one to a byte and
/// packed two to a byte, beginning at either half. What stands for a hidden character is as long as
/// its hexadecimal form, so places stay the same.
///
/// ```
/// use iso8583::mask::hex_scrubbed;
///
/// assert_eq!(hex_scrubbed(b"\x5A\x08\x41\x11\x11\x11\x11\x11\x11\x11"), "5a084111********1111");
/// assert_eq!(hex_scrubbed(b"A"), "41");
/// ```
#[must_use]
pub fn hex_scrubbed(bytes: &[u8]) -> String {
    hex_without(bytes, hidden_nibbles(bytes, None))
}

/// As [`hex_scrubbed`], for bytes in which values follow each other without bounds.
pub(crate) fn hex_of_joined(bytes: &[u8]) -> String {
    hex_without(bytes, hidden_nibbles(bytes, Some(&|_| true)))
}

fn hex_without(bytes: &[u8], hidden: Vec<bool>) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for (nibble, hidden) in nibbles(bytes).zip(hidden) {
        text.push(match (hidden, nibble) {
            (true, _) => '*',
            (false, 0..=9) => char::from(b'0' + nibble),
            (false, _) => char::from(b'a' + nibble - 10),
        });
    }
    text
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F])
}

/// For each nibble, whether it belongs to a hidden digit.
fn hidden_nibbles(bytes: &[u8], inside: Option<&dyn Fn(Range<usize>) -> bool>) -> Vec<bool> {
    let mut all = vec![false; bytes.len() * 2];
    // The shortest card number, packed.
    if bytes.len() < 7 {
        return all;
    }
    let mut hide = |units: &[Unit], found: Vec<bool>, nibbles_each: usize| {
        for (unit, _) in units.iter().zip(found).filter(|(_, hidden)| *hidden) {
            let place = unit.source.start * nibbles_each..unit.source.end * nibbles_each;
            all.get_mut(place).unwrap_or_default().fill(true);
        }
    };

    let characters = of_bytes(bytes);
    let found = hidden(&characters, inside);
    hide(&characters, found, 2);

    let single = |(at, byte): (usize, &u8)| Unit {
        kind: if *byte <= 9 { Kind::Digit(*byte) } else { Kind::Other },
        source: at..at + 1,
        form: Form::Other,
    };
    let one_to_a_byte: Vec<Unit> = bytes.iter().enumerate().map(single).collect();
    let found = hidden(&one_to_a_byte, None);
    hide(&one_to_a_byte, found, 2);

    let half = |(at, nibble): (usize, u8)| Unit {
        kind: match nibble {
            0..=9 => Kind::Digit(nibble),
            0xD => Kind::Equals,
            _ => Kind::Other,
        },
        source: at..at + 1,
        form: Form::Other,
    };
    let packed: Vec<Unit> = nibbles(bytes).enumerate().map(half).collect();
    // Bytes that are all ASCII digits are text, and the first search judged them.
    let may_be_packed = |window: Range<usize>| {
        let touched = bytes.get(window.start / 2..window.end.div_ceil(2)).unwrap_or_default();
        !touched.iter().all(u8::is_ascii_digit)
    };
    let found = hidden(&packed, Some(&may_be_packed));
    hide(&packed, found, 1);
    all
}

/// Places of hidden digits in the pieces of a text that may be the hexadecimal form of bytes.
fn hidden_in_hex(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut start = 0;
    for piece in text.as_bytes().split(|byte| !byte.is_ascii_hexdigit()) {
        let has_letter = piece.iter().any(u8::is_ascii_alphabetic);
        // Thirteen packed digits, or thirteen characters; digits alone were searched as such.
        if (has_letter && piece.len() >= 14) || piece.len() >= 26 {
            for from in [0, 1] {
                let bytes = unhex(piece.get(from..).unwrap_or_default());
                let found = hidden_nibbles(&bytes, None);
                let hidden = (start + from..).zip(found).filter(|(_, hidden)| *hidden);
                places.extend(hidden.map(|(place, _)| place..place + 1));
            }
        }
        start += piece.len() + 1;
    }
    places
}

/// The bytes of hexadecimal digits; one that is left over is dropped.
fn unhex(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    };
    digits.as_chunks::<2>().0.iter().map(|[high, low]| value(*high) << 4 | value(*low) & 0x0F).collect()
}

/// The text with one `*` for each place; places may overlap.
fn with_stars(text: &str, places: Vec<Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut shown = 0;
    for place in places {
        if place.start < shown {
            continue;
        }
        out.push_str(text.get(shown..place.start).unwrap_or_default());
        out.push('*');
        shown = place.end;
    }
    out.push_str(text.get(shown..).unwrap_or_default());
    out
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
