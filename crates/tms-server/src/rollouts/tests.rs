//! Rollouts on a store in memory and a clock that is turned: no runtime, no socket, nothing waits.

mod crashes;

use std::collections::BTreeMap;

use futures::FutureExt;
use jiff::ToSpan;
use testkit::MemoryStore;
use testkit::clock::Clock;
use tms_core::configuration::{NewRevision, Scope};
use tms_core::rollout::{Action, Caps, RolloutState, Wave, WaveSize};
use tms_core::{
    FirmwareRecord, LifeCycle, Operation, OperationKind, OperationState, Reported, RolloutTarget, Selector,
};
use tms_crypto::vault::Vault;
use tms_store::Store;
use tms_store::estate::{ImportRow, TerminalChange};

use super::*;
use crate::app::{Limits, Objects};
use crate::service::ServiceError;
use crate::service::rollouts::{self as service, NewRollout};

/// Nothing waits, ever.
fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("everything in memory is ready at once")
}

struct World {
    store: Arc<MemoryStore>,
    clock: Clock,
    app: Arc<App>,
}

/// What a terminal does with an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It is done, and says so in its next report.
    Succeed,
    /// It is done, and the terminal is never heard of again.
    FallSilent,
    /// It fails.
    Fail,
    /// Nothing.
    Ignore,
}

fn app(store: Arc<dyn Store>, clock: &Clock) -> Arc<App> {
    let clock = clock.clone();
    let (vault, limits) = (Vault::with_key(&[7; 32]), Limits::default());
    Arc::new(App::new(store, vault, Objects::memory(), None, limits, move || clock.now()))
}

fn rows(count: u32) -> Vec<ImportRow> {
    let row = |number: u32| ImportRow {
        id: format!("T{number:04}").parse().unwrap(),
        profile: Some(tms_core::Profile::iso87()),
        change: TerminalChange {
            merchant: Some("102310060510002".parse().unwrap()),
            model: Some("A920".to_owned()),
            life_cycle: Some(LifeCycle::Active),
            ..TerminalChange::default()
        },
    };
    (1..=count).map(row).collect()
}

fn package() -> FirmwareRecord {
    FirmwareRecord {
        id: "fw2".parse().unwrap(),
        version: "2.0.0".to_owned(),
        models: vec!["A920".to_owned()],
        size_bytes: 1,
        sha256: "00".repeat(32),
        envelope: String::new(),
        object: "firmware/fw2".to_owned(),
        published_at: Timestamp::UNIX_EPOCH,
    }
}

impl World {
    /// An estate of so many terminals, and a package for them.
    fn new(terminals: u32) -> Self {
        let (store, clock) =
            (Arc::new(MemoryStore::new()), Clock::new("2026-11-30T12:00:00Z".parse().unwrap()));
        let app = app(Arc::clone(&store) as Arc<dyn Store>, &clock);
        assert!(ready(store.import_terminals(rows(terminals), false, clock.now())).unwrap().is_applied);
        ready(store.add_firmware(package())).unwrap();
        Self { store, clock, app }
    }

    fn driver(&self) -> Driver {
        Driver::new(Arc::clone(&self.app))
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn operations(&self) -> Vec<Operation> {
        self.store.look(|contents| contents.operations.values().cloned().collect())
    }

    fn targets(&self, id: &RolloutId) -> Vec<RolloutTarget> {
        self.store.look(|contents| contents.targets[id].clone())
    }

    fn rollout(&self, id: &RolloutId) -> Rollout {
        self.store.look(|contents| contents.rollouts[id].clone())
    }

    /// How many targets are in each state.
    fn states(&self, id: &RolloutId) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for target in self.targets(id) {
            *states.entry(target.state.name()).or_default() += 1;
        }
        states
    }

