//! Files that hold one secret: made once, readable by their owner alone, recognisable by their
//! first line. Text, so that a wrong file is seen at a glance: `tms8583 LABEL 1`, then hexadecimal.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

const VERSION: &str = "1";
/// Far above any key file, far below what could fill memory when the path is wrong.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What is wrong with a key file and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A key file is never overwritten: the old key may still be needed.
    #[error("{} exists already; move it away first, or use it", .0.display())]
    Exists(PathBuf),
    /// No such file.
    #[error("{} does not exist; check the path, or create the key first", .0.display())]
    Missing(PathBuf),
    /// Others on this machine can read it.
    #[error("{path} can be read by others; run `chmod 600 {path}` and consider the key known", path = .0.display())]
    Readable(PathBuf),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not the kind of file that was expected.
    #[error("{} is not usable: {reason}; restore it from a backup", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl KeyFileError {
    /// A file whose content is wrong for `reason`.
    #[must_use]
    pub fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }

    fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path.to_owned()),
            io::ErrorKind::NotFound => Self::Missing(path.to_owned()),
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

/// Writes `secret` to a new file with mode 0600, flushed to the disk before returning.
///
/// # Errors
/// [`KeyFileError`] when the file exists or cannot be written.
pub fn create(path: &Path, label: &str, secret: &[u8]) -> Result<(), KeyFileError> {
    let text =
        Zeroizing::new(format!("tms8583 {label} {VERSION}\n{}\n", *Zeroizing::new(hex::encode(secret))));
    create_text(path, &text)
}

/// Reads the secret of a file made by [`create`] with the same `label`.
///
/// # Errors
/// [`KeyFileError`] when the file is missing, readable by others, of another kind, or damaged.
pub fn open(path: &Path, label: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let text = open_text(path)?;
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    check_first_line(path, first, label)?;
    hex::decode(rest.trim())
        .map(Zeroizing::new)
        .map_err(|_| KeyFileError::content(path, "its second line is not hexadecimal"))
}

/// Writes `text` to a new file with mode 0600, flushed to the disk before returning.
///
/// # Errors
/// [`KeyFileError`] when the file exists or cannot be written.
pub fn create_text(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |file: &mut fs::File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    options.open(path).and_then(|mut file| write(&mut file)).map_err(|error| KeyFileError::io(path, error))
}

/// Reads a private text file, refusing one that others can read or that is far too large.
///
/// # Errors
/// [`KeyFileError`] when the file is missing, readable by others, too large, or not text.
pub fn open_text(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let meta = fs::metadata(path).map_err(|error| KeyFileError::io(path, error))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o077 != 0 {
        return Err(KeyFileError::Readable(path.to_owned()));
    }
    if meta.len() > MAX_FILE_BYTES {
        return Err(KeyFileError::content(path, "it is far too large for a key file"));
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeyFileError::content(path, "it is not text"))
        }
        Err(error) => Err(KeyFileError::io(path, error)),
    }
}

pub(crate) fn check_first_line(path: &Path, line: &str, label: &str) -> Result<(), KeyFileError> {
    let mut words = line.split_whitespace();
    let reason = match (words.next(), words.next(), words.next()) {
        (Some("tms8583"), Some(found), Some(VERSION)) if found == label => return Ok(()),
        (Some("tms8583"), Some(found), Some(version)) if found == label => {
            format!("its version {version} was written by a newer program")
        }
        (Some("tms8583"), Some(found), _) => {
            format!("it is a {found} file where a {label} file is needed")
        }
        _ => format!("it does not begin with `tms8583 {label}`"),
    };
    Err(KeyFileError::content(path, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        (folder, path)
    }

    #[test]
    fn a_secret_reads_back_and_its_file_belongs_to_its_owner_alone() {
        let (_folder, path) = folder();
        create(&path, "test-key", b"\x00\x01secret").unwrap();
        assert_eq!(&**open(&path, "test-key").unwrap(), b"\x00\x01secret");
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn an_existing_key_is_never_overwritten() {
        let (_folder, path) = folder();
        create(&path, "test-key", b"one").unwrap();
        assert!(matches!(create(&path, "test-key", b"two"), Err(KeyFileError::Exists(_))));
        assert_eq!(&**open(&path, "test-key").unwrap(), b"one");
    }

    #[test]
    fn a_missing_file_says_so_by_name() {
        let (_folder, path) = folder();
        let message = open(&path, "test-key").unwrap_err().to_string();
        assert!(message.contains("a.key does not exist"), "{message}");
    }

    #[test]
    #[cfg(unix)]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_helps() {
        let (_folder, path) = folder();
        create(&path, "test-key", b"one").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(open(&path, "test-key").unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn another_kind_a_newer_version_and_damage_each_have_their_own_reason() {
        for (text, reason) in [
            ("tms8583 other-key 1\n00\n", "it is a other-key file where a test-key file is needed"),
            ("tms8583 test-key 2\n00\n", "newer program"),
            ("tms8583 test-key 1\nzz\n", "not hexadecimal"),
            ("-----BEGIN", "does not begin with"),
            ("", "does not begin with"),
        ] {
            let (_folder, path) = folder();
            create_text(&path, text).unwrap();
            let message = open(&path, "test-key").unwrap_err().to_string();
            assert!(message.contains(reason), "{text:?}: {message}");
        }
    }
}
