//! The host's own requests: commands, parameters and echoes on a session that may be pushed to.

use iso8583::{Builder, Message, Mti};
use jiff::Timestamp;

use super::{
    HostEvent, HostSession, MAX_OUTSTANDING,
    pushing::{Pushing, Turn},
    put_body, reply_mti,
};
use crate::{
    authentic::{Admitted, Outgoing},
    error::ProtocolError,
    label::Name,
    message::{self, Standard, deadline, next_stan, stan_before_the_first},
    parameters::Push,
    profile::{Direction, Function, Profile, Refusal},
    reason::Reason,
    task::Task,
};

#[derive(Debug)]
pub(super) struct Outstanding {
    function: Function,
    stan: u32,
    /// DE7, when a reply must echo it.
    transmitted: Option<u64>,
    /// DE41, when a reply has it: one MAC key may serve many terminals.
    terminal: Option<Name>,
    reply_mti: Mti,
    /// Place of its code among those of the function.
    code: usize,
    deadline: Timestamp,
    request: Sent,
}

#[derive(Debug)]
pub(super) enum Sent {
    Command(Task),
    Push(Box<Pushing>),
    Echo,
    Keys {
        /// Which offer.
        offer: u32,
    },
}

impl HostSession {
    /// Pushes a command to a signed-on terminal.
    ///
    /// # Errors
    /// When the profile has no push, or too much is outstanding.
    pub fn push_command(&mut self, task: Task, now: Timestamp) -> Result<(), ProtocolError> {
        let body = task.encode();
        self.push(
            (Function::Command, 0),
            Sent::Command(task),
            |profile, builder| put_body(profile, builder, &body),
            now,
        )
    }

    /// Pushes records to a signed-on terminal, in as many messages as they need, one after the other.
    ///
    /// # Errors
    /// When the profile has no push or no such file, too much is outstanding, or the set does not fit.
    pub fn push_parameters(&mut self, push: Push, now: Timestamp) -> Result<(), ProtocolError> {
        let pushing = Pushing::new(push, self.profile.data_bytes())?;
        self.push_message(Box::new(pushing), now)
    }

    fn push_message(&mut self, pushing: Box<Pushing>, now: Timestamp) -> Result<(), ProtocolError> {
        let message = pushing.message();
        let (file, place) = (message.file.name(), message.action.place());
        let data = message.encode()?;
        self.push(
            (Function::ParameterPush, place),
            Sent::Push(pushing),
            |profile, builder| {
                let files = profile.rule(Function::ParameterPush).map_or(&[][..], |rule| &rule.files);
                if !files.iter().any(|known| known == file) {
                    return Err(ProtocolError::NotInProfile(Function::ParameterPush));
                }
                builder.set(101, file)?;
                message::put_spread(profile, builder, &data)
            },
            now,
        )
    }

