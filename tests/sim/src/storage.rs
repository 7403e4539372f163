//! A terminal's storage: the disk that fails, and what is broken on purpose in it.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use testkit::disk::Disk;
use tms_terminal::storage::Storage;

use crate::options::Sabotage;

/// The state that a forgetful terminal goes back to.
#[derive(Debug, Default)]
struct Earlier {
    state: Option<Vec<u8>>,
    saves: u32,
}

/// A storage on a [`Disk`].
#[derive(Debug)]
pub(crate) struct OnDisk {
    disk: Disk,
    sabotage: Option<Sabotage>,
    earlier: Mutex<Earlier>,
    rotten: AtomicBool,
    saved_sets: AtomicBool,
}

const STATE: &str = "state.json";
const SETS: &str = "downloads.json";

impl OnDisk {
    pub(crate) fn new(disk: Disk, sabotage: Option<Sabotage>) -> Self {
        Self {
            disk,
            sabotage,
            earlier: Mutex::default(),
            rotten: AtomicBool::new(false),
            saved_sets: AtomicBool::new(false),
        }
    }

    /// What a power cut does besides what the disk itself loses.
    pub(crate) fn power_lost(&self) {
        if self.sabotage == Some(Sabotage::DamagedState) {
            let _ = self.disk.write_at(STATE, 0, b"damage");
        }
        if self.sabotage == Some(Sabotage::ForgetfulTerminal)
            && let Some(state) = self.earlier.lock().expect("one thread").state.take()
        {
            let _ = self.disk.replace(STATE, &state);
        }
    }

    /// Whether the sets for chip cards were written since this was last asked.
    pub(crate) fn saved_sets(&self) -> bool {
        self.saved_sets.swap(false, Ordering::Relaxed)
    }

    /// Before a start: what lies in the slots may have changed since it was verified.
    pub(crate) fn before_boot(&self) {
        if self.sabotage != Some(Sabotage::RottenSlot) || self.rotten.swap(true, Ordering::Relaxed) {
            return;
        }
        let slots = ["slot-a.img", "slot-b.img"];
        let written = slots.iter().filter(|name| self.disk.len(name).ok().flatten().unwrap_or(0) > 0);
        let mut found = false;
        for name in written {
            let _ = self.disk.write_at(name, 0, &[0xFF, 0xFE, 0xFD]);
            found = true;
        }
        self.rotten.store(found, Ordering::Relaxed);
    }
}

impl Storage for OnDisk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(name)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.sabotage == Some(Sabotage::ForgetfulTerminal) && name == STATE {
            let mut earlier = self.earlier.lock().expect("one thread");
            earlier.saves += 1;
            if earlier.saves.is_multiple_of(3) {
                earlier.state = self.disk.read(name)?;
            }
        }
        if name == SETS {
            self.saved_sets.store(true, Ordering::Relaxed);
        }
        self.disk.replace(name, bytes)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset > self.disk.len(name)?.unwrap_or(0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "past the end of the file"));
        }
        self.disk.write_at(name, offset, bytes)
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        self.disk.len(name)
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(name, len)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.disk.sync(name)
    }

    fn read_at(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let read = self.disk.read_with(name, |bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(max_bytes).min(bytes.len());
            bytes[start..end].to_vec()
        })?;
        Ok(read.unwrap_or_default())
    }
}
