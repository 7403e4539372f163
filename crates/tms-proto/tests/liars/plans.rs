//! Plans that are old, endless or too large, in every profile.

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    HostEvent, Refusal, TerminalEvent,
    journal::{Admission, Journal},
    plan::{
        Action, MAX_ACTIONS, MAX_WAITING_RESULTS, Offer, Plan, PlanRunner, PlanSource, Retry, Situation,
        Trigger, Window,
    },
    task::{Command, Outcome, Task, TaskResult},
};
use uuid::Uuid;

use super::{Link, NOW, profiles};

const ALONE: Situation = Situation { contact: None, settled_batch: None, by_hand: None };

fn plan(version: u64, actions: Vec<Action>) -> Plan {
    Plan { id: Uuid::from_u128(u128::from(version)), version, actions }
}

fn task(n: u128, plan: Plan) -> Task {
    let command = Command::InstallPlan(PlanSource::Inline(Box::new(plan)));
    Task { operation: Uuid::from_u128(n), step: 1, command }
}

/// Gives a plan over the wire, offers it and tells what came of it.
fn install(link: &mut Link, runner: &mut PlanRunner, task: &Task, now: Timestamp) -> TaskResult {
    let task = link.give(task);
    let Command::InstallPlan(PlanSource::Inline(plan)) = task.command else { panic!() };
    let offer = runner.offer(*plan, now, &ALONE);
    let result = TaskResult::new(task.operation, task.step, offer.outcome());
    link.tell(&match offer {
        Offer::Stale { have } => result.because(format!("version {have} is in force")),
        _ => result,
    })
}

fn kept(runner: &PlanRunner) -> usize {
    serde_json::to_string(runner).unwrap().len()
}

#[test]
fn an_old_plan_and_another_of_the_same_version_are_refused_with_the_version_in_force() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut runner = PlanRunner::default();
        let check = || vec![Action::new(1, Command::SelfTest)];
        assert_eq!(install(&mut link, &mut runner, &task(100, plan(5, check())), NOW).outcome, Outcome::DONE);
        let before = runner.clone();
        for n in 0..50 {
            let version = u64::from(n % 6u32);
            let other = vec![Action::new(n, Command::Reboot)];
            let lie = Plan { id: Uuid::from_u128(900 + u128::from(n)), ..plan(version, other) };
            let result = install(&mut link, &mut runner, &task(101 + u128::from(n), lie), NOW);
            assert_eq!(result.outcome, Outcome::STALE, "{}", profile.name());
            assert_eq!(result.reason, "version 5 is in force");
        }
        // Newer, under an id whose results would be taken for those of the plan in force.
        let lie = Plan { id: Uuid::from_u128(5), ..plan(6, check()) };
        assert_eq!(install(&mut link, &mut runner, &task(200, lie), NOW).outcome, Outcome::INVALID);
        assert_eq!(runner, before);
        let start = runner.next(NOW, &ALONE).unwrap();
        assert_eq!((start.operation, start.action.command), (Uuid::from_u128(5), Command::SelfTest));
        link.still_stands();
    }
}

#[test]
fn ever_new_plans_whose_results_nobody_takes_are_refused_before_they_fill_memory() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut runner = PlanRunner::default();
        let (mut refused, mut largest) = (0, 0);
        for version in 1..300u64 {
            // Each has one action more to report of, begun and never ended by the lie after it.
            let actions =
                (0..4).map(|n| Action::new(u32::try_from(version).unwrap() * 8 + n, Command::SelfTest));
            let result = install(
                &mut link,
                &mut runner,
                &task(u128::from(version) + 1000, plan(version, actions.collect())),
                NOW,
            );
            match result.outcome {
                Outcome::DONE => {}
                Outcome::WRONG_STATE => refused += 1,
                other => panic!("{other:?}"),
            }
            if let Some(start) = runner.next(NOW, &ALONE) {
                runner.begun(&start).unwrap();
                runner
                    .finished(TaskResult::new(start.operation, start.step, Outcome::INTERNAL), NOW)
                    .unwrap();
            }
            assert!(runner.unreported().count() <= MAX_WAITING_RESULTS);
            largest = largest.max(kept(&runner));
        }
        assert!(refused > 0, "{}", profile.name());
        assert!(largest < 32 * 1024, "{largest} bytes");
    }
}

