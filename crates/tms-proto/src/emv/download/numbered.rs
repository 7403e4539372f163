use serde::{Deserialize, Serialize};

use super::{DownloadError, DownloadRequest, Forms, Fruitless, Progress};
use crate::{
    emv::{Numbered, NumberedPage, numbered::Entry},
    profile::Refusal,
};

/// Number of the last entry that can be asked for.
const LAST_NUMBER: u16 = 999;

/// The download of a numbered list, blocked cards for one (unionpay.md §4.9): messages from number 000 on, the
/// end. The new list takes the place of the old one when it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Clone + Serialize", deserialize = "T: Entry + Deserialize<'de>"))]
pub struct NumberedDownload<T: Entry> {
    in_force: Numbered<T>,
    stage: Stage,
    #[serde(default)]
    taken: Numbered<T>,
    #[serde(default)]
    fruitless: Fruitless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Asks for the entries from this number on.
    Fetching(u16),
    Ending,
    Finished,
}

impl<T: Entry> NumberedDownload<T> {
    pub(super) fn new(in_force: Numbered<T>) -> Self {
        Self {
            in_force,
            stage: Stage::Fetching(0),
            taken: Numbered::default(),
            fruitless: Fruitless::default(),
        }
    }

    /// The entries in force: the old ones until the download has them all.
    #[must_use]
    pub fn in_force(&self) -> &Numbered<T> {
        &self.in_force
    }

    /// What to ask: the list from a number on, or its end, as its functions carry them.
    pub(super) fn next_request(
        &self,
        page: impl Fn(u16) -> DownloadRequest,
        end: DownloadRequest,
    ) -> Option<DownloadRequest> {
        match self.stage {
            Stage::Fetching(from) => Some(page(from.min(LAST_NUMBER))),
            Stage::Ending => Some(end),
            Stage::Finished => None,
        }
    }

    pub(super) fn on_reply(&mut self, body: &[u8], forms: &Forms) -> Result<Progress, DownloadError> {
        let result = match self.stage {
            Stage::Fetching(from) => self.take_page(from.min(LAST_NUMBER), body, forms),
            Stage::Ending | Stage::Finished => Ok(self.finish()),
        };
        self.start_over_unless_fruitless(&result);
        result
    }

    pub(super) fn on_refused(&mut self, refusal: Refusal) -> Result<Progress, DownloadError> {
        let result = match self.stage {
            _ if refusal.may_retry() => self.fruitless.one_more(),
            Stage::Fetching(_) => Err(DownloadError::Refused(refusal)),
            Stage::Ending | Stage::Finished => Ok(self.finish()),
        };
        self.start_over_unless_fruitless(&result);
        result
    }

    fn take_page(&mut self, from: u16, body: &[u8], forms: &Forms) -> Result<Progress, DownloadError> {
        let (more, end, entries) = match NumberedPage::decode(body, forms)? {
            NumberedPage::Nothing if from == 0 => return Ok(self.finish()),
            NumberedPage::Nothing => return Err(DownloadError::MoreWasNothing),
            NumberedPage::Entries { more, end, entries } => (more, end, entries),
        };
        if end < from {
            // An old reply that came late, or a host whose count does not move.
            return self.fruitless.one_more();
        }
        if entries.is_empty() {
            return Err(DownloadError::NothingAdded);
        }
        // Each entry has its number, or a late reply would leave a hole. Whether numbers begin at 0 is not settled: a
        // host that counts from 1 answers 000 with entries 1 to `end`.
        let numbers = usize::from(end.saturating_sub(from));
        let fits = entries.len() == numbers.saturating_add(1) || (from == 0 && entries.len() == numbers);
        if !fits {
            return Err(DownloadError::Numbers { from, end, entries: entries.len() });
        }
        entries.into_iter().try_for_each(|entry| self.taken.push(entry))?;
        self.fruitless.reset();
        if more && end >= LAST_NUMBER {
            return Err(DownloadError::Endless { limit: usize::from(LAST_NUMBER).saturating_add(1) });
        }
        if more {
            self.stage = Stage::Fetching(end.saturating_add(1));
            return Ok(Progress::Continue);
        }
        self.stage = Stage::Ending;
        let taken = std::mem::take(&mut self.taken);
        if self.in_force == taken {
            return Ok(Progress::Continue);
        }
        self.in_force = taken;
        Ok(Progress::Store)
    }

    fn finish(&mut self) -> Progress {
        self.stage = Stage::Finished;
        Progress::Finished
    }

    fn start_over_unless_fruitless(&mut self, result: &Result<Progress, DownloadError>) {
        if matches!(result, Err(error) if !matches!(error, DownloadError::NoProgress { .. })) {
            *self = Self::new(std::mem::take(&mut self.in_force));
        }
    }
}
