//! Working keys that the terminal asks for by itself: the host found a MAC under them wrong, the sign-on brought
//! none, or they are as old as the profile lets them become.

use jiff::Timestamp;
use tms_proto::{Function, profile::MacKeySource};

use super::{Connection, Exit, RETRY_AFTER_MS};

/// Times that the wait before another try doubles: 68 minutes.
const MAX_DOUBLINGS: u32 = 12;
/// Time in which refusals of MACs are still about the keys of before: requests were on their way.
const GRACE_MS: u64 = 10_000;

/// What a connection knows of its working keys' age.
#[derive(Debug)]
pub(super) struct Renewal {
    /// When new ones are to be asked for.
    pub(super) due: Timestamp,
    /// Tries in a row that brought none.
    in_vain: u32,
    /// Until when refusals of MACs are borne with, since new keys have been asked for because of one: that helps once or
    /// not at all.
    pub(super) borne_until: Option<Timestamp>,
}

impl Default for Renewal {
    fn default() -> Self {
        Self { due: Timestamp::MAX, in_vain: 0, borne_until: None }
    }
}

impl Connection {
    /// A sign-on or an exchange has ended, with new keys or without.
    pub(super) fn keys_arrived(&mut self, any: bool, now: Timestamp) {
        let Some(rule) = self.session.profile().keys() else { return };
        // Without a master key there is nothing to open a block with.
        if self.machine().materials.tmk.is_none() {
            return;
        }
        if any {
            self.renewal.in_vain = 0;
            self.renewal.due = self.after(u64::from(rule.renew_after_s).saturating_mul(1_000), now);
        } else {
            self.renew_later(now);
        }
    }

    /// Asks for new keys when it is time, where the profile has a request for that; elsewhere signs on again.
    pub(super) fn pump_keys(&mut self, now: Timestamp) -> Result<(), Exit> {
        if now < self.renewal.due {
            return Ok(());
        }
        self.renew_later(now);
        if self.session.supports(Function::KeyRequest) {
            Ok(self.session.request_keys(now)?)
        } else {
            self.sign_on(now)
        }
    }

    /// The host found a MAC wrong. Gives whether new keys are on their way, with which the same may be said again.
    pub(super) fn renews_after_mac(&mut self, refused: Function, now: Timestamp) -> Result<bool, Exit> {
        let profile = self.session.profile();
        let working = profile.mac().is_some_and(|mac| mac.key_source() == MacKeySource::Working);
        let can =
            working && self.session.supports(Function::KeyRequest) && self.machine().materials.tmk.is_some();
        if !can || refused == Function::KeyRequest {
            return Ok(false);
        }
        if let Some(until) = self.renewal.borne_until {
            return Ok(now < until);
        }
        self.renewal.borne_until = Some(self.after(GRACE_MS, now));
        self.session.request_keys(now)?;
        Ok(true)
    }

    fn renew_later(&mut self, now: Timestamp) {
        let wait_ms = RETRY_AFTER_MS << self.renewal.in_vain.min(MAX_DOUBLINGS);
        self.renewal.in_vain = self.renewal.in_vain.saturating_add(1);
        self.renewal.due = self.after(wait_ms, now);
    }
}
