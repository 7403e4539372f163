//! A terminal: who it is, what it should be, what it last said it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attribute::Attributes;
use crate::group::GroupId;
use crate::id::{FirmwareId, IdError, MerchantId, Profile, Role, TerminalId};
use crate::schedule::Zone;
use crate::tag::Tag;

/// Most names of each kind that are kept of what a terminal has reported; one message holds no more.
const MAX_REPORTED_NAMES: usize = 128;

/// One enrolled terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Terminal {
    /// Its number (DE41), unique in the estate.
    pub id: TerminalId,
    /// The merchant it belongs to (DE42).
    pub merchant: MerchantId,
    /// The protocol profile that it speaks.
    pub profile: Profile,
    /// Hardware model, as firmware manifests name it.
    pub model: String,
    /// Hardware revision, as firmware manifests name it.
    pub hardware_revision: String,
    /// The maker's serial number.
    pub serial: String,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// The public key to which secrets for this terminal are sealed; raw bytes as made by
    /// `tms_crypto::seal`.
    pub sealing_public_key: Vec<u8>,
    /// The terminal master key, sealed by the host's vault.
    pub tmk_sealed: Vec<u8>,
    /// SHA-256 of its client certificate (DER), 64 lower-case hexadecimal digits.
    pub certificate_sha256: Option<String>,
    /// What it should be.
    pub desired: Desired,
    /// What it last said it is.
    pub reported: Reported,
    /// When it was last heard of.
    pub last_contact: Option<Timestamp>,
    /// Where it stands and what people know it by.
    pub place: Place,
}

/// Where a terminal stands and what people know it by; none of it is known to the terminal itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    /// The maker; empty when it was never said.
    #[serde(default)]
    pub vendor: String,
    /// The time zone in which windows and days are meant.
    #[serde(default)]
    pub time_zone: Zone,
    /// What may be done with it.
    #[serde(default)]
    pub life_cycle: LifeCycle,
    /// The terminal that took its place.
    #[serde(default)]
    pub replaced_by: Option<TerminalId>,
    /// The group that it belongs to.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Words to find it by; at most [`crate::tag::MAX_TAGS`].
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// Values of your own; at most [`crate::attribute::MAX_ATTRIBUTES`].
    #[serde(default)]
    pub attributes: Attributes,
    /// Rises by one with each change that people make to the terminal.
    #[serde(default)]
    pub version: u64,
}

/// Longest name of a maker, in bytes.
pub const MAX_VENDOR_BYTES: usize = 64;

impl Place {
    /// Whether a terminal may have it. Whether the group exists is for whoever knows the groups.
    ///
    /// # Errors
    /// The first member that is too long or too many.
    pub fn check(&self) -> Result<(), IdError> {
        if self.vendor.len() > MAX_VENDOR_BYTES || self.vendor.chars().any(char::is_control) {
            let rule = "it has at most 64 bytes, without control characters";
            return Err(IdError::new("vendor", &self.vendor, rule));
        }
        crate::tag::check(&self.tags)?;
        crate::attribute::check(&self.attributes)
    }
}

/// What may be done with a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LifeCycle {
    /// Known, and not in use yet.
    Registered,
    /// In use.
    #[default]
    Active,
    /// Takes no payments; managed as ever.
    Locked,
    /// Out of use for a while: it is answered, and gets no work.
    Suspended,
    /// Out of use for good.
    Retired,
}

impl LifeCycle {
    /// All of them, in the order of a terminal's life.
    pub const ALL: [Self; 5] = [Self::Registered, Self::Active, Self::Locked, Self::Suspended, Self::Retired];

    /// The word in JSON and in selectors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }

    /// Whether a person may change it so. A retired terminal comes back only as one that is not in use
    /// yet, and none goes back to that otherwise. Staying is always allowed.
    #[must_use]
    pub fn can_become(self, next: Self) -> bool {
        match (self, next) {
            _ if self == next => true,
            (Self::Retired, next) => next == Self::Registered,
            (_, Self::Registered) => false,
            _ => true,
        }
    }

