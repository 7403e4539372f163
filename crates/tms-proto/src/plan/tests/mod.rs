//! The runner, one rule after the other, and plans on the wire.

mod wire;

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::task::{Outcome, TaskResult};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan(version: u64, actions: Vec<Action>) -> Plan {
    Plan { id: Uuid::from_u128(u128::from(version)), version, actions }
}

fn slip(id: u32) -> Action {
    Action::new(id, Command::PrintTestSlip { text: None })
}

fn check(id: u32) -> Action {
    Action::new(id, Command::SelfTest)
}

const ALONE: Situation = Situation { contact: None, settled_batch: None, by_hand: None };

/// A runner with a plan, at second 0.
fn runner(actions: Vec<Action>) -> PlanRunner {
    let mut runner = PlanRunner::default();
    assert_eq!(runner.offer(plan(1, actions), at(0), &ALONE), Offer::Accepted);
    runner
}

fn restart(runner: &PlanRunner) -> PlanRunner {
    let copy = serde_json::from_str(&serde_json::to_string(runner).unwrap()).unwrap();
    assert_eq!(*runner, copy);
    copy
}

fn result(start: &Start, outcome: Outcome) -> TaskResult {
    TaskResult::new(start.operation, start.step, outcome)
}

/// Begins what is due and gives it its end.
fn carry_out(runner: &mut PlanRunner, second: i64, outcome: Outcome) -> Start {
    let start = runner.next(at(second), &ALONE).expect("something is due");
    runner.begun(&start).unwrap();
    assert_eq!(runner.next(at(second), &ALONE), None, "one thing runs at a time");
    runner.finished(result(&start, outcome), at(second)).unwrap();
    start
}

fn outcomes(runner: &PlanRunner) -> Vec<(u8, Outcome)> {
    runner.unreported().map(|r| (r.step, r.outcome)).collect()
}

#[test]
fn actions_at_once_run_in_order_and_report_under_the_plan() {
    let mut runner = runner(vec![slip(7), check(8)]);
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).action.id, 7);
    assert_eq!(carry_out(&mut runner, 0, Outcome::INTERNAL).action.id, 8);
    assert_eq!((runner.next(at(0), &ALONE), runner.next_due(at(0))), (None, None));
    assert_eq!(outcomes(&runner), [(1, Outcome::DONE), (2, Outcome::INTERNAL)]);
    assert!(runner.unreported().all(|r| r.operation == Uuid::from_u128(1)));
    runner.acknowledge(Uuid::from_u128(1), 1);
    assert_eq!(outcomes(&runner), [(2, Outcome::INTERNAL)]);
    assert!(runner.status().unwrap().has_ended());
}

#[test]
fn an_older_plan_another_of_the_same_version_and_one_with_a_used_id_are_refused() {
    let mut runner = PlanRunner::default();
    assert_eq!(runner.offer(plan(5, vec![slip(1)]), at(0), &ALONE), Offer::Accepted);
    let mut runner = restart(&runner);
    assert_eq!(runner.offer(plan(5, vec![slip(1)]), at(0), &ALONE), Offer::Same);
    assert_eq!(runner.offer(plan(5, vec![slip(2)]), at(0), &ALONE), Offer::Stale { have: 5 });
    assert_eq!(runner.offer(plan(4, vec![slip(2)]), at(0), &ALONE), Offer::Stale { have: 5 });
    let reused = Plan { id: Uuid::from_u128(5), ..plan(6, vec![]) };
    assert_eq!(runner.offer(reused, at(0), &ALONE), Offer::IdTaken);
    assert_eq!(Offer::Stale { have: 5 }.outcome(), Outcome::STALE);
}

#[test]
fn what_is_done_is_not_done_again_under_the_next_plan_and_what_changed_is() {
    let mut runner = runner(vec![slip(1), check(2)]);
    carry_out(&mut runner, 0, Outcome::DONE);
    carry_out(&mut runner, 0, Outcome::DONE);
    let other = Action { target: "app".into(), ..check(2) };
    assert_eq!(runner.offer(plan(2, vec![other, slip(1)]), at(0), &ALONE), Offer::Accepted);
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).action.target, "app");
    assert_eq!(runner.next(at(0), &ALONE), None);
    assert_eq!(runner.unreported().count(), 3, "results of the old plan are kept");
}

