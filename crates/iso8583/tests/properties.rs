//! What holds for every message, whatever its bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use iso8583::{Builder, Class, Dialect, FieldFormat, Length, Message, Mti, Structure, tlv};

/// A dialect that uses every choice a dialect file has, next to the built-in ones.
const ODD: &str = r#"
name = "odd"
extends = "iso87-binary"
[encoding]
length = "binary"
[field]
2 = { pad = "F" }
3 = { format = "n5", digits = "bcd-left", pad = "F" }
4 = { format = "n13", pad = "A" }
28 = { format = "x+n7" }
29 = { format = "x+n8", digits = "ascii" }
32 = { format = "n..12", unit = "bytes" }
33 = { format = "n..11", digits = "bcd-right" }
36 = { length = "ascii", pad = "F" }
55 = { binary = "hex", unit = "bytes", format = "b...400" }
60 = { format = "n......17", length = "bcd" }
97 = { format = "x+n...16", unit = "bytes" }
"#;

fn dialects() -> impl Iterator<Item = &'static Dialect> {
    static OWN: LazyLock<Dialect> = LazyLock::new(|| Dialect::from_toml(ODD).unwrap());
    Dialect::builtin_names().iter().map(|name| Dialect::builtin(name).unwrap()).chain([&*OWN])
}

const DIGITS: &[u8] = b"0123456789";
const TRACK: &[u8] = b"0123456789:;<=>?";
const LETTERS: &[u8] = b"AZaz ";
const LETTERS_AND_DIGITS: &[u8] = b"09AZaz ";
/// With the backslash that escapes have to cope with.
const PRINTABLE: &[u8] = b"\\x5C !~*0aZ=^";

/// Any value of a field, as text.
fn value(format: &FieldFormat) -> BoxedStrategy<String> {
    let (min, max) = match format.length() {
        Length::Fixed(length) => (usize::from(length), usize::from(length)),
        // Long enough to cross every length of a prefix that matters, short enough to be quick.
        Length::Variable { max, .. } => (0, usize::from(max).min(130)),
    };
    let characters = move |class: &'static [u8]| {
        let one = proptest::sample::select(class).prop_map(char::from);
        proptest::collection::vec(one, min..=max).prop_map(String::from_iter)
    };
    match format.structure() {
        Structure::BerTlv(_) => return data_objects(max),
        // A nested bitmap may be left out with everything that it would announce.
        Structure::Bitmapped { .. } => return Just(String::new()).boxed(),
        _ => {}
    }
    match format.class() {
        Class::Numeric if format.unit() == iso8583::Unit::Bytes => {
            characters(DIGITS).prop_map(|text| text[..text.len() / 2 * 2].to_owned()).boxed()
        }
        Class::Numeric => characters(DIGITS).boxed(),
        Class::Alphabetic => characters(LETTERS).boxed(),
        Class::Alphanumeric => characters(LETTERS_AND_DIGITS).boxed(),
        Class::Track => characters(TRACK).boxed(),
        Class::SignedNumeric if format.unit() == iso8583::Unit::Bytes => {
            ("[CD]", characters(DIGITS)).prop_map(|(sign, n)| sign + &n[..n.len() / 2 * 2]).boxed()
        }
        Class::SignedNumeric => ("[CD]", characters(DIGITS)).prop_map(|(sign, n)| sign + &n).boxed(),
        Class::Binary => proptest::collection::vec(any::<u8>(), min..=max).prop_map(hex::encode).boxed(),
        // A text in which something looks like an escape is the text of other bytes.
        _ => characters(PRINTABLE).prop_map(|text| text.replace("\\x", "\\y")).boxed(),
    }
}

/// Data objects with private tags, which may hold anything.
fn data_objects(max: usize) -> BoxedStrategy<String> {
    let object = (0x60u8..=0x7F, proptest::collection::vec(any::<u8>(), 0..20));
    proptest::collection::vec(object, 0..=max / 24)
        .prop_map(|objects| {
            let object =
                |(tag, value): (u8, Vec<u8>)| format!("df{tag:02x}{:02x}{}", value.len(), hex::encode(value));
            objects.into_iter().map(object).collect()
        })
        .boxed()
}

/// A type and some fields of a dialect with values that they can hold.
fn fields(dialect: &'static Dialect) -> impl Strategy<Value = (Mti, BTreeMap<u8, String>)> {
    let formats: Vec<&FieldFormat> = dialect.fields().collect();
    let chosen = proptest::sample::subsequence(formats, 0..24);
    let values = chosen.prop_flat_map(|formats| {
        formats.iter().map(|format| (Just(format.number()), value(format))).collect::<Vec<_>>()
    });
    (0u16..10_000, values).prop_map(|(mti, values)| (Mti::new(mti).unwrap(), values.into_iter().collect()))
}

