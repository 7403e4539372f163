//! Configuration on a store in memory.

use std::sync::Arc;

use futures::FutureExt;
use testkit::MemoryStore;
use testkit::clock::Clock;
use testkit::store::CallFault;
use tms_core::{Group, GroupKind, LifeCycle, Reported, Terms};
use tms_crypto::vault::Vault;
use tms_store::Store;
use tms_store::estate::{ImportRow, TerminalChange};

use super::*;
use crate::app::{Limits, Objects};

fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("everything in memory is ready at once")
}

struct World {
    store: Arc<MemoryStore>,
    clock: Clock,
    app: App,
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn new(of: &str, pairs: &[(&str, &str)]) -> NewRevision {
    NewRevision { scope: scope(of), values: values(pairs), author: "li".to_owned(), reason: "why".to_owned() }
}

impl World {
    /// A bank with the template `standard` and a branch, under which terminals 1 to 3 stand; number 4 stands nowhere.
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Clock::new("2026-11-30T12:00:00Z".parse().unwrap());
        let now = clock.clone();
        let (vault, limits, objects) = (Vault::with_key(&[7; 32]), Limits::default(), Objects::memory());
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let app = App::new(shared, vault, objects, None, limits, move || now.now());
        let group = |id: &str, parent: Option<&str>, templates: &[&str]| Group {
            id: id.parse().unwrap(),
            parent: parent.map(|parent| parent.parse().unwrap()),
            kind: GroupKind::Other,
            name: id.to_owned(),
            templates: templates.iter().map(|template| template.parse().unwrap()).collect(),
            attributes: Default::default(),
            version: 0,
        };
        ready(store.put_group(group("bank", None, &["standard"]), None)).unwrap();
        ready(store.put_group(group("branch", Some("bank"), &[]), None)).unwrap();
        let row = |number: u32| ImportRow {
            id: format!("1000000{number}").parse().unwrap(),
            profile: Some(tms_core::Profile::iso87()),
            change: TerminalChange {
                merchant: Some("102310060510002".parse().unwrap()),
                life_cycle: Some(LifeCycle::Active),
                group: (number < 4).then(|| Some("branch".parse().unwrap())),
                ..TerminalChange::default()
            },
        };
        let imported = ready(store.import_terminals((1..=4).map(row).collect(), false, clock.now())).unwrap();
        assert!(imported.is_applied);
        Self { store, clock, app }
    }

    fn set(&self, of: &str, pairs: &[(&str, &str)]) -> Revision {
        ready(set(&self.app, new(of, pairs), None)).unwrap()
    }

    fn apply(&self, selector: Selector, dry_run: bool) -> Applied {
        let new = NewApply { selector, terms: Terms::default(), expires_at: None, dry_run };
        ready(apply(&self.app, new)).unwrap()
    }

    fn terminal(&self, tid: &str) -> Terminal {
        ready(self.store.terminal(&tid.parse().unwrap())).unwrap().unwrap()
    }
}

#[test]
fn values_are_checked_kept_with_who_and_why_and_not_kept_twice() {
    let world = World::new();
    let wrong =
        ready(set(&world.app, new("template:standard", &[("retries", "99"), ("timeuot_s", "1")]), None));
    let said = wrong.unwrap_err().to_string();
    assert!(said.contains("from 0 to 9") && said.contains("did you mean \"timeout_s\""), "{said}");
    let first = world.set("template:standard", &[("retries", "007")]);
    assert_eq!((first.number, first.author.as_str(), first.reason.as_str()), (1, "li", "why"));
    assert_eq!(first.values, values(&[("retries", "7")]));
    assert_eq!(world.set("template:standard", &[("retries", "7")]), first, "it is there already");
    let stale = ready(set(&world.app, new("template:standard", &[("retries", "1")]), Some(0))).unwrap_err();
    assert!(matches!(stale, ServiceError::Store(StoreError::Stale { seen: 0, found: 1, .. })), "{stale}");
    assert_eq!(ready(set(&world.app, new("template:standard", &[]), Some(1))).unwrap().number, 2);
    let unknown = ready(set(&world.app, new("group:nowhere", &[]), None)).unwrap_err();
    assert!(matches!(unknown, ServiceError::Store(StoreError::NotFound { .. })), "{unknown}");
}

