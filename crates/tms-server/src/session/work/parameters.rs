//! Parameters that are pushed: what changed since the terminal was last given some, or all of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tms_core::{Terminal, TerminalId};
use tms_proto::parameters::{Push, PushAnswer, RecordFile, content_hash};
use tracing::info;
use uuid::Uuid;

use super::{Stage, Work};
use crate::{
    service::configuration,
    session::{Ended, Session},
};

/// Name of the document with what a terminal was last given.
const DOCUMENT: &str = "parameters";

/// What a terminal was last given, as it said itself.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    revision: u64,
    values: BTreeMap<String, String>,
}

impl Session {
    /// What to push: one difference if that is enough, otherwise the whole set.
    pub(super) async fn parameter_push(
        &self,
        operation: Uuid,
        terminal: &TerminalId,
        whole: bool,
    ) -> Option<Push> {
        let stored = self.app.store.terminal(terminal).await;
        let Terminal { desired, reported, .. } = self.or_log(stored).flatten()?;
        let (revision, values) = (desired.parameters_revision, desired.parameters);
        let known = self.app.store.document(terminal, DOCUMENT).await;
        // What cannot be read costs a whole set.
        let given = self.or_log(known).flatten().and_then(|text| serde_json::from_str::<Given>(&text).ok());
        // Nor can a difference be of something that the terminal, as it says itself, does not have.
        let hash = reported.details.get(configuration::HASH);
        let has = |given: &Given| {
            reported.parameters_revision.is_none_or(|has| has == given.revision)
                && hash.is_none_or(|hash| *hash == hex::encode(content_hash(&given.values)))
        };
        if let Some(given) = given.filter(|given| !whole && given.revision < revision && has(given)) {
            let file = RecordFile::Parameters;
            let changes = Push::difference(|| operation, file, given.revision, &given.values, &values);
            if let [change] = changes.as_slice() {
                return Some(Push { revision, ..change.clone() });
            }
        }
        Some(Push::parameters(operation, revision, values))
    }

    /// Whether a terminal with a newer revision than the host is given a newer one still: once, so that one that
    /// always has a newer one is not pushed to without end.
    pub(super) fn may_raise(&self) -> bool {
        matches!(&self.work, Some(Work { stage: Stage::Parameters { raised: false, .. }, .. }))
    }

    /// Pushes everything under a revision above the one that the terminal has. It has one that the store knows nothing
    /// of when an older backup was restored.
    pub(super) async fn push_above(&mut self, terminal: &TerminalId, has: u64) -> Result<(), Ended> {
        let raised = self.app.store.raise_parameters(terminal, has).await;
        // If the store fails, the deadline offers it again.
        let Some(revision) = self.or_log(raised) else { return Ok(()) };
        info!(
            terminal = terminal.as_str(),
            has, revision, "the terminal has a newer revision; all are pushed above it"
        );
        if let Some(Work { stage: Stage::Parameters { whole, raised, .. }, .. }) = &mut self.work {
            (*whole, *raised) = (true, true);
        }
        self.offer().await
    }

    /// Remembers what the terminal has now, if it is what the host believes. Best effort: whatever is
    /// remembered wrongly is refused as the wrong base, and replaced.
    pub(super) async fn remember_parameters(
        &self,
        terminal: &TerminalId,
        push: &Push,
        answer: Option<&PushAnswer>,
    ) {
        let stored = self.app.store.terminal(terminal).await;
        let Some(desired) = self.or_log(stored).flatten().map(|terminal| terminal.desired) else { return };
        let standing = answer.map(|answer| (answer.standing.revision, answer.standing.hash));
        if standing != Some((push.revision, content_hash(&desired.parameters))) {
            return;
        }
        let given = Given { revision: push.revision, values: desired.parameters };
        if let Ok(text) = serde_json::to_string(&given) {
            let kept = self.app.store.put_document(terminal, DOCUMENT, text).await;
            self.or_log(kept);
        }
    }
}
