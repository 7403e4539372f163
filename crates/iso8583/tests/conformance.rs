//! Every public vector reads to its listed fields and builds to the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Class, Content, Dialect, Message};

/// The vectors lie beside a checkout of the project, not in it. Without them these tests say so and
/// pass, unless `TMS_REQUIRE_VECTORS=1` demands them.
fn vectors(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) if std::env::var("TMS_REQUIRE_VECTORS").is_ok_and(|value| value == "1") => {
            panic!("{} is required and cannot be read: {error}", path.display())
        }
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
    }
}

fn json(name: &str) -> Option<Vec<Value>> {
    vectors(name).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

/// Builds the message again from its fields as text, as a user would.
fn rebuilt(message: &Message<'_>) -> Vec<u8> {
    let mut builder = Builder::new(message.dialect(), message.mti());
    for field in message.fields() {
        builder.set(field.number(), &field.text()).unwrap();
    }
    builder.build().unwrap()
}

fn texts(message: &Message<'_>) -> BTreeMap<String, String> {
    message.fields().map(|field| (field.number().to_string(), field.text().into_owned())).collect()
}

#[test]
fn every_unionpay_message_reads_to_its_fields_and_builds_to_its_bytes() {
    let Some(vectors) = json("unionpay.json") else {
        return;
    };
    let dialect = Dialect::builtin("unionpay").unwrap();
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        let listed = vector["fields"].as_object().unwrap();
        let framing = if listed.contains_key("len") { Framing::LEN2_TPDU_HEADER } else { Framing::NONE };
        let (frame, consumed) = framing.split(&bytes, 4096).unwrap().unwrap();
        assert_eq!(consumed, bytes.len(), "{id}");

        let message = Message::parse(dialect, frame.body).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(message.mti().to_string(), listed["MTI"], "{id}");
        if framing == Framing::LEN2_TPDU_HEADER {
            assert_eq!(frame.tpdu.unwrap().to_string(), listed["TPDU"], "{id}");
            assert_eq!(frame.header.unwrap().to_string(), listed["head"], "{id}");
        }
        let expected: BTreeMap<_, _> = listed
            .iter()
            .filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(texts(&message), expected, "{id}");

        let mut again = Vec::new();
        let body = rebuilt(&message);
        framing.encode(&mut again, &Frame { body: &body, ..frame }).unwrap();
        assert_eq!(hex::encode(again), hex::encode(&bytes), "{id}");
    }
    assert!(vectors.len() >= 29);
}

#[test]
fn both_benchmark_messages_are_the_same_in_ascii_and_packed() {
    let Some(fields) = vectors("fields.json") else {
        return;
    };
    let fields: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_slice(&fields).unwrap();
    for (name, mut expected) in fields {
        let mti = expected.remove("0").unwrap();
        for (dialect, file) in [("iso87-ascii", "ascii_hexbm"), ("iso87-binary", "bcd")] {
            let Some(bytes) = vectors(&format!("{name}.{file}.bin")) else {
                return;
            };
            let dialect = Dialect::builtin(dialect).unwrap();
            let message =
                Message::parse(dialect, &bytes).unwrap_or_else(|error| panic!("{name} {file}: {error}"));
            assert_eq!(message.mti().to_string(), mti);
            assert_eq!(texts(&message), expected);
            assert_eq!(rebuilt(&message), bytes);
        }
    }
}

/// Dialects of the generic vectors: a built-in one and what the sender does differently.
fn generic_dialect(described: &str) -> Dialect {
    let (base, changes) = match described {
        "87 ASCII, hex bitmap" => ("iso87-ascii", ""),
        "87 ASCII, hex bitmap always 16 bytes (bit 1 clear: moov Length:16 quirk)" => {
            ("iso87-ascii", "[encoding]\nbitmaps = \"always-16\"\n")
        }
        // The key travels in a field of bytes without hexadecimal, behind a binary bitmap.
        "87 ASCII, binary bitmap, ASCII4 frame" => {
            ("iso87-ascii", "[encoding]\nbitmap = \"binary\"\nbinary = \"raw\"\n")
        }
        "87 ASCII, binary bitmap, F127 LLLLLL" => ("iso87-ascii", POSTILION),
        "87 BCD, binary bitmap, F63 BCD LLL" => ("iso87-binary", "[field.63]\nformat = \"b...999\"\n"),
        "93 ASCII, hex bitmap" => ("iso93-ascii", ""),
        "93 ASCII, bin bitmap" => ("iso93-ascii", "[encoding]\nbitmap = \"binary\"\n"),
        // jPOS's own images fill several fields with text that is not of their class.
        "87 ASCII" | "87 ASCII, no secondary" => ("iso87-ascii", JPOS_87_ASCII),
        "87 BCD/binary" | "87 BCD, no secondary" => ("iso87-binary", JPOS_87_BINARY),
        "93 ASCII" => ("iso93-ascii", JPOS_93_ASCII),
        "93 BCD/binary" => ("iso93-binary", JPOS_93_BINARY),
        _ => panic!("no dialect for {described}"),
    };
    Dialect::from_toml(&format!("name = \"test\"\nextends = \"{base}\"\n{changes}")).unwrap()
}

