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
use crate::{agent::Exit, storage::Storage, trade::MAX_BATCH};

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

/// Sells and settles, and the host then has these sales in the batch that it closed last.
fn sell_and_settle(world: &mut World, times: u32) {
    let before = world.device.state(|s| s.trade.open.count());
    sell(world, times);
    world.device.settle().unwrap();
    world.settle();
    let closed = world.host.ledger.closed().unwrap();
    assert_eq!(u32::from(closed.received), before + times, "{closed:?}");
    assert_eq!(settled(world), Some(closed.batch));
}

#[test]
fn a_reset_forgets_a_settlement_that_had_begun_wherever_the_power_goes() {
    at_every_write(
        "unionpay",
        |world| {
            world.host.totals_refusal = Some(Refusal::Busy);
            world.device.settle().unwrap();
            world.settle();
            world.task(1, 1, Command::FactoryReset);
        },
        |world| {
            world.host.totals_refusal = None;
            world.settle();
            sell_and_settle(world, 3);
        },
    );
    let mut world = World::new("unionpay");
    world.host.totals_refusal = Some(Refusal::Busy);
    world.device.settle().unwrap();
    world.task(1, 1, Command::FactoryReset);
    world.settle();
    assert_eq!(world.outcome().0, Outcome::DONE);
    world.host.totals_refusal = None;
    sell_and_settle(&mut world, 3);
}

#[test]
fn refused_totals_leave_nothing_that_a_later_settlement_takes_up_wherever_the_power_goes() {
    at_every_write(
        "iso87",
        |world| {
            sell(world, 3);
            world.host.totals_refusal = Some(Refusal::NotPermitted);
            world.device.settle().unwrap();
        },
        |world| {
            world.host.totals_refusal = None;
            assert_eq!((settled(world), world.device.state(|s| s.trade.settle)), (None, None));
            sell_and_settle(world, 2);
        },
    );
}

#[test]
fn a_settlement_in_the_storage_that_is_not_of_these_sales_is_made_anew() {
    let mut world = World::new("iso87");
    sell(&world, 3);
    world.host.totals_refusal = Some(Refusal::Busy);
    world.device.settle().unwrap();
    world.settle();
    let old = world.storage.read("settle.json").unwrap().unwrap();
    world.host.totals_refusal = Some(Refusal::NotPermitted);
    world.settle();
    // As a version left it that removed it last.
    world.storage.replace("settle.json", &old).unwrap();
    world.restart();
    assert!(world.storage.read("settle.json").unwrap().is_none(), "nobody wants it");
    world.host.totals_refusal = None;
    sell(&world, 2);
    world.device.settle().unwrap();
    world.storage.replace("settle.json", &old).unwrap();
    world.restart();
    world.settle();
    assert_eq!((settled(&world), world.host.ledger.closed().unwrap().received), (Some(1), 5));
}

#[test]
fn a_host_that_answers_other_totals_is_asked_now_and_then_and_left_at_last() {
    let mut world = World::new("iso87");
    sell(&world, 3);
    world.host.lies = true;
    world.device.settle().unwrap();
    let began = world.now;
    let end = world.connect(2_000);
    assert!(
        matches!(&end, End::Exit(Exit::Lost(failure)) if failure.to_string().contains("totals")),
        "{end:?}"
    );
    let (told, seconds) = (world.host.totals_told, world.now.duration_since(began).as_secs());
    assert!((2..50).contains(&told) && seconds >= i64::from(told) - 1, "{told} in {seconds} s");
    world.host.lies = false;
    world.settle();
    assert_eq!((settled(&world), world.host.ledger.closed().unwrap().received), (Some(1), 3));
}

#[test]
fn a_detail_that_is_spoiled_on_its_way_is_not_lost() {
    for refusal in [Refusal::FormatError, Refusal::NotSupported, Refusal::InvalidTerminal] {
        let mut world = World::new("iso87");
        sell(&world, 30);
        world.host.details_refusal = Some((2, refusal));
        world.device.settle().unwrap();
        for _ in 0..20 {
            world.settle();
        }
        let closed = world.host.ledger.closed().unwrap();
        assert!(closed.is_complete() && closed.received == 30, "{closed:?}");
    }
}

#[test]
fn a_batch_whose_end_is_refused_is_not_settled_until_the_host_has_it() {
    let mut world = World::new("iso87");
    sell(&world, 3);
    world.host.end_refusal = Some(Refusal::NotPermitted);
    world.device.settle().unwrap();
    for _ in 0..3 {
        world.settle();
        assert_eq!((settled(&world), world.host.ledger.closed()), (None, None));
    }
    world.host.end_refusal = None;
    world.settle();
    assert_eq!(settled(&world), Some(1));
    assert!(world.host.ledger.closed().unwrap().is_complete());
}

#[test]
fn a_full_batch_is_to_be_settled_again_some_time_after_its_totals_were_refused() {
    let mut world = World::new("iso87");
    sell(&world, MAX_BATCH);
    world.host.totals_refusal = Some(Refusal::NotPermitted);
    for _ in 0..5 {
        world.settle();
        let told = world.host.totals_told;
        sell(&world, 5);
        world.settle();
        assert_eq!(world.host.totals_told, told, "not at once");
        world.now += jiff::SignedDuration::from_hours(1);
        sell(&world, 1);
        assert!(world.device.state(|s| s.trade.settle).is_some());
    }
    world.host.totals_refusal = None;
    world.settle();
    assert_eq!((settled(&world), world.device.state(|s| s.trade.open.count())), (Some(1), 0));
    sell(&world, 1);
    assert_eq!(world.device.state(|s| s.trade.open.count()), 1);
}
