//! Every public vector reads to its listed fields and builds to the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Class, Dialect, Message};

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
        framing.encode(&mut again, &Frame { body: &rebuilt(&message), ..frame }).unwrap();
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
fn generic_dialect(described: &str) -> Option<Dialect> {
    let (base, changes) = match described {
        "87 ASCII, hex bitmap" => ("iso87-ascii", ""),
        // The key travels in a field of bytes without hexadecimal, behind a binary bitmap.
        "87 ASCII, binary bitmap, ASCII4 frame" => {
            ("iso87-ascii", "[encoding]\nbitmap = \"binary\"\nbinary = \"raw\"\n")
        }
        "87 BCD, binary bitmap, F63 BCD LLL" => ("iso87-binary", "[field.63]\nformat = \"b...999\"\n"),
        // jPOS's own images fill several fields with text that is not of their class.
        "87 ASCII" | "87 ASCII, no secondary" => ("iso87-ascii", JPOS_ASCII),
        "87 BCD/binary" | "87 BCD, no secondary" => ("iso87-binary", JPOS_BINARY),
        _ => return None,
    };
    Some(Dialect::from_toml(&format!("name = \"test\"\nextends = \"{base}\"\n{changes}")).unwrap())
}

const JPOS_ASCII: &str = "[field]\n28 = { format = \"n9\" }\n29 = { format = \"n9\" }\n30 = { format = \"n9\" }\n\
    31 = { format = \"n9\" }\n36 = { format = \"ans...104\" }\n55 = { format = \"ans...999\" }\n";

const JPOS_BINARY: &str = "[field]\n28 = { format = \"b5\" }\n29 = { format = \"b5\" }\n30 = { format = \"b5\" }\n\
    31 = { format = \"b5\" }\n36 = { format = \"ans...104\" }\n55 = { format = \"ans...999\" }\n";

#[test]
fn generic_1987_messages_read_and_build_with_a_dialect_of_a_few_lines() {
    let Some(vectors) = json("generic.json") else {
        return;
    };
    let mut read = 0;
    for vector in &vectors {
        let name = vector["name"].as_str().unwrap();
        let Some(dialect) = generic_dialect(vector["dialect"].as_str().unwrap()) else {
            continue;
        };
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        let message = Message::parse(&dialect, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rebuilt(&message), bytes, "{name}");
        for (number, expected) in vector["expected"].as_object().unwrap() {
            let expected = expected.as_str().unwrap();
            let found = match number.as_str() {
                "0" => message.mti().to_string(),
                _ => message.text(number).unwrap_or_else(|| panic!("{name}: no field {number}")).into_owned(),
            };
            // Signed amounts are read as bytes in the images' dialect.
            if dialect.name() == "test" && matches!(number.as_str(), "28" | "29" | "30" | "31") {
                continue;
            }
            let class =
                number.parse().ok().and_then(|number| dialect.field(number)).map(|field| field.class());
            match class {
                Some(Class::Binary) => {
                    assert_eq!(found, expected.to_lowercase(), "{name} {number}")
                }
                _ => assert_eq!(found, expected, "{name} {number}"),
            }
        }
        read += 1;
    }
    assert_eq!(read, 7);
}
