//! Whatever a message holds, nothing that prints shows a card number, a track, a PIN or a key.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Debug;
use std::sync::LazyLock;

use proptest::prelude::*;

use iso8583::diff::diff;
use iso8583::mask::{hex_scrubbed, scrub_text};
use iso8583::{
    Builder, Class, Content, Dialect, FieldFormat, Length, MASK, Message, Mti, Sensitivity, Structure, tlv,
};

/// A random card number: 13 to 19 digits, the last one the check digit (ISO/IEC 7812-1).
fn card() -> impl Strategy<Value = String> {
    (proptest::collection::vec(0u8..10, 11..=17), 1u8..10).prop_map(|(rest, first)| {
        let mut digits = vec![first];
        digits.extend(rest);
        let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
        let weighted = digits.iter().rev().enumerate();
        let sum: u32 =
            weighted.map(|(at, digit)| u32::from(if at % 2 == 0 { doubled(*digit) } else { *digit })).sum();
        digits.push(u8::try_from((10 - sum % 10) % 10).unwrap());
        digits.iter().map(|digit| char::from(b'0' + digit)).collect()
    })
}

/// What a test printed, and where.
struct Printed(Vec<(&'static str, String)>);

impl Printed {
    fn debug(&mut self, what: &'static str, value: &impl Debug) {
        self.0.push((what, format!("{value:?} {value:#?}")));
    }

    fn display(&mut self, what: &'static str, value: &impl std::fmt::Display) {
        self.0.push((what, value.to_string()));
    }

    /// Fails when a secret stands in what was printed, as it is or as the hexadecimal form of its
    /// ASCII or EBCDIC characters, in groups or not.
    fn assert_without(&self, secret: &str, context: &str) {
        let coded = |base: u8| -> String {
            secret
                .bytes()
                .map(|byte| format!("{:02x}", if byte.is_ascii_digit() { base | byte & 0x0F } else { byte }))
                .collect()
        };
        let forms = [secret.to_owned(), coded(0x30), coded(0xF0), secret.to_uppercase()];
        for (what, text) in &self.0 {
            // Two spaces part the columns of a table: what stands in two of them is not one number.
            let joined = text.replace("  ", "\n").replace([' ', '-'], "");
            for form in &forms {
                assert!(
                    !text.contains(form) && !joined.contains(form),
                    "{context}: {what} prints {form}:\n{text}"
                );
            }
        }
    }
}

/// Everything that prints a message, read from bytes in any of the ways.
fn printed(dialect: &Dialect, bytes: &[u8]) -> Printed {
    let mut printed = Printed(Vec::new());
    let partial = Message::parse_partial(dialect, bytes);
    printed.debug("Partial", &partial);
    if let Some(text) = partial.describe() {
        printed.display("describe of Partial", &text);
    }
    if let Some(error) = partial.error {
        printed.debug("ParseError", &error);
        printed.display("ParseError", &error);
    }
    if let Some(message) = &partial.message {
        printed.debug("Message", message);
        print_message(&mut printed, message);
    }
    if let Ok(lenient) = Message::parse_lenient(dialect, bytes) {
        printed.debug("Lenient", &lenient);
        printed.display("describe of Lenient", &lenient.describe().colour(true));
        printed.debug("rows", &lenient.describe().rows());
        print_message(&mut printed, &lenient.message);
    }
    printed
}

fn print_message(printed: &mut Printed, message: &Message<'_>) {
    for field in message.fields() {
        print_field(printed, &field);
    }
    printed.debug("Builder", &Builder::copy_of(message));
    let empty = Builder::new(message.dialect(), message.mti()).build().unwrap();
    let empty = Message::parse(message.dialect(), &empty).unwrap();
    let found = diff(message, &empty);
    printed.display("diff", &found);
    printed.debug("diff", &found);
    printed.display("diff as JSON", &serde_json::to_string(&found).unwrap());
}

fn print_field(printed: &mut Printed, field: &iso8583::Field<'_>) {
    printed.debug("Field", field);
    printed.display("Field", field);
    printed.0.push(("masked", field.masked().into_owned()));
    for error in
        [field.u64().err(), field.amount().err(), field.digits().err(), field.str().err(), field.date().err()]
    {
        printed.debug("AccessError", &error);
        error.iter().for_each(|error| printed.display("AccessError", error));
    }
    for subfield in field.subfields() {
        match subfield {
            Ok(subfield) => print_field(printed, &subfield),
            Err(error) => printed.display("ParseError of a subfield", &error),
        }
    }
}

fn dialects() -> impl Iterator<Item = &'static Dialect> {
    Dialect::builtin_names().iter().map(|name| Dialect::builtin(name).unwrap())
}

/// The values with the card number in them that a field can hold.
fn values(format: &FieldFormat, card: &str) -> Vec<String> {
    let longest = format.length().max();
    let fixed = matches!(format.length(), Length::Fixed(_));
    let text = |prefix: &str, suffix: &str, fill: char| {
        let value = format!("{prefix}{card}{suffix}");
        if value.len() > longest {
            return None;
        }
        let fill = String::from(fill).repeat(if fixed { longest - value.len() } else { 0 });
        Some((format!("{value}{fill}"), format!("{fill}{value}")))
    };
    let pairs = match format.class() {
        Class::Numeric => vec![text("", "", '0')],
        Class::SignedNumeric => {
            return text("", "", '0').map(|(_, right)| vec![format!("C{right}")]).unwrap_or_default();
        }
        Class::Track => vec![text("", "", '0'), text("", "=28122010000", '0'), text("", "D2812201", '0')],
        Class::Alphabetic => vec![],
        Class::Alphanumeric => vec![text("", "", ' '), text("REF", "X", 'A')],
        Class::Binary => {
            let mut values: Vec<Vec<u8>> = Vec::new();
            let mut packed = |digits: String| values.push(hex::decode(digits).unwrap());
            let odd = card.len() % 2 == 1;
            packed(format!("{card}{}", if odd { "F" } else { "" }));
            packed(format!("{}{card}", if odd { "0" } else { "" }));
            packed(format!("C{card}{}", if odd { "" } else { "F" }));
            packed(format!("9{card}{}", if odd { "" } else { "A" }));
            packed(format!("5A{:02X}{card}{}", card.len().div_ceil(2), if odd { "F" } else { "" }));
            values.push(card.as_bytes().to_vec());
            values.push(card.bytes().map(|digit| 0xF0 | digit & 0x0F).collect());
            values.push([b"PAN:", card.as_bytes(), b";"].concat());
            let mut object = Vec::new();
            tlv::write(&mut object, 0xDF_02, card.as_bytes());
            let mut nested = Vec::new();
            tlv::write(&mut nested, 0x70, &object);
            values.push(nested);
            let shortest = if fixed { longest } else { 0 };
            return values
                .into_iter()
                .filter(|value| value.len() <= longest)
                .flat_map(|value| {
                    let fill = vec![0xEE; shortest.saturating_sub(value.len())];
                    [[value.clone(), fill.clone()].concat(), [fill, value].concat()]
                })
                .map(hex::encode)
                .collect();
        }
        _ => vec![
            text("", "", ' '),
            text("PAN ", ".", ' '),
            text("card=", "=28122010000", ' '),
            text("B", "^DOE/JANE^2812201", ' '),
        ],
    };
    pairs.into_iter().flatten().flat_map(|(left, right)| [left, right]).collect()
}

/// One field of each structure.
const STRUCTURES: &str = r#"
name = "structures"
extends = "iso87-ascii"
[field.48]
name = "Length, tag, value"
format = "ans...999"
structure = "ltv"
tag_size = 2
length_size = 3
length_counts = "tag-and-value"
tags = [{ tag = "01", name = "Text", format = "ans...200" }, { tag = "02", name = "Number", format = "n..19" }]
[field.61]
name = "Tag, length, value"
format = "ans...999"
structure = "tlv"
tag_size = 2
length_size = 2
tags = [{ tag = "01", name = "Text", format = "ans..99" }]
[field.127]
name = "Nested"
format = "ans......9999"
structure = "bitmapped"
[field.127.field.2]
name = "Number"
format = "n..19"
[field.127.field.25]
name = "Text"
format = "ans...200"
"#;

/// The tags, or numbers of fields, of a structure with their formats.
fn tagged(structure: &Structure) -> Vec<(String, &FieldFormat)> {
    match structure {
        Structure::BerTlv(tags)
        | Structure::TagTable { tags, .. }
        | Structure::Tlv { tags, .. }
        | Structure::Ltv { tags, .. } => tags.iter().map(|(tag, format)| (tag.to_string(), format)).collect(),
        Structure::Bitmapped { fields, .. } => {
            fields.iter().flatten().map(|format| (format.number().to_string(), format)).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_field_of_any_dialect_prints_a_card_number(card in card(), cut in 1usize..40) {
        let mut tried = 0;
        for dialect in dialects() {
            for format in dialect.fields() {
                for value in values(format, &card) {
                    let context = format!("{} field {} {} {value}", dialect.name(), format.number(), format.notation());
                    let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
                    if builder.set(format.number(), &value).is_err() {
                        // Such as an odd number of digits in a field that counts bytes, or a
                        // structure that the value does not have.
                        continue;
                    }
                    let bytes = builder.build().unwrap();
                    let mut all = printed(dialect, &bytes);
                    all.debug("Builder", &builder);
                    // And cut off on its way.
                    all.0.extend(printed(dialect, bytes.get(..bytes.len().saturating_sub(cut)).unwrap()).0);
                    all.assert_without(&card, &context);
                    tried += 1;
                }
            }
        }
        prop_assert!(tried > 300, "{tried}");
    }

    #[test]
    fn no_subfield_of_any_structure_prints_a_card_number(card in card()) {
        let mut tried = 0;
        let mut check = |dialect: &Dialect, mti: u16, function: Option<&str>, field: u8, parts: &[(&str, Content<'_>)]| {
            let mut builder = Builder::new(dialect, Mti::new(mti).unwrap());
            if let Some(function) = function {
                builder.set(60, &format!("00000001{function}")).unwrap();
            }
            // A value of another class, or too long for this subfield.
            if builder.set_parts(field, parts).is_err() {
                return;
            }
            let context = format!("{} {mti} {function:?} field {field} {parts:?} {card}", dialect.name());
            let mut all = printed(dialect, &builder.build().unwrap());
            all.debug("Builder", &builder);
            all.debug("Content", &parts);
            all.assert_without(&card, &context);
            tried += 1;
        };
        static OWN: LazyLock<Dialect> = LazyLock::new(|| Dialect::from_toml(STRUCTURES).unwrap());
        // Tags are the same in all dialects; encodings are not.
        let few = dialects().filter(|dialect| matches!(dialect.name(), "unionpay" | "iso93-ebcdic"));
        for dialect in few.chain([&*OWN]) {
            for format in dialect.fields() {
                for (step, inside) in tagged(format.structure()) {
                    for value in values(inside, &card) {
                        check(dialect, 200, None, format.number(), &[(&step, Content::Text(&value))]);
                        let nested = [(step.as_str(), Content::Text(&value))];
                        check(dialect, 200, None, format.number(), &[("70", Content::Parts(&nested))]);
                    }
                }
            }
        }
        let padded = |length: usize| format!("{card:length$}");
        let unionpay = Dialect::builtin("unionpay").unwrap();
        for (mti, function, tag, length) in [
            (820, "362", "14", 14),
            (810, "360", "17", 14),
            (810, "360", "22", 40),
            (810, "364", "34", 30),
            (810, "364", "38", 32),
            (810, "364", "36", 60),
        ] {
            check(unionpay, mti, Some(function), 62, &[(tag, Content::Text(&padded(length)))]);
        }
        for function in ["370", "380", "350"] {
            for value in values(unionpay.field(62).unwrap(), &card) {
                check(unionpay, 800, Some(function), 62, &[("DF7F", Content::Text(&value))]);
                let objects = [("9F7F", Content::Text(&value))];
                let parts = [("1", Content::Text("1")), ("2", Content::Parts(&objects))];
                check(unionpay, 810, Some(function), 62, &parts);
            }
        }
        prop_assert!(tried > 100, "{tried}");
    }

    #[test]
    fn no_error_of_building_quotes_a_card_number(card in card()) {
        let mut printed = Printed(Vec::new());
        for dialect in dialects() {
            for format in dialect.fields() {
                let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
                for value in [card.clone(), format!("{card}\u{1}"), format!("={card}"), card.repeat(100)] {
                    let parts = [(value.as_str(), Content::Text(&value))];
                    let errors =
                        [builder.set(format.number(), &value).err(), builder.set_parts(format.number(), &parts).err()];
                    for error in errors.into_iter().flatten() {
                        printed.debug("BuildError", &error);
                        printed.display("BuildError", &error);
                    }
                }
            }
        }
        printed.assert_without(&card, "building");
    }

    #[test]
    fn no_form_of_a_card_number_in_text_is_shown(card in card(), before in "[A-Za-z:;=/ ]{0,8}", after in "[A-Za-z:;/ ]{0,8}") {
        let digits = |zero: u32| -> String {
            card.bytes().map(|digit| char::from_u32(zero + u32::from(digit - b'0')).unwrap()).collect()
        };
        let each = |form: &dyn Fn(u8) -> String| -> String { card.bytes().map(form).collect() };
        let groups = |separator: &str| {
            card.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect::<Vec<_>>().join(separator)
        };
        for form in [
            card.clone(),
            groups(" "),
            groups("-"),
            digits(0xFF10),
            digits(0x0660),
            each(&|digit| format!("\\x{digit:02X}")),
            each(&|digit| format!("\\x{:02X}", 0xF0 | digit & 0x0F)),
            each(&|digit| format!("\\xA3\\x{:02X}", 0xB0 | digit & 0x0F)),
            format!("{card}=28122010000"),
            format!("%B{card}^DOE/JANE^28122010000?"),
            format!("5A08{card}"),
        ] {
            let text = format!("{before}{form}{after}");
            let scrubbed = scrub_text(&text);
            prop_assert!(!scrubbed.contains(&form), "{text} is shown as {scrubbed}");
            let bytes = hex_scrubbed(text.as_bytes());
            prop_assert!(!bytes.contains(&hex::encode(&form)) || form.contains('\\'), "{text} is shown as {bytes}");
        }
    }
}

#[test]
fn values_of_sensitive_fields_are_not_shown_whatever_they_are() {
    let mut tried = 0;
    for dialect in dialects() {
        for format in dialect.fields().filter(|format| format.sensitivity() != Sensitivity::None) {
            let longest = format.length().max().min(24);
            let value = match format.class() {
                Class::Binary => "a7".repeat(longest),
                Class::Numeric | Class::Track => "7".repeat(longest),
                _ => "Q7".repeat(longest / 2),
            };
            let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
            if builder.set(format.number(), &value).is_err() {
                continue;
            }
            let context = format!("{} field {}", dialect.name(), format.number());
            printed(dialect, &builder.build().unwrap()).assert_without(&value, &context);
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried}");
}

#[test]
fn ordinary_numbers_are_shown() {
    let dialect = Dialect::builtin("iso87-ascii").unwrap();
    let mut builder = Builder::new(dialect, Mti::new(200).unwrap());
    let fields = [
        (3, "000000"),
        (4, "000000010000"),
        (7, "1121123456"),
        (11, "123456"),
        (12, "123456"),
        (13, "1121"),
        (37, "632512123456"),
        (41, "TERM0001"),
        (49, "978"),
    ];
    for (number, value) in fields {
        builder.set(number, value).unwrap();
    }
    let bytes = builder.build().unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    for (number, value) in fields {
        assert_eq!(message.field(number).unwrap().to_string(), value);
    }
}

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
