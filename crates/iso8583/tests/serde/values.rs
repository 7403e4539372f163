//! Which types take which values.

use std::collections::BTreeMap;

use iso8583::{Builder, Dialect, Message, Mti, to_builder};
use serde::{Deserialize, Serialize};

use super::{ascii, build, unionpay};

/// Writes one field of text and reads it into a type; then writes that and sees the same text.
macro_rules! there_and_back {
    ($dialect:expr, $number:literal, $text:expr => $value:expr, $type:ty) => {{
        #[derive(Debug, PartialEq, Deserialize, Serialize)]
        struct One {
            #[serde(rename = $number)]
            value: $type,
        }
        let bytes = build($dialect, &[($number.parse().unwrap(), $text)]);
        let one: One = Message::parse($dialect, &bytes).unwrap().deserialize().unwrap();
        assert_eq!(one, One { value: $value });
        let mut builder = Builder::new($dialect, Mti::new(200).unwrap());
        assert_eq!(builder.serialize(&one).unwrap().build().unwrap(), bytes);
    }};
}

#[test]
fn each_type_of_rust_has_its_fields() {
    there_and_back!(unionpay(), "3", "000001" => 1, u8);
    there_and_back!(unionpay(), "3", "065535" => 65_535, u16);
    there_and_back!(ascii(), "4", "999999999999" => 999_999_999_999, i64);
    there_and_back!(ascii(), "2", "9999999999999999999" => 9_999_999_999_999_999_999, u128);
    there_and_back!(ascii(), "28", "C00000000" => 0, i32);
    there_and_back!(ascii(), "28", "D99999999" => -99_999_999, i32);
    there_and_back!(ascii(), "49", "036" => 36, u16);
    there_and_back!(ascii(), "66", "1" => true, bool);
    there_and_back!(ascii(), "66", "0" => false, bool);
    there_and_back!(ascii(), "66", "7" => '7', char);
    there_and_back!(unionpay(), "35", "4111111111111111=2812" => "4111111111111111=2812".to_owned(), String);
    there_and_back!(unionpay(), "64", "00ff00ff00ff00ff" => "00ff00ff00ff00ff".to_owned(), String);
    there_and_back!(unionpay(), "64", "00ff00ff00ff00ff" => [0, 255, 0, 255, 0, 255, 0, 255], [u8; 8]);
    there_and_back!(ascii(), "64", "00ff00ff00ff00ff" => vec![0, 255, 0, 255, 0, 255, 0, 255], Vec<u8>);
    there_and_back!(unionpay(), "11", "000042" => b"000042".to_vec(), Vec<u8>);
    there_and_back!(unionpay(), "63", "" => Vec::new(), Vec<u8>);
    there_and_back!(unionpay(), "63", "\\xB2\\xE2" => vec![0xB2, 0xE2], Vec<u8>);
    there_and_back!(unionpay(), "63", "\\xB2\\xE2" => "\\xB2\\xE2".to_owned(), String);
    there_and_back!(unionpay(), "63", "测试" => "测试".to_owned(), String);
}

#[test]
fn newtypes_are_what_they_hold() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Trace(u32);
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Outer(Inner);
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Inner {
        mti: String,
        #[serde(rename = "11")]
        trace: Option<Trace>,
    }
    let outer = Outer(Inner { mti: "0800".to_owned(), trace: Some(Trace(7)) });
    let bytes = to_builder(unionpay(), &outer).unwrap().build().unwrap();
    let message = Message::parse(unionpay(), &bytes).unwrap();
    assert_eq!(message.text("11").as_deref(), Some("000007"));
    assert_eq!(message.deserialize::<Outer>().unwrap(), outer);
    assert_eq!(message.deserialize::<Option<Outer>>().unwrap(), Some(outer));
}

#[test]
fn an_open_enum_keeps_what_it_does_not_know() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    enum Open {
        #[serde(rename = "00")]
        Approved,
        #[serde(untagged)]
        Other(String),
    }
    there_and_back!(ascii(), "39", "00" => Open::Approved, Open);
    there_and_back!(ascii(), "39", "Z9" => Open::Other("Z9".to_owned()), Open);
}

#[test]
fn a_number_has_an_even_count_of_digits_where_its_length_counts_bytes() {
    let dialect = Dialect::from_toml(
        "name = \"even\"\nextends = \"iso87-binary\"\n[field]\n32 = { format = \"n..12\", unit = \"bytes\" }\n\
         97 = { format = \"x+n...16\", unit = \"bytes\" }",
    )
    .unwrap();
    let bytes = to_builder(&dialect, &BTreeMap::from([("mti", 200), ("32", 123), ("97", -123)])).unwrap();
    let bytes = bytes.build().unwrap();
    let message = Message::parse(&dialect, &bytes).unwrap();
    assert_eq!(message.text("32").as_deref(), Some("0123"));
    assert_eq!(message.text("97").as_deref(), Some("D0123"));
}
