//! Framing: where a message begins and ends on a stream, and what stands before it.

mod header;
mod tpdu;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use header::Header;
pub use tpdu::Tpdu;

/// How messages are delimited on a stream.
///
/// The text form is the name in parentheses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// (`none`) Nothing but the message: for datagrams, files and HTTP bodies.
    #[default]
    None,
    /// (`len2`) An unsigned big-endian 16-bit length of what follows, then the message.
    Len2,
    /// (`len2-tpdu`) A 16-bit length, a five-byte [`Tpdu`], the message.
    Len2Tpdu,
    /// (`len2-tpdu-header`) A 16-bit length, a [`Tpdu`], a six-byte UnionPay [`Header`], the
    /// message.
    Len2TpduHeader,
    /// (`ascii4`) Four ASCII digits that say the length of what follows, then the message.
    Ascii4,
}

/// One message cut from a stream, with what stood before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The transport address, in framings that have one.
    pub tpdu: Option<Tpdu>,
    /// The UnionPay header, in framings that have one.
    pub header: Option<Header>,
    /// The message, from its type indicator on; never empty.
    pub body: &'a [u8],
}

/// Why a stream cannot be cut into messages, or a message cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length above the limit that the caller set. Reported from the length alone.
    #[error("the frame is {length_bytes} bytes long and at most {max_bytes} are accepted")]
    TooLong {
        /// What the frame says.
        length_bytes: usize,
        /// What the caller accepts.
        max_bytes: usize,
    },
    /// A length too small for what the framing puts before the message, or for any message.
    #[error("the frame is {length_bytes} bytes long and needs at least {needed_bytes}")]
    TooShort {
        /// What the frame says.
        length_bytes: usize,
        /// What the framing needs: its own parts and one byte of message.
        needed_bytes: usize,
    },
    /// A byte of a decimal length that is not an ASCII digit.
    #[error("0x{0:02x} stands where a decimal digit of the length is expected")]
    NotADigit(u8),
    /// Encoding without a part that the framing has.
    #[error("framing {framing} needs a {part}")]
    Missing {
        /// The framing.
        framing: Framing,
        /// `TPDU` or `header`.
        part: &'static str,
    },
    /// Encoding with a part that the framing has no place for.
    #[error("framing {framing} has no place for a {part}")]
    Unexpected {
        /// The framing.
        framing: Framing,
        /// `TPDU` or `header`.
        part: &'static str,
    },
}

impl Framing {
    /// All framings.
    pub const ALL: [Self; 5] = [Self::None, Self::Len2, Self::Len2Tpdu, Self::Len2TpduHeader, Self::Ascii4];

