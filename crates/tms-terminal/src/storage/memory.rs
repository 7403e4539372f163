//! Files in memory.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Storage;

/// A storage that lasts as long as this value. `Debug` prints names and sizes, no content.
#[derive(Default)]
pub struct MemoryStorage {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStorage {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.lock().iter().map(|(name, bytes)| (name, bytes.len()))).finish()
    }
}

impl Storage for MemoryStorage {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.lock();
        match files.get_mut(name) {
            Some(file) => {
                file.clear();
                file.extend_from_slice(bytes);
            }
            None => drop(files.insert(name.to_owned(), bytes.to_vec())),
        }
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.lock();
        if !files.contains_key(name) {
            files.insert(name.to_owned(), Vec::new());
        }
        let Some(file) = files.get_mut(name) else { return Ok(()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if start > file.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "past the end of the file"));
        }
        let over = bytes.len().min(file.len().saturating_sub(start));
        if let (Some(target), Some(source)) =
            (file.get_mut(start..start.saturating_add(over)), bytes.get(..over))
        {
            target.copy_from_slice(source);
        }
        file.extend_from_slice(bytes.get(over..).unwrap_or_default());
        Ok(())
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(self.lock().get(name).map(|file| file.len() as u64))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        if let Some(file) = self.lock().get_mut(name) {
            file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    fn read_at(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let files = self.lock();
        let bytes = files.get(name).map_or(&[][..], Vec::as_slice);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(max_bytes).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }
}
