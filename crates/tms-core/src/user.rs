//! People and systems that use the management interface, and how much they may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::IdError;

/// How much somebody may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum UserRole {
    /// Look at everything, change nothing.
    ReadOnly,
    /// Give terminals work.
    Operator,
    /// Enrol terminals, change their credentials, and change what holds for the whole estate.
    Administrator,
}

impl UserRole {
    /// All roles, the one with the least rights first.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Operator, Self::Administrator];

    /// The name as it appears in JSON, on command lines and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }

    /// Whether this role may do what asks for `least`.
    #[must_use]
    pub fn may(self, least: Self) -> bool {
        self >= least
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for UserRole {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| IdError {
            what: "user's role",
            text: text.chars().take(40).collect(),
            rule: "it is administrator, operator or read-only",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_lesser_ones_may_and_reads_back_from_its_name() {
        for (place, role) in UserRole::ALL.into_iter().enumerate() {
            for (other, least) in UserRole::ALL.into_iter().enumerate() {
                assert_eq!(role.may(least), place >= other, "{role} {least}");
            }
            assert_eq!(role.name().parse::<UserRole>().unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        let error = "root".parse::<UserRole>().unwrap_err().to_string();
        assert!(error.contains("administrator, operator or read-only"), "{error}");
    }
}
