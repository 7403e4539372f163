//! Any sequence of what can happen to a rollout, against what must hold.
//!
//! The engine decides, and a decision is carried out later, by somebody else, or never; operations end, expire
//! or are withdrawn in between; people say everything in any order and twice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;
use crate::operation::OperationState;

#[derive(Debug, Clone)]
struct Setup {
    rollout: Rollout,
    targets: u32,
}

#[derive(Debug, Clone)]
enum Step {
    /// Time goes on.
    Pass { seconds: i64 },
    /// Somebody decides; it is not carried out yet.
    Decide,
    /// So many of the decisions are carried out; the others are forgotten, as in a crash.
    CarryOut { decisions: usize },
    /// A terminal ends its operation, as the n-th of those open.
    Ends { nth: usize, state: OperationState },
    /// A terminal says how it is.
    Reports { nth: usize, agreement: Agreement },
    /// A terminal goes out of use.
    Retires { nth: usize },
    /// Somebody looks at the n-th target.
    Look { nth: usize },
    /// Somebody looks at all.
    LookAtAll,
    /// A person says something.
    Say(Command),
}

struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Setup;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Setup> {
        let size = prop_oneof![
            (1..5_u32).prop_map(WaveSize::Count),
            (1..=100_u8).prop_map(WaveSize::Percent),
            Just(WaveSize::Tagged("canary".parse().unwrap())),
        ];
        let wave = |size: BoxedStrategy<WaveSize>| {
            (size, 0..200_u32, 0..=100_u8, 0..=100_u8, any::<bool>()).prop_map(
                |(size, soak_s, min_success_percent, max_failure_percent, needs_approval)| Wave {
                    size,
                    soak_s,
                    min_success_percent,
                    max_failure_percent,
                    needs_approval,
                },
            )
        };
        let waves = proptest::collection::vec(wave(size.boxed()), 0..3);
        (waves, wave(Just(WaveSize::Rest).boxed()), 1..5_u32, 1..5_u32, 60..400_u32, 0..13_u32)
            .prop_map(|(mut waves, rest, per_minute, concurrent, answer_within_s, targets)| {
                waves.push(rest);
                let rollout = super::tests::draft(waves, Caps { per_minute, concurrent }, answer_within_s);
                Setup { rollout, targets }
            })
            .boxed()
    }

    fn transitions(_: &Setup) -> BoxedStrategy<Step> {
        let nth = 0..12_usize;
        let state = proptest::sample::select(vec![
            OperationState::Done,
            OperationState::Done,
            OperationState::Done,
            OperationState::Failed,
            OperationState::Accepted,
            OperationState::Cancelled,
        ]);
        let agreement = proptest::sample::select(vec![
            Agreement::Agrees,
            Agreement::Agrees,
            Agreement::Differs,
            Agreement::Unknown,
        ]);
        let command = prop_oneof![
            6 => Just(Command::Start),
            2 => Just(Command::Pause),
            6 => Just(Command::Resume),
            6 => (0..4_u32).prop_map(|wave| Command::Approve { wave }),
            1 => Just(Command::Abort),
            1 => Just(Command::Finish),
        ];
        prop_oneof![
            4 => (0..90_i64).prop_map(|seconds| Step::Pass { seconds }),
            8 => Just(Step::Decide),
            8 => (0..4_usize).prop_map(|decisions| Step::CarryOut { decisions }),
            8 => (nth.clone(), state).prop_map(|(nth, state)| Step::Ends { nth, state }),
            4 => (nth.clone(), agreement).prop_map(|(nth, agreement)| Step::Reports { nth, agreement }),
            1 => nth.clone().prop_map(|nth| Step::Retires { nth }),
            2 => nth.prop_map(|nth| Step::Look { nth }),
            6 => Just(Step::LookAtAll),
            5 => command.prop_map(Step::Say),
        ]
        .boxed()
    }

    fn apply(setup: Setup, _: &Step) -> Setup {
        setup
    }
}

struct OpenOrEnded {
    state: OperationState,
    expires_at: Timestamp,
}

