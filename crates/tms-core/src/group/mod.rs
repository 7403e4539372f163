//! Groups: the acquirer, its branches, their merchants, their stores. They form a [`Tree`]; what is set on
//! a group holds for everything under it.

mod tree;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use tree::{MAX_DEPTH, Tree};

use crate::attribute::{self, Attributes};
use crate::id::{IdError, is_name_byte, text_id, within};

/// Longest name of a group, in bytes.
pub const MAX_NAME_BYTES: usize = 200;
/// Most templates of one group.
pub const MAX_TEMPLATES: usize = 16;

/// A group's identity, unique in the estate: 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a
/// letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "icbc-bj"))]
pub struct GroupId(Arc<str>);

text_id!(GroupId, "group id", NAME_RULE, is_name);

/// The name of a configuration template; written as a [`GroupId`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "canary"))]
pub struct TemplateName(Arc<str>);

text_id!(TemplateName, "template name", NAME_RULE, is_name);

const NAME_RULE: &str = "it has 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit";

fn is_name(text: &str) -> bool {
    within(text, 64)
        && text.bytes().all(|byte| is_name_byte(byte) || byte == b'.')
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// What a group stands for. Any kind may stand under any other: estates differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GroupKind {
    /// The bank or processor (收单机构).
    Acquirer,
    /// A branch of it (分行).
    Branch,
    /// A merchant (商户).
    Merchant,
    /// A store of a merchant (门店).
    Store,
    /// Anything else.
    Other,
}

impl GroupKind {
    /// All kinds, from the top of an estate to its bottom.
    pub const ALL: [Self; 5] = [Self::Acquirer, Self::Branch, Self::Merchant, Self::Store, Self::Other];

    /// The kind as it appears in JSON and in variables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acquirer => "acquirer",
            Self::Branch => "branch",
            Self::Merchant => "merchant",
            Self::Store => "store",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for GroupKind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "it is acquirer, branch, merchant, store or other";
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| IdError::new("kind of group", text, rule))
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its identity.
    pub id: GroupId,
    /// The group that it stands under; `None` at the top.
    #[serde(default)]
    pub parent: Option<GroupId>,
    /// What it stands for.
    pub kind: GroupKind,
    /// What people call it: 1 to [`MAX_NAME_BYTES`] bytes without control characters.
    pub name: String,
    /// The templates attached to it; a later one wins over an earlier one.
    #[serde(default)]
    pub templates: Vec<TemplateName>,
    /// Values of your own; what stands under the group inherits them.
    #[serde(default)]
    pub attributes: Attributes,
    /// Rises by one with each change.
    #[serde(default)]
    pub version: u64,
}

impl Group {
    /// Whether the group by itself is as it should be. Where it may stand is the [`Tree`]'s matter.
    ///
    /// # Errors
    /// Names the member that is not.
    pub fn check(&self) -> Result<(), GroupError> {
        if !within(&self.name, MAX_NAME_BYTES) || self.name.chars().any(char::is_control) {
            return Err(GroupError::Name { group: self.id.clone(), bytes: self.name.len() });
        }
        if self.templates.len() > MAX_TEMPLATES {
            return Err(GroupError::Templates { group: self.id.clone(), count: self.templates.len() });
        }
        for (at, template) in self.templates.iter().enumerate() {
            if self.templates.iter().take(at).any(|earlier| earlier == template) {
                return Err(GroupError::Twice { group: self.id.clone(), template: template.clone() });
            }
        }
        attribute::check(&self.attributes)
            .map_err(|reason| GroupError::Attributes { group: self.id.clone(), reason })
    }
}

/// Why a group, or a change of the tree, cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Its name is empty, too long or not printable.
    #[error(
        "the name of group {group} has {bytes} bytes; it has from 1 to {MAX_NAME_BYTES}, without control characters"
    )]
    Name {
        /// The group.
        group: GroupId,
        /// How long its name is.
        bytes: usize,
    },
    /// It has too many templates.
    #[error("group {group} has {count} templates; it has at most {MAX_TEMPLATES}")]
    Templates {
        /// The group.
        group: GroupId,
        /// How many it has.
        count: usize,
    },
    /// It has a template twice.
    #[error("group {group} has the template {template} twice")]
    Twice {
        /// The group.
        group: GroupId,
        /// The template.
        template: TemplateName,
    },
    /// Its attributes are not as they should be.
    #[error("group {group}: {reason}")]
    Attributes {
        /// The group.
        group: GroupId,
        /// What is wrong.
        reason: IdError,
    },
    /// Two groups have one identity.
    #[error("there are two groups {0}")]
    Duplicate(GroupId),
    /// There is no such group.
    #[error("there is no group {0}")]
    Unknown(GroupId),
    /// The group that it shall stand under does not exist.
    #[error("group {group} shall stand under {parent}, which does not exist")]
    NoParent {
        /// The group.
        group: GroupId,
        /// Its parent.
        parent: GroupId,
    },
    /// It would stand under itself.
    #[error("group {group} would stand under itself: {}", path.iter().map(GroupId::as_str).collect::<Vec<_>>().join(" under "))]
    Cycle {
        /// The group.
        group: GroupId,
        /// The way back to it.
        path: Vec<GroupId>,
    },
    /// The tree would become too deep.
    #[error("with group {group} the tree would be {depth} groups deep; it is at most {MAX_DEPTH}")]
    Depth {
        /// The deepest group.
        group: GroupId,
        /// How deep it would stand; 1 is the top.
        depth: usize,
    },
    /// Something stands under it.
    #[error("group {group} cannot be deleted: {groups} groups and {terminals} terminals belong to it")]
    InUse {
        /// The group.
        group: GroupId,
        /// Groups directly under it.
        groups: usize,
        /// Terminals that belong to it.
        terminals: u64,
    },
}
