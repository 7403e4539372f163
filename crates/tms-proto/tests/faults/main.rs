//! Host and terminal on a link on which everything goes wrong: what the host was told to have done is
//! done, once, and the host learns of it. Under TLS a changed frame breaks the connection; without it
//! the frame arrives, and only its MAC says that it is not what was sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod estate;

use std::sync::Arc;

use estate::Estate;
use jiff::SignedDuration;
use testkit::link::{Chances, End, Fault, Settings};
use tms_proto::Profile;

const UNIONPAY: &str = include_str!("../../profiles/unionpay.toml");
const ISO87: &str = include_str!("../../profiles/iso87.toml");

/// What each fault is called in the counts of a link.
const FAULTS: [&str; 8] =
    ["lose", "delay", "reorder", "duplicate", "truncate", "corrupt", "half-close", "break"];

fn plain(text: &str) -> Arc<Profile> {
    Arc::new(Profile::from_toml(text).unwrap())
}

/// With a MAC on every function that has a STAN.
fn with_macs(text: &str) -> Arc<Profile> {
    let required = if text == UNIONPAY { "protect = \"possible\"\n" } else { "protect = \"required\"\n" };
    plain(&text.replace("protect = \"optional\"\n", required))
}

fn faulty(settings: Settings, per_million: u32) -> Settings {
    let chances = Chances { longest_delay: SignedDuration::from_secs(40), ..Chances::all(per_million) };
    Settings { jitter: SignedDuration::from_millis(30), chances, ..settings }
}

/// Runs estates of many seeds through faults of every kind, and gives how often each struck.
fn survive(profile: &Arc<Profile>, settings: &Settings, seeds: std::ops::Range<u64>) -> Vec<u64> {
    let mut struck = vec![0; FAULTS.len()];
    for seed in seeds {
        let mut estate = Estate::new(profile, faulty(settings.clone(), 12_000), seed);
        estate.run_for_s(1800);
        estate.stop_faults();
        estate.run_for_s(900);
        estate.check(seed);
        for (sum, name) in struck.iter_mut().zip(FAULTS) {
            *sum += estate.faults.get(name).copied().unwrap_or(0);
        }
    }
    struck
}

fn every_fault_struck(struck: &[u64]) {
    assert!(struck.iter().all(|count| *count > 0), "{:?}", FAULTS.iter().zip(struck).collect::<Vec<_>>());
}

#[test]
fn under_tls_a_polling_terminal_does_everything_once_whatever_the_link_does() {
    every_fault_struck(&survive(&plain(UNIONPAY), &Settings::protected(), 0..30));
}

#[test]
fn under_tls_a_pushing_host_has_everything_done_once_whatever_the_link_does() {
    every_fault_struck(&survive(&plain(ISO87), &Settings::protected(), 0..30));
}

#[test]
fn with_macs_alone_a_polling_terminal_does_everything_once_whatever_the_link_does() {
    every_fault_struck(&survive(&with_macs(UNIONPAY), &Settings::bare(), 0..30));
}

#[test]
fn with_macs_alone_a_pushing_host_has_everything_done_once_whatever_the_link_does() {
    every_fault_struck(&survive(&with_macs(ISO87), &Settings::bare(), 0..30));
}

#[test]
fn one_fault_on_any_of_the_first_frames_costs_nothing_but_time() {
    let faults = [
        Fault::Lose,
        Fault::Delay(SignedDuration::from_secs(35)),
        Fault::Reorder,
        Fault::Duplicate,
        Fault::Truncate { keep_bytes: 20 },
        Fault::Corrupt { bit: 333 },
        Fault::HalfClose,
        Fault::Break,
    ];
    for (profile, settings) in [
        (plain(UNIONPAY), Settings::protected()),
        (plain(ISO87), Settings::protected()),
        (with_macs(UNIONPAY), Settings::bare()),
        (with_macs(ISO87), Settings::bare()),
    ] {
        for fault in faults {
            for (end, nth) in (1..=8).flat_map(|nth| [(End::Host, nth), (End::Terminal, nth)]) {
                let mut estate = Estate::new(&profile, settings.clone(), 1);
                estate.pair.link.script(end, nth, fault);
                estate.run_for_s(900);
                let case = format!("{} {fault:?} on frame {nth} of {end:?}", profile.name());
                estate.check(case);
            }
        }
    }
}

#[test]
fn a_terminal_that_forgets_what_it_did_is_caught() {
    // The check itself must be able to fail: without its journal the terminal does things twice.
    let caught = (0..20).any(|seed| {
        let mut estate =
            Estate::new(&plain(UNIONPAY), faulty(Settings::protected(), 20_000), seed).without_journal();
        estate.run_for_s(1800);
        estate.effects.values().any(|count| *count > 1)
    });
    assert!(caught);
}
