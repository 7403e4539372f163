//! Alarms, and sets of the estate.

use jiff::Timestamp;
use tms_core::{Alarm, EstateSet, SetName, TerminalId, alarm::MAX_ALARMS_KEPT};
use tms_store::{Result, estate::seen};

use super::contents::{Contents, conflict, kept};

impl Contents {
    pub(super) fn add_alarm(&mut self, mut alarm: Alarm) -> Result<bool> {
        self.known_terminal(&alarm.terminal)?;
        let own = self.alarms.entry(alarm.terminal.clone()).or_default();
        if own.contains_key(&alarm.sequence) {
            return Ok(false);
        }
        self.last_alarm = self.last_alarm.saturating_add(1);
        alarm.number = self.last_alarm;
        alarm.at = kept(alarm.at);
        alarm.received_at = kept(alarm.received_at);
        own.insert(alarm.sequence, alarm);
        while own.len() > MAX_ALARMS_KEPT {
            own.pop_first();
        }
        Ok(true)
    }

    pub(super) fn alarm_page(&self, tid: Option<&TerminalId>, after: Option<u64>, limit: u32) -> Vec<Alarm> {
        let asked = self.alarms.iter().filter(|(terminal, _)| tid.is_none_or(|tid| tid == *terminal));
        let all = asked.flat_map(|(_, own)| own.values());
        let mut page: Vec<_> = all.filter(|alarm| after.is_none_or(|after| alarm.number < after)).collect();
        page.sort_by_key(|alarm| std::cmp::Reverse(alarm.number));
        page.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn put_set(
        &mut self,
        name: SetName,
        content: String,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<u64> {
        let found = self.sets.get(name.name()).map_or(0, |known| known.revision);
        seen("set", name, expected, found)?;
        let revision = match self.sets.get(name.name()) {
            Some(known) if known.content == content => return Ok(known.revision),
            Some(known) => known
                .revision
                .checked_add(1)
                .ok_or_else(|| conflict(format!("the revisions of {name} are used up")))?,
            None => 1,
        };
        self.sets.insert(name.name(), EstateSet { name, revision, content, updated_at: kept(now) });
        Ok(revision)
    }
}
