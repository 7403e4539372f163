//! Why a selector was not understood.

use super::{MAX_BYTES, MAX_DEPTH, MAX_TERMS};

/// Where a selector stopped making sense, what would have, and what was likely meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}{}{}", found_text(.found), suggestion_text(.suggestion))]
pub struct SelectorError {
    /// Bytes before the place.
    pub offset: usize,
    /// The character at the place, counted from 1.
    pub column: usize,
    /// What would have made sense there.
    pub expected: String,
    /// What stands there, shortened; empty when the place says nothing.
    pub found: String,
    /// What was likely meant.
    pub suggestion: Option<String>,
}

impl SelectorError {
    pub(super) fn too_long(bytes: usize) -> Self {
        Self::whole(format!("at most {MAX_BYTES} bytes"), format!("{bytes}"))
    }

    pub(super) fn too_deep(text: &str, offset: usize) -> Self {
        let expected = format!("at most {MAX_DEPTH} parentheses and nots within each other");
        Self { found: String::new(), ..Self::at(text, offset, expected) }
    }

    pub(super) fn too_many(text: &str, offset: usize) -> Self {
        let expected = format!("at most {MAX_TERMS} tests and values");
        Self { found: String::new(), ..Self::at(text, offset, expected) }
    }

    /// At a place of the text; what is found there is the rest of it.
    pub(super) fn at(text: &str, offset: usize, expected: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let found = text.get(offset..).unwrap_or("").chars().take(40).collect();
        let column = before.chars().count().saturating_add(1);
        Self { offset, column, expected: expected.into(), found, suggestion: None }
    }

    fn whole(expected: String, found: String) -> Self {
        Self { offset: 0, column: 1, expected, found, suggestion: None }
    }

    pub(super) fn found(self, found: impl AsRef<str>) -> Self {
        Self { found: found.as_ref().chars().take(40).collect(), ..self }
    }

    /// Adds the nearest of some words, if any is near.
    pub(super) fn nearest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let word: String = word.chars().take(40).collect::<String>().to_lowercase();
        let nearest = known
            .into_iter()
            .map(|known| (similarity(&word, known), known))
            .filter(|(similarity, _)| *similarity > 0.75)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        Self { suggestion: nearest.map(|(_, nearest)| nearest.to_owned()), ..self }
    }

    /// Adds what to write instead.
    pub(super) fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }
}

/// From 0 to 1. Of short words, one wrong letter or two in the wrong order are still near.
fn similarity(word: &str, known: &str) -> f64 {
    let near = word.len() > 2 && strsim::osa_distance(word, known) == 1;
    strsim::jaro_winkler(word, known).max(if near { 0.8 } else { 0.0 })
}

fn found_text(found: &str) -> String {
    if found.is_empty() { String::new() } else { format!(", found {found:?}") }
}

fn suggestion_text(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
}
