//! Tasks: each takes effect once, however often it arrives.

use jiff::Timestamp;
use tms_proto::{
    journal::Admission,
    task::{Command, Outcome, Task, TaskResult},
};

use super::{Connection, Exit};
use crate::state::TaskKey;

impl Connection {
    /// Takes a task from the host. Gives `false` when there is no room to remember it.
    pub(super) fn take_task(&mut self, task: &Task, pushed: bool, now: Timestamp) -> Result<bool, Exit> {
        let key = TaskKey { operation: task.operation, step: task.step };
        if let Command::CredentialVerify { .. } = task.command {
            // A proof covers a fresh challenge, so an old answer is of no use; proving changes nothing.
            let result = self.machine().credential(task, now);
            self.notices.push_back(result);
            return Ok(true);
        }
        let admission = self.machine().state.journal.admit(task.operation, task.step);
        match admission {
            // A result that the host has not acknowledged is on its way or due in any case.
            Admission::Answer(_) if self.is_due(key) => {}
            Admission::Answer(result) => self.notices.push_back(result),
            Admission::Running if self.is_under_way(key) => {
                self.accept(key, pushed);
                self.resume(now)?;
            }
            Admission::Execute | Admission::Running => self.execute(task, key, pushed, now)?,
            Admission::Full => {
                if !pushed {
                    self.notify(key, Outcome::WRONG_STATE, "too many results wait for the host");
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn execute(&mut self, task: &Task, key: TaskKey, pushed: bool, now: Timestamp) -> Result<(), Exit> {
        self.machine().note(
            now,
            'I',
            "task",
            &format!("{} {} step {}", task.command.name(), key.operation, key.step),
        );
        match &task.command {
            Command::Reboot => {
                {
                    let mut machine = self.machine();
                    if let Some(old) = machine.state.reboot.replace(key).filter(|old| *old != key) {
                        let result = TaskResult::new(old.operation, old.step, Outcome::WRONG_STATE);
                        machine.state.journal.finish(result.because("replaced by a newer request"));
                    }
                    machine.save()?;
                }
                self.reboot = true;
                self.accept(key, pushed);
                Ok(())
            }
            Command::InstallFirmware { file, size_bytes, sha256 } => {
                self.accept(key, pushed);
                self.begin_install(key, file, *size_bytes, sha256, now)
            }
            Command::CollectLogs { max_bytes } => {
                self.accept(key, pushed);
                self.begin_upload(key, *max_bytes, now)
            }
            Command::CredentialPrepare { .. }
            | Command::CredentialCommit { .. }
            | Command::CredentialConfirm { .. }
            | Command::CredentialAbandon { .. } => {
                // Effect and result become durable in one save.
                let mut machine = self.machine();
                let result = machine.credential(task, now);
                Ok(machine.finish(result)?)
            }
            _ => {
                let result = TaskResult::new(key.operation, key.step, Outcome::UNKNOWN_COMMAND);
                Ok(self.machine().finish(result)?)
            }
        }
    }

    /// Tells the host that a longer task was taken. A pushed one is taken by its answer.
    fn accept(&mut self, key: TaskKey, pushed: bool) {
        if !pushed {
            self.notify(key, Outcome::ACCEPTED, "");
        }
    }

    fn is_due(&self, key: TaskKey) -> bool {
        let machine = self.machine();
        machine.state.journal.unacknowledged().any(|r| (r.operation, r.step) == (key.operation, key.step))
    }

    fn is_under_way(&self, key: TaskKey) -> bool {
        let machine = self.machine();
        let state = &machine.state;
        state.reboot == Some(key)
            || state.install.as_ref().is_some_and(|install| install.task == key)
            || state.upload.as_ref().is_some_and(|upload| upload.task == key)
    }
}
