//! What comes in: replies to what the terminal asked, and requests of the host.

use iso8583::{
    Message,
    framing::{Frame, Header, Tpdu},
};
use jiff::{SignedDuration, Timestamp};

use super::{Asked, HostRequest, KeyBlock, Outstanding, TerminalEvent, TerminalSession};
use crate::{
    authentic::{Admitted, Outgoing},
    emv::DownloadBody,
    error::ProtocolError,
    file::Block,
    label::Code,
    message,
    parameters::{self, Action, Push, RecordFile, Values},
    profile::{BodyLayout, Direction, Function, PendingPlace, PendingWork, Profile, Refusal, TagPlace},
    reason::Reason,
    settlement,
    task::Task,
    upload,
};

/// Messages that may be of no use in a row before the connection is given up: all replies of a window that
/// was given up as unanswered may still come, one after the other.
const MAX_USELESS_IN_A_ROW: u32 = 600;
/// How long after a sign-on an announcement that did not change asks for another one.
const SIGN_ON_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

impl TerminalSession {
    /// Takes one whole frame.
    ///
    /// # Errors
    /// Only what ends the connection: a frame that is none, too many messages of no use in a row, or
    /// more events and frames than a driver may leave untaken. Everything else is told as
    /// [`TerminalEvent::Dropped`], and answered if it asks for an answer.
    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), ProtocolError> {
        self.events.check()?;
        let frame = message::whole_frame(self.framing, frame)?;
        self.counts.messages = self.counts.messages.saturating_add(1);
        let profile = std::sync::Arc::clone(&self.profile);
        let message = match Message::parse(profile.dialect(), frame.body) {
            Ok(message) => message,
            Err(error) => {
                self.counts.unreadable = self.counts.unreadable.saturating_add(1);
                self.answer_unreadable(&frame)?;
                return self.drop_message(Reason::Unreadable(error));
            }
        };
        if message.mti().response().is_some() {
            return self.receive_request(&message, frame.tpdu, frame.header, now);
        }
        self.receive_reply(&message, frame.header, now)
    }

    fn receive_reply(
        &mut self,
        message: &Message<'_>,
        header: Option<Header>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let Some(index) = self.outstanding.iter().position(|o| o.is_answered_by(&profile, message)) else {
            self.counts.strays = self.counts.strays.saturating_add(1);
            return self.drop_message(Reason::AnswersNothing(message.mti()));
        };
        let Some(function) = self.outstanding.get(index).map(|sent| sent.function) else { return Ok(()) };
        let reply = Some(message.mti());
        let code = message.text("39");
        let refusal = profile.outcome(function, code.as_deref());
        let code = code.map(|c| c.into_owned()).unwrap_or_default();
        match self.gate.reply(function, refusal, message) {
            // One key may serve many terminals, so this one's own reply may yet come.
            Ok(admitted) if admitted.is_authentic() && !self.is_own(function, message) => {
                self.drop_message(Reason::Foreign { reply: Some((message.mti(), function)) })
            }
            Ok(admitted) => {
                self.useless_in_a_row = 0;
                let sent = self.outstanding.swap_remove(index);
                self.take_reply(sent, refusal, code, &admitted);
                let signed_on = function == Function::SignOn && refusal.is_none() && self.signed_on;
                self.note_pending(&admitted, header, signed_on, now);
                Ok(())
            }
            // The request still waits: the true reply may yet come.
            Err(fault) => self.drop_message(Reason::Mac { function, reply, fault }),
        }
    }

    /// Tells of a message of no use. A few can be an accident; a host that sends nothing else is none of
    /// ours.
    fn drop_message(&mut self, reason: Reason) -> Result<(), ProtocolError> {
        self.useless_in_a_row = self.useless_in_a_row.saturating_add(1);
        self.events.push_back(TerminalEvent::Dropped(reason.clone()));
        if self.useless_in_a_row < MAX_USELESS_IN_A_ROW {
            return Ok(());
        }
        Err(ProtocolError::Useless { count: self.useless_in_a_row, reason })
    }

    /// Answers bytes that are no message of the dialect, if at least their type asks for a reply.
    fn answer_unreadable(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let Some(mut builder) = message::echo_part(&profile, frame.body) else { return Ok(()) };
        let refusal = Refusal::FormatError;
        builder.set_bytes(39, profile.code(refusal).as_bytes())?;
        builder.set_bytes(41, self.identity.terminal.as_bytes())?;
        self.counts.note_refusal(refusal);
        let outgoing = Outgoing::Reply { to: None, refusal: Some(refusal), authentic: false };
        self.send(&builder, outgoing, frame.tpdu.map(Tpdu::swapped), frame.header)?;
        Ok(())
    }

    fn take_reply(
        &mut self,
        sent: Outstanding,
        refusal: Option<Refusal>,
        code: String,
        admitted: &Admitted<'_, '_>,
    ) {
        if admitted.is_unchecked() {
            self.events.push_back(TerminalEvent::MacUnchecked(sent.function));
        }
        let event = if !self.is_own(sent.function, admitted.message()) {
            TerminalEvent::Unanswered { request: sent.asked, reason: Reason::Foreign { reply: None } }
        } else if let Some(refusal) = refusal {
            if refusal == Refusal::MacWrong && !self.can_ask_for_keys(sent.function) {
                // The host has no key, or another one: only a sign-on mends that.
                self.end_keys();
            }
            TerminalEvent::Refused { request: sent.asked, refusal, code }
        } else {
            match self.take_approval(&sent, admitted) {
                Ok(event) => event,
                Err(error) => TerminalEvent::Unanswered { request: sent.asked, reason: error.into() },
            }
        };
        self.events.push_back(event);
    }

    /// Whether a reply is for this terminal. DE41 is equal always, a refusal's too (unionpay.md §1.3);
    /// only a profile whose replies have none may do without.
    fn is_own(&self, function: Function, message: &Message<'_>) -> bool {
        let listed = self.profile.rule(function).is_some_and(|rule| rule.reply.always(41));
        (!listed && !message.has(41)) || message::names_terminal(message, self.identity.terminal.as_bytes())
    }

    fn take_approval(
        &mut self,
        sent: &Outstanding,
        admitted: &Admitted<'_, '_>,
    ) -> Result<TerminalEvent, ProtocolError> {
        let message = admitted.message();
        let body = message.bytes(self.profile.body_field());
        match sent.function {
            Function::SignOn => {
                let batch = self.batch_of(message);
                self.signed_on(body.map(|block| KeyBlock(block.to_vec())), batch)
            }
            Function::KeyRequest => self.keys_received(body.unwrap_or_default()),
            Function::SignOff => {
                self.end_keys();
                Ok(TerminalEvent::SignedOff)
            }
            _ => self.read_reply(sent, admitted),
        }
    }

    /// The batch number that a host gives with a sign-on, when it is another one (unionpay.md §3).
    fn batch_of(&self, message: &Message<'_>) -> Option<u32> {
        let (_, template) = self.profile.selector_template().filter(|(field, _)| *field == 60)?;
        let given = template.contains("{batch}").then(|| message::batch(message))?;
        (given != self.identity.batch && (1..999_999).contains(&given)).then_some(given)
    }

    fn read_reply(
        &self,
        sent: &Outstanding,
        admitted: &Admitted<'_, '_>,
    ) -> Result<TerminalEvent, ProtocolError> {
        let message = admitted.message();
        let body = message.bytes(self.profile.body_field());
        Ok(match (sent.function, &sent.asked) {
            (Function::Echo, _) => TerminalEvent::EchoAnswered,
            (function @ (Function::TmkKey | Function::TmkRequest | Function::TmkActivate), _) => {
                let content = KeyBlock(body.unwrap_or_default().to_vec());
                TerminalEvent::MasterKey { function, content }
            }
            (Function::Status, _) => TerminalEvent::StatusTaken,
            (Function::Report, _) => TerminalEvent::ReportTaken,
            (Function::Parameters, _) => TerminalEvent::Parameters(self.read_parameters(message, body)?),
            (Function::TaskPoll, _) => TerminalEvent::Task(body.map(Task::decode_named).transpose()?),
            (_, Asked::Block(request)) => {
                let data = message::take_spread(&self.profile, message);
                let block = Block::decode(body.unwrap_or_default(), data)?;
                if block.offset != request.offset {
                    return Err(ProtocolError::body("file block", "is not the one asked for"));
                }
                TerminalEvent::Block(block)
            }
            (_, Asked::Download(request)) => TerminalEvent::Download {
                request: request.clone(),
                body: DownloadBody(body.unwrap_or_default().to_vec()),
            },
            (_, Asked::Result { operation, step }) => {
                TerminalEvent::ResultTaken { operation: *operation, step: *step }
            }
            (_, Asked::Alarm(sequence)) => TerminalEvent::AlarmTaken { sequence: *sequence },
            (_, Asked::Upload { operation, total_bytes, .. }) => TerminalEvent::Uploaded {
                operation: *operation,
                next: upload::decode_next(body.unwrap_or_default(), *total_bytes)?,
            },
            (_, Asked::Journal { operation, total_bytes, .. }) => TerminalEvent::JournalUploaded {
                operation: *operation,
                next: upload::decode_next(body.unwrap_or_default(), *total_bytes)?,
            },
            (_, Asked::Batch { batch, message: asked }) => match &**asked {
                settlement::Message::Totals(_) => {
                    let totals = settlement::read_totals(&self.profile, message, *batch)?;
                    TerminalEvent::TotalsAnswered { batch: *batch, totals }
                }
                settlement::Message::Batch(taken) => {
                    settlement::check_batch(&self.profile, message, *batch)?;
                    TerminalEvent::BatchTaken { batch: *batch, message: taken.clone() }
                }
            },
            (function, Asked::Function(_)) => return Err(ProtocolError::Unexpected(function.to_string())),
        })
    }

    fn read_parameters(&self, message: &Message<'_>, body: Option<&[u8]>) -> Result<Values, ProtocolError> {
        match self.profile.rule(Function::Parameters).map(|rule| rule.body) {
            Some(BodyLayout::Tags) => {
                parameters::decode_tags(&self.profile, TagPlace::Parameters, body.unwrap_or_default())
            }
            _ => parameters::decode_named(&message::take_spread(&self.profile, message)),
        }
    }

    fn receive_request(
        &mut self,
        message: &Message<'_>,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let Some(found) = profile.identify(message).filter(|found| found.rule.from != Direction::Terminal)
        else {
            return self.drop_message(Reason::NoRequestOfTheHost(message.mti()));
        };
        let rule = found.rule;
        if message.mti().is_repeat() {
            self.counts.repeats = self.counts.repeats.saturating_add(1);
        }
        let mut request = HostRequest {
            function: rule.function,
            code: Code::new(found.code().as_bytes()),
            file: record_file(rule.function, message),
            mti: message.mti(),
            stan: message::stan(message),
            transmitted: message::transmitted(message),
            tpdu,
            header,
            authentic: false,
        };
        // First, so that only who has the key gets answers with a MAC.
        let admitted = match self.gate.request(rule.function, message) {
            Ok(admitted) => admitted,
            Err(fault) => {
                self.answer(request, Some(Refusal::MacWrong), now)?;
                return self.drop_message(Reason::Mac { function: rule.function, reply: None, fault });
            }
        };
        request.authentic = admitted.is_authentic();
        let own = message::names_terminal(message, self.identity.terminal.as_bytes());
        if !own || message::lacks(message, &rule.request.mandatory).is_some() {
            self.answer(request, Some(Refusal::FormatError), now)?;
            return self.drop_message(Reason::NotForUs(rule.function));
        }
        self.useless_in_a_row = 0;
        self.take_request(request, &admitted, now)
    }

    fn take_request(
        &mut self,
        request: HostRequest,
        admitted: &Admitted<'_, '_>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let message = admitted.message();
        if admitted.is_unchecked() {
            self.events.push_back(TerminalEvent::MacUnchecked(request.function));
        }
        let event = match request.function {
            Function::Echo => return self.answer(request, None, now),
            Function::KeyExchange => {
                return self.keys_pushed(
                    request,
                    message.bytes(profile.body_field()).unwrap_or_default(),
                    now,
                );
            }
            Function::Command => Task::decode(message.bytes(profile.body_field()).unwrap_or_default())
                .map(HostMessage::Command),
            Function::ParameterPush => {
                let codes = profile.rule(request.function).map_or(&[][..], |rule| &rule.codes);
                let place = codes.iter().position(|code| *code == request.code.as_str());
                let action = Action::ALL.into_iter().find(|action| Some(action.place()) == place);
                let (Some(file), Some(action)) = (request.file, action) else {
                    return self.answer(request, Some(Refusal::NotSupported), now);
                };
                Push::decode(file, action, &message::take_spread(&profile, message)).map(HostMessage::Push)
            }
            _ => return self.answer(request, Some(Refusal::NotSupported), now),
        };
        match event {
            Ok(HostMessage::Command(task)) => self.events.push_back(TerminalEvent::Command { request, task }),
            Ok(HostMessage::Push(push)) => {
                self.events.push_back(TerminalEvent::ParameterPush { request, push })
            }
            Err(error) => {
                self.answer(request, Some(Refusal::FormatError), now)?;
                return self.drop_message(error.into());
            }
        }
        Ok(())
    }

    /// The UnionPay header is outside every MAC: what it announces is only ever a reason to ask.
    fn note_pending(
        &mut self,
        admitted: &Admitted<'_, '_>,
        header: Option<Header>,
        signed_on: bool,
        now: Timestamp,
    ) {
        let message = admitted.message();
        let digit = match self.profile.pending_place() {
            PendingPlace::Header => header.map_or(0, Header::processing_requirement),
            PendingPlace::Field(field) => {
                let number = message.field(field).and_then(|field| field.u64().ok());
                number.and_then(|number| u8::try_from(number).ok()).unwrap_or(0)
            }
        };
        let work = self.profile.pending_work(digit);
        let to_sign_on = work == Some(PendingWork::SignOn);
        if signed_on {
            // What was announced before is told anew; but this reply asks for no other sign-on than the one
            // that it answers.
            self.announced = if to_sign_on { digit } else { 0 };
            self.sign_on_known = Some(now);
        }
        // A host that goes on asking for a sign-on wants another one, only not one after every reply.
        // A clock that was set back since says nothing of how long ago that was.
        let long_ago = |at: Timestamp| now.duration_since(at).abs() >= SIGN_ON_AGAIN_AFTER;
        let again = to_sign_on && self.sign_on_known.is_some_and(long_ago);
        if digit == self.announced && !again {
            return;
        }
        self.announced = digit;
        if to_sign_on {
            self.sign_on_known = Some(now);
        }
        match work {
            Some(work) => self.events.push_back(TerminalEvent::WorkPending(work)),
            None if digit != 0 => self.events.push_back(TerminalEvent::WorkUnknown(digit)),
            None => {}
        }
    }
}

/// DE101 of a push.
fn record_file(function: Function, message: &Message<'_>) -> Option<RecordFile> {
    if function != Function::ParameterPush {
        return None;
    }
    RecordFile::named(&message.text("101")?)
}

enum HostMessage {
    Command(Task),
    Push(Push),
}

impl Outstanding {
    fn is_answered_by(&self, profile: &Profile, message: &Message<'_>) -> bool {
        let has_code = || profile.has_code(self.function, self.code, message);
        message.mti() == self.reply_mti
            && (self.transmitted.is_none() || self.transmitted == message::transmitted(message))
            && match self.stan {
                // A code of another function tells a message apart that only looks like the reply.
                Some(stan) => message::stan(message) == Some(stan) && has_code() != Some(false),
                None => has_code() == Some(true),
            }
    }
}
