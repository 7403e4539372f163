//! Large things beside the store: firmware images and log bundles, in a folder or in memory.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

/// Where objects are. Their names come from the store and are relative paths with `/`.
#[derive(Clone)]
pub struct Objects {
    place: Place,
}

#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    /// Shared by all clones, so that what one server process kept is there for the next one.
    Memory(Arc<Mutex<BTreeMap<String, Bytes>>>),
}

impl Objects {
    /// Objects in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { place: Place::Folder(folder) }
    }

    /// Objects in memory, shared by clones and gone with the last of them: for simulations and tests.
    /// Reading and writing never wait.
    #[must_use]
    pub fn memory() -> Self {
        Self { place: Place::Memory(Arc::default()) }
    }

    /// The folder, unless they are in memory.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Memory(_) => None,
        }
    }

    /// The path of an object in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder()?.join(name))
    }

    /// A whole object; `None` if there is none of this name.
    ///
    /// # Errors
    /// When the folder fails.
    pub async fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        let folder = match &self.place {
            Place::Memory(objects) => return Ok(lock(objects).get(name).cloned()),
            Place::Folder(folder) => folder,
        };
        match tokio::fs::read(folder.join(name)).await {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps an object, in place of one of the same name. After a crash it is there whole, or not at all.
    ///
    /// # Errors
    /// When the folder fails or is full.
    pub async fn write(&self, name: &str, data: &[u8]) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => write_durably(&folder.join(name), data).await,
            Place::Memory(objects) => {
                lock(objects).insert(name.to_owned(), Bytes::copy_from_slice(data));
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Folder(folder) => write!(f, "Objects({})", folder.display()),
            Place::Memory(objects) => write!(f, "Objects({} in memory)", lock(objects).len()),
        }
    }
}

fn lock(objects: &Mutex<BTreeMap<String, Bytes>>) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
    // A panic elsewhere cannot leave the map half changed: every change is one call.
    objects.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write_durably(path: &Path, data: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("part");
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = tokio::fs::File::create(&partial).await?;
    file.write_all(data).await?;
    // Without it a write that failed behind the scenes, for want of space, would not be told.
    file.flush().await?;
    file.sync_all().await?;
    tokio::fs::rename(&partial, path).await?;
    match path.parent() {
        // The name has to survive a power cut as well as the content.
        Some(folder) => tokio::fs::File::open(folder).await?.sync_all().await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_object_that_the_disk_has_no_room_for_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.log");
        std::os::unix::fs::symlink("/dev/full", path.with_extension("part")).unwrap();
        let objects = Objects::new(folder.path().to_owned());
        let error = objects.write("bundle.log", b"a line\n").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn an_object_reads_back_whole_and_a_missing_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for objects in [Objects::new(folder.path().to_owned()), Objects::memory()] {
            assert_eq!(objects.read("logs/1/a.log").await.unwrap(), None);
            objects.write("logs/1/a.log", b"one").await.unwrap();
            objects.write("logs/1/a.log", b"two").await.unwrap();
            assert_eq!(objects.read("logs/1/a.log").await.unwrap().as_deref(), Some(&b"two"[..]));
        }
    }

    #[test]
    fn objects_in_memory_never_wait_and_outlive_the_server_that_wrote_them() {
        let objects = Objects::memory();
        let again = objects.clone();
        objects.write("a", b"1").now_or_never().unwrap().unwrap();
        drop(objects);
        assert_eq!(again.read("a").now_or_never().unwrap().unwrap().as_deref(), Some(&b"1"[..]));
    }
}
