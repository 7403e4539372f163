//! Working keys: those of a sign-on, and those that replace them later, whatever is lost on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tms_crypto::{
    keyblock::{KeyBlockForm, Tmk, WorkingKeys},
    mac::MacAlgorithm,
};
use tms_proto::{
    Answer, Function, HostEvent, HostSession, Identity, Profile, Reason, Refusal, TerminalEvent,
    TerminalSession,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const ISO87: &str = include_str!("../profiles/iso87.toml");
const TMK: [u8; 16] = [0x11; 16];

/// :1987 with a MAC on everything, under the keys of the sign-on.
fn required() -> Arc<Profile> {
    let text = ISO87
        .replace("protect = \"optional\"", "protect = \"required\"")
        .replace("key = \"static\"", "key = \"working\"")
        .replace("x9.19", "x9.9");
    Arc::new(Profile::from_toml(&text).unwrap())
}

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
    now: Timestamp,
    form: KeyBlockForm,
    to_host: VecDeque<Vec<u8>>,
    to_terminal: VecDeque<Vec<u8>>,
    at_host: Vec<HostEvent>,
    at_terminal: Vec<TerminalEvent>,
}

impl Pair {
    fn new(profile: &Arc<Profile>) -> Self {
        let mut terminal =
            TerminalSession::new(Arc::clone(profile), Identity::new("10000001", "102310060510002"));
        terminal.set_key_opener(Box::new(Tmk::new(TMK)));
        Self {
            host: HostSession::new(Arc::clone(profile), None),
            terminal,
            now: NOW,
            form: KeyBlockForm::Double,
            to_host: VecDeque::new(),
            to_terminal: VecDeque::new(),
            at_host: Vec::new(),
            at_terminal: Vec::new(),
        }
    }

    fn signed_on(profile: &Arc<Profile>) -> Self {
        let mut pair = Self::new(profile);
        pair.terminal.sign_on(b"", NOW).unwrap();
        pair.settle();
        assert!(pair.terminal.is_signed_on() && pair.host.is_signed_on());
        pair.at_host.clear();
        pair.at_terminal.clear();
        pair
    }

    fn fresh(&self) -> (Vec<u8>, WorkingKeys) {
        let keys = self.form.generate();
        (self.form.wrap(&Tmk::new(TMK), &keys), keys)
    }

    fn collect(&mut self) {
        self.to_host.extend(std::iter::from_fn(|| self.terminal.poll_transmit()));
        self.to_terminal.extend(std::iter::from_fn(|| self.host.poll_transmit()));
        self.at_terminal.extend(std::iter::from_fn(|| self.terminal.poll_event()));
    }

    fn deliver_to_host(&mut self) {
        self.collect();
        let Some(frame) = self.to_host.pop_front() else { return };
        self.host.receive(&frame, self.now).unwrap();
        while let Some(event) = self.host.poll_event() {
            match event {
                HostEvent::SignOn { exchange, .. } | HostEvent::KeysRequested { exchange } => {
                    let (block, keys) = self.fresh();
                    let answer = Answer::Keys { block: &block, keys: &keys };
                    self.host.answer(exchange, answer, self.now).unwrap();
                }
                other => self.at_host.push(other),
            }
        }
        self.collect();
    }

    fn deliver_to_terminal(&mut self) {
        self.collect();
        let Some(frame) = self.to_terminal.pop_front() else { return };
        self.terminal.receive(&frame, self.now).unwrap();
        self.collect();
    }

    /// Delivers until nothing is under way.
    fn settle(&mut self) {
        self.collect();
        while !(self.to_host.is_empty() && self.to_terminal.is_empty()) {
            self.deliver_to_host();
            self.deliver_to_terminal();
        }
    }

    fn push_keys(&mut self) -> bool {
        let (block, keys) = self.fresh();
        let sent = self.host.push_keys(&block, &keys, self.now);
        self.collect();
        sent.is_ok_and(|is_new| is_new)
    }

    fn wait(&mut self) {
        self.now = self.now.checked_add(SignedDuration::from_secs(60)).unwrap();
        self.terminal.handle_timeout(self.now);
        self.host.handle_timeout(self.now);
        self.collect();
        while let Some(event) = self.host.poll_event() {
            self.at_host.push(event);
        }
    }

