//! How two sets of values differ.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Values;

/// A value that differs. Where it is missing on one side, that side is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The parameter.
    pub name: String,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// Everything in which `after` differs from `before`, by name.
#[must_use]
pub fn diff(before: &Values, after: &Values) -> Vec<Change> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes = names.into_iter().map(|name| Change {
        name: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    });
    changes.filter(|change| change.before != change.after).collect()
}

/// How far a terminal is from its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// What was configured and not applied: from the desired to the effective values.
    pub not_applied: Vec<Change>,
    /// What was applied and is not in force: from the desired to the reported values. A parameter that the
    /// terminal has never said anything of is not here.
    pub not_in_force: Vec<Change>,
}

impl Drift {
    /// Compares what a terminal should have now (`effective`), what it was last told (`desired`), and what it
    /// says (`reported`).
    #[must_use]
    pub fn of(effective: &Values, desired: &Values, reported: &Values) -> Self {
        let said = |name: &String| reported.contains_key(name);
        let wanted = desired.iter().filter(|(name, _)| said(name));
        let wanted: Values = wanted.map(|(name, value)| (name.clone(), value.clone())).collect();
        let has: Values = reported
            .iter()
            .filter(|(name, _)| desired.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self { not_applied: diff(desired, effective), not_in_force: diff(&wanted, &has) }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.not_applied.is_empty() && self.not_in_force.is_empty()
    }
}

/// The values as bytes to hash: the same for the same values, different for different ones. Each name and each
/// value is preceded by its length in bytes (decimal, then `:`), in the order of the names.
#[must_use]
pub fn canonical_bytes(values: &Values) -> Vec<u8> {
    let mut out = Vec::new();
    for text in values.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text.len().to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(text.as_bytes());
    }
    out
}
