//! What waits in a session: bounded, and given back once it is gone.
//!
//! A server holds a session for every connected terminal and most of them are idle, so a session
//! keeps memory for one ordinary message and no more.

use std::collections::VecDeque;

use iso8583::{
    Builder, Dialect, Mti,
    framing::{Frame, Framing, Header, Tpdu},
};

use crate::error::ProtocolError;

/// Memory that a buffer of an idle session keeps, in bytes. Nearly every message fits.
const KEPT_BYTES: usize = 256;
/// Most bytes of frames that wait to be sent: more than a whole window of file blocks.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Most events that wait to be taken.
const MAX_EVENTS: usize = 1024;
/// Events that an idle session keeps room for.
const KEPT_EVENTS: usize = 2;

/// Frames that wait to be sent, one after the other in one buffer.
#[derive(Default)]
pub(crate) struct Outbox {
    /// The message of the frame that is being made.
    body: Vec<u8>,
    frames: Vec<u8>,
    /// Where the frames that were not taken yet begin in `frames`.
    start: usize,
    /// Length of each.
    lengths: VecDeque<u32>,
    /// The builder of the last message, to be used again.
    builder: Option<Builder<'static>>,
}

impl Outbox {
    /// A builder for the next message; [`Outbox::keep`] takes it back.
    pub(crate) fn builder(&mut self, dialect: &'static Dialect, mti: Mti) -> Builder<'static> {
        match self.builder.take() {
            Some(mut builder) => {
                builder.clear(mti);
                builder
            }
            None => Builder::new(dialect, mti),
        }
    }

    /// Keeps a builder for the next message, unless this one has made it large.
    pub(crate) fn keep(&mut self, builder: Builder<'static>, body_bytes: usize) {
        if body_bytes <= KEPT_BYTES {
            self.builder = Some(builder);
        }
    }

    /// Appends a frame around the message that `body` writes, and says how long that is in bytes.
    pub(crate) fn push(
        &mut self,
        framing: Framing,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), ProtocolError>,
    ) -> Result<usize, ProtocolError> {
        if self.waiting_bytes() >= MAX_WAITING_BYTES {
            return Err(ProtocolError::Overrun { what: "frames to send" });
        }
        self.body.clear();
        body(&mut self.body)?;
        let before = self.frames.len();
        framing.encode(&mut self.frames, &Frame { tpdu, header, vendor: &[], body: &self.body })?;
        let length = self.frames.len().saturating_sub(before);
        self.lengths.push_back(u32::try_from(length).unwrap_or(u32::MAX));
        let body_bytes = self.body.len();
        give_back(&mut self.body);
        Ok(body_bytes)
    }

    /// Appends the next frame to `out`; `false` when there is none.
    pub(crate) fn pop_into(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(length) = self.lengths.pop_front() else { return false };
        let end = self.start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        out.extend_from_slice(self.frames.get(self.start..end).unwrap_or_default());
        self.start = end;
        if self.lengths.is_empty() {
            self.start = 0;
            self.frames.clear();
            give_back(&mut self.frames);
            self.lengths.shrink_to(4);
        } else if self.start > KEPT_BYTES && self.start >= self.waiting_bytes() {
            // A driver that always leaves one is given no more memory than what waits needs.
            self.frames.drain(..self.start);
            self.start = 0;
            self.frames.shrink_to(self.frames.len().saturating_mul(2).max(KEPT_BYTES));
        }
        true
    }

    fn waiting_bytes(&self) -> usize {
        self.frames.len().saturating_sub(self.start)
    }

    /// Frames that wait.
    pub(crate) fn len(&self) -> usize {
        self.lengths.len()
    }
}

fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}

/// Events that wait to be taken.
#[derive(Debug)]
pub(crate) struct Queue<T>(VecDeque<T>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Queue<T> {
    pub(crate) fn push_back(&mut self, event: T) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(KEPT_EVENTS);
        }
        self.0.push_back(event);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let event = self.0.pop_front();
        if self.0.is_empty() {
            self.0.shrink_to(KEPT_EVENTS);
        }
        event
    }

    /// Refuses further input while too many events wait: one message makes only a few.
    pub(crate) fn check(&self) -> Result<(), ProtocolError> {
        if self.0.len() >= MAX_EVENTS { Err(ProtocolError::Overrun { what: "events" }) } else { Ok(()) }
    }
}
