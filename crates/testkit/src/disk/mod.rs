//! Files by name that lose what was not safe when the power goes.
//!
//! What each call promises:
//!
//! - [`replace`](Disk::replace), [`remove`](Disk::remove) and [`truncate`](Disk::truncate) are all or
//!   nothing, and durable when they return;
//! - [`append`](Disk::append) and [`write_at`](Disk::write_at) may be torn at any byte by a power cut
//!   under way, and are lost by one later on, newest first, unless [`sync`](Disk::sync) came between.
//!
//! ```
//! use testkit::{disk::Disk, rng::Rng};
//!
//! let disk = Disk::default();
//! disk.replace("state", b"one").unwrap();
//! disk.cut_power_after(2);
//! disk.append("log", b"line").unwrap_err();
//! disk.replace("state", b"two").unwrap_err();
//! disk.power_on(&mut Rng::new(1));
//! assert_eq!(disk.read("state").unwrap().as_deref(), Some(&b"one"[..]));
//! assert!(disk.len("log").unwrap() <= Some(2));
//! ```

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::rng::Rng;

mod file;

use file::File;

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, File>,
    off: bool,
    /// Bytes that may still be written before the power goes.
    power_bytes: Option<u64>,
    /// Writes that fail and change nothing, as on a full disk.
    failing_writes: u32,
    counts: Counts,
}

/// What a disk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes of every kind.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Writes that a power cut tore: some of their bytes were written.
    pub torn: u64,
    /// Replacements that a power cut kept from happening, or made happen without an answer.
    pub replaced_in_doubt: u64,
    /// Writes that had returned and were lost by a power cut.
    pub lost_unsynced: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Writes that failed without a power cut.
    pub failed: u64,
}

impl Disk {
    /// The content of a file; `None` when there is none.
    ///
    /// # Errors
    /// When the power is off.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.read_with(name, <[u8]>::to_vec)
    }

    /// Looks at the content of a file without copying it; `None` when there is none.
    ///
    /// # Errors
    /// When the power is off.
    pub fn read_with<T>(&self, name: &str, look: impl FnOnce(&[u8]) -> T) -> io::Result<Option<T>> {
        let inner = self.inner();
        inner.powered()?;
        Ok(inner.files.get(name).map(|file| look(file.bytes())))
    }

    /// Size of a file in bytes; `None` when there is none.
    ///
    /// # Errors
    /// When the power is off.
    pub fn len(&self, name: &str) -> io::Result<Option<u64>> {
        self.read_with(name, |bytes| bytes.len() as u64)
    }

    /// Puts a whole file in the place of another. After a power cut the old one is there, or the new one.
    ///
    /// # Errors
    /// When the power is off or goes, or the write is to fail.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        let allowed = inner.begin(bytes.len())?;
        if allowed < bytes.len() {
            // The last byte of power may have been enough for the rename.
            inner.counts.replaced_in_doubt += 1;
            if allowed % 2 == 1 {
                inner.files.insert(name.to_owned(), File::durable(bytes));
            }
            return Err(power_cut());
        }
        match inner.files.get_mut(name) {
            Some(file) => file.replace(bytes),
            None => drop(inner.files.insert(name.to_owned(), File::durable(bytes))),
        }
        Ok(())
    }

    /// Adds bytes at the end of a file, which is made when there is none.
    ///
    /// # Errors
    /// When the power is off or goes, or the write is to fail.
    pub fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let end = self.len(name)?.unwrap_or(0);
        self.write_at(name, end, bytes)
    }

    /// Writes bytes into a file, which is made or made longer as needed.
    ///
    /// # Errors
    /// When the power is off or goes, or the write is to fail.
    pub fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let allowed = inner.begin(bytes.len())?;
        let file = inner.files.entry(name.to_owned()).or_default();
        file.write(offset, bytes.get(..allowed).unwrap_or_default());
        if allowed < bytes.len() {
            inner.counts.torn += 1;
            return Err(power_cut());
        }
        Ok(())
    }

    /// Cuts a file off at a length.
    ///
    /// # Errors
    /// When the power is off.
    pub fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.begin(0)?;
        if let Some(file) = inner.files.get_mut(name) {
            file.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When the power is off.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.begin(0)?;
        inner.files.remove(name);
        Ok(())
    }

    /// Makes everything that was written to a file safe.
    ///
    /// # Errors
    /// When the power is off.
    pub fn sync(&self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.powered()?;
        if let Some(file) = inner.files.get_mut(name) {
            file.sync();
        }
        Ok(())
    }

    /// Names of the files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.inner().files.keys().cloned().collect()
    }

    /// Has the power go after so many more bytes were written; the write that reaches it is torn there.
    pub fn cut_power_after(&self, bytes: u64) {
        self.inner().power_bytes = Some(bytes);
    }

    /// Has the next writes fail and change nothing.
    pub fn fail_writes(&self, writes: u32) {
        self.inner().failing_writes = writes;
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        let mut inner = self.inner();
        if !inner.off {
            inner.go_off();
        }
    }

    /// Whether the power is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.inner().off
    }

    /// Turns the power on again, with what is left: `rng` says how much of what was not safe is lost.
    pub fn power_on(&self, rng: &mut Rng) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.off = false;
        inner.power_bytes = None;
        for file in inner.files.values_mut() {
            inner.counts.lost_unsynced += file.lose_unsynced(rng);
        }
    }

    /// What the disk has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner().counts
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic of another test thread leaves whole files.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn powered(&self) -> io::Result<()> {
        if self.off { Err(power_cut()) } else { Ok(()) }
    }

    /// How many bytes of a write of so many are written before the power goes.
    fn begin(&mut self, bytes: usize) -> io::Result<usize> {
        self.powered()?;
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            self.counts.failed += 1;
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        self.counts.writes += 1;
        let allowed = match self.power_bytes {
            Some(left) if left < bytes as u64 => {
                self.go_off();
                usize::try_from(left).unwrap_or(bytes)
            }
            Some(left) => {
                self.power_bytes = Some(left.saturating_sub(bytes as u64));
                bytes
            }
            None => bytes,
        };
        self.counts.bytes = self.counts.bytes.saturating_add(allowed as u64);
        Ok(allowed)
    }

    fn go_off(&mut self) {
        self.off = true;
        self.power_bytes = None;
        self.counts.power_cuts += 1;
    }
}

fn power_cut() -> io::Error {
    io::Error::other("the power is off")
}

#[cfg(test)]
mod tests;
