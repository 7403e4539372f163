//! Commands: the effect of each, once, wherever the power goes.

use jiff::SignedDuration;
use tms_proto::{
    task::{Command, Outcome},
    transactions,
    upload::Chunk,
};
use uuid::Uuid;

use super::{
    crashes::at_every_write,
    world::{End, World, draft, image},
};
use crate::{agent::Exit, device::Next};

fn told(command: Command) -> World {
    told_with("", command)
}

fn told_with(extra: &str, command: Command) -> World {
    let mut world = World::with("unionpay", extra);
    world.task(1, 1, command);
    world.settle();
    world
}

fn sell(world: &World, times: u32) {
    for _ in 0..times {
        world.device.trade(world.now).unwrap();
    }
}

#[test]
fn each_command_has_its_effect_and_says_so() {
    let until = World::new("iso87").now + SignedDuration::from_hours(1);
    let commands = [
        (Command::RestartApplication, "restart-application"),
        (Command::FactoryReset, "factory-reset"),
        (Command::Lock { message: "暂停使用".into() }, "lock"),
        (Command::Unlock, "unlock"),
        (Command::ClearReversal, "clear-reversal"),
        (Command::ClearBatch, "clear-batch"),
        (Command::PrintTestSlip { text: Some("hello".into()) }, "print-test-slip"),
        (Command::ShowMessage { text: "hello".into(), until: Some(until), seconds: 5 }, "show-message"),
    ];
    for profile in ["unionpay", "iso87"] {
        for (command, what) in &commands {
            let mut world = World::new(profile);
            world.task(1, 1, command.clone());
            world.settle();
            assert_eq!(world.outcome().0, Outcome::DONE, "{what}");
            assert_eq!(world.effects.of_tasks(), [(1, 1, (*what).to_owned())]);
        }
    }
}

#[test]
fn a_command_that_people_see_happens_once_or_is_told_as_interrupted_wherever_the_power_goes() {
    for command in [Command::PrintTestSlip { text: None }, Command::RestartApplication] {
        at_every_write(
            "iso87",
            |world| drop(world.task(1, 1, command.clone())),
            |world| {
                let seen = world.effects.of_tasks().len();
                assert!(!world.host.results.is_empty());
                for result in &world.host.results {
                    match result.outcome {
                        Outcome::DONE => assert_eq!(seen, 1),
                        other => assert!(other == Outcome::INTERRUPTED && seen <= 1),
                    }
                }
            },
        );
    }
}

#[test]
fn a_command_about_the_books_is_done_exactly_once_wherever_the_power_goes() {
    at_every_write(
        "iso87",
        |world| {
            sell(world, 3);
            world.task(1, 1, Command::ClearBatch);
        },
        |world| {
            assert!(world.host.results.iter().all(|result| result.outcome == Outcome::DONE));
            assert_eq!(world.device.state(|s| (s.trade.open.number, s.trade.open.count())), (2, 0));
            assert_eq!(world.effects.of_tasks(), [(1, 1, "clear-batch".to_owned())]);
        },
    );
}

#[test]
fn a_locked_terminal_sells_nothing_until_it_is_unlocked_and_reports_it() {
    let mut world = told(Command::Lock { message: "请联系收单行".into() });
    sell(&world, 2);
    assert_eq!(world.device.state(|s| s.trade.transactions), 0);
    world.restart();
    world.settle();
    let lock = world.host.reports.last().unwrap().details.lock.clone().unwrap();
    assert_eq!((lock.locked, lock.message.as_str()), (true, "请联系收单行"));
    world.task(2, 1, Command::Unlock);
    world.settle();
    sell(&world, 2);
    assert_eq!(world.device.state(|s| s.trade.transactions), 2);
}

#[test]
fn a_reversal_that_waits_stops_sales_until_the_host_clears_it() {
    let mut world = World::with("unionpay", "[faults]\nlose_answer_every = 2");
    sell(&world, 5);
    assert_eq!(world.device.state(|s| (s.trade.transactions, s.trade.reversal)), (2, Some(2)));
    world.task(1, 1, Command::ClearReversal);
    world.settle();
    sell(&world, 1);
    assert_eq!(world.device.state(|s| (s.trade.transactions, s.trade.reversal)), (3, None));
}

#[test]
fn a_factory_reset_keeps_credentials_journal_and_firmware_and_nothing_of_the_hosts() {
    let mut world = World::new("unionpay");
    world.host.parameters = Some((4, [("timeout_s".to_owned(), "45".to_owned())].into()));
    world.settle();
    world.task(1, 1, Command::Lock { message: "x".into() });
    world.settle();
    world.host.results.clear();
    world.task(2, 1, Command::FactoryReset);
    world.settle();
    assert_eq!(world.outcome().0, Outcome::DONE);
    let device = &world.device;
    assert_eq!(device.parameters()["timeout_s"], "30");
    assert_eq!(device.try_secret("99", "73920418"), Some(1));
    let (locked, boots, journal) = device.state(|s| (s.lock.clone(), s.boot_count, s.journal.clone()));
    assert_eq!((locked, boots), (None, 2), "it has restarted");
    assert!(!journal.is_running(Uuid::from_u128(2), 1));
}

#[test]
fn money_that_is_not_settled_keeps_a_factory_reset_away() {
    let mut world = World::new("unionpay");
    sell(&world, 1);
    world.task(1, 1, Command::FactoryReset);
    world.settle();
    assert_eq!(
        world.outcome(),
        (Outcome::WRONG_STATE, "settle or clear the batch, and clear the reversal first")
    );
    assert_eq!(world.device.state(|s| s.trade.open.count()), 1);
}

