//! Drivers and servers that die, and what the next one makes of it.

use std::sync::atomic::{AtomicU32, Ordering};

use testkit::store::CallFault;
use tms_store::SqliteStore;

use super::*;

/// Drives a rollout of three waves to its end with a driver that dies at its call number `dies_at` of the store, and
/// another one after it. Answers how many calls there were.
fn with_a_driver_that_dies_at(dies_at: u32, fault: CallFault, action: Action) -> u32 {
    let world = World::new(9);
    let id = world.written(action, waves());
    let calls = Arc::new(AtomicU32::new(0));
    let dead = || calls.load(Ordering::Relaxed) >= dies_at;
    // People ask until they are answered.
    while !dead() && world.rollout(&id).state == RolloutState::Draft {
        world.counting(&calls, dies_at, fault);
        let _ = ready(service::start(&world.app, &id));
    }
    world.store.heal();
    ready(service::start(&world.app, &id)).unwrap();
    let mut driver = world.driver();
    for _ in 0..200 {
        if !dead() {
            world.counting(&calls, dies_at, fault);
        }
        ready(driver.look());
        world.store.heal();
        if dead() {
            driver = world.driver();
        }
        let made = world.operations();
        let targets = world.targets(&id);
        for target in &targets {
            let own: Vec<_> = made.iter().filter(|operation| operation.terminal == target.terminal).collect();
            let known: Vec<_> = target.operation.iter().collect();
            assert_eq!(
                own.iter().map(|operation| &operation.id).collect::<Vec<_>>(),
                known,
                "call {dies_at}"
            );
        }
        if world.rollout(&id).state == RolloutState::Finished {
            assert_eq!(made.len(), 9, "call {dies_at}");
            assert_eq!(world.states(&id), [("succeeded", 9)].into(), "call {dies_at}");
            return calls.load(Ordering::Relaxed);
        }
        world.terminals(|_| Act::Succeed);
        world.pass(11);
    }
    panic!("call {dies_at}, {fault:?}: {:?} {:?}", world.rollout(&id), world.states(&id));
}

impl World {
    /// From call number `dies_at` on nothing reaches the store any more. Whether that one call did is for `fault`.
    fn counting(&self, calls: &Arc<AtomicU32>, dies_at: u32, fault: CallFault) {
        let calls = Arc::clone(calls);
        self.store.on_call(move |_| match calls.fetch_add(1, Ordering::Relaxed) + 1 {
            call if call < dies_at => CallFault::None,
            call if call == dies_at => fault,
            _ => CallFault::Refused,
        });
    }
}

#[test]
fn a_driver_that_dies_between_any_two_calls_leaves_every_terminal_with_one_operation() {
    for action in [firmware(), Action::Command { command: OperationKind::SelfTest }] {
        let calls = with_a_driver_that_dies_at(u32::MAX, CallFault::None, action.clone());
        assert!(calls > 30, "{calls} calls say little");
        for call in 1..=calls {
            for fault in [CallFault::Refused, CallFault::AnswerLost] {
                with_a_driver_that_dies_at(call, fault, action.clone());
            }
        }
    }
}

#[tokio::test]
async fn a_rollout_goes_on_where_it_was_when_the_server_and_its_database_start_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("estate.db");
    let clock = Clock::new("2026-11-30T12:00:00Z".parse().unwrap());
    let id: RolloutId = "r1".parse().unwrap();
    for restart in 0..12 {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&file).await.unwrap());
        let app = app(Arc::clone(&store), &clock);
        if restart == 0 {
            store.import_terminals(rows(5), false, clock.now()).await.unwrap();
            store.add_firmware(package()).await.unwrap();
            let caps = Caps { per_minute: 2, concurrent: 2 };
            service::create(&app, NewRollout { caps, waves: waves(), ..draft() }).await.unwrap();
            service::start(&app, &id).await.unwrap();
        }
        Driver::new(Arc::clone(&app)).look().await;
        for terminal in store.terminals(None, 10).await.unwrap() {
            let until = clock.now() + 60.seconds();
            while let Some(leased) = store.lease_next(&terminal.id, "n/s", until, clock.now()).await.unwrap()
            {
                store.transition(leased.id, OperationState::Done, None, clock.now()).await.unwrap();
            }
            let firmware_version = Some("2.0.0".to_owned());
            let report = Reported { firmware_version, ..Reported::default() };
            store.record_report(&terminal.id, report, clock.now()).await.unwrap();
            assert!(store.operations(&terminal.id, None, 10).await.unwrap().len() <= 1);
        }
        let finished = store.rollout(&id).await.unwrap().unwrap().state == RolloutState::Finished;
        store.close().await;
        if finished {
            return;
        }
        clock.advance(SignedDuration::from_secs(61));
    }
    panic!("it has not come to its end");
}
