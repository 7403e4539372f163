//! Files in a folder.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::Storage;

/// A folder with one file for each name. A replacement is written beside the old file (`name.new`) and
/// renamed over it, so that a process killed at any moment leaves the old content or the new.
///
/// Nothing is flushed to the disk, not by [`sync`](Storage::sync) either: a machine that loses power may
/// lose the last writes, which thousands of simulated terminals bear better than thousands of flushes.
#[derive(Clone, Debug)]
pub struct FolderStorage {
    folder: PathBuf,
}

impl FolderStorage {
    /// The storage in a folder, which is created when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }
}

impl Storage for FolderStorage {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        missing_is_none(fs::read(self.location(name)))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = self.folder.join(format!("{name}.new"));
        fs::write(&beside, bytes)?;
        fs::rename(&beside, self.location(name))
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.location(name))?;
        if file.metadata()?.len() < offset {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "past the end of the file"));
        }
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn len(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(missing_is_none(fs::metadata(self.location(name)))?.map(|metadata| metadata.len()))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let Some(file) = missing_is_none(OpenOptions::new().write(true).open(self.location(name)))? else {
            return Ok(());
        };
        if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        missing_is_none(fs::remove_file(self.location(name))).map(drop)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // One write to an appending file: a kill leaves all of it or nothing.
        OpenOptions::new().create(true).append(true).open(self.location(name))?.write_all(bytes)
    }

    fn read_at(&self, name: &str, offset: u64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(mut file) = missing_is_none(File::open(self.location(name)))? {
            file.seek(SeekFrom::Start(offset))?;
            file.take(max_bytes as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.location(from), self.location(to))
    }

    fn location(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn missing_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
