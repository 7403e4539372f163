//! A file over a link with bandwidth and delay: real frames of both sessions, on a virtual clock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    Answer, Asked, HostEvent, HostSession, Identity, Profile, TerminalEvent, TerminalSession,
    transfer::{MAX_WINDOW, State, Transfer, TransferSpec},
};

const START: Timestamp = Timestamp::UNIX_EPOCH;
const SHA256: [u8; 32] = [5; 32];

/// One direction: frames leave one after the other at the rate, and arrive after the delay.
struct Link {
    bytes_per_second: u64,
    delay: SignedDuration,
    free_at: Timestamp,
    flying: VecDeque<(Timestamp, Vec<u8>)>,
    bytes: u64,
}

impl Link {
    fn new(kbit_per_second: u64, delay_ms: i64) -> Self {
        Self {
            bytes_per_second: kbit_per_second * 1000 / 8,
            delay: SignedDuration::from_millis(delay_ms),
            free_at: START,
            flying: VecDeque::new(),
            bytes: 0,
        }
    }

    fn send(&mut self, frame: Vec<u8>, now: Timestamp) {
        let nanos = frame.len() as u64 * 1_000_000_000 / self.bytes_per_second;
        self.free_at = self.free_at.max(now) + SignedDuration::from_nanos(nanos as i64);
        self.bytes += frame.len() as u64;
        self.flying.push_back((self.free_at + self.delay, frame));
    }

    fn next_due(&self) -> Timestamp {
        self.flying.front().map_or(Timestamp::MAX, |(at, _)| *at)
    }
}

struct World {
    profile: Arc<Profile>,
    now: Timestamp,
    up: Link,
    down: Link,
    host: HostSession,
    terminal: TerminalSession,
    file: Vec<u8>,
    flash: Vec<u8>,
    transfer: Transfer,
    /// Blocks that the host sent, by offset.
    served: BTreeMap<u64, u32>,
    served_bytes: u64,
    longest_wait: SignedDuration,
    most_buffered: usize,
    /// Answers of the host that are lost: every so many of them.
    lose_every: Option<u64>,
    answers: u64,
}

impl World {
    fn new(profile: &str, kbit_per_second: u64, size: usize) -> Self {
        let profile = Arc::new(Profile::builtin(profile).unwrap());
        let spec = TransferSpec {
            file: "pos-app-3.2.1.img".into(),
            size_bytes: size as u64,
            sha256: SHA256,
            block_bytes: profile.block_bytes(),
            window: MAX_WINDOW,
        };
        let (host, terminal) = sessions(&profile);
        Self {
            profile,
            now: START,
            up: Link::new(kbit_per_second, 150),
            down: Link::new(kbit_per_second, 150),
            host,
            terminal,
            file: (0..size).map(|n| (n % 241) as u8).collect(),
            flash: Vec::with_capacity(size),
            transfer: Transfer::new(spec, 0, 1),
            served: BTreeMap::new(),
            served_bytes: 0,
            longest_wait: SignedDuration::ZERO,
            most_buffered: 0,
            lose_every: None,
            answers: 0,
        }
    }

    /// Runs until the file is whole, or until `until` bytes have come.
    fn run(&mut self, until: u64) {
        while self.transfer.state() == State::Fetching && self.transfer.delivered_bytes() < until {
            for request in self.transfer.next_requests(self.now) {
                self.terminal.read_block(request, self.now).unwrap();
            }
            while let Some(frame) = self.terminal.poll_transmit() {
                self.up.send(frame, self.now);
            }
            let timeouts = [self.terminal.poll_timeout(), self.transfer.poll_timeout()];
            let timeout = timeouts.into_iter().flatten().min().unwrap_or(Timestamp::MAX);
            self.now = self.now.max(self.up.next_due().min(self.down.next_due()).min(timeout));
            assert!(self.now < Timestamp::MAX, "nothing will ever happen again");
            self.host_receives();
            self.terminal_receives();
            self.terminal.handle_timeout(self.now);
            self.take_events();
        }
    }

    fn host_receives(&mut self) {
        while self.up.next_due() <= self.now {
            let (_, frame) = self.up.flying.pop_front().unwrap();
            self.host.receive(&frame, self.now).unwrap();
            while let Some(event) = self.host.poll_event() {
                let HostEvent::FileRead { exchange, request } = event else { panic!("{event:?}") };
                let (start, length) = (request.offset as usize, request.length as usize);
                let data = &self.file[start..start + length];
                *self.served.entry(request.offset).or_default() += 1;
                self.served_bytes += data.len() as u64;
                let answer =
                    Answer::Block { offset: request.offset, total_bytes: self.file.len() as u64, data };
                self.host.answer(exchange, answer, self.now).unwrap();
                let frame = self.host.poll_transmit().unwrap();
                self.answers += 1;
                if self.lose_every.is_none_or(|n| !self.answers.is_multiple_of(n)) {
                    self.down.send(frame, self.now);
                }
            }
        }
    }

