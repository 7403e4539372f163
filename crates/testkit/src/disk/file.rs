//! One file, and how to take back what was written to it and is not safe.

use std::collections::VecDeque;

use crate::rng::Rng;

/// Writes that are not safe before the system writes the oldest of them back by itself.
const MAX_UNSYNCED: usize = 32;

/// One file.
#[derive(Debug, Default)]
pub(super) struct File {
    bytes: Vec<u8>,
    /// How to take back each write that is not safe, oldest first.
    unsynced: VecDeque<Undo>,
}

#[derive(Debug)]
struct Undo {
    /// Where it wrote.
    offset: usize,
    /// What was there, as far as the file reached.
    before: Vec<u8>,
    /// How long the file was.
    length: usize,
}

impl File {
    /// A file whose content is safe.
    pub(super) fn durable(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), unsynced: VecDeque::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.unsynced.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.unsynced.len() >= MAX_UNSYNCED {
            self.unsynced.pop_front();
        }
        let length = self.bytes.len();
        let end = offset.saturating_add(bytes.len());
        let before = self.bytes.get(offset..end.min(length)).unwrap_or_default().to_vec();
        self.unsynced.push_back(Undo { offset, before, length });
        if end > length {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.unsynced.clear();
        self.bytes.truncate(length);
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    /// Takes back the newest writes, as many as chance says. Gives how many.
    pub(super) fn lose_unsynced(&mut self, rng: &mut Rng) -> u64 {
        let lost = rng.index(self.unsynced.len().saturating_add(1));
        for _ in 0..lost {
            let Some(undo) = self.unsynced.pop_back() else { break };
            self.bytes.truncate(undo.length);
            let end = undo.offset.saturating_add(undo.before.len());
            if let Some(place) = self.bytes.get_mut(undo.offset..end) {
                place.copy_from_slice(&undo.before);
            }
        }
        self.unsynced.clear();
        lost as u64
    }
}