#[test]
fn an_action_that_fails_for_ever_and_one_of_the_far_future_end_within_their_bounds() {
    let retry = Retry { delay_s: 0, count: 100 };
    let failing = Action { retry, ..Action::new(1, Command::SelfTest) };
    // Its window is over before its time comes.
    let window = Some(Window { start: NOW, end: NOW + SignedDuration::from_hours(1) });
    let late = Action { trigger: Trigger::At(Timestamp::MAX), window, ..Action::new(2, Command::Reboot) };
    let mut runner = PlanRunner::default();
    assert_eq!(runner.offer(plan(1, vec![failing, late]), NOW, &ALONE), Offer::Accepted);
    let (mut now, mut tries, mut steps) = (NOW, 0, 0);
    loop {
        steps += 1;
        assert!(steps < 300, "there is always something due");
        if let Some(start) = runner.next(now, &ALONE) {
            assert_eq!(start.action.id, 1);
            runner.begun(&start).unwrap();
            runner.finished(TaskResult::new(start.operation, start.step, Outcome::INTERNAL), now).unwrap();
            tries += 1;
            assert!(tries <= 101, "it is tried for ever");
            continue;
        }
        match runner.next_due(now) {
            Some(due) => now = due.max(now),
            None => break,
        }
    }
    assert_eq!(tries, 101);
    assert!(runner.status().unwrap().has_ended());
    assert_eq!(runner.unreported().count(), 2);
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_with_the_reason() {
    let check = |id| Action::new(id, Command::SelfTest);
    let nested = Command::InstallPlan(PlanSource::Inline(Box::new(plan(1, Vec::new()))));
    let many = (0..=u32::try_from(MAX_ACTIONS).unwrap()).map(check).collect();
    let lies = [
        (vec![check(1), check(1)], "two actions have the id 1"),
        (vec![Action::new(1, nested)], "has no place in a plan"),
        (many, "more than 32 actions"),
    ];
    for profile in profiles() {
        for (actions, wanted) in &lies {
            let mut link = Link::new(&profile);
            let lie = task(1, plan(1, actions.clone()));
            let reason = if link.host.can_push() {
                link.host.push_command(lie, NOW).unwrap();
                let TerminalEvent::Dropped(reason) = link.hear_at_terminal() else { panic!() };
                let refused = link.hear_at_host();
                let wanted = Some(Refusal::FormatError);
                assert!(matches!(refused, HostEvent::CommandAnswered { refusal, .. } if refusal == wanted));
                reason.to_string()
            } else {
                let Command::Unusable { reason, .. } = link.give(&lie).command else { panic!() };
                reason
            };
            assert!(reason.contains(wanted), "{}: {reason}", profile.name());
            link.still_stands();
        }
    }
}

/// Operations without end fill a journal only as far as it goes; what it knows it answers from there.
#[test]
fn ever_new_operations_that_nobody_acknowledges_are_refused_before_they_fill_memory() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut journal = Journal::default();
        let (mut refused, mut largest) = (0, 0);
        for n in 1..600u128 {
            let task =
                link.give(&Task { operation: Uuid::from_u128(n), step: 1, command: Command::SelfTest });
            match journal.admit(&task) {
                Admission::Execute => {
                    journal.finish(TaskResult::new(task.operation, task.step, Outcome::DONE));
                }
                Admission::Full => refused += 1,
                other => panic!("{other:?}"),
            }
            largest = largest.max(serde_json::to_string(&journal).unwrap().len());
        }
        assert!(refused > 100, "{}: {refused}", profile.name());
        assert!(largest < 128 * 1024, "{largest} bytes");
        link.still_stands();
    }
}
