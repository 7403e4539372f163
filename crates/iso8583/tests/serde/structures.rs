//! Structs for the subfields of a field.

use std::collections::BTreeMap;

use iso8583::{Builder, Message, Mti, to_builder};
use serde::{Deserialize, Serialize};

use super::{build, unionpay};

/// Field 60 of UnionPay terminals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Function {
    #[serde(rename = "1")]
    kind: String,
    #[serde(rename = "2")]
    batch: u32,
    #[serde(rename = "3")]
    code: u16,
    #[serde(rename = "4")]
    capability: Option<u8>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Management {
    mti: Mti,
    #[serde(rename = "11")]
    trace: u32,
    #[serde(rename = "60")]
    function: Option<Function>,
}

#[test]
fn a_struct_in_a_struct_is_the_subfields_of_a_field() {
    let function = Function { kind: "00".to_owned(), batch: 519, code: 3, capability: None };
    for (capability, text) in [(None, "00000519003"), (Some(5), "000005190035")] {
        let function = Some(Function { capability, ..function.clone() });
        let management = Management { mti: Mti::new(800).unwrap(), trace: 1, function };
        let bytes = to_builder(unionpay(), &management).unwrap().build().unwrap();
        let message = Message::parse(unionpay(), &bytes).unwrap();
        assert_eq!(message.text("60").as_deref(), Some(text));
        assert_eq!(message.deserialize::<Management>().unwrap(), management);
    }
    let management = Management { mti: Mti::new(800).unwrap(), trace: 1, function: None };
    let bytes = to_builder(unionpay(), &management).unwrap().build().unwrap();
    assert_eq!(Message::parse(unionpay(), &bytes).unwrap().deserialize::<Management>().unwrap(), management);
}

#[test]
fn a_path_names_a_subfield_of_a_field() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Flat {
        mti: String,
        #[serde(rename = "60.3")]
        code: u16,
        #[serde(rename = "60.1")]
        kind: String,
        #[serde(rename = "60.2")]
        batch: String,
        #[serde(rename = "60.4")]
        capability: Option<String>,
        #[serde(rename = "61.1")]
        original_batch: Option<u32>,
    }
    let flat = Flat {
        mti: "0800".to_owned(),
        code: 301,
        kind: "00".to_owned(),
        batch: "000007".to_owned(),
        capability: None,
        original_batch: None,
    };
    let bytes = to_builder(unionpay(), &flat).unwrap().build().unwrap();
    let message = Message::parse(unionpay(), &bytes).unwrap();
    assert_eq!(message.text("60").as_deref(), Some("00000007301"));
    assert!(!message.has(61));
    assert_eq!(message.deserialize::<Flat>().unwrap(), flat);
}

#[test]
fn a_field_may_be_read_as_a_whole_and_in_parts() {
    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Both {
        #[serde(rename = "60.3")]
        code: u16,
        #[serde(rename = "60")]
        whole: String,
    }
    let both = Both { code: 3, whole: "00000519003".to_owned() };
    let mut builder = Builder::new(unionpay(), Mti::new(200).unwrap());
    let bytes = builder.serialize(&both).unwrap().build().unwrap();
    assert_eq!(bytes, build(unionpay(), &[(60, "00000519003")]));
    assert_eq!(Message::parse(unionpay(), &bytes).unwrap().deserialize::<Both>().unwrap(), both);
}

#[test]
fn a_map_takes_subfields_by_name() {
    let bytes = build(unionpay(), &[(60, "00000519003")]);
    let message = Message::parse(unionpay(), &bytes).unwrap();
    #[derive(Deserialize, Serialize)]
    struct Parts {
        #[serde(rename = "60")]
        parts: BTreeMap<String, String>,
    }
    let parts: Parts = message.deserialize().unwrap();
    assert_eq!(serde_json::to_string(&parts).unwrap(), r#"{"60":{"1":"00","2":"000519","3":"003"}}"#);
    let mut builder = Builder::new(unionpay(), Mti::new(200).unwrap());
    assert_eq!(builder.serialize(&parts).unwrap().build().unwrap(), bytes);
}

#[test]
fn errors_name_the_subfield() {
    #[derive(Debug, Deserialize, Serialize)]
    struct Wrong<T> {
        #[serde(rename = "60")]
        inner: T,
    }
    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[serde(rename = "2")]
        batch: u8,
    }
    #[derive(Debug, Deserialize, Serialize)]
    struct Missing {
        #[serde(rename = "7")]
        account: u16,
    }
    let bytes = build(unionpay(), &[(60, "00000519003")]);
    let message = Message::parse(unionpay(), &bytes).unwrap();
    let error = message.deserialize::<Wrong<Strict>>().unwrap_err();
    assert_eq!(error.to_string(), "field 60.1: is not expected in the message");
    let error = message.deserialize::<Wrong<Missing>>().unwrap_err();
    assert_eq!(error.to_string(), "field 60.7: the message does not carry it");
    #[derive(Debug, Deserialize)]
    struct Narrow {
        #[serde(rename = "60.2")]
        _batch: u8,
    }
    let error = message.deserialize::<Narrow>().unwrap_err();
    assert_eq!(error.to_string(), "field 60.2 at byte 13: holds a number that does not fit u8");
    assert_eq!((error.path(), error.offset()), (Some("60.2"), Some(13)));
    let error = message.deserialize::<Wrong<BTreeMap<String, u8>>>().unwrap_err();
    assert_eq!(error.path(), Some("60.2"));

    macro_rules! said {
        ($fields:expr) => {
            Builder::new(unionpay(), Mti::new(200).unwrap()).serialize(&$fields).unwrap_err().to_string()
        };
    }
    assert_eq!(
        said!(Wrong { inner: Strict { batch: 1 } }),
        "field 60.1: is left out, and a subfield that stands after it is not"
    );
    assert_eq!(
        said!(Wrong { inner: BTreeMap::from([("1", "0"), ("2", "000519")]) }),
        "field 60.1: needs exactly 2 digits and has 1"
    );
    assert_eq!(
        said!(Wrong { inner: BTreeMap::from([("1", 100)]) }),
        "field 60.1: needs exactly 2 digits and has 3"
    );
    assert_eq!(
        said!(Wrong { inner: BTreeMap::from([("9", 1)]) }),
        "field 60.9: the dialect has no such subfield"
    );
    assert_eq!(
        said!(BTreeMap::from([("41", BTreeMap::from([("1", 1)]))])),
        "field 41.1: has no subfields in the dialect"
    );
    assert_eq!(said!(BTreeMap::from([("41.1", 1)])), "field 41.1: has no subfields in the dialect");
    assert_eq!(
        said!(Wrong { inner: BTreeMap::from([("1", 1.5)]) }),
        "field 60.1: a floating point number cannot be in a message"
    );
}
