//! What `tmsctl login` remembers: one server and a token for it, in a file only its owner can read.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A remembered log-in. No `Debug`, because the token is a secret.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredLogin {
    /// The server's address, as given.
    pub(crate) server: String,
    /// The bearer token that it gave.
    pub(crate) token: String,
    /// Certificates that may vouch for the server, when not the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

/// `$TMSCTL_CONFIG`, or `tmsctl/config.toml` in the user's configuration folder.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("TMSCTL_CONFIG").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let folder = match std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .filter(|home| !home.as_os_str().is_empty())
            .ok_or_else(|| {
                Failure::new("there is no home folder to keep the log-in in").next("set TMSCTL_CONFIG")
            })?
            .join(".config"),
    };
    Ok(folder.join("tmsctl").join("config.toml"))
}

/// The remembered log-in, if there is one.
pub(crate) fn load() -> Result<Option<StoredLogin>, Failure> {
    let path = path()?;
    let failed = |why: String| {
        Failure::new(format!("{} {why}", path.display()))
            .next("log in again with `tmsctl login --server URL`")
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("cannot be read: {error}"))),
    };
    // The message of the TOML reader would quote the line, and with it perhaps the token.
    toml::from_str(&text).map(Some).map_err(|_| failed("is not what `tmsctl login` wrote".to_owned()))
}

/// Remembers a log-in in place of any other and says where.
pub(crate) fn save(login: &StoredLogin) -> Result<PathBuf, Failure> {
    let path = path()?;
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(format!("the log-in cannot be kept in {}: {why}", path.display()))
            .next("make the folder writable, or set TMSCTL_CONFIG to another file")
    };
    let text = toml::to_string(login).map_err(|error| failed(&error))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let fresh = path.with_extension("new");
    write_private(&fresh, &text).and_then(|()| fs::rename(&fresh, &path)).map_err(|error| failed(&error))?;
    Ok(path)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
