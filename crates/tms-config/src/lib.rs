//! One TOML file into one typed value. What goes wrong is told as a person needs it: file, line, key,
//! and for an unknown key the one that was probably meant.
//!
//! Types opt in to refusal with serde's `deny_unknown_fields`; this crate turns serde's sentence into
//! one that helps.
//!
//! ```
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, Debug)]
//! #[serde(deny_unknown_fields)]
//! struct Host { address: String }
//!
//! #[derive(Deserialize, Debug)]
//! #[serde(deny_unknown_fields)]
//! struct File { host: Host }
//!
//! let error = tms_config::parse::<File>("terminal.toml", "[host]\nadress = \"127.0.0.1:1\"\n").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "terminal.toml line 2: unknown key `adress` in [host]; did you mean `address`?",
//! );
//! ```

use std::{fs, io, path::Path};

use serde::de::DeserializeOwned;

/// Larger than any configuration, smaller than what a wrong path could bring in.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system said, and what to do.
        reason: String,
    },
    /// The file is read and wrong.
    #[error("{file} line {line}: {reason}")]
    Wrong {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong there, with the likely spelling of an unknown key.
        reason: String,
    },
}

/// Reads and parses a file.
///
/// # Errors
/// [`ConfigError`] naming the file, and the line where there is one.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let file = path.display().to_string();
    let wrong = |reason: String| ConfigError::Read { file: file.clone(), reason };
    let size = fs::metadata(path).map_err(|error| wrong(explain_io(&error)))?.len();
    if size > MAX_FILE_BYTES {
        return Err(wrong(format!("it has {size} bytes, which is no configuration; check the path")));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(explain_io(&error)))?;
    parse(&file, &text)
}

/// Parses `text`, which came from `file`.
///
/// # Errors
/// [`ConfigError::Wrong`] with the line.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        ConfigError::Wrong { file: file.to_owned(), line, reason: explain(error.message(), text, at) }
    })
}

fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist; check the path".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied; check its owner and mode".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// Serde says "unknown field `x`, expected one of `a`, `b`"; people need to know where and which.
fn explain(message: &str, text: &str, at: usize) -> String {
    let place = section(text, at).map(|name| format!(" in [{name}]")).unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = quoted(rest);
        let unknown = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        let hint = match nearest(unknown, &known) {
            Some(name) => format!("; did you mean `{name}`?"),
            None if known.is_empty() => "; nothing may stand here".to_owned(),
            None => format!("; known keys are {}", known.join(", ")),
        };
        return format!("unknown key `{unknown}`{place}{hint}");
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let missing = quoted(rest).next().unwrap_or(rest);
        return format!("the key `{missing}` is missing{place}");
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = quoted(rest);
        let unknown = names.next().unwrap_or_default();
        let known: Vec<&str> = names.collect();
        return format!("`{unknown}` is not possible here{place}; possible are {}", known.join(", "));
    }
    format!("{}{place}", message.trim().replace('\n', ", "))
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|name| (strsim::normalized_damerau_levenshtein(unknown, name), *name));
    scored.filter(|(score, _)| *score >= 0.5).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// The table header that the byte `at` stands under, or is.
fn section(text: &str, at: usize) -> Option<&str> {
    let end = text
        .get(at..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |length| at.saturating_add(length));
    let headers = text.get(..end)?.lines().rev().map(str::trim);
    let header = headers.filter_map(|line| line.strip_prefix('[')).next()?;
    Some(header.trim_start_matches('[').split(']').next().unwrap_or(header).trim())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct File {
        name: Option<String>,
        host: Option<Host>,
        #[serde(default)]
        role: Vec<Role>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Host {
        address: String,
        port: Option<u16>,
        mode: Option<Mode>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Role {
        role: String,
    }

    fn reason(text: &str) -> String {
        parse::<File>("f.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_names_line_table_and_the_likely_spelling() {
        assert_eq!(
            reason("name = \"x\"\n\n[host]\naddress = \"a\"\nprot = 1\n"),
            "f.toml line 5: unknown key `prot` in [host]; did you mean `port`?"
        );
    }

    #[test]
    fn an_unknown_key_like_no_other_lists_the_known_ones() {
        assert_eq!(
            reason("zzzzzz = 1\n"),
            "f.toml line 1: unknown key `zzzzzz`; known keys are name, host, role"
        );
    }

    #[test]
    fn an_unknown_table_is_an_unknown_key() {
        assert!(reason("[hots]\naddress = \"a\"\n").contains("unknown key `hots`"));
        assert!(reason("[hots]\naddress = \"a\"\n").contains("did you mean `host`?"));
    }

    #[test]
    fn keys_of_a_repeated_table_are_placed_in_it() {
        assert_eq!(
            reason("[[role]]\nrole = \"99\"\n[[role]]\nrolle = \"00\"\n"),
            "f.toml line 4: unknown key `rolle` in [role]; did you mean `role`?"
        );
    }

    #[test]
    fn a_missing_key_a_wrong_type_and_a_wrong_choice_say_so_with_their_line() {
        assert_eq!(reason("[host]\nport = 1\n"), "f.toml line 1: the key `address` is missing in [host]");
        let wrong_type = reason("[host]\naddress = \"a\"\nport = \"x\"\n");
        assert!(
            wrong_type.starts_with("f.toml line 3: invalid type: string \"x\", expected u16"),
            "{wrong_type}"
        );
        assert_eq!(
            reason("[host]\naddress = \"a\"\nmode = \"quick\"\n"),
            "f.toml line 3: `quick` is not possible here in [host]; possible are fast, slow"
        );
    }

    #[test]
    fn a_broken_line_is_named() {
        let message = reason("name = \"x\"\n[host\n");
        assert!(message.starts_with("f.toml line 2: "), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn a_file_that_is_missing_or_not_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terminal.toml");
        assert!(read::<File>(&path).unwrap_err().to_string().ends_with("it does not exist; check the path"));
        fs::write(&path, [0xFF, 0xFE]).unwrap();
        assert!(read::<File>(&path).unwrap_err().to_string().ends_with("it is not UTF-8 text"));
    }
}