#[test]
fn a_self_test_names_what_does_not_work_and_no_slip_comes_without_paper() {
    let world = told_with("[hardware]\npaper = false", Command::SelfTest);
    let result = &world.host.results[0];
    assert_eq!((result.outcome, result.values["paper"].as_str()), (Outcome::PART_FAULTY, "fault"));
    assert_eq!(result.values["printer"], "ok");
    let world = told_with("[hardware]\npaper = false", Command::PrintTestSlip { text: None });
    assert_eq!(world.host.results[0].outcome, Outcome::PART_FAULTY);
    assert!(world.effects.of_tasks().is_empty());
}

#[test]
fn a_diagnosis_says_what_there_is_to_know() {
    let world = told(Command::Diagnose);
    let result = &world.host.results[0];
    assert_eq!(result.outcome, Outcome::DONE);
    for (name, value) in [("version", "1.0.0"), ("boot_count", "1"), ("batch", "1"), ("host", "127.0.0.1:1")]
    {
        assert_eq!(result.values[name], value);
    }
}

#[test]
fn a_clock_is_set_within_years_and_beyond_only_with_force() {
    let mut world = World::with("iso87", "[faults]\nclock_ahead_s = 7200");
    let sync = |world: &World, force| Command::SyncClock { time: world.now, utc_offset_s: 28_800, force };
    let right = sync(&world, false);
    world.task(1, 1, right);
    world.settle();
    let clock = world.device.state(|s| s.clock);
    assert!(clock.ahead_ms.abs() < 60_000, "{clock:?}");
    assert_eq!((clock.utc_offset_s, world.outcome().0), (28_800, Outcome::DONE));

    let mut world = World::with("iso87", "[faults]\nclock_ahead_s = 100_000_000");
    for (id, force, outcome) in [(1, false, Outcome::TOO_FAR), (2, true, Outcome::DONE)] {
        let command = sync(&world, force);
        world.task(id, 1, command);
        world.settle();
        assert_eq!(world.host.results.last().unwrap().outcome, outcome);
    }
}

#[test]
fn the_journal_of_sales_arrives_whole() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        sell(&world, 40);
        world.task(1, 1, Command::CollectJournal { from_batch: None, max_bytes: 1 << 20 });
        world.settle();
        assert_eq!(world.outcome().0, Outcome::DONE);
        let entries = transactions::decode(&world.host.journal).unwrap();
        assert_eq!(entries.len(), 40);
        assert!(world.host.journal.len() > Chunk::MAX_BYTES);
        assert!(entries.iter().all(|entry| entry.card.is_some() && entry.batch == 1));
    }
}

/// Connects as a driver does: to the address that the terminal says. Only `works` answers.
fn dial(world: &mut World, works: &str) -> String {
    let address = world.device.dial(world.now).unwrap();
    let exit = if address == works {
        match world.connect(usize::MAX) {
            End::Quiet => return address,
            End::Exit(exit) => exit,
            End::Broken => unreachable!(),
        }
    } else {
        let failure = crate::Failure::new(crate::FailureKind::Unreachable, "nobody there", "");
        Exit::Lost(failure)
    };
    match world.device.ended(exit, world.now) {
        Next::Connect { at } => world.now = at,
        other => panic!("{other:?}"),
    }
    address
}

#[test]
fn a_new_address_is_kept_when_it_answers_and_given_up_when_it_does_not() {
    for (works, expected) in [("10.0.0.2:1", Outcome::DONE), ("127.0.0.1:1", Outcome::FELL_BACK)] {
        let mut world = World::new("unionpay");
        let addresses = vec!["10.0.0.2:1".to_owned()];
        world.task(1, 1, Command::ChangeTmsAddress { addresses, attempts: 2 });
        let first = world.device.dial(world.now).unwrap();
        assert_eq!(first, "127.0.0.1:1");
        let End::Exit(exit @ Exit::Moved) = world.connect(usize::MAX) else { panic!() };
        assert_eq!(world.device.ended(exit, world.now), Next::Connect { at: world.now });
        for _ in 0..4 {
            // It tries again after a crash, too, and counts.
            world.restart();
            dial(&mut world, works);
        }
        assert_eq!(world.outcome().0, expected);
        assert_eq!(world.device.dial(world.now).unwrap(), works);
    }
}

#[test]
fn an_operation_that_was_given_up_stops_and_is_not_resumed() {
    let mut world = World::new("iso87");
    world.order(1, draft("1.1.0"), &image(), None);
    assert!(matches!(world.connect(40), End::Broken));
    world.host.tasks.clear();
    world.task(2, 1, Command::CancelOperation { target: Uuid::from_u128(1) });
    world.settle();
    let mut outcomes: Vec<_> =
        world.host.results.iter().map(|r| (r.operation.as_u128(), r.outcome)).collect();
    outcomes.sort_by_key(|(operation, _)| *operation);
    assert_eq!(outcomes, [(1, Outcome::CANCELLED), (2, Outcome::DONE)]);
    assert_eq!(world.device.running().unwrap().version, "1.0.0");
    assert!(world.device.state(|s| s.install.is_none()));
}

#[test]
fn a_clock_that_was_set_back_for_a_while_delays_nothing_by_as_much() {
    let mut world = World::new("unionpay");
    let mut connection = world.device.connect(world.now);
    connection.start(world.now).unwrap();
    let ahead = world.now + SignedDuration::from_hours(24 * 365);
    connection.alarm_due = ahead + SignedDuration::from_secs(5);
    connection.now = ahead;
    connection.tick(world.now).unwrap();
    assert_eq!(connection.alarm_due, world.now + SignedDuration::from_secs(5));
    world.task(1, 1, Command::Lock { message: "x".into() });
    world.settle();
    let lock = world.host.reports.last().unwrap().details.lock.clone().unwrap();
    assert!(lock.locked, "what a command changed is reported");
}
