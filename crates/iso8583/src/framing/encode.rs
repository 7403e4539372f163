//! Frames to bytes.

use super::{Bounds, ETX, Frame, FrameError, Framing, Heading, STX};

impl Framing {
    /// Appends a frame to `out`.
    ///
    /// # Errors
    ///
    /// A part that the framing needs is missing or one that it has no place for is given; a vendor
    /// header of another length; an empty body; a body too long for the length; an ETX in the body
    /// where that would end the frame. `out` is unchanged then.
    pub fn encode(self, out: &mut Vec<u8>, frame: &Frame<'_>) -> Result<(), FrameError> {
        out.reserve(self.encoded_len(frame)?);
        self.write(frame, |bytes| out.extend_from_slice(bytes));
        Ok(())
    }

    /// How many bytes [`Framing::encode`] appends for `frame`.
    ///
    /// # Errors
    ///
    /// As [`Framing::encode`].
    pub fn encoded_len(self, frame: &Frame<'_>) -> Result<usize, FrameError> {
        self.check_parts(frame)?;
        let content = self.content_len(frame);
        let (around, longest) = match self.bounds {
            Bounds::Whole => (0, usize::MAX),
            Bounds::Length { lead, prefix } => {
                (usize::from(lead.is_some()) + prefix.form.width(), prefix.longest_bytes())
            }
            Bounds::StxEtx { prefix: Some(prefix), .. } => (3 + prefix.form.width(), prefix.longest_bytes()),
            Bounds::StxEtx { prefix: None, .. } => (3, usize::MAX),
        };
        if frame.body.is_empty() {
            return Err(FrameError::TooShort { length_bytes: content, needed_bytes: content + 1 });
        }
        if content > longest {
            return Err(FrameError::TooLong { length_bytes: content, max_bytes: longest });
        }
        if let Bounds::StxEtx { prefix: None, .. } = self.bounds
            && let Some(offset) = frame.body.iter().position(|byte| *byte == ETX)
        {
            return Err(FrameError::EtxInside { framing: self, offset });
        }
        Ok(around + content)
    }

    /// Bytes of TPDU, headers and message.
    pub(crate) fn content_len(self, frame: &Frame<'_>) -> usize {
        self.before_body_len() + frame.body.len()
    }

    /// Gives the bytes of a frame that [`Framing::encoded_len`] has accepted.
    pub(crate) fn write(self, frame: &Frame<'_>, mut put: impl FnMut(&[u8])) {
        let (lead, prefix, lrc) = match self.bounds {
            Bounds::Whole => (None, None, None),
            Bounds::Length { lead, prefix } => (lead, Some(prefix), None),
            Bounds::StxEtx { prefix, lrc } => (Some(STX), prefix, Some(lrc)),
        };
        if let Some(lead) = lead {
            put(&[lead]);
        }
        let length = prefix.map_or([0; 4], |prefix| prefix.write(self.content_len(frame)));
        let length = length.get(..prefix.map_or(0, |prefix| prefix.form.width())).unwrap_or_default();
        let tpdu = frame.tpdu.map(|tpdu| tpdu.0);
        let header = frame.header.map(|header| header.0);
        let pieces: [&[u8]; 5] = [
            length,
            tpdu.as_ref().map_or(&[], |bytes| bytes),
            header.as_ref().map_or(&[], |bytes| bytes),
            frame.vendor,
            frame.body,
        ];
        pieces.into_iter().for_each(&mut put);
        if let Some(lrc) = lrc {
            let check = pieces.iter().fold(lrc.start(), |check, piece| lrc.add(check, piece));
            put(&[ETX, lrc.end(lrc.add(check, &[ETX]))]);
        }
    }

    fn check_parts(self, frame: &Frame<'_>) -> Result<(), FrameError> {
        let vendor_bytes = self.vendor_len();
        self.check_part("TPDU", self.tpdu, frame.tpdu.is_some())?;
        self.check_part("header", self.heading == Heading::UnionPay, frame.header.is_some())?;
        self.check_part("vendor header", vendor_bytes > 0, !frame.vendor.is_empty())?;
        if frame.vendor.len() != vendor_bytes {
            return Err(FrameError::VendorLength {
                framing: self,
                given_bytes: frame.vendor.len(),
                needed_bytes: vendor_bytes,
            });
        }
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
