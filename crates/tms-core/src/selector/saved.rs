//! Selectors that people keep under a name.

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::group::TemplateName;

/// A selector under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSelector {
    /// Its name, by the rule of template names.
    pub name: TemplateName,
    /// What it selects.
    pub selector: Selector,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Who saved it.
    pub author: String,
    /// Rises by one with each change.
    #[serde(default)]
    pub version: u64,
}
