//! The terminal's end of one connection.

mod answer;
mod event;
mod keys;
mod receive;
mod settling;

use std::fmt;

use iso8583::{
    Builder, Mti,
    framing::{Framing, Header, Tpdu},
};
use jiff::Timestamp;
use tms_crypto::{keyblock::WorkingKeys, mac::MacKey};

use crate::{
    alarm::Alarm,
    authentic::{Gate, Outgoing},
    bounded::{Outbox, Queue},
    counts::Counts,
    emv::DownloadRequest,
    error::ProtocolError,
    file::BlockRequest,
    message::{self, Identity, Standard, deadline, next_stan, stan_before_the_first},
    parameters::{self, Values},
    profile::{Direction, Function, PendingWork, Profile, TagPlace},
    reason::Reason,
    report::Report,
    task::TaskResult,
    transfer,
    upload::Chunk,
};

pub use event::{Asked, HostRequest, KeyBlock, TerminalEvent};
pub use keys::OpenKeys;

/// Requests other than for file blocks that may wait for replies at once.
const MAX_OUTSTANDING: usize = 64;
/// Requests for file blocks that may wait for replies at once: a transfer's largest window, and the rest
/// of one that it replaced. Each takes about 250 bytes.
const MAX_BLOCKS_OUTSTANDING: usize = 2 * transfer::MAX_WINDOW;

/// The terminal's end of one connection. See the crate's front page for its use. `Debug` prints no
/// frames and no keys.
pub struct TerminalSession {
    profile: std::sync::Arc<Profile>,
    framing: Framing,
    gate: Gate,
    identity: Identity,
    stan: Option<u32>,
    signed_on: bool,
    opener: Option<Box<dyn OpenKeys>>,
    /// The block of the keys in force, to know it again.
    block: Option<KeyBlock>,
    /// The digit that the last reply had, 0 for none.
    announced: u8,
    /// When this end last signed on, or was told to.
    sign_on_known: Option<Timestamp>,
    useless_in_a_row: u32,
    counts: Counts,
    outstanding: Vec<Outstanding>,
    outbox: Outbox,
    events: Queue<TerminalEvent>,
}

/// What a request says beside its standard fields.
#[derive(Default)]
struct Content<'a> {
    /// Index of its code among those of the function.
    code: usize,
    fields: &'a [(u8, Vec<u8>)],
    body: Option<&'a [u8]>,
    data: &'a [u8],
    /// DE11, where it is a transaction's number and not the message's.
    trace: Option<u32>,
    /// DE60.2, where it is another than the identity's.
    batch: Option<u32>,
}

#[derive(Debug)]
struct Outstanding {
    function: Function,
    reply_mti: Mti,
    /// DE11, for functions that carry it; others are told apart by their code.
    stan: Option<u32>,
    /// DE7, when a reply must echo it.
    transmitted: Option<u64>,
    /// Place of its code among those of the function.
    code: usize,
    asked: Asked,
    deadline: Timestamp,
}

impl fmt::Debug for TerminalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalSession")
            .field("identity", &self.identity)
            .field("stan", &self.stan)
            .field("outstanding", &self.outstanding)
            .field("frames_to_send", &self.outbox.len())
            .finish_non_exhaustive()
    }
}

impl TerminalSession {
    /// A session on a new connection.
    #[must_use]
    pub fn new(profile: std::sync::Arc<Profile>, identity: Identity) -> Self {
        let framing = profile.framing();
        Self {
            gate: Gate::new(std::sync::Arc::clone(&profile)),
            profile,
            framing,
            identity,
            stan: None,
            signed_on: false,
            opener: None,
            block: None,
            announced: 0,
            sign_on_known: None,
            useless_in_a_row: 0,
            counts: Counts::default(),
            outstanding: Vec::new(),
            outbox: Outbox::default(),
            events: Queue::default(),
        }
    }

    /// The same session with a listener's own framing.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Takes the working keys of [`TerminalEvent::SignedOn`], once the terminal has opened them, for
    /// the MACs of a profile whose `[mac]` section has `key = "working"`; elsewhere does nothing.
    ///
    /// # Errors
    /// When the profile's algorithm takes no key of eight bytes.
    pub fn set_working_keys(&mut self, keys: &WorkingKeys) -> Result<(), ProtocolError> {
        self.gate.set_working_keys(keys)
    }

    /// Takes the MAC key that this terminal was given beforehand, in a profile whose `[mac]` section
    /// has `key = "static"`. [`Profile::static_mac_key`] makes it.
    ///
    /// # Errors
    /// When the profile takes no such key, or one for another algorithm.
    pub fn set_mac_key(&mut self, key: MacKey) -> Result<(), ProtocolError> {
        self.gate.set_static_key(key)
    }

    /// The framing in force.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether the profile can carry a function.
    #[must_use]
    pub fn supports(&self, function: Function) -> bool {
        self.profile.rule(function).is_some()
    }

