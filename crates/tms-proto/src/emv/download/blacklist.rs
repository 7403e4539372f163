use serde::{Deserialize, Serialize};

use super::{DownloadError, DownloadRequest, Forms, Fruitless, Progress};
use crate::{
    emv::{Blacklist, BlacklistPage},
    profile::Refusal,
};

/// Number of the last card that can be asked for.
const LAST_NUMBER: u16 = 999;

/// The download of blocked cards (unionpay.md §4.9): messages from card 000 on, the end. The new list takes the
/// place of the old one when it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlacklistDownload {
    in_force: Blacklist,
    stage: Stage,
    #[serde(default)]
    taken: Blacklist,
    #[serde(default)]
    fruitless: Fruitless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Asks for the cards from this number on.
    Fetching(u16),
    Ending,
    Finished,
}

impl BlacklistDownload {
    pub(super) fn new(in_force: Blacklist) -> Self {
        Self {
            in_force,
            stage: Stage::Fetching(0),
            taken: Blacklist::default(),
            fruitless: Fruitless::default(),
        }
    }

    /// The cards in force: the old ones until the download has them all.
    #[must_use]
    pub fn in_force(&self) -> &Blacklist {
        &self.in_force
    }

    pub(super) fn next_request(&self) -> Option<DownloadRequest> {
        match self.stage {
            Stage::Fetching(from) => Some(DownloadRequest::Blacklist { from: from.min(LAST_NUMBER) }),
            Stage::Ending => Some(DownloadRequest::BlacklistEnd),
            Stage::Finished => None,
        }
    }

    pub(super) fn on_reply(
        &mut self,
        request: &DownloadRequest,
        body: &[u8],
        forms: &Forms,
    ) -> Result<Progress, DownloadError> {
        let result = match request {
            DownloadRequest::Blacklist { from } => self.take_page(*from, body, forms),
            _ => Ok(self.finish()),
        };
        self.start_over_unless_fruitless(&result);
        result
    }

    pub(super) fn on_refused(
        &mut self,
        request: &DownloadRequest,
        refusal: Refusal,
    ) -> Result<Progress, DownloadError> {
        let result = match request {
            _ if refusal.may_retry() => self.fruitless.one_more(),
            DownloadRequest::BlacklistEnd => Ok(self.finish()),
            _ => Err(DownloadError::Refused(refusal)),
        };
        self.start_over_unless_fruitless(&result);
        result
    }

    fn take_page(&mut self, from: u16, body: &[u8], forms: &Forms) -> Result<Progress, DownloadError> {
        let (more, end, cards) = match BlacklistPage::decode(body, forms.blacklist)? {
            BlacklistPage::Nothing if from == 0 => return Ok(self.finish()),
            BlacklistPage::Nothing => return Err(DownloadError::MoreWasNothing),
            BlacklistPage::Cards { more, end, cards } => (more, end, cards),
        };
        if end < from {
            // An old reply that came late, or a host whose count does not move.
            return self.fruitless.one_more();
        }
        if cards.is_empty() {
            return Err(DownloadError::NothingAdded);
        }
        // Each card has its number, or a late reply would leave a hole. Whether numbers begin at 0 is not settled: a
        // host that counts from 1 answers 000 with cards 1 to `end`.
        let numbers = usize::from(end.saturating_sub(from));
        let fits = cards.len() == numbers.saturating_add(1) || (from == 0 && cards.len() == numbers);
        if !fits {
            return Err(DownloadError::Numbers { from, end, cards: cards.len() });
        }
        cards.into_iter().try_for_each(|card| self.taken.push(card))?;
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
