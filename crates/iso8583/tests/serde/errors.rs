//! What does not fit is named, and not quoted.

use std::collections::BTreeMap;

use iso8583::{Builder, FieldsError, FieldsReason, Message, Mti, to_builder};
use serde::{Deserialize, Serialize};

use super::{Response, ascii, build, unionpay};

/// What reading one field into a type says.
macro_rules! refused {
    ($dialect:expr, $number:literal, $text:expr => $type:ty) => {{
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "is never made")]
        struct One<'a> {
            #[serde(rename = $number)]
            value: $type,
            #[serde(skip)]
            message: std::marker::PhantomData<&'a ()>,
        }
        let bytes = build($dialect, &[($number.parse().unwrap(), $text)]);
        let error = Message::parse($dialect, &bytes).unwrap().deserialize::<One>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains($text), "{error:?}");
        error
    }};
}

/// What writing one value says.
macro_rules! refused_to_write {
    ($dialect:expr, $number:literal, $value:expr) => {{
        let error = Builder::new($dialect, Mti::new(200).unwrap())
            .serialize(&BTreeMap::from([($number, $value)]))
            .unwrap_err();
        error.to_string()
    }};
}

#[test]
fn a_field_that_does_not_fit_is_named_with_its_byte() {
    let said = |error: FieldsError| error.to_string();
    assert_eq!(
        said(refused!(unionpay(), "3", "000256" => u8)),
        "field 3 at byte 10: holds a number that does not fit u8"
    );
    assert_eq!(
        said(refused!(ascii(), "28", "D00000001" => u64)),
        "field 28 at byte 20: holds a number that does not fit u64"
    );
    assert_eq!(
        said(refused!(ascii(), "41", "TERM0001" => u64)),
        "field 41 at byte 20: is not a decimal number"
    );
    assert_eq!(
        said(refused!(unionpay(), "64", "0000000000000001" => u64)),
        "field 64 at byte 10: is not a decimal number"
    );
    assert_eq!(
        said(refused!(unionpay(), "11", "000001" => &'a str)),
        "field 11 at byte 10: is packed, encoded or escaped in the message, so that it cannot be borrowed: \
         read it into a String, a Vec<u8> or a Cow"
    );
    assert_eq!(*refused!(ascii(), "52", "0123456789abcdef" => &'a [u8]).reason(), FieldsReason::NotBorrowed);
    assert_eq!(said(refused!(ascii(), "39", "Z9" => Response)), "field 39 at byte 20: is none of 00, 51");
    assert_eq!(
        said(refused!(unionpay(), "64", "0000000000000001" => [u8; 7])),
        "field 64 at byte 10: holds something other than as many elements as are expected"
    );
    assert_eq!(
        said(refused!(unionpay(), "64", "0000000000000001" => [u8; 9])),
        "field 64 at byte 10: holds something other than an array of length 9"
    );
    assert_eq!(
        said(refused!(ascii(), "66", "7" => bool)),
        "field 66 at byte 36: holds a number that does not fit bool, which is 0 or 1"
    );
    assert_eq!(
        said(refused!(ascii(), "4", "000000000001" => f64)),
        "field 4 at byte 20: a floating point number cannot be in a message"
    );
    assert_eq!(
        said(refused!(ascii(), "41", "TERM0001" => BTreeMap<String, String>)),
        "field 41 at byte 20: has no subfields in the dialect"
    );
    assert_eq!(
        said(refused!(ascii(), "41", "TERM0001" => char)),
        "field 41 at byte 20: holds something other than a character"
    );
}

#[test]
fn an_absent_or_unexpected_field_is_named() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "is never made")]
    struct Strict {
        #[serde(rename = "11")]
        trace: u32,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "is never made")]
    struct Unnamed {
        trace: u32,
    }
    let said = |fields: &[(u8, &str)]| {
        let bytes = build(ascii(), fields);
        Message::parse(ascii(), &bytes).unwrap().deserialize::<Strict>().map_err(|error| error.to_string())
    };
    assert_eq!(said(&[(11, "000001")]).unwrap().trace, 1);
    assert_eq!(said(&[]).unwrap_err(), "field 11: the message does not carry it");
    assert_eq!(
        said(&[(11, "000001"), (41, "TERM0001")]).unwrap_err(),
        "field 41: is not expected in the message"
    );
    let bytes = build(ascii(), &[(11, "000001")]);
    let error = Message::parse(ascii(), &bytes).unwrap().deserialize::<Unnamed>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "field trace: is no name of a field: names are `mti` or paths such as 41, 60.3 and 55/9F06"
    );
    assert_eq!((error.path(), error.reason()), (Some("trace"), &FieldsReason::Name));
}

