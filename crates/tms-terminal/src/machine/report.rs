//! What the terminal tells of itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tms_proto::{
    parameters::content_hash,
    report::{Details, Lock, Report},
};

use super::Machine;

impl Machine {
    /// The full report.
    pub(crate) fn report(&self, now: Timestamp) -> Report {
        let identity = &self.scenario.identity;
        Report {
            model: identity.model.clone(),
            hardware_revision: identity.hardware_revision.clone(),
            version: self.version(),
            security_counter: self.state.slots.running().map_or(0, |image| image.security_counter),
            slot: self.state.slots.active().to_string(),
            boot_count: self.state.boot_count,
            health: self.health,
            credentials: self.state.credentials.generations(),
            parameters: self.parameters(),
            details: self.details(now),
        }
    }

    fn details(&self, now: Timestamp) -> Details {
        let state = &self.state;
        let [capk_sha256, aid_sha256, blacklist_sha256] = self.download_hashes.map(Some);
        let default = state.credentials.default_still_set();
        let roles = state.credentials.generations().into_keys();
        let other = state.slots.active().other();
        let written = state.slots.slot(other).map_or(0, |image| image.size_bytes);
        Details {
            plan: state.plan.status(),
            lock: Some(Lock {
                locked: state.lock.is_some(),
                message: state.lock.clone().unwrap_or_default(),
            }),
            default_credentials: roles.map(|role| (role.clone(), default.contains(&role))).collect(),
            free_storage_bytes: Some(self.flash.slot_bytes().saturating_sub(written)),
            uptime_s: Some(self.uptime_s(now)),
            transactions: Some(state.trade.transactions),
            comm_attempts: Some(state.comm_attempts),
            comm_successes: Some(state.sign_ons),
            clock_step_s: state.clock.last_step_s,
            capk_sha256,
            aid_sha256,
            blacklist_sha256,
            batch: Some(state.trade.open.number),
            parameters_revision: state.parameters_revision,
            parameters_sha256: Some(content_hash(&state.parameters)),
            last_alarm: Some(state.alarms.last()).filter(|last| *last > 0),
            applications: BTreeMap::new(),
        }
    }

    pub(super) fn uptime_s(&self, now: Timestamp) -> u64 {
        u64::try_from(now.duration_since(self.booted_at).as_secs()).unwrap_or(0)
    }

    /// The values of the fixed status tags.
    pub(crate) fn status_values(&self) -> BTreeMap<String, String> {
        let mut values = self.parameters();
        self.health.put_tags(&mut values);
        values
    }

    /// Version of the image that runs.
    pub(crate) fn version(&self) -> String {
        self.state.slots.running().map_or_else(String::new, |image| image.version.to_string())
    }
}
