//! What has become of the targets that were started.

use tms_core::rollout::{Action, Agreement, Seen, observe};
use tms_core::{Rollout, TerminalId};
use tms_store::Watched;

use super::Driver;

/// Targets that are read, judged and written at once.
const PAGE: u32 = 500;

impl Driver {
    /// Judges the targets that may have become something else: those with an operation that has ended, and those
    /// whose soak is over, or all that soak. Answers how many have.
    pub(super) async fn watch(&self, rollout: &Rollout, all_soaking: bool) -> tms_store::Result<u64> {
        let store = &self.app.store;
        let version = match &rollout.action {
            Action::Firmware { firmware } => store.firmware(firmware).await?.map(|record| record.version),
            Action::Configuration | Action::Command { .. } => None,
        };
        let mut moved = 0_u64;
        let mut after: Option<TerminalId> = None;
        loop {
            let now = self.app.now();
            let page = store.watched(&rollout.id, all_soaking, after.as_ref(), PAGE, now).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.target.terminal.clone());
            let moves = page.into_iter().filter_map(|Watched { target, operation, terminal }| {
                let agreement = Agreement::of(&rollout.action, &terminal, version.as_deref());
                let agreement = agreement.as_of(&target, rollout, terminal.reported.at, now);
                let (operation, detail) = match operation {
                    Some((state, detail)) => (Some(state), detail),
                    None => (None, None),
                };
                let seen = Seen { operation, detail, agreement };
                let becomes = observe(&target, rollout, &seen, now)?;
                Some((target.state, becomes))
            });
            let moves: Vec<_> = moves.collect();
            if !moves.is_empty() {
                moved = moved.saturating_add(store.move_targets(&rollout.id, moves).await?);
            }
        }
        if moved > 0 {
            self.app.rollouts.tell(rollout);
        }
        Ok(moved)
    }
}
