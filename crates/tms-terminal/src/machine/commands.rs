//! Commands: what the terminal does when told, by a task or by a plan.
//!
//! Where the effect is the terminal's own state, effect and result become durable in one save. Where it
//! is a thing of the world, what was admitted becomes durable first, so that a crash in between leaves
//! an interrupted task and never a second slip.

use jiff::Timestamp;
use tms_proto::{
    parameters::Values,
    plan::PlanSource,
    task::{Command, Outcome, Task, TaskResult, check_clock},
};

use super::{Machine, uploads::Bundle};
use crate::{
    hardware::Effect,
    state::{Message, PlanFile, State, StateError, TaskKey},
    trade::{Batch, Trade},
};

/// How far a command has come when it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It has its result.
    Done,
    /// Its result will follow.
    Going,
}

impl Machine {
    /// Begins a command that was admitted, or goes on with it after a restart.
    pub(crate) fn begin(&mut self, task: &Task, now: Timestamp) -> Result<Begun, StateError> {
        let key = TaskKey { operation: task.operation, step: task.step };
        if self.is_under_way(key) {
            self.save()?;
            return Ok(Begun::Going);
        }
        let name = task.command.name();
        self.note(now, 'I', "task", &format!("{name} {} step {}", key.operation, key.step));
        match &task.command {
            Command::Reboot => self.order_reboot(key, now),
            Command::InstallFirmware { file, size_bytes, sha256 } => {
                self.order_install(key, file, *size_bytes, sha256, now)
            }
            Command::CollectLogs { max_bytes } => self.order_upload(key, Bundle::Log, *max_bytes, now),
            Command::CollectJournal { from_batch, max_bytes } => {
                self.order_upload(key, Bundle::Journal { from_batch: *from_batch }, *max_bytes, now)
            }
            Command::CredentialPrepare { .. }
            | Command::CredentialCommit { .. }
            | Command::CredentialVerify { .. }
            | Command::CredentialConfirm { .. }
            | Command::CredentialAbandon { .. } => {
                let result = self.credential(task, now);
                self.watch(now);
                self.done(result, now)
            }
            Command::RestartApplication => self.in_the_world(key, name, now, |state| {
                state.application_starts = state.application_starts.saturating_add(1);
            }),
            Command::FactoryReset => self.factory_reset(key, now),
            Command::Lock { message } => {
                let message = message.clone();
                self.in_memory(key, name, now, |state| state.lock = Some(message))
            }
            Command::Unlock => self.in_memory(key, name, now, |state| state.lock = None),
            Command::ClearReversal => self.in_memory(key, name, now, |state| state.trade.reversal = None),
            Command::ClearBatch => self.clear_batch(key, now),
            Command::PrintTestSlip { .. } => self.print_slip(key, now),
            Command::SelfTest => self.self_test(key, now),
            Command::Diagnose => {
                let result = key.result(Outcome::DONE).with_values(self.findings(now));
                self.done(result, now)
            }
            Command::SyncClock { time, utc_offset_s, force } => {
                self.sync_clock(key, *time, *utc_offset_s, *force, now)
            }
            Command::ShowMessage { text, until, seconds: _ } => {
                let message = Message { text: text.clone(), until: *until };
                self.in_the_world(key, name, now, |state| state.message = Some(message))
            }
            Command::ChangeTmsAddress { addresses, attempts } => {
                self.move_host(key, addresses, *attempts, now)
            }
            Command::InstallPlan(source) => self.order_plan(key, source, now),
            Command::CancelOperation { target } => self.cancel_operation(key, *target, now),
            Command::Unusable { reason, .. } => {
                self.done(key.result(Outcome::INVALID).because(reason.as_str()), now)
            }
            _ => self.done(key.result(Outcome::UNKNOWN_COMMAND), now),
        }
    }

