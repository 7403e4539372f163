use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::attribute::AttributeValue;
use crate::group::{Group, GroupKind, Tree};
use crate::terminal::{Desired, Place, Reported, Terminal};

fn terminal(group: Option<&str>) -> Terminal {
    Terminal {
        id: "10000001".parse().unwrap(),
        merchant: "102310060510002".parse().unwrap(),
        profile: "unionpay".parse().unwrap(),
        model: "A920".to_owned(),
        hardware_revision: "B2".to_owned(),
        serial: "SN-1".to_owned(),
        enrolled_at: Timestamp::UNIX_EPOCH,
        sealing_public_key: Vec::new(),
        tmk_sealed: Vec::new(),
        certificate_sha256: None,
        desired: Desired::default(),
        reported: Reported::default(),
        last_contact: None,
        place: Place { group: group.map(|group| group.parse().unwrap()), ..Place::default() },
    }
}

/// bank (templates a, b) over branch over shop (template a) over store.
fn groups() -> Tree {
    let group = |id: &str, parent: Option<&str>, kind, templates: &[&str]| Group {
        id: id.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        kind,
        name: format!("name of {id}"),
        templates: templates.iter().map(|name| name.parse().unwrap()).collect(),
        attributes: [("floor".parse().unwrap(), AttributeValue::Integer(if id == "bank" { 1 } else { 2 }))]
            .into(),
        version: 1,
    };
    Tree::new([
        group("bank", None, GroupKind::Acquirer, &["a", "b"]),
        group("branch", Some("bank"), GroupKind::Branch, &[]),
        group("shop", Some("branch"), GroupKind::Merchant, &["a"]),
        group("store", Some("shop"), GroupKind::Store, &[]),
    ])
    .unwrap()
}

fn revision(scope: &str, number: u64, values: &[(&str, &str)]) -> (Scope, Revision) {
    let scope: Scope = scope.parse().unwrap();
    let new = NewRevision {
        scope: scope.clone(),
        values: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        author: "li".to_owned(),
        reason: String::new(),
    };
    (scope, new.revision(number - 1, Timestamp::UNIX_EPOCH).unwrap())
}

fn wrong(values: &[(&str, &str)]) -> String {
    let new = NewRevision {
        scope: "group:shop".parse().unwrap(),
        values: values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        author: "li".to_owned(),
        reason: String::new(),
    };
    new.revision(0, Timestamp::UNIX_EPOCH).unwrap_err().to_string()
}

#[test]
fn what_is_nearer_to_the_terminal_wins_and_what_it_wins_over_is_told() {
    let current = [
        revision("template:a", 4, &[("retries", "1"), ("timeout_s", "10")]),
        revision("template:b", 1, &[("retries", "2"), ("phone_1", "400")]),
        revision("group:branch", 7, &[("retries", "3"), ("phone_1", "010")]),
        revision("terminal:10000001", 2, &[("phone_1", "")]),
        revision("group:elsewhere", 1, &[("tip_allowed", "1")]),
    ]
    .into();
    let found = effective(&terminal(Some("store")), &groups(), &current).unwrap();
    let told: Vec<_> = found
        .entries
        .iter()
        .map(|(name, entry)| {
            format!("{name}={} {}@{}", entry.value, entry.source.scope, entry.source.revision)
        })
        .collect();
    // Template a is attached to the bank and again to the shop, which is nearer than the branch.
    assert_eq!(told, ["phone_1= terminal:10000001@2", "retries=1 template:a@4", "timeout_s=10 template:a@4"]);
    let over: Vec<_> =
        found.entries["retries"].overrides.iter().map(|o| format!("{} {}", o.source.scope, o.raw)).collect();
    assert_eq!(over, ["group:branch 3", "template:b 2", "template:a 1"]);
    let alone = effective(&terminal(None), &groups(), &current).unwrap();
    assert_eq!(alone.values(), [("phone_1".to_owned(), String::new())].into());
}

