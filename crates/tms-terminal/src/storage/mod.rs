//! Where a terminal remembers: named files, of which some are replaced as a whole and some grow.
//!
//! [`FolderStorage`] is the one of `tms-terminal run`. [`MemoryStorage`] is for tests and simulations;
//! one that tears and loses writes wraps either of them.

use std::{fmt, io, path::PathBuf};

mod folder;
mod memory;

pub use folder::FolderStorage;
pub use memory::MemoryStorage;

/// Durable files of one terminal, by name. Names are the terminal's own constants (`state.json`,
/// `slot-a.img` …), never a peer's words.
///
/// What [`replace`](Self::replace), [`remove`](Self::remove) and [`rename`](Self::rename) have done is
/// durable when they return. Of what [`write_at`](Self::write_at), [`append`](Self::append) and
/// [`truncate`](Self::truncate) have done since the last [`sync`](Self::sync) of the file, a power cut
/// may lose any part. A method that failed has done what its own text says.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The whole file; `None` when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes this the whole content of the file, at once: a failure leaves the old content or the new.
    ///
    /// # Errors
    /// When the storage fails.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes into a file from an offset at or before its end on, making the file when it is missing.
    /// A failure may leave any part of the bytes written.
    ///
    /// # Errors
    /// When the storage fails, or the offset is past the end.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Size of a file in bytes; `None` when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    fn len(&self, name: &str) -> io::Result<Option<u64>>;

    /// Cuts a file off. One that is missing or shorter stays as it is.
    ///
    /// # Errors
    /// When the storage fails.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;

    /// Removes a file; one that is missing is no error.
    ///
    /// # Errors
    /// When the storage fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable what was written into a file so far.
    ///
    /// # Errors
    /// When the storage fails.
    fn sync(&self, name: &str) -> io::Result<()> {
        let _ = name;
        Ok(())
    }

    /// Adds to the end of a file, making it when it is missing. May tear as
    /// [`write_at`](Self::write_at) does.
    ///
    /// # Errors
    /// When the storage fails.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let end = self.len(name)?.unwrap_or(0);
        self.write_at(name, end, bytes)
    }

    /// At most `max_bytes` of a file from an offset on; empty at its end and when it is missing.
    ///
    /// # Errors
    /// When the storage fails.
    fn read_at(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(name)?.unwrap_or_default();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(max_bytes).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    /// Gives a file another name, over whatever has it. A failure may leave both.
    ///
    /// # Errors
    /// When the storage fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.read(from)?.unwrap_or_default();
        self.replace(to, &bytes)?;
        self.remove(from)
    }

    /// Where a file lies, for messages to people.
    fn location(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps_what_it_is_given(storage: &dyn Storage) {
        assert_eq!(storage.read("a").unwrap(), None);
        assert_eq!(storage.len("a").unwrap(), None);
        storage.remove("a").unwrap();
        storage.truncate("a", 0).unwrap();
        assert_eq!(storage.read("a").unwrap(), None, "cutting a missing file makes none");

        storage.replace("a", b"first").unwrap();
        storage.replace("a", b"2nd").unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"2nd");

        storage.append("b", b"abc").unwrap();
        storage.append("b", b"def").unwrap();
        storage.write_at("b", 2, b"CDEFG").unwrap();
        assert_eq!(storage.read("b").unwrap().unwrap(), b"abCDEFG");
        assert!(storage.write_at("b", 8, b"x").is_err(), "no holes");
        assert_eq!(storage.read_at("b", 2, 3).unwrap(), b"CDE");
        assert_eq!(storage.read_at("b", 5, 9).unwrap(), b"FG");
        assert_eq!(storage.read_at("b", 9, 9).unwrap(), b"");
        assert_eq!(storage.read_at("missing", 0, 9).unwrap(), b"");
        storage.truncate("b", 3).unwrap();
        storage.truncate("b", 9).unwrap();
        assert_eq!((storage.len("b").unwrap(), storage.len("a").unwrap()), (Some(3), Some(3)));

        storage.rename("b", "a").unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"abC");
        assert_eq!(storage.read("b").unwrap(), None);
        storage.remove("a").unwrap();
        assert_eq!(storage.len("a").unwrap(), None);
    }

    #[test]
    fn every_storage_keeps_what_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        keeps_what_it_is_given(&FolderStorage::new(&folder.path().join("made")).unwrap());
        keeps_what_it_is_given(&MemoryStorage::default());
    }
}
