//! What strict reading refuses, and how it says so.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{Dialect, Message, ParseReason, Path};

fn refused(dialect: &str, hex: &str) -> (Path, usize, ParseReason, String) {
    let bytes = hex::decode(hex.replace(' ', "")).unwrap();
    let error = Message::parse(Dialect::builtin(dialect).unwrap(), &bytes).unwrap_err();
    (error.path(), error.offset(), error.reason(), error.to_string())
}

fn unionpay(hex: &str) -> (Path, usize, ParseReason, String) {
    refused("unionpay", hex)
}

#[test]
fn an_empty_or_cut_message_names_what_is_missing() {
    assert_eq!(unionpay("").3, "message type at byte 0: 2 bytes are needed and 0 are left");
    assert_eq!(unionpay("0800 00200000").3, "bitmap at byte 2: 8 bytes are needed and 4 are left");
    assert_eq!(
        unionpay("0800 0020000000000000 0000").3,
        "field 11 at byte 10: 3 bytes are needed and 2 are left"
    );
}

#[test]
fn a_truncated_length_prefix_names_its_field_and_offset() {
    let (path, offset, reason, _) = unionpay("0800 0000000000000010 00");
    assert_eq!((path, offset), (Path::Field(60), 10));
    assert_eq!(reason, ParseReason::Truncated { needed: 2, left: 1 });
}

#[test]
fn a_truncated_value_is_counted_from_after_its_prefix() {
    let (path, offset, reason, _) = unionpay("0800 0000000000000010 0011 0000");
    assert_eq!((path, offset), (Path::Field(60), 12));
    assert_eq!(reason, ParseReason::Truncated { needed: 6, left: 2 });
}

#[test]
fn a_message_type_is_decimal() {
    let (path, offset, reason, _) = unionpay("08A0 0000000000000000");
    assert_eq!((path, offset, reason), (Path::Mti, 1, ParseReason::NotPackedDigits(0xA0)));
    let (path, offset, reason, _) = refused("iso87-ascii", "3038304F");
    assert_eq!((path, offset, reason), (Path::Mti, 3, ParseReason::NotADigit(b'O')));
}

#[test]
fn a_length_above_the_maximum_is_refused_before_the_value_is_looked_for() {
    let (path, offset, reason, text) = unionpay("0800 0000000000000010 0018");
    assert_eq!((path, offset, reason), (Path::Field(60), 10, ParseReason::Length { length: 18, max: 17 }));
    assert_eq!(text, "field 60 at byte 10: the length says 18 where at most 17 is allowed");
}

#[test]
fn a_length_is_decimal() {
    let (path, offset, reason, _) = unionpay("0800 0000000000000010 00A1");
    assert_eq!((path, offset, reason), (Path::Field(60), 11, ParseReason::NotPackedDigits(0xA1)));
}

#[test]
fn numbers_are_decimal_and_their_filler_is_the_dialects() {
    let (path, offset, reason, _) = unionpay("0800 0020000000000000 00A001");
    assert_eq!((path, offset, reason), (Path::Field(11), 11, ParseReason::NotPackedDigits(0xA0)));
    let (path, offset, reason, text) = unionpay("0800 0000000000000010 0011 00000000003F");
    assert_eq!((path, offset, reason), (Path::Field(60), 17, ParseReason::Pad { found: 15, expected: 0 }));
    assert_eq!(text, "field 60 at byte 17: the filler nibble is f where the dialect writes 0");
    // Field 22 has its filler behind, field 23 in front.
    assert_eq!(unionpay("0800 0000040000000000 0021").2, ParseReason::Pad { found: 1, expected: 0 });
    assert_eq!(unionpay("0800 0000020000000000 1001").2, ParseReason::Pad { found: 1, expected: 0 });
}

#[test]
fn characters_belong_to_their_class() {
    let (path, offset, reason, text) = unionpay("0810 0000000002000000 3000");
    assert_eq!((path, offset), (Path::Field(39), 11));
    assert!(matches!(reason, ParseReason::Character { byte: 0, .. }));
    assert_eq!(text, "field 39 at byte 11: 0x00 is not allowed in a value of class an");
}

#[test]
fn a_signed_amount_begins_with_its_sign() {
    let (path, _, reason, _) = refused("iso87-binary", "0220 0000001000000000 30 00000100");
    assert_eq!((path, reason), (Path::Field(28), ParseReason::Sign(b'0')));
}

#[test]
fn bytes_after_the_last_field_are_refused() {
    let (path, offset, reason, text) = unionpay("0800 0020000000000000 000001 FFFF");
    assert_eq!((path, offset, reason), (Path::End, 13, ParseReason::Trailing(2)));
    assert_eq!(text, "end of message at byte 13: 2 bytes follow the last field");
}

#[test]
fn a_second_bitmap_must_say_something_and_be_there() {
    let (path, offset, reason, _) = unionpay("0800 8000000000000000 0000000000000000");
    assert_eq!((path, offset, reason), (Path::Bitmap, 10, ParseReason::EmptySecondary));
    let (path, offset, reason, _) = unionpay("0800 8000000000000000 00");
    assert_eq!((path, offset, reason), (Path::Bitmap, 10, ParseReason::Truncated { needed: 8, left: 1 }));
}

#[test]
fn a_hexadecimal_bitmap_is_upper_case_because_that_is_how_it_is_built() {
    let bytes = hex::encode("0800002000000000000a");
    let (path, offset, reason, _) = refused("iso87-ascii", &(bytes.clone() + &hex::encode("000001")));
    assert_eq!((path, offset, reason), (Path::Bitmap, 19, ParseReason::NotHex(b'a')));
}

#[test]
fn a_message_larger_than_any_frame_is_refused() {
    let dialect = Dialect::builtin("unionpay").unwrap();
    let error = Message::parse(dialect, &vec![0; 65_536]).unwrap_err();
    assert_eq!(error.reason(), ParseReason::TooLong(65_536));
}

#[test]
fn an_undefined_field_is_refused() {
    let dialect = Dialect::from_toml(
        "name = \"tiny\"\n[encoding]\nmti = \"bcd\"\nbitmap = \"binary\"\nlength = \"bcd\"\ndigits = \"bcd-right\"\n\
         variable_digits = \"bcd-left\"\nbinary = \"raw\"\n[field]\n11 = { name = \"Trace\", format = \"n6\" }\n",
    )
    .unwrap();
    let bytes = hex::decode("08000028000000000000000001").unwrap();
    let error = Message::parse(&dialect, &bytes).unwrap_err();
    assert_eq!(error.to_string(), "field 13 at byte 13: the dialect has no such field");
}

#[test]
fn the_packed_track_separator_is_read_as_an_equals_sign() {
    let dialect = Dialect::builtin("unionpay").unwrap();
    let bytes = hex::decode("02000000000020000000214111111111111111D28120").unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    assert_eq!(message.text("35").as_deref(), Some("4111111111111111=2812"));
}

#[test]
fn subfields_are_found_by_path() {
    let dialect = Dialect::builtin("unionpay").unwrap();
    let bytes = hex::decode("08000000000000000010001100000519003 0".replace(' ', "")).unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    assert_eq!(message.text("60").as_deref(), Some("00000519003"));
    assert_eq!(message.text("60.1").as_deref(), Some("00"));
    assert_eq!(message.text("60.2").as_deref(), Some("000519"));
    assert_eq!(message.text("60.3").as_deref(), Some("003"));
    for absent in ["60.4", "60.0", "60.8", "60.", "60.x", "41", "41.1", "1", "0", "300", "", "-1"] {
        assert_eq!(message.text(absent), None, "{absent}");
    }
}
