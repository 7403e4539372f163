//! Downloads of the sets that all terminals have: announced until the terminal says that it has them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tms_core::{SetName, TerminalId};
use tms_proto::{
    Answer, Exchange, Function, PendingWork, Refusal,
    emv::{DownloadKind, DownloadRequest},
    parameters::{Push, PushAnswer, PushRefusal, RecordFile, Values, content_hash},
    report::Details,
};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::{Ended, Session};
use crate::downloads::{self, Loaded};

/// Name of the document with the revision of each set that a terminal has.
const DOCUMENT: &str = "downloads";
/// Name of the document with what a terminal reported instead of sets that it had been given.
const STRANGE: &str = "strange_sets";

/// How long a set that the terminal did not take is not pushed again.
const PUSH_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// The same after a refusal that will not pass by itself.
const PUSH_MUCH_LATER: SignedDuration = SignedDuration::from_hours(1);

/// What a session knows of its terminal's downloads.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    /// What each download is answered from.
    serving: BTreeMap<DownloadKind, Serving>,
    /// The set that is being pushed.
    pushing: Option<Pushing>,
    /// When a set that was not taken may be pushed again.
    rests: BTreeMap<SetName, Timestamp>,
    /// Revisions that the terminal has from elsewhere, below which it takes nothing.
    floors: BTreeMap<SetName, u64>,
    /// The sets as they were when they were last looked at.
    latest: Arc<Loaded>,
    /// Revision of each set that the terminal said it has.
    taken: Option<BTreeMap<SetName, u64>>,
    /// What it reported instead of a set that it had, when it was last given the set again for that.
    strange: Option<BTreeMap<SetName, Strange>>,
}

/// A set that is not the one that was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Strange {
    /// The revision that the terminal was said to have.
    revision: u64,
    /// What it reports, in hexadecimal.
    sha256: String,
}

#[derive(Debug)]
struct Serving {
    sets: Arc<Loaded>,
    /// Whether the terminal began with these. One that goes on with an earlier connection's download has, at its
    /// end, a set of which nobody knows the revision.
    begun: bool,
}

#[derive(Debug)]
struct Pushing {
    operation: Uuid,
    set: SetName,
    revision: u64,
}

impl Session {
    /// Looks whether there are sets that the terminal does not have.
    pub(super) async fn look_for_sets(&mut self, terminal: &TerminalId) {
        self.load_sets(terminal).await;
        self.push_set();
    }

