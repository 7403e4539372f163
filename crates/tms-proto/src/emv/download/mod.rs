//! The terminal's side of a download.

mod aid;
mod capk;
mod listing;
mod numbered;
mod tms_parameters;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{
    AidSet, Blacklist, CapkSet, CardList, CardPrefix, ContactlessSet, ContactlessTemplate, Control,
    DownloadKind, DownloadRequest, EmvError, Forms, MAX_ENTRIES, list::ListPage,
};
use crate::{profile::Refusal, tms_parameters::TmsParameters};

pub use aid::AidDownload;
pub use capk::{CapkDownload, SkipReason, Skipped};
pub use numbered::NumberedDownload;
pub use tms_parameters::TmsParametersDownload;

/// Answers in a row that may bring nothing new: the host is busy, or an old reply came late.
const MAX_FRUITLESS: u8 = 4;

/// One download of a terminal, from its first question to its end.
///
/// Ask what [`next_request`](Self::next_request) says and give the reply back. A reply that does not come needs
/// nothing: the question stays the same. After [`Progress::Store`] make the set durable before the next question;
/// the machine itself can be kept with serde at any time, and goes on where it stood.
///
/// After an error the machine stands at its beginning with what was in force, but for
/// [`DownloadError::NoProgress`], after which it asks the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Download {
    /// Keys: each is in force as soon as it is there.
    Capk(CapkDownload),
    /// Applications: in force all together or not at all.
    Aid(AidDownload),
    /// Blocked cards: in force all together or not at all.
    Blacklist(NumberedDownload<CardPrefix>),
    /// TMS parameters.
    TmsParameters(TmsParametersDownload),
    /// Contactless parameters: in force all together or not at all.
    Contactless(NumberedDownload<ContactlessTemplate>),
    /// Card ranges without PIN: in force all together or not at all.
    PinFreeBins(NumberedDownload<CardPrefix>),
    /// Exceptions from them: in force all together or not at all.
    PinFreeBlacklist(NumberedDownload<CardPrefix>),
}

/// What a reply brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The reply was to a question that is no longer asked.
    Ignored,
    /// Nothing to do but to ask on.
    Continue,
    /// What is in force has changed: make it durable, then ask on.
    Store,
    /// The download is over.
    Finished,
}

/// Why a download cannot go on. Says no digit of any card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// A reply's body is malformed.
    #[error("the host's answer is malformed: {0}")]
    Unusable(#[from] EmvError),
    /// The host says no to something without which the download is worth nothing.
    #[error("the host refused: {0}")]
    Refused(Refusal),
    /// A message that says it has entries has none: the count would never move.
    #[error("the host announces entries and sends none")]
    NothingAdded,
    /// An entry came a second time.
    #[error("the host's list repeats an entry")]
    Repeats,
    /// More entries than can be asked for.
    #[error("the host's list goes on after {limit} entries, more than can be asked for")]
    Endless {
        /// What can be asked for.
        limit: usize,
    },
    /// The item is another than the one that was asked for.
    #[error("the host sent another item than was asked for")]
    NotTheOneAsked,
    /// The numbers of a message do not fit its entries.
    #[error("{entries} entries cannot be the numbers {from} to {end}")]
    Numbers {
        /// Number of the first entry asked for.
        from: u16,
        /// Number of the last entry, as the host says.
        end: u16,
        /// Entries in the message.
        entries: usize,
    },
    /// The host said that more follows, and then that there is nothing.
    #[error("the host announced more and then had nothing")]
    MoreWasNothing,
    /// Too many answers in a row brought nothing.
    #[error("{answers} answers in a row brought nothing new")]
    NoProgress {
        /// How many.
        answers: u8,
    },
}

impl Download {
    /// Brings the keys in line with the host's list: those that are new or whose expiry changed are fetched,
    /// those that are not in it are removed.
    #[must_use]
    pub fn capk(in_force: &CapkSet) -> Self {
        Self::Capk(CapkDownload::new(in_force.clone()))
    }

    /// Replaces the applications with the host's.
    #[must_use]
    pub fn aid(in_force: &AidSet) -> Self {
        Self::Aid(AidDownload::new(in_force.clone()))
    }

    /// Replaces the blacklist with the host's.
    #[must_use]
    pub fn blacklist(in_force: &Blacklist) -> Self {
        Self::Blacklist(NumberedDownload::new(in_force.clone()))
    }

    /// Replaces the contactless parameters with the host's.
    #[must_use]
    pub fn contactless(in_force: &ContactlessSet) -> Self {
        Self::Contactless(NumberedDownload::new(in_force.clone()))
    }