    /// Whether the terminal is given work.
    #[must_use]
    pub fn takes_work(self) -> bool {
        matches!(self, Self::Registered | Self::Active | Self::Locked)
    }
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for LifeCycle {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "it is registered, active, locked, suspended or retired";
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| IdError::new("life cycle", text, rule))
    }
}

/// What people want a terminal to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Desired {
    /// Parameters by name, in canonical spelling (see [`crate::parameters`]).
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Rises by one with every change of `parameters`; 0 means that nothing was ever set.
    #[serde(default)]
    pub parameters_revision: u64,
    /// The firmware that it should run; `None` leaves it alone.
    #[serde(default)]
    pub firmware: Option<FirmwareId>,
    /// The credential generation that should be in force, by role.
    #[serde(default)]
    pub credentials: BTreeMap<Role, u32>,
}

/// What a terminal last said about itself. A report may be partial: what it does not mention keeps
/// its last known value ([`Reported::merge`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reported {
    /// Parameters in force, by name, in canonical spelling.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The last revision of parameters that it applied.
    #[serde(default)]
    pub parameters_revision: Option<u64>,
    /// The version of the firmware that runs.
    #[serde(default)]
    pub firmware_version: Option<String>,
    /// How often it has started since it was made; a rise proves a reset.
    #[serde(default)]
    pub boot_count: Option<u32>,
    /// The credential generation in force, by role.
    #[serde(default)]
    pub credentials: BTreeMap<Role, u32>,
    /// The state of its hardware.
    #[serde(default)]
    pub health: Health,
    /// The name of the flash slot that it runs from.
    #[serde(default)]
    pub flash_slot: Option<String>,
    /// What else it says of itself, by name, for people: whether it is locked, its counters, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// When the report was made.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

impl Reported {
    /// Takes over everything that a newer report mentions and keeps the rest.
    pub fn merge(&mut self, newer: Reported) {
        add(&mut self.parameters, newer.parameters);
        add(&mut self.credentials, newer.credentials);
        add(&mut self.details, newer.details);
        replace(&mut self.parameters_revision, newer.parameters_revision);
        replace(&mut self.firmware_version, newer.firmware_version);
        replace(&mut self.boot_count, newer.boot_count);
        replace(&mut self.flash_slot, newer.flash_slot);
        replace(&mut self.at, newer.at);
        self.health.merge(newer.health);
    }
}

/// The state of a terminal's hardware; `None` means that it has not said, or has no such part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// Charge of the battery, 0 to 100.
    #[serde(default)]
    pub battery_percent: Option<u8>,
    /// Whether the printer has paper.
    #[serde(default)]
    pub paper: Option<bool>,
    /// The printer (status tag 04).
    #[serde(default)]
    pub printer: Option<DeviceState>,
    /// The card reader (status tag 03).
    #[serde(default)]
    pub card_reader: Option<DeviceState>,
    /// The PIN pad (status tag 02).
    #[serde(default)]
    pub pin_pad: Option<DeviceState>,
    /// The keyboard (status tag 01).
    #[serde(default)]
    pub keyboard: Option<DeviceState>,
    /// The display (status tag 05).
    #[serde(default)]
    pub display: Option<DeviceState>,
    /// Whether the tamper switch has been triggered.
    #[serde(default)]
    pub tamper: Option<bool>,
}

impl Health {
    fn merge(&mut self, newer: Health) {
        replace(&mut self.battery_percent, newer.battery_percent);
        replace(&mut self.paper, newer.paper);
        replace(&mut self.printer, newer.printer);
        replace(&mut self.card_reader, newer.card_reader);
        replace(&mut self.pin_pad, newer.pin_pad);
        replace(&mut self.keyboard, newer.keyboard);
        replace(&mut self.display, newer.display);
        replace(&mut self.tamper, newer.tamper);
    }
}

