//! Reading a dialect from text, with the dialects that it extends.

use super::error::{DialectError, did_you_mean};
use super::file::DialectFile;
use super::{Dialect, builtin, keys, resolve};

/// A dialect may extend one that extends one, and so on, this often.
const MAX_EXTENDS: usize = 4;

impl Dialect {
    /// Reads a dialect file. What it extends is a built-in dialect.
    ///
    /// ```
    /// let dialect = iso8583::Dialect::from_toml(r#"
    ///     name = "acquirer-7"
    ///     extends = "iso87-binary"
    ///
    ///     [field.60]                      # this acquirer keeps a batch number here
    ///     format = "n...9"
    ///     parts = [{ name = "Batch", format = "n6" }, { name = "Function", format = "n3" }]
    /// "#)?;
    /// assert_eq!(dialect.field(60).map(|field| field.notation()).as_deref(), Some("n...9"));
    /// # Ok::<(), iso8583::DialectError>(())
    /// ```
    ///
    /// All keys are explained in `docs/dialects.md` of the repository.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its line, its field and the reason.
    pub fn from_toml(text: &str) -> Result<Self, DialectError> {
        Self::from_toml_with(text, |_| None)
    }

    /// The same for a file that extends a file: `base` gives the text of a dialect that is not built
    /// in, by the name after `extends`. It is asked at most four times, each time for what the last
    /// file extends.
    ///
    /// # Errors
    ///
    /// As [`Dialect::from_toml`]; also a file that extends itself, directly or not.
    pub fn from_toml_with(
        text: &str,
        base: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, DialectError> {
        Self::check_toml(text, base).map_err(|errors| {
            let first = errors.into_iter().next();
            first.unwrap_or_else(|| DialectError::new(None, None, "the file cannot be read"))
        })
    }

    /// The same with everything that is wrong, in the order of the file.
    ///
    /// # Errors
    ///
    /// All that is wrong; never empty.
    pub fn check_toml(
        text: &str,
        mut base: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, Vec<DialectError>> {
        read(text, &mut base).and_then(|file| resolve::resolve(&file)).map_err(|mut errors| {
            // What has no line is about the whole file or was inherited.
            errors.sort_by_key(|error| error.line().unwrap_or(usize::MAX));
            errors
        })
    }
}

/// A file over those that it extends.
pub(super) fn read(
    text: &str,
    base: &mut impl FnMut(&str) -> Option<String>,
) -> Result<DialectFile, Vec<DialectError>> {
    keys::read(text).and_then(|file| extend(file, base, &mut Vec::new()))
}

fn extend(
    file: DialectFile,
    base: &mut impl FnMut(&str) -> Option<String>,
    seen: &mut Vec<String>,
) -> Result<DialectFile, Vec<DialectError>> {
    let Some(extends) = &file.extends else {
        return Ok(file);
    };
    let name = extends.value.clone();
    let wrong = |reason: String| vec![DialectError::new(extends.line, None, reason).key_of("extends")];
    if seen.contains(&name) {
        return Err(wrong(format!("`{name}` extends itself, through {}", seen.join(", "))));
    }
    if seen.len() == MAX_EXTENDS {
        return Err(wrong(format!("dialects may extend each other {MAX_EXTENDS} deep")));
    }
    if let Some(below) = builtin::file(&name) {
        return Ok(file.over(below));
    }
    let Some(text) = base(&name) else {
        let known = Dialect::builtin_names().join(", ");
        let nearest = did_you_mean(&name, Dialect::builtin_names().iter().copied());
        return Err(wrong(format!(
            "`{name}` is no dialect that can be extended; there are {known}{nearest}"
        )));
    };
    seen.push(name.clone());
    let below = keys::read(&text).and_then(|file| extend(file, base, seen)).map_err(|errors| {
        errors
            .into_iter()
            .map(|error| {
                let field = error.field().map(str::to_owned);
                let place = error.line().map(|line| format!(" line {line}")).unwrap_or_default();
                let reason = format!("in `{name}`{place}: {}", error.reason());
                DialectError::new(extends.line, field, reason)
            })
            .collect::<Vec<_>>()
    })?;
    Ok(file.over(below))
}
