//! Sets that all terminals have: what is in force at a terminal was published as it is, and in the end it
//! is the newest.

use jiff::{SignedDuration, civil::date};
use serde_json::Value;
use testkit::link::Mode;
use tms_core::{EstateSet, OperationKind, SetName};
use tms_proto::{
    Function, Profile,
    emv::{
        Aid, AidParameters, AidSet, Blacklist, Capk, CapkId, CapkSet, CardList, CardPrefix, ContactlessSet,
        ContactlessTemplate, Expiry, Offer,
    },
    tms_parameters::{Content, CurrentTask, TmsParameters, TmsTask},
};
use tms_server::service;
use tms_store::Store;
use tms_terminal::Downloads;

use super::{Checked, Due, World};
use crate::{
    host::ready,
    options::{Sabotage, Work},
    outcome::invariant,
    trace::Happened,
};

/// How often somebody publishes a set.
const MEAN: SignedDuration = SignedDuration::from_mins(25);

/// Every version of every set that the host was given.
#[derive(Debug, Default)]
pub(crate) struct Published {
    capks: Vec<CapkSet>,
    aids: Vec<AidSet>,
    blacklists: Vec<Blacklist>,
    tms_parameters: Vec<TmsParameters>,
    contactless: Vec<ContactlessSet>,
    pin_free_bins: Vec<CardList>,
    pin_free_blacklists: Vec<CardList>,
}

impl World {
    pub(super) fn schedule_sets(&mut self) {
        let wait = self.sets_rng.wait(MEAN);
        if self.options.work.contains(&Work::Sets) {
            self.in_(wait, Due::Publisher);
        }
    }

    /// Somebody publishes a set for all terminals.
    pub(super) fn publish(&mut self) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.schedule_sets();
        let (name, value) = (SetName::ALL[self.sets_rng.index(SetName::ALL.len())], self.sets_rng.u64());
        let Some(app) = self.host.app.clone() else { return Ok(()) };
        let mut content = set(name, value);
        // Also where it is not acknowledged: it may be there all the same.
        self.published.add(name, &content);
        if self.is_broken(Sabotage::HalfSet) {
            half(&mut content);
        }
        if ready(service::put_set(&app, name, &content)).is_ok() {
            self.counts.sets += 1;
        }
        self.note(None, Happened::Published { what: name.name() });
        self.touch_all();
        Ok(())
    }

    /// Looks at the sets in force at a terminal, when it has just saved them.
    pub(super) fn look_at_sets(&mut self, place: usize) -> Checked {
        if !self.terminals[place].storage.saved_sets() || !self.protects_sets(place) {
            return Ok(());
        }
        let Some(device) = self.terminals[place].device.clone() else { return Ok(()) };
        self.checked(invariant::SETS);
        let unknown = device.downloads(|sets| self.published.lacks(sets));
        match unknown {
            None => Ok(()),
            Some(name) => {
                let what = format!("the set {name} in force is none that was published");
                Err(self.violation(Some(place), invariant::SETS, what))
            }
        }
    }

    /// Whether anything keeps sets from being changed on their way. UnionPay's downloads have no number by
    /// which an answer could be told from another's, so that no MAC is asked for.
    fn protects_sets(&self, place: usize) -> bool {
        let variety = self.terminals[place].variety;
        variety.mode == Mode::Protected || variety.profile.pushes()
    }

    /// The set of a terminal that is not the newest one.
    pub(super) fn old_set(&self, place: usize) -> Option<SetName> {
        if !self.protects_sets(place) {
            return None;
        }
        let terminal = &self.terminals[place];
        let device = terminal.device.as_ref()?;
        let offer = self.host.store.look(|contents| offer(contents.sets.values()));
        // What it lost by going back to the state of delivery is not given to it again before it changes.
        let reset = self.newest(place, |kind| matches!(kind, OperationKind::FactoryReset)).is_some();
        device.downloads(|sets| {
            SetName::ALL.into_iter().filter(|name| is_for(*name, &terminal.variety.profile)).find(|name| {
                let (same, none) = match name {
                    SetName::Capks => (sets.capk == offer.capks, sets.capk.is_empty()),
                    SetName::Aids => (sets.aid == offer.aids, sets.aid.is_empty()),
                    SetName::Blacklist => (sets.blacklist == offer.blacklist, sets.blacklist.is_empty()),
                    SetName::TmsParameters => {
                        (sets.tms_parameters == offer.tms_parameters, sets.tms_parameters.is_none())
                    }
                    SetName::Contactless => {
                        (sets.contactless == offer.contactless, sets.contactless.is_empty())
                    }
                    SetName::PinFreeBins => {
                        (sets.pin_free_bins == offer.pin_free_bins, sets.pin_free_bins.is_empty())
                    }
                    SetName::PinFreeBlacklist => (
                        sets.pin_free_blacklist == offer.pin_free_blacklist,
                        sets.pin_free_blacklist.is_empty(),
                    ),
                };
                !(same || (none && reset))
            })
        })
    }

    /// The sets of a terminal, at the end.
    pub(super) fn check_sets(&mut self, place: usize) -> Checked {
        self.checked(invariant::SETS);
        match self.old_set(place) {
            None => Ok(()),
            Some(name) => {
                let what = format!("the newest set {name} is not in force");
                Err(self.violation(Some(place), invariant::SETS, what))
            }
        }
    }

    /// Puts a set into the store so that no session learns of it.
    pub(super) fn publish_silently(&mut self) {
        let content = set(SetName::Blacklist, 7).to_string();
        let _ = ready(self.host.store.put_set(SetName::Blacklist, content, None, self.clock.now()));
    }
}

