//! Structs for what stands behind tags and nested bitmaps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use iso8583::{Builder, Dialect, FieldsReason, Message, OwnStructure, Tag, to_builder};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::build;

/// A dialect with every structure that a file can describe.
fn structured() -> Dialect {
    Dialect::from_toml(
        r#"
name = "structured"
extends = "iso87-binary"
[field.48]
format = "ans...999"
structure = "ltv"
length_size = 3
tag_size = 2
length_counts = "tag-and-value"
tags = [{ tag = "AA", name = "A", format = "ans..99" }, { tag = "BB", name = "B", format = "n..9" }]
[field.55]
format = "b...999"
structure = "ber-tlv"
tags = "emv"
[field.61]
format = "ans...999"
structure = "tlv"
tag_size = 2
length_size = 2
tags = [{ tag = "01", name = "One", format = "ans..99" }]
[field.62]
format = "b...999"
structure = "tag-table"
tag_size = 2
tags = [{ tag = "01", name = "Status", format = "ans4" }, { tag = "02", name = "Count", format = "n6", digits = "ascii" }]
[field.127]
format = "b......9999"
structure = "bitmapped"
[field.127.field.2]
name = "Switch key"
format = "ans..32"
[field.127.field.3]
name = "Routing"
format = "n6"
[field.127.field.25]
name = "Chip data"
format = "b...999"
structure = "ber-tlv"
tags = "emv"
"#,
    )
    .unwrap()
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Chip {
    #[serde(rename = "9F06")]
    application: Vec<u8>,
    #[serde(rename = "9F02")]
    amount: Option<u64>,
    #[serde(rename = "DF70", default)]
    repeated: Vec<String>,
    #[serde(rename = "70")]
    template: Option<Template>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Template {
    #[serde(rename = "5A")]
    card: String,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Everything {
    mti: String,
    #[serde(rename = "48")]
    additional: Option<BTreeMap<String, String>>,
    #[serde(rename = "55")]
    chip: Option<Chip>,
    #[serde(rename = "61/01")]
    one: Option<String>,
    #[serde(rename = "62")]
    status: Option<Status>,
    #[serde(rename = "127")]
    switch: Option<Switch>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Status {
    #[serde(rename = "01")]
    text: String,
    #[serde(rename = "02")]
    count: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Switch {
    #[serde(rename = "25")]
    chip: Option<Chip>,
    #[serde(rename = "2")]
    key: String,
    #[serde(rename = "3")]
    routing: u32,
}

fn chip() -> Chip {
    Chip {
        application: vec![0xA0, 0, 0, 3, 0x33],
        amount: Some(1_250),
        repeated: Vec::new(),
        template: Some(Template { card: "4111111111111111".to_owned() }),
    }
}

fn everything() -> Everything {
    Everything {
        mti: "0200".to_owned(),
        additional: Some(BTreeMap::from([
            ("AA".to_owned(), "x".to_owned()),
            ("BB".to_owned(), "7".to_owned()),
        ])),
        chip: Some(chip()),
        one: Some("value".to_owned()),
        status: Some(Status { text: "GOOD".to_owned(), count: 12 }),
        switch: Some(Switch { chip: Some(chip()), key: "K1".to_owned(), routing: 42 }),
    }
}

#[test]
fn every_structure_comes_back_as_the_struct_it_was() {
    let dialect = structured();
    let bytes = to_builder(&dialect, &everything()).unwrap().build().unwrap();
    let message = Message::parse(&dialect, &bytes).unwrap();
    assert_eq!(message.text("48").as_deref(), Some("003AAx003BB7"));
    assert_eq!(message.text("61").as_deref(), Some("0105value"));
    assert_eq!(message.bytes(62).unwrap(), b"01GOOD02000012");
    assert_eq!(message.text("127.3").as_deref(), Some("000042"));
    assert_eq!(message.text("127.25/9F06").as_deref(), Some("a000000333"));
    let chip = hex::encode(message.bytes(55).unwrap());
    assert_eq!(chip, "9f0605a0000003339f0206000000001250700a5a084111111111111111");
    assert_eq!(message.deserialize::<Everything>().unwrap(), everything());
}

/// What a UnionPay terminal reports with function 362. Field 62 stands first here, and what is
/// inside of it follows from field 60.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Report {
    mti: String,
    #[serde(rename = "62")]
    state: State,
    #[serde(rename = "60.1")]
    kind: String,
    #[serde(rename = "60.2")]
    batch: u32,
    #[serde(rename = "60.3")]
    function: u16,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct State {
    #[serde(rename = "01")]
    keyboard: bool,
    #[serde(rename = "04")]
    printer: bool,
    #[serde(rename = "12")]
    timeout_s: u8,
}

#[test]
fn a_structure_that_depends_on_another_field_is_found() {
    let dialect = Dialect::builtin("unionpay").unwrap();
    let state = State { keyboard: true, printer: false, timeout_s: 7 };
    let report = Report { mti: "0820".to_owned(), state, kind: "00".to_owned(), batch: 1, function: 362 };
    let bytes = to_builder(dialect, &report).unwrap().build().unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    assert_eq!(message.bytes(62).unwrap(), b"0110401207");
    assert_eq!(message.deserialize::<Report>().unwrap(), report);
    // In another message nothing is known of the field.
    let other = Report { function: 1, ..report };
    let error = to_builder(dialect, &other).unwrap_err();
    assert_eq!(error.to_string(), "field 62.01: has no subfields in the dialect");
}

#[test]
fn data_objects_stand_in_a_positional_subfield() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Keys {
        #[serde(rename = "62.1")]
        more: char,
        #[serde(rename = "62.2/9F06")]
        applications: Vec<Vec<u8>>,
        #[serde(rename = "60")]
        function: String,
    }
    let dialect = Dialect::builtin("unionpay").unwrap();
    let keys = Keys {
        more: '3',
        applications: vec![vec![0xA0, 0, 0, 3, 0x33], vec![0xA0, 0, 0, 0, 3]],
        function: "00000001370".to_owned(),
    };
    let mut builder = Builder::new(dialect, "0810".parse().unwrap());
    let bytes = builder.serialize(&keys).unwrap().build().unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    assert_eq!(hex::encode(message.bytes(62).unwrap()), "339f0605a0000003339f0605a000000003");
    assert_eq!(message.deserialize::<Keys>().unwrap(), keys);
}

#[test]
fn a_repeated_tag_is_a_list() {
    let dialect = structured();
    let mut message = everything();
    for repeated in [vec!["00"], vec!["01", "02", ""]] {
        let repeated: Vec<String> = repeated.into_iter().map(str::to_owned).collect();
        message.chip = Some(Chip { repeated, ..chip() });
        let bytes = to_builder(&dialect, &message).unwrap().build().unwrap();
        assert_eq!(Message::parse(&dialect, &bytes).unwrap().deserialize::<Everything>().unwrap(), message);
    }
    let bytes = build(&dialect, &[(55, "df7001aadf700155")]);
    let read = Message::parse(&dialect, &bytes).unwrap();
    #[derive(Debug, Deserialize)]
    struct Wrapped<T> {
        #[serde(rename = "55/DF70")]
        value: T,
    }
    assert_eq!(read.deserialize::<Wrapped<Vec<Vec<u8>>>>().unwrap().value, [[0xAA], [0x55]]);
    let error = read.deserialize::<Wrapped<String>>().unwrap_err();
    assert_eq!(error.to_string(), "field 55/DF70 at byte 15: occurs 2 times: read it into a Vec");
    let error = read.deserialize::<Wrapped<Vec<u8>>>().unwrap_err();
    assert_eq!(error.reason(), &FieldsReason::Repeated(2));
    #[derive(Debug, Deserialize)]
    struct Tags {
        #[serde(rename = "55")]
        _tags: BTreeMap<String, String>,
    }
    assert_eq!(read.deserialize::<Tags>().unwrap_err().path(), Some("55/DF70"));
}

#[test]
fn subfields_of_bytes_are_borrowed() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        #[serde(rename = "55/9F06")]
        application: &'a [u8],
        #[serde(rename = "62", borrow)]
        status: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(rename = "01")]
        text: &'a str,
    }
    let dialect = structured();
    let bytes = to_builder(&dialect, &everything()).unwrap().build().unwrap();
    let message = Message::parse(&dialect, &bytes).unwrap();
    let read: Borrowed = message.deserialize().unwrap();
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    assert!(within(read.application) && within(read.status.text.as_bytes()));
    assert_eq!((read.application, read.status.text), ([0xA0, 0, 0, 3, 0x33].as_slice(), "GOOD"));
}

#[test]
fn errors_in_tagged_and_nested_subfields_name_them_and_do_not_quote() {
    #[derive(Debug, Deserialize, Serialize)]
    struct Numbers {
        #[serde(rename = "55")]
        chip: BTreeMap<String, BTreeMap<String, u8>>,
    }
    let dialect = structured();
    let bytes = build(&dialect, &[(55, "700a5a084111111111111111")]);
    let message = Message::parse(&dialect, &bytes).unwrap();
    let error = message.deserialize::<Numbers>().unwrap_err();
    assert_eq!(error.path(), Some("55/70/5A"));
    assert!(!format!("{error} {error:?}").contains("41111111"), "{error:?}");
    let numbers =
        Numbers { chip: BTreeMap::from([("70".to_owned(), BTreeMap::from([("ZZ".to_owned(), 1)]))]) };
    let error = to_builder(&dialect, &numbers).unwrap_err();
    assert_eq!(error.to_string(), "field 55/70/ZZ: the dialect has no such subfield");
    #[derive(Debug, Deserialize)]
    struct Deep {
        #[serde(rename = "127.25/9F06")]
        _application: u8,
    }
    let bytes = to_builder(&dialect, &everything()).unwrap().build().unwrap();
    let error = Message::parse(&dialect, &bytes).unwrap().deserialize::<Deep>().unwrap_err();
    assert_eq!(error.path(), Some("127.25/9F06"));
    let at = error.offset().unwrap();
    assert_eq!(bytes[at..at + 5], [0xA0, 0, 0, 3, 0x33]);
}

#[test]
fn content_that_only_lenient_reading_lets_through_is_named() {
    #[derive(Debug, Deserialize)]
    struct Chips {
        #[serde(rename = "55")]
        _chip: BTreeMap<String, String>,
    }
    let dialect = structured();
    let mut bytes = build(&dialect, &[(55, "9f0605a000000333")]);
    let length = bytes.len() - 6;
    bytes[length] = 6;
    assert!(Message::parse(&dialect, &bytes).is_err());
    let lenient = Message::parse_lenient(&dialect, &bytes).unwrap();
    let error = lenient.message.deserialize::<Chips>().unwrap_err();
    assert_eq!(error.path(), Some("55"));
    assert!(matches!(error.reason(), FieldsReason::Content(_)), "{error}");
    assert!(error.offset().is_some_and(|offset| offset <= length), "{error}");
}

/// One character of tag and one digit of length.
struct Short;

impl OwnStructure for Short {
    fn next(&self, content: &[u8], at: usize) -> Result<Option<(Tag, Range<usize>)>, &'static str> {
        let Some([tag, digit]) = content.get(at..at + 2) else {
            return if at == content.len() { Ok(None) } else { Err("ends inside a tag") };
        };
        let tag = Tag::text(&[*tag]).ok_or("has a tag that does not print")?;
        Ok(Some((tag, at + 2..at + 2 + usize::from(digit - b'0'))))
    }
}