#[test]
fn what_runs_when_its_plan_is_replaced_ends_and_is_reported_under_the_old_plan() {
    let mut runner = runner(vec![check(1)]);
    let start = runner.next(at(0), &ALONE).unwrap();
    runner.begun(&start).unwrap();
    runner.offer(plan(2, vec![slip(2)]), at(0), &ALONE);
    assert_eq!(runner.next(at(0), &ALONE), None, "the old action still runs");
    let mut runner = restart(&runner);
    let resumed = runner.next(at(0), &ALONE).unwrap();
    assert!(resumed.resumed && resumed.operation == Uuid::from_u128(1));
    runner.begun(&resumed).unwrap();
    runner.finished(result(&start, Outcome::INTERNAL), at(0)).unwrap();
    assert_eq!(runner.unreported().next().unwrap().operation, Uuid::from_u128(1));
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).action.id, 2);
}

#[test]
fn what_runs_goes_on_in_a_plan_that_has_it_too() {
    let mut runner = runner(vec![slip(1)]);
    let start = runner.next(at(0), &ALONE).unwrap();
    runner.begun(&start).unwrap();
    runner.offer(plan(2, vec![]), at(0), &ALONE);
    runner.offer(plan(3, vec![check(9), slip(1)]), at(0), &ALONE);
    runner.finished(result(&start, Outcome::DONE), at(0)).unwrap();
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).action.id, 9);
    assert_eq!(runner.next(at(0), &ALONE), None);
    assert_eq!(runner.unreported().count(), 2);
}

#[test]
fn a_slip_that_a_crash_cut_short_is_reported_and_a_self_test_begins_again() {
    let mut runner = runner(vec![slip(1), check(2)]);
    let start = runner.next(at(0), &ALONE).unwrap();
    // The crash comes before the slip began: it is still due.
    let mut runner = restart(&runner);
    assert_eq!(runner.next(at(0), &ALONE).as_ref(), Some(&start));
    runner.begun(&start).unwrap();
    let mut runner = restart(&runner);
    let start = runner.next(at(0), &ALONE).unwrap();
    assert_eq!((start.action.id, outcomes(&runner)), (2, vec![(1, Outcome::INTERRUPTED)]));
    runner.begun(&start).unwrap();
    let mut runner = restart(&runner);
    assert!(runner.next(at(0), &ALONE).unwrap().resumed);
}

#[test]
fn an_action_that_restarts_the_terminal_each_time_is_given_up() {
    let mut runner = runner(vec![check(1)]);
    for _ in 0..=101 {
        if let Some(start) = runner.next(at(0), &ALONE) {
            runner.begun(&start).unwrap();
        }
        runner = restart(&runner);
    }
    assert_eq!(outcomes(&runner), [(1, Outcome::INTERRUPTED)]);
}

#[test]
fn a_failure_is_tried_again_after_the_delay_and_as_often_as_the_plan_says() {
    let mut runner = runner(vec![Action { retry: Retry { delay_s: 60, count: 2 }, ..check(1) }]);
    for second in [0, 60] {
        carry_out(&mut runner, second, Outcome::INTERNAL);
        assert_eq!(runner.next(at(second + 59), &ALONE), None);
        assert_eq!(runner.next_due(at(second + 59)), Some(at(second + 60)));
        assert_eq!(runner.unreported().count(), 0);
    }
    carry_out(&mut runner, 120, Outcome::NO_SPACE);
    assert_eq!(runner.next(at(10_000), &ALONE), None);
    assert_eq!(outcomes(&runner), [(1, Outcome::NO_SPACE)]);
    assert_eq!(runner.status().unwrap().actions[0].attempts, 3);
}

#[test]
fn a_clock_that_goes_back_does_not_make_a_retry_wait_for_years() {
    let mut runner = runner(vec![Action { retry: Retry { delay_s: 60, count: 1 }, ..check(1) }]);
    carry_out(&mut runner, 1_000_000_000, Outcome::INTERNAL);
    assert_eq!(runner.next_due(at(500)), Some(at(500)));
    assert_eq!(runner.next(at(500), &ALONE), None);
    assert_eq!(runner.next_due(at(500)), Some(at(560)));
    assert!(runner.next(at(560), &ALONE).is_some());
}

