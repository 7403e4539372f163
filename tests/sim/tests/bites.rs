//! Every invariant is shown to be able to fail: something is broken on purpose, and it is noticed by
//! the invariant that guards against it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use tms_sim::{Options, Sabotage, invariant, run};

/// The first violation among a few seeds.
fn noticed(sabotage: Sabotage) -> &'static str {
    let found = (0..40).find_map(|seed| run(&Options::new(seed, 3, 90).broken(sabotage)).violation);
    found.unwrap_or_else(|| panic!("{sabotage} was not noticed")).invariant
}

#[test]
fn a_store_that_forgets_what_it_acknowledged_is_noticed() {
    assert_eq!(noticed(Sabotage::ForgetfulStore), invariant::NOT_LOST);
}

#[test]
fn a_terminal_that_forgets_its_journal_is_noticed() {
    // What it forgets first is chance: that it did a task, which generation is in force, what it ran or sold.
    let guards = [
        invariant::ONCE,
        invariant::ADMINISTRATOR,
        invariant::FIRMWARE,
        invariant::DONE,
        invariant::AGREE,
        invariant::SETTLED,
        invariant::ALARMS,
        invariant::PLANS,
    ];
    assert!(guards.contains(&noticed(Sabotage::ForgetfulTerminal)));
}

#[test]
fn an_effect_that_comes_twice_is_noticed() {
    assert_eq!(noticed(Sabotage::TwoEffects), invariant::ONCE);
}

#[test]
fn a_terminal_that_says_done_and_did_nothing_is_noticed() {
    assert_eq!(noticed(Sabotage::NoEffect), invariant::DONE);
}

#[test]
fn an_image_that_a_stranger_signed_is_noticed_when_it_runs() {
    assert_eq!(noticed(Sabotage::StrangersKey), invariant::FIRMWARE);
}

#[test]
fn an_image_that_changed_in_its_slot_is_noticed_when_it_runs() {
    assert_eq!(noticed(Sabotage::RottenSlot), invariant::FIRMWARE);
}

#[test]
fn a_host_that_forgets_the_credential_in_force_is_noticed() {
    assert_eq!(noticed(Sabotage::ForgottenCredential), invariant::ADMINISTRATOR);
}

#[test]
fn desired_state_that_no_operation_brought_is_noticed_at_the_end() {
    assert_eq!(noticed(Sabotage::SilentChange), invariant::AGREE);
}

#[test]
fn an_operation_that_changes_after_its_end_is_noticed() {
    assert_eq!(noticed(Sabotage::Reopened), invariant::FINAL);
}

#[test]
fn an_operation_that_nobody_carries_out_is_noticed_at_the_end() {
    assert_eq!(noticed(Sabotage::StuckOperation), invariant::ENDS);
}

#[test]
fn a_terminal_whose_storage_is_damaged_is_noticed() {
    assert_eq!(noticed(Sabotage::DamagedState), invariant::COMES_BACK);
}

#[test]
fn a_terminal_that_talks_without_end_is_noticed() {
    assert_eq!(noticed(Sabotage::Chatter), invariant::QUIET);
}

#[test]
fn a_panic_is_noticed_and_ends_nothing_but_its_run() {
    assert_eq!(noticed(Sabotage::Panic), invariant::NO_PANIC);
}

#[test]
fn a_line_that_holds_more_than_it_may_is_noticed() {
    assert_eq!(noticed(Sabotage::Hoard), invariant::BOUNDED);
}

#[test]
fn a_sale_that_the_host_loses_is_noticed_when_its_batch_is_closed() {
    assert_eq!(noticed(Sabotage::LostSale), invariant::SETTLED);
}

#[test]
fn a_sale_that_is_settled_in_two_batches_is_noticed() {
    assert_eq!(noticed(Sabotage::SettledTwice), invariant::SETTLED);
}

#[test]
fn a_set_that_nobody_published_is_noticed_where_it_is_in_force() {
    assert_eq!(noticed(Sabotage::HalfSet), invariant::SETS);
}

#[test]
fn a_set_of_which_no_terminal_is_told_is_noticed_at_the_end() {
    assert_eq!(noticed(Sabotage::SilentSet), invariant::SETS);
}

#[test]
fn an_alarm_that_the_host_forgets_is_noticed() {
    assert_eq!(noticed(Sabotage::ForgottenAlarms), invariant::ALARMS);
}

#[test]
fn keys_that_the_host_does_not_have_are_noticed() {
    assert_eq!(noticed(Sabotage::OtherKeys), invariant::KEYS);
}

#[test]
fn an_action_of_a_plan_of_which_the_host_does_not_hear_is_noticed() {
    assert_eq!(noticed(Sabotage::UnheardAction), invariant::PLANS);
}

#[test]
fn an_action_of_a_plan_that_nothing_set_off_is_noticed() {
    assert_eq!(noticed(Sabotage::UnaskedAction), invariant::PLANS);
}

#[test]
fn a_violation_is_made_small_and_still_violates_the_same() {
    let options = Options::new(0, 3, 90).broken(Sabotage::NoEffect);
    let first = (0..20).map(|seed| run(&Options { seed, ..options.clone() })).find(|o| o.violation.is_some());
    let first = first.expect("it is noticed");
    let small = tms_sim::shrink(&first);
    let invariants = [&first, &small].map(|outcome| outcome.violation.as_ref().unwrap().invariant);
    assert_eq!(invariants[0], invariants[1]);
    assert!(small.options.faults.len() < first.options.faults.len(), "{}", small.options.command());
    assert!(small.options.work.len() < first.options.work.len(), "{}", small.options.command());
    assert!(!small.trace.is_empty());
    let told = tms_sim::report::failure(&first, &small);
    for said in ["VIOLATED", "seed", "commit", "step", "virtual time", "again: cargo run", "smaller:"] {
        assert!(told.contains(said), "{said}: {told}");
    }
}
