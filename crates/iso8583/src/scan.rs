//! Whether all bytes of a value belong to a class, eight at a time.
//!
//! Each test looks at a 64-bit word as eight bytes side by side and leaves bit 7 of a byte clear
//! only when it belongs to the class. A byte above 0x7F may carry into its neighbour when something
//! is added; where that would matter its own bit 7 has told already.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
const LOW7: u64 = 0x7F * ONES;
const LOW4: u64 = 0x0F * ONES;

/// ASCII digits.
#[inline]
pub(crate) fn digits(bytes: &[u8]) -> bool {
    if bytes.len() < 4 {
        return bytes.iter().all(u8::is_ascii_digit);
    }
    every(bytes, HIGH, |word| {
        let digit = word ^ (0x30 * ONES);
        digit | digit.wrapping_add(0x76 * ONES)
    })
}

/// Two decimal digits to the byte.
#[inline]
pub(crate) fn packed_digits(bytes: &[u8]) -> bool {
    every(bytes, 0x10 * ONES, |word| ((word & LOW4) + 6 * ONES) | ((word >> 4 & LOW4) + 6 * ONES))
}

/// No control characters.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> bool {
    // Nearly all text is ASCII.
    ascii_text(bytes) || any_text(bytes)
}

#[inline]
fn ascii_text(bytes: &[u8]) -> bool {
    every(bytes, HIGH, |word| word | (word.wrapping_add(ONES)) | !(word.wrapping_add(0x60 * ONES)))
}

fn any_text(bytes: &[u8]) -> bool {
    every(bytes, HIGH, |word| {
        let low = word & LOW7;
        (!(low + 0x60 * ONES) | (low + ONES)) & !word
    })
}

/// ASCII letters, digits and space.
#[inline]
pub(crate) fn alphanumeric(bytes: &[u8]) -> bool {
    every(bytes, HIGH, |word| {
        let low = word & LOW7;
        let is_letter = between(low | (0x20 * ONES), b'a', b'z');
        // Only where nothing is left of a byte does adding 0x7F not reach bit 7.
        let is_space = !((low ^ (0x20 * ONES)) + LOW7);
        word | !(is_letter | between(low, b'0', b'9') | is_space)
    })
}

/// Upper-case hexadecimal ASCII digits.
#[inline]
pub(crate) fn upper_hex(bytes: &[u8]) -> bool {
    every(bytes, HIGH, |word| {
        let low = word & LOW7;
        word | !(between(low, b'0', b'9') | between(low, b'A', b'F'))
    })
}

/// The number that sixteen upper-case hexadecimal digits write; `None` when one is no such digit.
#[inline]
pub(crate) fn hex_word(hex: &[u8; 16]) -> Option<u64> {
    // Byte by byte and without a branch, so that the compiler makes one instruction of many.
    let wrong = hex.map(|byte| u8::from((byte.wrapping_sub(b'0') > 9) & (byte.wrapping_sub(b'A') > 5)));
    let nibbles = hex.map(|byte| (byte & 0x0F) + 9 * (byte >> 6 & 1));
    let nibbles = u128::from_be_bytes(nibbles);
    #[allow(clippy::cast_possible_truncation, reason = "one half each")]
    let (high, low) = ((nibbles >> 64) as u64, nibbles as u64);
    (u128::from_ne_bytes(wrong) == 0).then_some(packed(high) << 32 | packed(low))
}

/// A number as sixteen upper-case hexadecimal digits: the inverse of [`hex_word`].
#[inline]
pub(crate) fn word_hex(word: u64) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = half_hex(word >> 32);
    let [i, j, k, l, m, n, o, p] = half_hex(word & 0xFFFF_FFFF);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

