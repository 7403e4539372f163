//! Sets that all terminals download, as sessions answer from them: read from the store once, and again
//! after somebody put a new one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tms_core::{EstateSet, SetName};
use tms_proto::emv::{DownloadKind, Offer};
use tms_store::Store;
use tracing::error;

/// The sets in use.
#[derive(Debug, Default)]
pub struct Downloads {
    loaded: Mutex<Option<Arc<Loaded>>>,
}

/// All sets at one moment. A session answers a whole download from one of these: a list that changes
/// between its pages would be no list.
#[derive(Debug, Default, PartialEq)]
pub struct Loaded {
    /// Revision of each set that there is.
    pub revisions: BTreeMap<SetName, u64>,
    /// Their content.
    pub offer: Offer,
    /// SHA-256 of those of which a terminal's report says it.
    pub hashes: BTreeMap<SetName, [u8; 32]>,
}

impl Loaded {
    /// What is known of a set that a terminal reports with this hash: whether it is the one that was put. `None` where
    /// nothing was put, or reports do not say.
    #[must_use]
    pub fn is_the_one(&self, set: SetName, reported: [u8; 32]) -> Option<bool> {
        self.hashes.get(&set).map(|hash| *hash == reported)
    }
}

impl Downloads {
    /// The sets as they are now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn loaded(&self, store: &dyn Store) -> tms_store::Result<Arc<Loaded>> {
        if let Some(loaded) = self.lock().clone() {
            return Ok(loaded);
        }
        let mut fresh = Loaded::default();
        for set in store.sets().await? {
            match put(&mut fresh.offer, &set) {
                Ok(()) => drop(fresh.revisions.insert(set.name, set.revision)),
                // Whoever put it was told that it is right: a newer program wrote it.
                Err(error) => error!(set = set.name.name(), %error, "a set in the store cannot be read"),
            }
        }
        let offer = &fresh.offer;
        let hashes = [
            (SetName::Capks, offer.capks.content_hash()),
            (SetName::Aids, offer.aids.content_hash()),
            (SetName::Blacklist, offer.blacklist.content_hash()),
        ];
        fresh.hashes = hashes.into_iter().filter(|(set, _)| fresh.revisions.contains_key(set)).collect();
        let fresh = Arc::new(fresh);
        *self.lock() = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// A set was put: the next session reads them again.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Loaded>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a set into an offer.
pub(crate) fn put(offer: &mut Offer, set: &EstateSet) -> Result<(), serde_json::Error> {
    match set.name {
        SetName::Capks => offer.capks = serde_json::from_str(&set.content)?,
        SetName::Aids => offer.aids = serde_json::from_str(&set.content)?,
        SetName::Blacklist => offer.blacklist = serde_json::from_str(&set.content)?,
        SetName::TmsParameters => offer.tms_parameters = serde_json::from_str(&set.content)?,
        SetName::Contactless => offer.contactless = serde_json::from_str(&set.content)?,
        SetName::PinFreeBins => offer.pin_free_bins = serde_json::from_str(&set.content)?,
        SetName::PinFreeBlacklist => offer.pin_free_blacklist = serde_json::from_str(&set.content)?,
    }
    Ok(())
}

/// Name of the detail in which a terminal's hash of a set is kept.
pub(crate) fn reported_as(set: SetName) -> Option<&'static str> {
    match set {
        SetName::Capks => Some("capk_sha256"),
        SetName::Aids => Some("aid_sha256"),
        SetName::Blacklist => Some("blacklist_sha256"),
        SetName::TmsParameters | SetName::Contactless | SetName::PinFreeBins | SetName::PinFreeBlacklist => {
            None
        }
    }
}

/// How the protocol calls a set.
pub(crate) fn kind(set: SetName) -> DownloadKind {
    match set {
        SetName::Capks => DownloadKind::Capk,
        SetName::Aids => DownloadKind::Aid,
        SetName::Blacklist => DownloadKind::Blacklist,
        SetName::TmsParameters => DownloadKind::TmsParameters,
        SetName::Contactless => DownloadKind::Contactless,
        SetName::PinFreeBins => DownloadKind::PinFreeBins,
        SetName::PinFreeBlacklist => DownloadKind::PinFreeBlacklist,
    }
}

/// The set that a download brings.
pub(crate) fn set_of(kind: DownloadKind) -> SetName {
    match kind {
        DownloadKind::Capk => SetName::Capks,
        DownloadKind::Aid => SetName::Aids,
        DownloadKind::Blacklist => SetName::Blacklist,
        DownloadKind::TmsParameters => SetName::TmsParameters,
        DownloadKind::Contactless => SetName::Contactless,
        DownloadKind::PinFreeBins => SetName::PinFreeBins,
        DownloadKind::PinFreeBlacklist => SetName::PinFreeBlacklist,
    }
}
