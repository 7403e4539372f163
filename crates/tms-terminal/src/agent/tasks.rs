//! Tasks: each takes effect once, however often it arrives.

use jiff::Timestamp;
use tms_proto::{
    journal::Admission,
    task::{Command, Outcome, Task},
};

use super::{Connection, Exit};
use crate::{machine::Begun, state::TaskKey};

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
        // Where it waited for the host to take it up again, it has.
        self.rests = None;
        let mut machine = self.machine();
        match machine.state.journal.admit(task) {
            // A result that the host has not acknowledged is on its way or due in any case.
            Admission::Answer(_) if machine.is_due(key) => {}
            Admission::Answer(result) => {
                // The journal may have found it out just now.
                machine.save()?;
                drop(machine);
                self.notices.push_back(result);
            }
            Admission::Cancelled => machine.finish(key.result(Outcome::CANCELLED), now)?,
            Admission::Execute | Admission::Running | Admission::Continue => {
                let begun = machine.begin(task, now)?;
                drop(machine);
                // A pushed one is taken by its answer.
                if begun == Begun::Going && !pushed {
                    self.notify(key, Outcome::ACCEPTED, "");
                }
            }
            Admission::Full => {
                drop(machine);
                if !pushed {
                    self.notify(key, Outcome::WRONG_STATE, "too many results wait for the host");
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}
