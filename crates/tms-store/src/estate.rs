//! What people change about terminals, one by one and many at once: the parts that both a database and a
//! store in memory decide in the same way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tms_core::configuration::{Revision, Scope};
use tms_core::{
    AttributeName, AttributeValue, Desired, GroupId, IdError, LifeCycle, MerchantId, Place, Profile,
    Reported, Tag, Terminal, TerminalId, Tree, Zone,
};

use crate::error::StoreError;
use crate::store::Result;

/// Most rows of one import, most terminals of one call that names them, and most of one change by selector.
pub const MAX_TERMINALS_AT_ONCE: usize = 200_000;

/// Most refusals that a change of many answers in words; the others are counted.
pub const MAX_REFUSALS: usize = 100;

/// Longest model, hardware revision or serial number, in bytes.
const MAX_TEXT_BYTES: usize = 64;

/// A change that people make to a terminal. What is `None` or empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TerminalChange {
    /// The merchant that it belongs to.
    pub merchant: Option<MerchantId>,
    /// The hardware model.
    pub model: Option<String>,
    /// The hardware revision.
    pub hardware_revision: Option<String>,
    /// The maker's serial number.
    pub serial: Option<String>,
    /// The maker.
    pub vendor: Option<String>,
    /// Where it stands.
    pub time_zone: Option<Zone>,
    /// What may be done with it.
    pub life_cycle: Option<LifeCycle>,
    /// Its group; `Some(None)` takes it out of its group.
    pub group: Option<Option<GroupId>>,
    /// Tags in place of those that it has.
    pub tags: Option<BTreeSet<Tag>>,
    /// Tags to add.
    pub add_tags: BTreeSet<Tag>,
    /// Tags to take away.
    pub remove_tags: BTreeSet<Tag>,
    /// Attributes to set, or, with `None`, to take away.
    pub attributes: BTreeMap<AttributeName, Option<AttributeValue>>,
}

impl TerminalChange {
    /// The terminal after the change, with a version that is one higher; `None` when it is so already.
    /// Whether its group exists is not looked at.
    ///
    /// # Errors
    /// `Invalid` when a text is too long, there are too many tags or attributes, or the life cycle does not
    /// go that way.
    pub fn of(&self, terminal: &Terminal) -> Result<Option<Terminal>> {
        let mut changed = terminal.clone();
        let Place { vendor, time_zone, life_cycle, group, tags, attributes, .. } = &mut changed.place;
        set(&mut changed.merchant, &self.merchant);
        set(&mut changed.model, &self.model);
        set(&mut changed.hardware_revision, &self.hardware_revision);
        set(&mut changed.serial, &self.serial);
        set(vendor, &self.vendor);
        set(time_zone, &self.time_zone);
        set(group, &self.group);
        set(tags, &self.tags);
        tags.retain(|tag| !self.remove_tags.contains(tag));
        tags.extend(self.add_tags.iter().cloned());
        for (name, value) in &self.attributes {
            match value {
                Some(value) => drop(attributes.insert(name.clone(), value.clone())),
                None => drop(attributes.remove(name)),
            }
        }
        if let Some(next) = self.life_cycle {
            if !life_cycle.can_become(next) {
                return Err(StoreError::invalid(format!(
                    "terminal {} is {life_cycle} and cannot become {next}",
                    terminal.id
                )));
            }
            *life_cycle = next;
        }
        if changed == *terminal {
            return Ok(None);
        }
        check(&changed)?;
        changed.place.version = terminal.place.version.saturating_add(1);
        Ok(Some(changed))
    }
}

fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        slot.clone_from(value);
    }
}

fn check(terminal: &Terminal) -> Result<()> {
    let texts = [
        ("model", &terminal.model),
        ("hardware revision", &terminal.hardware_revision),
        ("serial number", &terminal.serial),
    ];
    for (what, text) in texts {
        if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
            return Err(StoreError::invalid(format!(
                "the {what} of terminal {} has {} bytes; it has at most {MAX_TEXT_BYTES}, without control characters",
                terminal.id,
                text.len()
            )));
        }
    }
    terminal.place.check().map_err(|error: IdError| StoreError::invalid(error.to_string()))
}

/// Whether a terminal has its keys: one that was only imported has none, until it is enrolled.
#[must_use]
pub fn is_enrolled(terminal: &Terminal) -> bool {
    !terminal.tmk_sealed.is_empty()
}

/// What an enrolment makes of a terminal that was imported before: what the terminal says of itself and its keys
/// are new, where it stands stays, and it is in use now.
#[must_use]
pub fn enrolled(imported: &Terminal, terminal: Terminal) -> Terminal {
    let mut place = imported.place.clone();
    if place.life_cycle == LifeCycle::Registered {
        place.life_cycle = LifeCycle::Active;
    }
    place.version = place.version.saturating_add(1);
    Terminal { place, ..terminal }
}

/// One row of an import: a new terminal, or a change of one that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// The terminal.
    pub id: TerminalId,
    /// The profile that it speaks; a new terminal needs one, an enrolled one keeps its own.
    pub profile: Option<Profile>,
    /// Everything else; a new terminal needs a merchant, and is `registered` unless something else is said.
    pub change: TerminalChange,
}

