//! Tasks: each takes effect once, however often it arrives.

use jiff::Timestamp;
use tms_proto::{
    journal::Admission,
    task::{Command, Outcome, Task, TaskResult},
};

use super::{Connection, Exit, InFlight, MAX_NOTICES};
use crate::{machine::Begun, state::TaskKey};

impl Connection {
    /// Takes a task from the host. Gives `false` when there is no room to remember it, or to answer.
    pub(super) fn take_task(&mut self, task: &Task, pushed: bool, now: Timestamp) -> Result<bool, Exit> {
        let key = TaskKey { operation: task.operation, step: task.step };
        if let Command::CredentialVerify { .. } = task.command {
            // A proof covers a fresh challenge, so an old answer is of no use; proving changes nothing.
            if !self.has_room_for(key) {
                return Ok(false);
            }
            let result = self.machine().credential(task, now);
            self.enqueue(result);
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
                if !self.has_room_for(key) {
                    return Ok(false);
                }
                self.enqueue(result);
            }
            // What could not be stopped ends as it ends.
            Admission::Cancelled if machine.is_under_way(key) => {}
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

    /// Whether one more answer may wait: they are few, and a terminal that is to leave takes no more questions.
    fn has_room_for(&self, key: TaskKey) -> bool {
        let sent = usize::from(matches!(self.in_flight, Some(InFlight::Notice(_))));
        let room = self.notices.len().saturating_add(sent) < MAX_NOTICES
            || self.notices.iter().any(|notice| is_of(notice, key));
        room && self.departure().is_none()
    }

    /// Has an answer sent. A newer one takes the place of an older one of the same step.
    fn enqueue(&mut self, notice: TaskResult) {
        let key = TaskKey { operation: notice.operation, step: notice.step };
        self.notices.retain(|older| !is_of(older, key));
        if self.notices.len() < MAX_NOTICES {
            self.notices.push_back(notice);
        }
    }

    /// Has a short answer sent.
    fn notify(&mut self, task: TaskKey, outcome: Outcome, reason: &str) {
        self.enqueue(TaskResult::new(task.operation, task.step, outcome).because(reason));
    }

    /// The host could not take an answer now. It waits, unless there is a newer one.
    pub(super) fn put_back(&mut self, notice: TaskResult) {
        let key = TaskKey { operation: notice.operation, step: notice.step };
        if self.notices.len() < MAX_NOTICES && !self.notices.iter().any(|newer| is_of(newer, key)) {
            self.notices.push_front(notice);
        }
    }
}

fn is_of(result: &TaskResult, key: TaskKey) -> bool {
    (result.operation, result.step) == (key.operation, key.step)
}