    /// Replaces the card ranges without PIN with the host's.
    #[must_use]
    pub fn pin_free_bins(in_force: &CardList) -> Self {
        Self::PinFreeBins(NumberedDownload::new(in_force.clone()))
    }

    /// Replaces the exceptions from the ranges without PIN with the host's.
    #[must_use]
    pub fn pin_free_blacklist(in_force: &CardList) -> Self {
        Self::PinFreeBlacklist(NumberedDownload::new(in_force.clone()))
    }

    /// Fetches the TMS parameters.
    #[must_use]
    pub fn tms_parameters(in_force: Option<&TmsParameters>) -> Self {
        Self::TmsParameters(TmsParametersDownload::new(in_force.cloned()))
    }

    /// What it downloads.
    #[must_use]
    pub fn kind(&self) -> DownloadKind {
        match self {
            Self::Capk(_) => DownloadKind::Capk,
            Self::Aid(_) => DownloadKind::Aid,
            Self::Blacklist(_) => DownloadKind::Blacklist,
            Self::TmsParameters(_) => DownloadKind::TmsParameters,
            Self::Contactless(_) => DownloadKind::Contactless,
            Self::PinFreeBins(_) => DownloadKind::PinFreeBins,
            Self::PinFreeBlacklist(_) => DownloadKind::PinFreeBlacklist,
        }
    }

    /// What to ask now; `None` when the download is over.
    #[must_use]
    pub fn next_request(&self) -> Option<DownloadRequest> {
        match self {
            Self::Capk(download) => download.next_request(),
            Self::Aid(download) => download.next_request(),
            Self::TmsParameters(download) => download.next_request(),
            Self::Blacklist(download) => download
                .next_request(|from| DownloadRequest::Blacklist { from }, DownloadRequest::BlacklistEnd),
            Self::Contactless(download) => download
                .next_request(|from| DownloadRequest::Contactless { from }, DownloadRequest::ContactlessEnd),
            Self::PinFreeBins(download) => download
                .next_request(|from| DownloadRequest::PinFreeBins { from }, DownloadRequest::PinFreeBinsEnd),
            Self::PinFreeBlacklist(download) => download.next_request(
                |from| DownloadRequest::PinFreeBlacklist { from },
                DownloadRequest::PinFreeBlacklistEnd,
            ),
        }
    }

    /// Whether the download is over and what it brought is in force.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.next_request().is_none()
    }

    /// Takes the body of an approving reply to `request`.
    ///
    /// # Errors
    /// When the host says something that cannot be, or goes on without end.
    pub fn on_reply(
        &mut self,
        request: &DownloadRequest,
        body: &[u8],
        forms: &Forms,
    ) -> Result<Progress, DownloadError> {
        if self.next_request().as_ref() != Some(request) {
            return Ok(Progress::Ignored);
        }
        match self {
            Self::Capk(download) => download.on_reply(request, body),
            Self::Aid(download) => download.on_reply(request, body),
            Self::TmsParameters(download) => download.on_reply(request, body, forms),
            Self::Blacklist(download) | Self::PinFreeBins(download) | Self::PinFreeBlacklist(download) => {
                download.on_reply(body, forms)
            }
            Self::Contactless(download) => download.on_reply(body, forms),
        }
    }

    /// Takes a refusal of `request`. One that may pass leaves the question as it is.
    ///
    /// # Errors
    /// When the download cannot go on without what was refused.
    pub fn on_refused(
        &mut self,
        request: &DownloadRequest,
        refusal: Refusal,
    ) -> Result<Progress, DownloadError> {
        if self.next_request().as_ref() != Some(request) {
            return Ok(Progress::Ignored);
        }
        match self {
            Self::Capk(download) => download.on_refused(request, refusal),
            Self::Aid(download) => download.on_refused(request, refusal),
            Self::TmsParameters(download) => download.on_refused(request, refusal),
            Self::Blacklist(download) | Self::PinFreeBins(download) | Self::PinFreeBlacklist(download) => {
                download.on_refused(refusal)
            }
            Self::Contactless(download) => download.on_refused(refusal),
        }
    }
}

/// Answers in a row that brought nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Fruitless(u8);

impl Fruitless {
    /// One more; an error when there are too many, after which counting begins anew.
    fn one_more(&mut self) -> Result<Progress, DownloadError> {
        self.0 = self.0.saturating_add(1);
        if self.0 < MAX_FRUITLESS {
            return Ok(Progress::Continue);
        }
        *self = Self::default();
        Err(DownloadError::NoProgress { answers: MAX_FRUITLESS })
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}
