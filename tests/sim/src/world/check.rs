//! The invariants.

use tms_core::{Operation, OperationKind, OperationState};
use tms_server::secret::CredentialSecret;

use super::{Checked, World};
use crate::{
    firmware::{FACTORY, Matter, catalog},
    options::Sabotage,
    outcome::{Violation, invariant},
    terminal::{CREDENTIALS, Life, roles},
    trace::Happened,
};

/// Most bytes that a terminal's disk may hold: its flash, and some for everything else.
const MAX_DISK_BYTES: u64 = 131_072 + 256 * 1024;
/// Most bytes that a line may hold in one direction.
const MAX_LINE_BYTES: usize = 256 * 1024 + 16 * 1024;
/// Most frames of one terminal, both directions together, between two visits of the janitor.
const MAX_FRAMES: u64 = 4_000;

impl World {
    /// What has become of the promises to one terminal.
    pub(super) fn look_at_operations(&mut self, place: usize) -> Checked {
        let Some(open) = self.ledger.open.get(&place).filter(|open| !open.is_empty()) else { return Ok(()) };
        let seen: Vec<_> = self.host.store.look(|contents| {
            open.iter()
                .map(|number| {
                    let promise = &self.ledger.promises[*number];
                    let found = contents.operations.get(&promise.id);
                    (*number, found.map(|operation| operation.state), promise.state)
                })
                .filter(|(_, found, known)| *found != Some(*known))
                .collect()
        });
        self.checked(invariant::NOT_LOST);
        for (number, found, _) in seen {
            let Some(state) = found else {
                let promise = &self.ledger.promises[number];
                let what = format!(
                    "{} {}, acknowledged at {:.0}, is not known any more",
                    promise.kind.name(),
                    promise.id,
                    promise.made_at
                );
                return Err(self.violation(Some(place), invariant::NOT_LOST, what));
            };
            self.ledger.promises[number].state = state;
            self.note(Some(place), Happened::State { operation: number, state: state.name() });
            if state.is_final() {
                if let Some(open) = self.ledger.open.get_mut(&place) {
                    open.retain(|other| *other != number);
                }
                self.check_done(place, number)?;
                if self.is_broken(Sabotage::Reopened) {
                    self.reopen(number);
                }
            }
        }
        let rotates = |number: &usize| {
            matches!(self.ledger.promises[*number].kind, OperationKind::RotateCredential { .. })
        };
        let rotating = self.ledger.open.get(&place).is_some_and(|open| open.iter().any(rotates));
        self.terminals[place].rotating |= rotating;
        Ok(())
    }

    /// Whether what is done is there.
    fn check_done(&mut self, place: usize, number: usize) -> Checked {
        let promise = &self.ledger.promises[number];
        if promise.state != OperationState::Done {
            return Ok(());
        }
        let (id, kind, made_at) = (promise.id, promise.kind.clone(), promise.made_at);
        let tid = self.tid(place);
        self.checked(invariant::DONE);
        let missing = match &kind {
            OperationKind::Reboot => {
                // A power cut after the terminal noted the task has started it again, too.
                let times = self.ledger.effects_of_all(place, *id.as_uuid());
                let started = self.terminals[place].last_boot >= made_at;
                (times != 1 && !started).then(|| "it has not started again".to_owned())
            }
            OperationKind::InstallFirmware { firmware } => {
                let release = catalog().releases.iter().find(|release| release.id == firmware.as_str());
                let ran = release.is_some_and(|release| self.ran.contains(&(place, release.sha256)));
                (!ran).then(|| "the image never ran".to_owned())
            }
            OperationKind::CollectLogs { .. } => {
                let bundle = self.host.store.look(|contents| contents.log_bundles.get(&id).cloned());
                let kept = bundle.and_then(|bundle| {
                    let bytes = self.host.object(&bundle.object)?;
                    (hex::encode(tms_crypto::sha256(&bytes)) == bundle.sha256).then_some(())
                });
                kept.is_none().then(|| "the log is not there, or not whole".to_owned())
            }
            OperationKind::RotateCredential { role, generation } => {
                let held = self.host.store.look(|contents| {
                    contents.credentials.get(&(tid, role.clone())).and_then(|c| c.in_force().map(|(g, _)| g))
                });
                (held.is_none_or(|held| held < *generation))
                    .then(|| format!("generation {generation} is not in force, {held:?} is"))
            }
            // A thing of the world, once for certain.
            OperationKind::PrintTestSlip { .. } | OperationKind::RestartApplication => {
                let times = self.ledger.effects_of_all(place, *id.as_uuid());
                (times != 1).then(|| format!("it happened {times} times"))
            }
            OperationKind::ShowMessage { .. } => {
                let shown = self.ledger.effects_of_all(place, *id.as_uuid()) > 0;
                (!shown).then(|| "it was never shown".to_owned())
            }
            // Where a sign-on brings keys, a terminal that did not hear it signs on once more.
            OperationKind::ExchangeKeys => {
                let early = !self.ends && !self.terminals[place].variety.profile.pushes();
                let taken = early || self.terminals[place].last_keys >= made_at;
                (!taken).then(|| "it has taken no keys since".to_owned())
            }
            // The terminal's own state: saved with its result, and told after that unless the power went.
            OperationKind::Lock { .. } | OperationKind::Unlock | OperationKind::ClearReversal => {
                let times = self.ledger.effects_of_all(place, *id.as_uuid());
                let in_doubt = self.terminals[place].disk.counts().replaced_in_doubt > 0;
                (times == 0 && !in_doubt).then(|| "it never happened".to_owned())
            }
            // Whether the values are in force is looked at in the end: a later change may be there already.
            _ => None,
        };
        match missing {
            None => Ok(()),
            Some(what) => {
                let what = format!("{} {id} is done: {what}", kind.name());
                Err(self.violation(Some(place), invariant::DONE, what))
            }
        }
    }

