//! Changes that people make to terminals: one, those that a selector means, and whole files of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use tms_core::{OperationState, Place, Selector, Terminal, TerminalId};
use tms_store::estate::{MAX_TERMINALS_AT_ONCE, replaced, retirement_detail, seen};
use tms_store::{BulkChange, ImportRow, Imported, Result, TerminalChange, Verdict};

use super::contents::{Contents, invalid, kept, not_found};

impl Contents {
    pub(super) fn selected(&self, selector: &Selector, now: Timestamp) -> Result<Vec<TerminalId>> {
        let (tree, now) = (self.tree()?, kept(now));
        let meant = self.terminals.values().filter(|terminal| selector.matches(terminal, &tree, now));
        Ok(meant.map(|terminal| terminal.id.clone()).collect())
    }

    pub(super) fn find(
        &self,
        selector: &Selector,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Terminal>> {
        let (tree, now) = (self.tree()?, kept(now));
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.terminals.range::<TerminalId, _>((start, Bound::Unbounded));
        let meant = range.map(|(_, terminal)| terminal).filter(|t| selector.matches(t, &tree, now));
        Ok(meant.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    pub(super) fn check_place(&self, place: &Place) -> Result<()> {
        place.check().map_err(|error| invalid(error.to_string()))?;
        match &place.group {
            Some(group) if !self.groups.contains_key(group) => Err(not_found("group", group)),
            _ => Ok(()),
        }
    }

    pub(super) fn change(
        &mut self,
        tid: &TerminalId,
        change: &TerminalChange,
        version: Option<u64>,
    ) -> Result<Terminal> {
        let known = self.known_terminal(tid)?.clone();
        seen("terminal", tid, version, known.place.version)?;
        let Some(changed) = change.of(&known)? else { return Ok(known) };
        self.check_place(&changed.place)?;
        self.terminals.insert(tid.clone(), changed.clone());
        Ok(changed)
    }

    pub(super) fn change_selected(
        &mut self,
        selector: &Selector,
        change: &TerminalChange,
        now: Timestamp,
    ) -> Result<BulkChange> {
        if let Some(Some(group)) = &change.group
            && !self.groups.contains_key(group)
        {
            return Err(not_found("group", group));
        }
        let selected = self.selected(selector, now)?;
        bounded(selected.len())?;
        let mut done = BulkChange::default();
        for tid in selected {
            let changed = change.of(self.known_terminal(&tid)?);
            done.count(&tid, &changed);
            if let Ok(Some(changed)) = changed {
                self.terminals.insert(tid, changed);
            }
        }
        Ok(done)
    }

    pub(super) fn import(&mut self, rows: &[ImportRow], dry_run: bool, now: Timestamp) -> Result<Imported> {
        bounded(rows.len())?;
        let mut first: BTreeMap<&TerminalId, usize> = BTreeMap::new();
        let (mut verdicts, mut terminals) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, number) in rows.iter().zip(1_usize..) {
            let earlier = *first.entry(&row.id).or_insert(number);
            if earlier != number {
                verdicts.push(Verdict::Refused(format!("terminal {} is in row {earlier} too", row.id)));
                continue;
            }
            if let Some(Some(group)) = &row.change.group
                && !self.groups.contains_key(group)
            {
                verdicts.push(Verdict::Refused(format!("there is no group {group}")));
                continue;
            }
            verdicts.push(match row.of(self.terminals.get(&row.id), kept(now)) {
                Ok((verdict, after)) => {
                    terminals.extend(after);
                    verdict
                }
                Err(reason) => Verdict::Refused(reason.to_string()),
            });
        }
        let is_applied = !dry_run && !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Refused(_)));
        if is_applied {
            self.terminals.extend(terminals.into_iter().map(|terminal| (terminal.id.clone(), terminal)));
        }
        Ok(Imported { verdicts, is_applied })
    }

    pub(super) fn replace_terminal(
        &mut self,
        old: &TerminalId,
        new: &TerminalId,
        now: Timestamp,
    ) -> Result<(Terminal, Terminal)> {
        let (old, new) = (self.known_terminal(old)?.clone(), self.known_terminal(new)?.clone());
        let (retired, heir) = replaced(&old, &new)?;
        for terminal in [&retired, &heir] {
            self.terminals.insert(terminal.id.clone(), terminal.clone());
        }
        for operation in self.open_ids(&retired.id) {
            self.end(operation, OperationState::Cancelled, retirement_detail(&heir.id), now);
        }
        Ok((retired, heir))
    }
}

fn bounded(count: usize) -> Result<()> {
    match count {
        0..=MAX_TERMINALS_AT_ONCE => Ok(()),
        count => Err(invalid(format!(
            "these are {count} terminals; at most {MAX_TERMINALS_AT_ONCE} are changed at once"
        ))),
    }
}
