//! Reading a file in blocks: the terminal names an offset, the host answers with bytes.

use std::fmt;

use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
    task::MAX_NAME_BYTES,
};

/// A request for one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRequest {
    /// The file's name, as a task gave it.
    pub file: String,
    /// First byte wanted.
    pub offset: u64,
    /// Bytes wanted; the last block may be shorter.
    pub length: u32,
}

impl BlockRequest {
    /// The body of a file-read message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put(&mut out, tag::FILE, self.file.as_bytes());
        put(&mut out, tag::OFFSET, &self.offset.to_be_bytes());
        put(&mut out, tag::LENGTH, &self.length.to_be_bytes());
        out
    }

    /// Reads the body of a file-read message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "block request";
        let body = Body::parse(bytes)?;
        Ok(Self {
            file: body.text(tag::FILE, NAME, MAX_NAME_BYTES)?,
            offset: body.u64(tag::OFFSET, NAME)?,
            length: body.u32(tag::LENGTH, NAME)?,
        })
    }
}

/// One block of a file. `Debug` prints the length of the data only.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// Offset of its first byte.
    pub offset: u64,
    /// Size of the whole file.
    pub total_bytes: u64,
    /// The bytes; checked against the block's CRC-32 before they get here.
    pub data: Vec<u8>,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("offset", &self.offset)
            .field("total_bytes", &self.total_bytes)
            .field("data_bytes", &self.data.len())
            .finish()
    }
}

impl Block {
    /// The body that goes with the data; the data itself travels in the profile's data fields.
    #[must_use]
    pub fn encode_header(offset: u64, total_bytes: u64, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        put(&mut out, tag::OFFSET, &offset.to_be_bytes());
        put(&mut out, tag::TOTAL, &total_bytes.to_be_bytes());
        put(&mut out, tag::CRC32, &crc32fast::hash(data).to_be_bytes());
        out
    }

    /// Joins header and data.
    ///
    /// # Errors
    /// When the header is malformed, or the data does not have the header's CRC-32.
    pub fn decode(header: &[u8], data: Vec<u8>) -> Result<Self, ProtocolError> {
        const NAME: &str = "file block";
        let body = Body::parse(header)?;
        let block =
            Self { offset: body.u64(tag::OFFSET, NAME)?, total_bytes: body.u64(tag::TOTAL, NAME)?, data };
        let expected = body.u32(tag::CRC32, NAME)?;
        let actual = crc32fast::hash(&block.data);
        if actual != expected {
            return Err(ProtocolError::body(
                NAME,
                format!("CRC-32 is {actual:08x}, announced was {expected:08x}"),
            ));
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_request_survives_the_wire() {
        let request = BlockRequest { file: "image".into(), offset: 5 << 33, length: 4096 };
        assert_eq!(BlockRequest::decode(&request.encode()).unwrap(), request);
    }

    #[test]
    fn a_block_with_one_wrong_bit_is_refused() {
        let header = Block::encode_header(0, 3, b"abc");
        assert_eq!(Block::decode(&header, b"abc".to_vec()).unwrap().total_bytes, 3);
        let error = Block::decode(&header, b"abb".to_vec()).unwrap_err().to_string();
        assert!(error.contains("CRC-32"), "{error}");
    }
}
