//! What comes in: requests of the terminal, and what is told apart from them.

use iso8583::{
    Message,
    framing::{Header, Tpdu},
};
use jiff::Timestamp;

use super::{Answer, Exchange, HostEvent, HostSession, Peer, request::read_request};
use crate::{
    authentic::Admitted,
    error::ProtocolError,
    label::{Code, Name},
    message,
    profile::{Direction, Function, Refusal},
    reason::Reason,
};

/// Messages that may be of no use in a row before the connection is given up.
const MAX_USELESS_IN_A_ROW: u32 = 8;

impl HostSession {
    /// Takes one whole frame.
    ///
    /// # Errors
    /// Only what ends the connection: a frame that is none, too many messages of no use in a row, or
    /// more events and frames than a driver may leave untaken. Everything else is answered, and told as
    /// [`HostEvent::Refused`].
    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), ProtocolError> {
        self.events.check()?;
        let frame = message::whole_frame(self.framing, frame)?;
        self.counts.messages = self.counts.messages.saturating_add(1);
        let profile = std::sync::Arc::clone(&self.profile);
        let message = match Message::parse(profile.dialect(), frame.body) {
            Ok(message) => message,
            Err(error) => {
                self.counts.unreadable = self.counts.unreadable.saturating_add(1);
                let reason = Reason::Unreadable(error);
                self.answer_unreadable(frame.body, frame.tpdu, frame.header, reason.clone())?;
                return self.note_useless(reason);
            }
        };
        if message.mti().response().is_none() {
            return self.receive_reply(&message, now);
        }
        self.useless_in_a_row = 0;
        self.receive_request(&message, frame.tpdu, frame.header, now)
    }

    /// Counts a message of no use. A few can be an accident; a peer that sends nothing else is none of ours.
    pub(super) fn note_useless(&mut self, reason: Reason) -> Result<(), ProtocolError> {
        self.useless_in_a_row = self.useless_in_a_row.saturating_add(1);
        if self.useless_in_a_row < MAX_USELESS_IN_A_ROW {
            return Ok(());
        }
        Err(ProtocolError::Useless { count: self.useless_in_a_row, reason })
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
            code: Code::default(),
            mti: message.mti(),
            stan: message::stan(message),
            transmitted: message::transmitted(message),
            batch: message::batch(message),
            terminal: message::label(message, 41),
            merchant: message::label(message, 42),
            tpdu,
            header,
            authentic: false,
            alarm: None,
            repeated: false,
        };
        if message.mti().is_repeat() {
            self.counts.repeats = self.counts.repeats.saturating_add(1);
        }
        let Some(found) = profile.identify(message) else {
            if let Some(missing) = profile.missing_selector(message) {
                let reason = Reason::NoSelector { mti: message.mti(), field: missing };
                return self.refuse_unknown(&exchange, message, Refusal::FormatError, reason);
            }
            let reason = Reason::UnknownFunction(message.mti());
            return self.refuse_unknown(&exchange, message, Refusal::NotSupported, reason);
        };
        let rule = found.rule;
        exchange.function = rule.function;
        exchange.code = Code::new(found.code().as_bytes());
        if rule.from == Direction::Host {
            // Its MAC may be right, and the host's own: it is no proof of a terminal.
            return self.refuse(exchange, Refusal::NotSupported, Reason::HostOnly(rule.function), now);
        }
        // Before anything else is said of it, so that only who has the key gets answers with a MAC.
        let admitted = match self.gate.request(rule.function, message) {
            Ok(admitted) => admitted,
            Err(fault) => {
                let reason = Reason::Mac { function: rule.function, reply: None, fault };
                return self.refuse(exchange, Refusal::MacWrong, reason, now);
            }
        };
        exchange.authentic = admitted.is_authentic();
        self.note_keys();
        if let Some(field) = message::lacks(message, &rule.request.mandatory) {
            let reason = Reason::LacksField { function: rule.function, field };
            return self.refuse(exchange, Refusal::FormatError, reason, now);
        }
        if let Some(refusal) = self.refuse_all {
            return self.refuse(exchange, refusal, Reason::PeerRefused(rule.function), now);
        }
        let named = exchange.terminal.as_bytes().trim_ascii_end();
        if let Some(expected) = self.expected_terminal.as_ref().filter(|e| e.as_bytes() != named) {
            let reason =
                Reason::OtherTerminal { named: Name::new(named), expected: Name::new(expected.as_bytes()) };
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
            terminal: exchange.terminal,
            merchant: exchange.merchant,
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
                self.events.push_back(request.into_event(exchange, self.last_alarm));
                Ok(())
            }
            Err(ProtocolError::Unexpected(_)) => {
                self.refuse(exchange, Refusal::NotSupported, Reason::Unexpected(function), now)
            }
            Err(error) => self.refuse(exchange, Refusal::FormatError, error.into(), now),
        }
    }
}
