//! Configuration: what terminals should have in force, said once for many of them.
//!
//! Values are kept in three kinds of [`Scope`]: templates that are attached to groups, the groups themselves, and
//! single terminals. Every change of a scope is a new, immutable [`Revision`]; the one with the highest number
//! counts. What a terminal should have is put together by [`effective()`]: from the top group down to its
//! own, each group's templates in their order and then the group's own values, last the terminal's; what comes
//! later wins. Values may have variables in them (`{{merchant.name}}`, see [`variables`]).
//!
//! ```
//! use tms_core::configuration::{Scope, scopes};
//! # use tms_core::{Group, GroupKind, Tree, group::GroupId};
//! # let group = |id: &str, parent: Option<&str>, templates: &[&str]| Group {
//! #     id: id.parse().unwrap(), parent: parent.map(|p| p.parse().unwrap()), kind: GroupKind::Other, name: id.into(),
//! #     templates: templates.iter().map(|t| t.parse().unwrap()).collect(), attributes: Default::default(), version: 1 };
//! let tree = Tree::new([group("bank", None, &["standard"]), group("shop", Some("bank"), &[])])?;
//! let order = scopes(&"10000001".parse()?, Some(&"shop".parse()?), &tree);
//! let names: Vec<_> = order.iter().map(Scope::to_string).collect();
//! assert_eq!(names, ["template:standard", "group:bank", "group:shop", "terminal:10000001"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod effective;
mod error;
mod revision;
mod scope;
pub mod variables;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use change::{Change, Drift, canonical_bytes, diff};
pub use effective::{Effective, Entry, Overridden, Source, effective};
pub use error::{ConfigurationError, Problem};
pub use revision::{NewRevision, Revision};
pub use scope::{Scope, scopes};

/// Values by parameter name.
pub type Values = BTreeMap<String, String>;

/// Most values in one revision.
pub const MAX_VALUES: usize = 256;
/// Longest value before and after its variables are filled in, in bytes.
pub const MAX_VALUE_BYTES: usize = 1_024;
/// Longest reason for a change, in bytes.
pub const MAX_REASON_BYTES: usize = 500;
