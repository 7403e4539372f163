//! Plans: triggers, windows, follow-ups, and the power going in their midst.

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    plan::{Action, FollowUp, Plan, PlanSource, Retry, Trigger},
    task::{Command, Outcome},
};
use uuid::Uuid;

use super::{
    crashes::{at_every_write, live},
    world::World,
};
use crate::{agent::Exit, device::Next};

const PLAN: u128 = 77;

fn action(id: u32, command: Command, trigger: Trigger) -> Action {
    Action { trigger, ..Action::new(id, command) }
}

fn slip() -> Command {
    Command::PrintTestSlip { text: None }
}

fn plan(version: u64, actions: Vec<Action>) -> Plan {
    Plan { id: Uuid::from_u128(PLAN + u128::from(version)), version, actions }
}

fn give(world: &mut World, plan: Plan) {
    let source = PlanSource::of(plan, "plan-1").unwrap();
    world.task(1, 1, Command::InstallPlan(source));
}

/// Results of the plan so far: step and outcome.
fn results(world: &World) -> Vec<(u8, Outcome)> {
    let of_plan = world.host.results.iter().filter(|result| result.operation.as_u128() >= PLAN);
    of_plan.map(|result| (result.step, result.outcome)).collect()
}

fn hours(now: Timestamp, hours: i64) -> Timestamp {
    now + SignedDuration::from_hours(hours)
}

#[test]
fn what_is_due_at_once_is_done_and_reported_under_the_plans_own_id() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        let lock = Command::Lock { message: "x".into() };
        give(&mut world, plan(1, vec![Action::new(5, slip()), Action::new(6, lock)]));
        world.settle();
        assert_eq!(results(&world), [(1, Outcome::DONE), (2, Outcome::DONE)]);
        world.connect(usize::MAX);
        let status = world.host.reports.last().unwrap().details.plan.clone().unwrap();
        assert!(status.version == 1 && status.has_ended());
    }
}

#[test]
fn an_action_at_a_time_happens_without_a_connection_and_is_told_at_the_next() {
    let mut world = World::new("iso87");
    let at = hours(world.now, 10);
    give(&mut world, plan(1, vec![action(1, slip(), Trigger::At(at))]));
    live(&mut world).unwrap();
    assert!(results(&world).is_empty());
    assert_eq!(world.device.next_due(world.now), at);
    world.now = at;
    world.device.tick(world.now).unwrap();
    assert_eq!(world.effects.of_tasks().len(), 1);
    world.settle();
    assert_eq!(results(&world), [(1, Outcome::DONE)]);
}

#[test]
fn a_restart_at_a_time_happens_without_a_connection() {
    let mut world = World::new("iso87");
    let at = hours(world.now, 10);
    give(&mut world, plan(1, vec![action(1, Command::Reboot, Trigger::At(at))]));
    live(&mut world).unwrap();
    world.now = at;
    let exit = world.device.tick(world.now).unwrap_err();
    assert!(matches!(exit, Exit::Reboot));
    let Next::Boot { at } = world.device.ended(exit, world.now) else { panic!() };
    world.now = at;
    world.boot();
    world.settle();
    assert_eq!((results(&world), world.device.state(|s| s.boot_count)), (vec![(1, Outcome::DONE)], 2));
}

#[test]
fn an_action_that_is_due_waits_for_a_restart_and_is_not_asked_for_again_and_again() {
    let mut world = World::new("iso87");
    let at = hours(world.now, 1);
    let actions = vec![action(1, Command::Reboot, Trigger::At(at)), action(2, slip(), Trigger::At(at))];
    give(&mut world, plan(1, actions));
    live(&mut world).unwrap();
    world.now = at;
    assert!(matches!(world.device.tick(at), Err(Exit::Reboot)));
    assert_eq!(world.device.machine().plan_due(at), Timestamp::MAX);
    assert!(world.effects.of_tasks().is_empty());
    world.settle();
    assert_eq!(results(&world), [(1, Outcome::DONE), (2, Outcome::DONE)]);
}

#[test]
fn each_trigger_waits_for_what_it_names() {
    let mut world = World::new("iso87");
    let actions = vec![
        action(1, slip(), Trigger::NextContact),
        action(2, slip(), Trigger::AfterSettlement),
        action(3, slip(), Trigger::ByHand),
    ];
    give(&mut world, plan(1, actions));
    world.settle();
    assert!(results(&world).is_empty(), "{:?}", results(&world));
    world.settle();
    assert_eq!(results(&world), [(1, Outcome::DONE)], "the next contact");
    world.device.trade(world.now).unwrap();
    world.device.settle().unwrap();
    world.settle();
    assert_eq!(results(&world), [(1, Outcome::DONE), (2, Outcome::DONE)], "after settlement");
    world.device.by_hand(3);
    world.settle();
    assert_eq!(world.effects.of_tasks().len(), 3);
    assert_eq!(results(&world).len(), 3);
}