#[test]
fn a_structure_of_the_programs_own_is_read_and_not_written() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Own {
        #[serde(rename = "48/B")]
        second: String,
        #[serde(rename = "48/A")]
        first: String,
    }
    let dialect = Dialect::builtin("iso87-binary").unwrap().clone();
    let value = dialect.field(48).unwrap().clone();
    let dialect = dialect.with_structure(48, Arc::new(Short), value);
    let bytes = build(&dialect, &[(48, "A1xB3yyy")]);
    let own: Own = Message::parse(&dialect, &bytes).unwrap().deserialize().unwrap();
    assert_eq!(own, Own { first: "x".to_owned(), second: "yyy".to_owned() });
    let error = Builder::new(&dialect, "0200".parse().unwrap()).serialize(&own).unwrap_err();
    assert_eq!(error.to_string(), "field 48/B: has no subfields that could be written in the dialect");
}

fn any_chip() -> impl Strategy<Value = Chip> {
    (
        // An empty list of bytes leaves a subfield out.
        proptest::collection::vec(any::<u8>(), 1..=16),
        proptest::option::of(0u64..=999_999_999_999),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20).prop_map(hex::encode), 0..4),
        proptest::option::of("[0-9]{1,19}".prop_map(|card| Template { card })),
    )
        .prop_map(|(application, amount, repeated, template)| Chip {
            application,
            amount,
            repeated,
            template,
        })
}

