//! What can be wrong with a dialect file.

use std::fmt;

/// The first thing wrong with a dialect file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectError {
    line: Option<usize>,
    field: Option<String>,
    reason: String,
}

impl DialectError {
    pub(crate) fn new(line: Option<usize>, field: Option<String>, reason: impl Into<String>) -> Self {
        Self { line, field, reason: reason.into() }
    }

    /// The line of the file, from 1, where it can be told.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The field the file was talking about, as the file names it.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
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
