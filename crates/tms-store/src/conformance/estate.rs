//! Promises about groups, and about what people change in terminals.

use std::collections::BTreeSet;
use std::sync::Arc;

use tms_core::selector::SavedSelector;
use tms_core::{
    AttributeValue, Group, GroupId, GroupKind, LifeCycle, OperationState, Place, Role, Selector, Tag,
    TerminalId,
};

use super::{added, at, queued, terminal};
use crate::error::StoreError;
use crate::estate::{ImportRow, TerminalChange, Verdict};
use crate::store::{InitialCredential, Store};

pub(super) fn group(id: &str, parent: Option<&str>) -> Group {
    Group {
        id: id.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        kind: GroupKind::Merchant,
        name: format!("{id} 商户"),
        templates: vec!["standard".parse().unwrap()],
        attributes: [("floor".parse().unwrap(), AttributeValue::Integer(3))].into(),
        version: 0,
    }
}

fn id(id: &str) -> GroupId {
    id.parse().unwrap()
}

fn tags(tags: &[&str]) -> BTreeSet<Tag> {
    tags.iter().map(|tag| tag.parse().unwrap()).collect()
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

async fn names(store: &dyn Store, text: &str) -> Vec<String> {
    let ids = store.ids(&selector(text), at(0)).await.unwrap();
    assert_eq!(store.count(&selector(text), at(0)).await.unwrap(), ids.len() as u64);
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// With a version that rises, and is asked for.
pub async fn a_group_has_a_version_that_a_change_has_to_know(store: &Arc<dyn Store>) {
    let bank = store.put_group(group("bank", None), Some(0)).await.unwrap();
    assert_eq!(bank, Group { version: 1, ..group("bank", None) });
    assert_eq!(store.group(&id("bank")).await.unwrap(), Some(bank.clone()));
    let twice = store.put_group(group("bank", None), Some(0)).await.unwrap_err();
    assert!(matches!(twice, StoreError::Stale { seen: 0, found: 1, .. }), "{twice}");
    let renamed = Group { name: "Bank".to_owned(), ..bank };
    assert_eq!(store.put_group(renamed.clone(), Some(1)).await.unwrap().version, 2);
    assert_eq!(store.put_group(renamed, None).await.unwrap().version, 3);
    let missing = store.put_group(group("shop", None), Some(1)).await.unwrap_err();
    assert_eq!(missing.to_string(), "group shop has version 0 by now and not 1; look at it again");
    let stale = store.delete_group(&id("bank"), Some(2)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");
    store.delete_group(&id("bank"), Some(3)).await.unwrap();
    assert!(store.groups().await.unwrap().is_empty());
    let gone = store.delete_group(&id("bank"), None).await.unwrap_err();
    assert_eq!(gone.to_string(), "there is no group bank");
}

/// Whatever is asked for, in any order.
pub async fn groups_stay_a_tree(store: &Arc<dyn Store>) {
    for (child, parent) in [("a", None), ("b", Some("a")), ("c", Some("b")), ("d", Some("c")), ("x", None)] {
        store.put_group(group(child, parent), Some(0)).await.unwrap();
    }
    let refused = async |child: &str, parent: &str| {
        let refused = store.put_group(group(child, Some(parent)), None).await.unwrap_err();
        assert!(matches!(refused, StoreError::Invalid { .. }), "{refused}");
        refused.to_string()
    };
    assert_eq!(refused("y", "nowhere").await, "group y shall stand under nowhere, which does not exist");
    assert!(refused("a", "a").await.contains("would stand under itself"));
    assert!(refused("b", "d").await.contains("would stand under itself: b under d under c under b"));
    let mut above = "d".to_owned();
    for level in 5..=16 {
        let id = format!("level-{level}");
        store.put_group(group(&id, Some(&above)), None).await.unwrap();
        above = id;
    }
    assert!(refused("level-17", &above).await.contains("17 groups deep"));
    // With all that stands under it.
    assert!(refused("a", "x").await.contains("17 groups deep"));
    store.put_group(group("c", Some("x")), None).await.unwrap();
    store.put_group(group("a", Some("x")), None).await.unwrap();
    let in_use = store.delete_group(&id("x"), None).await.unwrap_err();
    assert_eq!(in_use.to_string(), "group x cannot be deleted: 2 groups and 0 terminals belong to it");
    assert_eq!(store.groups().await.unwrap().len(), 17);
}

/// Also when it comes with one.
pub async fn a_place_reads_back_and_is_found(store: &Arc<dyn Store>) {
    store.put_group(group("bank", None), None).await.unwrap();
    store.put_group(group("shop", Some("bank")), None).await.unwrap();
    let mut new = terminal("T1");
    new.place = Place {
        vendor: "银 PAX".to_owned(),
        time_zone: "Asia/Urumqi".parse().unwrap(),
        life_cycle: LifeCycle::Locked,
        replaced_by: Some("T9".parse().unwrap()),
        group: Some(id("shop")),
        tags: tags(&["canary", "region:north"]),
        attributes: [
            ("floor".parse().unwrap(), AttributeValue::Integer(-3)),
            ("rented".parse().unwrap(), AttributeValue::Flag(true)),
            ("contract".parse().unwrap(), AttributeValue::Text("2024/17 '\"".to_owned())),
        ]
        .into(),
        version: 7,
    };
    store.add_terminal(new.clone()).await.unwrap();
    added(store.as_ref(), "T2").await;
    assert_eq!(store.terminal(&new.id).await.unwrap(), Some(new));
    for found in [
        "group = shop",
        "group under bank",
        "tag canary and tag \"region:north\"",
        "attr.floor < 0 and attr.rented = true",
        "attr.contract = \"2024/17 '\\\"\"",
        "vendor ~ \"银*\" and time_zone = Asia/Urumqi and life_cycle = locked",
        "not vendor = \"\"",
    ] {
        assert_eq!(names(store.as_ref(), found).await, ["T1"], "{found}");
    }
    assert_eq!(names(store.as_ref(), "group != shop").await, [""; 0]);
    assert_eq!(names(store.as_ref(), "not group = shop").await, ["T2"]);
    let in_use = store.delete_group(&id("shop"), None).await.unwrap_err();
    assert_eq!(in_use.to_string(), "group shop cannot be deleted: 0 groups and 1 terminals belong to it");
    let mut lost = terminal("T3");
    lost.place.group = Some(id("nowhere"));
    assert_eq!(store.add_terminal(lost).await.unwrap_err().to_string(), "there is no group nowhere");
    assert_eq!(store.count_terminals().await.unwrap(), 2);
}

/// And nothing else.
pub async fn a_change_of_a_terminal_does_what_it_says(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    store.put_group(group("shop", None), None).await.unwrap();
    let change = TerminalChange {
        serial: Some("S-2".to_owned()),
        group: Some(Some(id("shop"))),
        tags: Some(tags(&["a", "b"])),
        add_tags: tags(&["c"]),
        remove_tags: tags(&["b"]),
        attributes: [("floor".parse().unwrap(), Some(AttributeValue::Integer(1)))].into(),
        ..TerminalChange::default()
    };
    let changed = store.change_terminal(&tid, change.clone(), Some(0)).await.unwrap();
    assert_eq!((changed.place.version, changed.serial.as_str()), (1, "S-2"));
    assert_eq!(changed.place.tags, tags(&["a", "c"]));
    assert_eq!(store.terminal(&tid).await.unwrap(), Some(changed.clone()));
    assert_eq!(store.change_terminal(&tid, change.clone(), Some(1)).await.unwrap(), changed);
    let stale = store.change_terminal(&tid, change, Some(0)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { .. }), "{stale}");

    let taken = TerminalChange {
        group: Some(None),
        remove_tags: tags(&["a", "c"]),
        attributes: [("floor".parse().unwrap(), None)].into(),
        life_cycle: Some(LifeCycle::Retired),
        ..TerminalChange::default()
    };
    let bare = store.change_terminal(&tid, taken, None).await.unwrap();
    assert_eq!((bare.place.version, &bare.place.group, bare.place.tags.len()), (2, &None, 0));
    assert!(names(store.as_ref(), "tag a or attr.floor > 0 or group = shop").await.is_empty());
    store.delete_group(&id("shop"), None).await.unwrap();

    let back = TerminalChange { life_cycle: Some(LifeCycle::Active), ..TerminalChange::default() };
    let refused = store.change_terminal(&tid, back.clone(), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "terminal T1 is retired and cannot become active");
    let nowhere = TerminalChange { group: Some(Some(id("nowhere"))), ..TerminalChange::default() };
    let refused = store.change_terminal(&tid, nowhere, None).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no group nowhere");
    let stranger: TerminalId = "T404".parse().unwrap();
    let refused = store.change_terminal(&stranger, back, None).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no terminal T404");
    assert_eq!(store.terminal(&tid).await.unwrap(), Some(bare));
}

/// More than any statement takes, and those that cannot are named.
pub async fn a_change_by_selector_counts_what_it_did(store: &Arc<dyn Store>) {
    for number in 0..1_203 {
        added(store.as_ref(), &format!("T{number:04}")).await;
    }
    let retired = TerminalChange { life_cycle: Some(LifeCycle::Retired), ..TerminalChange::default() };
    store.change_terminal(&"T0007".parse().unwrap(), retired, None).await.unwrap();
    let change = TerminalChange {
        add_tags: tags(&["north"]),
        life_cycle: Some(LifeCycle::Locked),
        ..TerminalChange::default()
    };
    let north = selector("tid < T1200");
    let done = store.change_terminals(&north, change.clone(), at(0)).await.unwrap();
    assert_eq!((done.selected, done.changed, done.refused), (1_200, 1_199, 1));
    assert_eq!(done.refusals[0].0.as_str(), "T0007");
    assert_eq!(names(store.as_ref(), "tag north and life_cycle = locked").await.len(), 1_199);
    let again = store.change_terminals(&north, change, at(0)).await.unwrap();
    assert_eq!((again.selected, again.changed, again.refused), (1_200, 0, 1));
    let page = store.find(&selector("tag north"), Some(&"T0005".parse().unwrap()), 3, at(0)).await.unwrap();
    let page: Vec<_> = page.iter().map(|terminal| terminal.id.as_str()).collect();
    assert_eq!(page, ["T0006", "T0008", "T0009"]);
    let nowhere = TerminalChange { group: Some(Some(id("nowhere"))), ..TerminalChange::default() };
    let refused = store.change_terminals(&north, nowhere, at(0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no group nowhere");
}

fn row(tid: &str) -> ImportRow {
    let change = TerminalChange {
        merchant: Some("102310060510002".parse().unwrap()),
        model: Some("A920".to_owned()),
        add_tags: tags(&["imported"]),
        ..TerminalChange::default()
    };
    ImportRow { id: tid.parse().unwrap(), profile: Some(tms_core::Profile::iso87()), change }
}

/// A bad row leaves nothing of the others, and says why; a trial leaves nothing at all.
pub async fn an_import_is_done_whole_or_not_at_all(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T0001").await;
    let mut rows: Vec<_> = (0..1_001).map(|number| row(&format!("N{number:04}"))).collect();
    let known = ImportRow {
        id: tid.clone(),
        profile: None,
        change: TerminalChange { vendor: Some("PAX".to_owned()), ..TerminalChange::default() },
    };
    rows.insert(700, known.clone());
    let trial = store.import_terminals(rows.clone(), true, at(5)).await.unwrap();
    assert!(!trial.is_applied);
    assert_eq!((&trial.verdicts[699], &trial.verdicts[700]), (&Verdict::Added, &Verdict::Changed));
    assert_eq!(store.count_terminals().await.unwrap(), 1);

    let mut bad = rows.clone();
    bad.push(row("N0003"));
    bad.push(ImportRow { profile: None, ..row("N2000") });
    bad.push(ImportRow { profile: Some(tms_core::Profile::iso87()), ..known.clone() });
    bad[2].change.group = Some(Some(id("nowhere")));
    bad[1].change.serial = Some("x".repeat(65));
    let refused = store.import_terminals(bad, false, at(5)).await.unwrap();
    assert!(!refused.is_applied);
    let said: Vec<_> = refused
        .verdicts
        .iter()
        .enumerate()
        .filter_map(|(at, verdict)| match verdict {
            Verdict::Refused(reason) => Some((at, reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[0].1.starts_with("the serial number of terminal N0001 has 65 bytes"), "{said:?}");
    assert_eq!(said[1], (2, "there is no group nowhere"));
    assert_eq!(said[2], (1_002, "terminal N0003 is in row 4 too"));
    assert_eq!(said[3], (1_003, "the new terminal N2000 needs a profile"));
    assert_eq!(store.count_terminals().await.unwrap(), 1);
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().place.version, 0);

    let done = store.import_terminals(rows.clone(), false, at(5)).await.unwrap();
    assert!(done.is_applied);
    assert_eq!(store.count_terminals().await.unwrap(), 1_002);
    assert_eq!(names(store.as_ref(), "tag imported and life_cycle = registered").await.len(), 1_001);
    let one = store.terminal(&"N0500".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((one.enrolled_at, one.place.version, one.model.as_str()), (at(5), 1, "A920"));
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().place.vendor, "PAX");
    let again = store.import_terminals(rows, false, at(6)).await.unwrap();
    assert!(again.is_applied && again.verdicts.iter().all(|verdict| *verdict == Verdict::Same));
}

/// With what was imported about it; then it is there, and is not enrolled again.
pub async fn an_imported_terminal_is_completed_by_its_enrolment(store: &Arc<dyn Store>) {
    let mut other = terminal("T2");
    other.certificate_sha256 = Some("c1".repeat(32));
    store.add_terminal(other).await.unwrap();
    store.import_terminals(vec![row("T1")], false, at(5)).await.unwrap();
    let mut new = terminal("T1");
    new.certificate_sha256 = Some("c1".repeat(32));
    let credential =
        || vec![InitialCredential { role: Role::administrator(), generation: 1, sealed: vec![7] }];
    let taken = store.enrol(new.clone(), credential()).await.unwrap_err();
    assert_eq!(taken.to_string(), "another terminal has the certificate of terminal T1");
    new.certificate_sha256 = Some("c2".repeat(32));
    new.reported.boot_count = Some(4);
    store.enrol(new.clone(), credential()).await.unwrap();
    let known = store.terminal(&new.id).await.unwrap().unwrap();
    new.desired.credentials = [(Role::administrator(), 1)].into();
    new.place.tags = tags(&["imported"]);
    new.place.version = 2;
    assert_eq!(known, new);
    assert_eq!(store.credentials(&new.id).await.unwrap().len(), 1);
    assert_eq!(names(store.as_ref(), "reported.boot_count = 4 and tag imported").await, ["T1"]);
    let again = store.enrol(new, credential()).await.unwrap_err();
    assert_eq!(again.to_string(), "terminal T1 exists already");
}

/// It gets the place, and the old one's work ends.
pub async fn a_terminal_takes_the_place_of_another(store: &Arc<dyn Store>) {
    store.put_group(group("shop", None), None).await.unwrap();
    let (old, new) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    let change = TerminalChange {
        merchant: Some("999".parse().unwrap()),
        vendor: Some("old".to_owned()),
        group: Some(Some(id("shop"))),
        add_tags: tags(&["canary"]),
        ..TerminalChange::default()
    };
    store.change_terminal(&old, change, None).await.unwrap();
    let (open, kept) = (queued(store.as_ref(), &old, 1, 0).await, queued(store.as_ref(), &new, 1, 0).await);
    let (retired, heir) = store.replace_terminal(&old, &new, at(9)).await.unwrap();
    assert_eq!(
        (retired.place.life_cycle, &retired.place.replaced_by),
        (LifeCycle::Retired, &Some(new.clone()))
    );
    assert_eq!((heir.merchant.as_str(), &heir.place.group), ("999", &Some(id("shop"))));
    assert_eq!((heir.place.vendor.as_str(), heir.place.version), ("", 1));
    assert_eq!(store.terminal(&old).await.unwrap(), Some(retired));
    assert_eq!(store.terminal(&new).await.unwrap(), Some(heir));
    assert_eq!(names(store.as_ref(), "tag canary").await, ["T1", "T2"]);
    let ended = store.operation(open.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.updated_at), (OperationState::Cancelled, at(9)));
    assert_eq!(ended.detail.as_deref(), Some("the terminal was replaced by T2"));
    assert_eq!(store.open_operations(&new).await.unwrap(), [kept]);
    for (old, new) in [(&old, &new), (&new, &new), (&new, &old)] {
        let refused = store.replace_terminal(old, new, at(9)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
    }
    let missing = store.replace_terminal(&new, &"T404".parse().unwrap(), at(9)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no terminal T404");
}

/// In their canonical form, with a version.
pub async fn a_saved_selector_has_a_version(store: &Arc<dyn Store>) {
    let saved = SavedSelector {
        name: "north".parse().unwrap(),
        selector: selector("model = A920 and not tag canary"),
        description: "北".to_owned(),
        author: "ann".to_owned(),
        version: 0,
    };
    let one = store.put_selector(saved.clone(), Some(0)).await.unwrap();
    assert_eq!(one, SavedSelector { version: 1, ..saved.clone() });
    assert!(matches!(store.put_selector(saved.clone(), Some(0)).await, Err(StoreError::Stale { .. })));
    let two = store.put_selector(SavedSelector { author: "bob".to_owned(), ..saved }, Some(1)).await.unwrap();
    assert_eq!(store.selectors().await.unwrap(), [two.clone()]);
    assert_eq!(store.selector(&two.name).await.unwrap(), Some(two.clone()));
    assert!(matches!(store.delete_selector(&two.name, Some(1)).await, Err(StoreError::Stale { .. })));
    store.delete_selector(&two.name, Some(2)).await.unwrap();
    assert!(matches!(store.delete_selector(&two.name, None).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.selector(&two.name).await.unwrap(), None);
}
