//! What stands inside the fields of UnionPay messages, and which parts of it may not be shown.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{Builder, Content, Dialect, MASK, Message, ParseReason, Step, Tag};

fn dialect() -> &'static Dialect {
    Dialect::builtin("unionpay").unwrap()
}

/// A message with a function code and its data, as bytes.
fn function(mti: &str, code: &str, data: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(dialect(), mti.parse().unwrap());
    builder.set(41, "12345678").unwrap().set(42, "102310060510002").unwrap();
    builder.set(60, &format!("00000001{code}")).unwrap().set_bytes(62, data).unwrap();
    builder.build().unwrap()
}

fn text(message: &Message<'_>, path: &str) -> String {
    message.text(path).unwrap_or_else(|| panic!("no {path}")).into_owned()
}

#[test]
fn a_status_upload_is_a_table_of_tags() {
    let status = b"0110210310410511160123013314827906\
        25      1801910200210233251271051007200999980";
    let bytes = function("0820", "362", status);
    let message = Message::parse(dialect(), &bytes).unwrap();
    for (path, value) in
        [("62/01", "1"), ("62/11", "60"), ("62/14", "82790625      "), ("62/51", "007200999980")]
    {
        assert_eq!(text(&message, path), value, "{path}");
    }
    let tags = message.field(62).unwrap().subfields().map(|field| field.unwrap().step().unwrap().to_string());
    assert_eq!(tags.collect::<Vec<_>>().join(" "), "01 02 03 04 05 11 12 13 14 18 19 20 21 23 25 27 51");
}

#[test]
fn an_unknown_tag_of_a_table_is_an_error_at_its_place() {
    let bytes = function("0820", "362", b"011021991");
    let error = Message::parse(dialect(), &bytes).unwrap_err();
    assert_eq!(error.path().field(), Some(62));
    assert_eq!(error.offset(), bytes.len() - 3);
    assert_eq!(error.reason(), ParseReason::UnknownTag(Tag::text(b"99").unwrap()));
    // The same data under a function that has no table is only bytes.
    assert!(Message::parse(dialect(), &function("0820", "301", b"011021991")).is_ok());
}

#[test]
fn parameters_hold_chinese_text_and_four_bytes() {
    let name: Vec<u8> = [&[0xB2, 0xE2, 0xCA, 0xD4][..], &[b' '; 36]].concat();
    let data = [&b"1160123022"[..], &name, b"26", &[0xFF, 0x80, 0, 0]].concat();
    let bytes = function("0810", "360", &data);
    let message = Message::parse(dialect(), &bytes).unwrap();
    assert_eq!(message.get("62/22").unwrap().bytes(), name);
    assert_eq!(text(&message, "62/26"), "ff800000");
    assert_eq!(message.u64("62/12").unwrap(), Some(30));
}

#[test]
fn tms_parameters_are_388_bytes_and_hide_the_passwords_of_the_line() {
    let data: String = [
        ("26", "18181818", 8),
        ("27", "00", 2),
        ("28", "7001", 4),
        ("29", "20180531", 8),
        ("30", "100000", 6),
        ("31", "1001", 4),
        ("32", "15842665874", 20),
        ("33", "15842665874", 20),
        ("34", "192.168.28.169:32091", 30),
        ("35", "192.168.28.169:32091", 30),
        ("36", "CMNET|tms|secret|127.0.0.1|10001", 60),
        ("37", "tms|secret|127.0.0.1|10001", 60),
        ("38", "12345678123456781234567812345678", 32),
        ("39", "0060", 4),
        ("40", "downloading", 30),
        ("41", "6066660000", 10),
        ("42", "160501000000", 12),
        ("43", "180531000000", 12),
    ]
    .map(|(tag, value, length)| format!("{tag}{value:<length$}"))
    .concat();
    assert_eq!(data.len(), 388);
    let bytes = function("0810", "364", data.as_bytes());
    let message = Message::parse(dialect(), &bytes).unwrap();
    assert_eq!(text(&message, "62/28"), "7001");
    assert_eq!(message.date("62/29").unwrap().unwrap().full_year(), Some(2018));
    assert_eq!(message.get("62/36").unwrap().masked(), MASK);
}

#[test]
fn keys_and_applications_are_a_control_character_and_data_objects() {
    let reply = hex::decode(
        "319f0607a0000000031010df0101009f08020140df1105d84000a800df130500100000009f7b06000000010000",
    )
    .unwrap();
    let bytes = function("0810", "380", &reply);
    let message = Message::parse(dialect(), &bytes).unwrap();
    assert_eq!(text(&message, "62.1"), "1");
    assert_eq!(text(&message, "62.2/9F06"), "a0000000031010");
    assert_eq!(message.u64("62.2/9F7B").unwrap(), Some(10_000));
    let request = function("0800", "370", &hex::decode("9f0605a0000003339f220108").unwrap());
    assert_eq!(text(&Message::parse(dialect(), &request).unwrap(), "62/9F22"), "08");
    let query = function("0820", "372", b"105");
    assert_eq!(text(&Message::parse(dialect(), &query).unwrap(), "62.2"), "05");

    // The same can be composed.
    let mut builder = Builder::new(dialect(), "0810".parse().unwrap());
    builder.set(60, "00000001380").unwrap();
    let objects = [("9F06", Content::Text("a0000000031010")), ("9F7B", Content::Text("000000010000"))];
    builder.set_parts(62, &[("1", Content::Text("1")), ("2", Content::Parts(&objects))]).unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(dialect(), &bytes).unwrap();
    assert_eq!(hex::encode(message.field(62).unwrap().bytes()), "319f0607a00000000310109f7b06000000010000");
}

#[test]
fn chip_data_shows_what_is_no_secret() {
    let chip = [
        "5a084111111111111111",
        "57134111111111111111d28122010000000000000f",
        "5f2403281231",
        "9f2608aabbccddeeff0011",
    ]
    .concat();
    let mut builder = Builder::new(dialect(), "0200".parse().unwrap());
    builder.set(55, &chip).unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(dialect(), &bytes).unwrap();
    let masked = |path: &str| message.get(path).unwrap().masked().into_owned();
    assert_eq!(masked("55/5A"), "411111******1111");
    assert_eq!(masked("55/57"), MASK);
    assert_eq!(masked("55"), MASK);
    assert_eq!(text(&message, "55/5F24"), "281231");
    assert_eq!(masked("55/9F26"), "aabbccddeeff0011");
    assert_eq!(text(&message, "55/57"), "4111111111111111=28122010000000000000");
    let step = Step::Tag(Tag::ber(0x5A));
    assert_eq!(message.field(55).unwrap().subfields().next().unwrap().unwrap().step(), Some(step));
}
