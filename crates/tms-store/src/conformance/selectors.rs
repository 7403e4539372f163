//! Whatever the estate and the selector: a store finds what [`Selector::matches`] means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tms_core::{AttributeValue, DeviceState, Health, LifeCycle, Place, Reported, Selector, Terminal, Tree};
use tokio::runtime::Runtime;

use super::estate::group;
use super::{at, terminal};
use crate::store::Store;

/// Rounds; each adds terminals and asks about all that there are.
const ROUNDS: u32 = 24;

/// Values that are near each other, and near what patterns and statements are made of.
const WORDS: [&str; 12] =
    ["", "A920", "a920", "A92", "A*", "A?20", "a_b", "a%b", "[x]", "\\", "银联", "O'Hara \"x\""];
const PATTERNS: [&str; 11] = ["*", "A*", "?920", "*_*", "*%*", "[*", "[a-z]*", "*\\\\", "?联", "*'*", ""];
const VERSIONS: [&str; 7] = ["1.9", "1.10", "2.1.0", "2.1", "2.1.0-rc1", "V3", "版2"];
const NUMBERS: [&str; 6] = ["0", "7", "007", "60", "99999999999999999999", "-1"];
const GROUPS: [&str; 5] = ["bank", "north", "shop", "south", "nowhere"];
const TAGS: [&str; 4] = ["canary", "canary2", "region:north", "a.b_c"];

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn test() -> impl Strategy<Value = String> {
    let text = select(
        &[
            "tid",
            "mid",
            "serial",
            "vendor",
            "model",
            "hardware_revision",
            "profile",
            "time_zone",
            "desired.firmware",
        ][..],
    );
    let operator = || select(&["=", "!=", "<", "<=", ">", ">="][..]);
    let equal = || select(&["=", "!="][..]);
    let word = || select(&WORDS[..]).prop_map(quoted);
    let pattern = || select(&PATTERNS[..]).prop_map(|pattern| format!("\"{pattern}\""));
    let version = || select(&VERSIONS[..]).prop_map(quoted);
    let said =
        || select(&["reported.parameter.timeout_s", "reported.detail.locked", "reported.detail.型号"][..]);
    let part = || {
        select(
            &[
                "reported.paper",
                "reported.printer",
                "reported.card_reader",
                "reported.pin_pad",
                "reported.keyboard",
                "reported.display",
            ][..],
        )
    };
    let number = || select(&["reported.boot_count", "reported.battery"][..]);
    let life = || select(&LifeCycle::ALL[..]).prop_map(LifeCycle::name);
    let attribute = || select(&["attr.floor", "attr.rented", "attr.contract"][..]);
    let value = || prop_oneof![word(), select(&["3", "-3", "true", "false"][..]).prop_map(str::to_owned)];
    prop_oneof![
        (text.clone(), operator(), word()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (text.clone(), word(), word()).prop_map(|(f, a, b)| format!("{f} in ({a}, {b})")),
        (text, pattern()).prop_map(|(f, p)| format!("{f} ~ {p}")),
        (operator(), 0_u32..200).prop_map(|(o, n)| format!("tid {o} S{n}")),
        (equal(), life()).prop_map(|(o, v)| format!("life_cycle {o} {v}")),
        (life(), life()).prop_map(|(a, b)| format!("life_cycle in ({a}, {b})")),
        (select(&["=", "!=", "under", "under"][..]), select(&GROUPS[..]))
            .prop_map(|(o, g)| format!("group {o} {g}")),
        (select(&GROUPS[..]), select(&GROUPS[..])).prop_map(|(a, b)| format!("group in ({a}, {b})")),
        select(&TAGS[..]).prop_map(|tag| format!("tag {tag}")),
        (select(&TAGS[..]), select(&TAGS[..])).prop_map(|(a, b)| format!("tag in ({a}, {b})")),
        select(&["can*", "*_c", "canary?", "*:*"][..]).prop_map(|p| format!("tag ~ \"{p}\"")),
        (attribute(), equal(), value()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (attribute(), operator(), select(&["3", "0", "-3"][..])).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (attribute(), operator(), word()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (attribute(), value(), value()).prop_map(|(f, a, b)| format!("{f} in ({a}, {b})")),
        (attribute(), pattern()).prop_map(|(f, p)| format!("{f} ~ {p}")),
        (select(&["older", "newer"][..]), 0_u32..90).prop_map(|(o, s)| format!("last_contact {o} than {s}s")),
        Just("last_contact never".to_owned()),
        (select(&["before", "after"][..]), 0_i64..90, select(&[0_i64, 1, 500, 999][..])).prop_map(
            |(o, s, ns)| format!("enrolled_at {o} {}", at(s) + jiff::SignedDuration::from_nanos(ns))
        ),
        (operator(), version()).prop_map(|(o, v)| format!("reported.firmware {o} {v}")),
        (version(), version()).prop_map(|(a, b)| format!("reported.firmware in ({a}, {b})")),
        select(&["2.1*", "*rc*"][..]).prop_map(|p| format!("reported.firmware ~ \"{p}\"")),
        (number(), operator(), 0_i64..101).prop_map(|(f, o, n)| format!("{f} {o} {n}")),
        (number(), 0_i64..101, 0_i64..101).prop_map(|(f, a, b)| format!("{f} in ({a}, {b})")),
        (part(), equal(), select(&["ok", "fault"][..])).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        part().prop_map(|f| format!("{f} in (ok, fault)")),
        (equal(), any::<bool>()).prop_map(|(o, v)| format!("reported.tamper {o} {v}")),
        (said(), equal(), select(&NUMBERS[..])).prop_map(|(f, o, v)| format!("{f} {o} {}", quoted(v))),
        (said(), equal(), word()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (said(), word(), select(&NUMBERS[..])).prop_map(|(f, a, b)| format!("{f} in ({a}, {})", quoted(b))),
        (said(), pattern()).prop_map(|(f, p)| format!("{f} ~ {p}")),
        (said(), select(&["<", "<=", ">", ">="][..]), 0_i64..70).prop_map(|(f, o, n)| format!("{f} {o} {n}")),
        Just("all".to_owned()),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    test().prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| format!("not ({part})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) or ({b})")),
        ]
    })
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(select(of))
}

fn place() -> impl Strategy<Value = Place> {
    let value = prop_oneof![
        select(&WORDS[..]).prop_map(|text| AttributeValue::Text(text.to_owned())),
        select(&[3_i64, -3, 0, 60][..]).prop_map(AttributeValue::Integer),
        any::<bool>().prop_map(AttributeValue::Flag),
    ];
    let names = select(&["floor", "rented", "contract"][..]).prop_map(|name| name.parse().unwrap());
    (
        select(&WORDS[..]),
        select(&["Asia/Shanghai", "UTC"][..]),
        select(&LifeCycle::ALL[..]),
        maybe(&["bank", "north", "shop", "south"]),
        proptest::collection::btree_set(select(&TAGS[..]).prop_map(|tag| tag.parse().unwrap()), 0..3),
        proptest::collection::btree_map(names, value, 0..3),
    )
        .prop_map(|(vendor, zone, life_cycle, group, tags, attributes)| Place {
            vendor: vendor.to_owned(),
            time_zone: zone.parse().unwrap(),
            life_cycle,
            group: group.map(|group| group.parse().unwrap()),
            tags,
            attributes,
            ..Place::default()
        })
}

fn reported() -> impl Strategy<Value = Reported> {
    let state = || maybe(&[DeviceState::Ok, DeviceState::Fault]);
    let flag = || proptest::option::of(any::<bool>());
    let health =
        (proptest::option::of(0_u8..101), flag(), state(), state(), (state(), state(), state()), flag())
            .prop_map(
                |(battery_percent, paper, printer, card_reader, (pin_pad, keyboard, display), tamper)| {
                    Health {
                        battery_percent,
                        paper,
                        printer,
                        card_reader,
                        pin_pad,
                        keyboard,
                        display,
                        tamper,
                    }
                },
            );
    let said = || {
        let value = prop_oneof![select(&NUMBERS[..]), select(&WORDS[..])].prop_map(str::to_owned);
        let name = select(&["timeout_s", "locked", "型号", "a\"b"][..]).prop_map(str::to_owned);
        proptest::collection::btree_map(name, value, 0..4)
    };
    (health, said(), said(), maybe(&VERSIONS), proptest::option::of(0_u32..101)).prop_map(
        |(health, parameters, details, firmware, boot_count)| Reported {
            health,
            parameters,
            details,
            firmware_version: firmware.map(str::to_owned),
            boot_count,
            ..Reported::default()
        },
    )
}

/// A terminal, its report after it was added, and when it was heard of.
fn one() -> impl Strategy<Value = (Terminal, Option<Reported>, Option<i64>)> {
    let word = || select(&WORDS[..]).prop_map(str::to_owned);
    (
        (word(), word(), word(), select(&["1", "102310060510002"][..]), 0_i64..90),
        place(),
        reported(),
        maybe(&["A920", "fw2"]),
        proptest::option::of(reported()),
        proptest::option::of(0_i64..90),
    )
        .prop_map(
            |((model, hardware, serial, merchant, enrolled_s), place, first, firmware, later, contact)| {
                let mut new = terminal("T");
                (new.model, new.hardware_revision, new.serial) = (model, hardware, serial);
                new.merchant = merchant.parse().unwrap();
                new.enrolled_at = at(enrolled_s);
                new.desired.firmware = firmware.map(|id| id.parse().unwrap());
                new.reported = first;
                new.place = place;
                (new, later, contact)
            },
        )
}

/// Panics with the smallest estate and selector on which a store and `matches` differ.
pub fn a_selector_finds_what_it_means(runtime: &Runtime, store: &Arc<dyn Store>) {
    runtime.block_on(async {
        for (id, parent) in
            [("bank", None), ("north", Some("bank")), ("shop", Some("north")), ("south", Some("bank"))]
        {
            store.put_group(group(id, parent), None).await.unwrap();
        }
    });
    let number = AtomicU32::new(0);
    let config = Config { cases: ROUNDS, failure_persistence: None, ..Config::default() };
    let input = (proptest::collection::vec(one(), 1..8), proptest::collection::vec(expression(), 20));
    let outcome = TestRunner::new(config).run(&input, |(terminals, selectors)| {
        runtime.block_on(async {
            for (mut new, later, contact_s) in terminals {
                new.id = format!("S{}", number.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
                let tid = new.id.clone();
                store.add_terminal(new).await.unwrap();
                if let Some(report) = later {
                    store.record_report(&tid, report, at(0)).await.unwrap();
                }
                if let Some(contact_s) = contact_s {
                    store.record_contacts(&[(tid, at(contact_s))]).await.unwrap();
                }
            }
            compare(store.as_ref(), &selectors).await
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

async fn compare(store: &dyn Store, selectors: &[String]) -> Result<(), TestCaseError> {
    let now = at(90);
    let tree = Tree::new(store.groups().await.unwrap()).unwrap();
    let all = store.terminals(None, u32::MAX).await.unwrap();
    for text in selectors {
        let selector: Selector =
            text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let meant: Vec<_> = all.iter().filter(|t| selector.matches(t, &tree, now)).collect();
        let ids: Vec<_> = meant.iter().map(|terminal| terminal.id.clone()).collect();
        prop_assert_eq!(&store.ids(&selector, now).await.unwrap(), &ids, "{}", text);
        prop_assert_eq!(store.count(&selector, now).await.unwrap(), ids.len() as u64, "{}", text);
        let middle = ids.get(ids.len() / 2);
        let page = store.find(&selector, middle, 3, now).await.unwrap();
        let after = meant.iter().filter(|terminal| middle.is_none_or(|middle| terminal.id > *middle));
        prop_assert_eq!(
            page.iter().collect::<Vec<_>>(),
            after.take(3).copied().collect::<Vec<_>>(),
            "{}",
            text
        );
    }
    Ok(())
}