/// Whether a part of the terminal works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeviceState {
    /// It works (`1` in a UnionPay status upload).
    Ok,
    /// It does not (`0`).
    Fault,
}

/// Adds what is newer. Names come from the terminal: when it has given too many, only the latest stay.
fn add<K: Ord, V>(known: &mut BTreeMap<K, V>, newer: BTreeMap<K, V>) {
    let unknown = newer.keys().filter(|name| !known.contains_key(*name)).count();
    if known.len().saturating_add(unknown) > MAX_REPORTED_NAMES {
        known.clear();
    }
    known.extend(newer);
}

fn replace<T>(slot: &mut Option<T>, newer: Option<T>) {
    if newer.is_some() {
        *slot = newer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_invents_names_in_every_report_is_not_remembered_without_end() {
        let mut known = Reported::default();
        for n in 0..1_000 {
            let parameters = (0..10).map(|k| (format!("p{n}_{k}"), "1".to_owned())).collect();
            let credentials = [(format!("r{n}").parse().unwrap(), n)].into();
            known.merge(Reported { parameters, credentials, ..Reported::default() });
        }
        assert!(known.parameters.len() <= MAX_REPORTED_NAMES && known.parameters.contains_key("p999_0"));
        assert!(known.credentials.len() <= MAX_REPORTED_NAMES);
    }

    #[test]
    fn a_partial_report_keeps_what_it_does_not_mention() {
        let mut known = Reported {
            firmware_version: Some("1.0.0".into()),
            boot_count: Some(3),
            health: Health { battery_percent: Some(80), printer: Some(DeviceState::Ok), ..Health::default() },
            ..Reported::default()
        };
        known.merge(Reported {
            boot_count: Some(4),
            health: Health { printer: Some(DeviceState::Fault), ..Health::default() },
            ..Reported::default()
        });
        assert_eq!(known.firmware_version.as_deref(), Some("1.0.0"));
        assert_eq!(known.boot_count, Some(4));
        assert_eq!(known.health.battery_percent, Some(80));
        assert_eq!(known.health.printer, Some(DeviceState::Fault));
    }

    #[test]
    fn a_terminal_of_which_nothing_more_is_known_is_active_in_shanghai() {
        let place: Place = serde_json::from_str("{}").unwrap();
        assert_eq!(place, Place::default());
        assert_eq!((place.life_cycle, place.time_zone.as_str()), (LifeCycle::Active, "Asia/Shanghai"));
    }

    #[test]
    fn a_place_has_an_end() {
        let place = |vendor: &str| Place { vendor: vendor.to_owned(), ..Place::default() };
        assert_eq!(place("百富 PAX").check(), Ok(()));
        for bad in ["a\nb", &"x".repeat(65)] {
            assert!(place(bad).check().unwrap_err().to_string().contains("at most 64 bytes"));
        }
        let tags = (0..40).map(|n| format!("t{n}").parse().unwrap()).collect();
        assert!(Place { tags, ..Place::default() }.check().is_err());
    }

    #[test]
    fn a_retired_terminal_comes_back_only_through_the_beginning() {
        for from in LifeCycle::ALL {
            assert_eq!(from.name().parse::<LifeCycle>().unwrap(), from);
            assert_eq!(from.can_become(LifeCycle::Active), from != LifeCycle::Retired, "{from}");
            let back = matches!(from, LifeCycle::Registered | LifeCycle::Retired);
            assert_eq!(from.can_become(LifeCycle::Registered), back, "{from}");
            assert!(from.can_become(LifeCycle::Retired));
        }
    }

    #[test]
    fn state_written_before_a_member_existed_still_reads() {
        let reported: Reported = serde_json::from_str("{}").unwrap();
        assert_eq!(reported, Reported::default());
        let desired: Desired = serde_json::from_str("{\"parameters_revision\":2}").unwrap();
        assert_eq!(desired.parameters_revision, 2);
    }
}
