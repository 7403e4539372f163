//! One message with what stands around it.

use std::fmt;

use super::{Header, Tpdu};

/// One message, with what stands before it: cut from a stream or to be put on one.
///
/// `Debug` prints the lengths of message and vendor header and not their bytes, which can be card
/// data.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The transport address, in framings that have one.
    pub tpdu: Option<Tpdu>,
    /// The UnionPay header, in framings that have one.
    pub header: Option<Header>,
    /// The vendor header, in framings that have one; empty in others.
    pub vendor: &'a [u8],
    /// The message, from its type indicator on; never empty when it was cut from a stream.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame of an answer to this one: [`Tpdu::swapped`], the header echoed, the vendor header
    /// echoed byte for byte.
    ///
    /// The header's 处理要求 becomes 0, "nothing"; [`Frame::requiring`] sets another.
    ///
    /// ```
    /// use iso8583::framing::{Frame, Framing};
    ///
    /// let request = [0, 12, 0x60, 0x05, 0x25, 0, 0, 0x60, 0x31, 0, 0x31, 0, 1, 0x08];
    /// let (request, _) = Framing::LEN2_TPDU_HEADER.split(&request, 100)?.ok_or("no frame")?;
    /// let reply = request.reply(b"\x08\x10").requiring(3);
    /// assert_eq!(reply.tpdu.unwrap().to_string(), "6000000525");
    /// assert_eq!(reply.header.unwrap().to_string(), "603103310001");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reply<'b>(&self, body: &'b [u8]) -> Frame<'b>
    where
        'a: 'b,
    {
        Frame { tpdu: self.tpdu.map(Tpdu::swapped), body, ..*self }.requiring(0)
    }

    /// The same frame with another processing requirement (处理要求) in its UnionPay header, if it
    /// has one: what the centre wants the terminal to do next, 0 to 15.
    #[must_use]
    pub fn requiring(mut self, requirement: u8) -> Self {
        self.header = self.header.map(|header| header.with_processing_requirement(requirement));
        self
    }
}

impl<'a> From<&'a [u8]> for Frame<'a> {
    /// A message with nothing before it.
    fn from(body: &'a [u8]) -> Self {
        Self { body, ..Self::default() }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_lengths("Frame", self, f)
    }
}

/// The `Debug` of frames, borrowed and owned.
pub(crate) fn fmt_lengths(name: &str, frame: &Frame<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("tpdu", &frame.tpdu)
        .field("header", &frame.header)
        .field("vendor", &format_args!("{} bytes", frame.vendor.len()))
        .field("body", &format_args!("{} bytes", frame.body.len()))
        .finish()
}
