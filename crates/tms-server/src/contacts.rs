//! When terminals were last heard of: kept in memory at once, written to the store in batches.
//! A crash loses at most what one flush interval gathered, and never a command.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tms_core::TerminalId;
use tms_store::Store;

/// Contacts not yet written.
#[derive(Debug, Default)]
pub struct Contacts {
    pending: Mutex<HashMap<TerminalId, Timestamp>>,
}

impl Contacts {
    /// Notes a contact.
    pub fn note(&self, terminal: &TerminalId, at: Timestamp) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match pending.get_mut(terminal) {
            Some(last) => *last = at,
            None => drop(pending.insert(terminal.clone(), at)),
        }
    }

    /// Writes what has gathered. Contacts of a failed write are given up: the next ones repair it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn flush(&self, store: &dyn Store) -> tms_store::Result<()> {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            return Ok(());
        }
        let batch: Vec<_> = pending.into_iter().collect();
        store.record_contacts(&batch).await
    }
}
