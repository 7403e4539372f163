//! Messages as structs, with serde.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod errors;
mod properties;
mod structures;
mod tags;
mod values;
mod whole;

use std::borrow::Cow;

use iso8583::{Builder, Dialect, Mti};
use serde::{Deserialize, Serialize};

fn ascii() -> &'static Dialect {
    Dialect::builtin("iso87-ascii").unwrap()
}

fn unionpay() -> &'static Dialect {
    Dialect::builtin("unionpay").unwrap()
}

fn build(dialect: &Dialect, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
    for (number, value) in fields {
        builder.set(*number, value).unwrap();
    }
    builder.build().unwrap()
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Sale<'a> {
    mti: Mti,
    #[serde(rename = "2", borrow)]
    card: Cow<'a, str>,
    #[serde(rename = "4")]
    amount: u64,
    #[serde(rename = "11")]
    trace: u32,
    #[serde(rename = "28")]
    fee: Option<i64>,
    #[serde(rename = "39")]
    response: Option<Response>,
    #[serde(rename = "41")]
    terminal: &'a str,
    #[serde(rename = "52")]
    pin: Option<[u8; 8]>,
    #[serde(rename = "55", borrow)]
    chip: Option<Cow<'a, [u8]>>,
    #[serde(rename = "59")]
    private: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
enum Response {
    #[serde(rename = "00")]
    Approved,
    #[serde(rename = "51")]
    NoFunds,
}

fn sale() -> Sale<'static> {
    Sale {
        mti: Mti::new(210).unwrap(),
        card: "4111111111111111".into(),
        amount: 12_345,
        trace: 42,
        fee: Some(-150),
        response: Some(Response::NoFunds),
        terminal: "TERM0001",
        pin: Some([1, 2, 3, 4, 5, 6, 7, 8]),
        chip: Some(Cow::Borrowed(&[0x9F, 0x06, 0x00])),
        private: None,
    }
}