#[test]
fn a_window_that_closed_is_reported_and_opens_no_second_time() {
    let window = Some(Window { start: at(100), end: at(200) });
    let by_hand = Action { window, trigger: Trigger::ByHand, ..check(2) };
    let mut runner = runner(vec![Action { window, ..slip(1) }, by_hand]);
    assert_eq!((runner.next(at(99), &ALONE), runner.next_due(at(99))), (None, Some(at(100))));
    let mut early = runner.clone();
    carry_out(&mut early, 100, Outcome::DONE);
    assert_eq!(early.next(at(200), &ALONE), None);
    assert_eq!(outcomes(&early), [(1, Outcome::DONE), (2, Outcome::WINDOW_MISSED)]);
    // A clock that goes years forward and back again.
    assert_eq!(runner.next(at(100_000_000), &ALONE), None);
    assert_eq!(runner.next(at(150), &ALONE), None);
    assert_eq!(outcomes(&runner), [(1, Outcome::WINDOW_MISSED), (2, Outcome::WINDOW_MISSED)]);
}

#[test]
fn a_failure_that_stops_the_plan_ends_the_later_actions_and_one_that_may_yet_holds_them() {
    let retry = Retry { delay_s: 10, count: 1 };
    let stopper = Action { on_error: OnError::Stop, retry, ..check(1) };
    let mut runner = runner(vec![slip(0), stopper, slip(2), slip(3)]);
    carry_out(&mut runner, 0, Outcome::DONE);
    carry_out(&mut runner, 0, Outcome::INTERNAL);
    assert_eq!((runner.next(at(9), &ALONE), runner.next_due(at(9))), (None, Some(at(10))));
    carry_out(&mut runner, 10, Outcome::INTERNAL);
    assert_eq!(runner.next(at(10), &ALONE), None);
    let stopped = Outcome::STOPPED;
    assert_eq!(outcomes(&runner), [(1, Outcome::DONE), (2, Outcome::INTERNAL), (3, stopped), (4, stopped)]);
}

#[test]
fn a_failure_to_be_ignored_is_in_the_status_only() {
    let mut runner = runner(vec![Action { on_error: OnError::Ignore, ..check(1) }]);
    carry_out(&mut runner, 0, Outcome::INTERNAL);
    assert_eq!(runner.unreported().count(), 0);
    let status = runner.status().unwrap();
    assert_eq!((status.actions[0].state, status.actions[0].outcome), (ActionState::ENDED, Outcome::INTERNAL));
}

#[test]
fn each_trigger_waits_for_its_own_occasion() {
    let on = |id, trigger| Action { trigger, ..check(id) };
    let actions = vec![
        on(1, Trigger::At(at(50))),
        on(2, Trigger::NextContact),
        on(3, Trigger::AfterSettlement),
        on(4, Trigger::ByHand),
    ];
    let mut first = PlanRunner::default();
    let brought = Situation { contact: Some(8), settled_batch: Some(12), by_hand: None };
    first.offer(plan(1, actions), at(0), &brought);
    assert_eq!((first.next(at(0), &brought), first.next_due(at(0))), (None, Some(at(50))));
    for (id, second, situation) in [
        (1, 50, brought),
        (2, 0, Situation { contact: Some(9), ..brought }),
        (3, 0, Situation { settled_batch: Some(13), ..brought }),
        (4, 0, Situation { by_hand: Some(4), ..brought }),
    ] {
        let mut runner = restart(&first);
        assert_eq!(runner.next(at(second), &situation).unwrap().action.id, id);
    }
}

#[test]
fn the_contact_that_brings_a_plan_is_the_next_one_for_the_plan_before_it() {
    let waits = Action { trigger: Trigger::NextContact, ..check(1) };
    let mut runner = PlanRunner::default();
    let contact = |n| Situation { contact: Some(n), ..ALONE };
    runner.offer(plan(1, vec![waits.clone()]), at(0), &contact(1));
    runner.offer(
        plan(2, vec![waits, Action { trigger: Trigger::NextContact, ..check(2) }]),
        at(0),
        &contact(2),
    );
    assert_eq!(runner.next(at(0), &contact(2)).unwrap().action.id, 1);
}

#[test]
fn an_occasion_that_comes_while_another_action_runs_is_not_lost() {
    let mut runner = runner(vec![check(1), Action { trigger: Trigger::ByHand, ..slip(2) }]);
    let start = runner.next(at(0), &ALONE).unwrap();
    runner.begun(&start).unwrap();
    assert_eq!(runner.next(at(0), &Situation { by_hand: Some(2), ..ALONE }), None);
    let mut runner = restart(&runner);
    let start = runner.next(at(0), &ALONE).unwrap();
    runner.begun(&start).unwrap();
    runner.finished(result(&start, Outcome::DONE), at(0)).unwrap();
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).action.id, 2);
}

