//! Descriptions of other libraries become dialects that read real messages.

use std::path::PathBuf;

use iso8583::{Align, Class, Dialect, Digits, Fill, Message, Sensitivity, Structure};
use serde_json::Value;

use super::{Problem, convert};
use crate::cli::Source;

const PACKAGER: &str = include_str!("testdata/packager.xml");
const SPEC: &str = include_str!("testdata/spec.json");

fn imported(from: Source, text: &str) -> (String, Dialect) {
    let toml = convert(from, text, "imported", false).unwrap_or_else(|problem| panic!("{problem:?}"));
    let dialect = Dialect::from_toml(&toml).unwrap();
    (toml, dialect)
}

fn refused(from: Source, text: &str) -> String {
    match convert(from, text, "imported", false).unwrap_err() {
        Problem::Unreadable(reason) => reason,
        Problem::Fields(fields) => fields.join("\n"),
    }
}

/// The generic reference messages whose description begins so. They lie beside a checkout, not in it.
fn vectors(described: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/generic.json");
    let Ok(bytes) = std::fs::read(&path) else {
        assert!(std::env::var("TMS_REQUIRE_VECTORS").is_err(), "{} is required", path.display());
        return Vec::new();
    };
    let all: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    all.into_iter().filter(|vector| vector["dialect"].as_str().unwrap().starts_with(described)).collect()
}

fn reads(dialect: &Dialect, vector: &Value) {
    let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
    let message = Message::parse(dialect, &bytes).unwrap_or_else(|error| panic!("{error}"));
    let expected = vector["expected"].as_object().unwrap();
    assert_eq!(message.fields().count() + 1, expected.len());
    for (number, text) in expected.iter().filter(|(number, _)| *number != "0") {
        assert_eq!(message.text(number).as_deref(), text.as_str(), "field {number}");
    }
}

#[test]
fn a_packager_becomes_a_dialect_that_reads_the_messages_of_its_kind() {
    let (toml, dialect) = imported(Source::Jpos, PACKAGER);
    for vector in vectors("93 ASCII, hex bitmap") {
        reads(&dialect, &vector);
    }
    let field = |number| dialect.field(number).unwrap();
    assert_eq!(field(3).name(), "Processing & account");
    assert_eq!((field(3).fill(), field(37).fill()), (Fill::Left(b'0'), Fill::Right(b' ')));
    assert!(dialect.field(5).is_none(), "field 5 is not used");
    assert_eq!(field(30).notation(), "x+n8");
    assert_eq!(field(30).digits(), Digits::Bcd { align: Align::Right, pad: 0 });
    assert_eq!(field(35).class(), Class::Track);
    assert_eq!((field(2).sensitivity(), field(52).sensitivity()), (Sensitivity::Pan, Sensitivity::Pin));
    assert_eq!(field(58).digits(), Digits::Bcd { align: Align::Left, pad: 15 });
    assert_eq!(
        field(48).parts().iter().map(|part| part.name()).collect::<Vec<_>>(),
        ["Kind", "Count", "Rest"]
    );
    assert!(matches!(field(55).structure(), Structure::BerTlv(_)));
    assert!(matches!(field(127).structure(), Structure::Bitmapped { fields, .. } if fields[23].is_some()));
    assert!(toml.contains("# Inside: packager EuroSubFieldPackager, which has no equal"), "{toml}");
}

#[test]
fn a_specification_becomes_a_dialect_that_reads_the_messages_of_its_kind() {
    let (_, dialect) = imported(Source::Moov, SPEC);
    for vector in vectors("87 ASCII, hex bitmap always 16 bytes") {
        reads(&dialect, &vector);
    }
    let field = |number| dialect.field(number).unwrap();
    assert_eq!((field(7).fill(), field(41).fill()), (Fill::Left(b'0'), Fill::Right(b' ')));
    assert_eq!((field(7).class(), field(11).class()), (Class::Numeric, Class::Text));
    assert_eq!((field(35).class(), field(35).sensitivity()), (Class::Track, Sensitivity::Track));
    assert_eq!(field(43).parts().iter().map(|part| part.start()).collect::<Vec<_>>(), [0, 25, 38]);
    assert!(matches!(field(55).structure(), Structure::BerTlv(_)));
    let Structure::Tlv { tag_len: 2, length_len: 3, tags } = field(62).structure() else { panic!() };
    assert_eq!(tags.iter().map(|(tag, _)| tag.to_string()).collect::<Vec<_>>(), ["01", "22"]);
    let Structure::Bitmapped { fields, .. } = field(120).structure() else { panic!() };
    let three = fields[1].as_ref().unwrap();
    assert_eq!(three.digits(), Digits::Bcd { align: Align::Left, pad: 0 });
}

