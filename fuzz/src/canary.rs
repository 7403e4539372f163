//! A copy of the reader of data objects with one check broken: a target that does not find this
//! within the time it is given finds nothing.
//!
//! The tag's length is limited one byte too late, so that the first byte of a tag of five bytes
//! is lost. Everything else is as in `iso8583::tlv`.

use iso8583::tlv::{Tlv, TlvError, TlvReason};

/// As `iso8583::tlv::read`.
pub fn read(input: &[u8]) -> impl Iterator<Item = Result<Tlv<'_>, TlvError>> {
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let offset = input.len() - rest.len();
        Some(match read_one(rest) {
            Ok((tlv, after)) => {
                rest = after;
                Ok(tlv)
            }
            Err(reason) => {
                rest = &[];
                Err(TlvError { offset, reason })
            }
        })
    })
}

fn read_one(input: &[u8]) -> Result<(Tlv<'_>, &[u8]), TlvReason> {
    let (tag, rest) = read_tag(input)?;
    let (length, rest) = read_length(rest)?;
    let (value, rest) =
        rest.split_at_checked(length).ok_or(TlvReason::ValueTruncated { length, left: rest.len() })?;
    Ok((Tlv { tag, value }, rest))
}

fn read_tag(input: &[u8]) -> Result<(u32, &[u8]), TlvReason> {
    let (&first, mut rest) = input.split_first().ok_or(TlvReason::Truncated)?;
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Ok((tag, rest));
    }
    // Broken on purpose: three more bytes are the limit.
    for _ in 0..4 {
        let (&byte, after) = rest.split_first().ok_or(TlvReason::Truncated)?;
        tag = tag << 8 | u32::from(byte);
        rest = after;
        if byte & 0x80 == 0 {
            return Ok((tag, rest));
        }
    }
    Err(TlvReason::LongTag)
}

fn read_length(input: &[u8]) -> Result<(usize, &[u8]), TlvReason> {
    let (&first, rest) = input.split_first().ok_or(TlvReason::Truncated)?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let width = usize::from(first & 0x7F);
    if !(1..=4).contains(&width) {
        return Err(TlvReason::LongLength);
    }
    let (bytes, rest) = rest.split_at_checked(width).ok_or(TlvReason::Truncated)?;
    let length = bytes.iter().fold(0u32, |length, byte| length << 8 | u32::from(*byte));
    Ok((usize::try_from(length).map_err(|_| TlvReason::LongLength)?, rest))
}
