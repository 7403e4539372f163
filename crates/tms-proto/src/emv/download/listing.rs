use serde::{Deserialize, Serialize};

use super::{Control, DownloadError, ListPage, MAX_ENTRIES};

/// The host's list as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listing<T> {
    entries: Vec<T>,
}

/// What a message added to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    /// The host has nothing to download.
    Nothing,
    /// Only what is known already: an old reply that came late, or a host that does not move.
    Known,
    /// More follows.
    More,
    /// The list is whole.
    Whole,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T: Clone> Listing<T> {
    /// How many entries are known, as the next question says it.
    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.entries.len().min(MAX_ENTRIES)).unwrap_or(u8::MAX)
    }

    pub(super) fn entries(&self) -> &[T] {
        &self.entries
    }

    /// Adds a message. `same` tells whether two entries are for the same item.
    pub(super) fn take(
        &mut self,
        page: ListPage<T>,
        same: impl Fn(&T, &T) -> bool,
    ) -> Result<Listed, DownloadError> {
        let known = self.entries.len();
        match page.control {
            Control::Nothing if known == 0 => return Ok(Listed::Nothing),
            // What was received is all there is.
            Control::Nothing => return Ok(Listed::Whole),
            Control::Whole | Control::More | Control::Last => {}
        }
        if page.entries.is_empty() {
            return Err(DownloadError::NothingAdded);
        }
        if page.entries.iter().all(|entry| self.entries.iter().any(|known| same(known, entry))) {
            return Ok(Listed::Known);
        }
        for entry in page.entries {
            if self.entries.iter().any(|known| same(known, &entry)) {
                return Err(DownloadError::Repeats);
            }
            if self.entries.len() >= MAX_ENTRIES {
                return Err(DownloadError::Endless { limit: MAX_ENTRIES });
            }
            self.entries.push(entry);
        }
        match page.control {
            Control::More if self.entries.len() >= MAX_ENTRIES => {
                Err(DownloadError::Endless { limit: MAX_ENTRIES })
            }
            Control::More => Ok(Listed::More),
            _ => Ok(Listed::Whole),
        }
    }
}