const JPOS_87_ASCII: &str = r#"
[field]
28 = { format = "n9" }
29 = { format = "n9" }
30 = { format = "n9" }
31 = { format = "n9" }
36 = { format = "ans...104" }
55 = { format = "ans...999" }
"#;

const JPOS_87_BINARY: &str = r#"
[field]
28 = { format = "b5" }
29 = { format = "b5" }
30 = { format = "b5" }
31 = { format = "b5" }
36 = { format = "ans...104" }
55 = { format = "ans...999" }
"#;

const JPOS_93_ASCII: &str = r#"
[field]
36 = { format = "ans...104" }
53 = { binary = "raw" }
55 = { binary = "raw", structure = "none" }
56 = { format = "ans..35" }
"#;

const JPOS_93_BINARY: &str = r#"
[encoding]
digits = "bcd-left"
[field]
35 = { digits = "ascii" }
36 = { format = "ans...104" }
55 = { structure = "none" }
"#;

/// Field 127 of Postilion: six digits of length, and a bitmap of its own.
const POSTILION: &str = r#"
[encoding]
bitmap = "binary"
[field.127]
format = "b......60000"
binary = "raw"
structure = "bitmapped"
[field.127.field]
2 = { name = "Switch key", format = "ans..32" }
25 = { name = "ICC data", format = "ans....8000" }
"#;

/// What a field of an image holds in place of the text that its packager was given: letters where
/// packed digits belong.
fn in_the_image(described: &str, number: &str, text: &str) -> String {
    match (described, number) {
        // No sign, but the digit 0, stands as a character before the packed digits of an amount.
        ("87 BCD/binary" | "87 BCD, no secondary", "28" | "29" | "30" | "31") => format!("3{text}"),
        // Of each letter the low half, and a carry into the digit before.
        ("93 BCD/binary", "56") => "5678".to_owned(),
        _ => text.to_owned(),
    }
}

#[test]
fn every_generic_message_reads_and_builds_with_a_dialect_of_a_few_lines() {
    let Some(vectors) = json("generic.json") else {
        return;
    };
    for vector in &vectors {
        let (name, described) = (vector["name"].as_str().unwrap(), vector["dialect"].as_str().unwrap());
        let dialect = generic_dialect(described);
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        let message = Message::parse(&dialect, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hex::encode(rebuilt(&message)), hex::encode(&bytes), "{name}");
        let listed = vector["expected"].as_object().unwrap();
        assert_eq!(message.mti().to_string(), listed["0"], "{name}");
        let expected: BTreeMap<_, _> = listed
            .iter()
            .filter(|(number, _)| *number != "0")
            .map(|(number, text)| {
                let text = in_the_image(described, number, text.as_str().unwrap());
                let format = dialect.field(number.parse().unwrap()).unwrap();
                let bytes = format.class() == Class::Binary;
                (number.clone(), if bytes { text.to_lowercase() } else { text })
            })
            .collect();
        assert_eq!(texts(&message), expected, "{name}");
    }
    assert_eq!(vectors.len(), 15);
}

#[test]
fn the_bitmap_inside_field_127_is_read_and_built() {
    let Some(vectors) = json("generic.json") else {
        return;
    };
    let dialect = generic_dialect("87 ASCII, binary bitmap, F127 LLLLLL");
    let vector =
        vectors.iter().find(|vector| vector["name"].as_str().unwrap().contains("Postilion")).unwrap();
    let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
    let message = Message::parse(&dialect, &bytes).unwrap();
    assert_eq!(message.text("127.2").as_deref(), Some("SWITCH_KEY"));
    assert_eq!(message.text("127.25").as_deref(), Some("ICC_DATA"));
    let mut builder = Builder::new(&dialect, message.mti());
    for field in message.fields().filter(|field| field.number() != 127) {
        builder.set(field.number(), &field.text()).unwrap();
    }
    let inside = [("2", Content::Text("SWITCH_KEY")), ("25", Content::Text("ICC_DATA"))];
    builder.set_parts(127, &inside).unwrap();
    assert_eq!(hex::encode(builder.build().unwrap()), hex::encode(bytes));
}