struct World {
    rollout: Rollout,
    /// Become the targets when it starts.
    planned: Vec<RolloutTarget>,
    targets: Vec<RolloutTarget>,
    operations: BTreeMap<OperationId, OpenOrEnded>,
    agreements: Vec<Agreement>,
    retired: BTreeSet<usize>,
    /// Decisions, and the version that they were made on.
    decided: Option<(u64, Vec<Decision>)>,
    starts: Vec<Timestamp>,
    approved: BTreeSet<u32>,
    now: Timestamp,
}

impl World {
    fn tally(&self) -> Tally {
        Tally::of(&self.targets, self.now)
    }

    fn say(&mut self, command: Command) {
        let Ok(Applied::Changed(changed)) = apply(command, &self.rollout, &self.tally(), self.now) else {
            return;
        };
        assert_eq!(changed.version, self.rollout.version + 1);
        assert!(!self.rollout.state.is_final(), "{command:?} changed what is over");
        let again = apply(command, &changed, &self.tally(), self.now);
        assert_eq!(again, Ok(Applied::Already), "{command:?} twice");
        if let Command::Approve { wave } = command {
            self.approved.extend(0..=wave);
        }
        if command == Command::Start {
            self.targets = self.planned.clone();
        }
        self.rollout = *changed;
    }

    /// As a store does it: only on the version that was decided on, and everything or nothing.
    fn carry_out(&mut self, decision: &Decision, version: u64) {
        if version != self.rollout.version {
            return;
        }
        match decision {
            Decision::Wake { .. } => return,
            Decision::Start { wave, count } => {
                assert_ne!(*count, 0);
                for at in self.waiting(*wave).into_iter().take(usize::try_from(*count).unwrap()) {
                    self.start(at);
                }
            }
            Decision::NextWave { wave } => {
                assert_eq!(*wave, self.rollout.wave + 1, "waves come one after the other");
                self.rollout.wave = *wave;
            }
            Decision::AwaitApproval { .. } => self.rollout.state = RolloutState::AwaitingApproval,
            Decision::Halt { reason } => {
                self.rollout.state = RolloutState::Paused;
                self.rollout.reason = Some(reason.clone());
            }
            Decision::SkipWaiting => {
                for target in self.targets.iter_mut().filter(|target| target.state == TargetState::Waiting) {
                    target.state = TargetState::Skipped;
                }
            }
            Decision::CancelOpen => {
                for target in self.targets.iter().filter(|target| target.state == TargetState::Queued) {
                    let operation = self.operations.get_mut(&target.operation.unwrap()).unwrap();
                    // What has begun may still be done, or say nothing until it expires.
                    if operation.state == OperationState::Queued {
                        operation.state = OperationState::Cancelled;
                    }
                }
            }
            Decision::JudgeSoaking => self.look_at_all(),
            Decision::Become { state } => {
                let open = self.tally().whole().open();
                assert!(!state.is_final() || open == 0, "{state} with {open} open");
                self.rollout.state = *state;
            }
        }
        self.rollout.version += 1;
    }

    fn waiting(&self, wave: u32) -> Vec<usize> {
        let is_waiting = |target: &RolloutTarget| target.wave == wave && target.state == TargetState::Waiting;
        (0..self.targets.len()).filter(|at| is_waiting(&self.targets[*at])).collect()
    }

    fn start(&mut self, at: usize) {
        if self.retired.contains(&at) {
            self.targets[at].state = TargetState::Skipped;
            return;
        }
        let wave = self.targets[at].wave;
        assert_eq!(self.rollout.state, RolloutState::Running, "nothing starts while it does not run");
        self.earlier_waves_are_passed(wave);
        let needs = self.rollout.waves[usize::try_from(wave).unwrap()].needs_approval;
        assert!(!needs || self.approved.contains(&wave), "wave {wave} began without its approval");
        assert!(self.targets[at].operation.is_none(), "a second operation for one target");

        let mut random = [0; 10];
        random[..8].copy_from_slice(&u64::try_from(self.starts.len()).unwrap().to_be_bytes());
        let id = OperationId::new(self.now, random);
        let expires_at = self.now + SignedDuration::from_secs(self.rollout.answer_within_s.into());
        self.operations.insert(id, OpenOrEnded { state: OperationState::Queued, expires_at });
        let target = &mut self.targets[at];
        target.state = TargetState::Queued;
        target.operation = Some(id);
        target.started_at = Some(self.now);
        self.starts.push(self.now);
        let minute_ago = self.now - SignedDuration::from_secs(60);
        let lately = self.starts.iter().filter(|at| **at > minute_ago).count();
        assert!(lately <= usize::try_from(self.rollout.caps.per_minute).unwrap(), "{lately} in a minute");
    }

