//! Which types take whole messages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use iso8583::{Builder, Dialect, FieldsReason, Message, Mti, to_builder};
use serde::{Deserialize, Serialize};

use super::{Sale, ascii, build, sale, unionpay};

#[test]
fn a_struct_becomes_a_message_and_the_message_the_same_struct() {
    for name in ["unionpay", "iso87-ascii", "iso87-binary"] {
        let dialect = Dialect::builtin(name).unwrap();
        let bytes = to_builder(dialect, &sale()).unwrap().build().unwrap();
        let message = Message::parse(dialect, &bytes).unwrap();
        assert_eq!(message.mti().to_string(), "0210", "{name}");
        let text = |number: u8| message.field(number).map(|field| field.text().into_owned());
        assert_eq!(text(4).as_deref(), Some("000000012345"), "{name}");
        assert_eq!(text(28).as_deref(), Some("D00000150"), "{name}");
        assert_eq!(text(39).as_deref(), Some("51"), "{name}");
        assert_eq!(text(52).as_deref(), Some("0102030405060708"), "{name}");
        assert_eq!(text(59), None, "{name}");
        assert_eq!(message.deserialize::<Sale>().unwrap(), sale(), "{name}");
    }
}

#[test]
fn text_and_bytes_are_borrowed_from_the_message() {
    let bytes = to_builder(ascii(), &sale()).unwrap().build().unwrap();
    let message = Message::parse(ascii(), &bytes).unwrap();
    let read: Sale = message.deserialize().unwrap();
    let place = |part: &[u8]| part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    assert_eq!(place(read.terminal.as_bytes()), place(message.bytes(41).unwrap()));
    assert!(matches!(read.card, Cow::Borrowed(_)));
    assert_eq!(place(read.card.as_bytes()), place(message.bytes(2).unwrap()));
    let bytes = to_builder(unionpay(), &sale()).unwrap().build().unwrap();
    let message = Message::parse(unionpay(), &bytes).unwrap();
    let read: Sale = message.deserialize().unwrap();
    assert!(matches!(read.card, Cow::Owned(_)));
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(rename = "52")]
        pin: &'a [u8],
        #[serde(rename = "41")]
        terminal: &'a [u8],
        #[serde(rename = "55", borrow)]
        chip: Cow<'a, [u8]>,
    }
    let raw: Raw = message.deserialize().unwrap();
    assert_eq!(raw.pin.as_ptr(), message.bytes(52).unwrap().as_ptr());
    assert!(matches!(raw.chip, Cow::Borrowed(_)));
    assert_eq!(raw.chip.as_ptr(), message.bytes(55).unwrap().as_ptr());
    assert_eq!(raw.terminal.as_ptr(), message.bytes(41).unwrap().as_ptr());
}

#[test]
fn the_message_type_is_borrowed_where_it_is_text() {
    #[derive(Deserialize)]
    struct Type<'a> {
        mti: &'a str,
    }
    let bytes = build(ascii(), &[]);
    let read: Type = Message::parse(ascii(), &bytes).unwrap().deserialize().unwrap();
    assert_eq!((read.mti, read.mti.as_ptr()), ("0200", bytes.as_ptr()));
    let bytes = build(unionpay(), &[]);
    let error = Message::parse(unionpay(), &bytes).unwrap().deserialize::<Type>().map(|_| ()).unwrap_err();
    assert_eq!((error.path(), error.reason()), (Some("mti"), &FieldsReason::NotBorrowed));
}

#[test]
fn a_map_takes_the_type_and_all_fields_and_gives_them_back() {
    let bytes = build(
        unionpay(),
        &[(2, "4111111111111111"), (22, "021"), (52, "0011223344556677"), (60, "00000001003"), (63, "\\xFF")],
    );
    let message = Message::parse(unionpay(), &bytes).unwrap();
    let map: BTreeMap<String, String> = message.deserialize().unwrap();
    let mut names: Vec<&str> = map.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["2", "22", "52", "60", "63", "mti"]);
    assert_eq!((map["mti"].as_str(), map["22"].as_str(), map["63"].as_str()), ("0200", "021", "\\xFF"));
    assert_eq!(to_builder(unionpay(), &map).unwrap().build().unwrap(), bytes);
    let json: serde_json::Value = message.deserialize().unwrap();
    assert_eq!(json["60"], "00000001003");
    assert_eq!(to_builder(unionpay(), &json).unwrap().build().unwrap(), bytes);
}

