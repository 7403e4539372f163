//! A transfer over a line that loses, repeats and reorders, breaks, and ends at a host that may lie; the
//! terminal crashes and keeps only what was made safe; somebody may call the transfer off.

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::Index};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::{flights::MOST_REQUESTS_FOR_ONE, *};
use crate::mutation::{Mutation, check};

const BLOCK: u32 = 10;
const WINDOW: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    /// The terminal sends what it wants.
    Ask,
    /// The host answers a request, perhaps with a lie, and may answer it once more later.
    Answer {
        which: Index,
        again: bool,
        lie: Option<Lie>,
    },
    /// An answer arrives.
    Arrive(Index),
    /// An answer is lost, and the session gives its request up.
    Lose(Index),
    Refuse {
        which: Index,
        finally: bool,
    },
    /// What was written is made safe, if the transfer wants it so.
    Sync,
    Wait,
    Verify,
    Disconnect,
    Crash,
    Cancel {
        asleep: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    Size,
    Short,
    Long,
    Empty,
    Offset,
    Data,
}

/// The size of the file is all that the steps have to know.
struct Steps;

impl ReferenceStateMachine for Steps {
    type State = usize;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<usize> {
        (0..400_usize).boxed()
    }

    fn transitions(_: &usize) -> BoxedStrategy<Step> {
        let lie = prop_oneof![
            Just(Lie::Size),
            Just(Lie::Short),
            Just(Lie::Long),
            Just(Lie::Empty),
            Just(Lie::Offset),
            Just(Lie::Data),
        ];
        prop_oneof![
            12 => Just(Step::Ask),
            24 => (any::<Index>(), prop::bool::weighted(0.1), prop::option::weighted(0.02, lie))
                .prop_map(|(which, again, lie)| Step::Answer { which, again, lie }),
            24 => any::<Index>().prop_map(Step::Arrive),
            2 => any::<Index>().prop_map(Step::Lose),
            1 => (any::<Index>(), prop::bool::weighted(0.1))
                .prop_map(|(which, finally)| Step::Refuse { which, finally }),
            4 => Just(Step::Sync),
            2 => Just(Step::Wait),
            1 => Just(Step::Verify),
            1 => Just(Step::Disconnect),
            1 => Just(Step::Crash),
            1 => prop::bool::weighted(0.9).prop_map(|asleep| Step::Cancel { asleep }),
        ]
        .boxed()
    }

    fn apply(size: usize, _: &Step) -> usize {
        size
    }
}

#[derive(Debug)]
struct World {
    file: Vec<u8>,
    transfer: Transfer,
    /// What the terminal has written, and how much of it a crash leaves.
    flash: Vec<u8>,
    synced: usize,
    saved: Saved,
    cancelled: bool,
    /// Something the host said may be in the flash that is not the file.
    lied: bool,
    requests: Vec<BlockRequest>,
    answers: Vec<(u64, Block)>,
    /// Requests for each block on this connection, and how many of them came to nothing.
    asked: BTreeMap<u64, usize>,
    lost: BTreeMap<u64, usize>,
    now: Timestamp,
}

fn spec(file: &[u8]) -> TransferSpec {
    TransferSpec {
        file: "image".into(),
        size_bytes: file.len() as u64,
        sha256: tms_crypto::sha256(file),
        block_bytes: BLOCK,
        window: WINDOW,
    }
}