#[test]
fn a_value_that_its_field_cannot_hold_is_named() {
    assert_eq!(refused_to_write!(ascii(), "11", 1_000_000), "field 11: needs exactly 6 digits and has 7");
    assert_eq!(refused_to_write!(ascii(), "11", -1), "field 11: cannot hold a negative number");
    assert_eq!(
        refused_to_write!(ascii(), "52", 1),
        "field 52: a number in a field of bytes cannot be in a message"
    );
    assert_eq!(
        refused_to_write!(ascii(), "11", 1.5),
        "field 11: a floating point number cannot be in a message"
    );
    assert_eq!(
        refused_to_write!(ascii(), "41", ["a", "b"]),
        "field 41: a list of values in one field cannot be in a message"
    );
    assert_eq!(
        refused_to_write!(ascii(), "200", "a"),
        "field 200: the dialect has no such field that can be set"
    );
    assert_eq!(
        refused_to_write!(ascii(), "trace", "a"),
        "field trace: is no name of a field: names are `mti` or paths such as 41, 60.3 and 55/9F06"
    );
    assert_eq!(refused_to_write!(ascii(), "mti", "08O0"), "message type: is not four decimal digits");
    let error = to_builder(ascii(), &BTreeMap::from([("11", 1)])).unwrap_err();
    assert_eq!(error.to_string(), "message: has no message type: it is a text under the key `mti`");
    let error = to_builder(ascii(), &[1, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "message: something other than a struct, a map or an enum of message types cannot be in a message"
    );
}

/// A type whose own errors quote what they are given, as many in the ecosystem do.
#[derive(Debug)]
struct Chatty;

impl<'de> Deserialize<'de> for Chatty {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("what is `{text}`?")))
    }
}

#[test]
fn errors_never_quote_a_value() {
    let card = "4111111111111111";
    // `refused!` looks for the text in each of these.
    assert_eq!(*refused!(ascii(), "2", card => u8).reason(), FieldsReason::OutOfRange("u8"));
    assert_eq!(
        *refused!(ascii(), "2", card => Response).reason(),
        FieldsReason::UnknownVariant(&["00", "51"])
    );
    refused!(ascii(), "2", card => bool);
    refused!(ascii(), "2", card => char);
    refused!(ascii(), "2", card => BTreeMap<String, String>);
    refused!(ascii(), "2", card => std::net::IpAddr);
    refused!(ascii(), "63", card => std::num::NonZero<u8>);
    refused!(ascii(), "63", card => Mti);
    refused!(ascii(), "63", card => [String; 4]);
    refused!(ascii(), "63", card => ());
    assert_eq!(*refused!(ascii(), "2", card => Chatty).reason(), FieldsReason::Hidden);
    assert_eq!(*refused!(ascii(), "52", "0123456789abcdef" => Chatty).reason(), FieldsReason::Hidden);
    assert_eq!(
        refused!(ascii(), "63", card => Chatty).to_string(),
        "field 63 at byte 23: what is `********`?"
    );
    let bytes = build(ascii(), &[(41, "TERM0001")]);
    #[derive(Debug, Deserialize)]
    struct Shown {
        #[serde(rename = "41")]
        _terminal: Chatty,
    }
    let error = Message::parse(ascii(), &bytes).unwrap().deserialize::<Shown>().unwrap_err();
    assert_eq!(error.to_string(), "field 41 at byte 20: what is `TERM0001`?");
}

#[test]
fn an_error_of_the_whole_struct_does_not_quote_a_sensitive_field() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Unchecked")]
    struct Checked;
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "is printed")]
    struct Unchecked {
        #[serde(rename = "2")]
        card: String,
        #[serde(rename = "35")]
        track: String,
        #[serde(rename = "41")]
        terminal: String,
        #[serde(rename = "52")]
        pin: Vec<u8>,
        #[serde(rename = "55/5F20")]
        name: String,
    }
    impl TryFrom<Unchecked> for Checked {
        type Error = String;
        fn try_from(unchecked: Unchecked) -> Result<Self, String> {
            Err(format!("{unchecked:?}"))
        }
    }
    let fields = [
        (2, "12345678"),
        (35, "4111111111111111=2812"),
        (41, "TERM0001"),
        (52, "0123456789abcdef"),
        (55, "5f20044d732058"),
    ];
    let bytes = build(ascii(), &fields);
    let error = Message::parse(ascii(), &bytes).unwrap().deserialize::<Checked>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "message: Unchecked { card: \"********\", track: \"********\", terminal: \"TERM0001\", \
         pin: ********, name: \"********\" }"
    );
}

#[test]
fn a_value_that_fails_to_serialize_is_not_quoted() {
    struct Chatty(&'static str);
    impl Serialize for Chatty {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(format!("what is `{}`?", self.0)))
        }
    }
    assert_eq!(refused_to_write!(ascii(), "63", Chatty("4111111111111111")), "field 63: what is `********`?");
    assert_eq!(
        refused_to_write!(ascii(), "52", Chatty("0123456789abcdef")),
        "field 52: is sensitive and is refused by the type it is read into or written from"
    );
}
