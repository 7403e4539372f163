//! Settling the batch with the host.

use tms_proto::{
    Refusal,
    plan::{Action, FollowUp, Plan, PlanSource},
    settlement::{Balance, Totals},
    task::{Command, Outcome},
};
use uuid::Uuid;

use super::{
    crashes::{at_every_write, live},
    world::{End, World},
};

const PROFILES: [&str; 3] = ["unionpay", "iso87", "iso93"];

fn sell(world: &World, times: u32) {
    for _ in 0..times {
        world.device.trade(world.now).unwrap();
    }
}

fn settled(world: &World) -> Option<u32> {
    world.device.state(|state| state.trade.settled_batch)
}

#[test]
fn a_batch_is_settled_with_all_its_details_and_the_next_begins() {
    for profile in PROFILES {
        let mut world = World::new(profile);
        sell(&world, 40);
        let transactions = world.device.transactions().unwrap();
        world.device.settle().unwrap();
        world.settle();
        assert_eq!(settled(&world), Some(1), "{profile}");
        let closed = world.host.ledger.closed().unwrap();
        assert!(closed.is_complete(), "{profile}: {closed:?}");
        assert_eq!((closed.batch, closed.received), (1, 40));
        let totals = closed.totals.unwrap();
        let told: u64 = transactions.iter().map(|transaction| transaction.amount).sum();
        assert_eq!(totals.domestic.debit.amount + totals.domestic.credit.amount, told);
        assert_eq!(world.device.state(|s| (s.trade.open.number, s.trade.open.count())), (2, 0));
    }
}

#[test]
fn a_host_that_agrees_gets_only_what_the_chip_said() {
    let mut world = World::new("unionpay");
    sell(&world, 9);
    let mut totals = Totals::new(156);
    for transaction in world.device.transactions().unwrap() {
        let sum = match transaction.kind {
            crate::trade::Kind::Sale => &mut totals.domestic.debit,
            crate::trade::Kind::Refund => &mut totals.domestic.credit,
        };
        *sum = sum.with(transaction.amount).unwrap();
    }
    world.host.own_totals = Some(totals);
    world.device.settle().unwrap();
    world.settle();
    let closed = world.host.ledger.closed().unwrap();
    assert_eq!(closed.totals.unwrap().domestic.balance, Balance::Balanced);
    assert_eq!((closed.announced, closed.received, settled(&world)), (3, 3, Some(1)));
}

#[test]
fn a_broken_line_repeats_a_message_and_forgets_none() {
    for profile in PROFILES {
        for frames in (6..60).step_by(3) {
            let mut world = World::new(profile);
            sell(&world, 30);
            world.device.settle().unwrap();
            assert!(matches!(world.connect(frames), End::Broken | End::Quiet));
            world.settle();
            let closed = world.host.ledger.closed().unwrap();
            assert!(closed.is_complete() && closed.received == 30, "{profile}: {closed:?}");
            assert_eq!(settled(&world), Some(1));
        }
    }
}

#[test]
fn a_batch_is_settled_once_and_whole_wherever_the_power_goes() {
    at_every_write(
        "iso87",
        |world| {
            sell(world, 12);
            let action = Action { follow_up: FollowUp::ReconcileFirst, ..Action::new(1, Command::Unlock) };
            let plan = Plan { id: Uuid::from_u128(77), version: 1, actions: vec![action] };
            world.task(1, 1, Command::InstallPlan(PlanSource::of(plan, "").unwrap()));
        },
        |world| {
            let closed = world.host.ledger.closed().unwrap();
            assert!(closed.is_complete() && closed.batch == 1 && closed.received == 12, "{closed:?}");
            assert_eq!(settled(world), Some(1));
            let of_plan = world.host.results.iter().find(|result| result.operation.as_u128() == 77);
            assert_eq!(of_plan.map(|result| result.outcome), Some(Outcome::DONE));
        },
    );
}

#[test]
fn totals_that_are_refused_for_good_leave_the_batch_open() {
    let mut world = World::new("iso87");
    sell(&world, 3);
    world.host.totals_refusal = Some(Refusal::NotPermitted);
    world.device.settle().unwrap();
    world.settle();
    assert_eq!((settled(&world), world.device.state(|s| s.trade.settle)), (None, None));
    sell(&world, 1);
    world.host.totals_refusal = None;
    world.device.settle().unwrap();
    world.settle();
    assert_eq!((settled(&world), world.host.ledger.closed().unwrap().received), (Some(1), 4));
}

#[test]
fn a_cleared_batch_is_not_settled_although_it_had_begun() {
    let mut world = World::new("iso87");
    sell(&world, 30);
    world.device.settle().unwrap();
    assert!(matches!(world.connect(12), End::Broken));
    world.task(1, 1, Command::ClearBatch);
    world.settle();
    assert_eq!(world.device.state(|s| (s.trade.open.number, s.trade.open.count())), (2, 0));
    sell(&world, 2);
    world.device.settle().unwrap();
    world.settle();
    assert_eq!(settled(&world), Some(2));
}

#[test]
fn a_terminal_settles_by_itself_after_so_many_sales() {
    let mut world = World::with("iso87", "[behaviour]\nsettle_after = 5");
    sell(&world, 9);
    assert_eq!(world.device.state(|s| s.trade.open.count()), 5, "nothing is sold before it is settled");
    world.settle();
    assert_eq!(settled(&world), Some(1));
}

#[test]
fn a_settlement_that_ended_is_not_taken_for_the_next_although_its_file_could_not_be_removed() {
    let mut world = World::new("unionpay");
    world.device.settle().unwrap();
    let writes = (0..50).find(|writes| {
        world.storage.fail_after(*writes);
        let ended = live(&mut world);
        world.storage.mend();
        ended.is_err() && settled(&world) == Some(1)
    });
    assert!(writes.is_some());
    world.restart();
    world.device.settle().unwrap();
    world.settle();
    assert_eq!(settled(&world), Some(2));
}