    /// Counted here again, in another way than the engine does: in hundredths, without rounding.
    fn earlier_waves_are_passed(&self, wave: u32) {
        for earlier in 0..wave {
            let of = |state| {
                self.targets.iter().filter(|target| target.wave == earlier && target.state == state).count()
            };
            assert_eq!(of(TargetState::Waiting), 0, "wave {earlier} has not begun in full");
            let counted = of(TargetState::Queued)
                + of(TargetState::Soaking)
                + of(TargetState::Succeeded)
                + of(TargetState::Failed);
            let wanted =
                usize::from(self.rollout.waves[usize::try_from(earlier).unwrap()].min_success_percent);
            let met = of(TargetState::Succeeded) * 100 >= wanted * counted;
            assert!(met || self.rollout.accepted_failures > 0, "wave {earlier} did not meet its threshold");
        }
    }

    fn look(&mut self, at: usize) {
        let Some(target) = self.targets.get(at) else { return };
        let operation = target.operation.and_then(|id| self.operations.get(&id));
        let seen = Seen {
            operation: operation.map(|operation| operation.state),
            detail: None,
            agreement: self.agreements[at],
        };
        if let Some(changed) = observe(target, &self.rollout, &seen, self.now) {
            assert!(!target.state.is_final(), "{:?} became {:?}", target.state, changed.state);
            assert_ne!(changed.state, target.state);
            self.targets[at] = changed;
        }
    }

    fn look_at_all(&mut self) {
        (0..self.targets.len()).for_each(|at| self.look(at));
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        let now = self.now;
        for operation in self.operations.values_mut() {
            if operation.state.is_open() && operation.expires_at <= now {
                operation.state = OperationState::Expired;
            }
        }
    }

    fn open_operation(&mut self, nth: usize) -> Option<&mut OpenOrEnded> {
        let open: Vec<_> =
            self.operations.values_mut().filter(|operation| operation.state.is_open()).collect();
        let count = open.len().max(1);
        open.into_iter().nth(nth % count)
    }