    /// Whether a longer command goes on.
    pub(crate) fn is_under_way(&self, key: TaskKey) -> bool {
        let state = &self.state;
        let moving = state.addresses.as_ref().and_then(tms_proto::address::Addresses::on_trial);
        state.reboot == Some(key)
            || state.install.as_ref().is_some_and(|install| install.task == key)
            || state.upload.as_ref().is_some_and(|upload| upload.task == key)
            || state.plan_file.as_ref().is_some_and(|file| file.task == key)
            || moving == Some((key.operation, key.step))
    }

    /// Whether a task has a result that the host may not have.
    pub(crate) fn is_due(&self, key: TaskKey) -> bool {
        let mut due = self.state.journal.unacknowledged();
        due.any(|result| (result.operation, result.step) == (key.operation, key.step))
    }

    pub(super) fn done(&mut self, result: TaskResult, now: Timestamp) -> Result<Begun, StateError> {
        self.finish(result, now)?;
        Ok(Begun::Done)
    }

    /// An effect that is the terminal's own state.
    fn in_memory(
        &mut self,
        key: TaskKey,
        what: &str,
        now: Timestamp,
        change: impl FnOnce(&mut State),
    ) -> Result<Begun, StateError> {
        change(&mut self.state);
        self.changed = true;
        self.finish(key.result(Outcome::DONE), now)?;
        self.happens(&Effect::Task { task: key, what });
        Ok(Begun::Done)
    }

    /// An effect that people see.
    fn in_the_world(
        &mut self,
        key: TaskKey,
        what: &str,
        now: Timestamp,
        change: impl FnOnce(&mut State),
    ) -> Result<Begun, StateError> {
        self.save()?;
        self.happens(&Effect::Task { task: key, what });
        change(&mut self.state);
        self.done(key.result(Outcome::DONE), now)
    }

    fn order_reboot(&mut self, key: TaskKey, now: Timestamp) -> Result<Begun, StateError> {
        if let Some(old) = self.state.reboot.replace(key) {
            self.state.finish(old.result(Outcome::REPLACED), now);
        }
        self.save()?;
        Ok(Begun::Going)
    }

    /// Money that is not settled and a sale that is not reversed are no state of delivery.
    fn factory_reset(&mut self, key: TaskKey, now: Timestamp) -> Result<Begun, StateError> {
        let trade = &self.state.trade;
        if trade.open.count() > 0 || trade.reversal.is_some() {
            let reason = "settle or clear the batch, and clear the reversal first";
            return self.done(key.result(Outcome::WRONG_STATE).because(reason), now);
        }
        // Before the wish for it goes: the number stays, and what is sold under it later is not in there.
        self.drop_settling()?;
        self.forget_downloads()?;
        self.forget_log(now)?;
        let old = &self.state.trade;
        self.state.trade = Trade {
            // Numbers that the host has seen are not given twice.
            open: Batch { number: old.open.number, ..Batch::default() },
            settled_batch: old.settled_batch,
            transactions: old.transactions,
            ..Trade::default()
        };
        self.restart = true;
        self.in_memory(key, "factory-reset", now, |state| {
            state.parameters.clear();
            state.parameters_revision = None;
            state.lock = None;
            state.message = None;
        })
    }

    fn clear_batch(&mut self, key: TaskKey, now: Timestamp) -> Result<Begun, StateError> {
        let waiting = self.state.trade.settle.and_then(|settle| settle.task);
        let begun = self.in_memory(key, "clear-batch", now, |state| {
            state.trade.clear();
            if let Some(task) = waiting {
                let result = task.result(Outcome::WRONG_STATE).because("the batch was cleared");
                state.finish(result, now);
            }
        });
        // After the books, so that a start finds a settlement of another batch and forgets it.
        self.drop_settling()?;
        begun
    }

    fn print_slip(&mut self, key: TaskKey, now: Timestamp) -> Result<Begun, StateError> {
        if self.health.printer && self.health.paper {
            return self.in_the_world(key, "print-test-slip", now, |_| {});
        }
        let wrong = if self.health.printer { ("paper", "out") } else { ("printer", "fault") };
        let values = Values::from([(wrong.0.to_owned(), wrong.1.to_owned())]);
        self.done(key.result(Outcome::PART_FAULTY).with_values(values), now)
    }

