//! Bytes to frames.

use super::{Bounds, ETX, Frame, FrameError, Framing, Header, Heading, Lrc, Prefix, STX, Tpdu};

/// Where a frame that is wholly there stands in a buffer: what delimits it, what it holds, what
/// ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Bytes before the content: a constant byte or STX, the length.
    before: usize,
    /// Bytes from TPDU or header to the end of the message.
    content: usize,
    /// Bytes after the content: ETX and LRC.
    after: usize,
}

impl Span {
    /// Bytes of the whole frame.
    pub(crate) const fn total(self) -> usize {
        self.before.saturating_add(self.content).saturating_add(self.after)
    }

    /// Where the message ends.
    const fn content_end(self) -> usize {
        self.before.saturating_add(self.content)
    }

    /// The frame in a buffer that begins with it.
    pub(crate) fn frame(self, framing: Framing, buf: &[u8]) -> Frame<'_> {
        let mut body = buf.get(self.before..self.content_end()).unwrap_or_default();
        let (mut tpdu, mut header, mut vendor) = (None, None, &[][..]);
        if framing.tpdu
            && let Some((first, rest)) = body.split_first_chunk()
        {
            (tpdu, body) = (Some(Tpdu(*first)), rest);
        }
        if framing.has_header()
            && let Some((first, rest)) = body.split_first_chunk()
        {
            (header, body) = (Some(Header(*first)), rest);
        }
        if let Heading::Vendor(len_bytes) = framing.heading
            && let Some((first, rest)) = body.split_at_checked(usize::from(len_bytes.get()))
        {
            (vendor, body) = (first, rest);
        }
        Frame { tpdu, header, vendor, body }
    }
}

impl Framing {
    /// Cuts the first frame off `buf`; gives it and the number of bytes it took, everything
    /// included. `Ok(None)` means that more bytes are needed.
    ///
    /// `max_bytes` limits what follows the length (or STX) up to the end of the message. With
    /// [`Bounds::Whole`] everything in `buf` is one message.
    ///
    /// Each call looks at the length alone until the frame is whole. Where there is none
    /// (`stx-etx-lrc`), it searches `buf` for ETX from its beginning; a caller that receives byte
    /// by byte keeps a [`Splitter`], which goes on where it was.
    ///
    /// # Errors
    ///
    /// A length above `max_bytes` or too small for the framing, a byte that no frame has in its
    /// place, as soon as it is seen: a peer cannot make the caller wait for, or keep, what will be
    /// refused. An LRC that does not fit. The stream is unusable after an error, because the next
    /// frame's beginning is not known.
    pub fn split(self, buf: &[u8], max_bytes: usize) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
        Splitter::new(self, max_bytes).split(buf)
    }

    fn locate(self, buf: &[u8], max_bytes: usize, searched: &mut usize) -> Result<Option<Span>, FrameError> {
        match self.bounds {
            Bounds::Whole if buf.is_empty() => Ok(None),
            Bounds::Whole => {
                self.check_content(buf.len(), max_bytes, 0)?;
                Ok(Some(Span { before: 0, content: buf.len(), after: 0 }))
            }
            Bounds::Length { lead, prefix } => {
                if let Some(lead) = lead
                    && !stands(buf, 0, lead, "the constant byte")?
                {
                    return Ok(None);
                }
                let lead_len = usize::from(lead.is_some());
                let Some(span) = self.read_prefix(buf, lead_len, prefix, max_bytes)? else {
                    return Ok(None);
                };
                Ok((buf.len() >= span.total()).then_some(span))
            }
            Bounds::StxEtx { prefix, lrc } => {
                if !stands(buf, 0, STX, "STX")? {
                    return Ok(None);
                }
                let found = match prefix {
                    Some(prefix) => self.read_prefix(buf, 1, prefix, max_bytes)?,
                    None => self.search_etx(buf, max_bytes, searched)?,
                };
                let Some(span) = found else { return Ok(None) };
                close(buf, Span { after: 2, ..span }, lrc)
            }
        }
    }

    /// The frame as its length says, once the length is there.
    fn read_prefix(
        self,
        buf: &[u8],
        at: usize,
        prefix: Prefix,
        max_bytes: usize,
    ) -> Result<Option<Span>, FrameError> {
        let Some(length_bytes) = prefix.read(buf.get(at..).unwrap_or_default())? else {
            return Ok(None);
        };
        let counted = prefix.counted_bytes();
        let Some(content) = length_bytes.checked_sub(counted) else {
            return Err(FrameError::TooShort {
                length_bytes,
                needed_bytes: counted + self.before_body_len() + 1,
            });
        };
        self.check_content(content, max_bytes, counted)?;
        Ok(Some(Span { before: at + prefix.form.width(), content, after: 0 }))
    }

    /// The frame up to the first ETX after TPDU and header, whose bytes may be anything.
    /// `searched` says how much of the content is known to have none.
    fn search_etx(
        self,
        buf: &[u8],
        max_bytes: usize,
        searched: &mut usize,
    ) -> Result<Option<Span>, FrameError> {
        let content = buf.get(1..).unwrap_or_default();
        let from = self.before_body_len().max(*searched);
        // An ETX right after the longest content that is accepted is the last that counts.
        let until = content.len().min(max_bytes.saturating_add(1));
        let window = content.get(from..until).unwrap_or_default();
        if let Some(at) = window.iter().position(|byte| *byte == ETX) {
            *searched = from + at;
            self.check_content(from + at, max_bytes, 0)?;
            return Ok(Some(Span { before: 1, content: from + at, after: 0 }));
        }
        if content.len() > max_bytes {
            return Err(FrameError::TooLong { length_bytes: max_bytes.saturating_add(1), max_bytes });
        }
        *searched = from.max(until);
        Ok(None)
    }

    /// `counted` is what the length says above `content`.
    fn check_content(self, content: usize, max_bytes: usize, counted: usize) -> Result<(), FrameError> {
        if content > max_bytes {
            return Err(FrameError::TooLong { length_bytes: content, max_bytes });
        }
        let needed = self.before_body_len() + 1;
        if content < needed {
            return Err(FrameError::TooShort {
                length_bytes: content + counted,
                needed_bytes: needed + counted,
            });
        }
        Ok(())
    }
}

