//! What went wrong, for a person: a sentence and what to do next.

use std::fmt;

use iso8583::mask::scrub_text;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    next_step: Option<String>,
    code: Option<String>,
    transient: bool,
}

impl Failure {
    /// A failure that the sentence explains fully.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), next_step: None, code: None, transient: false }
    }

    /// The same failure with advice for the person.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// The same failure with advice, unless it has some.
    #[must_use]
    pub fn or_next(mut self, step: impl Into<String>) -> Self {
        self.next_step.get_or_insert_with(|| step.into());
        self
    }

    /// The same failure with what it is about in front.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.sentence = format!("{what}: {}", self.sentence);
        self
    }

    /// The same failure with the card numbers hidden that it quotes from a message.
    #[must_use]
    pub fn scrubbed(mut self) -> Self {
        self.sentence = scrub_text(&self.sentence).into_owned();
        self.next_step = self.next_step.map(|step| scrub_text(&step).into_owned());
        self
    }

    /// The same failure with the code that the server gave it, for scripts.
    #[must_use]
    pub fn code(mut self, code: Option<&str>) -> Self {
        self.code = code.map(crate::output::printable);
        self
    }

    /// The same failure, as one that may be over soon.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Whether trying again soon makes sense.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.sentence)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        match &self.next_step {
            Some(step) => write!(f, "\n  next: {step}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