#[test]
fn variables_are_filled_in_from_the_terminal_and_the_groups_above_it() {
    for (raw, value) in [
        ("{{merchant.name}}", "name of shop"),
        ("{{ store.id }}/{{terminal.tid}}", "store/10000001"),
        ("{{acquirer.attr.floor}}{{branch.attr.floor}}", "12"),
        ("{{terminal.attr.floor}} {{group.name}}", "2 name of store"),
        ("{{terminal.model}} {x} }}", "A920 {x} }}"),
    ] {
        let current = [revision("template:a", 1, &[("merchant_name", raw)])].into();
        let found = effective(&terminal(Some("store")), &groups(), &current).unwrap();
        assert_eq!(found.entries["merchant_name"].value, value);
        assert_eq!(found.entries["merchant_name"].raw, raw);
    }
}

#[test]
fn a_variable_that_does_not_exist_is_refused_where_it_is_written() {
    assert_eq!(
        wrong(&[("merchant_name", "at {{merchant.nmae}}")]),
        "group:shop: merchant_name: there is no variable \"merchant.nmae\" (byte 3); did you mean \"merchant.name\"?"
    );
    assert!(wrong(&[("merchant_name", "{{merchant.name")]).contains("byte 0 is not closed"));
    for bad in
        ["{{}}", "{{other.name}}", "{{terminal.attr.X}}", "{{terminal.tmk_sealed}}", "{{{{group.name}}}}"]
    {
        assert!(wrong(&[("merchant_name", bad)]).contains("there is no variable"), "{bad}");
    }
}

#[test]
fn a_variable_without_a_value_names_the_scope_it_stands_in() {
    let current =
        [revision("template:a", 1, &[("merchant_name", "{{store.name}}"), ("retries", "{{store.name}}")])];
    let error = effective(&terminal(Some("shop")), &groups(), &current.clone().into()).unwrap_err();
    assert_eq!(error.0.len(), 2);
    assert_eq!(
        error.0[0].to_string(),
        "template:a: merchant_name: there is nothing to put in the place of \"store.name\" (byte 0): the terminal \
         stands under no such group"
    );
    // What something nearer takes the place of does no harm.
    let [a] = current;
    let nearer = revision("group:shop", 1, &[("merchant_name", "x"), ("retries", "1")]);
    assert!(effective(&terminal(Some("shop")), &groups(), &[a, nearer].into()).is_ok());
}

#[test]
fn what_a_variable_turns_out_to_be_is_checked_like_any_value() {
    let current = [revision("template:a", 1, &[("retries", "{{terminal.model}}")])].into();
    let error = effective(&terminal(Some("shop")), &groups(), &current).unwrap_err().to_string();
    assert_eq!(error, "template:a: retries cannot be \"A920\": it takes a whole number from 0 to 9");
    let long = "{{merchant.name}}".repeat(60);
    let current = [revision("template:a", 1, &[("merchant_name", &long)])].into();
    let mut groups = groups();
    let mut shop = groups.get(&"shop".parse().unwrap()).unwrap().clone();
    shop.name = "银".repeat(60);
    groups.put(shop).unwrap();
    let error = effective(&terminal(Some("shop")), &groups, &current).unwrap_err();
    assert!(matches!(&error.0[..], [Problem::Length { .. }]), "{error}");
}

#[test]
fn what_is_filled_in_is_not_filled_in_again() {
    let mut groups = groups();
    let mut shop = groups.get(&"shop".parse().unwrap()).unwrap().clone();
    shop.name = "{{terminal.tid}}".to_owned();
    groups.put(shop).unwrap();
    let current = [revision("template:a", 1, &[("merchant_name", "{{merchant.name}}")])].into();
    let found = effective(&terminal(Some("shop")), &groups, &current).unwrap();
    assert_eq!(found.entries["merchant_name"].value, "{{terminal.tid}}");
}

