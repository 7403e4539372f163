//! Why bytes are no frame.

use super::Framing;

/// Why a stream cannot be cut into messages, or a message cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame above the limit that the caller set, or above what the length can say. Reported
    /// from the length alone; without a length, when that many bytes came without an ETX.
    #[error("the frame is {length_bytes} bytes long and at most {max_bytes} are accepted")]
    TooLong {
        /// What follows the length (or STX), up to the end of the message. Without a length, as
        /// much as was looked at.
        length_bytes: usize,
        /// What the caller accepts or the length can say.
        max_bytes: usize,
    },
    /// A length too small for what the framing puts before the message, or for any message.
    #[error("the frame is {length_bytes} bytes long and needs at least {needed_bytes}")]
    TooShort {
        /// What the frame says; its length included where that counts itself.
        length_bytes: usize,
        /// What the framing needs: its own parts and one byte of message.
        needed_bytes: usize,
    },
    /// A byte of a decimal length that is not a digit in ASCII, or not two in BCD.
    #[error("0x{0:02x} stands where a decimal digit of the length is expected")]
    NotADigit(u8),
    /// A byte that a frame always has in this place is another one.
    #[error("0x{found:02x} stands where {part}, 0x{expected:02x}, is expected")]
    WrongByte {
        /// `the constant byte`, `STX` or `ETX`.
        part: &'static str,
        /// What the framing says.
        expected: u8,
        /// What stands there.
        found: u8,
    },
    /// The check byte at the end does not fit the frame: a byte was changed on its way, or the peer
    /// computes it otherwise ([`Lrc`](super::Lrc) has both ways).
    #[error("the LRC of the frame is 0x{computed:02x} and 0x{received:02x} stands at its end")]
    Lrc {
        /// What the bytes of the frame give.
        computed: u8,
        /// What the frame ends with.
        received: u8,
    },
    /// Encoding a message that has the byte of ETX in it, in a framing that knows the end of a
    /// message by nothing else.
    #[error("byte {offset} of the message is ETX, which framing {framing} cannot carry")]
    EtxInside {
        /// The framing.
        framing: Framing,
        /// Where it stands in the message, from 0.
        offset: usize,
    },
    /// Encoding without a part that the framing has.
    #[error("framing {framing} needs a {part}")]
    Missing {
        /// The framing.
        framing: Framing,
        /// `TPDU`, `header` or `vendor header`.
        part: &'static str,
    },
    /// Encoding with a part that the framing has no place for.
    #[error("framing {framing} has no place for a {part}")]
    Unexpected {
        /// The framing.
        framing: Framing,
        /// `TPDU`, `header` or `vendor header`.
        part: &'static str,
    },
    /// Encoding with a vendor header of another length than the framing's.
    #[error("framing {framing} needs a vendor header of {needed_bytes} bytes and {given_bytes} are given")]
    VendorLength {
        /// The framing.
        framing: Framing,
        /// Bytes given.
        given_bytes: usize,
        /// Bytes that the framing has.
        needed_bytes: usize,
    },
}
