use serde::{Deserialize, Serialize};

use super::{
    Control, DownloadError, DownloadRequest, EmvError, Fruitless, ListPage, Progress,
    listing::{Listed, Listing},
};
use crate::{
    emv::{Capk, CapkEntry, CapkId, CapkSet},
    profile::Refusal,
};

/// The download of keys (unionpay.md §4.7): the list, each key that is new or has another expiry, the end. A key
/// that the host refuses or that does not verify is left out; what the terminal had of it stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapkDownload {
    in_force: CapkSet,
    stage: Stage,
    #[serde(default)]
    listing: Listing<CapkEntry>,
    #[serde(default)]
    skipped: Vec<Skipped>,
    #[serde(default)]
    fruitless: Fruitless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Listing,
    Fetching,
    Finished,
}

/// A listed key that the terminal did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub id: CapkId,
    /// Why.
    pub reason: SkipReason,
}

/// Why a listed key was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The host refused it.
    Refused,
    /// It is malformed, or its check value is wrong or cannot be verified: why in words.
    Unusable(String),
    /// The host sends other keys instead.
    NotTheOneAsked,
    /// Its expiry is another than the list's: taken, it would be fetched again each time.
    OtherExpiry,
}

impl CapkDownload {
    pub(super) fn new(in_force: CapkSet) -> Self {
        Self {
            in_force,
            stage: Stage::Listing,
            listing: Listing::default(),
            skipped: Vec::new(),
            fruitless: Fruitless::default(),
        }
    }

    /// The keys in force.
    #[must_use]
    pub fn in_force(&self) -> &CapkSet {
        &self.in_force
    }

    /// Listed keys that were not taken, each with its reason.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    pub(super) fn next_request(&self) -> Option<DownloadRequest> {
        match self.stage {
            Stage::Listing => Some(DownloadRequest::CapkList { from: self.listing.count() }),
            Stage::Fetching => {
                Some(self.wanted().map_or(DownloadRequest::CapkEnd, |e| DownloadRequest::Capk(e.id)))
            }
            Stage::Finished => None,
        }
    }

    pub(super) fn on_reply(
        &mut self,
        request: &DownloadRequest,
        body: &[u8],
    ) -> Result<Progress, DownloadError> {
        match request {
            DownloadRequest::CapkList { .. } => {
                let result = self.take_list(body);
                if result.is_err() {
                    self.start_over();
                }
                result
            }
            DownloadRequest::Capk(id) => self.take_key(*id, body),
            _ => Ok(self.finish()),
        }
    }

    pub(super) fn on_refused(
        &mut self,
        request: &DownloadRequest,
        refusal: Refusal,
    ) -> Result<Progress, DownloadError> {
        match request {
            _ if refusal.may_retry() => self.fruitless.one_more(),
            DownloadRequest::Capk(id) => Ok(self.skip(*id, SkipReason::Refused)),
            // Everything is in force; that the host does not want to know changes nothing.
            DownloadRequest::CapkEnd => Ok(self.finish()),
            _ => {
                self.start_over();
                Err(DownloadError::Refused(refusal))
            }
        }
    }

    fn take_list(&mut self, body: &[u8]) -> Result<Progress, DownloadError> {
        let page = ListPage::<CapkEntry>::decode(body)?;
        match self.listing.take(page, |a, b| a.id == b.id)? {
            Listed::Nothing => return Ok(self.finish()),
            Listed::Known => return self.fruitless.one_more(),
            Listed::More => {
                self.fruitless.reset();
                return Ok(Progress::Continue);
            }
            Listed::Whole => self.fruitless.reset(),
        }
        let before = self.in_force.len();
        let listed = self.listing.entries();
        self.in_force.retain(|id| listed.iter().any(|entry| entry.id == id));
        self.stage = Stage::Fetching;
        Ok(if self.in_force.len() < before { Progress::Store } else { Progress::Continue })
    }

    fn take_key(&mut self, id: CapkId, body: &[u8]) -> Result<Progress, DownloadError> {
        let key = match decode(body) {
            Ok(key) => key,
            Err(error) => return Ok(self.skip(id, SkipReason::Unusable(error.to_string()))),
        };
        if key.id() != id {
            // The reply to an earlier question may come late; a host that goes on like this keeps its key.
            return Ok(match self.fruitless.one_more() {
                Ok(progress) => progress,
                Err(_) => self.skip(id, SkipReason::NotTheOneAsked),
            });
        }
        if self.wanted().is_none_or(|entry| entry.expiry != key.expiry()) {
            return Ok(self.skip(id, SkipReason::OtherExpiry));
        }
        match self.in_force.insert(key) {
            Ok(()) => {
                self.fruitless.reset();
                Ok(Progress::Store)
            }
            Err(error) => Ok(self.skip(id, SkipReason::Unusable(error.to_string()))),
        }
    }

    /// The first listed key that the terminal does not have as listed, and has not given up.
    fn wanted(&self) -> Option<&CapkEntry> {
        self.listing.entries().iter().find(|entry| {
            self.in_force.get(entry.id).is_none_or(|key| key.expiry() != entry.expiry)
                && !self.skipped.iter().any(|skipped| skipped.id == entry.id)
        })
    }

    fn skip(&mut self, id: CapkId, reason: SkipReason) -> Progress {
        self.fruitless.reset();
        self.skipped.push(Skipped { id, reason });
        Progress::Continue
    }

    fn finish(&mut self) -> Progress {
        self.stage = Stage::Finished;
        Progress::Finished
    }

    fn start_over(&mut self) {
        *self = Self::new(std::mem::take(&mut self.in_force));
    }
}

fn decode(body: &[u8]) -> Result<Capk, EmvError> {
    match Control::split(body)? {
        (Control::Whole, objects) => Capk::decode(objects),
        (control, _) => Err(EmvError::Control { found: control.byte() }),
    }
}
