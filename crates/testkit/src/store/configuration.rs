//! Revisions of scopes, and what the effective configuration of terminals is put together from.

use std::collections::BTreeMap;

use tms_core::configuration::{Revision, Scope, scopes};
use tms_core::{Group, GroupId, TerminalId, Tree};
use tms_store::estate::ConfigurationInputs;
use tms_store::{Result, StoreError};

use super::contents::{Contents, kept, not_found};

impl Contents {
    pub(super) fn add_revision(&mut self, revision: Revision) -> Result<Revision> {
        match &revision.scope {
            Scope::Group(id) if !self.groups.contains_key(id) => return Err(not_found("group", id)),
            Scope::Terminal(tid) if !self.terminals.contains_key(tid) => {
                return Err(not_found("terminal", tid));
            }
            _ => {}
        }
        let all = self.revisions.entry(revision.scope.clone()).or_default();
        let latest = u64::try_from(all.len()).unwrap_or(u64::MAX);
        if revision.number != latest.saturating_add(1) {
            return Err(StoreError::Stale {
                what: "configuration",
                name: revision.scope.to_string(),
                seen: revision.number.saturating_sub(1),
                found: latest,
            });
        }
        let revision = Revision { at: kept(revision.at), ..revision };
        all.push(revision.clone());
        Ok(revision)
    }

    pub(super) fn revision(&self, scope: &Scope, number: Option<u64>) -> Option<Revision> {
        let all = self.revisions.get(scope)?;
        match number {
            None => all.last().cloned(),
            Some(number) => all.iter().find(|revision| revision.number == number).cloned(),
        }
    }

    pub(super) fn revision_page(&self, scope: &Scope, before: Option<u64>, limit: u32) -> Vec<Revision> {
        let all = self.revisions.get(scope).into_iter().flatten().rev();
        let earlier = all.filter(|revision| before.is_none_or(|before| revision.number < before));
        earlier.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn templates(&self) -> Vec<Revision> {
        let templates = self.revisions.iter().filter(|(scope, _)| matches!(scope, Scope::Template(_)));
        templates.filter_map(|(_, all)| all.last().cloned()).collect()
    }

    pub(super) fn configuration(&self, tids: &[TerminalId]) -> Result<ConfigurationInputs> {
        let mut tids = tids.to_vec();
        tids.sort_unstable();
        tids.dedup();
        let terminals: Vec<_> = tids.iter().filter_map(|tid| self.terminals.get(tid).cloned()).collect();
        let tree = self.tree()?;
        let mut above: BTreeMap<&GroupId, &Group> = BTreeMap::new();
        let mut current = BTreeMap::new();
        for terminal in &terminals {
            let group = terminal.place.group.as_ref();
            above.extend(group.into_iter().flat_map(|id| tree.ancestors(id)).map(|group| (&group.id, group)));
            for scope in scopes(&terminal.id, group, &tree) {
                current.extend(self.revision(&scope, None).map(|revision| (scope, revision)));
            }
        }
        let groups = Tree::new(above.into_values().cloned())
            .map_err(|error| StoreError::Corrupt { detail: error.to_string() })?;
        Ok(ConfigurationInputs { terminals, groups, current })
    }
}