    /// What has just started.
    pub(super) fn check_image(&mut self, place: usize) -> Checked {
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        let Some(running) = device.running() else { return Ok(()) };
        self.checked(invariant::FIRMWARE);
        let settled = device.state(|state| state.slots.phase().name() == "settled");
        let violated = |world: &Self, what: String| world.violation(Some(place), invariant::FIRMWARE, what);
        if running.version != FACTORY {
            let release = catalog().by_image(&running.sha256);
            let allowed = release.is_some_and(|release| {
                matches!(release.matter, Matter::Good | Matter::Sick)
                    && release.version == running.version
                    && release.counter == running.security_counter
            });
            if !allowed {
                let matter = release.map(|release| release.matter);
                return Err(violated(self, format!("version {} runs: {matter:?}", running.version)));
            }
            if self.terminals[place].measured != Some(running.sha256) || self.is_broken(Sabotage::RottenSlot)
            {
                let found = device.measure(running.slot).ok();
                if found != Some((running.size_bytes, running.sha256)) {
                    let what =
                        format!("version {} runs from a slot that holds something else", running.version);
                    return Err(violated(self, what));
                }
                self.terminals[place].measured = Some(running.sha256);
            }
            self.ran.insert((place, running.sha256));
        }
        let rank = catalog().rank(&running.version).unwrap_or(0);
        if rank < self.terminals[place].confirmed {
            return Err(violated(self, format!("version {} runs after a newer one", running.version)));
        }
        if settled {
            self.terminals[place].confirmed = rank;
        }
        Ok(())
    }

    /// Whether what the host would tell a person opens the terminal.
    pub(super) fn check_secrets(&mut self, place: usize) -> Checked {
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        let tid = self.tid(place);
        let mut pending = false;
        for role in roles() {
            let held = self.host.store.look(|contents| {
                let credential = contents.credentials.get(&(tid.clone(), role.clone()))?;
                let (generation, sealed) = credential.in_force()?;
                Some((generation, sealed.to_vec(), credential.pending.is_some()))
            });
            self.checked(invariant::ADMINISTRATOR);
            let Some((generation, sealed, rotates)) = held else {
                let what = format!("the host holds no secret for role {role}");
                return Err(self.violation(Some(place), invariant::ADMINISTRATOR, what));
            };
            pending |= rotates;
            let secret = CredentialSecret::unseal(&self.host.vault, &tid, &role, &sealed);
            let opens = secret.is_ok_and(|secret| device.try_secret(role.as_str(), &secret.secret).is_some());
            if !opens {
                let what = format!("generation {generation} of role {role} does not open it");
                return Err(self.violation(Some(place), invariant::ADMINISTRATOR, what));
            }
        }
        self.terminals[place].rotating = pending;
        Ok(())
    }