    /// Carries out whatever is decided until nothing is left to do, and says when to wake up.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..1_000 {
            self.look_at_all();
            let decisions = decide(&self.rollout, &self.tally(), self.now);
            match decisions.first() {
                None => return None,
                Some(Decision::Wake { at }) => {
                    assert!(*at > self.now, "woken in the past");
                    return Some(*at);
                }
                Some(decision) => self.carry_out(decision, self.rollout.version),
            }
            self.holds();
            // What was begun and has been called back says nothing any more; deciding again changes nothing.
            let only_calls_back = decisions.first() == Some(&Decision::CancelOpen);
            if only_calls_back && self.operations.values().all(|o| o.state != OperationState::Queued) {
                self.look_at_all();
                let begun = self.targets.iter().filter(|t| t.state == TargetState::Queued).count();
                if begun > 0 {
                    return None;
                }
            }
        }
        panic!("decisions have no end: {:?}", decide(&self.rollout, &self.tally(), self.now));
    }

    /// Without anybody at the terminals; a person says yes to everything.
    fn runs_to_its_end(&mut self) {
        for _ in 0..2_000 {
            let wake = self.settle();
            match self.rollout.state {
                state if state.is_final() => return,
                RolloutState::Draft => self.say(Command::Start),
                RolloutState::Paused => self.say(Command::Resume),
                RolloutState::AwaitingApproval => self.say(Command::Approve { wave: self.rollout.wave }),
                _ => {
                    let open = self.operations.values().filter(|operation| operation.state.is_open());
                    let next = open.map(|operation| operation.expires_at).chain(wake).min();
                    let next = next.unwrap_or_else(|| panic!("{} for ever", self.rollout.state));
                    self.pass(next.duration_since(self.now).as_secs().max(1));
                }
            }
        }
        panic!("{} has no end: {:?}", self.rollout.state, self.tally());
    }

    fn holds(&self) {
        let tally = self.tally();
        assert!(tally.whole().queued <= u64::from(self.rollout.caps.concurrent), "too many at once");
        assert_eq!(tally.whole().total(), u64::try_from(self.targets.len()).unwrap());
        if self.rollout.state.is_final() {
            assert_eq!(tally.whole().open(), 0, "a target without an end");
            assert_eq!(decide(&self.rollout, &tally, self.now), []);
        }
        for target in &self.targets {
            let started = target.operation.is_some();
            let unstarted = matches!(target.state, TargetState::Waiting | TargetState::Skipped);
            assert_eq!(started, !unstarted, "{target:?}");
            if target.state == TargetState::Soaking {
                let id = target.operation.unwrap();
                assert_eq!(self.operations[&id].state, OperationState::Done);
            }
        }
        let progress = progress(&self.rollout, &tally, self.now);
        assert!(progress.percent <= 100 && progress.ended <= progress.total);
        assert!(progress.eta.is_none_or(|eta| eta >= self.now));
    }
}

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = World;
    type Reference = Reference;

    fn init_test(setup: &Setup) -> World {
        let names: Vec<_> = (0..setup.targets)
            .map(|n| {
                let tags = if n % 3 == 0 { ["canary".parse().unwrap()].into() } else { BTreeSet::new() };
                (format!("T{n}").parse().unwrap(), tags)
            })
            .collect();
        let allocated = allocate(&setup.rollout.waves, &names);
        assert_eq!(allocated.len(), names.len());
        let planned: Vec<_> =
            allocated.into_iter().map(|a| super::tests::target(a.terminal.as_str(), a.wave)).collect();
        World {
            rollout: setup.rollout.clone(),
            agreements: vec![Agreement::Unknown; planned.len()],
            targets: Vec::new(),
            planned,
            operations: BTreeMap::new(),
            retired: BTreeSet::new(),
            decided: None,
            starts: Vec::new(),
            approved: BTreeSet::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn apply(mut world: World, _: &Setup, step: Step) -> World {
        let count = world.planned.len().max(1);
        match step {
            Step::Pass { seconds } => world.pass(seconds),
            Step::Decide => {
                let decisions = decide(&world.rollout, &world.tally(), world.now);
                world.decided = Some((world.rollout.version, decisions));
            }
            Step::CarryOut { decisions } => {
                let (version, decided) = world.decided.take().unwrap_or_default();
                for (decision, version) in decided.iter().take(decisions).zip(version..) {
                    world.carry_out(decision, version);
                }
            }
            Step::Ends { nth, state } => {
                if let Some(operation) = world.open_operation(nth) {
                    operation.state = state;
                }
            }
            Step::Reports { nth, agreement } => {
                if let Some(known) = world.agreements.get_mut(nth % count) {
                    *known = agreement;
                }
            }
            Step::Retires { nth } => drop(world.retired.insert(nth % count)),
            Step::Look { nth } => world.look(nth),
            Step::LookAtAll => world.look_at_all(),
            Step::Say(command) => world.say(command),
        }
        world
    }

    fn check_invariants(world: &World, _: &Setup) {
        world.holds();
    }

    fn teardown(mut world: World, _: Setup) {
        // By the number of starts so far, so that it follows from the sequence: left alone, or ended early.
        match world.starts.len() % 3 {
            0 => {}
            1 => world.say(Command::Finish),
            _ => world.say(Command::Abort),
        }
        world.runs_to_its_end();
        assert!(world.targets.iter().all(|target| target.state.is_final()));
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_breaks_a_rollout(sequential 1..80 => Machine);
}
