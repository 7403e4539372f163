//! Sending a log: the terminal names an offset and sends bytes, the host says how far it has them.

use std::fmt;

use uuid::Uuid;

use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
};

/// A piece of a log bundle. `Debug` prints the length of the data only: a log may quote a card.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The operation that asked for the log.
    pub operation: Uuid,
    /// Offset of the first byte.
    pub offset: u64,
    /// Size of the whole bundle.
    pub total_bytes: u64,
    /// SHA-256 of the whole bundle.
    pub sha256: [u8; 32],
    /// The bytes.
    pub data: Vec<u8>,
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("operation", &self.operation)
            .field("offset", &self.offset)
            .field("total_bytes", &self.total_bytes)
            .field("data_bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

impl Chunk {
    /// Most bytes in one chunk, so that it fits into one LLL field with its own header.
    pub const MAX_BYTES: usize = 800;

    /// The body of a log-upload message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len().saturating_add(128));
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::OFFSET, &self.offset.to_be_bytes());
        put(&mut out, tag::TOTAL, &self.total_bytes.to_be_bytes());
        put(&mut out, tag::SHA256, &self.sha256);
        put(&mut out, tag::CRC32, &crc32fast::hash(&self.data).to_be_bytes());
        put(&mut out, tag::CHUNK, &self.data);
        out
    }

    /// Reads the body of a log-upload message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed, or says that the CRC-32 is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "log chunk";
        let body = Body::parse(bytes)?;
        let data = body.bytes(tag::CHUNK, NAME)?.to_vec();
        if body.u32(tag::CRC32, NAME)? != crc32fast::hash(&data) {
            return Err(ProtocolError::body(NAME, "the CRC-32 is wrong"));
        }
        let chunk = Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            offset: body.u64(tag::OFFSET, NAME)?,
            total_bytes: body.u64(tag::TOTAL, NAME)?,
            sha256: body.array(tag::SHA256, NAME)?,
            data,
        };
        let end = chunk.offset.checked_add(chunk.data.len() as u64);
        if end.is_none_or(|end| end > chunk.total_bytes) {
            return Err(ProtocolError::body(NAME, "reaches past the announced size"));
        }
        Ok(chunk)
    }
}

/// The host's answer: it has everything before this offset.
#[must_use]
pub fn encode_next(offset: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    put(&mut out, tag::OFFSET, &offset.to_be_bytes());
    out
}

/// Reads the host's answer about a bundle of `total_bytes`. It may want bytes again that it lost, and may
/// have some of an earlier connection.
///
/// # Errors
/// When the offset is missing or malformed, or past the end of the bundle.
pub fn decode_next(bytes: &[u8], total_bytes: u64) -> Result<u64, ProtocolError> {
    const NAME: &str = "upload answer";
    let next = Body::parse(bytes)?.u64(tag::OFFSET, NAME)?;
    if next > total_bytes {
        return Err(ProtocolError::body(NAME, "is past the announced size"));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Chunk {
        Chunk {
            operation: Uuid::from_u128(7),
            offset: 2,
            total_bytes: 5,
            sha256: [1; 32],
            data: b"abc".to_vec(),
        }
    }

    #[test]
    fn a_chunk_survives_the_wire() {
        assert_eq!(Chunk::decode(&chunk().encode()).unwrap(), chunk());
        assert_eq!(decode_next(&encode_next(5), 5).unwrap(), 5);
        assert!(decode_next(&encode_next(6), 5).unwrap_err().to_string().contains("past"));
    }

    #[test]
    fn the_largest_chunk_fits_into_one_field() {
        let chunk = Chunk { data: vec![0; Chunk::MAX_BYTES], total_bytes: 1 << 40, ..chunk() };
        assert!(chunk.encode().len() <= crate::message::FIELD_ROOM_BYTES);
    }

    #[test]
    fn a_chunk_past_its_own_end_is_refused() {
        let chunk = Chunk { total_bytes: 4, ..chunk() };
        assert!(Chunk::decode(&chunk.encode()).unwrap_err().to_string().contains("past"));
    }
}
