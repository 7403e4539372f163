//! What is wrong with values.

use super::variables::VariableError;
use super::{MAX_REASON_BYTES, MAX_VALUE_BYTES, MAX_VALUES, Scope};
use crate::parameters::ParameterError;

/// Everything that is wrong with a revision or with what a terminal would get, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigurationError(pub Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The name or the value is not one of the schema.
    #[error("{scope}: {reason}")]
    Parameter {
        /// Where the value comes from.
        scope: Scope,
        /// The parameter's name as it was given.
        name: String,
        /// What is wrong.
        reason: ParameterError,
    },
    /// A variable cannot be filled in.
    #[error("{scope}: {name}: {reason}")]
    Variable {
        /// Where the value comes from.
        scope: Scope,
        /// The parameter's name.
        name: String,
        /// What is wrong.
        reason: VariableError,
    },
    /// A value is too long.
    #[error("{scope}: {name} has {bytes} bytes; it has at most {MAX_VALUE_BYTES}")]
    Length {
        /// Where the value comes from.
        scope: Scope,
        /// The parameter's name.
        name: String,
        /// How long it is, or would become.
        bytes: usize,
    },
    /// There are too many values.
    #[error("{scope} has {count} values; it has at most {MAX_VALUES}")]
    Count {
        /// Where they are.
        scope: Scope,
        /// How many there are.
        count: usize,
    },
    /// The reason of a change is too long, or has control characters other than line ends.
    #[error("the reason has {bytes} bytes; it has at most {MAX_REASON_BYTES}, without control characters")]
    Reason {
        /// How long it is.
        bytes: usize,
    },
    /// Going back to a revision of another scope, or to one that is not older.
    #[error("revision {number} of {of} is no earlier revision of {scope}")]
    Rollback {
        /// What shall go back.
        scope: Scope,
        /// Whose revision was named.
        of: Scope,
        /// Which one.
        number: u64,
    },
}