impl Published {
    fn add(&mut self, name: SetName, content: &Value) {
        let content = content.to_string();
        match name {
            SetName::Capks => self.capks.push(serde_json::from_str(&content).expect("keys")),
            SetName::Aids => self.aids.push(serde_json::from_str(&content).expect("applications")),
            SetName::Blacklist => self.blacklists.push(serde_json::from_str(&content).expect("cards")),
            SetName::TmsParameters => {
                self.tms_parameters.push(serde_json::from_str(&content).expect("TMS parameters"));
            }
            SetName::Contactless => self.contactless.push(serde_json::from_str(&content).expect("templates")),
            SetName::PinFreeBins => self.pin_free_bins.push(serde_json::from_str(&content).expect("cards")),
            SetName::PinFreeBlacklist => {
                self.pin_free_blacklists.push(serde_json::from_str(&content).expect("cards"));
            }
        }
    }

    /// The set of a terminal that nobody published. A terminal that has none yet has an empty one; keys are
    /// in force one by one.
    fn lacks(&self, sets: &Downloads) -> Option<SetName> {
        let known_key = |key: &Capk| self.capks.iter().any(|set| set.get(key.id()) == Some(key));
        let known = [
            (SetName::Capks, sets.capk.iter().all(known_key)),
            (SetName::Aids, sets.aid.is_empty() || self.aids.contains(&sets.aid)),
            (SetName::Blacklist, sets.blacklist.is_empty() || self.blacklists.contains(&sets.blacklist)),
            (
                SetName::TmsParameters,
                sets.tms_parameters.as_ref().is_none_or(|set| self.tms_parameters.contains(set)),
            ),
            (
                SetName::Contactless,
                sets.contactless.is_empty() || self.contactless.contains(&sets.contactless),
            ),
            (
                SetName::PinFreeBins,
                sets.pin_free_bins.is_empty() || self.pin_free_bins.contains(&sets.pin_free_bins),
            ),
            (
                SetName::PinFreeBlacklist,
                sets.pin_free_blacklist.is_empty()
                    || self.pin_free_blacklists.contains(&sets.pin_free_blacklist),
            ),
        ];
        known.into_iter().find(|(_, known)| !known).map(|(name, _)| name)
    }
}

/// What the host would give of these sets.
fn offer<'a>(sets: impl Iterator<Item = &'a EstateSet>) -> Offer {
    let mut offer = Offer::default();
    for set in sets {
        let content = set.content.as_str();
        match set.name {
            SetName::Capks => offer.capks = serde_json::from_str(content).expect("keys"),
            SetName::Aids => offer.aids = serde_json::from_str(content).expect("applications"),
            SetName::Blacklist => offer.blacklist = serde_json::from_str(content).expect("cards"),
            SetName::TmsParameters => {
                offer.tms_parameters = serde_json::from_str(content).expect("TMS parameters");
            }
            SetName::Contactless => offer.contactless = serde_json::from_str(content).expect("templates"),
            SetName::PinFreeBins => offer.pin_free_bins = serde_json::from_str(content).expect("cards"),
            SetName::PinFreeBlacklist => {
                offer.pin_free_blacklist = serde_json::from_str(content).expect("cards");
            }
        }
    }
    offer
}

