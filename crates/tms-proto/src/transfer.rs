//! A file pulled by the terminal in blocks: several requests in flight, resumed after any break
//! from the last byte that is durable.
//!
//! The machine holds no connection. The driver asks it for [requests](Transfer::next_requests),
//! hands it [blocks](Transfer::on_block), writes what [`Transfer::take_ready`] yields, and says
//! with [`Transfer::on_durable`] how far the writing is safe.

use std::collections::BTreeMap;

use crate::file::{Block, BlockRequest};

/// What to fetch, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSpec {
    /// Name of the file.
    pub file: String,
    /// Exact size, from a source that was announced with the task.
    pub size_bytes: u64,
    /// Bytes of one block.
    pub block_bytes: u32,
    /// Most requests in flight.
    pub window: usize,
}

/// A transfer in progress.
#[derive(Debug)]
pub struct Transfer {
    spec: TransferSpec,
    /// Everything before this offset is safe on the terminal.
    durable: u64,
    /// Everything before this offset has been handed out by `take_ready`.
    delivered: u64,
    /// Next offset to request.
    next: u64,
    in_flight: BTreeMap<u64, u32>,
    /// Blocks to ask for again, before any new one.
    missing: BTreeMap<u64, u32>,
    /// Blocks that arrived before their predecessors. Bounded by the window.
    early: BTreeMap<u64, Vec<u8>>,
}

/// Why a block is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file on the host is not the one announced.
    #[error("the file has {actual} bytes on the host, {announced} were announced")]
    SizeChanged {
        /// Size in the block.
        actual: u64,
        /// Size in the task.
        announced: u64,
    },
    /// A block has another length than was asked for.
    #[error("the block at {offset} has {actual} bytes instead of {expected}")]
    WrongLength {
        /// Offset of the block.
        offset: u64,
        /// Its length.
        actual: usize,
        /// The length asked for.
        expected: u32,
    },
}