impl ImportRow {
    /// What the row makes of the terminal that is known, if one is.
    ///
    /// # Errors
    /// `Invalid` with what is missing or cannot be.
    pub fn of(&self, known: Option<&Terminal>, now: Timestamp) -> Result<(Verdict, Option<Terminal>)> {
        if let Some(known) = known {
            let mut base = known.clone();
            if let Some(profile) = self.profile.as_ref().filter(|profile| **profile != known.profile) {
                if is_enrolled(known) {
                    let (id, has) = (&self.id, &known.profile);
                    return Err(StoreError::invalid(format!(
                        "terminal {id} is enrolled with profile {has}, which only enrolling it again changes"
                    )));
                }
                base.profile = profile.clone();
            }
            return Ok(match (self.change.of(&base)?, base.profile == known.profile) {
                (Some(changed), _) => (Verdict::Changed, Some(changed)),
                (None, true) => (Verdict::Same, None),
                (None, false) => {
                    base.place.version = base.place.version.saturating_add(1);
                    (Verdict::Changed, Some(base))
                }
            });
        }
        let missing = |what| StoreError::invalid(format!("the new terminal {} needs a {what}", self.id));
        let terminal = Terminal {
            id: self.id.clone(),
            merchant: self.change.merchant.clone().ok_or_else(|| missing("merchant"))?,
            profile: self.profile.clone().ok_or_else(|| missing("profile"))?,
            model: String::new(),
            hardware_revision: String::new(),
            serial: String::new(),
            enrolled_at: now,
            sealing_public_key: Vec::new(),
            tmk_sealed: Vec::new(),
            certificate_sha256: None,
            desired: Desired::default(),
            reported: Reported::default(),
            last_contact: None,
            place: Place {
                life_cycle: self.change.life_cycle.unwrap_or(LifeCycle::Registered),
                ..Place::default()
            },
        };
        let mut added = self.change.of(&terminal)?.unwrap_or(terminal);
        check(&added)?;
        added.place.version = 1;
        Ok((Verdict::Added, Some(added)))
    }
}

/// What becomes of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The terminal is new.
    Added,
    /// The terminal is changed.
    Changed,
    /// The terminal is so already.
    Same,
    /// It cannot be, for this reason.
    Refused(String),
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// A verdict for each row, in their order.
    pub verdicts: Vec<Verdict>,
    /// Whether it was done: not when it was a trial, or when a row was refused.
    pub is_applied: bool,
}

/// What became of a change of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BulkChange {
    /// How many terminals were selected.
    pub selected: u64,
    /// How many of them are changed; the others were so already, or were refused.
    pub changed: u64,
    /// How many could not be changed so.
    pub refused: u64,
    /// The first of these, with the reasons; at most [`MAX_REFUSALS`].
    pub refusals: Vec<(TerminalId, String)>,
}

impl BulkChange {
    /// Counts one terminal.
    pub fn count(&mut self, tid: &TerminalId, changed: &Result<Option<Terminal>>) {
        self.selected = self.selected.saturating_add(1);
        match changed {
            Ok(None) => {}
            Ok(Some(_)) => self.changed = self.changed.saturating_add(1),
            Err(reason) => {
                self.refused = self.refused.saturating_add(1);
                if self.refusals.len() < MAX_REFUSALS {
                    self.refusals.push((tid.clone(), reason.to_string()));
                }
            }
        }
    }
}

/// What becomes of a terminal and of the one that takes its place: the old one is retired; the new one gets its
/// merchant and place, and is in use.
///
/// # Errors
/// `Conflict` when the two are one, the old one has been replaced, or the new one is retired.
pub fn replaced(old: &Terminal, new: &Terminal) -> Result<(Terminal, Terminal)> {
    if old.id == new.id {
        return Err(StoreError::conflict(format!("terminal {} cannot take its own place", old.id)));
    }
    if let Some(by) = &old.place.replaced_by {
        return Err(StoreError::conflict(format!("terminal {} has been replaced by {by} already", old.id)));
    }
    if new.place.life_cycle == LifeCycle::Retired {
        return Err(StoreError::conflict(format!("terminal {} is retired", new.id)));
    }
    let mut retired = old.clone();
    retired.place.life_cycle = LifeCycle::Retired;
    retired.place.replaced_by = Some(new.id.clone());
    retired.place.version = old.place.version.saturating_add(1);
    let mut heir = new.clone();
    heir.merchant = old.merchant.clone();
    heir.place = Place {
        vendor: new.place.vendor.clone(),
        life_cycle: if is_enrolled(new) { LifeCycle::Active } else { new.place.life_cycle },
        replaced_by: None,
        version: new.place.version.saturating_add(1),
        ..old.place.clone()
    };
    Ok((retired, heir))
}

/// The detail of an operation that ends because its terminal was replaced.
#[must_use]
pub fn retirement_detail(by: &TerminalId) -> String {
    format!("the terminal was replaced by {by}")
}

/// What the effective configuration of terminals is put together from
/// ([`tms_core::configuration::effective()`]), as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigurationInputs {
    /// Those of the terminals that there are, in the order of their ids.
    pub terminals: Vec<Terminal>,
    /// Their groups, and everything above these.
    pub groups: Tree,
    /// The current revision of every scope that counts for one of them and has any.
    pub current: BTreeMap<Scope, Revision>,
}

/// Refuses a version that is not the one that somebody has seen; `None` takes any.
///
/// # Errors
/// `Stale`.
pub fn seen(what: &'static str, name: impl ToString, seen: Option<u64>, found: u64) -> Result<()> {
    match seen {
        Some(seen) if seen != found => Err(StoreError::Stale { what, name: name.to_string(), seen, found }),
        _ => Ok(()),
    }
}
