//! Fetching a plan that is too large for a command.

use jiff::Timestamp;
use tms_proto::{plan::PlanSource, task::Outcome};

use super::{Connection, Exit};

impl Connection {
    /// Name and size of the plan that is wanted.
    pub(super) fn plan_source(&self) -> Option<(String, u64)> {
        match &self.machine().state.plan_file.as_ref()?.source {
            PlanSource::File { file, size_bytes, .. } => Some((file.clone(), u64::from(*size_bytes))),
            PlanSource::Inline(_) => None,
        }
    }

    /// The plan is whole: it is put into force if it is the one that was announced.
    pub(super) fn on_plan(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Exit> {
        self.fetch = None;
        let mut machine = self.machine();
        let Some(file) = machine.state.plan_file.take() else { return Ok(()) };
        let result = match file.source.open(bytes) {
            Ok(plan) => file.task.result(machine.offer_plan(file.task, plan, now).outcome()),
            Err(error) => file.task.result(Outcome::INVALID).because(error.to_string()),
        };
        Ok(machine.finish(result, now)?)
    }

    pub(super) fn fail_plan(&mut self, outcome: Outcome, reason: &str, now: Timestamp) -> Result<(), Exit> {
        self.fetch = None;
        let mut machine = self.machine();
        let Some(file) = machine.state.plan_file.take() else { return Ok(()) };
        Ok(machine.finish(file.task.result(outcome).because(reason), now)?)
    }
}
