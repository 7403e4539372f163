//! A terminal trades and settles, batch after batch, over a channel that loses, repeats and reorders;
//! both sides crash and keep only what they saved.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{terminal::MAX_SPOILED, *};
use crate::{
    mutation::{Mutation, check},
    profile::Refusal,
};

const CHANNEL: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Trade {
        kind: u8,
        amount: u64,
    },
    /// After a restart a terminal may record its last transaction once more.
    TradeAgain,
    Close,
    Say,
    /// A message arrives at the host, and may arrive once more; the host may crash before it saves.
    AtHost {
        which: Index,
        again: bool,
        crash: bool,
    },
    LoseMessage(Index),
    /// An answer arrives at the terminal, likewise.
    AtTerminal {
        which: Index,
        again: bool,
        crash: bool,
    },
    LoseAnswer(Index),
    Refuse {
        which: Index,
        how: How,
    },
    CrashTerminal,
    CrashHost,
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    ForNow,
    /// The message was spoiled on its way.
    Spoiled,
    Finally,
}

struct Steps;

impl ReferenceStateMachine for Steps {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        let again = || prop::bool::weighted(0.25);
        let crash = || prop::bool::weighted(0.1);
        prop_oneof![
            6 => (any::<u8>(), 1..1_000_u64).prop_map(|(kind, amount)| Step::Trade { kind, amount }),
            1 => Just(Step::TradeAgain),
            3 => Just(Step::Close),
            10 => Just(Step::Say),
            10 => (any::<Index>(), again(), crash())
                .prop_map(|(which, again, crash)| Step::AtHost { which, again, crash }),
            1 => any::<Index>().prop_map(Step::LoseMessage),
            10 => (any::<Index>(), again(), crash())
                .prop_map(|(which, again, crash)| Step::AtTerminal { which, again, crash }),
            1 => any::<Index>().prop_map(Step::LoseAnswer),
            1 => (any::<Index>(), prop_oneof![2 => Just(How::ForNow), 2 => Just(How::Spoiled), 1 => Just(How::Finally)])
                .prop_map(|(which, how)| Step::Refuse { which, how }),
            1 => Just(Step::CrashTerminal),
            1 => Just(Step::CrashHost),
        ]
        .boxed()
    }

    fn apply((): (), _: &Step) {}
}

#[derive(Debug, Clone)]
enum Answer {
    Totals(Totals),
    Taken(BatchMessage),
}

#[derive(Debug)]
struct World {
    terminal: Settle,
    saved: Settle,
    ledger: BatchLedger,
    ledger_saved: BatchLedger,
    messages: Vec<(u32, Message)>,
    answers: Vec<(u32, Answer)>,
    trace: u32,
    /// Every transaction that was done, by batch.
    done: BTreeMap<u32, Vec<Detail>>,
    /// Batches with a detail that the host would not have.
    unwanted: BTreeSet<u32>,
    /// The message that was spoiled on its way last, and how often.
    spoiled: Option<((u32, Message), u8)>,
    announced: Vec<u32>,
    ended: BTreeMap<u32, Closed>,
}

fn detail(trace: u32, kind: u8, amount: u64) -> Detail {
    let class = if kind.is_multiple_of(5) { CardClass::Foreign } else { CardClass::Domestic };
    let pan = Pan::new(&format!("62258800{trace:08}")).unwrap();
    let ending = match kind % 4 {
        0 | 1 => return Detail::Card(CardDetail { class, trace, pan, amount }),
        2 => ChipEnding::Approved,
        _ => ChipEnding::Failed { response: "05".into(), cryptogram: 0, arpc_result: 1 },
    };
    let (currency, entry_mode, sequence) = ("156".to_owned(), 51, Some(1));
    let chip_data = vec![0x9F, 0x26, 1, kind];
    Detail::Chip(ChipDetail { class, trace, pan, amount, currency, entry_mode, sequence, chip_data, ending })
}