    /// Both sides ask each other for an echo and get it.
    fn understand_each_other(&mut self) {
        self.at_host.clear();
        self.at_terminal.clear();
        self.terminal.echo(self.now).unwrap();
        self.settle();
        self.host.push_echo(self.now).unwrap();
        self.settle();
        let answered = self.at_terminal.iter().any(|e| matches!(e, TerminalEvent::EchoAnswered));
        assert!(answered, "{:?} {:?}", self.at_terminal, self.at_host);
        let answered = self.at_host.iter().any(|e| matches!(e, HostEvent::EchoAnswered));
        assert!(answered, "{:?} {:?}", self.at_terminal, self.at_host);
    }

    fn nobody_was_locked_out(&self) {
        for event in &self.at_host {
            let wrong = matches!(event, HostEvent::Refused { refusal: Refusal::MacWrong, .. });
            assert!(!wrong, "{event:?}");
        }
        for event in &self.at_terminal {
            let wrong = matches!(
                event,
                TerminalEvent::Dropped(Reason::Mac { .. })
                    | TerminalEvent::Refused { refusal: Refusal::MacWrong, .. }
            );
            assert!(!wrong, "{event:?}");
        }
    }
}

#[test]
fn new_keys_are_in_force_on_both_sides_once_the_terminal_said_so() {
    let mut pair = Pair::signed_on(&required());
    assert!(pair.push_keys());
    assert!(pair.host.has_open_keys());
    pair.settle();
    assert!(matches!(pair.at_terminal[..], [TerminalEvent::KeysReplaced { .. }]), "{:?}", pair.at_terminal);
    assert!(matches!(pair.at_host[..], [HostEvent::KeysTaken { shown: true }]), "{:?}", pair.at_host);
    assert!(!pair.host.has_open_keys());
    pair.understand_each_other();
}

#[test]
fn a_lost_answer_to_new_keys_locks_nobody_out_and_the_same_keys_are_sent_again() {
    let mut pair = Pair::signed_on(&required());
    assert!(pair.push_keys());
    let first = pair.to_terminal[0].clone();
    pair.deliver_to_terminal();
    pair.to_host.clear();
    pair.wait();
    assert!(!pair.push_keys(), "an open offer is repeated and no other made");
    let block = |frame: &[u8]| frame[frame.len() - 48..frame.len() - 8].to_vec();
    assert_eq!(block(&pair.to_terminal[0]), block(&first));
    pair.settle();
    let replaced = |e: &&TerminalEvent| matches!(e, TerminalEvent::KeysReplaced { .. });
    assert_eq!(pair.at_terminal.iter().filter(replaced).count(), 1, "the repeat changes nothing");
    assert!(pair.at_host.iter().any(|e| matches!(e, HostEvent::KeysTaken { shown: true })));
    pair.understand_each_other();
    pair.nobody_was_locked_out();
}

#[test]
fn the_terminals_next_message_tells_what_its_lost_answer_did_not() {
    let mut pair = Pair::signed_on(&required());
    pair.push_keys();
    pair.deliver_to_terminal();
    pair.to_host.clear();
    pair.terminal.echo(pair.now).unwrap();
    pair.settle();
    assert!(
        matches!(pair.at_host[..], [HostEvent::KeysTaken { shown: true }, HostEvent::Echo]),
        "{:?}",
        pair.at_host
    );
    pair.understand_each_other();
}

#[test]
fn the_old_key_is_refused_once_the_new_one_is_in_force() {
    let mut pair = Pair::signed_on(&required());
    pair.terminal.echo(pair.now).unwrap();
    let recorded = pair.terminal.poll_transmit().unwrap();
    pair.push_keys();
    pair.settle();
    pair.host.receive(&recorded, pair.now).unwrap();
    assert!(matches!(
        pair.host.poll_event(),
        Some(HostEvent::Refused { refusal: Refusal::MacWrong, reason: Reason::Mac { .. }, .. })
    ));
}

#[test]
fn a_terminal_that_asks_gets_new_keys_and_a_lost_answer_is_given_again() {
    let mut pair = Pair::signed_on(&required());
    pair.terminal.request_keys(pair.now).unwrap();
    pair.deliver_to_host();
    let lost = pair.to_terminal.pop_front().unwrap();
    pair.wait();
    pair.terminal.request_keys(pair.now).unwrap();
    pair.deliver_to_host();
    let block = |frame: &[u8]| frame[frame.len() - 48..frame.len() - 8].to_vec();
    assert_eq!(block(&pair.to_terminal[0]), block(&lost));
    pair.settle();
    assert!(pair.at_terminal.iter().any(|e| matches!(e, TerminalEvent::KeysReplaced { .. })));
    pair.understand_each_other();
    pair.nobody_was_locked_out();
    assert!(!pair.host.has_open_keys());
}