    /// Terminals do what they do with what is open for them, and those that work report.
    fn terminals(&self, act: impl Fn(&TerminalId) -> Act) {
        let now = self.clock.now();
        for operation in self.operations().into_iter().filter(Operation::is_open) {
            let tid = &operation.terminal;
            let until = now + 60.seconds();
            let ends = match act(tid) {
                Act::Ignore => continue,
                Act::Fail => (OperationState::Failed, Some("no paper".to_owned())),
                Act::Succeed | Act::FallSilent => (OperationState::Done, None),
            };
            if ready(self.store.lease_next(tid, "node/s", until, now)).unwrap().is_some() {
                ready(self.store.transition(operation.id, ends.0, ends.1, now)).unwrap();
            }
        }
        for terminal in ready(self.store.terminals(None, 10_000)).unwrap() {
            if act(&terminal.id) == Act::Succeed {
                let desired = terminal.desired;
                let report = Reported {
                    firmware_version: desired.firmware.map(|_| "2.0.0".to_owned()),
                    parameters: desired.parameters,
                    ..Reported::default()
                };
                ready(self.store.record_report(&terminal.id, report, now)).unwrap();
            }
        }
    }

    /// Lets time pass until the rollout stands so, with a look and a turn of the terminals every ten seconds.
    fn until(
        &self,
        driver: &mut Driver,
        id: &RolloutId,
        state: RolloutState,
        act: impl Fn(&TerminalId) -> Act,
    ) {
        for _ in 0..500 {
            ready(driver.look());
            if self.rollout(id).state == state {
                return;
            }
            self.terminals(&act);
            ready(self.store.expire_operations(self.clock.now())).unwrap();
            self.pass(10);
        }
        panic!("{:?}: {:?}", self.rollout(id), self.states(id));
    }

    fn written(&self, action: Action, waves: Vec<Wave>) -> RolloutId {
        let new = NewRollout { action, waves, ..draft() };
        ready(service::create(&self.app, new)).unwrap().id
    }

    fn started(&self, action: Action, waves: Vec<Wave>) -> RolloutId {
        let id = self.written(action, waves);
        ready(service::start(&self.app, &id)).unwrap();
        id
    }
}

fn wave(size: WaveSize, max_failure_percent: u8) -> Wave {
    let min_success_percent = 100 - max_failure_percent;
    Wave { size, soak_s: 30, min_success_percent, max_failure_percent, needs_approval: false }
}

fn draft() -> NewRollout {
    NewRollout {
        id: Some("r1".parse().unwrap()),
        name: "terminal software 2.0.0".to_owned(),
        action: firmware(),
        selector: Selector::all(),
        waves: vec![wave(WaveSize::Rest, 0)],
        caps: Caps { per_minute: 1_000, concurrent: 1_000 },
        window: None,
        answer_within_s: 600,
        author: "li".to_owned(),
    }
}

fn firmware() -> Action {
    Action::Firmware { firmware: "fw2".parse().unwrap() }
}

fn waves() -> Vec<Wave> {
    vec![wave(WaveSize::Count(2), 50), wave(WaveSize::Percent(30), 50), wave(WaveSize::Rest, 20)]
}

#[test]
fn a_rollout_goes_wave_by_wave_no_faster_than_it_may() {
    let world = World::new(12);
    let caps = Caps { per_minute: 4, concurrent: 3 };
    let id = ready(service::create(&world.app, NewRollout { waves: waves(), caps, ..draft() })).unwrap().id;
    ready(service::start(&world.app, &id)).unwrap();
    let mut driver = world.driver();
    let mut seen = BTreeMap::new();
    while world.rollout(&id).state != RolloutState::Finished {
        ready(driver.look());
        let targets = world.targets(&id);
        let in_state = |state| targets.iter().filter(move |target| target.state == state);
        assert!(in_state(TargetState::Queued).count() <= 3);
        for target in &targets {
            let earlier = targets.iter().filter(|other| other.wave < target.wave);
            if target.state != TargetState::Waiting {
                assert!(earlier.clone().all(|other| other.state.is_final()), "{targets:?}");
                seen.entry(target.terminal.clone()).or_insert_with(|| world.clock.now());
            }
        }
        let minute_ago = world.clock.now() - 60.seconds();
        assert!(seen.values().filter(|at| **at > minute_ago).count() <= 4);
        world.terminals(|_| Act::Succeed);
        world.pass(7);
        assert!(world.clock.now() < "2026-11-30T13:00:00Z".parse().unwrap(), "{:?}", world.states(&id));
    }
    assert_eq!(world.states(&id), [("succeeded", 12)].into());
    let sizes = [0, 1, 2].map(|wave| world.targets(&id).iter().filter(|target| target.wave == wave).count());
    assert_eq!(sizes, [2, 4, 6]);
    let status = ready(service::status(&world.app, &id)).unwrap();
    assert_eq!((status.progress.percent, status.progress.ended), (100, 12));
}

