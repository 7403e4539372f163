//! Anything in any order, with the line breaking and the power going anywhere.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use tms_proto::{
    plan::{Action, FollowUp, Plan, PlanSource, Trigger},
    task::{Command, Outcome},
};
use uuid::Uuid;

use super::{
    crashes::live,
    world::{End, World},
};

/// The first plan's id.
const PLAN: u128 = 1_000_000;

#[derive(Clone, Debug)]
enum Step {
    Order(u8),
    Plan(u8),
    Sell(u8),
    Settle,
    Break(usize),
    /// The storage fails at a write, and another process takes the terminal up.
    Power(u64),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..14).prop_map(Step::Order),
        1 => (0_u8..4).prop_map(Step::Plan),
        2 => (1_u8..6).prop_map(Step::Sell),
        1 => Just(Step::Settle),
        3 => (1_usize..60).prop_map(Step::Break),
        3 => (0_u64..12).prop_map(Step::Power),
        1 => (1_u16..600).prop_map(Step::Wait),
    ]
}

fn command(which: u8, given: u64, world: &World) -> Command {
    match which {
        0 => Command::Reboot,
        1 => Command::RestartApplication,
        2 => Command::Lock { message: "x".into() },
        3 => Command::Unlock,
        4 => Command::ClearBatch,
        5 => Command::PrintTestSlip { text: None },
        6 => Command::SelfTest,
        7 => Command::CollectJournal { from_batch: None, max_bytes: 10_000 },
        8 => Command::SyncClock { time: world.now, utc_offset_s: 0, force: false },
        9 => Command::ShowMessage { text: "x".into(), until: None, seconds: 1 },
        10 => Command::CollectLogs { max_bytes: 1_000 },
        11 => Command::FactoryReset,
        // What came before, or the plan that it brought.
        12 => Command::CancelOperation { target: Uuid::from_u128(u128::from(given) - 1) },
        _ => Command::CancelOperation { target: Uuid::from_u128(PLAN + u128::from(given) - 1) },
    }
}

fn plan(which: u8, version: u64) -> Plan {
    let slip = Command::PrintTestSlip { text: None };
    let mut first = Action::new(1, slip.clone());
    match which {
        0 => first.follow_up = FollowUp::RestartAfter,
        1 => first.follow_up = FollowUp::ReconcileFirst,
        2 => first.trigger = Trigger::NextContact,
        _ => first.trigger = Trigger::AfterSettlement,
    }
    let second = Action::new(u32::from(which) + 10, Command::Lock { message: "x".into() });
    Plan { id: Uuid::from_u128(PLAN + u128::from(version)), version, actions: vec![first, second] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_each_task_ends_once_and_what_people_see_happens_at_most_once(
        profile in prop::sample::select(&["unionpay", "iso87", "iso93"][..]),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::with(profile, "[behaviour]\nlog_lines = 3");
        let mut given = 0_u64;
        for step in steps {
            match step {
                Step::Order(which) => {
                    given += 1;
                    let command = command(which, given, &world);
                    world.task(u128::from(given), 1, command);
                }
                Step::Plan(which) => {
                    given += 1;
                    let source = PlanSource::of(plan(which, given), "").unwrap();
                    world.task(u128::from(given), 1, Command::InstallPlan(source));
                }
                Step::Sell(times) => (0..times).for_each(|_| world.device.trade(world.now).unwrap()),
                Step::Settle => world.device.settle().unwrap(),
                Step::Break(frames) => match world.connect(frames) {
                    End::Exit(_) => world.restart(),
                    End::Quiet | End::Broken => {}
                },
                Step::Power(writes) => {
                    world.storage.fail_after(writes);
                    let _ = live(&mut world);
                    world.storage.mend();
                    world.restart();
                }
                Step::Wait(seconds) => world.now += SignedDuration::from_secs(i64::from(seconds)),
            }
        }
        for _ in 0..3 {
            live(&mut world).unwrap();
        }
        prop_assert!(world.host.tasks.is_empty(), "{:?} stay", world.host.tasks);

        let mut outcomes: BTreeMap<(u128, u8), Outcome> = BTreeMap::new();
        for result in &world.host.results {
            let key = (result.operation.as_u128(), result.step);
            let first = outcomes.entry(key).or_insert(result.outcome);
            prop_assert_eq!(*first, result.outcome, "{:?} ended twice", key);
        }
        for task in 1..=given {
            prop_assert!(outcomes.contains_key(&(u128::from(task), 1)), "task {} has no end", task);
        }
        let mut seen: BTreeMap<(u128, u8), u32> = BTreeMap::new();
        for (operation, step, what) in world.effects.of_tasks() {
            if what == "print-test-slip" || what == "restart-application" {
                *seen.entry((operation, step)).or_default() += 1;
            }
        }
        prop_assert!(seen.values().all(|times| *times == 1), "{:?}", seen);
        for (key, outcome) in &outcomes {
            prop_assert!(!seen.contains_key(key) || [Outcome::DONE, Outcome::INTERRUPTED].contains(outcome));
        }
        let booked = world.device.transactions().unwrap().len();
        prop_assert_eq!(booked, world.device.state(|state| state.trade.open.count()) as usize);
        if let Some(closed) = world.host.ledger.closed() {
            prop_assert!(closed.is_complete(), "{:?}", closed);
        }
        prop_assert_eq!(world.device.try_secret("99", "73920418"), Some(1));
        prop_assert!(world.device.state(|state| state.plan.running().is_none() && state.trade.settle.is_none()));
    }
}
