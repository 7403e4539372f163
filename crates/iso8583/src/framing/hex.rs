//! Fixed numbers of bytes as hexadecimal text.

use std::fmt;

/// A text that is not the hexadecimal form of a fixed number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is written as {digits} hexadecimal digits")]
pub struct HexError {
    what: &'static str,
    digits: usize,
}

/// Bytes of exactly `2 * N` hexadecimal digits.
pub(super) fn from_hex<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], HexError> {
    let error = HexError { what, digits: N * 2 };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(error);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high).ok_or(error)? << 4 | digit(low).ok_or(error)?;
    }
    Ok(bytes)
}

pub(super) fn fmt_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