/// Whether terminals of a profile get a set: it is pushed, or they have a question for it.
fn is_for(name: SetName, profile: &Profile) -> bool {
    let (file, question) = match name {
        SetName::Capks => ("CAPK", Function::CapkList),
        SetName::Aids => ("AID", Function::AidList),
        SetName::Blacklist => ("BLACKLIST", Function::Blacklist),
        SetName::TmsParameters => ("", Function::TmsParameters),
        SetName::Contactless => ("", Function::Contactless),
        SetName::PinFreeBins => ("", Function::PinFreeBins),
        SetName::PinFreeBlacklist => ("", Function::PinFreeBlacklist),
    };
    let pushed = profile
        .rule(Function::ParameterPush)
        .is_some_and(|rule| profile.pushes() && rule.files.iter().any(|known| known == file));
    pushed || profile.rule(question).is_some()
}

/// A set as an operator gives it.
fn set(name: SetName, value: u64) -> Value {
    let some = |most: u64| (0..most).filter(move |n| *n == value % most || (value >> (n + 8)) & 1 == 1);
    let json = match name {
        SetName::Capks => {
            let mut keys = CapkSet::default();
            for index in some(8) {
                // Another key of the same number has another expiry: terminals go by that.
                let other = (value >> (24 + index)) & 1;
                let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: index as u8 };
                let expiry = Expiry::new(date(2030 + other as i16, 12, 31)).expect("an expiry");
                let key = Capk::new(id, expiry, &[0xB5 ^ other as u8; 144], &[3]).expect("a key");
                keys.insert(key).expect("room");
            }
            serde_json::to_value(keys)
        }
        SetName::Aids => {
            let mut applications = AidSet::default();
            for number in some(5) {
                let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, number as u8]).expect("an AID");
                let floor_limit = Some((value >> (24 + number)) as u32 % 10_000);
                let parameters = AidParameters { floor_limit, ..AidParameters::new(aid) };
                applications.insert(parameters).expect("room");
            }
            serde_json::to_value(applications)
        }
        SetName::Blacklist | SetName::PinFreeBins | SetName::PinFreeBlacklist => {
            // In ascending order, in which a push has them too.
            let card = |n: u64| CardPrefix::new(&format!("622{:07}", value % 9_000_000 + n * 977));
            let cards: Vec<_> = (0..1 + value % 150).map(|n| card(n).expect("a card")).collect();
            serde_json::to_value(CardList::try_from(cards).expect("room"))
        }
        SetName::Contactless => {
            let template = |n: u64| format!("FF805D089F0605A0000003{:02X}", (value + n) % 256);
            let template = |n| ContactlessTemplate::try_from(template(n)).expect("a template");
            let templates: Vec<_> = (0..1 + value % 20).map(template).collect();
            serde_json::to_value(ContactlessSet::try_from(templates).expect("room"))
        }
        SetName::TmsParameters => serde_json::to_value(tms_parameters(value)),
    };
    json.expect("JSON")
}

fn tms_parameters(value: u64) -> TmsParameters {
    let host = format!("192.0.2.{}:9001", value % 250);
    TmsParameters {
        platform: "SIM".into(),
        limit_date: Some(date(2030, 5, 31)),
        timing: "1001".into(),
        phones: ["15842665874".into(), format!("{:011}", value % 10_000_000_000)],
        hosts: [host.clone(), host],
        task: TmsTask::Current(Box::new(CurrentTask {
            content: Content::CardApplication("100000".into()),
            code: "7001".into(),
            gprs: "CMNET|tms|tms|127.0.0.1|10001".into(),
            cdma: "tms@sim|tms|127.0.0.1|10001".into(),
            check_code: format!("{value:032X}"),
            redial_s: (value % 9_999) as u16,
            prompt: "tms".into(),
            tpdu: "6066660000".into(),
            start: Some(date(2026, 5, 1).at(0, 0, 0, 0)),
            end: Some(date(2030, 5, 31).at(0, 0, 0, 0)),
        })),
    }
}

/// Loses a half of a set on its way into the store.
fn half(content: &mut Value) {
    match content {
        Value::Array(all) if all.len() > 1 => all.truncate(all.len() / 2),
        Value::Array(_) => {}
        other => other["platform"] = "HALF".into(),
    }
}