    /// The work that the host's last answer announced. It is told as
    /// [`TerminalEvent::WorkPending`] only when it changes; look here whether it still waits.
    #[must_use]
    pub fn announced(&self) -> Option<PendingWork> {
        self.profile.pending_work(self.announced)
    }

    /// The same session with the STAN of its next request, which otherwise follows from the time.
    #[must_use]
    pub fn with_next_stan(mut self, stan: u32) -> Self {
        self.stan = Some(stan.saturating_sub(1));
        self
    }

    /// Whether a sign-on was approved on this connection, and its keys, if any, opened.
    #[must_use]
    pub fn is_signed_on(&self) -> bool {
        self.signed_on
    }

    /// The terminal as it is on the wire, with the batch number in force.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Requests that wait for replies.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Signs on with the profile's first code; `serial` is the terminal's serial block (UnionPay DE62
    /// 用法十九), or empty.
    ///
    /// # Errors
    /// As for every request: when the profile has no such function, a value does not fit, or too
    /// much is outstanding.
    pub fn sign_on(&mut self, serial: &[u8], now: Timestamp) -> Result<(), ProtocolError> {
        self.sign_on_as(0, serial, now)
    }

    /// Signs on with the code at a place of the profile's list: UnionPay terminals ask with it for keys of
    /// one form or another.
    ///
    /// # Errors
    /// As for every request, and when the list has no such place.
    pub fn sign_on_as(&mut self, code: usize, serial: &[u8], now: Timestamp) -> Result<(), ProtocolError> {
        let body = (!serial.is_empty()).then_some(serial);
        self.request_as(Function::SignOn, code, Asked::Function(Function::SignOn), body, &[], now)
    }

    /// Signs off.
    ///
    /// # Errors
    /// As for every request.
    pub fn sign_off(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.ask(Function::SignOff, now)
    }

    /// Asks whether the host is there.
    ///
    /// # Errors
    /// As for every request.
    pub fn echo(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.ask(Function::Echo, now)
    }

    /// Sends the fixed status tags that the profile has.
    ///
    /// # Errors
    /// As for every request.
    pub fn status(&mut self, values: &Values, now: Timestamp) -> Result<(), ProtocolError> {
        let body = parameters::encode_tags(&self.profile, TagPlace::Status, values)?;
        self.request(Function::Status, Asked::Function(Function::Status), Some(&body), &[], now)
    }

    /// Sends the full report.
    ///
    /// # Errors
    /// As for every request.
    pub fn report(&mut self, report: &Report, now: Timestamp) -> Result<(), ProtocolError> {
        let (body, data) = report.encode()?;
        self.request(Function::Report, Asked::Function(Function::Report), Some(&body), &data, now)
    }

    /// Asks for the parameters.
    ///
    /// # Errors
    /// As for every request.
    pub fn request_parameters(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.ask(Function::Parameters, now)
    }

    /// Asks for work.
    ///
    /// # Errors
    /// As for every request.
    pub fn poll_task(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.ask(Function::TaskPoll, now)
    }

    /// Asks for a block of a file.
    ///
    /// # Errors
    /// As for every request.
    pub fn read_block(&mut self, request: BlockRequest, now: Timestamp) -> Result<(), ProtocolError> {
        let body = request.encode();
        self.request(Function::FileRead, Asked::Block(request), Some(&body), &[], now)
    }

    /// Asks the next question of a download.
    ///
    /// # Errors
    /// As for every request.
    pub fn download(&mut self, request: &DownloadRequest, now: Timestamp) -> Result<(), ProtocolError> {
        let body = request.encode();
        let body = (!body.is_empty()).then_some(body.as_slice());
        self.request(request.function(), Asked::Download(request.clone()), body, &[], now)
    }

    /// Tells how a task went.
    ///
    /// # Errors
    /// As for every request.
    pub fn send_result(&mut self, result: &TaskResult, now: Timestamp) -> Result<(), ProtocolError> {
        let asked = Asked::Result { operation: result.operation, step: result.step };
        self.request(Function::TaskResult, asked, Some(&result.encode()), &[], now)
    }

    /// Tells the host that something is wrong: the next of the [log](crate::alarm::AlarmLog).
    ///
    /// # Errors
    /// As for every request.
    pub fn alarm(&mut self, alarm: &Alarm, now: Timestamp) -> Result<(), ProtocolError> {
        self.request(Function::Alarm, Asked::Alarm(alarm.sequence), Some(&alarm.encode()), &[], now)
    }

    /// Sends a piece of a log.
    ///
    /// # Errors
    /// As for every request.
    pub fn upload(&mut self, chunk: &Chunk, now: Timestamp) -> Result<(), ProtocolError> {
        let Chunk { operation, offset, total_bytes, .. } = *chunk;
        let asked = Asked::Upload { operation, offset, total_bytes };
        self.request(Function::LogUpload, asked, Some(&chunk.encode()), &[], now)
    }

