//! Runs that must hold, the same run twice, and the program around them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::process::{Command, Output};

use tms_sim::{Options, regressions, run};

fn holds(options: &Options) {
    let outcome = run(options);
    assert!(outcome.violation.is_none(), "{}\n{:?}", options.command(), outcome.violation);
}

#[test]
fn a_few_seeds_hold() {
    for seed in 0..12 {
        holds(&Options::new(seed, 6, 45));
    }
}

#[test]
fn a_world_without_faults_holds_and_everything_is_done() {
    let mut options = Options::new(3, 6, 120);
    options.faults.clear();
    let outcome = run(&options);
    assert_eq!(outcome.violation, None);
    let ended = |how: &str| -> u64 {
        outcome.counts.operations.iter().filter(|((_, state), _)| *state == how).map(|(_, n)| n).sum()
    };
    assert!(ended("done") > 40, "{:?}", outcome.counts.operations);
    assert_eq!((ended("expired"), ended("queued"), ended("sent")), (0, 0, 0));
}

#[test]
fn every_run_of_the_list_of_regressions_holds() {
    for regression in regressions::all() {
        let outcome = run(&regression.options());
        assert!(outcome.violation.is_none(), "{}: {:?}", regression.why, outcome.violation);
    }
}

#[test]
fn the_same_seed_is_the_same_run_event_by_event() {
    for seed in [1, 2, 3] {
        let options = Options::new(seed, 6, 45);
        let (one, other) = (run(&options), run(&options));
        assert_eq!((one.trace_hash, &one.counts), (other.trace_hash, &other.counts), "seed {seed}");
    }
    assert_ne!(run(&Options::new(1, 6, 45)).trace_hash, run(&Options::new(2, 6, 45)).trace_hash);
}

#[test]
fn a_terminal_alone_does_what_it_does_among_others_when_the_host_is_always_there() {
    let mut options = Options::new(5, 6, 30);
    options.faults = [tms_sim::Fault::Break].into();
    options.only = Some(4);
    let outcome = run(&options);
    assert_eq!(outcome.violation, None);
    assert_eq!(outcome.counts.varieties.len(), 1);
}

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tms-sim")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_program_tells_what_it_counted_and_ends_well() {
    let output = sim(&["--seeds", "1..3", "--terminals", "2", "--hours", "0.25", "--json"]);
    assert!(output.status.success());
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["runs"], &summary["violations"]), (&2.into(), &0.into()));
    assert!(summary["sign_ons"].as_u64() > Some(2));
}

#[test]
fn the_program_ends_badly_on_a_violation_and_shows_how_to_see_it_again() {
    let output = sim(&[
        "--seeds",
        "0..20",
        "--terminals",
        "2",
        "--hours",
        "1.5",
        "--break",
        "no-effect",
        "--no-shrink",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("VIOLATED: done means that the effect is there"), "{told}");
    assert!(told.contains("again: cargo run --release -p tms-sim -- --seed "), "{told}");
}

#[test]
fn a_wrong_argument_is_told_what_would_be_right() {
    let told = text(&sim(&["--without", "rain"]).stderr);
    assert!(told.contains("half-close"), "{told}");
    let told = text(&sim(&["--seeds", "5"]).stderr);
    assert!(told.contains("0..200"), "{told}");
}

#[test]
fn the_help_names_everything_that_can_be_left_out_or_broken() {
    let help = text(&sim(&["--help"]).stdout);
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for name in tms_sim::Fault::ALL.iter().map(|fault| fault.name()) {
        assert!(flat.contains(name), "--help does not name the fault {name}");
    }
    for name in tms_sim::Work::ALL.iter().map(|work| work.name()) {
        assert!(flat.contains(name), "--help does not name the work {name}");
    }
    for name in tms_sim::Sabotage::ALL.iter().map(|sabotage| sabotage.name()) {
        assert!(flat.contains(name), "--help does not name {name}, which --break takes");
    }
}