#[test]
fn two_waves_that_fail_at_once_stop_a_rollout_once_and_it_goes_on_when_that_is_accepted() {
    let world = World::new(10);
    let lax = Wave { min_success_percent: 50, max_failure_percent: 50, ..wave(WaveSize::Count(4), 0) };
    let strict = wave(WaveSize::Rest, 20);
    let id = world.started(firmware(), vec![lax, strict]);
    let mut driver = world.driver();
    ready(driver.look());
    let first: Vec<_> = world.targets(&id).into_iter().filter(|target| target.wave == 0).collect();
    let late: Vec<_> = first.iter().take(2).map(|target| target.terminal.clone()).collect();
    // Half of the first wave has succeeded, and it is passed while the other half has not answered.
    for _ in 0..8 {
        world.terminals(|tid| if late.contains(tid) { Act::Ignore } else { Act::Succeed });
        world.pass(10);
        ready(driver.look());
        if world.rollout(&id).wave == 1 {
            break;
        }
    }
    assert_eq!(world.rollout(&id).wave, 1);
    assert_eq!(world.states(&id)["queued"], 8, "{:?}", world.states(&id));
    // Now that half fails, and so does all of the second wave, before anybody looks again.
    world.terminals(|_| Act::Fail);
    ready(driver.look());
    let paused = world.rollout(&id);
    assert_eq!(paused.state, RolloutState::Paused);
    assert!(paused.reason.as_deref().unwrap().contains("6 of 6 in wave 2 failed"), "{paused:?}");
    assert_eq!(world.states(&id), [("failed", 8), ("succeeded", 2)].into());
    ready(driver.look());
    assert_eq!(world.rollout(&id).version, paused.version, "it has stopped once");
    ready(service::resume(&world.app, &id)).unwrap();
    world.until(&mut driver, &id, RolloutState::Finished, |_| Act::Succeed);
    assert_eq!(world.operations().len(), 10, "nothing was queued again");
}

#[test]
fn terminals_that_never_answer_and_those_that_fall_silent_have_failed_and_hold_nothing_up() {
    let world = World::new(10);
    let id = world.started(firmware(), vec![wave(WaveSize::Rest, 40)]);
    let act = |tid: &TerminalId| match tid.as_str() {
        "T0001" | "T0002" => Act::Ignore,
        "T0003" | "T0004" => Act::FallSilent,
        _ => Act::Succeed,
    };
    world.until(&mut world.driver(), &id, RolloutState::Finished, act);
    assert_eq!(world.states(&id), [("failed", 4), ("succeeded", 6)].into());
    let reason = |tid: &str| {
        let targets = world.targets(&id);
        targets.into_iter().find(|target| target.terminal.as_str() == tid).unwrap().reason.unwrap()
    };
    assert_eq!(reason("T0001"), "did not answer in time");
    assert_eq!(reason("T0003"), "reported nothing after its soak");
    // One percent less would have stopped it.
    let world = World::new(10);
    let id = world.started(firmware(), vec![wave(WaveSize::Rest, 39)]);
    world.until(&mut world.driver(), &id, RolloutState::Paused, act);
}

#[test]
fn an_aborted_rollout_calls_back_what_it_can_and_starts_no_more() {
    let world = World::new(8);
    let id = world.started(firmware(), vec![wave(WaveSize::Count(5), 0), wave(WaveSize::Rest, 0)]);
    let mut driver = world.driver();
    ready(driver.look());
    world.terminals(|tid| if tid.as_str() < "T0005" { Act::Succeed } else { Act::Ignore });
    let soaking = world.operations().iter().filter(|operation| !operation.is_open()).count();
    ready(driver.look());
    for _ in 0..2 {
        let told = ready(service::abort(&world.app, &id)).unwrap();
        assert!(matches!(told.state, RolloutState::Aborting), "{told:?}");
    }
    ready(driver.look());
    assert_eq!(world.rollout(&id).state, RolloutState::Aborted);
    let states = world.states(&id);
    assert_eq!((states["skipped"], states["succeeded"], states["cancelled"]), (3, soaking, 5 - soaking));
    assert!(world.operations().iter().all(|operation| !operation.is_open()));
    assert_eq!(ready(service::abort(&world.app, &id)).unwrap().state, RolloutState::Aborted);
    let late = ready(service::resume(&world.app, &id)).unwrap_err();
    assert!(matches!(late, ServiceError::Store(StoreError::Conflict { .. })), "{late}");
}