#[test]
fn what_has_no_equal_stops_the_import_or_stays_as_a_comment() {
    let xml = PACKAGER.replace(
        "org.jpos.iso.IFA_NUMERIC\"/>\n  <isofield id=\"12\"",
        "com.acme.IF_TRACE\"/>\n  <isofield id=\"12\"",
    );
    assert_eq!(refused(Source::Jpos, &xml), "field 11: line 13: the class `IF_TRACE` has no equal");
    let toml = convert(Source::Jpos, &xml, "imported", true).unwrap();
    assert!(toml.contains(
        "# Field 11 could not be converted: line 13: the class `IF_TRACE` has no equal\n# [field.11]"
    ));
    assert!(Dialect::from_toml(&toml).unwrap().field(11).is_none());
    let json = SPEC.replacen(
        "\"enc\": \"ASCII\", \"prefix\": \"ASCII.LL\"",
        "\"enc\": \"Rot13\", \"prefix\": \"ASCII.LL\"",
        1,
    );
    assert_eq!(refused(Source::Moov, &json), "field 2: the encoding `Rot13` has no equal");
    let toml = convert(Source::Moov, &json, "imported", true).unwrap();
    assert!(toml.contains("# Field 2 could not be converted: the encoding `Rot13` has no equal"));
}

#[test]
fn what_is_no_description_says_why() {
    for (from, text, why) in [
        (Source::Jpos, "", "root node"),
        (Source::Jpos, "<beans/>", "the file is about <beans>"),
        (Source::Jpos, "<isopackager/>", "has no fields"),
        (
            Source::Jpos,
            "<isopackager><isofield id=\"x\"/></isopackager>",
            "line 1: an element without a number",
        ),
        (
            Source::Jpos,
            "<isopackager><isofield id=\"2\" class=\"IFA_LLNUM\" length=\"x\"/></isopackager>",
            "`length` is no number",
        ),
        (Source::Jpos, "<isopackager><isofield id=\"200\"/></isopackager>", "no fields"),
        (Source::Moov, "[]", "the file is no specification"),
        (Source::Moov, "{\"fields\":{}}", "has no fields"),
        (Source::Moov, "{\"fields\":{\"two\":{}}}", "`two` is no field number"),
        (
            Source::Moov,
            "{\"fields\":{\"2\":{\"prefix\":\"ASCII.LLX\"}}}",
            "the prefix `ASCII.LLX` has no equal",
        ),
        (
            Source::Moov,
            "{\"fields\":{\"2\":{\"prefix\":\"ASCII.LL\",\"type\":\"String\",\"enc\":\"ASCII\"}}}",
            "a length of 0",
        ),
    ] {
        let told = refused(from, text);
        assert!(told.contains(why), "{text}\n{told}");
    }
}

#[test]
fn entities_do_not_grow() {
    let levels: String = (1..40).map(|n| format!("<!ENTITY e{n} \"&e{};&e{};\">", n - 1, n - 1)).collect();
    let xml = format!("<!DOCTYPE isopackager [<!ENTITY e0 \"x\">{levels}]><isopackager name=\"&e39;\"/>");
    assert!(convert(Source::Jpos, &xml, "x", false).is_err());
}

#[test]
fn names_cannot_end_a_comment_or_a_text() {
    let json = "{\"fields\":{\"2\":{\"type\":\"String\",\"length\":9,\"prefix\":\"ASCII.LL\",\"enc\":\"ASCII\",\
                \"description\":\"a\\\"\\n[encoding]\\n\"}}}";
    let (_, dialect) = imported(Source::Moov, json);
    assert_eq!(dialect.field(2).unwrap().name(), "a\" [encoding]");
}
