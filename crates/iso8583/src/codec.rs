//! Frames for Tokio: [`FrameCodec`] is a `tokio_util` [`Decoder`] and [`Encoder`] (feature
//! `codec`).
//!
//! ```
//! use bytes::BytesMut;
//! use iso8583::codec::FrameCodec;
//! use iso8583::framing::{Frame, Framing};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = FrameCodec::new(Framing::LEN2, 4096);
//! let mut bytes = BytesMut::new();
//! codec.encode(Frame::from(&b"0800"[..]), &mut bytes)?;
//! let frame = codec.decode(&mut bytes)?.ok_or("no frame")?;
//! assert_eq!(&frame.body[..], b"0800");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The example `examples/tokio_framing.rs` is a host and a client with `tokio_util::codec::Framed`.

use std::fmt;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::framing::{Frame, FrameError, Framing, Header, Splitter, Tpdu, fmt_lengths};

/// Cuts frames off a stream and puts them on one, none longer than its limit.
///
/// A frame's bytes are split off the receiving buffer and not copied. The codec asks for no memory
/// of its own: a peer that announces a long frame and sends nothing makes nobody keep more than what
/// came.
///
/// With a framing that does not [delimit](Framing::delimits), everything up to the end of the
/// stream is one message, of datagrams each (`tokio_util::udp::UdpFramed`).
///
/// After an error of decoding the stream is unusable: where the next frame begins is not known.
#[derive(Clone, Debug)]
pub struct FrameCodec {
    splitter: Splitter,
}

/// One message that owns its bytes, with what stood before it.
///
/// `Debug` prints the lengths of message and vendor header and not their bytes, which can be card
/// data. `body` and `vendor` share one allocation with what was received beside them; copy what is
/// kept for long.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OwnedFrame {
    /// The transport address, in framings that have one.
    pub tpdu: Option<Tpdu>,
    /// The UnionPay header, in framings that have one.
    pub header: Option<Header>,
    /// The vendor header, in framings that have one; empty in others.
    pub vendor: Bytes,
    /// The message, from its type indicator on; never empty when it was cut from a stream.
    pub body: Bytes,
}

/// Why a stream of frames cannot go on, or a frame cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Bytes that are no frame, or a frame that cannot be framed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream ended inside a frame.
    #[error("the stream ended {received_bytes} bytes into a frame")]
    Truncated {
        /// Bytes of the frame that had come, its length or STX included.
        received_bytes: usize,
    },
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FrameCodec {
    /// Frames of at most `max_bytes`, both ways, as [`Framing::split`] counts them: what follows the
    /// length (or STX) up to the end of the message.
    #[must_use]
    pub const fn new(framing: Framing, max_bytes: usize) -> Self {
        Self { splitter: Splitter::new(framing, max_bytes) }
    }

    /// The framing.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.splitter.framing()
    }

    /// The limit.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.splitter.max_bytes()
    }

    fn take(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, CodecError> {
        let Some(span) = self.splitter.locate(src)? else {
            return Ok(None);
        };
        let bytes = src.split_to(span.total()).freeze();
        let Frame { tpdu, header, vendor, body } = span.frame(self.framing(), &bytes);
        let (vendor, body) = (bytes.slice_ref(vendor), bytes.slice_ref(body));
        Ok(Some(OwnedFrame { tpdu, header, vendor, body }))
    }
}

impl Decoder for FrameCodec {
    type Item = OwnedFrame;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, CodecError> {
        if self.framing().delimits() {
            return self.take(src);
        }
        // What was received so far may be a part of the message; only its end shows the whole.
        let (length_bytes, max_bytes) = (src.len(), self.max_bytes());
        if length_bytes > max_bytes {
            return Err(FrameError::TooLong { length_bytes, max_bytes }.into());
        }
        Ok(None)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<OwnedFrame>, CodecError> {
        match self.take(src)? {
            None if !src.is_empty() => {
                // The bytes go, so that the error is told once.
                let received_bytes = src.len();
                src.clear();
                self.splitter = Splitter::new(self.framing(), self.max_bytes());
                Err(CodecError::Truncated { received_bytes })
            }
            taken => Ok(taken),
        }
    }
}

impl Encoder<Frame<'_>> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame<'_>, dst: &mut BytesMut) -> Result<(), CodecError> {
        let framing = self.framing();
        let total = framing.encoded_len(&frame)?;
        let (length_bytes, max_bytes) = (framing.content_len(&frame), self.max_bytes());
        if length_bytes > max_bytes {
            return Err(FrameError::TooLong { length_bytes, max_bytes }.into());
        }
        dst.reserve(total);
        framing.write(&frame, |bytes| dst.extend_from_slice(bytes));
        Ok(())
    }
}

impl Encoder<OwnedFrame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: OwnedFrame, dst: &mut BytesMut) -> Result<(), CodecError> {
        self.encode(frame.as_frame(), dst)
    }
}

impl OwnedFrame {
    /// The same frame as a borrowed one; [`Frame::reply`] makes the frame of an answer.
    #[must_use]
    pub fn as_frame(&self) -> Frame<'_> {
        Frame { tpdu: self.tpdu, header: self.header, vendor: &self.vendor, body: &self.body }
    }

    /// The frame of an answer to this one, as [`Frame::reply`] makes it.
    #[must_use]
    pub fn reply(&self, body: Bytes) -> Self {
        let Frame { tpdu, header, .. } = self.as_frame().reply(&[]);
        Self { tpdu, header, vendor: self.vendor.clone(), body }
    }

    /// The same frame with another processing requirement (处理要求) in its UnionPay header, if it
    /// has one.
    #[must_use]
    pub fn requiring(mut self, requirement: u8) -> Self {
        self.header = self.header.map(|header| header.with_processing_requirement(requirement));
        self
    }
}

impl From<Bytes> for OwnedFrame {
    /// A message with nothing before it.
    fn from(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }
}

impl fmt::Debug for OwnedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_lengths("OwnedFrame", &self.as_frame(), f)
    }
}
