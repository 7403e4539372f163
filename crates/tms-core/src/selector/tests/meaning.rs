use super::*;

#[test]
fn each_of_these_selects_the_talkative_terminal_and_not_the_silent_one() {
    for selector in [
        "tid = 1000*",
        "tid = 10000001",
        "tid < \"2\" and tid >= 10000001",
        "vendor ~ \"P?X\" and vendor != Verifone",
        "group = shop",
        "group in (boc, shop)",
        "group under \"icbc-bj\" and model in (\"A920\", \"N910\")",
        "group under icbc and group != boc",
        "tag canary",
        "tag has canary and not tag pilot",
        "tag in (pilot, canary)",
        "tag ~ \"region:*\"",
        "attr.floor > 2 and attr.floor = 3 and attr.floor in (1, 3)",
        "attr.rented = true and attr.contract = \"17\" and attr.contract ~ \"1*\"",
        "last_contact newer than 2h1s",
        "last_contact older than 1h59m59s",
        "desired.firmware = fw2",
        "reported.firmware < 2.1.0 and reported.firmware >= 2.0.9-rc and reported.firmware ~ \"2.*\"",
        "reported.boot_count > 6 and reported.battery in (79, 80)",
        "reported.paper = fault and reported.printer = ok and reported.printer != fault",
        "reported.tamper = false and reported.tamper != true",
        "reported.parameter.timeout_s > 5 and reported.parameter.timeout_s = 45",
        "reported.parameter.merchant_name = \"银杏 \\\"A\\\"\"",
        "reported.detail.locked != yes",
        "NOT last_contact never AND (tag a OR tag canary)",
    ] {
        assert!(matches(selector, &talkative()), "{selector}");
        assert!(!matches(selector, &silent()), "{selector}");
    }
}

#[test]
fn these_select_both() {
    for selector in [
        "all",
        "life_cycle = active and life_cycle in (active, locked)",
        "enrolled_at before 2026-02-01 and enrolled_at after 2026-01-30T23:59:59Z",
        "enrolled_at after 2026-01-31T07:59:59+08:00",
        "not enrolled_at after 2026-01-31",
        "mid = 102310060510002 and serial = SN-1 and hardware_revision = B2 and profile = unionpay",
        "time_zone = Asia/Shanghai",
    ] {
        assert!(matches(selector, &talkative()) && matches(selector, &silent()), "{selector}");
    }
}

#[test]
fn what_is_missing_fails_every_test_and_not_turns_that_round() {
    for field in ["reported.battery", "reported.boot_count", "attr.floor", "reported.parameter.timeout_s"] {
        for operator in ["=", "!=", "<", "<=", ">", ">="] {
            assert!(!matches(&format!("{field} {operator} 1"), &silent()), "{field} {operator}");
            assert!(matches(&format!("not {field} {operator} 1"), &silent()), "{field} {operator}");
        }
    }
    for test in [
        "group != boc",
        "group under icbc",
        "reported.paper != ok",
        "reported.tamper != true",
        "reported.firmware != 1",
        "last_contact older than 1s",
        "last_contact newer than 1s",
        "reported.detail.x ~ \"*\"",
        "desired.firmware != a",
        "attr.floor in (1)",
    ] {
        assert!(!matches(test, &silent()) && matches(&format!("not {test}"), &silent()), "{test}");
    }
    assert!(matches("last_contact never", &silent()));
}

#[test]
fn a_value_of_another_type_counts_as_missing() {
    for test in [
        "attr.floor = \"3\"",
        "attr.floor != \"4\"",
        "attr.floor ~ \"*\"",
        "attr.rented = \"true\"",
        "attr.contract = 17",
        "attr.contract != 18",
        "attr.rented != 1",
        "reported.parameter.merchant_name > 0",
        "reported.parameter.merchant_name < 0",
    ] {
        assert!(!matches(test, &talkative()), "{test}");
    }
}

#[test]
fn an_age_is_neither_older_nor_newer_than_itself() {
    assert!(!matches("last_contact older than 2h", &talkative()));
    assert!(!matches("last_contact newer than 2h", &talkative()));
}

#[test]
fn not_binds_closer_than_and_which_binds_closer_than_or() {
    for (text, canonical) in [
        ("not tag a and tag b or tag c", "not tag a and tag b or tag c"),
        ("not (tag a and tag b) or tag c", "not (tag a and tag b) or tag c"),
        ("tag a and (tag b or tag c)", "tag a and (tag b or tag c)"),
        ("tag a and (tag b and (tag c))", "tag a and tag b and tag c"),
        ("((tag a)) or (tag b or tag c)", "tag a or tag b or tag c"),
        ("not not (tag a)", "not not tag a"),
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), canonical);
    }
}

#[test]
fn the_canonical_form_is_spelt_out() {
    for (text, canonical) in [
        ("tid=1000*", "tid ~ \"1000*\""),
        ("tid = \"1000*\"", "tid = \"1000*\""),
        ("attr.x = 007", "attr.x = 7"),
        ("attr.x = \"007\"", "attr.x = \"007\""),
        ("last_contact older than 120m", "last_contact older than 2h"),
        ("last_contact newer than 1d12h", "last_contact newer than 36h"),
        ("enrolled_at before 2026-11-30", "enrolled_at before 2026-11-30T00:00:00Z"),
        ("tag = canary", "tag canary"),
        ("reported.tamper = yes", "reported.tamper = true"),
        ("reported.firmware = 2.1", "reported.firmware = 2.1"),
        ("vendor ~ \"a**b\"", "vendor ~ \"a*b\""),
    ] {
        assert_eq!(Selector::parse(text).unwrap().to_string(), canonical);
    }
}

#[test]
fn patterns_with_many_stars_are_decided_at_once() {
    let pattern = Glob::new(&"a*".repeat(1_000));
    assert!(!pattern.matches(&"a".repeat(999)));
    assert!(pattern.matches(&"ab".repeat(1_000)));
}

#[test]
fn a_saved_selector_is_read_when_it_is_loaded() {
    let json = r#"{"name": "north", "selector": "tag = north", "author": "li"}"#;
    let saved: SavedSelector = serde_json::from_str(json).unwrap();
    assert_eq!(saved.selector.to_string(), "tag north");
    let error = serde_json::from_str::<SavedSelector>(&json.replace("tag =", "tga =")).unwrap_err();
    assert!(error.to_string().contains("did you mean \"tag\"?"), "{error}");
}

#[test]
fn the_selector_of_a_group_is_the_one_that_people_write() {
    let group = "icbc-bj".parse().unwrap();
    assert_eq!(Selector::of_group(&group, false), "group = icbc-bj".parse().unwrap());
    assert_eq!(Selector::of_group(&group, true), "group under icbc-bj".parse().unwrap());
}
