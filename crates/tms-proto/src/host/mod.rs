//! The host's end of one connection.

mod event;
mod push;
mod request;

use std::{collections::VecDeque, fmt};

use iso8583::{
    Builder, Message, Mti,
    framing::{Frame, Framing, Header, Tpdu},
};
use jiff::Timestamp;
use tms_crypto::mac::MacKey;

use crate::{
    authentic::{Admitted, Gate, Outgoing},
    error::ProtocolError,
    file::Block,
    message::{self, Standard},
    parameters,
    profile::{BodyLayout, Direction, Function, PendingPlace, PendingWork, Profile, Refusal, Rule, TagPlace},
    upload,
};

pub use event::{Answer, Exchange, HostEvent};

use push::Outstanding;
use request::read_request;

/// Requests of the host that may wait for replies at once.
const MAX_OUTSTANDING: usize = 4;
/// Messages that may be unusable in a row before the connection is given up.
const MAX_UNUSABLE_IN_A_ROW: u32 = 8;

/// The host's end of one connection. See the crate's front page for its use.
///
/// Requests come out of [`poll_event`](Self::poll_event) with an [`Exchange`], and are answered
/// with [`answer`](Self::answer); frames to send come out of
/// [`poll_transmit`](Self::poll_transmit). `Debug` prints no frames and no keys.
pub struct HostSession {
    profile: std::sync::Arc<Profile>,
    framing: Framing,
    gate: Gate,
    /// The TID of the terminal's certificate, when the transport proved one.
    expected_terminal: Option<String>,
    /// What every request is answered with, if none may be carried out.
    refuse_all: Option<Refusal>,
    peer: Option<Peer>,
    signed_on: bool,
    pending: Option<PendingWork>,
    stan: Option<u32>,
    unusable_in_a_row: u32,
    outstanding: Vec<Outstanding>,
    transmit: VecDeque<Vec<u8>>,
    events: VecDeque<HostEvent>,
}

/// The terminal as the last request named it.
#[derive(Debug, Clone)]
struct Peer {
    terminal: String,
    merchant: String,
    /// TPDU and header for the host's own requests.
    tpdu: Option<Tpdu>,
    header: Option<Header>,
}

impl fmt::Debug for HostSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSession")
            .field("peer", &self.peer)
            .field("signed_on", &self.signed_on)
            .field("outstanding", &self.outstanding)
            .field("frames_to_send", &self.transmit.len())
            .finish_non_exhaustive()
    }
}

