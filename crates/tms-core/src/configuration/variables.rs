//! Variables in values.
//!
//! | variable | what stands in its place |
//! |---|---|
//! | `{{terminal.tid}}` `.mid` `.serial` `.vendor` `.model` `.profile` `.hardware_revision` | the terminal's own |
//! | `{{terminal.attr.X}}` | the terminal's attribute, or that of the nearest group above that has it |
//! | `{{group.name}}` `{{group.id}}` `{{group.attr.X}}` | of the group that the terminal belongs to |
//! | `{{acquirer.name}}` `.id` `.attr.X`, and so `branch`, `merchant`, `store` | of the nearest group of that kind; attributes are inherited from above it |
//!
//! Values are text and nothing is computed. What is filled in is not looked through for variables again.

use super::MAX_VALUE_BYTES;
use crate::attribute::AttributeName;
use crate::group::{Group, GroupKind, Tree};
use crate::terminal::Terminal;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// Everything that stands behind a name as it is.
const NAMED: [(&str, Variable); 7] = [
    ("terminal.tid", Variable::Terminal(Own::Tid)),
    ("terminal.mid", Variable::Terminal(Own::Mid)),
    ("terminal.serial", Variable::Terminal(Own::Serial)),
    ("terminal.vendor", Variable::Terminal(Own::Vendor)),
    ("terminal.model", Variable::Terminal(Own::Model)),
    ("terminal.profile", Variable::Terminal(Own::Profile)),
    ("terminal.hardware_revision", Variable::Terminal(Own::HardwareRevision)),
];

/// Why a variable cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// There is no such variable.
    #[error("there is no variable {name:?} (byte {offset}){}", suggestion.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Unknown {
        /// Its name as it was given, shortened.
        name: String,
        /// Bytes of the value before its braces.
        offset: usize,
        /// The nearest that exists.
        suggestion: Option<String>,
    },
    /// The braces are not closed.
    #[error("the variable at byte {offset} is not closed; write {{{{name}}}}")]
    Open {
        /// Bytes of the value before its braces.
        offset: usize,
    },
    /// The terminal stands under no group of the kind, or nothing there has the attribute.
    #[error("there is nothing to put in the place of {name:?} (byte {offset}): {why}")]
    Missing {
        /// The variable.
        name: String,
        /// Bytes of the value before its braces.
        offset: usize,
        /// What is missing.
        why: &'static str,
    },
    /// The value becomes too long.
    #[error("with its variables filled in it is longer than {MAX_VALUE_BYTES} bytes")]
    Length,
}

/// A value, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    pieces: Vec<Piece<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, offset: usize, variable: Variable },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Variable {
    Terminal(Own),
    TerminalAttribute(AttributeName),
    /// `None` is the group that the terminal belongs to.
    Group(Option<GroupKind>, GroupMember),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Tid,
    Mid,
    Serial,
    Vendor,
    Model,
    Profile,
    HardwareRevision,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GroupMember {
    Id,
    Name,
    Attribute(AttributeName),
}

impl<'a> Template<'a> {
    /// Takes a value apart.
    ///
    /// # Errors
    /// A variable that does not exist, or whose braces are not closed.
    pub fn parse(value: &'a str) -> Result<Self, VariableError> {
        let mut pieces = Vec::new();
        let mut offset = 0_usize;
        while let Some((before, after)) = value.get(offset..).and_then(|rest| rest.split_once(OPEN)) {
            if !before.is_empty() {
                pieces.push(Piece::Text(before));
            }
            let at = offset.saturating_add(before.len());
            let (name, _) = after.split_once(CLOSE).ok_or(VariableError::Open { offset: at })?;
            offset = at.saturating_add(OPEN.len()).saturating_add(name.len()).saturating_add(CLOSE.len());
            let variable = Variable::find(name.trim()).ok_or_else(|| unknown(name.trim(), at))?;
            pieces.push(Piece::Variable { name: name.trim(), offset: at, variable });
        }
        if let Some(rest) = value.get(offset..).filter(|rest| !rest.is_empty()) {
            pieces.push(Piece::Text(rest));
        }
        Ok(Self { pieces })
    }

