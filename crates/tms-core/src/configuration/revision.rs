//! Immutable revisions of a scope.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::{ConfigurationError, Problem};
use super::variables::Template;
use super::{MAX_REASON_BYTES, MAX_VALUE_BYTES, MAX_VALUES, Scope, Values};
use crate::parameters;

/// The values of a scope from one change to the next. It never changes; the one with the highest number counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Whose values they are.
    pub scope: Scope,
    /// 1 for the first of the scope.
    pub number: u64,
    /// All values, as they were given; those without variables in canonical spelling.
    pub values: Values,
    /// Who made it.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The revision that it brings back.
    #[serde(default)]
    pub rolled_back_from: Option<u64>,
}

/// What a person wants a scope to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevision {
    /// Whose values they are.
    pub scope: Scope,
    /// All values; what is not among them is no longer set in this scope.
    pub values: Values,
    /// Who makes it.
    pub author: String,
    /// Why.
    pub reason: String,
}

impl NewRevision {
    /// Checks everything that can be checked without knowing the terminals, and makes the revision that follows
    /// number `latest` (0 when there is none).
    ///
    /// A value with variables is checked as far as its variables go: that they exist. Whether what comes out
    /// can be set is known for each terminal only ([`super::effective()`]).
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn revision(self, latest: u64, at: Timestamp) -> Result<Revision, ConfigurationError> {
        let Self { scope, values: given, author, reason } = self;
        let mut problems = Vec::new();
        if given.len() > MAX_VALUES {
            problems.push(Problem::Count { scope: scope.clone(), count: given.len() });
        }
        if reason.len() > MAX_REASON_BYTES || reason.chars().any(|c| c.is_control() && c != '\n') {
            problems.push(Problem::Reason { bytes: reason.len() });
        }
        let mut values = Values::new();
        for (name, value) in given.into_iter().take(MAX_VALUES) {
            match checked(&scope, &name, &value) {
                Ok(value) => drop(values.insert(name, value)),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(ConfigurationError(problems));
        }
        let number = latest.saturating_add(1);
        Ok(Revision { scope, number, values, author, reason, at, rolled_back_from: None })
    }
}

impl Revision {
    /// Makes the revision that brings the values of `earlier` back. Its values are checked again: what may
    /// be set can have changed since.
    ///
    /// # Errors
    /// When `earlier` is not an earlier revision of the same scope, or its values are no longer taken.
    pub fn rolled_back(
        &self,
        earlier: &Revision,
        author: String,
        reason: String,
        at: Timestamp,
    ) -> Result<Revision, ConfigurationError> {
        if earlier.scope != self.scope || earlier.number >= self.number {
            let (scope, of) = (self.scope.clone(), earlier.scope.clone());
            return Err(ConfigurationError(vec![Problem::Rollback { scope, of, number: earlier.number }]));
        }
        let new = NewRevision { scope: self.scope.clone(), values: earlier.values.clone(), author, reason };
        let back = new.revision(self.number, at)?;
        Ok(Revision { rolled_back_from: Some(earlier.number), ..back })
    }
}

/// A value as it is kept: canonical, or with variables that exist.
fn checked(scope: &Scope, name: &str, value: &str) -> Result<String, Problem> {
    let scope = || scope.clone();
    let parameter = |reason| Problem::Parameter { scope: scope(), name: name.to_owned(), reason };
    let name_of = || name.chars().take(60).collect::<String>();
    parameters::known(name).map_err(parameter)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(Problem::Length { scope: scope(), name: name_of(), bytes: value.len() });
    }
    let template = Template::parse(value).map_err(|reason| Problem::Variable {
        scope: scope(),
        name: name_of(),
        reason,
    })?;
    if template.has_variables() {
        return Ok(value.to_owned());
    }
    parameters::canonical(name, value).map_err(parameter)
}