impl World {
    fn new() -> Self {
        let terminal = Settle::new(1, 156);
        Self {
            saved: terminal.clone(),
            terminal,
            ledger: BatchLedger::default(),
            ledger_saved: BatchLedger::default(),
            messages: Vec::new(),
            answers: Vec::new(),
            trace: 0,
            done: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            spoiled: None,
            announced: Vec::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Saves, and only then acts on what came of it.
    fn keep(&mut self, progress: Progress) {
        if progress.must_save {
            self.saved = self.terminal.clone();
        }
        if let Some(batch) = progress.settled {
            assert!(!self.announced.contains(&batch), "batch {batch} is settled twice");
            self.announced.push(batch);
            let ended = self.ended.get(&batch).expect("settled, and the host does not know");
            assert!(self.unwanted.contains(&batch) || ended.is_complete(), "something is missing: {ended:?}");
        }
    }

    fn trade(&mut self, kind: u8, amount: u64) {
        let detail = detail(self.trace + 1, kind, amount);
        let side = if kind > 200 { Side::Credit } else { Side::Debit };
        let batch = self.terminal.batch();
        if let Ok(progress) = self.terminal.record(detail.clone(), side) {
            self.trace += 1;
            self.done.entry(batch).or_default().push(detail);
            self.keep(progress);
        }
    }

    fn trade_again(&mut self) {
        let batch = self.terminal.batch();
        let Some(last) = self.done.get(&batch).and_then(|done| done.last()).cloned() else { return };
        for side in [Side::Debit, Side::Credit] {
            if let Ok(progress) = self.terminal.record(last.clone(), side) {
                assert_eq!(progress, Progress::default(), "a transaction counts twice");
            }
        }
    }

    fn say(&mut self) {
        if let Some(message) = self.terminal.next_message()
            && self.messages.len() < CHANNEL
        {
            self.messages.push((self.terminal.batch(), message));
        }
    }

    fn at_host(&mut self, batch: u32, message: &Message, crash: bool) {
        let answer = match message {
            Message::Totals(totals) => {
                // A host that knows the transactions of every other batch.
                let own = batch.is_multiple_of(2).then_some(totals);
                Answer::Totals(self.ledger.on_totals(batch, totals, own))
            }
            Message::Batch(message) => {
                if let BatchMessage::End { count, balanced } = message {
                    let closed = self.ledger.on_end(batch, *count, *balanced);
                    if !crash {
                        self.check_end(closed);
                    }
                } else {
                    self.ledger.on_details(batch, message).unwrap();
                }
                Answer::Taken(message.clone())
            }
        };
        if crash {
            self.ledger = self.ledger_saved.clone();
            return;
        }
        self.ledger_saved = self.ledger.clone();
        if self.answers.len() < CHANNEL {
            self.answers.push((batch, answer));
        }
    }

    fn check_end(&mut self, closed: Closed) {
        let batch = closed.batch;
        if let Some(first) = self.ended.get(&batch) {
            assert_eq!(*first, closed, "batch {batch} ends in two ways");
            return;
        }
        if !self.unwanted.contains(&batch) {
            let done = self.done.get(&batch).map_or(&[][..], Vec::as_slice);
            let wanted = done.iter().filter(|detail| !closed.agreed || matches!(detail, Detail::Chip(_)));
            assert_eq!(usize::from(closed.received), wanted.count(), "lost or doubled: {closed:?}");
            assert!(closed.is_complete(), "it does not add up: {closed:?}");
        }
        self.ended.insert(batch, closed);
    }

    fn at_terminal(&mut self, batch: u32, answer: &Answer, crash: bool) {
        let progress = match answer {
            Answer::Totals(totals) => self.terminal.on_totals(batch, totals).unwrap_or_default(),
            Answer::Taken(message) => self.terminal.on_taken(batch, message),
        };
        if crash {
            self.terminal = self.saved.clone();
        } else {
            self.keep(progress);
        }
    }

    /// Whether the line spoils this message once more: it does not for ever.
    fn spoil(&mut self, batch: u32, message: &Message) -> bool {
        let this = (batch, message.clone());
        let times = self.spoiled.take().filter(|(other, _)| *other == this).map_or(0, |(_, times)| times);
        let spoils = times + 1 < MAX_SPOILED;
        self.spoiled = Some((this, times + u8::from(spoils)));
        spoils
    }

    /// The host refuses what waits.
    fn refuse(&mut self, index: usize, how: How) {
        let (batch, message) = self.messages.remove(index);
        if batch != self.terminal.batch() || self.terminal.next_message().as_ref() != Some(&message) {
            return;
        }
        let refusal = match how {
            How::ForNow => Refusal::Busy,
            How::Spoiled if self.spoil(batch, &message) => Refusal::FormatError,
            How::Spoiled => Refusal::Busy,
            How::Finally => Refusal::NotPermitted,
        };
        let progress = self.terminal.on_refused(refusal);
        if how == How::Finally {
            self.messages.retain(|(_, other)| *other != message);
            if matches!(&message, Message::Batch(message) if !message.is_end()) {
                self.unwanted.insert(batch);
            }
        }
        self.keep(progress);
    }

    fn check(&self) {
        let (live, saved) = (self.terminal.batch(), self.saved.batch());
        assert!(saved == live || saved + 1 == live, "saved {saved}, live {live}");
        let count = self.announced.len() as u32;
        assert!(self.announced.iter().copied().eq(1..=count), "{:?}", self.announced);
    }

    /// Without faults the batch in hand is settled.
    fn converge(&mut self) {
        self.messages.clear();
        self.answers.clear();
        let batch = self.terminal.batch();
        for _ in 0..2_000 {
            if let Ok(progress) = self.terminal.close(0)
                && self.terminal.batch() == batch
            {
                self.keep(progress);
            }
            self.say();
            for (batch, message) in std::mem::take(&mut self.messages) {
                self.at_host(batch, &message, false);
            }
            for (batch, answer) in std::mem::take(&mut self.answers) {
                self.at_terminal(batch, &answer, false);
            }
            if self.terminal.settled() == Some(batch) {
                return self.check();
            }
        }
        panic!("batch {batch} is never settled");
    }
}

struct Settling;

impl StateMachineTest for Settling {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test((): &()) -> World {
        World::new()
    }

    fn apply(mut world: World, (): &(), step: Step) -> World {
        match step {
            Step::Trade { kind, amount } => world.trade(kind, amount),
            Step::TradeAgain => world.trade_again(),
            Step::Close => {
                let progress = world.terminal.close(0).unwrap();
                world.keep(progress);
            }
            Step::Say => world.say(),
            Step::AtHost { which, again, crash } if !world.messages.is_empty() => {
                let index = which.index(world.messages.len());
                let (batch, message) = world.messages[index].clone();
                if !again {
                    world.messages.remove(index);
                }
                world.at_host(batch, &message, crash);
            }
            Step::LoseMessage(which) if !world.messages.is_empty() => {
                world.messages.remove(which.index(world.messages.len()));
            }
            Step::AtTerminal { which, again, crash } if !world.answers.is_empty() => {
                let index = which.index(world.answers.len());
                let (batch, answer) = world.answers[index].clone();
                if !again {
                    world.answers.remove(index);
                }
                world.at_terminal(batch, &answer, crash);
            }
            Step::LoseAnswer(which) if !world.answers.is_empty() => {
                world.answers.remove(which.index(world.answers.len()));
            }
            Step::Refuse { which, how } if !world.messages.is_empty() => {
                world.refuse(which.index(world.messages.len()), how);
            }
            Step::CrashTerminal => world.terminal = world.saved.clone(),
            Step::CrashHost => world.ledger = world.ledger_saved.clone(),
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
fn no_detail_is_lost_or_doubled_and_every_batch_is_settled_once() {
    check::<Settling>(800, 160);
}

#[test]
fn the_model_notices_every_guard_that_is_missing() {
    let guards = [
        Mutation::TradeWhileClosing,
        Mutation::AnyAnswer,
        Mutation::AnnounceFirst,
        Mutation::CountTwice,
        Mutation::ForgetClosed,
        Mutation::OneSpoiledFrame,
        Mutation::RefusedEndSettles,
    ];
    let missed: Vec<_> =
        guards.into_iter().filter(|guard| !guard.is_noticed_by(|| check::<Settling>(3_000, 160))).collect();
    assert!(missed.is_empty(), "nothing notices that these are missing: {missed:?}");
}