proptest! {
    #[test]
    fn subfields_come_back_from_their_message(
        chip in proptest::option::of(any_chip()),
        one in proptest::option::of("[ -[^-~]{0,60}"),
        status in proptest::option::of(("[ -[^-~]{4}", 0u32..=999_999)),
        switch in proptest::option::of((proptest::option::of(any_chip()), "[a-z]{0,32}", 0u32..=999_999)),
        additional in proptest::option::of(("[a-z]{0,20}", "[0-9]{0,9}")),
    ) {
        let dialect = structured();
        let everything = Everything {
            mti: "0200".to_owned(),
            additional: additional.map(|(a, b)| BTreeMap::from([("AA".to_owned(), a), ("BB".to_owned(), b)])),
            chip,
            one,
            status: status.map(|(text, count)| Status { text, count }),
            switch: switch.map(|(chip, key, routing)| Switch { chip, key, routing }),
        };
        let bytes = to_builder(&dialect, &everything).unwrap().build().unwrap();
        let message = Message::parse(&dialect, &bytes).unwrap();
        prop_assert_eq!(message.deserialize::<Everything>().unwrap(), everything);
        // All texts as they are make the same message, whatever is inside of them.
        let texts: BTreeMap<String, String> = message.deserialize().unwrap();
        prop_assert_eq!(to_builder(&dialect, &texts).unwrap().build().unwrap(), bytes);
    }
}
