//! The runner against a reference, under every happening and crash, and without each of its guards.

mod terminal;
mod world;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::mutation::Mutation;

use terminal::Terminal;
use world::World;

/// Runs the model, and gives the sentence of the invariant that fails.
fn run(cases: u32) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = World::sequential_strategy(1..70);
    let outcome = runner.run(&strategy, |(world, happenings, _)| {
        Terminal::test_sequential(config.clone(), world, happenings, None);
        Ok(())
    });
    outcome.map_err(|error| match error {
        TestError::Fail(reason, (_, happenings, _)) => format!("{reason}\n{happenings:#?}"),
        TestError::Abort(reason) => reason.to_string(),
    })
}

#[test]
fn no_action_is_lost_doubled_or_begun_at_the_wrong_time() {
    if let Err(reason) = run(3000) {
        panic!("{reason}");
    }
}

/// Each guard, and what the model says without it.
const GUARDS: [(Mutation, &str); 19] = [
    (Mutation::AnyPlanVersion, "the wrong plan was taken"),
    (Mutation::ForgetDoneActions, "done again|doubled|two results|too often|too soon|overtakes"),
    (Mutation::ForgetBegun, "two things run at once"),
    (Mutation::RepeatInterrupted, "an effect of the world is doubled"),
    (Mutation::IgnoreWindowStart, "an action begins before its window"),
    (Mutation::IgnoreWindowEnd, "an action begins after its window"),
    (Mutation::EndlessRetries, "an action is tried too often"),
    (Mutation::HastyRetries, "an action is tried again too soon"),
    (Mutation::OvertakeStop, "an action overtakes one that may stop it"),
    (Mutation::IgnoreStop, "a stopped plan goes on"),
    (Mutation::AnyResultEnds, "a late result ends what runs"),
    (Mutation::IgnoreTrigger, "an action begins before"),
    (Mutation::AnyContact, "an action begins before the next contact"),
    (Mutation::SkipReconciliation, "an action begins before its reconciliation"),
    (Mutation::SkipRestart, "something begins before the restart that is due"),
    (Mutation::DropResults, "a result is lost"),
    (Mutation::ResumeCancelledAction, "a cancelled action goes on"),
    (Mutation::TrustClockForRetries, "a retry waits longer than any delay"),
    (Mutation::ForgetMissedTriggers, "an action that was due never came to its end"),
];

#[test]
fn the_model_notices_when_any_guard_is_gone() {
    for (guard, sentences) in GUARDS {
        let Err(reason) = guard.during(|| run(3000)) else { panic!("nobody notices {guard:?}") };
        let expected = sentences.split('|').any(|sentence| reason.contains(sentence));
        assert!(expected, "{guard:?} is noticed for another reason: {reason}");
    }
}
