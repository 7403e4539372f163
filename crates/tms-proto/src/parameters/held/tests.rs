use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::emv::{CapkSet, Expiry};

const ROOM: usize = 999;

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn held() -> Held {
    Held::new(RecordFile::Parameters, 4, values(&[("a", "1"), ("b", "2")]))
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn push(action: Action, number: u128, pairs: &[(&str, &str)]) -> Push {
    let base = Some(held().standing());
    Push { action, base, ..Push::parameters(id(number), 5, values(pairs)) }
}

fn taken(held: &mut Held, push: &Push) -> Result<Progress, PushRefusal> {
    let before = held.clone();
    let (answer, progress) = held.take(push, ROOM);
    assert_eq!(answer.standing, held.standing());
    assert_eq!(progress == Progress::Store, before.standing() != held.standing());
    answer.refused().map_or(Ok(progress), Err)
}

#[test]
fn each_action_does_what_its_name_says() {
    for (action, records, after) in [
        (Action::Add, &[("c", "3")][..], &[("a", "1"), ("b", "2"), ("c", "3")][..]),
        (Action::Change, &[("b", "9")], &[("a", "1"), ("b", "9")]),
        (Action::Delete, &[("a", "")], &[("b", "2")]),
        (Action::ReplaceAll, &[("z", "0")], &[("z", "0")]),
    ] {
        let mut held = held();
        assert_eq!(taken(&mut held, &push(action, 1, records)), Ok(Progress::Store), "{action}");
        assert_eq!(*held.values(), values(after), "{action}");
        assert_eq!(held.standing().revision, 5);
    }
}

#[test]
fn what_does_not_fit_what_is_there_is_refused_and_changes_nothing() {
    let mut held = held();
    let before = held.clone();
    for (action, records, refusal) in [
        (Action::Add, &[("c", "3"), ("a", "1")][..], PushRefusal::RecordExists),
        (Action::Change, &[("a", "3"), ("x", "1")], PushRefusal::NoSuchRecord),
        (Action::Delete, &[("x", "")], PushRefusal::NoSuchRecord),
        (Action::Inquire, &[("x", "")], PushRefusal::NoSuchRecord),
        (Action::ReplaceAll, &[("a=b", "3")], PushRefusal::Unusable),
    ] {
        assert_eq!(taken(&mut held, &push(action, 1, records)), Err(refusal), "{action}");
        assert_eq!(held, before);
    }
}

#[test]
fn a_difference_for_another_set_is_refused_so_that_the_host_replaces_all() {
    let mut held = held();
    let other_hash = Base { hash: [0; 32], ..held.standing() };
    let other_revision = Base { revision: 3, ..held.standing() };
    for base in [Some(other_hash), Some(other_revision), None] {
        let difference = Push { base, ..push(Action::Change, 1, &[("a", "3")]) };
        assert_eq!(taken(&mut held, &difference), Err(PushRefusal::WrongBase));
    }
    assert_eq!(taken(&mut held, &push(Action::ReplaceAll, 2, &[("a", "3")])), Ok(Progress::Store));
}

#[test]
fn an_operation_takes_effect_once() {
    let mut held = held();
    let add = push(Action::Add, 1, &[("c", "3")]);
    assert_eq!(taken(&mut held, &add), Ok(Progress::Store));
    let kept = serde_json::to_string(&held).unwrap();
    let mut held: Held = serde_json::from_str(&kept).unwrap();
    assert_eq!(taken(&mut held, &add), Ok(Progress::Same), "even after a restart");
}

#[test]
fn revisions_never_go_back() {
    let mut held = held();
    let older = Push { revision: 3, ..push(Action::ReplaceAll, 1, &[]) };
    assert_eq!(taken(&mut held, &older), Err(PushRefusal::Stale));
    let same = Push { revision: 4, ..push(Action::Add, 2, &[("c", "3")]) };
    assert_eq!(taken(&mut held, &same), Err(PushRefusal::Stale));
    let repaired = Push { revision: 4, ..push(Action::ReplaceAll, 3, &[("a", "1")]) };
    assert_eq!(taken(&mut held, &repaired), Ok(Progress::Store), "a host repairs what changed otherwise");
}

#[test]
fn a_push_of_many_messages_is_in_force_when_the_last_is_there() {
    let many: Values = (0..250).map(|n| (format!("name{n:03}"), "v".repeat(40))).collect();
    let parts = Push::parameters(id(1), 5, many.clone()).split(ROOM).unwrap();
    assert!(parts.len() > 10);
    let mut held = held();
    let before = held.values().clone();
    for (part, after) in parts.iter().zip(parts.iter().skip(1).map(Some).chain([None])) {
        assert!(part.encode().unwrap().len() <= ROOM);
        let (answer, _) = held.take(part, ROOM);
        let expected = if after.is_some() { Outcome::Kept } else { Outcome::Done };
        assert_eq!(answer.outcome, expected);
        assert_eq!(*held.values(), if after.is_some() { before.clone() } else { many.clone() });
    }
}

#[test]
fn a_lost_part_is_asked_for_and_a_repeated_one_taken_once() {
    let many: Values = (0..90).map(|n| (format!("name{n:03}"), "v".repeat(40))).collect();
    let parts = Push::parameters(id(1), 5, many.clone()).split(ROOM).unwrap();
    let mut held = held();
    assert_eq!(taken(&mut held, &parts[1]), Err(PushRefusal::WrongPart));
    assert_eq!(taken(&mut held, &parts[0]), Ok(Progress::Same));
    assert_eq!(taken(&mut held, &parts[2]), Err(PushRefusal::WrongPart));
    assert_eq!(taken(&mut held, &parts[1]), Ok(Progress::Same));
    assert_eq!(taken(&mut held, &parts[1]), Ok(Progress::Same));
    let stranger = Push { operation: id(2), ..parts[2].clone() };
    assert_eq!(taken(&mut held, &stranger), Err(PushRefusal::WrongPart));
    for part in &parts[2..] {
        taken(&mut held, part).unwrap();
    }
    assert_eq!(*held.values(), many);
}

#[test]
fn an_inquiry_shows_all_or_what_it_names_in_as_many_messages_as_it_takes() {
    let many: Values = (0..90).map(|n| (format!("name{n:03}"), "v".repeat(40))).collect();
    let mut held = Held::new(RecordFile::Parameters, 9, many.clone());
    let mut shown = Values::new();
    let mut part = Part::WHOLE;
    loop {
        let (answer, _) = held.take(&Push { part, ..Push::inquire(id(1), RecordFile::Parameters) }, ROOM);
        assert!(answer.encode(RecordFile::Parameters).unwrap().len() <= ROOM);
        assert_eq!(answer.standing, held.standing());
        shown.extend(answer.values);
        if answer.part.number == answer.part.count {
            break;
        }
        part = Part { number: answer.part.number + 1, ..answer.part };
    }
    assert_eq!(shown, many);

    let one = Push { values: values(&[("name001", "")]), ..Push::inquire(id(2), RecordFile::Parameters) };
    assert_eq!(held.take(&one, ROOM).0.values.len(), 1);
    let beyond =
        Push { part: Part { number: 50, count: 50 }, ..Push::inquire(id(3), RecordFile::Parameters) };
    assert_eq!(taken(&mut held, &beyond), Err(PushRefusal::WrongPart));
}

#[test]
fn a_key_whose_check_value_is_wrong_is_refused_with_all_the_others() {
    let key = |index| {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
        Capk::new(id, Expiry::new(date(2030, 12, 31)).unwrap(), &[0xC1; 128], &[3]).unwrap()
    };
    let mut set = CapkSet::default();
    (0..3).for_each(|index| set.insert(key(index)).unwrap());
    let records = Values::from(&set);
    let mut held = Held::new(RecordFile::Capk, 0, Values::new());
    let whole = Push::replace_all(id(1), RecordFile::Capk, 1, records.clone());

    let mut broken = whole.clone();
    broken.values.values_mut().for_each(|value| *value = value.replace("c1c1", "c1c2"));
    assert_eq!(taken(&mut held, &broken), Err(PushRefusal::Unusable));
    let mut renamed = whole.clone();
    let moved = renamed.values.remove("A000000333-00").unwrap();
    renamed.values.insert("A000000333-07".into(), moved);
    assert_eq!(taken(&mut held, &renamed), Err(PushRefusal::Unusable));

    assert_eq!(taken(&mut held, &whole), Ok(Progress::Store));
    assert_eq!(CapkSet::try_from(held.values()).unwrap(), set);
}

#[test]
fn more_than_a_terminal_holds_is_refused() {
    let giant: Values = (0..1001).map(|n| (format!("n{n}"), String::new())).collect();
    assert_eq!(taken(&mut held(), &Push::parameters(id(1), 5, giant)), Err(PushRefusal::TooMuch));
    let cards: Values = (0..1001).map(|n| (format!("6228{n:06}"), String::new())).collect();
    let mut held = Held::new(RecordFile::Blacklist, 0, Values::new());
    assert_eq!(
        taken(&mut held, &Push::replace_all(id(1), RecordFile::Blacklist, 1, cards)),
        Err(PushRefusal::TooMuch)
    );
}

#[test]
fn debug_prints_no_record() {
    let cards = Push::replace_all(id(1), RecordFile::Blacklist, 1, values(&[("62284800", "")]));
    assert!(!format!("{cards:?}").contains("6228"));
    let mut held = Held::new(RecordFile::Blacklist, 0, Values::new());
    let (answer, _) = held.take(&cards, ROOM);
    assert!(!format!("{held:?} {answer:?}").contains("6228"));
}

fn any_values() -> impl Strategy<Value = Values> {
    prop::collection::btree_map("[a-z]{1,2}", "[ -~]{0,30}", 0..40)
}

fn any_push() -> impl Strategy<Value = Push> {
    let action = prop::sample::select(Action::ALL.to_vec());
    (action, any_values(), 0u128..6, 0u64..8, 0u64..8, 1u16..4, any::<bool>()).prop_map(
        |(action, values, number, revision, base, part, right)| {
            let hash = if right { held().standing().hash } else { [7; 32] };
            Push {
                action,
                base: Some(Base { revision: base, hash }),
                part: Part { number: part.min(3), count: 3 },
                ..Push::parameters(id(number), revision, values)
            }
        },
    )
}

proptest! {
    #[test]
    fn pushes_and_answers_survive_the_wire(push in any_push()) {
        let bytes = push.encode().unwrap();
        prop_assert_eq!(&Push::decode(push.file, push.action, &bytes).unwrap(), &push);
        let (answer, _) = held().take(&push, ROOM);
        let bytes = answer.encode(push.file).unwrap();
        prop_assert_eq!(PushAnswer::decode(push.file, &bytes).unwrap(), answer);
    }

    #[test]
    fn a_difference_makes_the_new_set_of_the_old(old in any_values(), new in any_values()) {
        let mut held = Held::new(RecordFile::Parameters, 1, old.clone());
        let mut number = 0;
        let operation = || { number += 1; id(number) };
        for push in Push::difference(operation, RecordFile::Parameters, 1, &old, &new) {
            for part in push.split(400).unwrap() {
                taken(&mut held, &part).unwrap();
            }
        }
        prop_assert_eq!(held.values(), &new);
    }

    #[test]
    fn whatever_a_host_pushes_revisions_never_go_back_and_nothing_grows(
        pushes in prop::collection::vec(any_push(), 0..40),
    ) {
        let mut held = held();
        for push in &pushes {
            let before = held.standing();
            let answer = taken(&mut held, push);
            prop_assert!(held.standing().revision >= before.revision);
            if answer != Ok(Progress::Store) {
                prop_assert_eq!(held.standing(), before);
            }
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_push(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        near in any_push(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for file in RecordFile::ALL {
            let _ = Push::decode(file, Action::Change, &bytes);
            let _ = PushAnswer::decode(file, &bytes);
            let mut near = near.encode().unwrap();
            let at = at.index(near.len());
            near[at] = byte;
            let _ = Push::decode(file, Action::Add, &near);
        }
    }
}
