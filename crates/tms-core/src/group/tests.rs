use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::attribute::AttributeValue;

fn group(id: &str, parent: Option<&str>) -> Group {
    Group {
        id: id.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        kind: GroupKind::Other,
        name: id.to_owned(),
        templates: Vec::new(),
        attributes: Attributes::new(),
        version: 1,
    }
}

fn id(text: &str) -> GroupId {
    text.parse().unwrap()
}

fn names(groups: &[&Group]) -> Vec<String> {
    groups.iter().map(|group| group.id.to_string()).collect()
}

#[test]
fn a_tree_is_made_of_groups_in_any_order() {
    let tree =
        Tree::new([group("store", Some("shop")), group("shop", Some("bank")), group("bank", None)]).unwrap();
    assert_eq!(names(&tree.path(&id("store"))), ["bank", "shop", "store"]);
    assert_eq!(names(&tree.subtree(&id("shop"))), ["shop", "store"]);
    assert!(tree.is_under(&id("store"), &id("bank")) && tree.is_under(&id("bank"), &id("bank")));
    assert!(!tree.is_under(&id("bank"), &id("store")) && !tree.is_under(&id("nobody"), &id("bank")));
}

#[test]
fn a_cycle_names_the_way_round() {
    let rows = [group("a", Some("b")), group("b", Some("c")), group("c", Some("a"))];
    assert_eq!(
        Tree::new(rows).unwrap_err().to_string(),
        "group a would stand under itself: a under b under c under a"
    );
    assert!(matches!(Tree::new([group("a", Some("a"))]), Err(GroupError::Cycle { .. })));
    // A group under a cycle is not itself part of it; the cycle is named all the same.
    let rows = [group("0", Some("b")), group("b", Some("c")), group("c", Some("b"))];
    assert!(matches!(Tree::new(rows), Err(GroupError::Cycle { group, .. }) if group == id("b")));
}

#[test]
fn a_move_under_itself_or_too_deep_changes_nothing() {
    let chain = |n: usize| {
        (0..n).map(|n| {
            let above = n.checked_sub(1).map(|n| format!("g{n}"));
            group(&format!("g{n}"), above.as_deref())
        })
    };
    let mut tree = Tree::new(chain(MAX_DEPTH)).unwrap();
    let before = tree.clone();
    assert!(matches!(tree.put(group("g3", Some("g9"))), Err(GroupError::Cycle { .. })));
    assert!(matches!(tree.put(group("new", Some("g15"))), Err(GroupError::Depth { depth: 17, .. })));
    tree.put(group("top", None)).unwrap();
    // Moving the whole chain one deeper would push its end out of reach.
    assert!(matches!(tree.put(group("g0", Some("top"))), Err(GroupError::Depth { .. })));
    tree.remove(&id("top"), 0).unwrap();
    assert_eq!(tree, before);
    assert!(matches!(Tree::new(chain(MAX_DEPTH + 1)), Err(GroupError::Depth { .. })));
    assert!(matches!(Tree::new(chain(5_000)), Err(GroupError::Depth { .. })));
}

#[test]
fn a_group_with_anything_in_it_stays() {
    let mut tree = Tree::new([group("a", None), group("b", Some("a"))]).unwrap();
    let error = tree.remove(&id("a"), 0).unwrap_err().to_string();
    assert_eq!(error, "group a cannot be deleted: 1 groups and 0 terminals belong to it");
    assert!(tree.remove(&id("b"), 7).is_err());
    tree.remove(&id("b"), 0).unwrap();
    tree.remove(&id("a"), 0).unwrap();
    assert_eq!(tree, Tree::default());
    assert_eq!(tree.remove(&id("a"), 0), Err(GroupError::Unknown(id("a"))));
}

#[test]
fn an_orphan_names_the_parent_that_is_missing() {
    let error = Tree::new([group("b", Some("a"))]).unwrap_err();
    assert_eq!(error.to_string(), "group b shall stand under a, which does not exist");
    assert!(matches!(
        Tree::new([group("a", None), group("a", None)]),
        Err(GroupError::Duplicate(twice)) if twice == id("a")
    ));
}

#[test]
fn a_group_by_itself_is_checked() {
    let mut tree = Tree::default();
    assert!(matches!(
        tree.put(Group { name: String::new(), ..group("a", None) }),
        Err(GroupError::Name { .. })
    ));
    let twice = vec!["t".parse().unwrap(), "t".parse().unwrap()];
    assert!(matches!(
        tree.put(Group { templates: twice, ..group("a", None) }),
        Err(GroupError::Twice { .. })
    ));
    let many = (0..17).map(|n| format!("t{n}").parse().unwrap()).collect();
    let many = Group { templates: many, ..group("a", None) };
    assert!(matches!(tree.put(many), Err(GroupError::Templates { count: 17, .. })));
    for bad in ["", ".a", "a/b", "分行", &"x".repeat(65)] {
        assert!(bad.parse::<GroupId>().is_err(), "{bad}");
    }
}

#[test]
fn attributes_and_kinds_are_found_from_below() {
    let floor = |n| [("floor".parse().unwrap(), AttributeValue::Integer(n))].into();
    let bank = Group { kind: GroupKind::Acquirer, attributes: floor(1), ..group("bank", None) };
    let shop = Group { kind: GroupKind::Merchant, ..group("shop", Some("bank")) };
    let store = Group { kind: GroupKind::Store, attributes: floor(3), ..group("store", Some("shop")) };
    let tree = Tree::new([bank, shop, store]).unwrap();
    let floor = "floor".parse().unwrap();
    assert_eq!(tree.attribute(&id("shop"), &floor), Some(&AttributeValue::Integer(1)));
    assert_eq!(tree.attribute(&id("store"), &floor), Some(&AttributeValue::Integer(3)));
    assert_eq!(tree.nearest(&id("store"), GroupKind::Merchant).unwrap().id, id("shop"));
    assert!(tree.nearest(&id("shop"), GroupKind::Store).is_none());
}

proptest! {
    /// Any sequence of changes leaves a tree that could have been made from its rows, and a change is
    /// refused exactly when the rows with it are no tree.
    #[test]
    fn a_change_is_taken_exactly_when_the_rows_with_it_are_a_tree(
        changes in proptest::collection::vec((0..24_u8, proptest::option::of(0..24_u8), 0..5_u8), 0..120)
    ) {
        let mut tree = Tree::default();
        let mut rows: BTreeMap<GroupId, Group> = BTreeMap::new();
        for (name, parent, what) in changes {
            let key = id(&name.to_string());
            let mut with = rows.clone();
            let done = if what == 0 {
                with.remove(&key);
                rows.contains_key(&key) && tree.remove(&key, 0).is_ok()
            } else {
                let changed = group(&name.to_string(), parent.map(|parent| parent.to_string()).as_deref());
                with.insert(key.clone(), changed.clone());
                tree.put(changed).is_ok()
            };
            let possible = Tree::new(with.values().cloned());
            prop_assert_eq!(done, possible.is_ok() && (what != 0 || rows.contains_key(&key)));
            if done {
                rows = with;
            }
            prop_assert_eq!(&tree, &Tree::new(rows.values().cloned()).unwrap());
            for group in tree.iter() {
                prop_assert!(tree.path(&group.id).len() <= MAX_DEPTH);
                prop_assert!(tree.subtree(&group.id).iter().all(|below| tree.is_under(&below.id, &group.id)));
            }
        }
    }
}
