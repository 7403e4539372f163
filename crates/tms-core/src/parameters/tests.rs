use proptest::prelude::*;

use super::*;

#[test]
fn defaults_are_valid_and_canonical() {
    for table in [SCHEMA, TMS] {
        for parameter in table {
            assert_eq!(canonical_in(table, parameter.name, parameter.default).unwrap(), parameter.default);
        }
    }
}

#[test]
fn names_and_tags_are_unique_in_each_table() {
    for table in [SCHEMA, TMS] {
        for parameter in table {
            assert_eq!(table.iter().filter(|other| other.name == parameter.name).count(), 1);
            let tag = parameter.tag("unionpay").unwrap();
            assert_eq!(table.iter().filter(|other| other.tag("unionpay") == Some(tag)).count(), 1);
            assert_eq!(parameter.tag("iso87"), None);
        }
    }
}

#[test]
fn the_tags_are_those_that_go_over_the_wire() {
    let profile = include_str!("../../../tms-proto/profiles/unionpay.toml");
    let value = |table: &str, key: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches([' ', '=', '"']).to_owned())
    };
    let wire: Vec<_> = profile
        .split("[[tag]]")
        .skip(1)
        .filter_map(|table| Some((value(table, "name")?, value(table, "tag")?)))
        .collect();
    for parameter in SCHEMA {
        let tag = parameter.tag("unionpay").unwrap().to_owned();
        assert!(wire.contains(&(parameter.name.to_owned(), tag)), "{}", parameter.name);
    }
}

#[test]
fn everything_is_described_in_both_languages() {
    for parameter in SCHEMA.iter().chain(TMS) {
        let chinese = |text: &str| !text.is_ascii();
        assert!(parameter.description_en.ends_with('.') && !chinese(parameter.description_en));
        assert!(parameter.description_zh.ends_with('。') && chinese(parameter.description_zh));
    }
}

#[test]
fn tms_values_have_one_spelling() {
    for (name, given, canonical) in [
        ("limit_date", "20261130", "2026-11-30"),
        ("limit_date", "", ""),
        ("start", "20261130080000", "2026-11-30T08:00:00"),
        ("end", "2026-11-30T08:00:00", "2026-11-30T08:00:00"),
        ("tpdu", "6000060000", "6000060000"),
        ("content", "01", "01"),
        ("host_1", " 10.0.0.1:9000 ", "10.0.0.1:9000"),
    ] {
        assert_eq!(canonical_in(TMS, name, given).unwrap(), canonical, "{name}");
    }
    for (name, bad) in [
        ("limit_date", "20261131"),
        ("limit_date", "30.11.2026"),
        ("start", "19991130080000"),
        ("tpdu", "600006"),
        ("content", "02"),
        ("host_1", "银联:1"),
        ("code", "70011"),
        ("redial_s", "10000"),
        ("limit_date", "-0001-01-1"),
        ("start", "2026-11-30"),
    ] {
        assert!(canonical_in(TMS, name, bad).is_err(), "{name} {bad}");
    }
    let error = canonical_in(TMS, "host1", "x").unwrap_err().to_string();
    assert!(error.contains("did you mean \"host_1\""), "{error}");
}

#[test]
fn a_secret_value_is_in_no_error() {
    let error = canonical_in(TMS, "gprs", "CMNET|user|geheim\u{7}").unwrap_err();
    assert!(!error.to_string().contains("geheim") && !format!("{error:?}").contains("geheim"));
}

#[test]
fn a_misspelt_name_suggests_the_nearest() {
    let error = canonical("timeout", "30").unwrap_err();
    assert_eq!(error.to_string(), "there is no parameter \"timeout\"; did you mean \"timeout_s\"?");
    let error = canonical("colour", "red").unwrap_err();
    assert!(error.to_string().contains("there are application_type, "), "{error}");
}

#[test]
fn a_value_out_of_range_names_the_range() {
    assert_eq!(
        canonical("timeout_s", "100").unwrap_err().to_string(),
        "timeout_s cannot be \"100\": it takes a whole number from 1 to 99"
    );
    for bad in ["", "-1", "+1", "1.5", "0", "99999999999999", "１"] {
        assert!(canonical("timeout_s", bad).is_err(), "{bad}");
    }
}

#[test]
fn switches_take_words_and_give_digits() {
    assert_eq!(canonical("tip_allowed", "Yes").unwrap(), "1");
    assert_eq!(canonical("tip_allowed", "off").unwrap(), "0");
    assert!(canonical("tip_allowed", "2").is_err());
}

#[test]
fn a_merchant_name_keeps_no_space_at_its_ends_not_even_a_wide_one() {
    assert_eq!(canonical("merchant_name", " \u{3000}商户\u{3000}一\u{3000}").unwrap(), "商户\u{3000}一");
}

#[test]
fn a_merchant_name_is_measured_in_gbk() {
    let twenty = "银".repeat(20);
    assert_eq!(canonical("merchant_name", &twenty).unwrap(), twenty);
    let error = canonical("merchant_name", &"银".repeat(21)).unwrap_err();
    assert!(error.to_string().contains("this has 42"), "{error}");
    assert!(canonical("merchant_name", "no 🐼 please").is_err());
    assert!(canonical("merchant_name", "no\nlines").is_err());
}

proptest! {
    #[test]
    fn the_canonical_spelling_is_canonical(
        at in proptest::sample::select(SCHEMA.iter().map(|p| (SCHEMA, p)).chain(TMS.iter().map(|p| (TMS, p))).collect::<Vec<_>>()),
        value in "\\PC{0,20}|[0-9]{1,14}|true|no|20[0-9]{2}-[0-9]{2}-[0-9]{2}",
    ) {
        let (table, Parameter { name, .. }) = at;
        if let Ok(once) = canonical_in(table, name, &value) {
            prop_assert_eq!(canonical_in(table, name, &once).unwrap(), once);
        }
    }
}
