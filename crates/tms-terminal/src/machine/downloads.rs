//! What cards need: the host's keys, applications, blacklist, contactless parameters and tables of cards without
//! PIN, and with them the TMS parameters. They lie in a file of their own, because they are large and change seldom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tms_proto::{
    emv::{AidSet, Blacklist, CapkSet, CardList, ContactlessSet, Download, DownloadKind},
    parameters::{RecordFile, Values},
    tms_parameters::TmsParameters,
};

use super::Machine;
use crate::{state::StateError, storage::Storage};

const FILE: &str = "downloads.json";

/// What was downloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downloads {
    /// Public keys of the card organisations.
    pub capk: CapkSet,
    /// Parameters of the chip applications.
    pub aid: AidSet,
    /// Blocked cards.
    pub blacklist: Blacklist,
    /// Where and when to call the TMS.
    pub tms_parameters: Option<TmsParameters>,
    /// Contactless parameters.
    #[serde(default)]
    pub contactless: ContactlessSet,
    /// Card ranges that need no PIN.
    #[serde(default)]
    pub pin_free_bins: CardList,
    /// Cards of those ranges that need one all the same.
    #[serde(default)]
    pub pin_free_blacklist: CardList,
    /// Downloads that are not finished.
    pub running: BTreeMap<DownloadKind, Download>,
    /// Revisions of the sets that the host pushed.
    #[serde(default)]
    pub revisions: BTreeMap<RecordFile, u64>,
}

impl Downloads {
    pub(super) fn load(storage: &dyn Storage) -> Result<Self, StateError> {
        let read = storage.read(FILE).map_err(|error| StateError::io(&storage.location(FILE), error))?;
        let Some(bytes) = read else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| StateError::Damaged { file: storage.location(FILE), reason: error.to_string() })
    }

    /// A new download of this kind, from what is in force.
    pub(crate) fn begin(&self, kind: DownloadKind) -> Download {
        match kind {
            DownloadKind::Capk => Download::capk(&self.capk),
            DownloadKind::Aid => Download::aid(&self.aid),
            DownloadKind::Blacklist => Download::blacklist(&self.blacklist),
            DownloadKind::TmsParameters => Download::tms_parameters(self.tms_parameters.as_ref()),
            DownloadKind::Contactless => Download::contactless(&self.contactless),
            DownloadKind::PinFreeBins => Download::pin_free_bins(&self.pin_free_bins),
            DownloadKind::PinFreeBlacklist => Download::pin_free_blacklist(&self.pin_free_blacklist),
        }
    }

    /// Takes over what a download has put into force.
    pub(crate) fn take(&mut self, download: &Download) {
        match download {
            Download::Capk(capk) => self.capk.clone_from(capk.in_force()),
            Download::Aid(aid) => self.aid.clone_from(aid.in_force()),
            Download::Blacklist(blacklist) => self.blacklist.clone_from(blacklist.in_force()),
            Download::TmsParameters(tms) => self.tms_parameters = tms.in_force().cloned(),
            Download::Contactless(templates) => self.contactless.clone_from(templates.in_force()),
            Download::PinFreeBins(cards) => self.pin_free_bins.clone_from(cards.in_force()),
            Download::PinFreeBlacklist(cards) => self.pin_free_blacklist.clone_from(cards.in_force()),
        }
    }

    /// What the report says of each set, an empty one too: a host that gave it learns that it is gone.
    pub(super) fn hashes(&self) -> [[u8; 32]; 3] {
        [self.capk.content_hash(), self.aid.content_hash(), self.blacklist.content_hash()]
    }
}

impl Machine {
    /// Makes the downloads durable.
    pub(crate) fn save_downloads(&mut self) -> Result<(), StateError> {
        self.download_hashes = self.downloads.hashes();
        let json = serde_json::to_vec(&self.downloads).map_err(|error| StateError::Damaged {
            file: self.storage.location(FILE),
            reason: error.to_string(),
        })?;
        self.keep(FILE, &json)
    }

    /// Revision and records of a file that the host may push.
    pub(crate) fn records(&self, file: RecordFile) -> (u64, Values) {
        let downloads = &self.downloads;
        let revision = downloads.revisions.get(&file).copied().unwrap_or(0);
        match file {
            RecordFile::Parameters => {
                (self.state.parameters_revision.unwrap_or(0), self.state.parameters.clone())
            }
            RecordFile::Capk => (revision, Values::from(&downloads.capk)),
            RecordFile::Aid => (revision, Values::from(&downloads.aid)),
            RecordFile::Blacklist => (revision, Values::from(&downloads.blacklist)),
        }
    }

    /// Puts pushed records for chip cards into force. Gives whether they were acceptable.
    pub(crate) fn set_records(
        &mut self,
        file: RecordFile,
        records: &Values,
        revision: u64,
    ) -> Result<bool, StateError> {
        let downloads = &mut self.downloads;
        let (taken, kind) = match file {
            RecordFile::Parameters => return Ok(false),
            RecordFile::Capk => {
                (CapkSet::try_from(records).map(|set| downloads.capk = set).is_ok(), DownloadKind::Capk)
            }
            RecordFile::Aid => {
                (AidSet::try_from(records).map(|set| downloads.aid = set).is_ok(), DownloadKind::Aid)
            }
            RecordFile::Blacklist => (
                Blacklist::try_from(records).map(|set| downloads.blacklist = set).is_ok(),
                DownloadKind::Blacklist,
            ),
        };
        if taken {
            // A download of an older set must not go on over this one.
            downloads.running.remove(&kind);
            downloads.revisions.insert(file, revision);
            self.save_downloads()?;
        }
        Ok(taken)
    }

    pub(super) fn forget_downloads(&mut self) -> Result<(), StateError> {
        if self.downloads == Downloads::default() {
            return Ok(());
        }
        self.downloads = Downloads::default();
        self.save_downloads()
    }
}
