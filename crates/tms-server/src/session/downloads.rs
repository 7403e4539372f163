//! Downloads of the sets that all terminals have: announced until the terminal says that it has them.

use std::{collections::BTreeMap, sync::Arc};

use tms_core::{SetName, TerminalId};
use tms_proto::{
    Answer, Exchange, Function, PendingWork, Refusal,
    emv::{DownloadKind, DownloadRequest},
};
use tracing::{debug, info};

use super::{Ended, Session};
use crate::downloads::{self, Loaded};

/// Name of the document with the revision of each set that a terminal has.
const DOCUMENT: &str = "downloads";

/// What a session knows of its terminal's downloads.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    /// What the download under way is answered from.
    serving: Option<Arc<Loaded>>,
    /// The sets as they were when they were last looked at.
    latest: Arc<Loaded>,
    /// Revision of each set that the terminal said it has.
    taken: Option<BTreeMap<SetName, u64>>,
}

impl Session {
    /// Looks whether there are sets that the terminal does not have.
    pub(super) async fn look_for_sets(&mut self, terminal: &TerminalId) {
        let latest = self.app.downloads.loaded(self.app.store.as_ref()).await;
        if let Some(latest) = self.or_log(latest) {
            self.sets.latest = latest;
        }
        if self.sets.taken.is_none() && !self.sets.latest.revisions.is_empty() {
            let document = self.app.store.document(terminal, DOCUMENT).await;
            if let Some(document) = self.or_log(document) {
                // One that cannot be read costs a download.
                let taken = document.and_then(|text| serde_json::from_str(&text).ok());
                self.sets.taken = Some(taken.unwrap_or_default());
            }
        }
    }

    /// The first set that waits for the terminal, as its profile announces it.
    pub(super) fn pending_set(&self) -> Option<PendingWork> {
        let taken = self.sets.taken.as_ref()?;
        let waits = |set: &SetName| {
            let revision = self.sets.latest.revisions.get(set);
            revision.is_some_and(|revision| taken.get(set) != Some(revision))
        };
        let profile = self.protocol.profile();
        let served = |kind: &DownloadKind| {
            profile.rule(first_question(*kind)).is_some() && profile.pending_digit(kind.work()).is_some()
        };
        let waiting = SetName::ALL.into_iter().filter(waits).map(downloads::kind);
        waiting.filter(served).map(DownloadKind::work).next()
    }

    pub(super) async fn download(
        &mut self,
        terminal: &TerminalId,
        exchange: Exchange,
        request: DownloadRequest,
    ) -> Result<(), Ended> {
        if begins(&request) || self.sets.serving.is_none() {
            self.look_for_sets(terminal).await;
            self.sets.serving = Some(Arc::clone(&self.sets.latest));
        }
        let serving = self.sets.serving.clone().unwrap_or_default();
        if let Some(set) = ended(&request)
            && let Err(refusal) = self.set_taken(terminal, set, &serving).await
        {
            return self.refuse(exchange, refusal);
        }
        let answer = serving.offer.answer(&request, self.protocol.profile().downloads());
        debug!(terminal = terminal.as_str(), function = %request.function(), found = answer.is_ok(), "download");
        match answer {
            Ok(body) => {
                let now = self.app.now();
                self.announce();
                Ok(self.protocol.answer(exchange, Answer::Download(&body), now)?)
            }
            Err(refusal) => self.refuse(exchange, refusal),
        }
    }

    /// The terminal has a set: durable before it is answered.
    async fn set_taken(
        &mut self,
        terminal: &TerminalId,
        set: SetName,
        serving: &Loaded,
    ) -> Result<(), Refusal> {
        let Some(revision) = serving.revisions.get(&set).copied() else { return Ok(()) };
        let mut taken = self.sets.taken.clone().unwrap_or_default();
        if taken.insert(set, revision) != Some(revision) {
            let document = serde_json::to_string(&taken).map_err(|_| Refusal::SystemError)?;
            let kept = self.app.store.put_document(terminal, DOCUMENT, document).await;
            kept.map_err(|e| self.store_refusal(&e))?;
            info!(terminal = terminal.as_str(), set = set.name(), revision, "set downloaded");
        }
        self.sets.taken = Some(taken);
        Ok(())
    }
}

fn first_question(kind: DownloadKind) -> Function {
    match kind {
        DownloadKind::Capk => Function::CapkList,
        DownloadKind::Aid => Function::AidList,
        DownloadKind::Blacklist => Function::Blacklist,
        DownloadKind::TmsParameters => Function::TmsParameters,
    }
}

fn begins(request: &DownloadRequest) -> bool {
    match request {
        DownloadRequest::CapkList { from } | DownloadRequest::AidList { from } => *from == 0,
        DownloadRequest::Blacklist { from } => *from == 0,
        DownloadRequest::TmsParameters => true,
        _ => false,
    }
}

fn ended(request: &DownloadRequest) -> Option<SetName> {
    let kind = match request {
        DownloadRequest::CapkEnd => DownloadKind::Capk,
        DownloadRequest::AidEnd => DownloadKind::Aid,
        DownloadRequest::BlacklistEnd => DownloadKind::Blacklist,
        DownloadRequest::TmsParametersEnd => DownloadKind::TmsParameters,
        _ => return None,
    };
    SetName::ALL.into_iter().find(|set| downloads::kind(*set) == kind)
}
