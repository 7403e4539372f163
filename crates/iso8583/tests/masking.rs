//! Card numbers, tracks, PINs and keys do not print.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{Builder, Dialect, MASK, Message, Mti, Sensitivity};

fn unionpay(mti: u16, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Dialect::builtin("unionpay").unwrap(), Mti::new(mti).unwrap());
    for (number, value) in fields {
        builder.set(*number, value).unwrap();
    }
    builder.build().unwrap()
}

fn kind(bytes: &[u8], field: u8) -> Sensitivity {
    Message::parse(Dialect::builtin("unionpay").unwrap(), bytes).unwrap().field(field).unwrap().sensitivity()
}

#[test]
fn a_message_prints_masked() {
    let bytes = unionpay(
        200,
        &[
            (2, "4111111111111111"),
            (11, "000001"),
            (35, "4111111111111111=28122010000000000000"),
            (52, "0123456789abcdef"),
            (55, "5a084111111111111111"),
        ],
    );
    let message = Message::parse(Dialect::builtin("unionpay").unwrap(), &bytes).unwrap();
    let printed = format!("{message:?} {:?}", message.fields().collect::<Vec<_>>());
    assert!(!printed.contains("4111111111111111") && !printed.contains("0123456789abcdef"), "{printed}");
    assert!(printed.contains("411111******1111") && printed.contains("000001"), "{printed}");
    assert_eq!(message.field(35).unwrap().to_string(), MASK);
    assert_eq!(message.field(2).unwrap().text(), "4111111111111111");
}

#[test]
fn function_data_is_a_key_only_where_keys_travel() {
    let key = [(60, "00000001003"), (62, "00112233")];
    assert_eq!(kind(&unionpay(810, &key), 62), Sensitivity::Key);
    assert_eq!(kind(&unionpay(800, &key), 62), Sensitivity::None);
    let master = [(60, "00000001350"), (62, "df240400112233")];
    assert_eq!(kind(&unionpay(800, &master), 62), Sensitivity::Key);
    let parameters = [(60, "00000001360"), (62, "31313630")];
    assert_eq!(kind(&unionpay(810, &parameters), 62), Sensitivity::None);
}

#[test]
fn what_cannot_be_told_apart_is_masked() {
    assert_eq!(kind(&unionpay(810, &[(62, "00112233")]), 62), Sensitivity::Key);
    assert_eq!(kind(&unionpay(810, &[(60, "00"), (62, "00112233")]), 62), Sensitivity::Key);
}

#[test]
fn a_batch_upload_holds_card_numbers() {
    assert_eq!(kind(&unionpay(320, &[(48, "01"), (60, "00000001201")]), 48), Sensitivity::Private);
    assert_eq!(kind(&unionpay(500, &[(48, "01"), (60, "00000001201")]), 48), Sensitivity::None);
}

#[test]
fn errors_do_not_quote_values() {
    let mut builder = Builder::new(Dialect::builtin("unionpay").unwrap(), Mti::new(200).unwrap());
    let error = builder.set(2, "411111111111111X").unwrap_err().to_string();
    assert_eq!(error, "field 2: character 16 is not allowed in a value of class n");
}