    fn terminal_receives(&mut self) {
        while self.down.next_due() <= self.now {
            let (_, frame) = self.down.flying.pop_front().unwrap();
            let asked_by = self.terminal.poll_timeout().unwrap() - SignedDuration::from_secs(30);
            self.longest_wait = self.longest_wait.max(self.now.duration_since(asked_by));
            self.terminal.receive(&frame, self.now).unwrap();
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.terminal.poll_event() {
            match event {
                TerminalEvent::Block(block) => self.transfer.on_block(block, self.now).unwrap(),
                TerminalEvent::Unanswered { request: Asked::Block(request), .. } => {
                    self.transfer.on_missing(request.offset, self.now).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        self.most_buffered = self.most_buffered.max(self.transfer.buffered_bytes());
        while let Some((offset, data)) = self.transfer.take_ready() {
            assert_eq!(offset, self.flash.len() as u64);
            self.flash.extend_from_slice(&data);
        }
        if let Some(offset) = self.transfer.wants_durable() {
            self.transfer.on_durable(offset);
        }
    }

    /// The line breaks, and with it everything on its way; the terminal restarts if `crash`.
    fn reconnect(&mut self, crash: bool) {
        (self.host, self.terminal) = sessions(&self.profile);
        self.up.flying.clear();
        self.down.flying.clear();
        if crash {
            let saved = self.transfer.saved();
            self.transfer = Transfer::resume(self.transfer.spec().clone(), &saved, 2).unwrap();
            self.flash.truncate(saved.durable_bytes() as usize);
        } else {
            self.transfer.on_disconnect();
        }
    }

    fn assert_whole(&mut self) {
        assert_eq!(self.transfer.verify_now(), Some(&SHA256));
        assert!(self.flash == self.file);
        self.transfer.on_measured(self.flash.len() as u64, &SHA256).unwrap();
    }
}

fn sessions(profile: &Arc<Profile>) -> (HostSession, TerminalSession) {
    let identity = Identity::new("10000001", "102310060510002");
    let host = HostSession::new(Arc::clone(profile), Some("10000001".into()));
    (host, TerminalSession::new(Arc::clone(profile), identity))
}

/// Share of the link's rate that arrives as bytes of the file, from the first request to the last byte.
fn share(profile: &str, kbit_per_second: u64, size: usize) -> f64 {
    let mut world = World::new(profile, kbit_per_second, size);
    world.run(u64::MAX);
    world.assert_whole();
    assert_eq!(world.served_bytes, size as u64, "nothing is sent twice");
    assert!(world.longest_wait < SignedDuration::from_secs(3), "{:?}", world.longest_wait);
    let seconds = world.now.duration_since(START).as_secs_f64();
    let possible = world.down.bytes_per_second as f64 * seconds;
    eprintln!(
        "{profile} at {kbit_per_second} kbit/s: {size} bytes in {seconds:.1} s, {:.1} % of the link as file, {:.1} % as frames, longest wait {:?}, window {}, buffered {}",
        size as f64 / possible * 100.0,
        world.down.bytes as f64 / possible * 100.0,
        world.longest_wait,
        world.transfer.window_blocks(),
        world.most_buffered,
    );
    size as f64 / possible
}

#[test]
fn a_transfer_fills_slow_and_fast_links_with_a_long_round_trip() {
    for profile in Profile::builtin_names() {
        for (kbit_per_second, size) in [(256, 1_234_567), (10_000, 32_000_001)] {
            let share = share(profile, kbit_per_second, size);
            assert!(share >= 0.9, "{profile} at {kbit_per_second} kbit/s: {share:.3}");
        }
    }
}

#[test]
fn a_break_costs_at_most_one_window() {
    for crash in [false, true] {
        let mut world = World::new("iso87", 10_000, 6_000_000);
        let mut breaks = 0;
        for until in [100_000, 2_000_000, 3_333_333, 5_999_999] {
            let before = world.served_bytes;
            let from = world.transfer.delivered_bytes();
            world.run(until);
            let useful = world.transfer.delivered_bytes() - from;
            let resent = world.served_bytes - before;
            assert!(resent <= useful + world.transfer.window_bytes(), "{resent} for {useful}");
            world.reconnect(crash);
            breaks += 1;
        }
        world.run(u64::MAX);
        world.assert_whole();
        let twice = world.served_bytes - 6_000_000;
        assert!(twice <= breaks * world.transfer.window_bytes(), "{twice} bytes were sent twice");
        let most = world.served.values().max().unwrap();
        assert!(*most <= 1 + breaks as u32);
        eprintln!("{twice} bytes twice in {breaks} breaks");
    }
}

#[test]
fn answers_that_get_lost_cost_no_half_minute_each() {
    let mut world = World::new("iso87", 1_000, 2_000_000);
    world.lose_every = Some(20);
    world.run(u64::MAX);
    world.assert_whole();
    let seconds = world.now.duration_since(START).as_secs();
    // Sixteen seconds' worth of bytes, and at the end perhaps one answer that nothing overtakes.
    assert!(seconds < 60, "{seconds} s");
    assert!(world.most_buffered as u64 <= world.transfer.window_bytes());
}