    /// What this session has seen so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Appends the next frame to send to `out`; `false` when there is none.
    pub fn poll_transmit_into(&mut self, out: &mut Vec<u8>) -> bool {
        self.outbox.pop_into(out)
    }

    /// The next frame to send, in memory of its own.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        self.outbox.pop_into(&mut frame).then_some(frame)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<TerminalEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.outstanding.iter().map(|o| o.deadline).min()
    }

    /// Gives up requests that were not answered in time.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.limit_waits(now);
        let (late, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.outstanding).into_iter().partition(|o| o.deadline <= now);
        self.outstanding = waiting;
        for sent in late {
            let reason = Reason::NoReplyInTime;
            self.events.push_back(TerminalEvent::Unanswered { request: sent.asked, reason });
        }
    }

    /// After a clock was set back, waits would else take as long as it was ahead.
    fn limit_waits(&mut self, now: Timestamp) {
        let latest = deadline(now);
        self.outstanding.iter_mut().for_each(|sent| sent.deadline = sent.deadline.min(latest));
    }

    /// A request that is nothing but its function.
    fn ask(&mut self, function: Function, now: Timestamp) -> Result<(), ProtocolError> {
        self.request(function, Asked::Function(function), None, &[], now)
    }

    fn request(
        &mut self,
        function: Function,
        asked: Asked,
        body: Option<&[u8]>,
        data: &[u8],
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        self.request_as(function, 0, asked, body, data, now)
    }

    /// A request with the code at a place of its rule's list.
    fn request_as(
        &mut self,
        function: Function,
        code: usize,
        asked: Asked,
        body: Option<&[u8]>,
        data: &[u8],
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        self.ask_with(function, asked, &Content { code, body, data, ..Content::default() }, now)
    }

    fn ask_with(
        &mut self,
        function: Function,
        asked: Asked,
        content: &Content<'_>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        self.limit_waits(now);
        let blocks = function == Function::FileRead;
        let limit = if blocks { MAX_BLOCKS_OUTSTANDING } else { MAX_OUTSTANDING };
        let alike = |sent: &&Outstanding| (sent.function == Function::FileRead) == blocks;
        if self.outstanding.iter().filter(alike).count() >= limit {
            return Err(ProtocolError::TooManyOutstanding { limit });
        }
        let profile = std::sync::Arc::clone(&self.profile);
        let rule = profile
            .rule(function)
            .filter(|rule| rule.from != Direction::Host)
            .ok_or(ProtocolError::NotInProfile(function))?;
        let stan = match content.trace {
            Some(trace) => trace,
            None => {
                let next = next_stan(self.stan.unwrap_or_else(|| stan_before_the_first(now)));
                *self.stan.insert(next)
            }
        };
        let code = rule.codes.get(content.code).ok_or(ProtocolError::NotInProfile(function))?.as_str();
        let mut builder = self.outbox.builder(profile.dialect(), rule.mti);
        Standard {
            profile: &profile,
            rule,
            code,
            stan: Some(stan),
            batch: content.batch.unwrap_or(self.identity.batch),
            terminal: self.identity.terminal.as_bytes(),
            merchant: self.identity.merchant.as_bytes(),
            response: None,
            transmitted: None,
            pending: None,
            now,
        }
        .fill(&mut builder, &rule.request.mandatory)?;
        for (n, value) in content.fields {
            builder.set_bytes(*n, value)?;
        }
        if let Some(body) = content.body {
            builder.set_bytes(profile.body_field(), body)?;
        }
        if let Some(operator) = &self.identity.operator
            && matches!(function, Function::SignOn | Function::Settlement)
            && rule.request.lists(63)
        {
            builder.set(63, operator)?;
        }
        message::put_spread(&profile, &mut builder, content.data)?;
        let (tpdu, header) = (Some(self.identity.tpdu), Some(self.identity.header));
        let body_bytes = self.send(&builder, Outgoing::Request(function), tpdu, header)?;
        self.outbox.keep(builder, body_bytes);
        self.outstanding.push(Outstanding {
            function,
            reply_mti: rule.mti.response().ok_or(ProtocolError::NotInProfile(function))?,
            stan: rule.request.always(11).then_some(stan),
            transmitted: message::echoed_time(&profile, rule, now),
            code: content.code,
            asked,
            deadline: deadline(now),
        });
        Ok(())
    }

    fn send(
        &mut self,
        builder: &Builder<'_>,
        outgoing: Outgoing,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
    ) -> Result<usize, ProtocolError> {
        let tpdu = tpdu.filter(|_| self.framing.has_tpdu());
        let header = header.filter(|_| self.framing.has_header());
        let gate = &self.gate;
        self.outbox.push(self.framing, tpdu, header, |body| gate.seal(builder, outgoing, body))
    }
}
