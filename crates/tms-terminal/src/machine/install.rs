//! Starting, and what an installation comes to.

use jiff::Timestamp;
use tms_firmware::install::{Boot, Phase};
use tms_proto::task::Outcome;

use super::{Begun, Machine};
use crate::{
    hardware::Effect,
    state::{Install, StateError, TaskKey},
};

impl Machine {
    /// Starts: counts the boot, lets the slots decide what runs, and finishes what a restart finishes.
    pub(crate) fn boot(&mut self, now: Timestamp) -> Result<(), StateError> {
        self.state.boot_count = self.state.boot_count.saturating_add(1);
        let outcome = self.state.slots.boot();
        if let Boot::FellBack { failed } = &outcome {
            let reason = format!("version {} never came up healthy", failed.version);
            self.finish_install_of(failed.sha256, Outcome::FELL_BACK, &reason, now);
        }
        if let Some(task) = self.state.reboot.take() {
            self.state.finish(task.result(Outcome::DONE), now);
        }
        self.restart = false;
        self.contact = None;
        self.booted_at = now;
        // What a restart cut short is known before anybody asks.
        self.state.plan.restarted();
        self.state.journal.restarted();
        self.state.journal.settle();
        self.watch(now);
        self.close_books(now)?;
        self.happens(&Effect::Booted { boot_count: self.state.boot_count });
        self.save()?;
        let text = match &outcome {
            Boot::Normal => "started".to_owned(),
            Boot::Trial => "started on trial".to_owned(),
            Boot::FellBack { failed } => {
                format!("version {} given up, started the previous one", failed.version)
            }
        };
        self.note(
            now,
            'I',
            "boot",
            &format!(
                "{text}: version {} slot {} boot {}",
                self.version(),
                self.state.slots.active(),
                self.state.boot_count
            ),
        );
        Ok(())
    }

    /// The host was reached: an image on trial is healthy, unless the scenario says otherwise. From an
    /// unhealthy one the terminal restarts to get away.
    pub(crate) fn settle_trial(&mut self, now: Timestamp) -> Result<(), StateError> {
        if !matches!(self.state.slots.phase(), Phase::Trial { .. }) {
            return Ok(());
        }
        let version = self.version();
        let on_trial = self.state.slots.running().map_or([0; 32], |image| image.sha256);
        let sick =
            self.scenario.faults.unhealthy_version.as_ref().is_some_and(|sick| sick.as_str() == version);
        if sick {
            // Cannot fail: the phase was looked at above.
            let _ = self.state.slots.fall_back();
            let reason = format!("version {version} found itself unhealthy");
            self.finish_install_of(on_trial, Outcome::FELL_BACK, &reason, now);
            self.restart = true;
        } else {
            let _ = self.state.slots.confirm();
            self.finish_install_of(on_trial, Outcome::DONE, "", now);
        }
        self.save()?;
        self.note(
            now,
            if sick { 'E' } else { 'I' },
            "update",
            &format!("version {version} {}", if sick { "is unhealthy, falling back" } else { "confirmed" }),
        );
        Ok(())
    }

    /// Ends the installation that is going on, if any, with a result for the host. Does not save.
    pub(crate) fn finish_install(&mut self, outcome: Outcome, reason: &str, now: Timestamp) {
        if let Some(install) = self.state.install.take() {
            self.state.finish(install.task.result(outcome).because(reason), now);
        }
    }

    /// The same if it is of this image. While one is on trial another may have been ordered: what becomes
    /// of the first says nothing about that.
    fn finish_install_of(&mut self, sha256: [u8; 32], outcome: Outcome, reason: &str, now: Timestamp) {
        if self.state.install.as_ref().is_some_and(|install| install.sha256 == hex::encode(sha256)) {
            self.finish_install(outcome, reason, now);
        }
    }

    /// Ends the installation with a refusal, before anything of it boots.
    pub(crate) fn fail_install(
        &mut self,
        outcome: Outcome,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        // While an image is on trial there is nothing to cancel.
        let _ = self.state.slots.cancel();
        self.finish_install(outcome, reason, now);
        self.save()?;
        self.note(now, 'E', "update", &format!("{outcome}: {reason}"));
        Ok(())
    }

    /// Begins an installation; the image comes over the connection.
    pub(super) fn order_install(
        &mut self,
        task: TaskKey,
        file: &str,
        size_bytes: u64,
        sha256: &[u8; 32],
        now: Timestamp,
    ) -> Result<Begun, StateError> {
        if self.state.install.is_some() {
            self.fail_install(Outcome::REPLACED, "replaced by a newer installation", now)?;
        }
        let (file, sha256) = (file.to_owned(), hex::encode(sha256));
        self.state.install = Some(Install { task, file, size_bytes, sha256, durable_bytes: 0 });
        self.save()?;
        Ok(Begun::Going)
    }
}
