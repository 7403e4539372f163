//! Installing as a state machine over two slots, without I/O.
//!
//! ```text
//!  Settled ──begin──▶ Writing ──verified──▶ Ready ──boot──▶ Trial ──confirm──▶ Settled (new image)
//!     ▲                  │ cancel, mismatch    │ cancel        │ fall_back, or too many boots
//!     └──────────────────┴────────────────────┴───────────────┴──▶ Settled (old image)
//! ```
//!
//! The caller keeps [`SlotState`] durably and writes it *before* acting on a transition: then a power
//! cut at any moment leaves a state whose active slot holds a whole, verified image. Only the slot
//! that does not run is ever written.

use serde::{Deserialize, Serialize};

use crate::{envelope::VerifiedManifest, manifest::Manifest, version::Version};

mod error;

pub use error::InstallError;

/// How often an unconfirmed image may boot before the previous one takes over again. More than one,
/// so that a power cut during a healthy first boot does not cost the update.
pub const TRIAL_BOOTS: u8 = 3;

/// One of the two places for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The one that is not this.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// What a terminal is, as far as a manifest asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its model.
    pub model: String,
    /// Its hardware revision.
    pub hardware_revision: String,
    /// How much one slot holds.
    pub slot_bytes: u64,
}

/// An image in a slot, or on its way there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its version.
    pub version: Version,
    /// Its security counter.
    pub security_counter: u32,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, hexadecimal in JSON.
    #[serde(with = "hex::serde")]
    pub sha256: [u8; 32],
}

impl Image {
    fn of(manifest: &Manifest) -> Self {
        Self {
            version: manifest.version.clone(),
            security_counter: manifest.security_counter,
            size_bytes: manifest.size_bytes,
            sha256: manifest.sha256,
        }
    }
}

/// Where an installation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Phase {
    /// Nothing is going on; the active image is confirmed.
    Settled,
    /// The image is being written to the slot that does not run.
    Writing {
        /// What is being written.
        image: Image,
    },
    /// The image lies verified in the slot that does not run; the next boot tries it.
    Ready,
    /// The active image runs but has not confirmed that it is healthy.
    Trial {
        /// Boots left before the previous image takes over.
        boots_left: u8,
    },
}

impl Phase {
    /// The state's name, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Writing { .. } => "writing",
            Self::Ready => "ready",
            Self::Trial { .. } => "trial",
        }
    }
}

/// What a boot did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The confirmed image runs, as before.
    Normal,
    /// An unconfirmed image runs. It must [confirm](SlotState::confirm) or will be given up.
    Trial,
    /// The unconfirmed image was given up; the previous one runs.
    FellBack {
        /// What was given up.
        failed: Image,
    },
}

/// Both slots, which one runs, and how far an installation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct SlotState {
    active: Slot,
    slot_a: Option<Image>,
    slot_b: Option<Image>,
    /// The highest security counter that was ever confirmed here.
    counter_floor: u32,
    #[serde(flatten)]
    phase: Phase,
}

#[derive(Deserialize)]
struct Unchecked {
    active: Slot,
    slot_a: Option<Image>,
    slot_b: Option<Image>,
    counter_floor: u32,
    #[serde(flatten)]
    phase: Phase,
}

impl TryFrom<Unchecked> for SlotState {
    type Error = String;

    fn try_from(read: Unchecked) -> Result<Self, String> {
        let Unchecked { active, slot_a, slot_b, counter_floor, phase } = read;
        let state = Self { active, slot_a, slot_b, counter_floor, phase };
        if state.slot(active).is_none() {
            return Err(format!("slot {active} is active but empty"));
        }
        if matches!(state.phase, Phase::Ready | Phase::Trial { .. }) && state.slot(active.other()).is_none() {
            return Err(format!("state {} needs an image in both slots", state.phase.name()));
        }
        Ok(state)
    }
}

impl SlotState {
    /// A terminal as it left the factory: `image` confirmed in slot A.
    #[must_use]
    pub fn factory(image: Image) -> Self {
        Self {
            active: Slot::A,
            counter_floor: image.security_counter,
            slot_a: Some(image),
            slot_b: None,
            phase: Phase::Settled,
        }
    }

    /// The slot that runs.
    #[must_use]
    pub fn active(&self) -> Slot {
        self.active
    }