#[test]
fn the_batch_is_settled_before_an_action_that_asks_for_it_and_a_failure_there_is_the_actions() {
    let retry = Retry { delay_s: 0, count: 1 };
    let mut runner = runner(vec![Action { follow_up: FollowUp::ReconcileFirst, retry, ..slip(1) }, check(2)]);
    assert_eq!(carry_out(&mut runner, 0, Outcome::FETCH_FAILED).stage, Stage::Reconcile);
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).stage, Stage::Reconcile);
    let mut runner = restart(&runner);
    let start = carry_out(&mut runner, 0, Outcome::DONE);
    assert_eq!((start.stage, start.action.id), (Stage::Act, 1));
    assert_eq!(outcomes(&runner), [(1, Outcome::DONE)]);
}

#[test]
fn the_terminal_restarts_once_after_an_action_that_asks_for_it_and_before_the_next() {
    let mut runner = runner(vec![Action { follow_up: FollowUp::RestartAfter, ..slip(1) }, check(2)]);
    assert_eq!(carry_out(&mut runner, 0, Outcome::DONE).stage, Stage::Act);
    assert_eq!(runner.unreported().count(), 0);
    // A crash before the restart began does not count as it.
    let mut runner = restart(&runner);
    let start = runner.next(at(0), &ALONE).unwrap();
    assert_eq!((start.stage, start.action.id), (Stage::Restart, 1));
    assert_eq!(runner.status().unwrap().actions[0].state, ActionState::RESTARTING);
    runner.begun(&start).unwrap();
    let mut runner = restart(&runner);
    assert_eq!(runner.next(at(0), &ALONE).unwrap().action.id, 2);
    assert_eq!(outcomes(&runner), [(1, Outcome::DONE)]);
}

#[test]
fn a_cancelled_plan_ends_and_what_runs_is_not_resumed() {
    let mut runner = runner(vec![check(1), slip(2)]);
    let start = runner.next(at(0), &ALONE).unwrap();
    runner.begun(&start).unwrap();
    assert_eq!(runner.cancel(Uuid::from_u128(9)), Dropped::NotFound);
    assert_eq!(runner.cancel(start.operation), Dropped::Stop { operation: start.operation, step: 1 });
    let mut runner = restart(&runner);
    assert_eq!(runner.next(at(0), &ALONE), None);
    assert_eq!(outcomes(&runner), [(2, Outcome::CANCELLED), (1, Outcome::CANCELLED)]);
    assert_eq!(runner.cancel(start.operation), Dropped::Ended);
}

#[test]
fn what_may_not_be_told_now_is_an_error_with_the_states_name() {
    let mut runner = runner(vec![check(1), slip(2)]);
    let start = runner.next(at(0), &ALONE).unwrap();
    let error = runner.finished(result(&start, Outcome::DONE), at(0)).unwrap_err();
    assert_eq!(error.to_string(), "step 1 cannot end: it is due");
    runner.begun(&start).unwrap();
    assert_eq!(runner.begun(&start).unwrap_err().to_string(), "step 1 cannot begin: it is running");
    let accepted = runner.finished(result(&start, Outcome::ACCEPTED), at(0)).unwrap_err();
    assert_eq!(accepted, PlanError::NotFinal { step: 1 });
    runner.finished(result(&start, Outcome::DONE), at(0)).unwrap();
    let error = runner.finished(result(&start, Outcome::DONE), at(0)).unwrap_err();
    assert_eq!(error.to_string(), "step 1 cannot end: it is at its end");
    assert_eq!(runner.begun(&start).unwrap_err().to_string(), "step 1 cannot begin: it is at its end");
    runner.offer(plan(2, vec![]), at(0), &ALONE);
    assert_eq!(runner.begun(&start).unwrap_err().to_string(), "step 1 cannot begin: it is of another plan");
}

#[test]
fn a_plan_whose_results_would_not_find_room_is_refused() {
    let mut runner = PlanRunner::default();
    for version in 1..=3 {
        let actions = (0..MAX_ACTIONS as u32).map(|n| check(100 * version as u32 + n)).collect();
        let offer = runner.offer(plan(version, actions), at(0), &ALONE);
        if version == 3 {
            assert_eq!(offer, Offer::Full);
            break;
        }
        for _ in 0..MAX_ACTIONS {
            carry_out(&mut runner, 0, Outcome::DONE);
        }
    }
    assert_eq!(runner.unreported().count(), MAX_WAITING_RESULTS);
    assert_eq!(runner.offer(plan(4, vec![]), at(0), &ALONE), Offer::Accepted);
}