#[inline]
fn half_hex(half: u64) -> [u8; 8] {
    let pairs = (half | half << 16) & 0x0000_FFFF_0000_FFFF;
    let bytes = (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF;
    let nibbles = (bytes | bytes << 4) & LOW4;
    let letters = (nibbles + 6 * ONES) >> 4 & ONES;
    (nibbles + 0x30 * ONES + letters * 7).to_be_bytes()
}

/// The 32 bits of eight nibbles that have a byte each, the first in the highest.
#[inline]
fn packed(nibbles: u64) -> u64 {
    let bytes = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF;
    let pairs = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF;
    (pairs | pairs >> 16) & 0xFFFF_FFFF
}

/// Bit 7 of each byte of `low` (all below 0x80) that is from `first` to `last`.
#[inline]
fn between(low: u64, first: u8, last: u8) -> u64 {
    let at_least = low + (0x80 - u64::from(first)) * ONES;
    let above = low + (0x7F - u64::from(last)) * ONES;
    at_least & !above
}

/// Whether what `wrong` makes of all bytes has no bit of `mask`. It sees them in words that may
/// overlap.
#[inline]
fn every(bytes: &[u8], mask: u64, wrong: impl Fn(u64) -> u64) -> bool {
    if let Some(last) = bytes.last_chunk::<8>() {
        let (pairs, rest) = bytes.as_chunks::<16>();
        let mut found = wrong(u64::from_le_bytes(*last));
        let mut other = 0;
        for &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] in pairs {
            // Two at a time, neither of which waits for the other.
            found |= wrong(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            other |= wrong(u64::from_le_bytes([i, j, k, l, m, n, o, p]));
        }
        if let Some(first) = rest.first_chunk::<8>() {
            other |= wrong(u64::from_le_bytes(*first));
        }
        return (found | other) & mask == 0;
    }
    let (low, high) = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => match *bytes {
            [] => return true,
            [a] => ([a; 4], [a; 4]),
            [a, b] => ([a, b, a, b], [a, b, a, b]),
            [a, b, c] => ([a, b, c, a], [a, b, c, a]),
            // Four bytes and more were dealt with above.
            _ => return false,
        },
    };
    let word = u64::from(u32::from_le_bytes(low)) | u64::from(u32::from_le_bytes(high)) << 32;
    wrong(word) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    type Test = (fn(&[u8]) -> bool, fn(u8) -> bool);

    const TESTS: [Test; 5] = [
        (digits, |byte| byte.is_ascii_digit()),
        (packed_digits, |byte| byte >> 4 <= 9 && byte & 0x0F <= 9),
        (text, |byte| byte >= 0x20 && byte != 0x7F),
        (alphanumeric, |byte| byte.is_ascii_alphanumeric() || byte == b' '),
        (upper_hex, |byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')),
    ];

    #[test]
    fn sixteen_hexadecimal_digits_are_one_number() {
        assert_eq!(hex_word(b"0123456789ABCDEF"), Some(0x0123_4567_89AB_CDEF));
        assert_eq!(hex_word(b"FEDCBA9876543210"), Some(0xFEDC_BA98_7654_3210));
        assert_eq!(hex_word(b"0123456789abcdef"), None);
        assert_eq!(hex_word(b"0123456789ABCDE:"), None);
        assert_eq!(word_hex(0x0123_4567_89AB_CDEF), *b"0123456789ABCDEF");
        assert_eq!(word_hex(0xFEDC_BA98_7654_3210), *b"FEDCBA9876543210");
    }

    #[test]
    fn a_hexadecimal_digit_is_judged_at_every_place() {
        for at in 0..16 {
            for byte in 0..=255 {
                let mut hex = *b"0123456789ABCDEF";
                hex[at] = byte;
                let fine = matches!(byte, b'0'..=b'9' | b'A'..=b'F');
                assert_eq!(hex_word(&hex).is_some(), fine, "{byte:02x} at {at}");
                assert_eq!(hex_word(&hex).map(word_hex), fine.then_some(hex));
            }
        }
    }

    #[test]
    fn every_byte_at_every_place_is_judged_as_alone() {
        for (all, one) in TESTS {
            let good = (0..=255).find(|byte| one(*byte)).unwrap();
            for len in 0..=33 {
                assert!(all(&vec![good; len]), "{len}");
                for at in 0..len {
                    for byte in 0..=255 {
                        let mut bytes = vec![good; len];
                        bytes[at] = byte;
                        assert_eq!(all(&bytes), one(byte), "byte {byte:02x} at {at} of {len}");
                    }
                }
            }
        }
    }
}
