//! What chip cards need: the host's keys, applications and blacklist, and the TMS parameters. They lie in
//! a file of their own, because they are large and change seldom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tms_crypto::sha256;
use tms_proto::{
    emv::{AidSet, Blacklist, CapkSet, Download, DownloadKind},
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
    /// Downloads that are not finished.
    pub running: BTreeMap<DownloadKind, Download>,
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
        }
    }

    /// Takes over what a download has put into force.
    pub(crate) fn take(&mut self, download: &Download) {
        match download {
            Download::Capk(capk) => self.capk.clone_from(capk.in_force()),
            Download::Aid(aid) => self.aid.clone_from(aid.in_force()),
            Download::Blacklist(blacklist) => self.blacklist.clone_from(blacklist.in_force()),
            Download::TmsParameters(tms) => self.tms_parameters = tms.in_force().cloned(),
        }
    }

    /// SHA-256 of a set as its JSON, for a report; none while it is empty.
    pub(super) fn hashes(&self) -> [Option<[u8; 32]>; 3] {
        fn hash<T: Serialize>(empty: bool, set: &T) -> Option<[u8; 32]> {
            let json = if empty { None } else { serde_json::to_vec(set).ok() };
            json.map(|json| sha256(&json))
        }
        [
            hash(self.capk.is_empty(), &self.capk),
            hash(self.aid.is_empty(), &self.aid),
            hash(self.blacklist.is_empty(), &self.blacklist),
        ]
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

    pub(super) fn forget_downloads(&mut self) -> Result<(), StateError> {
        if self.downloads == Downloads::default() {
            return Ok(());
        }
        self.downloads = Downloads::default();
        self.save_downloads()
    }
}
