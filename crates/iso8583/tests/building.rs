//! What building refuses, and how it says so.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{BuildError, Builder, Dialect, Message, Mti};

fn builder() -> Builder<'static> {
    Builder::new(Dialect::builtin("unionpay").unwrap(), Mti::new(800).unwrap())
}

fn refused(field: u8, value: &str) -> String {
    builder().set(field, value).unwrap_err().to_string()
}

#[test]
fn values_must_fit_their_field() {
    assert_eq!(refused(11, "1"), "field 11: needs exactly 6 digits and has 1");
    assert_eq!(refused(41, "123456789"), "field 41: needs exactly 8 characters and has 9");
    assert_eq!(refused(60, &"1".repeat(18)), "field 60: takes at most 17 digits and has 18");
    assert_eq!(refused(64, "00"), "field 64: needs exactly 8 bytes and has 1");
    assert_eq!(refused(11, "00000A"), "field 11: character 6 is not allowed in a value of class n");
    assert_eq!(refused(39, "0\n"), "field 39: character 2 is not allowed in a value of class an");
    assert_eq!(refused(62, "123"), "field 62: is written as pairs of hexadecimal digits");
    assert_eq!(refused(62, "zz"), "field 62: is written as pairs of hexadecimal digits");
    assert_eq!(refused(28, "000000100"), "field 28: begins with neither C nor D, the sign of an amount");
}

#[test]
fn the_bitmap_and_unknown_fields_cannot_be_set() {
    for field in [0, 1, 129, 255] {
        assert_eq!(builder().set(field, "1").unwrap_err(), BuildError::Undefined(field));
    }
}

#[test]
fn a_refused_value_leaves_the_builder_as_it_was() {
    let mut builder = builder();
    builder.set(11, "000001").unwrap();
    let before = builder.build().unwrap();
    assert!(builder.set(11, "x").is_err());
    assert!(builder.set(60, "x").is_err());
    assert_eq!(builder.build().unwrap(), before);
}

#[test]
fn the_later_value_counts_and_order_does_not_matter() {
    let mut builder = builder();
    builder.set(60, "00000000003").unwrap().set(11, "999999").unwrap().set(11, "000001").unwrap();
    assert_eq!(hex::encode(builder.build().unwrap()), "080000200000000000100000010011000000000030");
}

#[test]
fn bytes_are_characters_also_where_the_wire_packs_them() {
    let mut builder = builder();
    builder.set_bytes(11, b"000001").unwrap().set_bytes(63, "测试".as_bytes()).unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(Dialect::builtin("unionpay").unwrap(), &bytes).unwrap();
    assert_eq!(message.text("11").as_deref(), Some("000001"));
    assert_eq!(message.text("63").as_deref(), Some("测试"));
}

#[test]
fn a_message_longer_than_any_frame_is_refused_and_nothing_is_written() {
    let dialect = Dialect::from_toml(
        "name = \"big\"\nextends = \"iso87-binary\"\n[field.48]\nformat = \"b.....65534\"",
    )
    .unwrap();
    let mut builder = Builder::new(&dialect, Mti::new(800).unwrap());
    builder.set_bytes(48, &vec![0; 65_534]).unwrap();
    let mut out = vec![1, 2];
    assert!(matches!(builder.build_into(&mut out), Err(BuildError::TooLong(65_547))));
    assert_eq!(out, [1, 2]);
}

#[test]
fn a_response_has_no_response() {
    let dialect = Dialect::builtin("unionpay").unwrap();
    let bytes = hex::decode("08100000000000000000").unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    let error = Builder::reply_to(&message, &[41]).unwrap_err();
    assert_eq!(error.to_string(), "message type 0810 has no response");
}

#[test]
fn printing_a_builder_shows_no_values() {
    let mut builder = builder();
    builder.set(2, "4111111111111111").unwrap();
    assert_eq!(format!("{builder:?}"), "Builder(0800 [2])");
}