    /// What a slot holds. A slot that is being written holds nothing.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> Option<&Image> {
        match slot {
            Slot::A => self.slot_a.as_ref(),
            Slot::B => self.slot_b.as_ref(),
        }
    }

    /// The image that runs. There always is one.
    #[must_use]
    pub fn running(&self) -> Option<&Image> {
        self.slot(self.active)
    }

    /// How far an installation is.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The lowest security counter that may still be installed.
    #[must_use]
    pub fn counter_floor(&self) -> u32 {
        self.counter_floor
    }

    /// Whether this terminal may install what the manifest describes.
    ///
    /// # Errors
    /// [`InstallError`] for another model or hardware revision, a rollback by version or by security
    /// counter, an image that runs already, or one that does not fit.
    pub fn admit(&self, verified: &VerifiedManifest, device: &Device) -> Result<(), InstallError> {
        let manifest = verified.manifest();
        if !manifest.is_for_model(&device.model) {
            return Err(InstallError::WrongModel {
                models: manifest.models.join(", "),
                model: device.model.clone(),
            });
        }
        if !manifest.is_for_hardware(&device.hardware_revision) {
            return Err(InstallError::WrongHardware {
                revisions: manifest.hardware_revisions.join(", "),
                revision: device.hardware_revision.clone(),
            });
        }
        if manifest.security_counter < self.counter_floor {
            return Err(InstallError::RollbackCounter {
                offered: manifest.security_counter,
                floor: self.counter_floor,
            });
        }
        if let Some(running) = self.running() {
            if *running == Image::of(manifest) {
                return Err(InstallError::AlreadyRunning { version: manifest.version.clone() });
            }
            if manifest.version <= running.version {
                return Err(InstallError::RollbackVersion {
                    offered: manifest.version.clone(),
                    running: running.version.clone(),
                });
            }
        }
        if manifest.size_bytes > device.slot_bytes {
            return Err(InstallError::TooLarge {
                size_bytes: manifest.size_bytes,
                slot_bytes: device.slot_bytes,
            });
        }
        Ok(())
    }

    /// Starts, or takes up again, writing an admissible image to the slot that does not run, and
    /// says which one that is. What the slot held is given up.
    ///
    /// # Errors
    /// As [`SlotState::admit`]; [`InstallError::WrongState`] while an image is on trial, because the
    /// other slot is the way back.
    pub fn begin(&mut self, verified: &VerifiedManifest, device: &Device) -> Result<Slot, InstallError> {
        if matches!(self.phase, Phase::Trial { .. }) {
            return Err(self.wrong("begin an installation"));
        }
        self.admit(verified, device)?;
        let target = self.active.other();
        self.put(target, None);
        self.phase = Phase::Writing { image: Image::of(verified.manifest()) };
        Ok(target)
    }

    /// Takes the written image as whole and genuine: its size and hash, computed over what lies in the
    /// slot, are those of a manifest that is verified now and is the one writing began with.
    ///
    /// # Errors
    /// [`InstallError::SizeMismatch`] or [`InstallError::HashMismatch`], after which nothing is being
    /// installed any more; [`InstallError::WrongState`] when nothing, or something else, is being written.
    pub fn verified(
        &mut self,
        verified: &VerifiedManifest,
        size_bytes: u64,
        sha256: &[u8; 32],
    ) -> Result<(), InstallError> {
        let Phase::Writing { image } = &self.phase else {
            return Err(self.wrong("accept a written image"));
        };
        if *image != Image::of(verified.manifest()) {
            return Err(self.wrong("accept an image other than the one being written"));
        }
        let image = image.clone();
        self.phase = Phase::Settled;
        if image.size_bytes != size_bytes {
            return Err(InstallError::SizeMismatch { expected: image.size_bytes, found: size_bytes });
        }
        if image.sha256 != *sha256 {
            return Err(InstallError::HashMismatch {
                expected: hex::encode(image.sha256),
                found: hex::encode(sha256),
            });
        }
        self.put(self.active.other(), Some(image));
        self.phase = Phase::Ready;
        Ok(())
    }

    /// The terminal starts. Whatever boots is afterwards [`SlotState::running`].
    pub fn boot(&mut self) -> Boot {
        match self.phase {
            Phase::Settled | Phase::Writing { .. } => Boot::Normal,
            Phase::Ready => {
                self.active = self.active.other();
                self.phase = Phase::Trial { boots_left: TRIAL_BOOTS.saturating_sub(1) };
                Boot::Trial
            }
            Phase::Trial { boots_left: 0 } => {
                self.give_up().map_or(Boot::Normal, |failed| Boot::FellBack { failed })
            }
            Phase::Trial { boots_left } => {
                self.phase = Phase::Trial { boots_left: boots_left.saturating_sub(1) };
                Boot::Trial
            }
        }
    }

    /// The image on trial is healthy and stays. From now on nothing with a lower counter installs.
    ///
    /// # Errors
    /// [`InstallError::WrongState`] when no image is on trial.
    pub fn confirm(&mut self) -> Result<(), InstallError> {
        if !matches!(self.phase, Phase::Trial { .. }) {
            return Err(self.wrong("confirm an image"));
        }
        self.phase = Phase::Settled;
        let counter = self.running().map_or(0, |image| image.security_counter);
        self.counter_floor = self.counter_floor.max(counter);
        Ok(())
    }

    /// The image on trial is not healthy: the previous one is active again, at once.
    ///
    /// # Errors
    /// [`InstallError::WrongState`] when no image is on trial.
    pub fn fall_back(&mut self) -> Result<Image, InstallError> {
        match self.phase {
            Phase::Trial { .. } => self.give_up().ok_or_else(|| self.wrong("fall back")),
            _ => Err(self.wrong("fall back")),
        }
    }

    /// Gives up an installation that has not booted yet. Does nothing when there is none.
    ///
    /// # Errors
    /// [`InstallError::WrongState`] while an image is on trial; that one confirms or falls back.
    pub fn cancel(&mut self) -> Result<(), InstallError> {
        match self.phase {
            Phase::Trial { .. } => Err(self.wrong("cancel an installation")),
            Phase::Settled => Ok(()),
            Phase::Writing { .. } | Phase::Ready => {
                self.put(self.active.other(), None);
                self.phase = Phase::Settled;
                Ok(())
            }
        }
    }

    fn give_up(&mut self) -> Option<Image> {
        let failed = self.running().cloned();
        self.put(self.active, None);
        self.active = self.active.other();
        self.phase = Phase::Settled;
        failed
    }

    fn put(&mut self, slot: Slot, image: Option<Image>) {
        match slot {
            Slot::A => self.slot_a = image,
            Slot::B => self.slot_b = image,
        }
    }

    fn wrong(&self, action: &'static str) -> InstallError {
        InstallError::WrongState { action, state: self.phase.name() }
    }
}

#[cfg(test)]
mod tests;
