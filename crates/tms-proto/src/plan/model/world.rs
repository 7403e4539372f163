//! The reference: what happens around a terminal, and what its plan may and must do about it.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use uuid::Uuid;

use crate::{
    plan::{Action, FollowUp, OnError, Plan, Retry, Situation, Trigger, Window},
    task::Command,
};

/// A time in the middle of what the windows and triggers are about.
const START: i64 = 1_800_000_000;

/// All that is true whatever the terminal does.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: Timestamp,
    contact: Option<u64>,
    contacts: u64,
    settled: u32,
    by_hand: Option<u32>,
    /// The plan that must be in force.
    pub(super) plan: Option<Plan>,
    /// Whether the occasion of each of its actions has come.
    occasions: Vec<bool>,
    /// Contact and settled batch when it came.
    brought: (Option<u64>, u32),
    /// Whether the last offer had to be taken.
    pub(super) takes: bool,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// The host offers a plan; a crash may come before it is saved.
    Offer { plan: Plan, lost: bool },
    /// The clock moves, not always forwards.
    Clock { step_s: i64 },
    /// A session begins.
    Contact,
    /// The session ends.
    Alone,
    /// A batch is settled.
    Settle,
    /// Someone asks for an action.
    Hand { action: u32 },
    /// The terminal begins what is due, or crashes on the way.
    Work { crash: Option<Crash> },
    /// What runs ends; a crash may come before that is saved.
    Finish { done: bool, lost: bool },
    /// A result of something else arrives late.
    LateResult,
    /// The power fails.
    Crash,
    /// The host takes a result; a crash may come before that is saved.
    Acknowledge { lost: bool },
    /// The host gives the plan up.
    Cancel,
}

/// Where a crash comes while something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    BeforeItIsNoted,
    BeforeTheSave,
    BeforeTheEffect,
    AfterTheEffect,
}

impl World {
    pub(super) fn situation(&self) -> Situation {
        Situation { contact: self.contact, settled_batch: Some(self.settled), by_hand: self.by_hand }
    }

    /// Whether what sets an action of the plan in force off has come since.
    pub(super) fn occasion(&self, action: &Action) -> bool {
        let actions = self.plan.iter().flat_map(|plan| &plan.actions);
        actions.zip(&self.occasions).any(|(other, occasion)| other == action && *occasion)
    }

    /// Time passes until a moment, and nothing else happens.
    pub(super) fn wait_until(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
        self.observe();
    }

    fn observe(&mut self) {
        let Some(plan) = &self.plan else { return };
        let (contact, settled) = self.brought;
        for (action, occasion) in plan.actions.iter().zip(&mut self.occasions) {
            *occasion |= match action.trigger {
                Trigger::AtOnce => true,
                Trigger::At(time) => self.now >= time,
                Trigger::NextContact => self.contact.is_some() && self.contact != contact,
                Trigger::AfterSettlement => self.settled != settled,
                Trigger::ByHand => self.by_hand == Some(action.id),
            };
        }
    }

    fn take(&mut self, plan: &Plan) {
        let occasions = plan.actions.iter().map(|action| self.occasion(action)).collect();
        self.brought = (self.contact, self.settled);
        self.occasions = occasions;
        self.plan = Some(plan.clone());
    }
}