#[test]
fn a_finished_rollout_waits_for_those_that_were_started() {
    let world = World::new(6);
    let id = world.started(firmware(), vec![wave(WaveSize::Count(2), 0), wave(WaveSize::Rest, 0)]);
    let mut driver = world.driver();
    ready(driver.look());
    ready(service::finish(&world.app, &id)).unwrap();
    ready(driver.look());
    assert_eq!(world.rollout(&id).state, RolloutState::Finishing);
    world.until(&mut driver, &id, RolloutState::Finished, |_| Act::Succeed);
    assert_eq!(world.states(&id), [("skipped", 4), ("succeeded", 2)].into());
    ready(service::finish(&world.app, &id)).unwrap();
}

#[test]
fn a_wave_waits_for_its_approval_and_a_paused_rollout_for_its_resumption() {
    let world = World::new(6);
    let second = Wave { needs_approval: true, ..wave(WaveSize::Rest, 0) };
    let id = world.started(firmware(), vec![wave(WaveSize::Count(2), 0), second]);
    let mut driver = world.driver();
    world.until(&mut driver, &id, RolloutState::AwaitingApproval, |_| Act::Succeed);
    assert_eq!(world.operations().len(), 2);
    for _ in 0..2 {
        ready(service::pause(&world.app, &id)).unwrap();
        ready(service::approve(&world.app, &id, 1)).unwrap();
    }
    world.pass(1_000);
    ready(driver.look());
    assert_eq!((world.operations().len(), world.rollout(&id).state), (2, RolloutState::Paused));
    ready(service::resume(&world.app, &id)).unwrap();
    world.until(&mut driver, &id, RolloutState::Finished, |_| Act::Succeed);
    assert_eq!(world.operations().len(), 6);
}

#[test]
fn what_a_terminal_said_before_the_end_of_its_soak_does_not_count() {
    let world = World::new(1);
    let id = world.started(firmware(), vec![wave(WaveSize::Rest, 0)]);
    let mut driver = world.driver();
    ready(driver.look());
    world.terminals(|_| Act::Succeed);
    ready(driver.look());
    world.pass(31);
    ready(driver.look());
    assert_eq!(world.states(&id), [("soaking", 1)].into(), "it reported before its soak, and not since");
    let broken = Reported { firmware_version: Some("1.0.0".to_owned()), ..Reported::default() };
    ready(world.store.record_report(&"T0001".parse().unwrap(), broken, world.clock.now())).unwrap();
    ready(driver.look());
    assert_eq!(world.states(&id), [("failed", 1)].into());
}

#[test]
fn terminals_get_their_configuration_and_those_that_have_none_fail() {
    let world = World::new(4);
    let values = [("merchant_name".to_owned(), "{{terminal.attr.shop}}".to_owned())].into();
    for (number, tid) in ["T0001", "T0002"].into_iter().enumerate() {
        let change = TerminalChange {
            attributes: [(
                "shop".parse().unwrap(),
                Some(tms_core::AttributeValue::Text(format!("shop {number}"))),
            )]
            .into(),
            group: Some(Some("bank".parse().unwrap())),
            ..TerminalChange::default()
        };
        if number == 0 {
            let bank = tms_core::Group {
                id: "bank".parse().unwrap(),
                parent: None,
                kind: tms_core::GroupKind::Acquirer,
                name: "bank".to_owned(),
                templates: Vec::new(),
                attributes: Default::default(),
                version: 0,
            };
            ready(world.store.put_group(bank, None)).unwrap();
        }
        ready(world.store.change_terminal(&tid.parse().unwrap(), change, None)).unwrap();
    }
    let change = TerminalChange { group: Some(Some("bank".parse().unwrap())), ..TerminalChange::default() };
    ready(world.store.change_terminal(&"T0003".parse().unwrap(), change, None)).unwrap();
    let suspended = TerminalChange { life_cycle: Some(LifeCycle::Suspended), ..TerminalChange::default() };
    ready(world.store.change_terminal(&"T0004".parse().unwrap(), suspended, None)).unwrap();
    let scope = Scope::Group("bank".parse().unwrap());
    let new = NewRevision { scope, values, author: "li".to_owned(), reason: String::new() };
    ready(world.store.add_revision(new.revision(0, world.clock.now()).unwrap())).unwrap();

    let id = world.started(Action::Configuration, vec![wave(WaveSize::Rest, 50)]);
    world.until(&mut world.driver(), &id, RolloutState::Finished, |_| Act::Succeed);
    assert_eq!(world.states(&id), [("failed", 1), ("skipped", 1), ("succeeded", 2)].into());
    let desired = |tid: &str| ready(world.store.terminal(&tid.parse().unwrap())).unwrap().unwrap().desired;
    assert_eq!(desired("T0002").parameters["merchant_name"], "shop 1");
    let targets = world.targets(&id);
    let failed = targets.iter().find(|target| target.state == TargetState::Failed).unwrap();
    assert_eq!(failed.terminal.as_str(), "T0003");
    assert!(failed.reason.as_deref().unwrap().contains("terminal.attr.shop"), "{failed:?}");
}

