//! All groups of an estate, where each stands, and which changes leave it a tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, GroupError, GroupId, GroupKind};
use crate::attribute::{AttributeName, AttributeValue};

/// How deep the tree is at most; a group at the top has depth 1.
pub const MAX_DEPTH: usize = 16;

/// All groups of an estate. Every group's parent exists, none stands under itself, none is deeper than
/// [`MAX_DEPTH`]: a value of this type is proof of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    groups: BTreeMap<GroupId, Group>,
    children: BTreeMap<GroupId, BTreeSet<GroupId>>,
}

impl Tree {
    /// Makes a tree of groups in any order.
    ///
    /// # Errors
    /// The first group that is not as it should be or cannot stand where it should.
    pub fn new(groups: impl IntoIterator<Item = Group>) -> Result<Self, GroupError> {
        let mut tree = Self::default();
        for group in groups {
            group.check()?;
            let id = group.id.clone();
            if let Some(parent) = &group.parent {
                tree.children.entry(parent.clone()).or_default().insert(id.clone());
            }
            if tree.groups.insert(id.clone(), group).is_some() {
                return Err(GroupError::Duplicate(id));
            }
        }
        tree.groups.values().try_for_each(|group| tree.check_place(group, 1))?;
        Ok(tree)
    }

    /// The group with this identity.
    #[must_use]
    pub fn get(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id)
    }

    /// All groups, by identity.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The group itself, then what it stands under, up to the top. Nothing for an unknown group.
    pub fn ancestors<'a>(&'a self, id: &GroupId) -> impl Iterator<Item = &'a Group> {
        std::iter::successors(self.groups.get(id), |group| self.groups.get(group.parent.as_ref()?))
    }

    /// From the top down to the group itself.
    #[must_use]
    pub fn path(&self, id: &GroupId) -> Vec<&Group> {
        let mut path: Vec<_> = self.ancestors(id).collect();
        path.reverse();
        path
    }

    /// Whether a group is `above` or stands somewhere under it.
    #[must_use]
    pub fn is_under(&self, id: &GroupId, above: &GroupId) -> bool {
        self.ancestors(id).any(|group| group.id == *above)
    }

    /// The groups directly under one.
    pub fn children<'a>(&'a self, id: &GroupId) -> impl Iterator<Item = &'a Group> {
        self.children.get(id).into_iter().flatten().filter_map(|child| self.groups.get(child))
    }

    /// The group itself and everything under it, each before what stands under it. Nothing for an unknown
    /// group.
    #[must_use]
    pub fn subtree(&self, id: &GroupId) -> Vec<&Group> {
        let mut found: Vec<_> = self.groups.get(id).into_iter().collect();
        let mut next = 0;
        while let Some(group) = found.get(next) {
            found.extend(self.children(&group.id));
            next = next.saturating_add(1);
        }
        found
    }

    /// The nearest group of a kind, beginning with the group itself.
    #[must_use]
    pub fn nearest(&self, id: &GroupId, kind: GroupKind) -> Option<&Group> {
        self.ancestors(id).find(|group| group.kind == kind)
    }

    /// The value of an attribute: the group's own, or that of the nearest group above that has it.
    #[must_use]
    pub fn attribute(&self, id: &GroupId, name: &AttributeName) -> Option<&AttributeValue> {
        self.ancestors(id).find_map(|group| group.attributes.get(name))
    }

    /// Adds a group or puts it in the place of the one with its identity, with everything that stands under
    /// that. Nothing changes when it may not be.
    ///
    /// # Errors
    /// When the group is not as it should be, its parent does not exist, it would stand under itself, or
    /// anything under it would be too deep.
    pub fn put(&mut self, group: Group) -> Result<(), GroupError> {
        group.check()?;
        self.check_place(&group, self.height(&group.id))?;
        let id = group.id.clone();
        if let Some(parent) = self.groups.get(&id).and_then(|old| old.parent.clone()) {
            self.leave(&parent, &id);
        }
        if let Some(parent) = &group.parent {
            self.children.entry(parent.clone()).or_default().insert(id.clone());
        }
        self.groups.insert(id, group);
        Ok(())
    }

    /// Takes a group away. `terminals` is how many belong to it, which the tree does not know.
    ///
    /// # Errors
    /// When it does not exist, or groups or terminals belong to it.
    pub fn remove(&mut self, id: &GroupId, terminals: u64) -> Result<Group, GroupError> {
        let groups = self.children(id).count();
        if groups > 0 || terminals > 0 {
            return Err(GroupError::InUse { group: id.clone(), groups, terminals });
        }
        let group = self.groups.remove(id).ok_or_else(|| GroupError::Unknown(id.clone()))?;
        if let Some(parent) = &group.parent {
            self.leave(parent, id);
        }
        Ok(group)
    }

    fn leave(&mut self, parent: &GroupId, id: &GroupId) {
        if let Some(children) = self.children.get_mut(parent) {
            children.remove(id);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
    }

    /// Whether a group may stand where it says, with `height` levels from itself down.
    fn check_place(&self, group: &Group, height: usize) -> Result<(), GroupError> {
        let mut path = vec![group.id.clone()];
        let mut below = group;
        while let Some(parent) = &below.parent {
            path.push(parent.clone());
            if *parent == group.id {
                return Err(GroupError::Cycle { group: group.id.clone(), path });
            }
            // What goes on longer than this may be a cycle further up; that one's own check says so.
            if path.len() > MAX_DEPTH {
                break;
            }
            below = self
                .groups
                .get(parent)
                .ok_or_else(|| GroupError::NoParent { group: below.id.clone(), parent: parent.clone() })?;
        }
        let depth = path.len().saturating_add(height).saturating_sub(1);
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        match self.cycle_above(group) {
            Some(path) => {
                Err(GroupError::Cycle { group: path.first().cloned().unwrap_or(group.id.clone()), path })
            }
            None => Err(GroupError::Depth { group: group.id.clone(), depth }),
        }
    }

    /// A cycle that the way up from a group runs into.
    fn cycle_above(&self, group: &Group) -> Option<Vec<GroupId>> {
        let mut seen: Vec<GroupId> = Vec::new();
        let mut at = Some(group);
        while let Some(here) = at {
            if let Some(first) = seen.iter().position(|id| *id == here.id) {
                let mut path = seen.split_off(first);
                path.push(here.id.clone());
                return Some(path);
            }
            // Trees are checked while they may be of any depth; the way is bounded nevertheless.
            if seen.len() > MAX_DEPTH.saturating_mul(64) {
                return None;
            }
            seen.push(here.id.clone());
            at = here.parent.as_ref().and_then(|parent| self.groups.get(parent));
        }
        None
    }

    /// Levels from a group down, itself included; 1 for one that does not exist yet.
    fn height(&self, id: &GroupId) -> usize {
        let mut height = 1_usize;
        let mut level: Vec<_> = self.children(id).collect();
        while !level.is_empty() && height <= MAX_DEPTH {
            height = height.saturating_add(1);
            level = level.iter().flat_map(|group| self.children(&group.id)).collect();
        }
        height
    }
}
