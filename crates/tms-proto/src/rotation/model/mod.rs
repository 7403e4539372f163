//! Host and terminal between them a channel that loses, repeats and reorders; both crash and keep only
//! what is durable; rotations are given up and follow one another, in two roles at once; a second host
//! with an old view of things meddles.

use proptest::{prelude::*, sample::Index};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

mod world;

use crate::mutation::{Mutation, check};

use world::{ROLES, World};

#[derive(Debug, Clone)]
enum Step {
    /// The host begins a rotation, perhaps with a secret that it should never have made.
    Rotate {
        role: usize,
        to_default: bool,
    },
    /// The host gives the next command.
    Command(usize),
    /// A command arrives, and may arrive once more later.
    ToTerminal {
        which: Index,
        again: bool,
        crash: bool,
    },
    LoseCommand(Index),
    /// A result arrives, and may arrive once more later.
    ToHost {
        which: Index,
        again: bool,
    },
    LoseResult(Index),
    /// A result that nobody made, for the step that the host waits for.
    Forge(usize),
    /// The operation expires.
    Expire(usize),
    CrashTerminal,
    CrashHost,
    Meddle {
        role: usize,
        how: Meddling,
    },
}

/// What a host does that does not know where things stand.
#[derive(Debug, Clone, Copy)]
enum Meddling {
    OldBase,
    OldGeneration,
    FarAhead,
    SameGeneration,
}

/// The steps need no state of their own: the world decides what each comes to.
struct Steps;

impl ReferenceStateMachine for Steps {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        let role = 0..ROLES.len();
        let how = prop_oneof![
            Just(Meddling::OldBase),
            Just(Meddling::OldGeneration),
            Just(Meddling::FarAhead),
            Just(Meddling::SameGeneration),
        ];
        prop_oneof![
            3 => (role.clone(), prop::bool::weighted(0.1))
                .prop_map(|(role, to_default)| Step::Rotate { role, to_default }),
            10 => role.clone().prop_map(Step::Command),
            10 => (any::<Index>(), prop::bool::weighted(0.2), prop::bool::weighted(0.1))
                .prop_map(|(which, again, crash)| Step::ToTerminal { which, again, crash }),
            1 => any::<Index>().prop_map(Step::LoseCommand),
            10 => (any::<Index>(), prop::bool::weighted(0.35))
                .prop_map(|(which, again)| Step::ToHost { which, again }),
            1 => any::<Index>().prop_map(Step::LoseResult),
            1 => role.clone().prop_map(Step::Forge),
            1 => role.clone().prop_map(Step::Expire),
            1 => Just(Step::CrashTerminal),
            1 => Just(Step::CrashHost),
            1 => (role, how).prop_map(|(role, how)| Step::Meddle { role, how }),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}

struct Rotation;

impl StateMachineTest for Rotation {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test((): &()) -> World {
        World::new()
    }

    fn apply(mut world: World, (): &(), step: Step) -> World {
        match step {
            Step::Rotate { role, to_default } => world.rotate(role, to_default),
            Step::Command(role) => world.command(role),
            Step::ToTerminal { which, again, crash } if !world.commands.is_empty() => {
                let index = which.index(world.commands.len());
                let task = world.commands[index].clone();
                if !again {
                    world.commands.remove(index);
                }
                world.at_terminal(&task, crash);
            }
            Step::LoseCommand(which) if !world.commands.is_empty() => {
                world.commands.remove(which.index(world.commands.len()));
            }
            Step::ToHost { which, again } if !world.results.is_empty() => {
                let index = which.index(world.results.len());
                let result = world.results[index].clone();
                if !again {
                    world.results.remove(index);
                }
                world.at_host(&result);
            }
            Step::LoseResult(which) if !world.results.is_empty() => {
                world.results.remove(which.index(world.results.len()));
            }
            Step::Forge(role) => world.forge(role),
            Step::Expire(role) => world.expire(role),
            Step::CrashTerminal => world.terminal = world.durable.clone(),
            Step::CrashHost => world.crash_host(),
            Step::Meddle { role, how } => world.meddle(role, how),
            _ => {}
        }
        world
    }

    fn check_invariants(world: &World, (): &()) {
        world.check();
    }

    fn teardown(mut world: World, (): ()) {
        world.converge();
    }
}

#[test]
fn nobody_is_locked_out_and_rotations_converge() {
    check::<Rotation>(600, 120);
}

#[test]
fn the_model_notices_every_guard_that_is_missing() {
    let guards = [
        Mutation::AnyOperation,
        Mutation::AnyStep,
        Mutation::NoProof,
        Mutation::AbandonAfterProof,
        Mutation::AnswerFirst,
        Mutation::OldGeneration,
        Mutation::GenerationAhead,
        Mutation::AnyBase,
        Mutation::BaseForgotten,
        Mutation::PreparedOpens,
        Mutation::ForeignOperation,
        Mutation::OldStays,
        Mutation::DefaultTaken,
        Mutation::DefaultOpens,
    ];
    let missed: Vec<_> =
        guards.into_iter().filter(|guard| !guard.is_noticed_by(|| check::<Rotation>(3_000, 160))).collect();
    assert!(missed.is_empty(), "nothing notices that these are missing: {missed:?}");
}