    /// Whether there is anything to fill in.
    #[must_use]
    pub fn has_variables(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    /// Fills in what is the terminal's.
    ///
    /// # Errors
    /// Something that the terminal and its groups do not have, or a value that becomes too long.
    pub fn fill(&self, terminal: &Terminal, groups: &Tree) -> Result<String, VariableError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable { name, offset, variable } => {
                    let text = variable.value(terminal, groups).map_err(|why| VariableError::Missing {
                        name: (*name).to_owned(),
                        offset: *offset,
                        why,
                    })?;
                    out.push_str(&text);
                }
            }
            // After each piece: a name may be long and stand there often.
            if out.len() > MAX_VALUE_BYTES {
                return Err(VariableError::Length);
            }
        }
        Ok(out)
    }
}

impl Variable {
    fn find(name: &str) -> Option<Self> {
        if let Some((_, variable)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Some(variable.clone());
        }
        let (owner, member) = name.split_once('.')?;
        let attribute = member.strip_prefix("attr.").map(str::parse::<AttributeName>);
        if owner == "terminal" {
            return attribute?.ok().map(Self::TerminalAttribute);
        }
        let kind = match owner {
            "group" => None,
            // Any number of groups can be of kind `other`; which is meant cannot be said so.
            "other" => return None,
            kind => Some(kind.parse().ok()?),
        };
        let member = match (member, attribute) {
            ("id", _) => GroupMember::Id,
            ("name", _) => GroupMember::Name,
            (_, Some(Ok(name))) => GroupMember::Attribute(name),
            _ => return None,
        };
        Some(Self::Group(kind, member))
    }

    fn value(&self, terminal: &Terminal, groups: &Tree) -> Result<String, &'static str> {
        match self {
            Self::Terminal(own) => Ok(match own {
                Own::Tid => terminal.id.to_string(),
                Own::Mid => terminal.merchant.to_string(),
                Own::Serial => terminal.serial.clone(),
                Own::Vendor => terminal.place.vendor.clone(),
                Own::Model => terminal.model.clone(),
                Own::Profile => terminal.profile.to_string(),
                Own::HardwareRevision => terminal.hardware_revision.clone(),
            }),
            Self::TerminalAttribute(name) => {
                let inherited = || groups.attribute(terminal.place.group.as_ref()?, name);
                let value = terminal.place.attributes.get(name).or_else(inherited);
                value.map(ToString::to_string).ok_or("neither the terminal nor a group above it has it")
            }
            Self::Group(kind, member) => {
                let group = group_of(*kind, terminal, groups)?;
                match member {
                    GroupMember::Id => Ok(group.id.to_string()),
                    GroupMember::Name => Ok(group.name.clone()),
                    GroupMember::Attribute(name) => {
                        let value = groups.attribute(&group.id, name);
                        value.map(ToString::to_string).ok_or("neither that group nor one above it has it")
                    }
                }
            }
        }
    }
}

fn group_of<'a>(
    kind: Option<GroupKind>,
    terminal: &Terminal,
    groups: &'a Tree,
) -> Result<&'a Group, &'static str> {
    let own = terminal.place.group.as_ref().ok_or("the terminal belongs to no group")?;
    match kind {
        None => groups.get(own).ok_or("the terminal's group does not exist"),
        Some(kind) => groups.nearest(own, kind).ok_or("the terminal stands under no such group"),
    }
}

fn unknown(name: &str, offset: usize) -> VariableError {
    let name: String = name.chars().take(60).collect();
    let of_groups = ["acquirer", "branch", "merchant", "store", "group"]
        .into_iter()
        .flat_map(|owner| ["name", "id", "attr."].map(|member| format!("{owner}.{member}")));
    let suggestion = NAMED
        .iter()
        .map(|(known, _)| (*known).to_owned())
        .chain(["terminal.attr.".to_owned()])
        .chain(of_groups)
        .map(|known| (strsim::jaro_winkler(&name, &known), known))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, nearest)| nearest);
    VariableError::Unknown { name, offset, suggestion }
}
