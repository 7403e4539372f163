//! Host and terminal with what is under way between them, what outlives their connection, and one operation
//! after the other on them.

mod host;
mod operations;
mod terminal;

use std::sync::{Arc, LazyLock};

use iso8583::framing::{Frame, Header, Tpdu};
use jiff::{SignedDuration, Timestamp};
use tms_crypto::keyblock::Tmk;
use tms_proto::{
    Exchange, Function, HostEvent, HostRequest, HostSession, Identity, PendingWork, Profile, ProtocolError,
    Refusal, TerminalEvent, TerminalSession,
    alarm::{AlarmKind, Severity},
    emv::{Aid, CapkId, DownloadRequest},
    file::BlockRequest,
    parameters::Push,
    settlement::{BatchMessage, Message},
};

use host::Question;
use operations::{Ask, Operation, Pushed, Said, TMK};

pub use operations::Script;

/// Most rounds in which all is delivered.
const MAX_ROUNDS: usize = 32;
const KEY: [u8; 16] = [0x5A; 16];

/// The built-in profiles as they are, and each with a MAC on everything that can have one.
static PROFILES: LazyLock<Vec<(Arc<Profile>, bool)>> = LazyLock::new(|| {
    let plain = Profile::builtin_names().iter().filter_map(|name| Profile::builtin(name));
    let protected = Profile::builtin_names().iter().filter_map(|name| {
        let plain = Profile::builtin(name)?;
        let mut text = format!(
            "name = \"{name}\"\nextends = \"{name}\"\n[mac]\nprotect = \"required\"\n[mac.function]\n"
        );
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

/// Both ends.
struct World {
    victim: Victim,
    profile: Arc<Profile>,
    /// Whether there is a MAC on everything, whose key both sides were given.
    has_static_key: bool,
    host: HostSession,
    terminal: TerminalSession,
    at_host: host::Machines,
    at_terminal: terminal::Machines,
    now: Timestamp,
    to_host: Vec<Vec<u8>>,
    to_terminal: Vec<Vec<u8>>,
    /// The last true frame to the victim.
    last: Vec<u8>,
    exchanges: Vec<(Exchange, Question)>,
    requests: Vec<(HostRequest, Option<Push>)>,
}

/// Runs a script.
///
/// # Panics
///
/// When a session acts on what nobody sent, or grows without bound.
pub fn run(victim: Victim, script: &Script) {
    let (profile, protected) = &PROFILES[usize::from(script.profile) % PROFILES.len()];
    // Where the key comes with the sign-on, anyone may sign on.
    let has_static_key = *protected && profile.static_mac_key(&KEY).is_ok();
    let (host, terminal) = connect(profile, has_static_key);
    let mut world = World {
        victim,
        profile: Arc::clone(profile),
        has_static_key,
        host,
        terminal,
        at_host: host::Machines::default(),
        at_terminal: terminal::Machines::default(),
        now: Timestamp::UNIX_EPOCH,
        to_host: Vec::new(),
        to_terminal: Vec::new(),
        last: Vec::new(),
        exchanges: Vec::new(),
        requests: Vec::new(),
    };
    if script.signed_on {
        let _ = world.terminal.sign_on(b"", world.now);
        let _ = world.carry();
    }
    for operation in &script.operations {
        if !world.step(operation) {
            break;
        }
    }
    world.at_terminal.check_end();
}

fn connect(profile: &Arc<Profile>, has_static_key: bool) -> (HostSession, TerminalSession) {
    let mut terminal =
        TerminalSession::new(Arc::clone(profile), Identity::new("10000001", "102310060500000"));
    let mut host = HostSession::new(Arc::clone(profile), Some("10000001".to_owned()));
    if has_static_key && let Ok(key) = profile.static_mac_key(&KEY) {
        let _ = (host.set_mac_key(key.clone()), terminal.set_mac_key(key));
    }
    terminal.set_key_opener(Box::new(Tmk::new(TMK)));
    (host, terminal)
}

impl World {
    /// One operation; `false` when the session under test is over.
    fn step(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Ask(ask) => drop(self.ask(ask)),
            Operation::Push(pushed) => drop(self.push(pushed)),
            Operation::Carry => return self.carry(),
            Operation::DeliverToHost => return self.deliver_to_host(),
            Operation::DeliverToTerminal => return self.deliver_to_terminal(),
            Operation::Answer { newest, said } => {
                let at = if *newest { self.exchanges.len().saturating_sub(1) } else { 0 };
                if at < self.exchanges.len() {
                    let exchange = self.exchanges.remove(at);
                    self.at_host.answer(&mut self.host, exchange, said, self.now);
                }
            }
            Operation::Reply { refusal } => self.reply(refusal.map(operations::refusal)),
            Operation::Change { at, with } => return self.forge_changed(usize::from(*at), *with),
            Operation::ForgeBody(body) => return self.forge_body(&body.0),
            Operation::ForgeFrame(frame) => return self.forge(&frame.0),
            // What was sent before is sent again: true, so anything may follow, but not twice.
            Operation::Repeat => {
                let again = self.last.clone();
                return again.is_empty() || self.give(&again, true);
            }
            Operation::Wait { seconds, shift } => {
                let seconds = i64::from(*seconds) << (shift % 40);
                self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.now);
                self.host.handle_timeout(self.now);
                self.terminal.handle_timeout(self.now);
                self.take_events(false);
            }
            Operation::Lose => {
                self.to_host.pop();
                self.to_terminal.pop();
                self.exchanges.pop();
            }
            Operation::Reconnect => {
                (self.host, self.terminal) = connect(&self.profile, self.has_static_key);
                self.to_host.clear();
                self.to_terminal.clear();
                self.exchanges.clear();
                self.requests.clear();
                self.at_terminal.transfer.on_disconnect();
            }
            Operation::Trade(trade) => {
                let (detail, side) = trade.detail();
                let _ = self.at_terminal.settle.record(detail, side);
            }
            Operation::Close => {
                let _ = self.at_terminal.settle.close(0);
            }
            Operation::Raise { kind, severity, text } => {
                let (kind, severity) = (AlarmKind(*kind), Severity(*severity));
                self.at_terminal.alarms.raise(kind, severity, operations::text(*text), self.now);
            }
            Operation::Act { outcome } => self.at_terminal.act(*outcome, self.now),
        }
        self.collect();
        true
    }

    fn ask(&mut self, ask: &Ask) -> Result<(), ProtocolError> {
        let (terminal, now) = (&mut self.terminal, self.now);
        let machines = &mut self.at_terminal;
        match ask {
            Ask::SignOn { code, serial } => terminal.sign_on_as(usize::from(code % 4), &serial.0, now),
            Ask::SignOff => terminal.sign_off(now),
            Ask::Echo => terminal.echo(now),
            Ask::Status(status) => terminal.status(&status.values(), now),
            Ask::Report(reported) => terminal.report(&reported.report(), now),
            Ask::Parameters => terminal.request_parameters(now),
            Ask::Poll => terminal.poll_task(now),
            Ask::Blocks => {
                for request in machines.blocks(now) {
                    if terminal.read_block(request.clone(), now).is_err() {
                        let _ = machines.transfer.on_missing(request.offset, now);
                    }
                }
                Ok(())
            }
            Ask::Block { offset, length } => {
                let request = BlockRequest { file: "image".into(), offset: *offset, length: *length };
                terminal.read_block(request, now)
            }
            Ask::Result { operation, step, outcome, reason } => {
                terminal.send_result(&operations::result(*operation, *step, *outcome, *reason), now)
            }
            Ask::Log(piece) => terminal.upload(&piece.chunk(), now),
            Ask::Journal(piece) => terminal.upload_journal(&piece.chunk(), now),
            Ask::Keys => terminal.request_keys(now),
            Ask::Download(which) => match machines.question(*which) {
                Some(request) => terminal.download(&request, now),
                None => Ok(()),
            },
            Ask::Question(question) => match request(question) {
                Some(request) => terminal.download(&request, now),
                None => Ok(()),
            },
            Ask::MasterKey { step, content } => {
                let steps = [Function::TmkKey, Function::TmkRequest, Function::TmkActivate, Function::Echo];
                terminal.master_key(steps[usize::from(step % 4)], &content.0, now)
            }
            Ask::Alarm => match machines.alarms.next() {
                Some(alarm) => terminal.alarm(alarm, now),
                None => Ok(()),
            },
            Ask::Settle => match machines.settle.next_message() {
                Some(message) => terminal.settle(machines.settle.batch(), &message, now),
                None => Ok(()),
            },
            Ask::Totals { batch, totals } => {
                terminal.settle(*batch, &Message::Totals(operations::totals(*totals)), now)
            }
            Ask::Details { batch, trades } => match operations::details(trades) {
                Some(message) => terminal.settle(*batch, &Message::Batch(message), now),
                None => Ok(()),
            },
            Ask::End { batch, count, balanced } => {
                let end = BatchMessage::End { count: *count, balanced: *balanced };
                terminal.settle(*batch, &Message::Batch(end), now)
            }
        }
    }

    fn push(&mut self, pushed: &Pushed) -> Result<(), ProtocolError> {
        let now = self.now;
        match pushed {
            Pushed::Echo => self.host.push_echo(now),
            Pushed::Command(told) => self.host.push_command(told.task(), now),
            Pushed::Keys(keys) => {
                let (keys, block) = keys.block();
                self.host.push_keys(&block, &keys, now).map(drop)
            }
            Pushed::Records(records) => {
                let push = records.push(self.at_terminal.standing(records.file()));
                self.host.push_parameters(push, now)
            }
            Pushed::Announce(which) => {
                self.host.set_pending(PendingWork::ALL.get(usize::from(*which)).copied());
                Ok(())
            }
            Pushed::Offer(count) => {
                self.at_host.offer = host::offer(*count);
                Ok(())
            }
        }
    }

    /// Delivers and answers honestly until nothing is under way.
    fn carry(&mut self) -> bool {
        for _ in 0..MAX_ROUNDS {
            if !self.deliver_to_host() {
                return false;
            }
            while let Some(exchange) = self.exchanges.pop() {
                self.at_host.answer(&mut self.host, exchange, &Said::Honest, self.now);
            }
            if !self.deliver_to_terminal() {
                return false;
            }
            while !self.requests.is_empty() {
                self.reply(None);
            }
            self.collect();
            if self.to_host.is_empty() && self.to_terminal.is_empty() {
                break;
            }
        }
        true
    }

    fn reply(&mut self, refusal: Option<Refusal>) {
        let Some((request, push)) = self.requests.pop() else { return };
        let room_bytes = self.profile.data_bytes();
        let answer = push.and_then(|push| self.at_terminal.take(&push, room_bytes));
        let _ = match (refusal, answer) {
            (None, Some(answer)) => self.terminal.answer_push(request, &answer, self.now),
            (refusal, _) => self.terminal.answer(request, refusal, self.now),
        };
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
        self.take_events(self.has_static_key && !is_true);
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
            if let Some(asked) = host::question(event)
                && self.exchanges.len() < 64
            {
                self.exchanges.push(asked);
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
            self.at_terminal.hear(&event, self.profile.downloads(), self.now);
            let asked = match event {
                TerminalEvent::Command { request, .. } => Some((request, None)),
                TerminalEvent::ParameterPush { request, push } => Some((request, Some(push))),
                _ => None,
            };
            self.requests.extend(asked.filter(|_| self.requests.len() < 64));
        }
        assert!(self.terminal.outstanding() <= 1024);
    }
}

fn request(question: &operations::Question) -> Option<DownloadRequest> {
    use operations::Question as Q;
    Some(match question {
        Q::CapkList(from) => DownloadRequest::CapkList { from: *from },
        Q::Capk(index) => DownloadRequest::Capk(CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: *index }),
        Q::CapkEnd => DownloadRequest::CapkEnd,
        Q::AidList(from) => DownloadRequest::AidList { from: *from },
        Q::Aid(bytes) => DownloadRequest::Aid(Aid::new(&bytes.0).ok()?),
        Q::AidEnd => DownloadRequest::AidEnd,
        Q::Blacklist(from) => DownloadRequest::Blacklist { from: *from },
        Q::BlacklistEnd => DownloadRequest::BlacklistEnd,
        Q::TmsParameters => DownloadRequest::TmsParameters,
        Q::TmsParametersEnd => DownloadRequest::TmsParametersEnd,
    })
}
