//! What goes wrong besides what links do by themselves, and how it is put right.

use jiff::{SignedDuration, Timestamp};
use testkit::{link::Chances, store::Contents};
use tms_core::{OperationId, OperationState};

use super::{Checked, Due, World, later};
use crate::{
    host::JANITOR,
    options::{Fault, Sabotage},
    terminal::Life,
};

/// Faults that strike a terminal, and after how many minutes on average.
const TERMINAL_FAULTS: [(Fault, i64); 4] =
    [(Fault::Partition, 90), (Fault::PowerCut, 30), (Fault::FullDisk, 60), (Fault::TerminalClock, 150)];
/// Faults that strike the host.
const HOST_FAULTS: [(Fault, i64); 3] = [(Fault::HostCrash, 45), (Fault::Store, 30), (Fault::HostClock, 200)];
/// How far clocks jump, in seconds.
const JUMPS_S: [i64; 6] = [90, 600, 3_600, 86_400, 400 * 86_400, 4_000 * 86_400];
/// Of a million calls of a faulty store, so many fail, or fail after they were carried out.
const STORE_CHANCES: (u32, u32) = (150_000, 50_000);

impl World {
    /// Puts the first of everything into the queue.
    pub(super) fn schedule(&mut self) {
        self.in_(JANITOR, Due::Janitor);
        for (fault, _) in HOST_FAULTS {
            self.schedule_host(fault);
        }
        for place in 0..self.terminals.len() {
            self.touch(place);
            self.schedule_work(place);
            for (fault, _) in TERMINAL_FAULTS {
                self.schedule_strike(place, fault);
            }
        }
        self.schedule_chores();
        self.schedule_sets();
    }

    fn schedule_strike(&mut self, place: usize, fault: Fault) {
        // Drawn whether or not the fault is on, so that the others stay where they are.
        let mean = mean(&TERMINAL_FAULTS, fault);
        let wait = self.terminals[place].rng.wait(mean);
        if self.options.faults.contains(&fault) {
            self.in_(wait, Due::Strike(place, fault));
        }
    }

    fn schedule_host(&mut self, fault: Fault) {
        let wait = self.host_rng.wait(mean(&HOST_FAULTS, fault));
        if self.options.faults.contains(&fault) {
            self.in_(wait, Due::StrikeHost(fault));
        }
    }

