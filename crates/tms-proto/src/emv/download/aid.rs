use serde::{Deserialize, Serialize};

use super::{
    Control, DownloadError, DownloadRequest, EmvError, Fruitless, ListPage, Progress,
    listing::{Listed, Listing},
};
use crate::{
    emv::{Aid, AidParameters, AidSet},
    profile::Refusal,
};

/// The download of applications (unionpay.md §4.8): the list, each application, the end. The new set takes the
/// place of the old one when it is whole; a listed application that does not come fails the download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AidDownload {
    in_force: AidSet,
    stage: Stage,
    #[serde(default)]
    listing: Listing<Aid>,
    #[serde(default)]
    fetched: AidSet,
    #[serde(default)]
    fruitless: Fruitless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Listing,
    Fetching,
    Ending,
    Finished,
}

impl AidDownload {
    pub(super) fn new(in_force: AidSet) -> Self {
        Self {
            in_force,
            stage: Stage::Listing,
            listing: Listing::default(),
            fetched: AidSet::default(),
            fruitless: Fruitless::default(),
        }
    }

    /// The applications in force: the old ones until the download has them all.
    #[must_use]
    pub fn in_force(&self) -> &AidSet {
        &self.in_force
    }

    pub(super) fn next_request(&self) -> Option<DownloadRequest> {
        match self.stage {
            Stage::Listing => Some(DownloadRequest::AidList { from: self.listing.count() }),
            // A kept state that lists nothing more has nothing left but to ask for the list again.
            Stage::Fetching => Some(match self.wanted() {
                Some(aid) => DownloadRequest::Aid(aid.clone()),
                None => DownloadRequest::AidList { from: self.listing.count() },
            }),
            Stage::Ending => Some(DownloadRequest::AidEnd),
            Stage::Finished => None,
        }
    }

    pub(super) fn on_reply(
        &mut self,
        request: &DownloadRequest,
        body: &[u8],
    ) -> Result<Progress, DownloadError> {
        let result = match request {
            DownloadRequest::AidList { .. } => self.take_list(body),
            DownloadRequest::Aid(aid) => self.take_application(aid, body),
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
            // Everything is in force; that the host does not want to know changes nothing.
            DownloadRequest::AidEnd => Ok(self.finish()),
            _ => Err(DownloadError::Refused(refusal)),
        };
        self.start_over_unless_fruitless(&result);
        result
    }

    fn take_list(&mut self, body: &[u8]) -> Result<Progress, DownloadError> {
        let page = ListPage::<Aid>::decode(body)?;
        match self.listing.take(page, PartialEq::eq)? {
            Listed::Nothing => return Ok(self.finish()),
            Listed::Known => return self.fruitless.one_more(),
            Listed::More => {}
            Listed::Whole => self.stage = Stage::Fetching,
        }
        self.fruitless.reset();
        Ok(Progress::Continue)
    }

    fn take_application(&mut self, aid: &Aid, body: &[u8]) -> Result<Progress, DownloadError> {
        let parameters = decode(body)?;
        if parameters.aid != *aid {
            // The reply to an earlier question may come late; a host that goes on like this is given up.
            if self.fetched.get(&parameters.aid).is_some() {
                return self.fruitless.one_more();
            }
            return Err(DownloadError::NotTheOneAsked);
        }
        self.fetched.insert(parameters)?;
        self.fruitless.reset();
        if self.wanted().is_some() {
            return Ok(Progress::Continue);
        }
        self.stage = Stage::Ending;
        let fetched = std::mem::take(&mut self.fetched);
        if self.in_force == fetched {
            return Ok(Progress::Continue);
        }
        self.in_force = fetched;
        Ok(Progress::Store)
    }

    fn wanted(&self) -> Option<&Aid> {
        self.listing.entries().iter().find(|aid| self.fetched.get(aid).is_none())
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

fn decode(body: &[u8]) -> Result<AidParameters, EmvError> {
    match Control::split(body)? {
        (Control::Whole, objects) => AidParameters::decode(objects),
        (control, _) => Err(EmvError::Control { found: control.byte() }),
    }
}