impl HostSession {
    /// A session on a new connection. `expected_terminal` is the TID that the transport proved
    /// (the certificate's); a message that names another is refused.
    #[must_use]
    pub fn new(profile: std::sync::Arc<Profile>, expected_terminal: Option<String>) -> Self {
        let framing = profile.framing();
        Self {
            gate: Gate::new(std::sync::Arc::clone(&profile)),
            profile,
            framing,
            expected_terminal,
            refuse_all: None,
            peer: None,
            signed_on: false,
            pending: None,
            stan: None,
            unusable_in_a_row: 0,
            outstanding: Vec::new(),
            transmit: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The same session with a listener's own framing.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The same session for a peer that may do nothing: every request is refused, an echo too.
    #[must_use]
    pub fn refusing_all(mut self, refusal: Refusal) -> Self {
        self.refuse_all = Some(refusal);
        self
    }

    /// Takes the MAC key that this terminal was given beforehand, in a profile whose `[mac]` section
    /// has `key = "static"`. Keys of a sign-on come with [`Answer::Keys`] instead. [`Profile::static_mac_key`] makes it.
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

    /// Whether a sign-on was approved on this connection.
    #[must_use]
    pub fn is_signed_on(&self) -> bool {
        self.signed_on
    }

    /// Whether the host may push on this connection now: the terminal signed on, not too much is
    /// unanswered, and there is a MAC key if commands or parameters must carry one.
    #[must_use]
    pub fn can_push(&self) -> bool {
        let can_send = |function| self.profile.rule(function).is_none() || self.gate.can_send(function);
        self.profile.pushes()
            && self.signed_on
            && self.outstanding.len() < MAX_OUTSTANDING
            && can_send(Function::Command)
            && can_send(Function::ParameterPush)
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Says what waits for the terminal; every reply announces it until it changes.
    pub fn set_pending(&mut self, work: Option<PendingWork>) {
        self.pending = work;
    }

    /// Takes one whole frame.
    ///
    /// # Errors
    /// Only what ends the connection: a frame that is none, or too many unusable messages in a
    /// row. Everything else is answered, and told as [`HostEvent::Refused`].
    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), ProtocolError> {
        let frame = message::whole_frame(self.framing, frame)?;
        let profile = std::sync::Arc::clone(&self.profile);
        let message = match Message::parse(profile.dialect(), frame.body) {
            Ok(message) => message,
            Err(error) => {
                self.answer_unreadable(frame.body, frame.tpdu, frame.header, &error.to_string())?;
                self.unusable_in_a_row = self.unusable_in_a_row.saturating_add(1);
                if self.unusable_in_a_row >= MAX_UNUSABLE_IN_A_ROW {
                    return Err(error.into());
                }
                return Ok(());
            }
        };
        self.unusable_in_a_row = 0;
        if message.mti().response().is_none() {
            self.receive_reply(&message);
            return Ok(());
        }
        self.receive_request(&message, frame.tpdu, frame.header, now)
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the answer does not fit the dialect; the request then stays unanswered, and the
    /// terminal will repeat it.
    pub fn answer(
        &mut self,
        exchange: Exchange,
        answer: Answer<'_>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let rule = profile.rule(exchange.function).ok_or(ProtocolError::NotInProfile(exchange.function))?;
        let refusal = match answer {
            Answer::Refused(refusal) => Some(refusal),
            _ => None,
        };
        let mut builder = Builder::new(profile.dialect(), reply_mti(exchange.mti)?);
        self.fill_reply(&mut builder, rule, &exchange, refusal, now)?;
        let mut new_keys = None;
        match answer {
            Answer::Approved | Answer::Refused(_) | Answer::Task(None) => {}
            Answer::Keys { block, keys } => {
                put_body(&profile, &mut builder, block)?;
                new_keys = Some(keys);
            }
            Answer::Parameters(values) => match rule.body {
                BodyLayout::Tags => {
                    let tags = parameters::encode_tags(&profile, TagPlace::Parameters, values)?;
                    if !tags.is_empty() {
                        put_body(&profile, &mut builder, &tags)?;
                    }
                }
                _ => message::put_spread(&profile, &mut builder, &parameters::encode_named(values)?)?,
            },
            Answer::Task(Some(task)) => put_body(&profile, &mut builder, &task.encode())?,
            Answer::Block { offset, total_bytes, data } => {
                put_body(&profile, &mut builder, &Block::encode_header(offset, total_bytes, data))?;
                message::put_spread(&profile, &mut builder, data)?;
            }
            Answer::Uploaded(next) => put_body(&profile, &mut builder, &upload::encode_next(next))?,
        }
        let outgoing =
            Outgoing::Reply { to: Some(exchange.function), refusal, authentic: exchange.authentic };
        self.send(builder, outgoing, exchange.tpdu.map(Tpdu::swapped), exchange.header)?;
        match (exchange.function, refusal) {
            (Function::SignOn, None) => {
                self.signed_on = true;
                // What an earlier sign-on gave ends here, whether or not this one gives anything.
                self.gate.forget_working_key();
                new_keys.map_or(Ok(()), |keys| self.gate.set_working_keys(keys))?;
            }
            (Function::SignOn, Some(_)) => self.signed_on = false,
            (Function::SignOff, None) => {
                self.signed_on = false;
                self.gate.forget_working_key();
            }
            _ => {}
        }
        Ok(())
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    fn receive_request(
        &mut self,
        message: &Message<'_>,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let mut exchange = Exchange {
            function: Function::Echo,
            code: String::new(),
            mti: message.mti(),
            stan: message::stan(message),
            transmitted: message::transmitted(message),
            batch: batch(message),
            terminal: message.text("41").map(|t| t.into_owned()).unwrap_or_default(),
            merchant: message.text("42").map(|t| t.into_owned()).unwrap_or_default(),
            tpdu,
            header,
            authentic: false,
        };
        let Some(rule) = profile.classify(message) else {
            if let Some(missing) = profile.missing_selector(message) {
                let reason = format!("{} lacks mandatory DE{missing}", message.mti());
                return self.refuse_unknown(&exchange, message, Refusal::FormatError, reason);
            }
            let reason = format!("no function has MTI {} and these codes", message.mti());
            return self.refuse_unknown(&exchange, message, Refusal::NotSupported, reason);
        };
        exchange.function = rule.function;
        exchange.code = message.text(&rule.select).map(|c| c.into_owned()).unwrap_or_default();
        if rule.from == Direction::Host {
            // Its MAC may be right, and the host's own: it is no proof of a terminal.
            let reason = format!("{} comes from the host only", rule.function);
            return self.refuse(exchange, Refusal::NotSupported, reason, now);
        }
        // Before anything else is said of it, so that only who has the key gets answers with a MAC.
        let admitted = match self.gate.request(rule.function, message) {
            Ok(admitted) => admitted,
            Err(fault) => {
                let reason = format!("{}: {fault}", rule.function);
                return self.refuse(exchange, Refusal::MacWrong, reason, now);
            }
        };
        exchange.authentic = admitted.is_authentic();
        if let Some(missing) = rule.request.mandatory.iter().find(|n| !message.has(**n)) {
            let reason = format!("{} lacks mandatory DE{missing}", rule.function);
            return self.refuse(exchange, Refusal::FormatError, reason, now);
        }
        if let Some(refusal) = self.refuse_all {
            let reason = format!("{} of a peer that may do nothing", rule.function);
            return self.refuse(exchange, refusal, reason, now);
        }
        let named = exchange.terminal.trim_end();
        if let Some(expected) = self.expected_terminal.as_deref().filter(|e| *e != named) {
            let reason = format!("DE41 is {named}, the certificate is for {expected}");
            return self.refuse(exchange, Refusal::InvalidTerminal, reason, now);
        }
        self.take_request(rule.function, exchange, &admitted, now)
    }

    fn take_request(
        &mut self,
        function: Function,
        exchange: Exchange,
        admitted: &Admitted<'_, '_>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        if admitted.is_unchecked() {
            self.events.push_back(HostEvent::MacUnchecked(function));
        }
        self.peer = Some(Peer {
            terminal: exchange.terminal.clone(),
            merchant: exchange.merchant.clone(),
            tpdu: exchange.tpdu.map(Tpdu::swapped),
            header: exchange.header,
        });
        if function == Function::Echo {
            self.answer(exchange, Answer::Approved, now)?;
            self.events.push_back(HostEvent::Echo);
            return Ok(());
        }
        let profile = std::sync::Arc::clone(&self.profile);
        match read_request(&profile, function, admitted) {
            Ok(request) => {
                self.events.push_back(request.into_event(exchange));
                Ok(())
            }
            Err(error @ ProtocolError::Unexpected(_)) => {
                self.refuse(exchange, Refusal::NotSupported, error.to_string(), now)
            }
            Err(error) => self.refuse(exchange, Refusal::FormatError, error.to_string(), now),
        }
    }

    fn fill_reply(
        &self,
        builder: &mut Builder<'_>,
        rule: &Rule,
        exchange: &Exchange,
        refusal: Option<Refusal>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let response = match refusal {
            Some(refusal) => self.profile.code_of(rule.function, refusal),
            None => self.profile.approval(rule.function),
        };
        Standard {
            profile: &self.profile,
            rule,
            code: &exchange.code,
            stan: exchange.stan.unwrap_or(0),
            batch: exchange.batch,
            terminal: &exchange.terminal,
            merchant: &exchange.merchant,
            response: Some(response),
            transmitted: exchange.transmitted.as_deref(),
            now,
        }
        .fill(builder, &present(&rule.reply.mandatory, exchange))?;
        let digit = self.pending.and_then(|work| self.profile.pending_digit(work));
        if let (PendingPlace::Field(field), Some(digit)) = (self.profile.pending_place(), digit) {
            builder.set(field, &format!("{digit:02}"))?;
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        exchange: Exchange,
        refusal: Refusal,
        reason: String,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let function = Some(exchange.function);
        self.answer(exchange, Answer::Refused(refusal), now)?;
        self.events.push_back(HostEvent::Refused { function, refusal, reason });
        Ok(())
    }

    /// Answers a well-formed message that no rule knows: echo what identifies it, and the code.
    fn refuse_unknown(
        &mut self,
        exchange: &Exchange,
        message: &Message<'_>,
        refusal: Refusal,
        reason: String,
    ) -> Result<(), ProtocolError> {
        let selector = self.profile.selector_template().map(|(field, _)| field);
        let mut builder = Builder::new(self.profile.dialect(), reply_mti(exchange.mti)?);
        for n in [3, 7, 11, 41, 42, 70].into_iter().chain(selector) {
            if let Some(text) = message.text(&n.to_string()) {
                builder.set(n, &text)?;
            }
        }
        builder.set(39, self.profile.code(refusal))?;
        let outgoing = Outgoing::Reply { to: None, refusal: Some(refusal), authentic: false };
        self.send(builder, outgoing, exchange.tpdu.map(Tpdu::swapped), exchange.header)?;
        self.events.push_back(HostEvent::Refused { function: None, refusal, reason });
        Ok(())
    }

    /// Answers bytes that are no message of the dialect, if at least their MTI asks for a reply.
    fn answer_unreadable(
        &mut self,
        body: &[u8],
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        reason: &str,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        if let Some(mti) = Message::peek_mti(profile.dialect(), body).and_then(Mti::response) {
            let mut builder = Builder::new(profile.dialect(), mti);
            if let Some(peer) = &self.peer {
                builder.set(41, &peer.terminal)?;
            }
            builder.set(39, profile.code(Refusal::FormatError))?;
            let refusal = Some(Refusal::FormatError);
            let outgoing = Outgoing::Reply { to: None, refusal, authentic: false };
            self.send(builder, outgoing, tpdu.map(Tpdu::swapped), header)?;
        }
        self.events.push_back(HostEvent::Refused {
            function: None,
            refusal: Refusal::FormatError,
            reason: reason.to_owned(),
        });
        Ok(())
    }

    fn send(
        &mut self,
        builder: Builder<'_>,
        outgoing: Outgoing,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
    ) -> Result<(), ProtocolError> {
        let body = self.gate.seal(builder, outgoing)?;
        let digit = match self.profile.pending_place() {
            PendingPlace::Header => self.pending.and_then(|work| self.profile.pending_digit(work)),
            PendingPlace::Field(_) => None,
        };
        let header = header.map(|header| header.with_processing_requirement(digit.unwrap_or(0)));
        let mut frame = Vec::with_capacity(body.len().saturating_add(16));
        self.framing.encode(&mut frame, &Frame { tpdu, header, vendor: &[], body: &body })?;
        self.transmit.push_back(frame);
        Ok(())
    }
}

fn put_body(profile: &Profile, builder: &mut Builder<'_>, body: &[u8]) -> Result<(), ProtocolError> {
    builder.set_bytes(profile.body_field(), body)?;
    Ok(())
}

/// The reply fields that can be filled: a refusal for a missing mandatory field cannot echo it.
fn present(fields: &[u8], exchange: &Exchange) -> Vec<u8> {
    fields
        .iter()
        .copied()
        .filter(|n| match n {
            11 => exchange.stan.is_some(),
            41 => !exchange.terminal.is_empty(),
            42 => !exchange.merchant.is_empty(),
            _ => true,
        })
        .collect()
}

fn reply_mti(mti: Mti) -> Result<Mti, ProtocolError> {
    mti.response().ok_or_else(|| ProtocolError::Unexpected(format!("{mti} has no reply")))
}

fn batch(message: &Message<'_>) -> u32 {
    message.text("60.2").and_then(|t| t.parse().ok()).unwrap_or(0)
}
