//! What holds for every message and every struct.

use std::collections::BTreeMap;

use iso8583::{Builder, Class, Dialect, FieldFormat, Length, Message, Mti, to_builder};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn dialects() -> impl Iterator<Item = &'static Dialect> {
    Dialect::builtin_names().iter().map(|name| Dialect::builtin(name).unwrap())
}

/// Those in which the fields of [`Any`] have the classes that they have in :1987.
fn dialects_of_1987() -> impl Iterator<Item = &'static Dialect> {
    dialects().filter(|dialect| dialect.name() == "unionpay" || dialect.name().starts_with("iso87"))
}

/// A type that quotes what it is given.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Error;

impl TryFrom<String> for Error {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(text)
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Any {
    mti: Mti,
    #[serde(rename = "2")]
    card: Option<String>,
    #[serde(rename = "4")]
    amount: Option<u64>,
    #[serde(rename = "23")]
    sequence: Option<u16>,
    #[serde(rename = "28")]
    fee: Option<i64>,
    #[serde(rename = "32")]
    acquirer: Option<u64>,
    #[serde(rename = "41")]
    terminal: String,
    #[serde(rename = "52")]
    pin: Option<[u8; 8]>,
    #[serde(rename = "59")]
    private: Option<Vec<u8>>,
    #[serde(rename = "66")]
    settled: Option<bool>,
}

fn any_struct() -> impl Strategy<Value = Any> {
    let of = proptest::option::of::<BoxedStrategy<String>>;
    (
        (0u16..=9999, of("[0-9]{0,19}".boxed()), proptest::option::of(0u64..=999_999_999_999)),
        (proptest::option::of(0u16..=999), proptest::option::of(-99_999_999i64..=99_999_999)),
        (proptest::option::of(0u64..=99_999_999_999), "[ -~]{8}", any::<Option<[u8; 8]>>()),
        (proptest::option::of(proptest::collection::vec(0x20u8..0x7F, 0..120)), any::<Option<bool>>()),
    )
        .prop_map(
            |((mti, card, amount), (sequence, fee), (acquirer, terminal, pin), (private, settled))| Any {
                mti: Mti::new(mti).unwrap(),
                card,
                amount,
                sequence,
                fee,
                acquirer,
                // A text that looks like an escape is the text of other bytes.
                terminal: terminal.replace("\\x", "\\y"),
                pin,
                private,
                settled,
            },
        )
}

/// Any value of a field, as text.
fn value(format: &FieldFormat) -> BoxedStrategy<String> {
    let (min, max) = match format.length() {
        Length::Fixed(length) => (usize::from(length), usize::from(length)),
        Length::Variable { max, .. } => (0, usize::from(max).min(60)),
    };
    let digits = proptest::string::string_regex(&format!("[0-9]{{{min},{max}}}")).unwrap();
    match format.class() {
        Class::Numeric | Class::Track => digits.boxed(),
        Class::SignedNumeric => ("[CD]", digits).prop_map(|(sign, digits)| sign + &digits).boxed(),
        Class::Binary => proptest::collection::vec(any::<u8>(), min..=max).prop_map(hex::encode).boxed(),
        Class::Text => proptest::collection::vec(0x20u8..0x7F, min..=max)
            .prop_map(|bytes| String::from_utf8(bytes).unwrap().replace("\\x", "\\y"))
            .boxed(),
        _ => proptest::string::string_regex(&format!("[ A-Za-z]{{{min},{max}}}")).unwrap().boxed(),
    }
}

/// Any message of a dialect, as its fields.
fn any_fields(dialect: &'static Dialect) -> impl Strategy<Value = BTreeMap<u8, String>> {
    let formats: Vec<&FieldFormat> = dialect.fields().collect();
    proptest::sample::subsequence(formats, 0..16).prop_flat_map(|formats| {
        let values: Vec<_> = formats.iter().map(|format| (Just(format.number()), value(format))).collect();
        values.prop_map(|values| values.into_iter().collect())
    })
}

proptest! {
    #[test]
    fn a_struct_comes_back_from_its_message(any in any_struct()) {
        for dialect in dialects_of_1987() {
            let bytes = to_builder(dialect, &any).unwrap().build().unwrap();
            let message = Message::parse(dialect, &bytes).unwrap();
            prop_assert_eq!(&message.deserialize::<Any>().unwrap(), &any);
        }
    }

    #[test]
    fn a_message_comes_back_from_a_map_and_from_json(
        (dialect, fields) in proptest::sample::select(dialects().collect::<Vec<_>>())
            .prop_flat_map(|dialect| (Just(dialect), any_fields(dialect))),
    ) {
        let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
        for (number, value) in &fields {
            // Subfields have classes of their own.
            let _ = builder.set(*number, value);
        }
        let bytes = builder.build().unwrap();
        let Ok(message) = Message::parse(dialect, &bytes) else { return Ok(()) };
        let map: BTreeMap<String, String> = message.deserialize().unwrap();
        prop_assert_eq!(map.len(), message.fields().count() + 1);
        prop_assert_eq!(&to_builder(dialect, &map).unwrap().build().unwrap(), &bytes);
        let json: serde_json::Value = message.deserialize().unwrap();
        prop_assert_eq!(to_builder(dialect, &json).unwrap().build().unwrap(), bytes);
    }

    /// Whatever type a card number is read into, and wherever it stands.
    #[test]
    fn no_error_shows_a_card_number(card in "[0-9]{13,19}", number in proptest::sample::select(vec![2u8, 34, 44, 48, 59, 63])) {
        let dialect = Dialect::builtin("iso87-ascii").unwrap();
        let text = format!("a {card}");
        let value = if number == 2 { &card } else { &text };
        let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
        let bytes = builder.set(number, value).unwrap().build().unwrap();
        let message = Message::parse(dialect, &bytes).unwrap();
        macro_rules! said {
            ($($type:ty,)*) => {[$({
                #[derive(Debug, Deserialize)]
                #[allow(dead_code, reason = "is seldom made")]
                struct One {
                    #[serde(rename = "2", alias = "34", alias = "44", alias = "48", alias = "59", alias = "63")]
                    value: $type,
                }
                match message.deserialize::<One>() {
                    Ok(_) => String::new(),
                    Err(error) => format!("{error} {error:?}"),
                }
            },)*]};
        }
        let said = said![
            u8, i8, f64, bool, char, (), [u8; 3], Vec<Vec<u8>>, BTreeMap<u8, u8>, std::net::IpAddr, Mti, Any, Error,
        ];
        for said in said {
            prop_assert!(!said.contains(&card), "{}", said);
        }
    }
}
