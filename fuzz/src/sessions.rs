//! Host and terminal with what is under way between them, and one operation after the other on them.

use std::sync::{Arc, LazyLock};

use iso8583::framing::{Frame, Header, Tpdu};
use jiff::{SignedDuration, Timestamp};
use tms_crypto::keyblock::{KeyBlockForm, Tmk};
use tms_proto::{
    Answer, Exchange, Function, HostEvent, HostRequest, HostSession, Identity, PendingWork, Profile, Refusal,
    TerminalEvent, TerminalSession,
    emv::{CapkId, DownloadRequest},
    file::BlockRequest,
    parameters::Values,
    report::Report,
    task::{Command, Outcome, Task, TaskResult},
    upload::Chunk,
};
use uuid::Uuid;

const KEY: [u8; 16] = [0x5A; 16];
const TMK: [u8; 16] = [0x11; 16];

/// The built-in profiles as they are, and each with a MAC on everything that can have one.
static PROFILES: LazyLock<Vec<(Arc<Profile>, bool)>> = LazyLock::new(|| {
    let plain = Profile::builtin_names().iter().filter_map(|name| Profile::builtin(name));
    let protected = Profile::builtin_names().iter().filter_map(|name| {
        let plain = Profile::builtin(name)?;
        let mut text = format!("name = \"{name}\"\nextends = \"{name}\"\n[mac]\nprotect = \"required\"\n[mac.function]\n");
        for function in Function::ALL {
            let rule = plain.rule(*function);
            if rule.is_some_and(|rule| !(rule.request.always(11) && rule.reply.always(11))) {
                text += &format!("{} = \"optional\"\n", function.name());
            }
        }
        Profile::from_toml(&text).ok()
    });
    plain.map(|profile| (Arc::new(profile), false)).chain(protected.map(|p| (Arc::new(p), true))).collect()
});

/// Which end is lied to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The host.
    Host,
    /// The terminal.
    Terminal,
}

/// Bytes of an input, zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }
}

/// Both ends.
struct World {
    victim: Victim,
    profile: Arc<Profile>,
    /// Whether nothing may be acted on that did not come from the other end as it is.
    protected: bool,
    host: HostSession,
    terminal: TerminalSession,
    now: Timestamp,
    to_host: Vec<Vec<u8>>,
    to_terminal: Vec<Vec<u8>>,
    /// The last true frame to the victim.
    last: Vec<u8>,
    exchanges: Vec<Exchange>,
    requests: Vec<HostRequest>,
}

/// Runs an input: its first byte chooses the profile, the others are operations.
///
/// # Panics
///
/// When a session acts on what nobody sent, or grows without bound.
pub fn run(victim: Victim, data: &[u8]) {
    let mut input = Input(data);
    let choice = usize::from(input.byte());
    let (profile, protected) = &PROFILES[choice % PROFILES.len()];
    let mut terminal = TerminalSession::new(Arc::clone(profile), Identity::new("10000001", "102310060500000"));
    let mut host = HostSession::new(Arc::clone(profile), Some("10000001".to_owned()));
    let mut has_static_key = false;
    if *protected && let Ok(key) = profile.static_mac_key(&KEY) {
        has_static_key = host.set_mac_key(key.clone()).is_ok() && terminal.set_mac_key(key).is_ok();
    }
    terminal.set_key_opener(Box::new(Tmk::new(TMK)));
    let mut world = World {
        victim,
        profile: Arc::clone(profile),
        // Where the key comes with the sign-on, anyone may sign on.
        protected: has_static_key,
        host,
        terminal,
        now: Timestamp::UNIX_EPOCH,
        to_host: Vec::new(),
        to_terminal: Vec::new(),
        last: Vec::new(),
        exchanges: Vec::new(),
        requests: Vec::new(),
    };
    let mut steps = 0;
    while !input.0.is_empty() && steps < 256 {
        steps += 1;
        if !world.step(&mut input) {
            return;
        }
    }
}