#[test]
fn a_batch_is_settled_before_an_action_that_wants_it_so_and_the_terminal_restarts_after() {
    let mut world = World::new("unionpay");
    world.device.trade(world.now).unwrap();
    let reconcile = Action { follow_up: FollowUp::ReconcileFirst, ..Action::new(1, Command::ClearReversal) };
    let restart = Action { follow_up: FollowUp::RestartAfter, ..Action::new(2, slip()) };
    give(&mut world, plan(1, vec![reconcile, restart]));
    live(&mut world).unwrap();
    assert_eq!(results(&world), [(1, Outcome::DONE), (2, Outcome::DONE)]);
    let (settled, boots) = world.device.state(|s| (s.trade.settled_batch, s.boot_count));
    assert_eq!((settled, boots), (Some(1), 2));
}

#[test]
fn a_plan_too_large_for_a_command_is_fetched_and_another_file_is_no_plan() {
    let large: Vec<_> = (1..=30)
        .map(|id| {
            let message = format!("{id:0>60}");
            action(id, Command::Lock { message }, Trigger::ByHand)
        })
        .collect();
    for profile in ["unionpay", "iso87"] {
        for spoil in [false, true] {
            let mut world = World::new(profile);
            let plan = plan(1, large.clone());
            let mut bytes = plan.encode().unwrap();
            assert!(bytes.len() > 1_000);
            if spoil {
                bytes[500] ^= 1;
            }
            world.host.files.insert("plan-1".into(), bytes);
            give(&mut world, plan);
            world.settle();
            let expected = if spoil { Outcome::INVALID } else { Outcome::DONE };
            assert_eq!(world.outcome().0, expected, "{}", world.outcome().1);
            assert_eq!(world.device.state(|s| s.plan.version()), (!spoil).then_some(1));
        }
    }
}

#[test]
fn a_failed_action_is_tried_again_after_its_delay() {
    let mut world = World::with("iso87", "[hardware]\npaper = false");
    let retry = Retry { delay_s: 600, count: 1 };
    give(&mut world, plan(1, vec![Action { retry, ..Action::new(1, slip()) }]));
    world.settle();
    let mut health = world.machine().health;
    health.paper = true;
    world.device.set_health(health, world.now).unwrap();
    world.now += SignedDuration::from_secs(600);
    world.settle();
    assert_eq!(results(&world), [(1, Outcome::DONE)]);
    assert_eq!(world.effects.of_tasks().len(), 1);
}

#[test]
fn an_older_plan_never_takes_the_place_of_a_newer_one() {
    let mut world = World::new("iso87");
    give(&mut world, plan(5, Vec::new()));
    world.settle();
    world.host.results.clear();
    let source = PlanSource::of(plan(4, vec![Action::new(1, slip())]), "").unwrap();
    world.task(2, 1, Command::InstallPlan(source));
    world.settle();
    assert_eq!(world.outcome().0, Outcome::STALE);
    assert!(world.effects.of_tasks().is_empty());
}

#[test]
fn every_action_is_done_once_wherever_the_power_goes() {
    at_every_write(
        "iso87",
        |world| {
            let restart = Action { follow_up: FollowUp::RestartAfter, ..Action::new(2, slip()) };
            let reboot = Action::new(3, Command::Reboot);
            give(world, plan(1, vec![Action::new(1, Command::ClearBatch), restart, reboot]));
        },
        |world| {
            let mut told = results(world);
            told.sort_by_key(|(step, _)| *step);
            told.dedup();
            assert_eq!(told.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3], "{told:?}");
            for (step, outcome) in told {
                let seen = world.effects.of_tasks().iter().filter(|(_, s, _)| *s == step).count();
                assert!(outcome == Outcome::DONE || outcome == Outcome::INTERRUPTED, "{outcome}");
                assert!(
                    seen <= 1
                        || world
                            .effects
                            .of_tasks()
                            .iter()
                            .all(|(.., what)| what != "print-test-slip" || seen <= 1)
                );
            }
            let slips =
                world.effects.of_tasks().iter().filter(|(.., what)| what == "print-test-slip").count();
            let clears = world.effects.of_tasks().iter().filter(|(.., what)| what == "clear-batch").count();
            assert!(slips <= 1 && clears <= 1, "{:?}", world.effects.of_tasks());
        },
    );
}

#[test]
fn withdrawing_the_operation_that_brought_a_plan_ends_the_plan() {
    let mut world = World::new("iso87");
    let at = hours(world.now, 10);
    give(&mut world, plan(1, vec![action(1, slip(), Trigger::At(at))]));
    world.settle();
    world.task(2, 1, Command::CancelOperation { target: Uuid::from_u128(1) });
    world.settle();
    let cancel = world.host.results.iter().find(|result| result.operation == Uuid::from_u128(2)).unwrap();
    assert_eq!(cancel.outcome, Outcome::DONE);
    world.now = hours(at, 1);
    world.settle();
    assert!(world.effects.of_tasks().is_empty());
    assert_eq!(results(&world), [(1, Outcome::CANCELLED)]);
}