#[test]
fn one_node_drives_and_another_one_when_that_is_gone() {
    let world = World::new(2);
    let id = world.started(firmware(), vec![wave(WaveSize::Rest, 0)]);
    let (mut first, mut second) = (world.driver(), world.driver());
    ready(world.store.take_duty(DUTY, "another node", world.clock.now() + 30.seconds(), world.clock.now()))
        .unwrap();
    ready(first.look());
    assert_eq!(world.operations().len(), 0);
    world.pass(31);
    ready(first.look());
    ready(second.look());
    assert_eq!(world.operations().len(), 2);
    assert_eq!(world.rollout(&id).version, 3);
}

#[test]
fn who_listens_is_told_of_every_step_and_looks_become_rarer_while_nothing_happens() {
    let world = World::new(1);
    let mut told = world.app.rollouts.listen();
    let id = world.started(firmware(), vec![wave(WaveSize::Rest, 0)]);
    let mut driver = world.driver();
    world.until(&mut driver, &id, RolloutState::Finished, |_| Act::Succeed);
    let mut states = Vec::new();
    while let Ok(rollout) = told.try_recv() {
        states.push(rollout.state);
    }
    states.dedup();
    let all = [RolloutState::Draft, RolloutState::Running, RolloutState::Finishing, RolloutState::Finished];
    assert_eq!(states, all);
    let waits: Vec<_> =
        (0..6).map(|_| ready(driver.look()).duration_since(world.clock.now()).as_secs()).collect();
    assert_eq!(waits.last(), Some(&15));
    driver.rouse();
    assert!(ready(driver.look()) < world.clock.now() + 5.seconds());
}

#[test]
fn the_same_rollout_is_written_once_and_another_one_of_its_id_is_refused() {
    let world = World::new(1);
    let first = ready(service::create(&world.app, draft())).unwrap();
    ready(service::start(&world.app, &first.id)).unwrap();
    let again = ready(service::create(&world.app, draft())).unwrap();
    assert_eq!(again.state, RolloutState::Running);
    let other = NewRollout { name: "another".to_owned(), ..draft() };
    let refused = ready(service::create(&world.app, other)).unwrap_err();
    assert!(matches!(refused, ServiceError::Store(StoreError::Conflict { .. })), "{refused}");
    let unknown = Action::Firmware { firmware: "fw9".parse().unwrap() };
    let refused = ready(service::create(&world.app, NewRollout { action: unknown, ..draft() })).unwrap_err();
    assert!(refused.to_string().contains("there is no firmware fw9"), "{refused}");
    let waves = vec![wave(WaveSize::Count(1), 0)];
    let refused = ready(service::create(&world.app, NewRollout { waves, ..draft() })).unwrap_err();
    assert!(refused.to_string().contains("the last wave, and no other, takes the rest"), "{refused}");
    let stale = ready(service::tell(&world.app, &first.id, tms_core::rollout::Command::Pause, Some(1)));
    assert!(matches!(stale, Err(ServiceError::Store(StoreError::Stale { found: 2, .. }))), "{stale:?}");
}
