//! The examples of the wire documentation are real: each is a whole frame of its profile, reads
//! strictly, and is the function that its name says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use iso8583::Message;
use tms_proto::Profile;

/// Name and frame of every example in a document.
fn examples(document: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```hex ") else { continue };
        let hex: String = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push((name.to_owned(), hex::decode(hex).unwrap()));
    }
    found
}

fn document(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_documented_frame_reads_as_the_function_that_it_shows() {
    let examples = examples(&document("protocol.md"));
    assert!(examples.len() > 30, "only {} examples", examples.len());
    for (name, frame) in &examples {
        let (profile, what) = name.split_once('-').unwrap();
        let profile = Profile::builtin(profile).unwrap();
        let (split, used) = profile.framing().split(frame, 8192).unwrap().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(used, frame.len(), "{name}");
        let message = Message::parse(profile.dialect(), split.body).unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Some(what) = what.strip_suffix("-request") {
            let rule = profile.classify(&message).unwrap_or_else(|| panic!("{name} is no function"));
            let shown = if what == "parameters" { "parameter request" } else { &what.replace('-', " ") };
            assert_eq!(rule.function.to_string().replace('-', " "), shown);
            assert!(rule.request.mandatory.iter().all(|n| message.has(*n)), "{name} lacks a mandatory field");
        } else {
            assert_eq!(message.text("39").as_deref(), Some("00"), "{name}");
        }
    }
}

#[test]
fn both_languages_show_the_same_frames() {
    assert_eq!(examples(&document("protocol.md")), examples(&document("protocol.zh-CN.md")));
}