/// Whether the byte that belongs at `at` is there; an error if another is.
fn stands(buf: &[u8], at: usize, expected: u8, part: &'static str) -> Result<bool, FrameError> {
    match buf.get(at) {
        None => Ok(false),
        Some(found) if *found == expected => Ok(true),
        Some(found) => Err(FrameError::WrongByte { part, expected, found: *found }),
    }
}

/// Checks ETX and LRC behind the content.
fn close(buf: &[u8], span: Span, lrc: Lrc) -> Result<Option<Span>, FrameError> {
    let etx_at = span.content_end();
    if !stands(buf, etx_at, ETX, "ETX")? {
        return Ok(None);
    }
    let Some(received) = buf.get(etx_at.saturating_add(1)).copied() else {
        return Ok(None);
    };
    let computed = lrc.of(buf.get(1..=etx_at).unwrap_or_default());
    if computed != received {
        return Err(FrameError::Lrc { computed, received });
    }
    Ok(Some(span))
}

/// Cuts frames off a buffer that grows, and remembers how far it looked: bytes that arrive one by
/// one cost as much as all at once, in every framing.
///
/// ```
/// use iso8583::framing::{Framing, Splitter};
///
/// let framing: Framing = "stx-etx-lrc".parse()?;
/// let mut splitter = Splitter::new(framing, 4096);
/// let mut received = Vec::new();
/// let mut bodies = Vec::new();
/// for byte in b"\x020800\x03\x0b\x020810\x03\x0a" {
///     received.push(*byte);
///     while let Some((frame, consumed)) = splitter.split(&received)? {
///         bodies.push(frame.body.to_vec());
///         received.drain(..consumed);
///     }
/// }
/// assert_eq!(bodies, [b"0800", b"0810"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Splitter {
    framing: Framing,
    max_bytes: usize,
    /// Bytes of the frame that is being received, after STX, that have no ETX.
    pub(super) searched: usize,
}

impl Splitter {
    /// Frames of at most `max_bytes`, as [`Framing::split`] counts them.
    #[must_use]
    pub const fn new(framing: Framing, max_bytes: usize) -> Self {
        Self { framing, max_bytes, searched: 0 }
    }

    /// The framing.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// The limit.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// [`Framing::split`] on a buffer that the caller only appends to, and from whose front it
    /// removes exactly what a frame took.
    ///
    /// # Errors
    ///
    /// As [`Framing::split`]. The stream is unusable after one.
    pub fn split<'a>(&mut self, buf: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, FrameError> {
        let span = self.locate(buf)?;
        Ok(span.map(|span| (span.frame(self.framing, buf), span.total())))
    }

    pub(crate) fn locate(&mut self, buf: &[u8]) -> Result<Option<Span>, FrameError> {
        let located = self.framing.locate(buf, self.max_bytes, &mut self.searched);
        if !matches!(located, Ok(None)) {
            self.searched = 0;
        }
        located
    }
}
