//! Rollouts and their targets.

use std::ops::Bound;

use jiff::Timestamp;
use tms_core::rollout::{RolloutState, Tally, TargetState, allocate};
use tms_core::{OperationId, OperationKind, Rollout, RolloutId, RolloutTarget, TerminalId};
use tms_store::work::{check_terminals, mix, new_operation};
use tms_store::{
    DesiredParameters, Result, StartedTarget, StartedWork, StoreError, TargetFilter, Watched, Work,
};

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn add_rollout(&mut self, rollout: Rollout) -> Result<Rollout> {
        if self.rollouts.contains_key(&rollout.id) {
            return Err(conflict(format!("rollout {} exists already", rollout.id)));
        }
        let rollout = Rollout { version: 1, ..rollout };
        self.rollouts.insert(rollout.id.clone(), rollout.clone());
        Ok(rollout)
    }

    pub(super) fn rollout_page(
        &self,
        only_under_way: bool,
        after: Option<&RolloutId>,
        limit: u32,
    ) -> Vec<Rollout> {
        let is_under_way = |rollout: &&Rollout| {
            !only_under_way || (rollout.state != RolloutState::Draft && !rollout.state.is_final())
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range =
            self.rollouts.range::<RolloutId, _>((start, Bound::Unbounded)).map(|(_, rollout)| rollout);
        range.filter(is_under_way).take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn put_rollout(&mut self, rollout: &Rollout) -> Result<()> {
        let known = self.rollouts.get(&rollout.id).ok_or_else(|| not_found("rollout", &rollout.id))?;
        let seen = rollout.version.saturating_sub(1);
        if known.version != seen {
            let (name, found) = (rollout.id.to_string(), known.version);
            return Err(StoreError::Stale { what: "rollout", name, seen, found });
        }
        self.rollouts.insert(rollout.id.clone(), rollout.clone());
        Ok(())
    }

    pub(super) fn start_rollout(&mut self, rollout: &Rollout, now: Timestamp) -> Result<u64> {
        let meant = self.selected(&rollout.selector, now)?;
        self.put_rollout(rollout)?;
        let known = meant.iter().filter_map(|tid| self.terminals.get(tid));
        let mut targets: Vec<_> =
            known.map(|terminal| (terminal.id.clone(), terminal.place.tags.clone())).collect();
        mix(&rollout.id, &mut targets);
        let frozen = allocate(&rollout.waves, &targets).into_iter().map(|allocated| RolloutTarget {
            terminal: allocated.terminal,
            wave: allocated.wave,
            state: TargetState::Waiting,
            operation: None,
            started_at: None,
            soak_until: None,
            judge_by: None,
            reason: None,
        });
        let frozen: Vec<_> = frozen.collect();
        let count = u64::try_from(frozen.len()).unwrap_or(u64::MAX);
        self.targets.insert(rollout.id.clone(), frozen);
        Ok(count)
    }

    pub(super) fn start_targets(
        &mut self,
        rollout: &Rollout,
        started: &[StartedTarget],
        now: Timestamp,
    ) -> Result<()> {
        check_terminals(started.iter().map(|started| &started.target.terminal))?;
        // Done to a copy: a ticket may turn out to be used.
        let mut copy = self.clone();
        copy.put_rollout(rollout)?;
        for StartedTarget { target, work } in started {
            if !copy.move_target(&rollout.id, TargetState::Waiting, target) {
                return Err(conflict(format!("not all of these targets of rollout {} wait", rollout.id)));
            }
            if let Some(work) = work {
                copy.begin(&target.terminal, work, now)?;
            }
        }
        *self = copy;
        Ok(())
    }

    fn begin(&mut self, terminal: &TerminalId, work: &StartedWork, now: Timestamp) -> Result<()> {
        let StartedWork { work, ticket, terms } = work;
        let new = match work {
            Work::Command(kind) => new_operation(terminal, kind.clone(), *ticket, terms),
            Work::Parameters(values) => {
                let (terminal, parameters) = (terminal.clone(), values.clone());
                let wanted =
                    DesiredParameters { terminal, parameters, ticket: *ticket, terms: terms.clone() };
                return self.apply(&wanted, true, now).map(drop);
            }
            Work::Firmware(firmware) => {
                if !self.firmware.contains_key(firmware) {
                    return Err(not_found("firmware", firmware));
                }
                self.known_terminal(terminal)?.desired.firmware = Some(firmware.clone());
                let kind = OperationKind::InstallFirmware { firmware: firmware.clone() };
                self.replace(terminal, &kind, tms_core::Operation::is_open, now);
                new_operation(terminal, kind, *ticket, terms)
            }
        };
        self.enqueue(new, now).map(drop)
    }

    pub(super) fn skip_waiting(&mut self, rollout: &Rollout, reason: &str) -> Result<u64> {
        self.put_rollout(rollout)?;
        let mut skipped = 0_u64;
        for target in self.targets.get_mut(&rollout.id).into_iter().flatten() {
            if target.state == TargetState::Waiting {
                target.state = TargetState::Skipped;
                target.reason = Some(reason.to_owned());
                skipped = skipped.saturating_add(1);
            }
        }
        Ok(skipped)
    }

    pub(super) fn move_targets(
        &mut self,
        id: &RolloutId,
        moves: &[(TargetState, RolloutTarget)],
    ) -> Result<u64> {
        check_terminals(moves.iter().map(|(_, target)| &target.terminal))?;
        let moved = moves.iter().filter(|(from, target)| self.move_target(id, *from, target)).count();
        Ok(u64::try_from(moved).unwrap_or(u64::MAX))
    }

    fn move_target(&mut self, id: &RolloutId, from: TargetState, to: &RolloutTarget) -> bool {
        let mut targets = self.targets.get_mut(id).into_iter().flatten();
        let known = targets.find(|target| target.terminal == to.terminal && target.state == from);
        let Some(known) = known else { return false };
        // Its wave was frozen.
        *known = RolloutTarget {
            wave: known.wave,
            started_at: to.started_at.map(kept),
            soak_until: to.soak_until.map(kept),
            judge_by: to.judge_by.map(kept),
            ..to.clone()
        };
        true
    }

    fn targets_of(&self, id: &RolloutId) -> &[RolloutTarget] {
        self.targets.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn tally(&self, id: &RolloutId, now: Timestamp) -> Option<(Rollout, Tally)> {
        Some((self.rollouts.get(id)?.clone(), Tally::of(self.targets_of(id), kept(now))))
    }

    fn targets_behind(&self, id: &RolloutId, after: Option<&TerminalId>) -> &[RolloutTarget] {
        let all = self.targets_of(id);
        let place = after.and_then(|after| all.iter().position(|target| target.terminal == *after));
        place.and_then(|place| all.get(place.saturating_add(1)..)).unwrap_or(all)
    }

    pub(super) fn target_page(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TerminalId>,
        limit: u32,
    ) -> Vec<RolloutTarget> {
        let wanted = |target: &&RolloutTarget| {
            filter.wave.is_none_or(|wave| target.wave == wave)
                && filter.state.is_none_or(|state| target.state == state)
        };
        let found = self.targets_behind(id, after).iter().filter(wanted);
        found.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect()
    }

    pub(super) fn target_of(&self, operation: OperationId) -> Option<(RolloutId, RolloutTarget)> {
        let is_its = |target: &&RolloutTarget| target.operation == Some(operation);
        self.targets.iter().find_map(|(id, targets)| Some((id.clone(), targets.iter().find(is_its)?.clone())))
    }

    pub(super) fn watched(
        &self,
        id: &RolloutId,
        all_soaking: bool,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Watched> {
        let now = kept(now);
        let operation = |target: &RolloutTarget| self.operations.get(&target.operation?);
        let watched = self.targets_behind(id, after).iter().filter(|target| match target.state {
            TargetState::Queued => !operation(target).is_some_and(|operation| operation.is_open()),
            TargetState::Soaking => all_soaking || target.soak_until.is_none_or(|until| until <= now),
            _ => false,
        });
        let watched = watched.filter_map(|target| {
            let operation = operation(target).map(|operation| (operation.state, operation.detail.clone()));
            let terminal = self.terminals.get(&target.terminal)?.clone();
            Some(Watched { target: target.clone(), operation, terminal })
        });
        watched.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    }
}
