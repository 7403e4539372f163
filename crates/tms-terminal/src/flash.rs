//! Flash with two slots, each a file that is written in order and block by block.

use std::{io, path::PathBuf, sync::Arc};

use tms_crypto::Sha256;
use tms_firmware::Slot;

use crate::storage::Storage;

/// How much is read at a time to measure a slot.
const MEASURE_BYTES: usize = 64 * 1024;

/// Both slots.
#[derive(Clone, Debug)]
pub struct Flash {
    storage: Arc<dyn Storage>,
    slot_bytes: u64,
}

/// Why a write stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlashError {
    /// The fault of the scenario struck: part of the block was written and the terminal is off.
    #[error("power was cut while writing flash, {written_bytes} bytes into the slot")]
    PowerCut {
        /// How far the slot is written.
        written_bytes: u64,
    },
    /// Past the end of the slot.
    #[error("a slot has {slot_bytes} bytes, offset {end} is past its end")]
    Full {
        /// Size of a slot.
        slot_bytes: u64,
        /// Where the write would have ended.
        end: u64,
    },
    /// The file system refused.
    #[error("flash: {0}")]
    Io(#[from] io::Error),
}

impl Flash {
    /// The flash of a terminal, `flash_bytes` large, half for each slot.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, flash_bytes: u64) -> Self {
        Self { storage, slot_bytes: flash_bytes / 2 }
    }

    /// Size of one slot.
    #[must_use]
    pub fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// Opens a slot for writing from `durable_bytes` on; what lies behind is cut off.
    ///
    /// # Errors
    /// [`FlashError::Io`], also when less lies in the slot than was said to be durable.
    pub fn writer(&self, slot: Slot, durable_bytes: u64) -> Result<SlotWriter, FlashError> {
        let name = name(slot);
        if self.storage.len(name)?.unwrap_or(0) < durable_bytes {
            return Err(FlashError::Io(io::Error::other(format!("slot {slot} holds less than it should"))));
        }
        self.storage.truncate(name, durable_bytes)?;
        Ok(SlotWriter {
            storage: Arc::clone(&self.storage),
            name,
            at: durable_bytes,
            slot_bytes: self.slot_bytes,
        })
    }

    /// Size and SHA-256 of what lies in a slot.
    ///
    /// # Errors
    /// When the slot cannot be read.
    pub fn measure(&self, slot: Slot) -> io::Result<(u64, [u8; 32])> {
        let name = name(slot);
        if self.storage.len(name)?.is_none() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("slot {slot} is empty")));
        }
        let (mut hash, mut size) = (Sha256::new(), 0_u64);
        loop {
            let piece = self.storage.read_at(name, size, MEASURE_BYTES)?;
            if piece.is_empty() {
                return Ok((size, hash.finish()));
            }
            hash.update(&piece);
            size = size.saturating_add(piece.len() as u64);
        }
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn erase(&self, slot: Slot) -> io::Result<()> {
        self.storage.remove(name(slot))
    }

    /// Where a slot lies.
    #[must_use]
    pub fn path(&self, slot: Slot) -> PathBuf {
        self.storage.location(name(slot))
    }
}

fn name(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "slot-a.img",
        Slot::B => "slot-b.img",
    }
}

/// A slot being written.
#[derive(Debug)]
pub struct SlotWriter {
    storage: Arc<dyn Storage>,
    name: &'static str,
    at: u64,
    slot_bytes: u64,
}

impl SlotWriter {
    /// Appends a block. `power_bytes` is how much may still be written before the scenario cuts the
    /// power, and counts down.
    ///
    /// # Errors
    /// [`FlashError`]; after [`FlashError::PowerCut`] the slot holds part of the block.
    pub fn append(&mut self, block: &[u8], power_bytes: &mut Option<u64>) -> Result<u64, FlashError> {
        let end = self.at.saturating_add(block.len() as u64);
        if end > self.slot_bytes {
            return Err(FlashError::Full { slot_bytes: self.slot_bytes, end });
        }
        let cut = power_bytes.filter(|left| *left < block.len() as u64);
        let writable = cut
            .and_then(|left| usize::try_from(left).ok())
            .and_then(|left| block.get(..left))
            .unwrap_or(block);
        self.storage.write_at(self.name, self.at, writable)?;
        self.at = self.at.saturating_add(writable.len() as u64);
        if cut.is_some() {
            *power_bytes = None;
            return Err(FlashError::PowerCut { written_bytes: self.at });
        }
        *power_bytes = power_bytes.map(|left| left.saturating_sub(block.len() as u64));
        Ok(self.at)
    }

    /// Makes durable what was appended so far.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn sync(&self) -> io::Result<()> {
        self.storage.sync(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn flash() -> Flash {
        Flash::new(Arc::new(MemoryStorage::default()), 200)
    }

    #[test]
    fn blocks_lie_in_the_slot_one_after_the_other() {
        let flash = flash();
        let mut writer = flash.writer(Slot::B, 0).unwrap();
        assert_eq!(writer.append(b"abc", &mut None).unwrap(), 3);
        assert_eq!(writer.append(b"def", &mut None).unwrap(), 6);
        assert_eq!(flash.measure(Slot::B).unwrap(), (6, tms_crypto::sha256(b"abcdef")));
    }

    #[test]
    fn writing_resumes_after_what_is_durable_and_forgets_the_rest() {
        let flash = flash();
        flash.writer(Slot::B, 0).unwrap().append(b"abcTORN", &mut None).unwrap();
        flash.writer(Slot::B, 3).unwrap().append(b"def", &mut None).unwrap();
        assert_eq!(flash.measure(Slot::B).unwrap(), (6, tms_crypto::sha256(b"abcdef")));
        assert!(flash.writer(Slot::B, 7).is_err(), "more durable than there is");
    }

    #[test]
    fn a_power_cut_strikes_once_in_the_middle_of_a_block() {
        let flash = flash();
        let mut writer = flash.writer(Slot::A, 0).unwrap();
        let mut power = Some(5);
        writer.append(b"abc", &mut power).unwrap();
        assert!(matches!(writer.append(b"def", &mut power), Err(FlashError::PowerCut { written_bytes: 5 })));
        assert_eq!(flash.measure(Slot::A).unwrap().0, 5);
        assert_eq!(power, None);
    }

    #[test]
    fn a_slot_holds_half_the_flash_and_no_more() {
        let flash = flash();
        let mut writer = flash.writer(Slot::A, 0).unwrap();
        writer.append(&[0; 100], &mut None).unwrap();
        assert!(matches!(writer.append(&[0], &mut None), Err(FlashError::Full { .. })));
    }

    #[test]
    fn an_erased_slot_is_empty_and_may_be_erased_again() {
        let flash = flash();
        flash.writer(Slot::A, 0).unwrap().append(b"x", &mut None).unwrap();
        flash.erase(Slot::A).unwrap();
        flash.erase(Slot::A).unwrap();
        assert!(flash.measure(Slot::A).is_err());
    }
}
