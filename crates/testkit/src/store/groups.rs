//! Groups, and selectors that people have saved.

use tms_core::group::{GroupError, Tree};
use tms_core::selector::SavedSelector;
use tms_core::{Group, GroupId, TemplateName};
use tms_store::estate::seen;
use tms_store::{Result, StoreError};

use super::contents::{Contents, conflict, invalid, not_found};

impl Contents {
    /// All groups as the tree that they are.
    pub(super) fn tree(&self) -> Result<Tree> {
        Tree::new(self.groups.values().cloned())
            .map_err(|error| StoreError::Corrupt { detail: error.to_string() })
    }

    pub(super) fn put_group(&mut self, group: Group, version: Option<u64>) -> Result<Group> {
        let found = self.groups.get(&group.id).map_or(0, |known| known.version);
        seen("group", &group.id, version, found)?;
        self.tree()?.put(group.clone()).map_err(|error| invalid(error.to_string()))?;
        let group = Group { version: found.saturating_add(1), ..group };
        self.groups.insert(group.id.clone(), group.clone());
        Ok(group)
    }

    pub(super) fn delete_group(&mut self, id: &GroupId, version: Option<u64>) -> Result<()> {
        let known = self.groups.get(id).ok_or_else(|| not_found("group", id))?;
        seen("group", id, version, known.version)?;
        let groups = self.groups.values().filter(|group| group.parent.as_ref() == Some(id)).count();
        let terminals = self.terminals.values().filter(|t| t.place.group.as_ref() == Some(id)).count();
        if groups > 0 || terminals > 0 {
            let terminals = u64::try_from(terminals).unwrap_or(u64::MAX);
            let error = GroupError::InUse { group: id.clone(), groups, terminals };
            return Err(conflict(error.to_string()));
        }
        self.groups.remove(id);
        Ok(())
    }

    pub(super) fn put_selector(
        &mut self,
        saved: SavedSelector,
        version: Option<u64>,
    ) -> Result<SavedSelector> {
        let found = self.selectors.get(&saved.name).map_or(0, |known| known.version);
        seen("selector", &saved.name, version, found)?;
        let saved = SavedSelector { version: found.saturating_add(1), ..saved };
        self.selectors.insert(saved.name.clone(), saved.clone());
        Ok(saved)
    }

    pub(super) fn delete_selector(&mut self, name: &TemplateName, version: Option<u64>) -> Result<()> {
        let known = self.selectors.get(name).ok_or_else(|| not_found("selector", name))?;
        seen("selector", name, version, known.version)?;
        self.selectors.remove(name);
        Ok(())
    }
}
