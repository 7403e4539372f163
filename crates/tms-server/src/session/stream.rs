//! Frames on a TLS connection. While nothing is on its way, a session holds no buffer: bytes are
//! read only when the socket has some, and the buffer goes when it is empty.

use std::{fmt, time::Duration};

use futures::FutureExt;
use iso8583::framing::{FrameError, Framing, Splitter};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

/// Bytes asked of the TLS layer at once.
const READ_BYTES: usize = 4 * 1024;
/// Frames taken from one read before they are answered, so that one peer cannot hold memory.
const FRAMES_PER_TURN: usize = 32;
/// A peer that takes no bytes for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A frame that began has so long to end.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer announced a frame over the limit.
    #[error("{0}")]
    TooLarge(FrameError),
    /// Bytes that are no frame.
    #[error("{0}")]
    Frame(FrameError),
    /// The connection ended inside a frame.
    #[error("the connection ended {0} bytes into a frame")]
    Truncated(usize),
    /// A frame was begun and not ended.
    #[error("a frame was begun and not ended within {0:?}")]
    Stalled(Duration),
    /// The peer takes no bytes.
    #[error("the peer took no bytes for {0:?}")]
    Blocked(Duration),
    /// The transport failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
}

/// What arrived. `Debug` prints lengths and no bytes, which may be card data or keys.
pub enum Incoming {
    /// Whole frames, with their length prefix.
    Frames(Vec<Vec<u8>>),
    /// The peer closed the connection between two frames.
    Closed,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames(frames) => {
                f.debug_tuple("Frames").field(&frames.iter().map(Vec::len).collect::<Vec<_>>()).finish()
            }
            Self::Closed => f.write_str("Closed"),
        }
    }
}

/// Reads and writes frames. `Debug` prints no bytes.
pub struct FrameReader {
    stream: TlsStream<TcpStream>,
    splitter: Splitter,
    buffer: Vec<u8>,
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader").field("buffered_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl FrameReader {
    /// Frames of at most `max_bytes` on `stream`.
    #[must_use]
    pub fn new(stream: TlsStream<TcpStream>, framing: Framing, max_bytes: usize) -> Self {
        Self { stream, splitter: Splitter::new(framing, max_bytes), buffer: Vec::new() }
    }

    /// Waits for frames. Safe to drop and call again: no byte is lost.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub async fn next(&mut self) -> Result<Incoming, StreamError> {
        loop {
            let frames = self.take_frames()?;
            if !frames.is_empty() {
                return Ok(Incoming::Frames(frames));
            }
            let open = match self.read_available() {
                Some(read) => read?,
                None => {
                    self.wait_readable().await?;
                    continue;
                }
            };
            if !open {
                return match self.buffer.len() {
                    0 => Ok(Incoming::Closed),
                    partial => Err(StreamError::Truncated(partial)),
                };
            }
        }
    }

    /// Writes bytes and hands them to the network.
    ///
    /// # Errors
    /// When the peer takes no bytes for too long, or the transport fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(WRITE_TIMEOUT, write).await.map_err(|_| StreamError::Blocked(WRITE_TIMEOUT))??;
        Ok(())
    }

    /// Says goodbye in TLS, if the peer still listens.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    /// Reads what is there without waiting: `None` if nothing is, `false` at the end.
    fn read_available(&mut self) -> Option<Result<bool, StreamError>> {
        self.buffer.reserve(READ_BYTES);
        let read = self.stream.read_buf(&mut self.buffer).now_or_never();
        if read.is_none() && self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        Some(match read? {
            Ok(n) => Ok(n > 0),
            // A peer that leaves without a TLS goodbye has still only left.
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset && self.buffer.is_empty() => Ok(false),
            Err(e) => Err(e.into()),
        })
    }

    async fn wait_readable(&self) -> Result<(), StreamError> {
        let readable = self.stream.get_ref().0.readable();
        if self.buffer.is_empty() {
            return Ok(readable.await?);
        }
        Ok(timeout(FRAME_TIMEOUT, readable).await.map_err(|_| StreamError::Stalled(FRAME_TIMEOUT))??)
    }

    fn take_frames(&mut self) -> Result<Vec<Vec<u8>>, StreamError> {
        let mut frames = Vec::new();
        let mut used = 0usize;
        while frames.len() < FRAMES_PER_TURN {
            let rest = self.buffer.get(used..).unwrap_or_default();
            match self.splitter.split(rest) {
                Ok(Some((_, length))) => {
                    frames.push(rest.get(..length).unwrap_or_default().to_vec());
                    used = used.saturating_add(length);
                }
                Ok(None) => break,
                // The frames before it are answered first; the next call meets the error again.
                Err(_) if !frames.is_empty() => break,
                Err(error @ FrameError::TooLong { .. }) => return Err(StreamError::TooLarge(error)),
                Err(error) => return Err(StreamError::Frame(error)),
            }
        }
        self.buffer.drain(..used);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        Ok(frames)
    }
}