impl Transfer {
    /// Starts or resumes a transfer; `durable` is the number of bytes already safe.
    #[must_use]
    pub fn new(spec: TransferSpec, durable: u64) -> Self {
        let durable = durable.min(spec.size_bytes);
        Self {
            spec,
            durable,
            delivered: durable,
            next: durable,
            in_flight: BTreeMap::new(),
            missing: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    /// Requests to send now, to fill the window.
    pub fn next_requests(&mut self) -> Vec<BlockRequest> {
        let mut requests = Vec::new();
        while let Some((offset, length)) = self.missing.pop_first() {
            requests.push(BlockRequest { file: self.spec.file.clone(), offset, length });
            self.in_flight.insert(offset, length);
        }
        while self.in_flight.len().saturating_add(self.early.len()) < self.spec.window.max(1)
            && self.next < self.spec.size_bytes
        {
            let left = self.spec.size_bytes.saturating_sub(self.next);
            let length = u32::try_from(left).unwrap_or(u32::MAX).min(self.spec.block_bytes.max(1));
            requests.push(BlockRequest { file: self.spec.file.clone(), offset: self.next, length });
            self.in_flight.insert(self.next, length);
            self.next = self.next.saturating_add(u64::from(length));
        }
        requests
    }

    /// Takes a block in any order. One that was not asked for, or came twice, is ignored.
    ///
    /// # Errors
    /// When the file's size or the block's length differs from what was announced: the transfer
    /// cannot succeed any more.
    pub fn on_block(&mut self, block: Block) -> Result<(), TransferError> {
        if block.total_bytes != self.spec.size_bytes {
            return Err(TransferError::SizeChanged {
                actual: block.total_bytes,
                announced: self.spec.size_bytes,
            });
        }
        let Some(expected) = self.in_flight.get(&block.offset).copied() else { return Ok(()) };
        if block.data.len() as u64 != u64::from(expected) {
            return Err(TransferError::WrongLength {
                offset: block.offset,
                actual: block.data.len(),
                expected,
            });
        }
        self.in_flight.remove(&block.offset);
        self.early.insert(block.offset, block.data);
        Ok(())
    }

    /// The next bytes in file order, with their offset; call until `None` and write each.
    pub fn take_ready(&mut self) -> Option<(u64, Vec<u8>)> {
        let offset = self.delivered;
        let data = self.early.remove(&offset)?;
        self.delivered = offset.saturating_add(data.len() as u64);
        Some((offset, data))
    }

    /// Notes that everything before `offset` is safe.
    pub fn on_durable(&mut self, offset: u64) {
        self.durable = self.durable.max(offset.min(self.delivered));
    }

    /// A block was not answered, or was answered with a refusal that may be retried.
    pub fn on_missing(&mut self, offset: u64) {
        if let Some(length) = self.in_flight.remove(&offset) {
            self.missing.insert(offset, length);
        }
    }

    /// The connection broke: nothing is in flight, and what was not written is asked for again.
    pub fn on_disconnect(&mut self) {
        self.in_flight.clear();
        self.missing.clear();
        self.early.clear();
        self.next = self.delivered;
    }

    /// Bytes safe on the terminal: where a restart resumes.
    #[must_use]
    pub fn durable_bytes(&self) -> u64 {
        self.durable
    }

    /// Bytes handed out in order so far.
    #[must_use]
    pub fn delivered_bytes(&self) -> u64 {
        self.delivered
    }

    /// Whether every byte has been handed out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.delivered >= self.spec.size_bytes
    }

    /// What is being fetched.
    #[must_use]
    pub fn spec(&self) -> &TransferSpec {
        &self.spec
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(size_bytes: u64) -> TransferSpec {
        TransferSpec { file: "image".into(), size_bytes, block_bytes: 10, window: 4 }
    }

    fn block(file: &[u8], request: &BlockRequest) -> Block {
        let start = usize::try_from(request.offset).unwrap();
        let end = start + request.length as usize;
        Block { offset: request.offset, total_bytes: file.len() as u64, data: file[start..end].to_vec() }
    }

    #[test]
    fn the_last_block_is_exactly_as_long_as_what_is_left() {
        let mut transfer = Transfer::new(spec(25), 0);
        let lengths: Vec<u32> = transfer.next_requests().iter().map(|r| r.length).collect();
        assert_eq!(lengths, [10, 10, 5]);
    }

    #[test]
    fn an_empty_file_is_complete_at_once() {
        let mut transfer = Transfer::new(spec(0), 0);
        assert!(transfer.is_complete() && transfer.next_requests().is_empty());
    }

    #[test]
    fn a_file_that_changed_size_is_refused() {
        let mut transfer = Transfer::new(spec(25), 0);
        transfer.next_requests();
        let error = transfer.on_block(Block { offset: 0, total_bytes: 26, data: vec![0; 10] }).unwrap_err();
        assert_eq!(error, TransferError::SizeChanged { actual: 26, announced: 25 });
    }

    proptest! {
        // Blocks arrive in any order, twice, or not at all; connections break; the terminal
        // restarts and knows only what was durable. The file is whole and no byte is written
        // out of place.
        #[test]
        fn a_transfer_ends_with_the_file_under_any_interleaving(
            size in 0usize..300,
            choices in prop::collection::vec((0u8..12, any::<prop::sample::Index>()), 0..400),
        ) {
            let file: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
            let mut flash = vec![0u8; size];
            let mut transfer = Transfer::new(spec(size as u64), 0);
            let mut wire: Vec<BlockRequest> = Vec::new();
            let faults = choices.into_iter().map(Some).chain(std::iter::repeat(None));
            for (step, choice) in faults.enumerate() {
                prop_assert!(step < 2000, "no progress");
                wire.extend(transfer.next_requests());
                match choice {
                    Some((0, _)) => { wire.clear(); transfer.on_disconnect(); }
                    Some((1, _)) => {
                        wire.clear();
                        transfer = Transfer::new(spec(size as u64), transfer.durable_bytes());
                    }
                    Some((2, index)) if !wire.is_empty() => {
                        let lost = wire.remove(index.index(wire.len()));
                        transfer.on_missing(lost.offset);
                    }
                    Some((3, index)) if !wire.is_empty() => {
                        let twice = wire[index.index(wire.len())].clone();
                        transfer.on_block(block(&file, &twice)).unwrap();
                    }
                    Some((_, index)) if !wire.is_empty() => {
                        let request = wire.remove(index.index(wire.len()));
                        transfer.on_block(block(&file, &request)).unwrap();
                    }
                    Some(_) => {}
                    None if wire.is_empty() => break,
                    None => {
                        let request = wire.remove(0);
                        transfer.on_block(block(&file, &request)).unwrap();
                    }
                }
                while let Some((offset, data)) = transfer.take_ready() {
                    let start = offset as usize;
                    flash[start..start + data.len()].copy_from_slice(&data);
                    if offset % 20 == 0 {
                        transfer.on_durable(offset + data.len() as u64);
                    }
                }
            }
            prop_assert!(transfer.is_complete());
            prop_assert_eq!(flash, file);
        }
    }
}
