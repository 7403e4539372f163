//! BER-TLV as EMV and UnionPay use it: tag, length, value, one after the other.

/// One data object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag's bytes as a big-endian number: `0x9F06`, `0xDF02`, `0x50`.
    pub tag: u32,
    /// The value.
    pub value: &'a [u8],
}

impl std::fmt::Debug for Tlv<'_> {
    /// Prints the tag and the length: values may be card data or keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tlv({:X}: {} bytes)", self.tag, self.value.len())
    }
}

/// Why bytes are not a sequence of data objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("data object at byte {offset}: {reason}")]
pub struct TlvError {
    /// Bytes from the beginning of the sequence to the data object that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: TlvReason,
}

/// What is wrong with a data object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlvReason {
    /// The bytes end inside the tag or the length.
    #[error("it ends inside its tag or length")]
    Truncated,
    /// A tag of more than four bytes.
    #[error("its tag has more than four bytes")]
    LongTag,
    /// An indefinite length, or one of more than four bytes.
    #[error("its length is indefinite or has more than four bytes")]
    LongLength,
    /// A length beyond the end of the bytes.
    #[error("its value of {length} bytes is longer than the {left} that are left")]
    ValueTruncated {
        /// What the length says.
        length: usize,
        /// Bytes that are there.
        left: usize,
    },
}

/// Reads data objects one after the other. After an error nothing follows.
///
/// Nested objects are not opened: give the value of a constructed one to this function again, as
/// deep as makes sense where you use it.
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

/// Tag, length of the value, and the bytes that both take, of the data object that `input` begins
/// with. Nine bytes are always enough.
pub(crate) fn read_head(input: &[u8]) -> Result<(u32, usize, usize), TlvReason> {
    let (tag, rest) = read_tag(input)?;
    let (length, rest) = read_length(rest)?;
    Ok((tag, length, input.len() - rest.len()))
}

fn read_one(input: &[u8]) -> Result<(Tlv<'_>, &[u8]), TlvReason> {
    let (tag, length, head_len) = read_head(input)?;
    let (_, rest) = input.split_at_checked(head_len).ok_or(TlvReason::Truncated)?;
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
    for _ in 0..3 {
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

/// Appends one data object, its length in the fewest bytes.
///
/// `tag` is written as its own bytes without leading zeros; that they form a tag by the rules of
/// BER (as all tags of EMV do) is up to the caller. Values are limited to 4 GiB by the format.
pub fn write(out: &mut Vec<u8>, tag: u32, value: &[u8]) {
    extend_without_leading_zeros(out, &tag.to_be_bytes());
    let length = value.len();
    if length >= 0x80 {
        let bytes = length.to_be_bytes();
        let width = bytes.iter().skip_while(|byte| **byte == 0).count();
        #[allow(clippy::cast_possible_truncation, reason = "at most the eight bytes of a length")]
        out.push(0x80 | width as u8);
        extend_without_leading_zeros(out, &bytes);
    } else {
        #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
        out.push(length as u8);
    }
    out.extend_from_slice(value);
}

/// Appends a number's bytes; zero is one byte.
fn extend_without_leading_zeros(out: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
    out.extend(bytes.iter().skip(zeros));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capk_request_reads_as_two_objects() {
        let bytes = hex::decode("9F0605A0000003339F220108").unwrap();
        let objects = read(&bytes).collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(objects.iter().map(|object| object.tag).collect::<Vec<_>>(), [0x9F06, 0x9F22]);
        assert_eq!(objects[1].value, [0x08]);
    }

    #[test]
    fn what_is_written_reads_back() {
        for tag in [0x50, 0x9F06, 0xDF_8105, 0x5F_FF_FF_01] {
            for length in [0, 1, 127, 128, 255, 256, 65_536] {
                let mut out = Vec::new();
                write(&mut out, tag, &vec![7; length]);
                write(&mut out, 0x50, b"next");
                let objects = read(&out).collect::<Result<Vec<_>, _>>().unwrap();
                assert_eq!((objects.len(), objects[0].tag, objects[0].value.len()), (2, tag, length));
            }
        }
    }

    #[test]
    fn errors_say_where_and_end_the_sequence() {
        let error_of = |hex: &str| {
            let bytes = hex::decode(hex).unwrap();
            let mut objects = read(&bytes);
            let error = objects.by_ref().find_map(Result::err);
            assert!(objects.next().is_none());
            error.map(|error| (error.offset, error.reason))
        };
        assert_eq!(error_of("5001AA9F"), Some((3, TlvReason::Truncated)));
        assert_eq!(error_of("50"), Some((0, TlvReason::Truncated)));
        assert_eq!(error_of("5080"), Some((0, TlvReason::LongLength)));
        assert_eq!(error_of("508500000000"), Some((0, TlvReason::LongLength)));
        assert_eq!(error_of("1F8080808001"), Some((0, TlvReason::LongTag)));
        assert_eq!(error_of("5003AA"), Some((0, TlvReason::ValueTruncated { length: 3, left: 1 })));
        assert_eq!(
            error_of("5084FFFFFFFF00"),
            Some((0, TlvReason::ValueTruncated { length: 0xFFFF_FFFF, left: 1 }))
        );
    }
}