    fn self_test(&mut self, key: TaskKey, now: Timestamp) -> Result<Begun, StateError> {
        let health = self.health;
        let parts = [
            ("keyboard", health.keyboard),
            ("pin_pad", health.pin_pad),
            ("card_reader", health.card_reader),
            ("printer", health.printer),
            ("display", health.display),
            ("paper", health.paper),
            ("tamper", !health.tampered),
        ];
        let outcome =
            if parts.iter().all(|(_, works)| *works) { Outcome::DONE } else { Outcome::PART_FAULTY };
        let word = |works| if works { "ok" } else { "fault" };
        let values = parts.map(|(name, works)| (name.to_owned(), word(works).to_owned()));
        self.done(key.result(outcome).with_values(Values::from(values)), now)
    }

    /// What there is to know without checking anything.
    fn findings(&self, now: Timestamp) -> Values {
        let state = &self.state;
        let own = state.clock.reads(now);
        Values::from(
            [
                ("version", self.version()),
                ("slot", state.slots.active().to_string()),
                ("install", state.slots.phase().name().to_owned()),
                ("boot_count", state.boot_count.to_string()),
                ("application_starts", state.application_starts.to_string()),
                ("uptime_s", self.uptime_s(now).to_string()),
                ("clock", format!("{own:.0}")),
                ("battery_percent", self.health.battery_percent.to_string()),
                ("locked", state.lock.is_some().to_string()),
                ("batch", state.trade.open.number.to_string()),
                ("batch_transactions", state.trade.open.count().to_string()),
                ("reversal", state.trade.reversal.is_some().to_string()),
                ("plan", state.plan.version().map_or_else(String::new, |version| version.to_string())),
                ("host", self.hosts().first().cloned().unwrap_or_default()),
                ("comm_attempts", state.comm_attempts.to_string()),
                ("sign_ons", state.sign_ons.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    fn sync_clock(
        &mut self,
        key: TaskKey,
        time: Timestamp,
        utc_offset_s: i32,
        force: bool,
        now: Timestamp,
    ) -> Result<Begun, StateError> {
        match check_clock(self.state.clock.reads(now), time, force) {
            Ok(step) => {
                let ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
                self.in_memory(key, "sync-clock", now, |state| {
                    state.clock.ahead_ms = state.clock.ahead_ms.saturating_add(ms);
                    state.clock.last_step_s = Some(step.as_secs());
                    state.clock.utc_offset_s = utc_offset_s;
                })
            }
            Err(outcome) => self.done(key.result(outcome), now),
        }
    }

    fn move_host(
        &mut self,
        key: TaskKey,
        addresses: &[String],
        attempts: u8,
        now: Timestamp,
    ) -> Result<Begun, StateError> {
        let proposed = self.known_hosts().and_then(|mut known| {
            let replaced = known.propose(key.operation, key.step, addresses, attempts)?;
            Ok((known, replaced))
        });
        match proposed {
            Ok((known, replaced)) => {
                self.state.addresses = Some(known);
                if let Some(replaced) = replaced {
                    self.state.finish(replaced, now);
                }
                self.save()?;
                Ok(Begun::Going)
            }
            Err(error) => self.done(key.result(Outcome::INVALID).because(error.to_string()), now),
        }
    }

    fn order_plan(&mut self, key: TaskKey, source: &PlanSource, now: Timestamp) -> Result<Begun, StateError> {
        match source {
            PlanSource::Inline(plan) => {
                let offer = self.offer_plan(key, (**plan).clone(), now);
                self.done(key.result(offer.outcome()), now)
            }
            PlanSource::File { version, .. } => {
                if self.state.plan.version().is_some_and(|have| have > *version) {
                    return self.done(key.result(Outcome::STALE), now);
                }
                let file = PlanFile { task: key, source: source.clone() };
                if let Some(old) = self.state.plan_file.replace(file) {
                    self.state.finish(old.task.result(Outcome::REPLACED), now);
                }
                self.save()?;
                Ok(Begun::Going)
            }
        }
    }
}
