//! What a terminal's connection has been through, for whoever watches it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::failure::Failure;

/// Shared between the terminal's task and its handle.
#[derive(Debug, Default)]
pub(crate) struct Status {
    link: Mutex<Link>,
    /// Something outside changed that the host should be told.
    pub(crate) report: Notify,
}

/// The connection's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether a session with the host stands.
    pub signed_on: bool,
    /// Sessions so far.
    pub sign_ons: u32,
    /// Connections that ended otherwise than by stopping or restarting.
    pub connections_lost: u32,
    /// Firmware transfers that went on after a break instead of starting over.
    pub resumed_transfers: u32,
    /// Times that parameters were applied.
    pub parameter_changes: u32,
    /// Power cuts that the scenario made.
    pub power_cuts: u32,
    /// Why the last connection failed or ended; kept until a session stands.
    pub last_failure: Option<Failure>,
    /// Why the terminal has stopped for good, if it has.
    pub halted: Option<String>,
}

impl Status {
    pub(crate) fn link(&self) -> Link {
        self.lock().clone()
    }

    pub(crate) fn sign_ons(&self) -> u32 {
        self.lock().sign_ons
    }

    pub(crate) fn online(&self) {
        let mut link = self.lock();
        link.signed_on = true;
        link.sign_ons = link.sign_ons.saturating_add(1);
        link.last_failure = None;
    }

    pub(crate) fn offline(&self) {
        self.lock().signed_on = false;
    }

    pub(crate) fn lost(&self, failure: Failure) {
        let mut link = self.lock();
        link.connections_lost = link.connections_lost.saturating_add(1);
        link.last_failure = Some(failure);
    }

    pub(crate) fn resumed(&self) {
        let mut link = self.lock();
        link.resumed_transfers = link.resumed_transfers.saturating_add(1);
    }

    pub(crate) fn parameters_applied(&self) {
        let mut link = self.lock();
        link.parameter_changes = link.parameter_changes.saturating_add(1);
    }

    pub(crate) fn power_cut(&self) {
        let mut link = self.lock();
        link.power_cuts = link.power_cuts.saturating_add(1);
    }

    pub(crate) fn halted(&self, reason: String) {
        self.lock().halted = Some(reason);
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
