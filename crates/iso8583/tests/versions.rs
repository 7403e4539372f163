//! The same exchange in the dialects of the three versions of the standard.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{Builder, Dialect, Message};

/// Builds a message, compares its bytes, and reads it again.
fn is_written(dialect: &str, mti: &str, fields: &[(u8, &str)], wire: &str) {
    let dialect = Dialect::builtin(dialect).unwrap();
    let mut builder = Builder::new(dialect, mti.parse().unwrap());
    for (number, text) in fields {
        builder.set(*number, text).unwrap();
    }
    let bytes = builder.build().unwrap();
    assert_eq!(hex::encode(&bytes), wire.split_whitespace().collect::<String>().to_lowercase());
    let message = Message::parse(dialect, &bytes).unwrap();
    for (number, text) in fields {
        assert_eq!(message.field(*number).unwrap().text(), *text);
    }
}

/// An echo test of :1993: trace, local time, function 831.
const ECHO_93: &[(u8, &str)] = &[(11, "444444"), (12, "201809101129"), (24, "831")];

#[test]
fn an_echo_of_1993_in_characters() {
    let text = "1804".to_owned() + "0030010000000000" + "444444" + "201809101129" + "831";
    is_written("iso93-ascii", "1804", ECHO_93, &hex::encode(text));
}

#[test]
fn an_echo_of_1993_in_ebcdic() {
    let wire = "F1F8F0F4 0030010000000000 F4F4F4F4F4F4 F2F0F1F8F0F9F1F0F1F1F2F9 F8F3F1";
    is_written("iso93-ebcdic", "1804", ECHO_93, wire);
    // Text, signs and lengths are EBCDIC, too; bytes stay bytes.
    let fields = [(44, "Ab 1"), (97, "D0000000000000042"), (52, "0123456789abcdef")];
    let wire = "F1F8F1F4 8000000000101000 0000000080000000 F0F4 C18240F1 0123456789ABCDEF \
                C4 F0F0F0F0F0F0F0F0F0F0F0F0F0F0F4F2";
    is_written("iso93-ebcdic", "1814", &fields, wire);
}

#[test]
fn an_echo_of_1993_in_packed_digits() {
    is_written("iso93-binary", "1804", ECHO_93, "1804 0030010000000000 444444 201809101129 0831");
}

#[test]
fn an_echo_of_2003_has_more_digits() {
    let fields =
        [(11, "000000444444"), (12, "20201809101129"), (24, "831"), (39, "8000"), (41, "T1              ")];
    let wire = "2814 0030010002800000 000000444444 20201809101129 8310 8000 54312020202020202020202020202020";
    is_written("iso03-binary", "2814", &fields, wire);
}

#[test]
fn an_amount_of_2003_carries_its_currency() {
    let dialect = Dialect::builtin("iso03-binary").unwrap();
    let mut builder = Builder::new(dialect, "2100".parse().unwrap());
    builder.set(4, "1562000000012345").unwrap();
    builder.set(43, "4000000000000000055368616e67").unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    assert_eq!(message.text("4.1").as_deref(), Some("156"));
    assert_eq!(message.u64("4.3").unwrap(), Some(12_345));
    assert_eq!(message.text("43.2").as_deref(), Some("Shang"));
}

#[test]
fn what_the_versions_have_in_one_place_is_not_the_same() {
    let notation =
        |dialect: &str, number| Dialect::builtin(dialect).unwrap().field(number).unwrap().notation();
    for (number, shapes) in [
        (11, ["n6", "n6", "n12"]),
        (12, ["n6", "n12", "n14"]),
        (25, ["n2", "n4", "n4"]),
        (39, ["an2", "n3", "n4"]),
        (41, ["ans8", "ans8", "ans16"]),
        (42, ["ans15", "ans15", "ans..35"]),
        (64, ["b8", "b8", "b4"]),
        (71, ["n4", "n8", "b....9999"]),
        (72, ["n4", "ans...999", "b...999"]),
        (91, ["an1", "n3", "b....9999"]),
        (96, ["b8", "b...999", "b...999"]),
        (101, ["ans..17", "ans..17", "ans..99"]),
        (128, ["b8", "b8", "b4"]),
    ] {
        let found = ["iso87-binary", "iso93-binary", "iso03-binary"].map(|name| notation(name, number));
        assert_eq!(found, shapes, "field {number}");
    }
}
