use serde::{Deserialize, Serialize};

use super::{
    AidSet, Blacklist, CapkEntry, CapkSet, CardList, ContactlessSet, Control, DownloadBody, DownloadKind,
    DownloadRequest, Forms, list::page,
};
use crate::{profile::Refusal, tms_parameters::TmsParameters};

/// What a host has for the downloads of one terminal.
///
/// While a terminal downloads, give it answers from one unchanged offer: a list that changes between its pages is
/// taken for a lie.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Offer {
    /// The card organisations' public keys.
    pub capks: CapkSet,
    /// The parameters of chip applications.
    pub aids: AidSet,
    /// The blocked cards.
    pub blacklist: Blacklist,
    /// The TMS parameters, when the terminal is to call the TMS.
    pub tms_parameters: Option<TmsParameters>,
    /// The contactless parameters.
    pub contactless: ContactlessSet,
    /// Card ranges that need no PIN.
    pub pin_free_bins: CardList,
    /// Cards of those ranges that need one all the same.
    pub pin_free_blacklist: CardList,
}

impl Offer {
    /// The body of the reply to a request; empty for those that only end a download.
    ///
    /// # Errors
    /// Why the request is to be refused: the item is not in the offer, or does not fit the acquirer's form.
    pub fn answer(&self, request: &DownloadRequest, forms: &Forms) -> Result<DownloadBody, Refusal> {
        let body = match request {
            DownloadRequest::CapkList { from } => {
                let entries: Vec<CapkEntry> = self.capks.iter().map(super::Capk::entry).collect();
                page(entries.into_iter(), usize::from(*from), forms, |entry, out| {
                    entry.encode(out, forms.capk_expiry);
                })
            }
            DownloadRequest::Capk(id) => {
                let key = self.capks.get(*id).ok_or(Refusal::NotFound)?;
                item(&key.encode(forms.capk_expiry))
            }
            DownloadRequest::AidList { from } => {
                let aids: Vec<_> = self.aids.iter().map(|parameters| &parameters.aid).collect();
                page(aids.into_iter(), usize::from(*from), forms, |aid, out| aid.encode(out))
            }
            DownloadRequest::Aid(aid) => {
                let parameters = self.aids.get(aid).ok_or(Refusal::NotFound)?;
                item(&parameters.encode().map_err(|_| Refusal::SystemError)?)
            }
            DownloadRequest::Blacklist { from } => self.blacklist.page(*from, forms),
            DownloadRequest::Contactless { from } => self.contactless.page(*from, forms),
            DownloadRequest::PinFreeBins { from } => self.pin_free_bins.page(*from, forms),
            DownloadRequest::PinFreeBlacklist { from } => self.pin_free_blacklist.page(*from, forms),
            DownloadRequest::TmsParameters => match &self.tms_parameters {
                Some(parameters) => {
                    parameters.encode(forms.tms_parameters).map_err(|_| Refusal::SystemError)?
                }
                None => Vec::new(),
            },
            DownloadRequest::CapkEnd
            | DownloadRequest::AidEnd
            | DownloadRequest::BlacklistEnd
            | DownloadRequest::TmsParametersEnd
            | DownloadRequest::ContactlessEnd
            | DownloadRequest::PinFreeBinsEnd
            | DownloadRequest::PinFreeBlacklistEnd => Vec::new(),
        };
        // The field holds 999 bytes; what does not fit the agreed room is not sent at all.
        if body.len() > forms.room() { Err(Refusal::SystemError) } else { Ok(DownloadBody(body)) }
    }

    /// Whether there is something of this kind.
    #[must_use]
    pub fn has(&self, kind: DownloadKind) -> bool {
        match kind {
            DownloadKind::Capk => !self.capks.is_empty(),
            DownloadKind::Aid => !self.aids.is_empty(),
            DownloadKind::Blacklist => !self.blacklist.is_empty(),
            DownloadKind::TmsParameters => self.tms_parameters.is_some(),
            DownloadKind::Contactless => !self.contactless.is_empty(),
            DownloadKind::PinFreeBins => !self.pin_free_bins.is_empty(),
            DownloadKind::PinFreeBlacklist => !self.pin_free_blacklist.is_empty(),
        }
    }
}

fn item(objects: &[u8]) -> Vec<u8> {
    [&[Control::Whole.byte()], objects].concat()
}
