//! Firmware packages and log bundles.

use tms_core::{FirmwareRecord, LogBundle, TerminalId};
use tms_store::Result;

use super::contents::{Contents, kept, not_found};

impl Contents {
    pub(super) fn add_firmware(&mut self, mut firmware: FirmwareRecord) {
        firmware.published_at = kept(firmware.published_at);
        self.firmware.entry(firmware.id.clone()).or_insert(firmware);
    }

    pub(super) fn firmwares(&self) -> Vec<FirmwareRecord> {
        let mut all: Vec<_> = self.firmware.values().cloned().collect();
        // Stable: those of one time stay in the order of their ids.
        all.sort_by_key(|firmware| std::cmp::Reverse(firmware.published_at));
        all
    }

    pub(super) fn add_log_bundle(&mut self, mut bundle: LogBundle) -> Result<()> {
        let operation = self.known_operation(bundle.operation)?;
        if operation.terminal != bundle.terminal {
            let name = format!("{} of terminal {}", bundle.operation, bundle.terminal);
            return Err(not_found("operation", name));
        }
        bundle.collected_at = kept(bundle.collected_at);
        self.log_bundles.insert(bundle.operation, bundle);
        Ok(())
    }

    pub(super) fn log_bundles_of(&self, tid: &TerminalId) -> Vec<LogBundle> {
        let own = self.log_bundles.values().filter(|bundle| bundle.terminal == *tid);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by_key(|bundle| std::cmp::Reverse((bundle.collected_at, bundle.operation)));
        own
    }
}
