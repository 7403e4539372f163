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
    }
    Ok(())
}

/// How the protocol calls a set.
pub(crate) fn kind(set: SetName) -> DownloadKind {
    match set {
        SetName::Capks => DownloadKind::Capk,
        SetName::Aids => DownloadKind::Aid,
        SetName::Blacklist => DownloadKind::Blacklist,
        SetName::TmsParameters => DownloadKind::TmsParameters,
    }
}
