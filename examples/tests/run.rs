//! Every example runs and prints what it is there to show.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;

/// What an example prints. Cargo builds the examples of a package before it runs its tests.
fn printed(example: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap().join("examples").join(example);
    let ran = Command::new(&built).output().unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    assert!(ran.status.success(), "{example}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[track_caller]
fn assert_shows(example: &str, lines: &[&str]) {
    let printed = printed(example);
    for line in lines {
        assert!(printed.contains(line), "{line:?} is not in:\n{printed}");
    }
}

#[test]
fn parse_shows_masked_fields_numbers_and_where_damage_is() {
    assert_shows(
        "parse",
        &["411111******1111", "1250 cents", "batch 000001", "counter 001b", "field 11 at byte 30"],
    );
}

#[test]
fn no_example_prints_a_card_number_in_full() {
    for example in ["parse", "build", "own_dialect"] {
        let printed = printed(example);
        assert!(!printed.contains("4111111111111111"), "{example}:\n{printed}");
    }
}

#[test]
fn build_shows_a_refusal_a_message_and_its_reply() {
    assert_shows(
        "build",
        &["refused: field 11", "02007024048000c08211", "105 bytes in a frame of 118", "0830"],
    );
}

#[test]
fn own_dialect_shows_subfields_and_the_line_of_a_mistake() {
    assert_shows(
        "own_dialect",
        &["firmware 4.12.7", "411111******1111", "line 13, field 48", "did you mean `ltv`?"],
    );
}

#[test]
fn serde_struct_shows_an_answer_and_the_field_that_does_not_fit() {
    assert_shows("serde_struct", &["approved", "field 41"]);
}

#[test]
fn tokio_framing_shows_an_echo_over_a_socket() {
    assert_shows("tokio_framing", &["0830"]);
}

#[test]
fn mac_shows_a_mac_that_verifies_and_one_that_does_not() {
    assert_shows("mac", &["DE64"]);
}

#[test]
fn every_example_is_tried_here() {
    let this = include_str!("run.rs");
    let manifest = include_str!("../Cargo.toml");
    let names = manifest.split("[[example]]\nname = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let untried: Vec<_> = names.filter(|name| !this.contains(&format!("\"{name}\","))).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