impl World {
    fn new(size: usize) -> Self {
        let file: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
        let transfer = Transfer::new(spec(&file), 0, 3);
        Self {
            saved: transfer.saved(),
            transfer,
            file,
            flash: Vec::new(),
            synced: 0,
            cancelled: false,
            lied: false,
            requests: Vec::new(),
            answers: Vec::new(),
            asked: BTreeMap::new(),
            lost: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn ask(&mut self) {
        for request in self.transfer.next_requests(self.now) {
            assert!(!self.cancelled, "a cancelled transfer asks for blocks");
            let end = request.offset + u64::from(request.length);
            let reach = self.synced as u64 + self.transfer.window_bytes();
            assert!(end <= reach, "a request reaches more than one window beyond what is safe");
            assert!(request.length == BLOCK || end == self.file.len() as u64, "a short block in the middle");
            let asked = self.asked.entry(request.offset).or_default();
            *asked += 1;
            let lost = self.lost.get(&request.offset).copied().unwrap_or(0);
            assert!(*asked <= lost + usize::from(MOST_REQUESTS_FOR_ONE), "one block again and again");
            self.requests.push(request);
        }
        assert!(self.transfer.buffered_bytes() as u64 <= self.transfer.window_bytes(), "memory");
    }

    fn answer(&mut self, index: usize, again: bool, lie: Option<Lie>) {
        let request = self.requests[index].clone();
        if !again {
            self.requests.remove(index);
        }
        let start = request.offset as usize;
        let data = self.file[start..start + request.length as usize].to_vec();
        let mut block = Block { offset: request.offset, total_bytes: self.file.len() as u64, data };
        match lie {
            None => {}
            Some(Lie::Size) => block.total_bytes += 1,
            Some(Lie::Short) => drop(block.data.pop()),
            Some(Lie::Long) => block.data.push(0),
            Some(Lie::Empty) => block.data.clear(),
            // The session drops these, but the transfer need not rely on it.
            Some(Lie::Offset) => block.offset += 1,
            Some(Lie::Data) => {
                self.lied = true;
                block.data[0] ^= 1;
            }
        }
        self.answers.push((request.offset, block));
    }

    fn arrive(&mut self, index: usize) {
        let (_, block) = self.answers.remove(index);
        let offset = block.offset;
        let waited = self.transfer.flights.expected(offset).is_some();
        let right = block.total_bytes == self.file.len() as u64
            && block.data.len() == self.file.len().saturating_sub(offset as usize).min(BLOCK as usize);
        let running = self.transfer.state() == State::Fetching;
        match self.transfer.on_block(block, self.now) {
            Ok(()) => assert!(right || !waited || !running, "a block is taken that cannot be right"),
            Err(_) => {
                assert!(!right, "a block is refused that is right");
                self.start_again();
            }
        }
        self.write();
    }

    fn write(&mut self) {
        while let Some((offset, data)) = self.transfer.take_ready() {
            assert_eq!(offset, self.flash.len() as u64, "written out of place");
            self.flash.extend_from_slice(&data);
        }
        assert!(self.lied || self.file.starts_with(&self.flash), "what is written is not the file");
    }

    fn sync(&mut self) {
        if let Some(offset) = self.transfer.wants_durable() {
            assert_eq!(offset, self.flash.len() as u64);
            self.synced = self.flash.len();
            self.transfer.on_durable(offset);
            self.saved = self.transfer.saved();
        }
    }

    fn verify(&mut self) {
        if self.transfer.verify_now().is_none() {
            return;
        }
        assert_eq!(self.synced, self.file.len(), "verified before it is safe");
        let measured = tms_crypto::sha256(&self.flash);
        match self.transfer.on_measured(self.flash.len() as u64, &measured) {
            Ok(()) => assert!(self.flash == self.file, "another file is believed"),
            Err(_) => {
                assert!(self.lied, "the right file is not believed");
                self.start_again();
            }
        }
        self.saved = self.transfer.saved();
    }

    /// A failed transfer is ordered again.
    fn start_again(&mut self) {
        assert_eq!(self.transfer.state(), State::Failed);
        assert!(Transfer::resume(spec(&self.file), &self.transfer.saved(), 4).is_err());
        *self = Self { now: self.now, ..Self::new(self.file.len()) };
    }

    fn break_line(&mut self) {
        self.requests.clear();
        self.answers.clear();
        self.asked.clear();
        self.lost.clear();
    }

    fn disconnect(&mut self) {
        self.break_line();
        self.transfer.on_disconnect();
    }

    fn crash(&mut self) {
        let again = self.flash.len() - self.synced + self.transfer.buffered_bytes();
        assert!(again as u64 <= self.transfer.window_bytes(), "more than one window is fetched twice");
        self.break_line();
        assert!(self.saved.durable_bytes() <= self.synced as u64, "it counts on what a crash takes away");
        self.flash.truncate(self.saved.durable_bytes() as usize);
        self.synced = self.flash.len();
        match Transfer::resume(spec(&self.file), &self.saved, 5) {
            Ok(transfer) => {
                assert!(!self.cancelled, "a cancelled transfer is resumed");
                self.transfer = transfer;
            }
            Err(error) => {
                let ended = self.cancelled || self.saved.state() == State::Done;
                assert!(ended, "a transfer that has not ended is not resumed: {error}");
            }
        }
    }

    fn cancel(&mut self, asleep: bool) {
        let done = self.saved.state() == State::Done;
        let cancelled = if asleep { self.saved.cancel() } else { self.transfer.cancel() };
        assert_eq!(cancelled.is_err(), done, "only what is done cannot be cancelled");
        if done {
            return;
        }
        self.cancelled = true;
        if asleep {
            self.crash();
            // It never runs again.
            let _ = self.transfer.cancel();
        }
        self.saved = self.transfer.saved();
    }

    fn give_up(&mut self, offset: u64) {
        *self.lost.entry(offset).or_default() += 1;
        if self.transfer.on_missing(offset, self.now).is_err() {
            self.disconnect();
        }
    }

    /// On a good line and with an honest host the file is whole in the end.
    fn converge(&mut self) {
        for _ in 0..400 {
            self.now += SignedDuration::from_mins(2);
            for request in std::mem::take(&mut self.requests) {
                self.give_up(request.offset);
            }
            for (offset, _) in std::mem::take(&mut self.answers) {
                self.give_up(offset);
            }
            self.lost.clear();
            self.asked.clear();
            self.ask();
            while !self.requests.is_empty() {
                self.answer(0, false, None);
            }
            while !self.answers.is_empty() {
                self.arrive(0);
            }
            self.sync();
            self.verify();
            if self.cancelled || self.transfer.state() == State::Done {
                return;
            }
        }
        panic!("the file is never whole: {:?}", self.transfer);
    }
}

struct Model;

impl StateMachineTest for Model {
    type SystemUnderTest = World;
    type Reference = Steps;

    fn init_test(size: &usize) -> World {
        World::new(*size)
    }

    fn apply(mut world: World, _: &usize, step: Step) -> World {
        match step {
            Step::Ask => world.ask(),
            Step::Answer { which, again, lie } if !world.requests.is_empty() => {
                world.answer(which.index(world.requests.len()), again, lie);
            }
            Step::Arrive(which) if !world.answers.is_empty() => {
                world.arrive(which.index(world.answers.len()));
            }
            Step::Lose(which) if !world.answers.is_empty() => {
                let (offset, _) = world.answers.remove(which.index(world.answers.len()));
                world.give_up(offset);
            }
            Step::Refuse { which, finally } if !world.requests.is_empty() => {
                let request = world.requests.remove(which.index(world.requests.len()));
                let refusal = if finally { Refusal::NotFound } else { Refusal::Busy };
                let running = world.transfer.state() == State::Fetching;
                *world.lost.entry(request.offset).or_default() += 1;
                match world.transfer.on_refused(request.offset, refusal, world.now) {
                    Err(TransferError::Refused(_)) => world.start_again(),
                    Err(_) => world.disconnect(),
                    Ok(()) => assert!(!finally || !running, "a final no is not taken for one"),
                }
            }
            Step::Sync => world.sync(),
            Step::Wait => world.now += SignedDuration::from_mins(2),
            Step::Verify => world.verify(),
            Step::Disconnect => world.disconnect(),
            Step::Crash => world.crash(),
            Step::Cancel { asleep } => world.cancel(asleep),
            _ => {}
        }
        world
    }

    fn teardown(mut world: World, _: usize) {
        world.converge();
    }
}

#[test]
fn a_transfer_ends_with_the_file_or_says_why() {
    check::<Model>(1_000, 200);
}

#[test]
fn the_model_notices_every_guard_that_is_missing() {
    let guards = [
        Mutation::AnyLength,
        Mutation::AnySize,
        Mutation::AnyOrder,
        Mutation::WrittenIsDurable,
        Mutation::AheadOfDurable,
        Mutation::ResumeCancelled,
        Mutation::NoHash,
        Mutation::ForgetMissing,
    ];
    let missed: Vec<_> =
        guards.into_iter().filter(|guard| !guard.is_noticed_by(|| check::<Model>(3_000, 200))).collect();
    assert!(missed.is_empty(), "nothing notices that these are missing: {missed:?}");
}
