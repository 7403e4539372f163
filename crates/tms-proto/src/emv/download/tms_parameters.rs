use serde::{Deserialize, Serialize};

use super::{DownloadError, DownloadRequest, Forms, Fruitless, Progress};
use crate::{profile::Refusal, tms_parameters::TmsParameters};

/// The download of the TMS parameters (unionpay.md §4.6): one message and the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmsParametersDownload {
    in_force: Option<TmsParameters>,
    stage: Stage,
    #[serde(default)]
    fruitless: Fruitless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Fetching,
    Ending,
    Finished,
}

impl TmsParametersDownload {
    pub(super) fn new(in_force: Option<TmsParameters>) -> Self {
        Self { in_force, stage: Stage::Fetching, fruitless: Fruitless::default() }
    }

    /// The parameters in force.
    #[must_use]
    pub fn in_force(&self) -> Option<&TmsParameters> {
        self.in_force.as_ref()
    }

    pub(super) fn next_request(&self) -> Option<DownloadRequest> {
        match self.stage {
            Stage::Fetching => Some(DownloadRequest::TmsParameters),
            Stage::Ending => Some(DownloadRequest::TmsParametersEnd),
            Stage::Finished => None,
        }
    }

    pub(super) fn on_reply(
        &mut self,
        request: &DownloadRequest,
        body: &[u8],
        forms: &Forms,
    ) -> Result<Progress, DownloadError> {
        // No body: nothing to change, as in the reply to 360 (unionpay.md §4.5).
        if *request != DownloadRequest::TmsParameters || body.is_empty() {
            return Ok(self.finish());
        }
        let parameters = Some(TmsParameters::decode(forms.tms_parameters, body)?);
        self.fruitless.reset();
        self.stage = Stage::Ending;
        if self.in_force == parameters {
            return Ok(Progress::Continue);
        }
        self.in_force = parameters;
        Ok(Progress::Store)
    }

    pub(super) fn on_refused(
        &mut self,
        request: &DownloadRequest,
        refusal: Refusal,
    ) -> Result<Progress, DownloadError> {
        match request {
            _ if refusal.may_retry() => self.fruitless.one_more(),
            DownloadRequest::TmsParametersEnd => Ok(self.finish()),
            _ => Err(DownloadError::Refused(refusal)),
        }
    }

    fn finish(&mut self) -> Progress {
        self.stage = Stage::Finished;
        Progress::Finished
    }
}
