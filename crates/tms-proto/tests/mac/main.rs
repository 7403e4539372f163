//! Messages with MACs: what a session acts on, and what it never does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod attacks;
mod exchanges;
mod profiles;
mod strangers;

use std::sync::Arc;

use iso8583::{Builder, Message, framing::Frame};
use jiff::Timestamp;
use tms_crypto::{
    keyblock::{Tmk, WorkingKeys, unwrap_working_keys, wrap_working_keys},
    mac::MacKey,
};
use tms_proto::{
    Answer, HostEvent, HostSession, Identity, Profile, TerminalEvent, TerminalSession, report::Report,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const UNIONPAY: &str = include_str!("../../profiles/unionpay.toml");
const ISO87: &str = include_str!("../../profiles/iso87.toml");
const ISO93: &str = include_str!("../../profiles/iso93.toml");
const STATIC_KEY: [u8; 16] = [0x5A; 16];

/// UnionPay with a MAC on every function that has a STAN.
fn unionpay() -> Arc<Profile> {
    let required = "protect = \"possible\"\n";
    Arc::new(Profile::from_toml(&UNIONPAY.replace("protect = \"optional\"\n", required)).unwrap())
}

/// :1987 with a MAC on everything.
fn iso87() -> Arc<Profile> {
    let text = ISO87.replace("protect = \"optional\"", "protect = \"required\"");
    Arc::new(Profile::from_toml(&text).unwrap())
}

struct Pair {
    profile: Arc<Profile>,
    host: HostSession,
    terminal: TerminalSession,
    /// What the two share, for messages made by hand.
    key: MacKey,
}

impl Pair {
    /// Signed on, both with the same MAC key: the sign-on's, or the static one.
    fn new(profile: &Arc<Profile>) -> Self {
        let rules = profile.mac().unwrap();
        let key = MacKey::new(rules.algorithm(), &STATIC_KEY[..rules.algorithm().key_lengths()[0]]).unwrap();
        let mut pair = Self {
            host: HostSession::new(profile.clone(), None),
            terminal: TerminalSession::new(profile.clone(), Identity::new("10000001", "102310060510002")),
            profile: profile.clone(),
            key,
        };
        if profile.name() != "unionpay" {
            pair.host.set_mac_key(profile.static_mac_key(&STATIC_KEY).unwrap()).unwrap();
            pair.terminal.set_mac_key(profile.static_mac_key(&STATIC_KEY).unwrap()).unwrap();
        }
        pair.sign_on();
        pair
    }

    fn sign_on(&mut self) {
        self.terminal.sign_on(b"", NOW).unwrap();
        let HostEvent::SignOn { exchange, .. } = self.carry_to_host() else { panic!() };
        if self.profile.name() != "unionpay" {
            let event = self.reply(exchange, Answer::Approved);
            assert!(matches!(event, TerminalEvent::SignedOn { keys: None, .. }), "{event:?}");
            return;
        }
        let tmk = Tmk::new([0x11; 16]);
        let keys = WorkingKeys::generate(false);
        let block = wrap_working_keys(&tmk, &keys);
        let event = self.reply(exchange, Answer::Keys { block: &block, keys: &keys });
        let TerminalEvent::SignedOn { keys: Some(block), .. } = event else { panic!("{event:?}") };
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        self.terminal.set_working_keys(&keys).unwrap();
        self.key = keys.mac_key(self.profile.mac().unwrap().algorithm()).unwrap();
    }

    fn carry_to_host(&mut self) -> HostEvent {
        let frame = self.terminal.poll_transmit().expect("a request");
        self.host.receive(&frame, NOW).unwrap();
        self.host.poll_event().expect("an event")
    }

    fn reply(&mut self, exchange: tms_proto::Exchange, answer: Answer<'_>) -> TerminalEvent {
        self.host.answer(exchange, answer, NOW).unwrap();
        self.carry_to_terminal()
    }

    fn carry_to_terminal(&mut self) -> TerminalEvent {
        let frame = self.host.poll_transmit().expect("a frame for the terminal");
        self.terminal.receive(&frame, NOW).unwrap();
        self.terminal.poll_event().expect("an event")
    }

    /// A report that is on its way to the host.
    fn report(&mut self) -> Vec<u8> {
        self.terminal.report(&Report::default(), NOW).unwrap();
        self.terminal.poll_transmit().unwrap()
    }

    /// The approval of a report, on its way to the terminal.
    fn approval(&mut self) -> Vec<u8> {
        let request = self.report();
        self.host.receive(&request, NOW).unwrap();
        let Some(HostEvent::Report { exchange, .. }) = self.host.poll_event() else { panic!() };
        self.host.answer(exchange, Answer::Approved, NOW).unwrap();
        self.host.poll_transmit().unwrap()
    }

    fn frame<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        self.profile.framing().split(bytes, 65_535).unwrap().unwrap().0
    }

    /// The same frame around another body.
    fn around(&self, bytes: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.profile.framing().encode(&mut out, &Frame { body, ..self.frame(bytes) }).unwrap();
        out
    }

    /// The same frame with its fields changed by hand.
    fn with(&self, bytes: &[u8], change: impl FnOnce(&mut Vec<(u8, String)>)) -> Vec<u8> {
        let message = Message::parse(self.profile.dialect(), self.frame(bytes).body).unwrap();
        let mut fields: Vec<_> = message.fields().map(|f| (f.number(), f.text().into_owned())).collect();
        change(&mut fields);
        let mut builder = Builder::new(self.profile.dialect(), message.mti());
        for (n, text) in fields {
            builder.set(n, &text).unwrap();
        }
        self.around(bytes, &builder.build().unwrap())
    }

    /// The field that the MAC of a frame is in, if it has one.
    fn mac_field(&self, bytes: &[u8]) -> Option<u8> {
        let message = Message::parse(self.profile.dialect(), self.frame(bytes).body).unwrap();
        [64, 128].into_iter().find(|n| message.has(*n))
    }
}

/// Whether the host did anything but refuse.
fn host_acted(host: &mut HostSession) -> bool {
    std::iter::from_fn(|| host.poll_event()).any(|event| !matches!(event, HostEvent::Refused { .. }))
}

/// Whether the terminal did anything but drop what came.
fn terminal_acted(terminal: &mut TerminalSession) -> bool {
    std::iter::from_fn(|| terminal.poll_event()).any(|event| !matches!(event, TerminalEvent::Dropped(_)))
}