#[test]
fn keys_under_another_master_key_are_refused_and_the_old_ones_stay() {
    let mut pair = Pair::signed_on(&required());
    let keys = KeyBlockForm::Double.generate();
    let block = KeyBlockForm::Double.wrap(&Tmk::new([0x22; 16]), &keys);
    assert!(pair.host.push_keys(&block, &keys, pair.now).unwrap());
    pair.settle();
    assert!(matches!(
        pair.at_terminal[..],
        [TerminalEvent::KeysRefused { function: Function::KeyExchange, .. }]
    ));
    assert!(matches!(pair.at_host[..], [HostEvent::KeysRefused { refusal: Refusal::FormatError }]));
    pair.understand_each_other();
    assert!(pair.push_keys(), "refused keys are not sent again");
    pair.settle();
    pair.understand_each_other();
}

#[test]
fn a_sign_on_whose_keys_do_not_hold_is_none() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let mut pair = Pair::new(&profile);
    pair.terminal.set_key_opener(Box::new(Tmk::new([0x33; 16])));
    pair.terminal.sign_on(b"", NOW).unwrap();
    pair.settle();
    let [TerminalEvent::KeysRefused { function: Function::SignOn, error }] = &pair.at_terminal[..] else {
        panic!("{:?}", pair.at_terminal)
    };
    assert!(error.to_string().contains("PIN key"), "{error}");
    assert!(!pair.terminal.is_signed_on());
}

#[test]
fn every_form_of_key_block_signs_on() {
    let codes = |codes: &str| {
        let text =
            format!("name = \"unionpay\"\nextends = \"unionpay\"\n[function.sign_on]\ncodes = [{codes}]");
        Arc::new(Profile::from_toml(&text).unwrap())
    };
    let profile = codes("\"003\", \"004\", \"001\"");
    // Single-length keys are asked for only where the profile lists them.
    assert!(Pair::new(&codes("\"003\", \"004\"")).terminal.sign_on_as(2, b"", NOW).is_err());
    for (place, form) in
        [(0, KeyBlockForm::Double), (1, KeyBlockForm::DoubleWithTrack), (2, KeyBlockForm::Single)]
    {
        let mut pair = Pair::new(&profile);
        pair.form = form;
        pair.terminal.sign_on_as(place, b"", NOW).unwrap();
        pair.settle();
        let [TerminalEvent::SignedOn { opened: Some(keys), .. }] = &pair.at_terminal[..] else { panic!() };
        assert_eq!(keys.tdk.is_some(), form == KeyBlockForm::DoubleWithTrack);
        assert!(keys.mac_key(MacAlgorithm::UnionPayEcb).is_ok());
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    PushKeys,
    RequestKeys,
    TerminalEcho,
    HostEcho,
    ToHost,
    ToTerminal,
    LoseToHost,
    LoseToTerminal,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{
        HostEcho, LoseToHost, LoseToTerminal, PushKeys, RequestKeys, TerminalEcho, ToHost, ToTerminal, Wait,
    };
    prop_oneof![
        2 => Just(PushKeys),
        2 => Just(RequestKeys),
        2 => Just(TerminalEcho),
        1 => Just(HostEcho),
        5 => Just(ToHost),
        5 => Just(ToTerminal),
        2 => Just(LoseToHost),
        2 => Just(LoseToTerminal),
        1 => Just(Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_is_lost_the_two_sides_keep_a_key_in_common(steps in prop::collection::vec(step(), 0..60)) {
        let mut pair = Pair::signed_on(&required());
        for step in steps {
            match step {
                Step::PushKeys => { pair.push_keys(); }
                Step::RequestKeys => { let _ = pair.terminal.request_keys(pair.now); }
                Step::TerminalEcho => { let _ = pair.terminal.echo(pair.now); }
                Step::HostEcho => { let _ = pair.host.push_echo(pair.now); }
                Step::ToHost => pair.deliver_to_host(),
                Step::ToTerminal => pair.deliver_to_terminal(),
                Step::LoseToHost => { pair.collect(); pair.to_host.pop_front(); }
                Step::LoseToTerminal => { pair.collect(); pair.to_terminal.pop_front(); }
                Step::Wait => pair.wait(),
            }
            pair.collect();
        }
        pair.nobody_was_locked_out();
        pair.collect();
        pair.to_host.clear();
        pair.to_terminal.clear();
        pair.wait();
        pair.understand_each_other();
        pair.nobody_was_locked_out();
        prop_assert!(pair.terminal.is_signed_on());
    }
}