    /// The name of the framing in configuration files and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Len2 => "len2",
            Self::Len2Tpdu => "len2-tpdu",
            Self::Len2TpduHeader => "len2-tpdu-header",
            Self::Ascii4 => "ascii4",
        }
    }

    /// Whether frames carry a [`Tpdu`].
    #[must_use]
    pub const fn has_tpdu(self) -> bool {
        matches!(self, Self::Len2Tpdu | Self::Len2TpduHeader)
    }

    /// Whether frames carry a UnionPay [`Header`].
    #[must_use]
    pub const fn has_header(self) -> bool {
        matches!(self, Self::Len2TpduHeader)
    }

    /// Bytes that delimit: the width of the length.
    const fn prefix_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Len2 | Self::Len2Tpdu | Self::Len2TpduHeader => 2,
            Self::Ascii4 => 4,
        }
    }

    /// Bytes between the length and the message.
    const fn before_body_len(self) -> usize {
        let tpdu = if self.has_tpdu() { 5 } else { 0 };
        let header = if self.has_header() { 6 } else { 0 };
        tpdu + header
    }

    /// The largest length the framing can say.
    const fn longest(self) -> usize {
        match self {
            Self::Ascii4 => 9999,
            _ => 0xFFFF,
        }
    }

    /// Cuts the first frame off `buf`; gives it and the number of bytes it took, length included.
    /// `Ok(None)` means that more bytes are needed.
    ///
    /// `max_bytes` limits what follows the length. With [`Framing::None`] everything in `buf` is
    /// one message.
    ///
    /// # Errors
    ///
    /// A length above `max_bytes` or too small for the framing, as soon as it is seen: a peer
    /// cannot make the caller wait for, or keep, what will be refused. The stream is unusable
    /// after an error, because the next frame's beginning is not known.
    pub fn split(self, buf: &[u8], max_bytes: usize) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
        let Some((length_bytes, rest)) = self.read_length(buf)? else {
            return Ok(None);
        };
        if length_bytes > max_bytes {
            return Err(FrameError::TooLong { length_bytes, max_bytes });
        }
        let needed_bytes = self.before_body_len() + 1;
        if length_bytes < needed_bytes {
            return Err(FrameError::TooShort { length_bytes, needed_bytes });
        }
        let Some(mut body) = rest.get(..length_bytes) else {
            return Ok(None);
        };
        let (mut tpdu, mut header) = (None, None);
        if self.has_tpdu()
            && let Some((first, rest)) = body.split_first_chunk()
        {
            (tpdu, body) = (Some(Tpdu(*first)), rest);
        }
        if self.has_header()
            && let Some((first, rest)) = body.split_first_chunk()
        {
            (header, body) = (Some(Header(*first)), rest);
        }
        Ok(Some((Frame { tpdu, header, body }, self.prefix_len() + length_bytes)))
    }

    /// The length that `buf` begins with and what follows it; `None` when `buf` ends inside it.
    fn read_length(self, buf: &[u8]) -> Result<Option<(usize, &[u8])>, FrameError> {
        match self {
            Self::None if buf.is_empty() => Ok(None),
            Self::None => Ok(Some((buf.len(), buf))),
            Self::Len2 | Self::Len2Tpdu | Self::Len2TpduHeader => Ok(buf
                .split_first_chunk()
                .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))),
            Self::Ascii4 => {
                // A wrong digit is reported before all four are there, so that binary noise on a
                // connection is not waited upon.
                let mut length = 0;
                for &byte in buf.iter().take(4) {
                    if !byte.is_ascii_digit() {
                        return Err(FrameError::NotADigit(byte));
                    }
                    length = length * 10 + usize::from(byte - b'0');
                }
                Ok(buf.get(4..).map(|rest| (length, rest)))
            }
        }
    }

    /// Appends a frame to `out`.
    ///
    /// # Errors
    ///
    /// A part that the framing needs is missing or one that it has no place for is given; an empty
    /// body; a body too long for the length. `out` is unchanged then.
    pub fn encode(
        self,
        out: &mut Vec<u8>,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        body: &[u8],
    ) -> Result<(), FrameError> {
        self.check_part("TPDU", self.has_tpdu(), tpdu.is_some())?;
        self.check_part("header", self.has_header(), header.is_some())?;
        let length_bytes = self.before_body_len() + body.len();
        if body.is_empty() {
            return Err(FrameError::TooShort { length_bytes, needed_bytes: length_bytes + 1 });
        }
        if length_bytes > self.longest() {
            return Err(FrameError::TooLong { length_bytes, max_bytes: self.longest() });
        }
        out.reserve(self.prefix_len() + length_bytes);
        match self {
            Self::None => {}
            Self::Ascii4 => out.extend_from_slice(format!("{length_bytes:04}").as_bytes()),
            // Checked above to fit 16 bits.
            _ => out.extend_from_slice(&u16::try_from(length_bytes).unwrap_or(u16::MAX).to_be_bytes()),
        }
        if let Some(Tpdu(tpdu)) = tpdu {
            out.extend_from_slice(&tpdu);
        }
        if let Some(Header(header)) = header {
            out.extend_from_slice(&header);
        }
        out.extend_from_slice(body);
        Ok(())
    }

    fn check_part(self, part: &'static str, has: bool, given: bool) -> Result<(), FrameError> {
        match (has, given) {
            (true, false) => Err(FrameError::Missing { framing: self, part }),
            (false, true) => Err(FrameError::Unexpected { framing: self, part }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no framing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no framing; use one of none, len2, len2-tpdu, len2-tpdu-header, ascii4")]
pub struct FramingNameError(String);

impl FromStr for Framing {
    type Err = FramingNameError;

    fn from_str(text: &str) -> Result<Self, FramingNameError> {
        Self::ALL
            .into_iter()
            .find(|framing| framing.name() == text)
            .ok_or_else(|| FramingNameError(text.chars().take(40).collect()))
    }
}

impl Serialize for Framing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Framing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is not the hexadecimal form of a fixed number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is written as {digits} hexadecimal digits")]
pub struct HexError {
    what: &'static str,
    digits: usize,
}

/// Bytes of exactly `2 * N` hexadecimal digits.
fn from_hex<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], HexError> {
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

fn fmt_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests;
