//! What a terminal should have, and where each value comes from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::{ConfigurationError, Problem};
use super::variables::{Template, VariableError};
use super::{MAX_VALUE_BYTES, Revision, Scope, Values, scopes};
use crate::group::Tree;
use crate::parameters;
use crate::terminal::Terminal;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The scope.
    pub scope: Scope,
    /// The number of its revision.
    pub revision: u64,
}

/// A value that another one wins over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overridden {
    /// Where it comes from.
    pub source: Source,
    /// The value as it was given there.
    pub raw: String,
}

/// One value that a terminal should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The value, with variables filled in, in canonical spelling.
    pub value: String,
    /// The value as it was given.
    pub raw: String,
    /// Where it comes from.
    pub source: Source,
    /// What it wins over, the nearest first.
    pub overrides: Vec<Overridden>,
}

/// Everything that a terminal should have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Each value by name.
    pub entries: BTreeMap<String, Entry>,
}

impl Effective {
    /// The values alone, as they become the terminal's desired parameters.
    #[must_use]
    pub fn values(&self) -> Values {
        self.entries.iter().map(|(name, entry)| (name.clone(), entry.value.clone())).collect()
    }
}

/// Puts together what a terminal should have. `current` has the current revision of every scope that counts
/// for it (see [`scopes`]); scopes without one are left out, and others are of no concern.
///
/// Only values that win are filled in and checked: a template may ask for what a terminal does not have, as
/// long as something nearer to the terminal says what to do.
///
/// # Errors
/// Every variable that cannot be filled in and every value that then cannot be set, with its scope.
pub fn effective(
    terminal: &Terminal,
    groups: &Tree,
    current: &BTreeMap<Scope, Revision>,
) -> Result<Effective, ConfigurationError> {
    let mut given: BTreeMap<&str, Vec<(&Revision, &str)>> = BTreeMap::new();
    for scope in scopes(&terminal.id, terminal.place.group.as_ref(), groups) {
        let Some(revision) = current.get(&scope) else { continue };
        for (name, raw) in &revision.values {
            given.entry(name).or_default().push((revision, raw));
        }
    }
    let mut entries = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, mut layers) in given {
        let Some((revision, raw)) = layers.pop() else { continue };
        match filled(&revision.scope, name, raw, terminal, groups) {
            Ok(value) => {
                let overrides = layers
                    .into_iter()
                    .rev()
                    .map(|(revision, raw)| Overridden { source: source(revision), raw: raw.to_owned() });
                let entry = Entry {
                    value,
                    raw: raw.to_owned(),
                    source: source(revision),
                    overrides: overrides.collect(),
                };
                entries.insert(name.to_owned(), entry);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(Effective { entries }) } else { Err(ConfigurationError(problems)) }
}

fn source(revision: &Revision) -> Source {
    Source { scope: revision.scope.clone(), revision: revision.number }
}

fn filled(
    scope: &Scope,
    name: &str,
    raw: &str,
    terminal: &Terminal,
    groups: &Tree,
) -> Result<String, Problem> {
    let value = Template::parse(raw).and_then(|template| template.fill(terminal, groups));
    let value = value.map_err(|reason| match reason {
        VariableError::Length => Problem::Length {
            scope: scope.clone(),
            name: name.to_owned(),
            bytes: MAX_VALUE_BYTES.saturating_add(1),
        },
        reason => Problem::Variable { scope: scope.clone(), name: name.to_owned(), reason },
    })?;
    parameters::canonical(name, &value).map_err(|reason| Problem::Parameter {
        scope: scope.clone(),
        name: name.to_owned(),
        reason,
    })
}
