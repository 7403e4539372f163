//! What went wrong, for a person: a sentence and what to do next.

use std::fmt;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    next_step: Option<String>,
}

impl Failure {
    /// A failure that the sentence explains fully.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), next_step: None }
    }

    /// The same failure with advice for the person.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.sentence)?;
        match &self.next_step {
            Some(step) => write!(f, "\n  next: {step}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