    async fn load_sets(&mut self, terminal: &TerminalId) {
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

    /// A report says what is in force: a set that the terminal has taken, and that it reports otherwise, waits for it
    /// again. Once for each thing that it reports: a terminal that leaves out keys of which it cannot check the hash
    /// would else fetch them for ever.
    pub(super) async fn sets_reported(&mut self, terminal: &TerminalId, details: &Details) {
        self.load_sets(terminal).await;
        let latest = Arc::clone(&self.sets.latest);
        let reported = [
            (SetName::Capks, details.capk_sha256),
            (SetName::Aids, details.aid_sha256),
            (SetName::Blacklist, details.blacklist_sha256),
        ];
        for (set, hash) in reported {
            let Some((hash, the_one)) = hash.and_then(|hash| Some((hash, latest.is_the_one(set, hash)?)))
            else {
                continue;
            };
            let has = self.sets.taken.as_ref().and_then(|taken| taken.get(&set)).copied();
            let revision = latest.revisions.get(&set).copied();
            // What waits for the terminal anyway is another matter, and so is an empty set that it is never given.
            let given = latest.offer.has(downloads::kind(set)) || self.pushed_file(set).is_some();
            let Some(revision) = has.filter(|_| has == revision && given) else { continue };
            let strange = Strange { revision, sha256: hex::encode(hash) };
            if self.set_is(terminal, set, (!the_one).then_some(strange)).await.is_err() {
                return;
            }
        }
    }

    /// Notes what a terminal reports of a set that it had taken: the set itself (`None`), or something else.
    async fn set_is(
        &mut self,
        terminal: &TerminalId,
        set: SetName,
        strange: Option<Strange>,
    ) -> Result<(), Refusal> {
        let mut known = match self.sets.strange.clone() {
            Some(known) => known,
            None => {
                let document = self.app.store.document(terminal, STRANGE).await;
                let document = document.map_err(|e| self.store_refusal(&e))?;
                document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
            }
        };
        let before = known.get(&set).cloned();
        if before != strange {
            if let Some(strange) = &strange {
                info!(
                    terminal = terminal.as_str(),
                    set = set.name(),
                    sha256 = strange.sha256,
                    "has another set"
                );
                // First: a crash in between costs a download, and forgets none.
                let mut taken = self.sets.taken.clone().unwrap_or_default();
                taken.remove(&set);
                self.keep_taken(terminal, taken).await?;
            }
            match strange {
                Some(strange) => known.insert(set, strange),
                None => known.remove(&set),
            };
            let document = serde_json::to_string(&known).map_err(|_| Refusal::SystemError)?;
            let kept = self.app.store.put_document(terminal, STRANGE, document).await;
            kept.map_err(|e| self.store_refusal(&e))?;
        }
        self.sets.strange = Some(known);
        Ok(())
    }

    /// The sets that wait for the terminal.
    fn waiting_sets(&self) -> impl Iterator<Item = SetName> {
        let taken = self.sets.taken.as_ref();
        SetName::ALL.into_iter().filter(move |set| {
            let revision = self.sets.latest.revisions.get(set);
            revision.is_some() && taken.is_some_and(|taken| taken.get(set) != revision)
        })
    }

    /// The first set that waits for the terminal to ask, as its profile announces it. What it cannot ask for, or
    /// could not be given, is not announced.
    pub(super) fn pending_set(&self) -> Option<PendingWork> {
        let profile = self.protocol.profile();
        let served = |kind: &DownloadKind| {
            let known = [kind.first(), kind.end()].iter().all(|one| profile.rule(one.function()).is_some());
            known && profile.pending_digit(kind.work()).is_some() && self.can_answer(*kind)
        };
        let asked_for = self.waiting_sets().filter(|set| self.pushed_file(*set).is_none());
        asked_for.map(downloads::kind).filter(served).map(DownloadKind::work).next()
    }

    fn can_answer(&self, kind: DownloadKind) -> bool {
        let forms = self.protocol.profile().downloads();
        // The others were looked at when they were put; this one depends on the profile.
        kind != DownloadKind::TmsParameters
            || self.sets.latest.offer.answer(&DownloadRequest::TmsParameters, forms).is_ok()
    }

    /// The file as which the profile pushes a set, if it does.
    fn pushed_file(&self, set: SetName) -> Option<RecordFile> {
        let profile = self.protocol.profile();
        let file = match set {
            SetName::Capks => RecordFile::Capk,
            SetName::Aids => RecordFile::Aid,
            SetName::Blacklist => RecordFile::Blacklist,
            // Only UnionPay's downloads have a place for these.
            SetName::TmsParameters
            | SetName::Contactless
            | SetName::PinFreeBins
            | SetName::PinFreeBlacklist => return None,
        };
        let rule = profile.rule(Function::ParameterPush).filter(|_| profile.pushes())?;
        rule.files.iter().any(|known| known == file.name()).then_some(file)
    }

    /// Pushes the first set that waits, where the profile has it pushed. The next one follows the answer.
    fn push_set(&mut self) {
        if self.sets.pushing.is_some() || !self.protocol.can_push() {
            return;
        }
        let now = self.app.now();
        let rests = |set: &SetName| self.sets.rests.get(set).is_some_and(|until| *until > now);
        let found =
            self.waiting_sets().filter(|set| !rests(set)).find_map(|set| Some((set, self.pushed_file(set)?)));
        let Some((set, file)) = found else { return };
        let Some(revision) = self.sets.latest.revisions.get(&set).copied() else { return };
        let offer = &self.sets.latest.offer;
        let values = match file {
            RecordFile::Capk => Values::from(&offer.capks),
            RecordFile::Aid => Values::from(&offer.aids),
            RecordFile::Blacklist => Values::from(&offer.blacklist),
            RecordFile::Parameters => return,
        };
        let operation = *self.app.ticket(now).id.as_uuid();
        let told = revision.max(self.sets.floors.get(&set).copied().unwrap_or(0));
        let push = Push::replace_all(operation, file, told, values);
        match self.protocol.push_parameters(push, now) {
            Ok(()) => self.sets.pushing = Some(Pushing { operation, set, revision }),
            Err(error) => {
                warn!(terminal = self.name(), set = set.name(), %error, "set not pushed");
                self.rest(set, PUSH_MUCH_LATER);
            }
        }
    }

    fn rest(&mut self, set: SetName, length: SignedDuration) {
        let until = self.app.now().saturating_add(length).unwrap_or(Timestamp::MAX);
        self.sets.rests.insert(set, until);
    }

    /// The terminal answered a push: it has the set if what it says it has now is the set.
    pub(super) async fn set_answered(
        &mut self,
        push: &Push,
        refusal: Option<Refusal>,
        answer: Option<&PushAnswer>,
    ) {
        let ours = self.sets.pushing.take_if(|pushing| pushing.operation == push.operation);
        let (Some(pushing), Some(terminal)) = (ours, self.terminal.clone()) else { return };
        let has = match answer {
            Some(answer) => answer.standing.hash == content_hash(&push.values),
            None => refusal.is_none(),
        };
        if has && self.set_taken(&terminal, pushing.set, pushing.revision).await.is_ok() {
            return;
        }
        let stale = answer.filter(|answer| answer.refused() == Some(PushRefusal::Stale));
        if let Some(answer) = stale {
            self.sets.floors.insert(pushing.set, answer.standing.revision);
        }
        let passes = has || stale.is_some() || refusal.is_none_or(Refusal::may_retry);
        info!(terminal = terminal.as_str(), set = pushing.set.name(), ?refusal, "pushed set not taken");
        self.rest(pushing.set, if passes { PUSH_AGAIN } else { PUSH_MUCH_LATER });
    }

    /// A push was not answered in time: the set is pushed again at the next opportunity.
    pub(super) fn set_unanswered(&mut self) {
        if let Some(pushing) = self.sets.pushing.take() {
            self.rest(pushing.set, PUSH_AGAIN);
        }
    }

    pub(super) async fn download(
        &mut self,
        terminal: &TerminalId,
        exchange: Exchange,
        request: DownloadRequest,
    ) -> Result<(), Ended> {
        let kind = request.kind();
        let set = downloads::set_of(kind);
        let begins = request.is_first();
        if begins || !self.sets.serving.contains_key(&kind) {
            self.look_for_sets(terminal).await;
            let sets = Arc::clone(&self.sets.latest);
            self.sets.serving.insert(kind, Serving { sets, begun: begins });
        }
        let serving = self.sets.serving.get(&kind);
        let begun = serving.is_some_and(|serving| serving.begun);
        let serving = serving.map(|serving| Arc::clone(&serving.sets)).unwrap_or_default();
        let answer = serving.offer.answer(&request, self.protocol.profile().downloads());
        // Where there is nothing, the answer to the first question is the last: no end follows.
        let over = request.is_end() || (begins && answer.is_ok() && !serving.offer.has(kind));
        if let Some(revision) = serving.revisions.get(&set).copied().filter(|_| over && begun)
            && let Err(refusal) = self.set_taken(terminal, set, revision).await
        {
            return self.refuse(exchange, refusal);
        }
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
    async fn set_taken(&mut self, terminal: &TerminalId, set: SetName, revision: u64) -> Result<(), Refusal> {
        let mut taken = self.sets.taken.clone().unwrap_or_default();
        if taken.insert(set, revision) != Some(revision) {
            self.keep_taken(terminal, taken).await?;
            info!(terminal = terminal.as_str(), set = set.name(), revision, "set taken");
        }
        Ok(())
    }

    async fn keep_taken(
        &mut self,
        terminal: &TerminalId,
        taken: BTreeMap<SetName, u64>,
    ) -> Result<(), Refusal> {
        let document = serde_json::to_string(&taken).map_err(|_| Refusal::SystemError)?;
        let kept = self.app.store.put_document(terminal, DOCUMENT, document).await;
        kept.map_err(|e| self.store_refusal(&e))?;
        self.sets.taken = Some(taken);
        Ok(())
    }
}