    /// Asks whether the terminal is there.
    ///
    /// # Errors
    /// When the profile gives the host no echo, or too much is outstanding.
    pub fn push_echo(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.push((Function::Echo, 0), Sent::Echo, |_, _| Ok(()), now)
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
            self.events.push_back(HostEvent::TimedOut(sent.function));
        }
    }

    /// After a clock was set back, waits would else take as long as it was ahead.
    fn limit_waits(&mut self, now: Timestamp) {
        let latest = deadline(now);
        self.outstanding.iter_mut().for_each(|sent| sent.deadline = sent.deadline.min(latest));
    }

    pub(super) fn receive_reply(
        &mut self,
        message: &Message<'_>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let Some(sent) = self.outstanding.iter().find(|o| o.is_answered_by(&profile, message)) else {
            self.counts.strays = self.counts.strays.saturating_add(1);
            let reason = Reason::AnswersNothing(message.mti());
            self.events.push_back(HostEvent::Refused {
                function: None,
                refusal: Refusal::FormatError,
                reason: reason.clone(),
            });
            return self.note_useless(reason);
        };
        let (function, stan) = (sent.function, sent.stan);
        let refusal = self.profile.outcome(function, message.text("39").as_deref());
        match self.gate.reply(function, refusal, message) {
            Ok(admitted) => {
                self.useless_in_a_row = 0;
                self.note_keys();
                self.take_reply(stan, refusal, &admitted, now);
                Ok(())
            }
            // The request still waits: the true reply may yet come.
            Err(fault) => {
                let reason = Reason::Mac { function, reply: Some(message.mti()), fault };
                self.events.push_back(HostEvent::Refused {
                    function: Some(function),
                    refusal: Refusal::MacWrong,
                    reason: reason.clone(),
                });
                self.note_useless(reason)
            }
        }
    }

    fn take_reply(
        &mut self,
        stan: u32,
        refusal: Option<Refusal>,
        admitted: &Admitted<'_, '_>,
        now: Timestamp,
    ) {
        let Some(index) = self.outstanding.iter().position(|o| o.stan == stan) else { return };
        let sent = self.outstanding.swap_remove(index);
        if admitted.is_unchecked() {
            self.events.push_back(HostEvent::MacUnchecked(sent.function));
        }
        let event = match sent.request {
            Sent::Command(task) => HostEvent::CommandAnswered { task, refusal },
            Sent::Push(pushing) => {
                let data = message::take_spread(&self.profile, admitted.message());
                match pushing.answered(refusal, &data) {
                    Turn::Over(event) => *event,
                    Turn::Next(pushing) => match self.push_message(pushing, now) {
                        Ok(()) => return,
                        // The caller offers again what was not answered.
                        Err(_) => HostEvent::TimedOut(sent.function),
                    },
                }
            }
            Sent::Echo => HostEvent::EchoAnswered,
            Sent::Keys { offer } => return self.keys_answered(offer, refusal, admitted),
        };
        self.events.push_back(event);
    }

    pub(super) fn push(
        &mut self,
        (function, place): (Function, usize),
        request: Sent,
        body: impl FnOnce(&Profile, &mut Builder<'_>) -> Result<(), ProtocolError>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let rule = profile
            .rule(function)
            .filter(|rule| profile.pushes() && rule.from != Direction::Terminal)
            .ok_or(ProtocolError::NotInProfile(function))?;
        let peer = self
            .peer
            .filter(|_| self.signed_on)
            .ok_or_else(|| ProtocolError::Unexpected(format!("{function} before the terminal signed on")))?;
        self.limit_waits(now);
        if self.outstanding.len() >= MAX_OUTSTANDING {
            return Err(ProtocolError::TooManyOutstanding { limit: MAX_OUTSTANDING });
        }
        let stan = next_stan(self.stan.unwrap_or_else(|| stan_before_the_first(now)));
        self.stan = Some(stan);
        let code = rule.codes.get(place).ok_or(ProtocolError::NotInProfile(function))?;
        let mut builder = self.outbox.builder(profile.dialect(), rule.mti);
        Standard {
            profile: &profile,
            rule,
            code,
            stan: Some(stan),
            batch: 1,
            terminal: peer.terminal.as_bytes(),
            merchant: peer.merchant.as_bytes(),
            response: None,
            transmitted: None,
            pending: None,
            now,
        }
        .fill(&mut builder, &rule.request.mandatory)?;
        body(&profile, &mut builder)?;
        let body_bytes = self.send(&builder, Outgoing::Request(function), peer.tpdu, peer.header)?;
        self.outbox.keep(builder, body_bytes);
        self.outstanding.push(Outstanding {
            function,
            stan,
            transmitted: message::echoed_time(&profile, rule, now),
            terminal: rule.reply.always(41).then_some(peer.terminal),
            reply_mti: reply_mti(rule.mti)?,
            code: place,
            deadline: deadline(now),
            request,
        });
        Ok(())
    }
}

impl Outstanding {
    /// By type, STAN and terminal. A code of another function tells a message apart that only looks like the
    /// reply, such as one of the host's own sent back to it.
    fn is_answered_by(&self, profile: &Profile, message: &Message<'_>) -> bool {
        message.mti() == self.reply_mti
            && message::stan(message) == Some(self.stan)
            && (self.transmitted.is_none() || self.transmitted == message::transmitted(message))
            && self.terminal.is_none_or(|tid| message::names_terminal(message, tid.as_bytes()))
            && profile.has_code(self.function, self.code, message) != Some(false)
    }
}