impl ReferenceStateMachine for World {
    type State = Self;
    type Transition = Happening;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self {
            now: second(START),
            contact: Some(1),
            contacts: 1,
            settled: 7,
            by_hand: None,
            plan: None,
            occasions: Vec::new(),
            brought: (None, 0),
            takes: false,
        })
        .boxed()
    }

    fn transitions(world: &Self) -> BoxedStrategy<Happening> {
        let crash = prop::option::weighted(
            0.4,
            prop::sample::select(vec![
                Crash::BeforeItIsNoted,
                Crash::BeforeTheSave,
                Crash::BeforeTheEffect,
                Crash::AfterTheEffect,
            ]),
        );
        let lost = || prop::bool::weighted(0.15);
        prop_oneof![
            4 => (offer(world), lost()).prop_map(|(plan, lost)| Happening::Offer { plan, lost }),
            4 => (1i64..80).prop_map(|step_s| Happening::Clock { step_s }),
            1 => prop::sample::select(vec![-400_000_000i64, -3000, -60, 3000, 400_000_000])
                .prop_map(|step_s| Happening::Clock { step_s }),
            1 => Just(Happening::Contact),
            1 => Just(Happening::Alone),
            1 => Just(Happening::Settle),
            1 => (0u32..6).prop_map(|action| Happening::Hand { action }),
            12 => crash.prop_map(|crash| Happening::Work { crash }),
            8 => (prop::bool::weighted(0.5), lost()).prop_map(|(done, lost)| Happening::Finish { done, lost }),
            2 => Just(Happening::LateResult),
            2 => Just(Happening::Crash),
            2 => lost().prop_map(|lost| Happening::Acknowledge { lost }),
            1 => Just(Happening::Cancel),
        ]
        .boxed()
    }

    fn apply(mut world: Self, happening: &Happening) -> Self {
        world.by_hand = None;
        match happening {
            Happening::Offer { plan, lost } => {
                world.takes = world.plan.as_ref().is_none_or(|have| have.version < plan.version);
                if world.takes && !lost {
                    world.take(plan);
                }
            }
            Happening::Clock { step_s } => {
                let step = SignedDuration::from_secs(*step_s);
                world.now = world.now.saturating_add(step).unwrap_or(world.now);
            }
            Happening::Contact => {
                world.contacts += 1;
                world.contact = Some(world.contacts);
            }
            Happening::Alone => world.contact = None,
            Happening::Settle => world.settled += 1,
            Happening::Hand { action } => world.by_hand = Some(*action),
            _ => {}
        }
        world.observe();
        world
    }
}

/// A plan that keeps some of the actions in force, and is not always newer.
fn offer(world: &World) -> impl Strategy<Value = Plan> + use<> {
    let old = world.plan.clone().unwrap_or(Plan { id: Uuid::nil(), version: 10, actions: Vec::new() });
    let now = world.now;
    (-2i64..6, any::<[bool; 8]>(), prop::collection::vec(action(now), 0..4)).prop_map(
        move |(step, keep, new)| {
            let version = old.version.saturating_add_signed(step.clamp(-2, 2));
            let kept =
                old.actions.iter().zip(keep).filter(|(_, keep)| *keep).map(|(action, _)| action.clone());
            let mut actions: Vec<Action> = Vec::new();
            for action in kept.chain(new) {
                if actions.iter().all(|other| other.id != action.id) {
                    actions.push(action);
                }
            }
            Plan { id: Uuid::from_u128(u128::from(version)), version, actions }
        },
    )
}

fn action(now: Timestamp) -> impl Strategy<Value = Action> {
    let soon = move |s: i64| second(now.as_second() + s);
    let command = prop::sample::select(vec![Command::PrintTestSlip { text: None }, Command::SelfTest]);
    let trigger = prop_oneof![
        4 => Just(Trigger::AtOnce),
        1 => (0i64..100).prop_map(move |s| Trigger::At(soon(s))),
        1 => Just(Trigger::NextContact),
        1 => Just(Trigger::AfterSettlement),
        1 => Just(Trigger::ByHand),
    ];
    let window = prop::option::weighted(0.3, (-50i64..60, 20i64..100))
        .prop_map(move |window| window.map(|(s, length)| Window { start: soon(s), end: soon(s + length) }));
    let retry = (prop::sample::select(vec![0u32, 30, 90]), 0u8..3)
        .prop_map(|(delay_s, count)| Retry { delay_s, count });
    let on_error = prop::sample::select(vec![OnError::Report, OnError::Stop, OnError::Ignore]);
    let follow_up = prop::sample::select(vec![
        FollowUp::None,
        FollowUp::None,
        FollowUp::ReconcileFirst,
        FollowUp::RestartAfter,
    ]);
    (0u32..6, command, trigger, window, retry, on_error, follow_up).prop_map(
        |(id, command, trigger, window, retry, on_error, follow_up)| Action {
            id,
            command,
            target: String::new(),
            trigger,
            window,
            retry,
            on_error,
            follow_up,
        },
    )
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
