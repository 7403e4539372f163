//! What can be wrong with a dialect file.

use std::fmt;

/// One thing that is wrong with a dialect file: where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectError {
    line: Option<usize>,
    field: Option<String>,
    key: Option<&'static str>,
    reason: String,
}

impl DialectError {
    pub(crate) fn new(line: Option<usize>, field: Option<String>, reason: impl Into<String>) -> Self {
        Self { line, field, key: None, reason: reason.into() }
    }

    /// The same about one key.
    pub(crate) fn key_of(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// The line of the file, from 1, where it can be told. What was inherited from another dialect has
    /// no line of this file.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The field the file was talking about, as a path: `60`, `60.3` for its third part, `55/9F02` for
    /// a tag.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The key whose value is wrong, where it is one key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key
    }

    /// What is wrong, without line and field.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.line, &self.field) {
            (Some(line), Some(field)) => write!(f, "line {line}, field {field}: {}", self.reason),
            (Some(line), None) => write!(f, "line {line}: {}", self.reason),
            (None, Some(field)) => write!(f, "field {field}: {}", self.reason),
            (None, None) => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for DialectError {}

/// What is longer was never meant to be a key or a word of a dialect file.
const LONGEST_WORD: usize = 40;

/// The word of `known` that was probably meant by `found`, as the end of a sentence.
pub(super) fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // Comparing takes time and room with the product of both lengths.
    if found.len() > LONGEST_WORD {
        return String::new();
    }
    // A third of the letters may be wrong; of a short word, one.
    let most = (found.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(found, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, word)| format!("; did you mean `{word}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("fromat", ["name", "format"]), "; did you mean `format`?");
        assert_eq!(
            did_you_mean("bcd_right", ["ascii", "bcd-left", "bcd-right"]),
            "; did you mean `bcd-right`?"
        );
        assert_eq!(did_you_mean("colour", ["name", "format"]), "");
        assert_eq!(did_you_mean(&"format".repeat(100_000), ["name", "format"]), "");
    }
}
