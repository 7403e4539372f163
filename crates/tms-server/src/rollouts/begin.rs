//! Targets that wait are given their operation.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tms_core::configuration::effective;
use tms_core::rollout::{Action, RolloutState, TargetState};
use tms_core::{
    FirmwareRecord, OperationId, OperationKind, Rollout, RolloutTarget, Terminal, TerminalId, Terms,
};
use tms_store::{ConfigurationInputs, StartedTarget, StartedWork, StoreError, TargetFilter, Ticket, Work};
use tracing::info;

use super::Driver;

/// Targets that are started in one transaction.
const STARTED_AT_ONCE: u32 = 1_000;

impl Driver {
    /// Starts at most `count` waiting targets of a wave, the first ones. `next` is the rollout with the version
    /// that this makes. What is left over is another decision.
    pub(super) async fn begin(
        &self,
        next: Rollout,
        wave: u32,
        count: u64,
        now: Timestamp,
    ) -> tms_store::Result<()> {
        let filter = TargetFilter { wave: Some(wave), state: Some(TargetState::Waiting) };
        let limit = u32::try_from(count).unwrap_or(STARTED_AT_ONCE).min(STARTED_AT_ONCE);
        let waiting = self.app.store.targets(&next.id, filter, None, limit).await?;
        let packages = match self.packages(&next.action).await {
            Ok(packages) => packages,
            Err(StoreError::NotFound { what, name }) => {
                let reason = Some(format!("there is no {what} {name} any more"));
                return self.put(Rollout { state: RolloutState::Paused, reason, ..next }).await;
            }
            Err(error) => return Err(error),
        };
        let tids: Vec<TerminalId> = waiting.iter().map(|target| target.terminal.clone()).collect();
        let inputs = self.app.store.configuration(&tids).await?;
        let known: BTreeMap<_, _> = inputs.terminals.iter().map(|known| (&known.id, known)).collect();
        let started = waiting.into_iter().map(|target| match known.get(&target.terminal) {
            Some(terminal) => self.started(&next, target, terminal, &inputs, &packages, now),
            None => unstarted(target, TargetState::Skipped, "the terminal does not exist".to_owned()),
        });
        let started: Vec<StartedTarget> = started.collect();
        let woken: Vec<TerminalId> = started
            .iter()
            .filter(|started| started.work.is_some())
            .map(|started| started.target.terminal.clone())
            .collect();
        self.app.store.start_targets(next.clone(), started, now).await?;
        info!(rollout = next.id.as_str(), wave, started = woken.len(), "terminals of a rollout started");
        woken.iter().for_each(|terminal| self.app.wake.terminal(terminal));
        self.app.rollouts.tell(&next);
        Ok(())
    }

    /// The packages that the rollout has terminals install.
    async fn packages(&self, action: &Action) -> tms_store::Result<Vec<FirmwareRecord>> {
        match action {
            Action::Configuration => Ok(Vec::new()),
            Action::Firmware { firmware } => {
                let found = self.app.store.firmware(firmware).await?;
                let missing = || StoreError::NotFound { what: "firmware", name: firmware.to_string() };
                Ok(vec![found.ok_or_else(missing)?])
            }
            Action::Command { command: command @ OperationKind::InstallPlan { .. } } => {
                let mut all = self.app.store.firmwares().await?;
                all.retain(|package| command.installs(&package.id));
                Ok(all)
            }
            Action::Command { .. } => Ok(Vec::new()),
        }
    }

    fn started(
        &self,
        rollout: &Rollout,
        target: RolloutTarget,
        terminal: &Terminal,
        inputs: &ConfigurationInputs,
        packages: &[FirmwareRecord],
        now: Timestamp,
    ) -> StartedTarget {
        let life_cycle = terminal.place.life_cycle;
        if !life_cycle.takes_work() {
            return unstarted(target, TargetState::Skipped, format!("the terminal is {life_cycle}"));
        }
        if let Some(package) = packages.iter().find(|package| !package.models.contains(&terminal.model)) {
            let reason = format!(
                "firmware {} is for {}, and the terminal is a {}",
                package.id,
                package.models.join(", "),
                terminal.model
            );
            return unstarted(target, TargetState::Skipped, reason);
        }
        let work = match &rollout.action {
            Action::Configuration => match effective(terminal, &inputs.groups, &inputs.current) {
                Ok(effective) => Work::Parameters(effective.values()),
                Err(error) => return unstarted(target, TargetState::Failed, error.to_string()),
            },
            Action::Firmware { firmware } => Work::Firmware(firmware.clone()),
            Action::Command { command } => Work::Command(command.clone()),
        };
        let zone = &terminal.place.time_zone;
        let opens = rollout.window.map_or(Some(now), |window| window.next_opening(now, zone));
        let Some(opens) = opens else {
            return unstarted(target, TargetState::Failed, "its window does not open".to_owned());
        };
        // The time to answer begins when the terminal may begin.
        let answer = SignedDuration::from_secs(rollout.answer_within_s.into());
        let ticket = Ticket {
            id: OperationId::new(now, self.app.random.bytes()),
            expires_at: opens.saturating_add(answer).unwrap_or(Timestamp::MAX),
        };
        let terms = Terms {
            window: rollout.window,
            rollout: Some(rollout.id.clone()),
            author: Some(rollout.author.clone()),
            ..Terms::default()
        };
        let target = RolloutTarget {
            state: TargetState::Queued,
            operation: Some(ticket.id),
            started_at: Some(now),
            reason: None,
            ..target
        };
        StartedTarget { target, work: Some(StartedWork { work, ticket, terms }) }
    }
}

/// A target that gets no operation, and why.
fn unstarted(target: RolloutTarget, state: TargetState, reason: String) -> StartedTarget {
    StartedTarget { target: RolloutTarget { state, reason: Some(reason), ..target }, work: None }
}