#[test]
fn an_answer_that_was_lost_makes_no_second_revision() {
    let world = World::new();
    world.store.on_call(|call| if call == "add_revision" { CallFault::AnswerLost } else { CallFault::None });
    assert!(ready(set(&world.app, new("group:bank", &[("retries", "1")]), None)).is_err());
    world.store.heal();
    assert_eq!(world.set("group:bank", &[("retries", "1")]).number, 1);
    world.set("group:bank", &[("retries", "2")]);
    world.store.on_call(|call| if call == "add_revision" { CallFault::AnswerLost } else { CallFault::None });
    assert!(ready(roll_back(&world.app, &scope("group:bank"), 1, "li", "", None)).is_err());
    world.store.heal();
    let back = ready(roll_back(&world.app, &scope("group:bank"), 1, "li", "", None)).unwrap();
    assert_eq!((back.number, back.rolled_back_from), (3, Some(1)));
}

#[test]
fn revisions_differ_and_are_brought_back() {
    let world = World::new();
    world.set("group:bank", &[("retries", "1"), ("timeout_s", "30")]);
    world.set("group:bank", &[("retries", "2")]);
    let bank = scope("group:bank");
    let differ = |from, to| ready(differences(&world.app, &bank, from, to)).unwrap();
    let change = |name: &str, before: Option<&str>, after: Option<&str>| Change {
        name: name.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    assert_eq!(
        differ(1, 2),
        [change("retries", Some("1"), Some("2")), change("timeout_s", Some("30"), None)]
    );
    assert_eq!(differ(0, 2), [change("retries", None, Some("2"))]);
    assert!(ready(differences(&world.app, &bank, 1, 9)).is_err());
    let back = ready(roll_back(&world.app, &bank, 1, "wang", "too many", Some(2))).unwrap();
    assert_eq!((back.number, back.author.as_str(), back.reason.as_str()), (3, "wang", "too many"));
    assert_eq!(differ(1, 3), []);
    let none = ready(roll_back(&world.app, &bank, 7, "wang", "", None)).unwrap_err();
    assert!(matches!(none, ServiceError::Store(StoreError::NotFound { .. })), "{none}");
}

#[test]
fn a_preview_says_where_each_value_comes_from_and_what_a_change_would_do() {
    let world = World::new();
    world.set("template:standard", &[("retries", "1"), ("timeout_s", "30")]);
    world.set("group:branch", &[("retries", "2")]);
    let tid: TerminalId = "10000001".parse().unwrap();
    let found = ready(preview(&world.app, &tid, None)).unwrap();
    let entry = &found.effective.entries["retries"];
    assert_eq!((entry.value.as_str(), entry.source.scope.to_string().as_str()), ("2", "group:branch"));
    assert_eq!(entry.overrides[0].source.scope, scope("template:standard"));
    assert_eq!(found.drift.not_applied.len(), 2);
    assert_eq!(found.sha256, hex::encode(content_hash(&values(&[("retries", "2"), ("timeout_s", "30")]))));
    let would =
        ready(preview(&world.app, &tid, Some(new("terminal:10000001", &[("retries", "3")])))).unwrap();
    assert_eq!(would.effective.entries["retries"].value, "3");
    assert_eq!(ready(preview(&world.app, &tid, None)).unwrap(), found, "nothing was set");
    let no_way = Some(new("terminal:10000001", &[("merchant_name", "{{terminal.attr.shop}}")]));
    let refused = ready(preview(&world.app, &tid, no_way)).unwrap_err();
    assert!(refused.to_string().contains("terminal.attr.shop"), "{refused}");
}

#[test]
fn what_is_configured_for_a_group_is_applied_to_those_under_it_once() {
    let world = World::new();
    world.set("template:standard", &[("retries", "1")]);
    world.set("terminal:10000003", &[("merchant_name", "{{terminal.attr.shop}}")]);
    let bank = group(&"bank".parse().unwrap()).unwrap();
    let trial = world.apply(bank.clone(), true);
    assert_eq!((trial.selected, trial.changed, trial.refused, &trial.batch), (3, 2, 1, &None));
    assert_eq!(world.terminal("10000001").desired.parameters_revision, 0);

    let done = world.apply(bank.clone(), false);
    assert_eq!(Applied { batch: None, ..done.clone() }, trial);
    assert_eq!(done.refusals[0].0.as_str(), "10000003");
    let desired = world.terminal("10000001").desired;
    assert_eq!((desired.parameters, desired.parameters_revision), (values(&[("retries", "1")]), 1));
    let made = ready(world.store.batch(&done.batch.unwrap(), None, 10)).unwrap();
    assert_eq!(made.len(), 2);
    let again = world.apply(bank.clone(), false);
    assert_eq!((again.changed, again.same, again.batch), (0, 2, None));
    // Only those that get something else get anything.
    world.set("terminal:10000002", &[("retries", "2")]);
    assert_eq!(world.apply(bank, false).changed, 1);
    assert_eq!(world.terminal("10000001").desired.parameters_revision, 1);
    assert_eq!(world.terminal("10000002").desired.parameters["retries"], "2");
}

#[test]
fn an_application_whose_answer_was_lost_queues_nothing_twice() {
    let world = World::new();
    world.set("template:standard", &[("retries", "1")]);
    world
        .store
        .on_call(|call| if call == "apply_parameters" { CallFault::AnswerLost } else { CallFault::None });
    let new =
        NewApply { selector: Selector::all(), terms: Terms::default(), expires_at: None, dry_run: false };
    assert!(ready(apply(&world.app, new)).is_err());
    world.store.heal();
    assert_eq!(world.apply(Selector::all(), false).changed, 0);
    assert_eq!(world.store.look(|contents| contents.operations.len()), 3);
}

#[test]
fn drift_is_found_in_values_in_the_hash_and_in_what_cannot_be_put_together() {
    let world = World::new();
    world.set("template:standard", &[("retries", "1")]);
    world.apply(Selector::all(), false);
    let hash = |values: &Values| [(super::drift::HASH.to_owned(), hex::encode(content_hash(values)))].into();
    let report = |tid: &str, parameters: Values, details| {
        let report = Reported { parameters, parameters_revision: Some(1), details, ..Reported::default() };
        ready(world.store.record_report(&tid.parse().unwrap(), report, world.clock.now())).unwrap();
    };
    let right = values(&[("retries", "1")]);
    report("10000001", right.clone(), hash(&right));
    report("10000002", values(&[("retries", "5")]), Default::default());
    report("10000003", right.clone(), hash(&values(&[("retries", "1"), ("timeout_s", "9")])));
    world.set("terminal:10000004", &[("merchant_name", "{{group.name}}")]);

    let page = |after: Option<&str>, limit| {
        let after = after.map(|after| after.parse().unwrap());
        ready(drift(&world.app, &Selector::all(), after, limit)).unwrap()
    };
    let all = page(None, 10);
    let ids: Vec<_> = all.drifted.iter().map(|drifted| drifted.terminal.as_str()).collect();
    assert_eq!(
        (ids.as_slice(), all.looked_at, &all.next),
        (&["10000002", "10000003", "10000004"][..], 4, &None)
    );
    assert_eq!(all.drifted[0].drift.not_in_force[0].after.as_deref(), Some("5"));
    assert!(all.drifted[1].hash_differs && all.drifted[1].drift.is_none());
    assert!(all.drifted[2].problem.as_deref().unwrap().contains("group.name"), "{all:?}");
    let first = page(None, 1);
    assert_eq!((first.drifted.len(), first.next.as_ref().map(TerminalId::as_str)), (1, Some("10000002")));
    let rest = page(Some("10000002"), 10);
    assert_eq!(rest.drifted[..], all.drifted[1..]);
    world.set("template:standard", &[("retries", "2")]);
    let configured = page(None, 1);
    assert_eq!(configured.drifted[0].terminal.as_str(), "10000001");
    assert_eq!(configured.drifted[0].drift.not_applied[0].after.as_deref(), Some("2"));
}