impl World {
    /// One operation; `false` when the session under test is over.
    fn step(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 12 {
            0 => self.terminal_asks(input.byte()),
            1 => self.host_pushes(input.byte()),
            2 => return self.deliver_to_host(),
            3 => return self.deliver_to_terminal(),
            4 => {
                let (at, with) = (usize::from(input.byte()) << 8 | usize::from(input.byte()), input.byte());
                return self.forge_changed(at, with);
            }
            5 => {
                let len = usize::from(input.byte());
                let body = input.take(len);
                return self.forge_body(&body);
            }
            6 => {
                let len = usize::from(input.byte());
                let frame = input.take(len);
                return self.forge(&frame);
            }
            // What was sent before is sent again: true, so anything may follow, but not twice.
            7 => {
                let again = self.last.clone();
                return again.is_empty() || self.give(&again, true);
            }
            8 => self.host_answers(input.byte()),
            9 => self.terminal_answers(input.byte()),
            10 => {
                let seconds = i64::from(i8::from_le_bytes([input.byte()])) << (input.byte() % 40);
                self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.now);
                self.host.handle_timeout(self.now);
                self.terminal.handle_timeout(self.now);
                self.take_events(false);
            }
            _ => {
                self.to_host.pop();
                self.to_terminal.pop();
                self.exchanges.pop();
            }
        }
        self.collect();
        true
    }

    fn terminal_asks(&mut self, which: u8) {
        let (terminal, now) = (&mut self.terminal, self.now);
        let operation = Uuid::from_u128(u128::from(which));
        let chunk = Chunk { operation, offset: 0, total_bytes: 3, sha256: [1; 32], data: b"log".to_vec() };
        let _ = match which % 16 {
            0 => terminal.sign_on(b"Sequence No123456", now),
            1 => terminal.sign_off(now),
            2 => terminal.echo(now),
            3 => {
                let mut values = Values::new();
                tms_proto::report::Health::default().put_tags(&mut values);
                terminal.status(&values, now)
            }
            4 => terminal.report(&Report::default(), now),
            5 => terminal.request_parameters(now),
            6 => terminal.poll_task(now),
            7 => terminal.read_block(BlockRequest { file: "image".into(), offset: 0, length: 64 }, now),
            8 => terminal.send_result(&TaskResult::new(operation, 1, Outcome::DONE), now),
            9 => terminal.upload(&chunk, now),
            10 => terminal.request_keys(now),
            11 => terminal.download(&DownloadRequest::CapkList { from: 0 }, now),
            12 => terminal.download(&DownloadRequest::Capk(CapkId { rid: [1; 5], index: which }), now),
            13 => terminal.download(&DownloadRequest::Blacklist { from: 0 }, now),
            14 => terminal.master_key(Function::TmkKey, b"", now),
            _ => terminal.download(&DownloadRequest::TmsParameters, now),
        };
    }

    fn host_pushes(&mut self, which: u8) {
        let now = self.now;
        let keys = KeyBlockForm::Double.generate();
        let block = KeyBlockForm::Double.wrap(&Tmk::new(TMK), &keys);
        let task = Task { operation: Uuid::from_u128(u128::from(which)), step: 1, command: Command::Reboot };
        let _ = match which % 4 {
            0 => self.host.push_echo(now),
            1 => self.host.push_command(task, now),
            2 => self.host.push_keys(&block, &keys, now).map(drop),
            _ => {
                self.host.set_pending(PendingWork::ALL.get(usize::from(which / 4)).copied());
                Ok(())
            }
        };
    }

    fn host_answers(&mut self, which: u8) {
        let Some(exchange) = self.exchanges.pop() else { return };
        let keys = KeyBlockForm::Double.generate();
        let block = KeyBlockForm::Double.wrap(&Tmk::new([TMK[0] ^ (which >> 7); 16]), &keys);
        let task = Task { operation: Uuid::from_u128(u128::from(which)), step: 1, command: Command::Reboot };
        let values = Values::from([("timeout_s".to_owned(), "30".to_owned())]);
        let answer = match which % 8 {
            0 => Answer::Approved,
            1 => Answer::Keys { block: &block, keys: &keys },
            2 => Answer::Parameters(&values),
            3 => Answer::Task(Some(&task)),
            4 => Answer::Block { offset: u64::from(which >> 4), total_bytes: 64, data: &[1; 64] },
            5 => Answer::Uploaded(3),
            6 => Answer::MasterKey(&block),
            _ => Answer::Refused(Refusal::NotFound),
        };
        let _ = self.host.answer(exchange, answer, self.now);
    }

    fn terminal_answers(&mut self, which: u8) {
        let Some(request) = self.requests.pop() else { return };
        let refusal = (which & 1 == 1).then_some(Refusal::Busy);
        let _ = self.terminal.answer(request, refusal, self.now);
    }

    fn deliver_to_host(&mut self) -> bool {
        self.collect();
        if self.to_host.is_empty() {
            return true;
        }
        let frame = self.to_host.remove(0);
        if self.victim == Victim::Host {
            self.last.clone_from(&frame);
            return self.give(&frame, true);
        }
        let heard = self.host.receive(&frame, self.now).is_ok();
        self.take_events(false);
        self.collect();
        heard
    }

    fn deliver_to_terminal(&mut self) -> bool {
        self.collect();
        if self.to_terminal.is_empty() {
            return true;
        }
        let frame = self.to_terminal.remove(0);
        if self.victim == Victim::Terminal {
            self.last.clone_from(&frame);
            return self.give(&frame, true);
        }
        let heard = self.terminal.receive(&frame, self.now).is_ok();
        self.take_events(false);
        self.collect();
        heard
    }

    /// The last true frame with a byte of its message changed.
    fn forge_changed(&mut self, at: usize, with: u8) -> bool {
        let last = std::mem::take(&mut self.last);
        let framing = self.profile.framing();
        let mut heard = true;
        if let Ok(Some((frame, _))) = framing.split(&last, last.len())
            && with != 0
        {
            let mut changed = last.clone();
            let place = last.len() - frame.body.len() + at % frame.body.len();
            changed[place] ^= with;
            heard = self.forge(&changed);
        }
        self.last = last;
        heard
    }

    fn forge_body(&mut self, body: &[u8]) -> bool {
        let framing = self.profile.framing();
        let frame = Frame {
            tpdu: framing.has_tpdu().then_some(Tpdu([0x60, 0, 3, 0, 0])),
            header: framing.has_header().then_some(Header([0x60, 0x31, 0, 0x31, 0, 1])),
            vendor: &[],
            body,
        };
        let mut bytes = Vec::new();
        framing.encode(&mut bytes, &frame).is_err() || self.forge(&bytes)
    }

    fn forge(&mut self, frame: &[u8]) -> bool {
        self.give(frame, false)
    }

    /// Gives the victim a frame, `is_true` when the other end sent it as it is.
    fn give(&mut self, frame: &[u8], is_true: bool) -> bool {
        // What was said before has its own events.
        self.take_events(false);
        self.collect();
        let before = self.to_host.len() + self.to_terminal.len();
        let heard = match self.victim {
            Victim::Host => self.host.receive(frame, self.now).is_ok(),
            Victim::Terminal => self.terminal.receive(frame, self.now).is_ok(),
        };
        self.take_events(self.protected && !is_true);
        self.collect();
        let answers = self.to_host.len() + self.to_terminal.len() - before;
        assert!(answers <= 1, "one frame was answered {answers} times");
        heard
    }

    fn collect(&mut self) {
        while let Some(frame) = self.terminal.poll_transmit() {
            self.to_host.push(frame);
        }
        while let Some(frame) = self.host.poll_transmit() {
            self.to_terminal.push(frame);
        }
        self.to_host.truncate(64);
        self.to_terminal.truncate(64);
    }

    /// Takes the events of both ends, those of a forged message with suspicion.
    fn take_events(&mut self, forged: bool) {
        while let Some(event) = self.host.poll_event() {
            // Whoever has no key must be able to say so, and is believed.
            let harmless = matches!(
                &event,
                HostEvent::Refused { .. }
                    | HostEvent::MacUnchecked(_)
                    | HostEvent::CommandAnswered { refusal: Some(Refusal::MacWrong), .. }
                    | HostEvent::PushAnswered { refusal: Some(Refusal::MacWrong), .. }
                    | HostEvent::KeysRefused { refusal: Refusal::MacWrong }
                    | HostEvent::EchoAnswered
            );
            let suspicious = forged && self.victim == Victim::Host && !harmless;
            assert!(!suspicious, "the host acts on what nobody sent: {event:?}");
            if let Some(exchange) = event.into_exchange()
                && self.exchanges.len() < 64
            {
                self.exchanges.push(exchange);
            }
        }
        while let Some(event) = self.terminal.poll_event() {
            let harmless = matches!(
                &event,
                TerminalEvent::Dropped(_)
                    | TerminalEvent::MacUnchecked(_)
                    | TerminalEvent::WorkPending(_)
                    | TerminalEvent::Unanswered { .. }
                    | TerminalEvent::Refused { refusal: Refusal::MacWrong, .. }
            );
            let suspicious = forged && self.victim == Victim::Terminal && !harmless;
            assert!(!suspicious, "the terminal acts on what nobody sent: {event:?}");
            if let TerminalEvent::Command { request, .. } = event
                && self.requests.len() < 64
            {
                self.requests.push(request);
            }
        }
        assert!(self.terminal.outstanding() <= 1024);
    }
}