#[test]
fn a_revision_says_everything_that_is_wrong_with_it() {
    let said = wrong(&[("retries", "10"), ("timeuot_s", "1"), ("tip_allowed", "yes")]);
    assert_eq!(
        said,
        "group:shop: retries cannot be \"10\": it takes a whole number from 0 to 9; \
         group:shop: there is no parameter \"timeuot_s\"; did you mean \"timeout_s\"?"
    );
    let many: Vec<_> = (0..300).map(|n| format!("p{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert!(wrong(&many).starts_with("group:shop has 300 values; it has at most 256"));
    assert!(wrong(&[("merchant_name", &"x".repeat(2_000))]).contains("has 2000 bytes"));
    let (_, kept) = revision("group:shop", 1, &[("tip_allowed", "yes"), ("retries", "007")]);
    assert_eq!((kept.values["tip_allowed"].as_str(), kept.values["retries"].as_str()), ("1", "7"));
}

#[test]
fn going_back_is_a_new_revision_with_the_old_values() {
    let (_, first) = revision("group:shop", 1, &[("retries", "1")]);
    let (_, third) = revision("group:shop", 3, &[("retries", "3")]);
    let back = third.rolled_back(&first, "wang".into(), "too many".into(), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((back.number, back.rolled_back_from), (4, Some(1)));
    assert_eq!(back.values, first.values);
    let (_, other) = revision("group:store", 1, &[]);
    for no_way in [&third, &other] {
        let error =
            third.rolled_back(no_way, "wang".into(), String::new(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(&error.0[..], [Problem::Rollback { .. }]), "{error}");
    }
}

#[test]
fn drift_tells_what_was_not_applied_from_what_is_not_in_force() {
    let values = |pairs: &[(&str, &str)]| -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let effective = values(&[("a", "2"), ("b", "1"), ("new", "1")]);
    let desired = values(&[("a", "1"), ("b", "1"), ("gone", "1")]);
    let reported = values(&[("a", "1"), ("b", "9"), ("its own", "5")]);
    let drift = Drift::of(&effective, &desired, &reported);
    let names = |changes: &[Change]| changes.iter().map(|change| change.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&drift.not_applied), ["a", "gone", "new"]);
    assert_eq!(names(&drift.not_in_force), ["b"]);
    assert!(Drift::of(&desired, &desired, &values(&[("a", "1")])).is_none());
}

#[test]
fn a_scope_reads_back_from_its_text() {
    for text in ["template:a.b", "group:icbc-bj", "terminal:10000001"] {
        assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
    }
    for bad in ["group", "groups:a", "terminal:a b", "template:"] {
        assert!(bad.parse::<Scope>().is_err(), "{bad}");
    }
}

fn values() -> impl Strategy<Value = Values> {
    proptest::collection::btree_map("[a-c:0-9]{0,3}", "[a-c:0-9]{0,3}", 0..4)
}

proptest! {
    #[test]
    fn a_difference_applied_to_what_was_gives_what_is(before in values(), after in values()) {
        let mut changed = before.clone();
        for change in diff(&before, &after) {
            prop_assert_ne!(&change.before, &change.after);
            match change.after {
                Some(value) => changed.insert(change.name, value),
                None => changed.remove(&change.name),
            };
        }
        prop_assert_eq!(changed, after);
    }

    #[test]
    fn different_values_have_different_bytes(left in values(), right in values()) {
        prop_assert_eq!(canonical_bytes(&left) == canonical_bytes(&right), left == right);
    }

    #[test]
    fn the_last_scope_that_has_a_name_decides(choices in proptest::collection::vec(proptest::option::of(0..10_u8), 7)) {
        // In the order in which they count, but for the template that counts twice.
        let scopes = ["template:b", "group:bank", "group:branch", "template:a", "group:shop", "group:store", "terminal:10000001"];
        let current = scopes.iter().zip(&choices).filter_map(|(scope, choice)| {
            choice.map(|value| revision(scope, 1, &[("retries", &value.to_string())]))
        });
        let found = effective(&terminal(Some("store")), &groups(), &current.collect()).unwrap();
        let last = choices.iter().rev().flatten().next().map(ToString::to_string);
        prop_assert_eq!(found.values().get("retries").cloned(), last);
    }
}
