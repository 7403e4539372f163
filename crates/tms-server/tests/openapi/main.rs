//! What the interface promises, as files: a change to it shows in review.
//! `UPDATE=1 cargo test --workspace --test openapi` writes them anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod outline;

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// Compares with a file beside this one, or writes it.
fn same_as(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi").join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let line = kept.lines().zip(text.lines()).position(|(kept, now)| kept != now);
    assert!(
        kept == text,
        "tests/openapi/{file} is not what the server says now, from line {}; if that is meant, write it anew with UPDATE=1",
        line.unwrap_or_else(|| kept.lines().count().min(text.lines().count())) + 1
    );
}

#[test]
fn the_document_tells_what_the_committed_outline_says() {
    let document = tms_server::api::document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    same_as("openapi.txt", &outline::of(&document));
}

#[test]
fn who_may_call_what_is_the_committed_matrix() {
    let document = tms_server::api::document();
    let mut matrix = format!("{:<7} {:<60} {}\n", "method", "endpoint", "least role");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let role = operation["x-least-role"].as_str().unwrap_or("anybody");
            writeln!(matrix, "{:<7} {path:<60} {role}", method.to_uppercase()).unwrap();
        }
    }
    same_as("roles.txt", &matrix);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.push(reference.clone());
                }
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let document = tms_server::api::document();
    let mut references = Vec::new();
    walk(&document, &mut references);
    assert!(references.len() > 50, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