fn build(dialect: &Dialect, mti: Mti, fields: &BTreeMap<u8, String>) -> Vec<u8> {
    let mut builder = Builder::new(dialect, mti);
    for (number, text) in fields {
        builder.set(*number, text).unwrap();
    }
    builder.build().unwrap()
}

/// Builds a message again from its own fields as text.
fn rebuilt(message: &Message<'_>) -> Vec<u8> {
    let fields = message.fields().map(|field| (field.number(), field.text().into_owned())).collect();
    build(message.dialect(), message.mti(), &fields)
}

fn with_dialect() -> impl Strategy<Value = (&'static Dialect, Mti, BTreeMap<u8, String>)> {
    proptest::sample::select(dialects().collect::<Vec<_>>()).prop_flat_map(|dialect| {
        let fields = fields(dialect);
        (Just(dialect), fields).prop_map(|(dialect, (mti, fields))| (dialect, mti, fields))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_reads_back((dialect, mti, fields) in with_dialect()) {
        let bytes = build(dialect, mti, &fields);
        let message = Message::parse(dialect, &bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(message.mti(), mti);
        let read: BTreeMap<u8, String> =
            message.fields().map(|field| (field.number(), field.text().into_owned())).collect();
        prop_assert_eq!(read, fields);
        prop_assert_eq!(rebuilt(&message), bytes);
    }

    #[test]
    fn damaged_messages_are_refused_or_build_to_the_same_damage(
        (dialect, mti, fields) in with_dialect(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = build(dialect, mti, &fields);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match Message::parse(dialect, &bytes) {
            Ok(message) => prop_assert_eq!(rebuilt(&message), bytes),
            Err(error) => prop_assert!(error.offset() <= bytes.len(), "{}", error),
        }
    }

    #[test]
    fn every_truncation_is_refused((dialect, mti, fields) in with_dialect(), at in any::<prop::sample::Index>()) {
        let bytes = build(dialect, mti, &fields);
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert!(Message::parse(dialect, cut).is_err());
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for dialect in dialects() {
            if let Ok(message) = Message::parse(dialect, &bytes) {
                prop_assert_eq!(rebuilt(&message), bytes.clone());
            }
        }
        prop_assert!(tlv::read(&bytes).count() <= bytes.len());
    }

    #[test]
    fn noise_behind_a_type_and_a_bitmap_never_panics(
        bitmap in any::<u64>(),
        rest in proptest::collection::vec(prop_oneof![Just(0u8), 0x30u8..0x3A, any::<u8>()], 0..400),
    ) {
        let ascii = [format!("0800{bitmap:016X}").into_bytes(), rest.clone()].concat();
        let packed = [vec![8, 0], bitmap.to_be_bytes().to_vec(), rest].concat();
        for dialect in dialects() {
            for bytes in [&ascii, &packed] {
                if let Ok(message) = Message::parse(dialect, bytes) {
                    prop_assert_eq!(&rebuilt(&message), bytes);
                }
            }
        }
    }

    #[test]
    fn text_of_any_bytes_builds_to_the_same_bytes(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let dialect = Dialect::builtin("iso87-binary").unwrap();
        let mut builder = Builder::new(dialect, Mti::new(800).unwrap());
        let allowed = value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F);
        prop_assert_eq!(builder.set_bytes(63, &value).is_ok(), allowed);
        let bytes = builder.build().unwrap();
        let message = Message::parse(dialect, &bytes).unwrap();
        prop_assert_eq!(message.bytes(63), allowed.then_some(&value[..]));
        prop_assert_eq!(rebuilt(&message), bytes);
    }

    #[test]
    fn a_reply_echoes_fields_byte_for_byte((dialect, mti, fields) in with_dialect()) {
        let bytes = build(dialect, mti, &fields);
        let request = Message::parse(dialect, &bytes).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        let Some(response) = mti.response() else {
            prop_assert!(Builder::reply_to(&request, &all).is_err());
            return Ok(());
        };
        let reply = Builder::reply_to(&request, &all).unwrap().build().unwrap();
        prop_assert_eq!(&reply, &build(dialect, response, &fields));
    }

    #[test]
    fn dialect_files_never_panic(text in "(\\[(encoding|field|field\\.[0-9]{1,3}|\\[sensitive\\])\\]?\n|[a-z0-9]{1,8} = (\"[a-z0-9.+-]{0,8}\"|\\{ format = \"[nabsz.x+]{1,5}[0-9]{1,4}\" \\})\n){0,8}") {
        let _ = Dialect::from_toml(&format!("name = \"x\"\nextends = \"unionpay\"\n{text}"));
    }
}