    /// What may not grow.
    pub(super) fn check_bounds(&mut self) -> Checked {
        self.checked(invariant::BOUNDED);
        self.checked(invariant::QUIET);
        for place in 0..self.terminals.len() {
            let frames = std::mem::take(&mut self.frames[place]);
            if frames > if self.is_broken(Sabotage::Chatter) { 5 } else { MAX_FRAMES } {
                let what = format!("{frames} frames in a minute");
                return Err(self.violation(Some(place), invariant::QUIET, what));
            }
            let terminal = &self.terminals[place];
            let most = if self.is_broken(Sabotage::Hoard) { 512 } else { MAX_LINE_BYTES };
            let line = terminal.lines.iter().map(|line| line.link.counts().most_bytes_under_way).max();
            if line.is_some_and(|bytes| bytes > most) {
                let what = format!("{} bytes under way on one line", line.unwrap_or(0));
                return Err(self.violation(Some(place), invariant::BOUNDED, what));
            }
            let disk: u64 =
                terminal.disk.names().iter().filter_map(|name| terminal.disk.len(name).ok().flatten()).sum();
            if disk > MAX_DISK_BYTES {
                let what = format!("its disk holds {disk} bytes");
                return Err(self.violation(Some(place), invariant::BOUNDED, what));
            }
        }
        let sessions: usize = self.terminals.iter().map(|terminal| terminal.lines.len()).sum();
        let known = self.host.app.as_ref().map_or(0, |app| app.wake.connected());
        if known > sessions {
            let what = format!("the host knows {known} sessions, and there are {sessions}");
            return Err(self.violation(None, invariant::BOUNDED, what));
        }
        Ok(())
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_settled(&self) -> bool {
        let online = |life: &Life| *life == Life::Online;
        self.host.app.is_some()
            && self.ledger.open.values().all(Vec::is_empty)
            && self.terminals.iter().all(|terminal| online(&terminal.life))
            && self.host.store.look(|contents| contents.queues.values().all(|queue| queue.open.is_empty()))
            && (0..self.terminals.len()).all(|place| self.rests(place) && self.disagreement(place).is_none())
    }

    /// Whether a terminal has nothing to tell, and nothing to fetch.
    fn rests(&self, place: usize) -> bool {
        !self.settles(place)
            && !self.raises_alarms(place)
            && !self.owes_results(place)
            && self.old_set(place).is_none()
    }

    /// Everything, at the end.
    pub(super) fn check_end(&mut self) -> Checked {
        for place in 0..self.terminals.len() {
            self.look_at_operations(place)?;
            if self.terminals[place].life != Life::Online {
                let what = format!("it is still {:?}", self.terminals[place].life);
                return Err(self.violation(Some(place), invariant::COMES_BACK, what));
            }
            self.check_image(place)?;
            self.check_secrets(place)?;
        }
        if self.is_broken(Sabotage::UnheardAction) {
            self.forget_results();
        }
        if self.is_broken(Sabotage::SilentSet) {
            self.publish_silently();
        }
        for place in 0..self.terminals.len() {
            self.check_alarms(place)?;
            self.check_plans(place)?;
            self.check_sets(place)?;
            if self.settles(place) {
                let what = "it still settles long after the faults stopped";
                return Err(self.violation(Some(place), invariant::SETTLED, what));
            }
        }
        self.ends = true;
        self.checked(invariant::ENDS);
        self.checked(invariant::FINAL);
        for number in 0..self.ledger.promises.len() {
            self.check_promise(number)?;
        }
        let open = self.host.store.look(|contents| {
            contents.queues.iter().find_map(|(tid, queue)| Some((tid.clone(), *queue.open.first()?)))
        });
        if let Some((tid, id)) = open {
            let place = self.terminals.iter().position(|terminal| terminal.tid == tid);
            let what = format!("operation {id} of {tid} is open long after the faults stopped");
            return Err(self.violation(place, invariant::ENDS, what));
        }
        if self.is_broken(Sabotage::SilentChange) {
            // Only now: the next report would have the host say it again.
            for place in 0..self.terminals.len() {
                self.change_silently(place);
            }
        }
        for place in 0..self.terminals.len() {
            self.checked(invariant::AGREE);
            if let Some(what) = self.disagreement(place) {
                return Err(self.violation(Some(place), invariant::AGREE, what));
            }
        }
        self.check_bounds()
    }

    fn check_promise(&mut self, number: usize) -> Checked {
        let promise = &self.ledger.promises[number];
        let (place, id, state) = (promise.terminal, promise.id, promise.state);
        let name = promise.kind.name();
        let found = self.host.store.look(|contents| contents.operations.get(&id).map(|o| o.state));
        let violated = |world: &Self, invariant, what: String| -> Result<(), Violation> {
            Err(world.violation(Some(place), invariant, what))
        };
        match found {
            None => violated(self, invariant::NOT_LOST, format!("{name} {id} is not known any more")),
            Some(found) if state.is_final() && found != state => {
                violated(self, invariant::FINAL, format!("{name} {id} was {state} and is {found}"))
            }
            Some(found) if found.is_open() => violated(
                self,
                invariant::ENDS,
                format!("{name} {id} is {found} long after the faults stopped"),
            ),
            Some(_) => self.check_done(place, number),
        }
    }

    /// Where desired, reported and real state of a terminal differ.
    fn disagreement(&self, place: usize) -> Option<String> {
        let terminal = &self.terminals[place];
        let device = terminal.device.as_ref()?;
        let stored = self.host.store.look(|contents| contents.terminals.get(&terminal.tid).cloned())?;
        let real = device.parameters();
        // What a person withdrew, or the terminal refused, is not tried again by itself.
        let given_up = self
            .last_change(place)
            .is_some_and(|change| matches!(change.state, OperationState::Cancelled | OperationState::Failed));
        for (name, desired) in stored.desired.parameters.iter().filter(|_| !given_up) {
            let (reported, have) = (stored.reported.parameters.get(name), real.get(name));
            if have != Some(desired) {
                let change = self.last_change(place).map(|change| (change.id, change.state, change.detail));
                return Some(format!("{name} should be {desired:?} and is {have:?}; last change {change:?}"));
            }
            if reported.is_some_and(|reported| reported != desired) {
                return Some(format!("{name} is {desired:?} and was reported as {reported:?}"));
            }
        }
        let running = device.running()?;
        if stored.reported.firmware_version.as_deref().is_some_and(|version| version != running.version) {
            return Some(format!(
                "version {} runs and {:?} was reported",
                running.version, stored.reported.firmware_version
            ));
        }
        if let Some(firmware) = &stored.desired.firmware {
            let newest = self.newest(place, |kind| matches!(kind, OperationKind::InstallFirmware { .. }));
            let newest = newest.filter(|operation| {
                operation.kind == OperationKind::InstallFirmware { firmware: firmware.clone() }
            });
            let done = newest.is_some_and(|operation| operation.state == OperationState::Done);
            let wanted = catalog().releases.iter().find(|release| release.id == firmware.as_str());
            if done && wanted.is_some_and(|wanted| wanted.version != running.version) {
                return Some(format!("firmware {firmware} was installed, and {} runs", running.version));
            }
        }
        let generations = device.state(|state| state.credentials.generations());
        for role in roles() {
            // What was begun and withdrawn may be in force or not until the next report says so.
            let newest = self.newest(place, |kind| {
                matches!(kind, OperationKind::RotateCredential { role: rotated, .. } if *rotated == role)
            });
            let Some(newest) = newest.filter(|newest| newest.state == OperationState::Done) else { continue };
            let OperationKind::RotateCredential { generation, .. } = newest.kind else { continue };
            let (have, reported) = (generations.get(role.as_str()), stored.reported.credentials.get(&role));
            if have != Some(&generation) || reported.is_some_and(|reported| *reported != generation) {
                return Some(format!(
                    "generation {generation} of role {role} is done, {have:?} in force, {reported:?} reported"
                ));
            }
        }
        None
    }

    /// The newest operation of a terminal of some kind.
    pub(super) fn newest(&self, place: usize, is: impl Fn(&OperationKind) -> bool) -> Option<Operation> {
        self.host.store.look(|contents| {
            let queue = contents.queues.get(&self.terminals[place].tid)?;
            let mut all = queue.all.iter().rev().filter_map(|id| contents.operations.get(id));
            all.find(|operation| is(&operation.kind)).cloned()
        })
    }

    /// The newest change of a terminal's parameters.
    fn last_change(&self, place: usize) -> Option<Operation> {
        self.newest(place, |kind| matches!(kind, OperationKind::SetParameters { .. }))
    }

    fn reopen(&mut self, number: usize) {
        let id = self.ledger.promises[number].id;
        let mut contents = self.host.store.snapshot();
        if let Some(operation) = contents.operations.get_mut(&id) {
            operation.state = OperationState::Failed;
        }
        if self.ledger.promises[number].state == OperationState::Done {
            self.starts_on(contents);
        }
    }

    /// Replaces what the host holds by what the terminals were delivered with.
    pub(super) fn forget_credentials(&mut self) {
        let mut contents = self.host.store.snapshot();
        let delivered = CREDENTIALS[0].1;
        for terminal in &self.terminals {
            for role in roles() {
                let Some(credential) = contents.credentials.get_mut(&(terminal.tid.clone(), role.clone()))
                else {
                    continue;
                };
                let wrong = CredentialSecret::new(&format!("{delivered}9"), 1);
                if let (Some(current), Ok(sealed)) =
                    (&mut credential.current, wrong.seal(&self.host.vault, &terminal.tid, &role))
                {
                    current.sealed = sealed;
                }
            }
        }
        self.starts_on(contents);
    }
}
