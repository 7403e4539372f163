//! Where values are kept, and which places count for a terminal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::group::{GroupId, TemplateName, Tree};
use crate::id::{IdError, TerminalId};

/// A place for values. As text `template:NAME`, `group:ID` or `terminal:TID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// A template; it counts where it is attached.
    Template(TemplateName),
    /// A group; it counts for every terminal under it.
    Group(GroupId),
    /// One terminal.
    Terminal(TerminalId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(name) => write!(f, "template:{name}"),
            Self::Group(id) => write!(f, "group:{id}"),
            Self::Terminal(id) => write!(f, "terminal:{id}"),
        }
    }
}

impl FromStr for Scope {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some(("template", name)) => name.parse().map(Self::Template),
            Some(("group", id)) => id.parse().map(Self::Group),
            Some(("terminal", id)) => id.parse().map(Self::Terminal),
            _ => Err(IdError::new("scope", text, "write template:NAME, group:ID or terminal:TID")),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.to_string()
    }
}

/// The scopes that count for a terminal, each winning over those before it. A template that is attached to
/// several groups counts at each of them.
#[must_use]
pub fn scopes(terminal: &TerminalId, group: Option<&GroupId>, groups: &Tree) -> Vec<Scope> {
    let path = group.map(|group| groups.path(group)).unwrap_or_default();
    let mut scopes = Vec::new();
    for group in path {
        scopes.extend(group.templates.iter().cloned().map(Scope::Template));
        scopes.push(Scope::Group(group.id.clone()));
    }
    scopes.push(Scope::Terminal(terminal.clone()));
    scopes
}
