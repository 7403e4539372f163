//! Looking at a terminal without changing it.

use std::{collections::BTreeMap, io};

use tms_firmware::Slot;
use tms_proto::report::Health;

use super::Device;
use crate::{machine::Downloads, state::State, status::Link, trade::Transaction};

/// The image that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its version.
    pub version: String,
    /// Its security counter.
    pub security_counter: u32,
    /// Where it lies.
    pub slot: Slot,
    /// What its slot must hold; [`Device::measure`] tells what it does hold. The factory image is not
    /// simulated: its size is 0 and its slot empty.
    pub size_bytes: u64,
    /// SHA-256 of the same.
    pub sha256: [u8; 32],
}

/// A terminal at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// TID.
    pub tid: String,
    /// Profile it speaks.
    pub profile: String,
    /// Version of the image that runs.
    pub firmware_version: String,
    /// Slot that runs, `A` or `B`.
    pub slot: String,
    /// How far an installation is: `settled`, `writing`, `ready` or `trial`.
    pub install_phase: &'static str,
    /// Starts since manufacture.
    pub boot_count: u32,
    /// Parameters in force.
    pub parameters: BTreeMap<String, String>,
    /// Revision of the set that the host pushed, where it told one.
    pub parameters_revision: Option<u64>,
    /// Generation in force of each administrator role.
    pub credentials: BTreeMap<String, u32>,
    /// Roles that still have a default that manuals print. They open nothing; rotate them.
    pub default_still_set: Vec<String>,
    /// State of the parts.
    pub health: Health,
    /// The connection and its history.
    pub link: Link,
}

impl Device {
    /// The image that runs, as the terminal remembers it.
    #[must_use]
    pub fn running(&self) -> Option<Running> {
        let machine = self.machine();
        let slots = &machine.state.slots;
        slots.running().map(|image| Running {
            version: image.version.to_string(),
            security_counter: image.security_counter,
            slot: slots.active(),
            size_bytes: image.size_bytes,
            sha256: image.sha256,
        })
    }

    /// Size and SHA-256 of what really lies in a slot. Reads all of it.
    ///
    /// # Errors
    /// When the slot is empty or cannot be read.
    pub fn measure(&self, slot: Slot) -> io::Result<(u64, [u8; 32])> {
        self.machine().flash.measure(slot)
    }

    /// Looks at everything that it remembers, without copying it.
    pub fn state<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.machine().state)
    }

    /// Parameters in force: those delivered, with those that the host has set above them.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.machine().parameters()
    }

    /// The generation that a secret opens, without counting it as an attempt: for checks. A person
    /// types it with [`try_login`](Self::try_login).
    #[must_use]
    pub fn try_secret(&self, role: &str, secret: &str) -> Option<u32> {
        self.machine().state.credentials.try_secret(role, secret.as_bytes())
    }

    /// The connection and its history.
    #[must_use]
    pub fn link(&self) -> Link {
        self.status.link()
    }

    /// The terminal at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let machine = self.machine();
        let state = &machine.state;
        let credentials = state.credentials.generations();
        Snapshot {
            tid: state.tid.clone(),
            profile: machine.scenario.host.profile.clone(),
            firmware_version: machine.version(),
            slot: state.slots.active().to_string(),
            install_phase: state.slots.phase().name(),
            boot_count: state.boot_count,
            parameters: machine.parameters(),
            parameters_revision: state.parameters_revision,
            default_still_set: state.credentials.default_still_set().into_iter().collect(),
            credentials,
            health: machine.health,
            link: self.status.link(),
        }
    }

    /// The transactions of the open batch.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn transactions(&self) -> io::Result<Vec<Transaction>> {
        self.machine().transactions()
    }

    /// What was downloaded for chip cards, looked at without copying it.
    pub fn downloads<R>(&self, look: impl FnOnce(&Downloads) -> R) -> R {
        look(&self.machine().downloads)
    }
}