#[test]
fn an_enum_of_message_types_is_chosen_by_the_type() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    enum Incoming<'a> {
        #[serde(rename = "0210", borrow)]
        Sale(Box<Sale<'a>>),
        #[serde(rename = "0800")]
        Management {
            #[serde(rename = "11")]
            trace: u32,
        },
        #[serde(rename = "0820")]
        Echo,
    }
    for incoming in [Incoming::Sale(Box::new(sale())), Incoming::Management { trace: 9 }, Incoming::Echo] {
        let bytes = to_builder(ascii(), &incoming).unwrap().build().unwrap();
        assert_eq!(Message::parse(ascii(), &bytes).unwrap().deserialize::<Incoming>().unwrap(), incoming);
    }
    let bytes = build(ascii(), &[]);
    let error = Message::parse(ascii(), &bytes).unwrap().deserialize::<Incoming>().unwrap_err();
    assert_eq!(error.to_string(), "message type at byte 0: is none of 0210, 0800, 0820");
}

#[test]
fn an_internally_tagged_enum_and_a_flattened_struct_take_texts_and_numbers() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    #[serde(tag = "mti")]
    enum Tagged {
        #[serde(rename = "0800")]
        Management {
            #[serde(rename = "11", with = "iso8583::fields::number")]
            trace: u32,
            #[serde(flatten)]
            rest: BTreeMap<String, String>,
        },
    }
    let rest = BTreeMap::from([("41".to_owned(), "TERM0001".to_owned())]);
    let tagged = Tagged::Management { trace: 5, rest };
    let bytes = to_builder(unionpay(), &tagged).unwrap().build().unwrap();
    assert_eq!(hex::encode(&bytes), "080000200000008000000000055445524d30303031");
    assert_eq!(Message::parse(unionpay(), &bytes).unwrap().deserialize::<Tagged>().unwrap(), tagged);

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Outer<'a> {
        #[serde(rename = "4")]
        amount: u64,
        #[serde(flatten, borrow)]
        inner: Inner<'a>,
    }
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Inner<'a> {
        #[serde(rename = "28", default, with = "iso8583::fields::number")]
        fee: Option<i64>,
        #[serde(rename = "27", default, with = "iso8583::fields::number")]
        length: Option<u8>,
        #[serde(rename = "41")]
        terminal: &'a str,
    }
    let outer = Outer { amount: 1, inner: Inner { fee: Some(-3), length: None, terminal: "TERM0001" } };
    let mut builder = Builder::new(ascii(), Mti::new(200).unwrap());
    let bytes = builder.serialize(&outer).unwrap().build().unwrap();
    assert_eq!(Message::parse(ascii(), &bytes).unwrap().deserialize::<Outer>().unwrap(), outer);

    #[derive(Debug, Deserialize)]
    struct Plain {
        #[serde(flatten)]
        _inner: Number,
    }
    #[derive(Debug, Deserialize)]
    struct Number {
        #[serde(rename = "4")]
        _amount: u64,
    }
    let error = Message::parse(ascii(), &bytes).unwrap().deserialize::<Plain>().unwrap_err();
    assert_eq!(error.to_string(), "a field of the message: is text where u64 is expected");
}

#[test]
fn two_structs_share_one_message() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Exchange {
        #[serde(rename = "11")]
        trace: u32,
    }
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Amount {
        #[serde(rename = "4")]
        amount: u64,
    }
    let mut builder = Builder::new(ascii(), Mti::new(200).unwrap());
    builder.serialize(&Exchange { trace: 1 }).unwrap().serialize(&Amount { amount: 2 }).unwrap();
    let bytes = builder.build().unwrap();
    assert_eq!(bytes, build(ascii(), &[(4, "000000000002"), (11, "000001")]));
    let message = Message::parse(ascii(), &bytes).unwrap();
    assert_eq!(message.deserialize::<Exchange>().unwrap(), Exchange { trace: 1 });
    assert_eq!(message.deserialize::<Amount>().unwrap(), Amount { amount: 2 });
}

#[test]
fn one_struct_serves_messages_and_json() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Both {
        #[serde(alias = "11")]
        trace: u32,
    }
    let bytes = build(ascii(), &[(11, "000001")]);
    let read: Both = Message::parse(ascii(), &bytes).unwrap().deserialize().unwrap();
    assert_eq!(read, serde_json::from_str(r#"{"trace": 1}"#).unwrap());
}
