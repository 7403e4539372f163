//! The page about dialects is real: its example loads and reads its message, and its tables name every
//! key and every word that a dialect file takes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use iso8583::{Builder, Dialect, Message};
use serde_json::Value;

const DOCUMENTS: [&str; 2] = ["dialects.md", "dialects.zh-CN.md"];

fn document(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced block that is marked so.
fn block(document: &str, mark: &str) -> String {
    let start = format!("```{mark}\n");
    let at = document.find(&start).unwrap_or_else(|| panic!("no {mark}")) + start.len();
    document[at..].split("```").next().unwrap().to_owned()
}

fn bytes(document: &str) -> Vec<u8> {
    // The separator of track 2 is a D on the wire, so all of it is hexadecimal.
    let hex: String = block(document, "hex harbour").split_whitespace().collect();
    hex::decode(hex).unwrap()
}

/// The two-celled rows whose cells are both code: paths and their values.
fn values(document: &str) -> Vec<(String, String)> {
    let after = document.split("```toml harbour").nth(1).unwrap();
    let rows = after.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.strip_suffix("` |")?.split("` | `").collect();
        <[&str; 2]>::try_from(cells).ok()
    });
    rows.take(11).map(|[path, value]| (path.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_example_reads_to_the_values_that_it_shows() {
    for name in DOCUMENTS {
        let page = document(name);
        let dialect = Dialect::from_toml(&block(&page, "toml harbour")).unwrap();
        let bytes = bytes(&page);
        let message = Message::parse(&dialect, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let values = values(&page);
        assert_eq!(values.first().map(|(path, _)| path.as_str()), Some("3"), "{name}");
        assert_eq!(values.last().map(|(path, _)| path.as_str()), Some("62/02"), "{name}");
        for (path, value) in &values {
            let found = message.get(path).unwrap_or_else(|| panic!("{name}: no {path}"));
            assert_eq!(found.text(), *value, "{name}: {path}");
        }
        let fields: BTreeSet<u8> = message.fields().map(|field| field.number()).collect();
        let shown = values.iter().map(|(path, _)| path.split(['.', '/']).next().unwrap().parse().unwrap());
        assert_eq!(fields, shown.collect(), "{name}");

        let mut builder = Builder::new(&dialect, message.mti());
        for field in message.fields() {
            builder.set(field.number(), &field.text()).unwrap();
        }
        assert_eq!(builder.build().unwrap(), bytes, "{name}");
    }
}

#[test]
fn both_languages_show_the_same_example() {
    let pages = DOCUMENTS.map(document);
    let shown = pages.each_ref().map(|page| (block(page, "hex harbour"), values(page)));
    assert_eq!(shown[0], shown[1]);
    // Comments are in the language of the page.
    let keys = pages.each_ref().map(|page| block(page, "toml harbour").parse::<toml::Table>().unwrap());
    let (mut first, mut second) = (keys[0].clone(), keys[1].clone());
    for table in [&mut first, &mut second] {
        assert_eq!(table.remove("name").unwrap().as_str(), Some("harbour"));
    }
    assert_eq!(first, second);
}

/// Every key and every word of the schema.
fn vocabulary(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                found.extend(properties.keys().cloned());
            }
            if let Some(words) = object.get("enum").and_then(Value::as_array) {
                found.extend(words.iter().map(|word| word.as_str().unwrap().to_owned()));
            }
            object.values().for_each(|below| vocabulary(below, found));
        }
        Value::Array(list) => list.iter().for_each(|below| vocabulary(below, found)),
        _ => {}
    }
}

#[test]
fn every_key_and_every_word_is_explained() {
    let schema: Value = serde_json::from_str(Dialect::json_schema()).unwrap();
    let mut words = BTreeSet::new();
    vocabulary(&schema, &mut words);
    assert!(words.len() > 60, "{words:?}");
    for name in DOCUMENTS {
        let page = document(name);
        // Between backquotes, alone or as part of an example.
        let code: BTreeSet<&str> = page
            .lines()
            .filter(|line| line.starts_with('|') || line.contains('`'))
            .flat_map(|line| line.split('`').skip(1).step_by(2))
            .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')))
            .collect();
        let missing: Vec<_> = words.iter().filter(|word| !code.contains(word.as_str())).collect();
        assert!(missing.is_empty(), "{name} does not explain {missing:?}");
    }
}

#[test]
fn every_builtin_dialect_is_listed() {
    for name in DOCUMENTS {
        let page = document(name);
        for dialect in Dialect::builtin_names() {
            assert!(page.contains(&format!("| `{dialect}` |")), "{name} lacks {dialect}");
        }
    }
}