    pub(super) fn strike(&mut self, place: usize, fault: Fault) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.schedule_strike(place, fault);
        let now = self.clock.now();
        match fault {
            Fault::Partition => {
                let rng = &mut self.terminals[place].rng;
                let minutes = if rng.happens(800_000) { rng.between(1, 10) } else { rng.between(30, 180) };
                let until = later(now, SignedDuration::from_mins(minutes as i64));
                self.count_fault(place, "partition", minutes as i64);
                let terminal = &mut self.terminals[place];
                terminal.unreachable_until = until;
                for line in &mut terminal.lines {
                    line.link.partition(until);
                }
            }
            Fault::PowerCut => {
                if matches!(self.terminals[place].life, Life::Off { .. }) {
                    return Ok(());
                }
                let rng = &mut self.terminals[place].rng;
                if rng.happens(300_000) {
                    self.power_lost(place);
                } else {
                    // In the middle of whatever it writes next.
                    let bytes = rng.below(12_000);
                    self.terminals[place].disk.cut_power_after(bytes);
                    self.fault(Some(place), "power goes after so many bytes", bytes as i64);
                }
            }
            Fault::FullDisk => {
                let writes = self.terminals[place].rng.between(1, 4) as u32;
                self.terminals[place].disk.fail_writes(writes);
                self.fault(Some(place), "writes fail", i64::from(writes));
            }
            Fault::TerminalClock => {
                let by = jump(&mut self.terminals[place].rng);
                let stays = SignedDuration::from_mins(self.terminals[place].rng.between(1, 60) as i64);
                self.terminals[place].clock.jump(by);
                self.count_fault(place, "terminal clock jump", by.as_secs());
                self.in_(stays, Due::TerminalClockRight(place));
            }
            _ => {}
        }
        self.touch(place);
        Ok(())
    }

    pub(super) fn strike_host(&mut self, fault: Fault) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.schedule_host(fault);
        match fault {
            Fault::HostCrash if self.host.app.is_some() => {
                let down = SignedDuration::from_secs(self.host_rng.between(1, 180) as i64);
                self.fault(None, "host dies", down.as_secs());
                *self.counts.faults.entry("host crash").or_default() += 1;
                self.host_dies();
                self.in_(down, Due::HostStarts);
            }
            Fault::Store => {
                let long = SignedDuration::from_secs(self.host_rng.between(5, 60) as i64);
                self.fault(None, "store fails", long.as_secs());
                self.host.store_fails(STORE_CHANCES.0, STORE_CHANCES.1);
                self.in_(long, Due::StoreHeals);
            }
            Fault::HostClock => {
                let by = jump(&mut self.host_rng);
                let stays = SignedDuration::from_mins(self.host_rng.between(1, 30) as i64);
                self.host.clock.jump(by);
                self.fault(None, "host clock jump", by.as_secs());
                *self.counts.faults.entry("host clock jump").or_default() += 1;
                self.in_(stays, Due::HostClockRight);
                self.touch_all();
            }
            _ => {}
        }
        Ok(())
    }

    /// The host is gone, and with it every session: nothing is put back, nobody says goodbye.
    fn host_dies(&mut self) {
        let now = self.clock.now();
        self.host.die();
        for place in 0..self.terminals.len() {
            for line in &mut self.terminals[place].lines {
                line.session = None;
                line.link.break_off(now);
            }
            self.touch(place);
        }
    }

    /// The host dies and starts on other contents than it left: what a store must never do.
    pub(super) fn starts_on(&mut self, contents: Contents) {
        self.host_dies();
        self.host.forget(contents);
        self.host.start();
        self.touch_all();
    }

    /// What the store holds, without the operations that are still queued.
    fn without_the_newest(&self) -> Contents {
        let mut contents = self.host.store.snapshot();
        let queued = |id: &OperationId, contents: &Contents| {
            contents.operations.get(id).is_some_and(|operation| operation.state == OperationState::Queued)
        };
        let lost: Vec<_> = contents.operations.keys().filter(|id| queued(id, &contents)).copied().collect();
        for id in lost {
            contents.operations.remove(&id);
            for queue in contents.queues.values_mut() {
                queue.all.retain(|other| *other != id);
                queue.open.retain(|other| *other != id);
            }
        }
        contents
    }

    pub(super) fn start_host(&mut self) -> Checked {
        if self.host.app.is_some() {
            return Ok(());
        }
        if self.is_broken(Sabotage::ForgetfulStore) {
            let contents = self.without_the_newest();
            self.host.forget(contents);
        }
        self.host.start();
        self.fault(None, "host starts", 0);
        Ok(())
    }

    /// From now on everything works.
    pub(super) fn stop_faults(&mut self) {
        self.calm = true;
        let now = self.clock.now();
        self.fault(None, "faults stop", 0);
        self.host.store_fails(0, 0);
        self.host.clock.set_right();
        // A host that is down starts, at the time at which it would have.
        for place in 0..self.terminals.len() {
            let terminal = &mut self.terminals[place];
            terminal.clock.set_right();
            terminal.unreachable_until = Timestamp::MIN;
            terminal.disk.fail_writes(0);
            terminal.disk.cut_power_after(u64::MAX);
            for line in &mut terminal.lines {
                line.link.settings_mut().chances = Chances::default();
            }
        }
        if self.is_broken(Sabotage::StuckOperation) {
            self.enqueue_for_nobody();
        }
        if self.is_broken(Sabotage::ForgottenCredential) {
            self.forget_credentials();
        }
        if self.is_broken(Sabotage::ForgottenAlarms) {
            self.forget_alarms();
        }
        self.at(now, Due::Janitor);
        self.touch_all();
    }

    fn count_fault(&mut self, place: usize, what: &'static str, value: i64) {
        *self.counts.faults.entry(what).or_default() += 1;
        self.fault(Some(place), what, value);
    }
}

fn mean(of: &[(Fault, i64)], fault: Fault) -> SignedDuration {
    let found = of.iter().find(|(other, _)| *other == fault);
    SignedDuration::from_mins(found.map_or(60, |(_, minutes)| *minutes))
}

fn jump(rng: &mut testkit::rng::Rng) -> SignedDuration {
    let far = SignedDuration::from_secs(*rng.pick(&JUMPS_S).unwrap_or(&60));
    if rng.happens(500_000) { far } else { -far }
}
