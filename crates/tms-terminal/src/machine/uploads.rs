//! What is sent when asked for: the log, and the journal of transactions.

use jiff::Timestamp;
use tms_crypto::sha256;
use tms_proto::task::Outcome;

use super::{BUNDLE, Begun, Machine, settling::CURRENCY};
use crate::state::{StateError, TaskKey, Upload};

/// What of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bundle {
    Log,
    Journal { from_batch: Option<u32> },
}

impl Machine {
    /// Cuts a bundle once, so that every part of it comes from the same bytes.
    pub(super) fn order_upload(
        &mut self,
        task: TaskKey,
        bundle: Bundle,
        max_bytes: u64,
        now: Timestamp,
    ) -> Result<Begun, StateError> {
        if let Some(old) = self.state.upload.take() {
            self.state.finish(old.task.result(Outcome::REPLACED), now);
        }
        let (cut, journal) = match bundle {
            Bundle::Log => (self.log.tail(max_bytes), false),
            Bundle::Journal { from_batch } => {
                (self.state.trade.journal(self.storage.as_ref(), from_batch, CURRENCY, max_bytes), true)
            }
        };
        let bytes = cut.map_err(|error| StateError::io(&self.storage.location(BUNDLE), error))?;
        self.keep(BUNDLE, &bytes)?;
        let (total_bytes, sha256) = (bytes.len() as u64, hex::encode(sha256(&bytes)));
        self.state.upload = Some(Upload { task, total_bytes, sha256, journal });
        self.save()?;
        Ok(Begun::Going)
    }
}
