//! What the host says: replies to requests, and refusals of what it cannot act on.

use iso8583::{
    Builder, Message,
    framing::{Header, Tpdu},
};
use jiff::Timestamp;

use super::{Answer, Exchange, HostEvent, HostSession, put_body, reply_mti};
use crate::{
    authentic::Outgoing,
    error::ProtocolError,
    file::Block,
    message::{self, Standard},
    parameters,
    profile::{BodyLayout, Function, PendingPlace, Refusal, Rule, TagPlace},
    reason::Reason,
    settlement::{self, Parts},
    upload,
};

impl HostSession {
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
        let mut builder = self.outbox.builder(profile.dialect(), reply_mti(exchange.mti)?);
        self.fill_reply(&mut builder, rule, &exchange, refusal, now)?;
        let mut new_keys = None;
        let mut offer = None;
        match answer {
            Answer::Approved | Answer::Refused(_) | Answer::Task(None) => {}
            Answer::Keys { block, keys } if exchange.function == Function::KeyRequest => {
                let sent = self.offered(block, keys);
                let put = put_body(&profile, &mut builder, &sent.block);
                offer = Some(sent);
                put?;
            }
            Answer::Keys { block, keys } => {
                put_body(&profile, &mut builder, block)?;
                new_keys = Some(keys);
            }
            Answer::MasterKey(content) => put_body(&profile, &mut builder, content)?,
            Answer::Parameters(values) => match rule.body {
                BodyLayout::Tags => {
                    let tags = parameters::encode_tags(&profile, TagPlace::Parameters, values)?;
                    if !tags.is_empty() {
                        put_body(&profile, &mut builder, &tags)?;
                    }
                }
                _ => message::put_spread(&profile, &mut builder, &parameters::encode_named(values)?)?,
            },
            Answer::Download(body) => {
                if !body.is_empty() {
                    put_body(&profile, &mut builder, body)?;
                }
            }
            Answer::Task(Some(task)) => put_body(&profile, &mut builder, &task.encode())?,
            Answer::Block { offset, total_bytes, data } => {
                put_body(&profile, &mut builder, &Block::encode_header(offset, total_bytes, data))?;
                message::put_spread(&profile, &mut builder, data)?;
            }
            Answer::Uploaded(next) => put_body(&profile, &mut builder, &upload::encode_next(next))?,
            Answer::Settled { batch, totals } => {
                put_parts(&mut builder, &settlement::Message::Totals(*totals).reply(&profile, rule, batch)?)?;
            }
            Answer::BatchTaken { batch, message } => {
                put_parts(
                    &mut builder,
                    &settlement::Message::Batch(message.clone()).reply(&profile, rule, batch)?,
                )?;
            }
        }
        let outgoing =
            Outgoing::Reply { to: Some(exchange.function), refusal, authentic: exchange.authentic };
        let body_bytes = self.send(&builder, outgoing, exchange.tpdu.map(Tpdu::swapped), exchange.header)?;
        self.outbox.keep(builder, body_bytes);
        if let Some(refusal) = refusal {
            self.counts.note_refusal(refusal);
        }
        match (exchange.function, refusal) {
            (Function::SignOn, None) => {
                self.signed_on = true;
                self.offer = None;
                // What an earlier sign-on gave ends here, whether or not this one gives anything.
                self.gate.forget_working_key();
                new_keys.map_or(Ok(()), |keys| self.gate.set_working_keys(keys))?;
            }
            (Function::SignOn, Some(_)) => self.signed_on = false,
            (Function::SignOff, None) => {
                self.signed_on = false;
                self.offer = None;
                self.gate.forget_working_key();
            }
            (Function::Alarm, None) => self.last_alarm = exchange.alarm,
            _ => {}
        }
        offer.map_or(Ok(()), |offer| self.offer_sent(offer))
    }

    fn fill_reply(
        &self,
        builder: &mut Builder<'_>,
        rule: &Rule,
        exchange: &Exchange,
        refusal: Option<Refusal>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        Standard {
            profile: &self.profile,
            rule,
            code: exchange.code.as_str(),
            stan: exchange.stan,
            batch: exchange.batch,
            terminal: exchange.terminal.as_bytes(),
            merchant: exchange.merchant.as_bytes(),
            response: Some(match refusal {
                Some(refusal) => self.profile.code_of(rule.function, refusal),
                None => self.profile.approval(rule.function),
            }),
            transmitted: exchange.transmitted,
            pending: match (self.profile.pending_place(), self.pending_digit()) {
                (PendingPlace::Field(field), Some(digit)) => Some((field, digit)),
                _ => None,
            },
            now,
        }
        .fill(builder, &rule.reply.mandatory)?;
        // A terminal compares the STAN wherever it sent one (unionpay.md §1.3).
        if let Some(stan) = exchange.stan.filter(|_| !rule.reply.always(11)) {
            builder.set_bytes(11, &message::digits::<6>(stan.into()))?;
        }
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        exchange: Exchange,
        refusal: Refusal,
        reason: Reason,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let function = Some(exchange.function);
        self.answer(exchange, Answer::Refused(refusal), now)?;
        self.events.push_back(HostEvent::Refused { function, refusal, reason });
        Ok(())
    }

    /// Answers a well-formed message that no rule knows: echo what identifies it, and the code.
    pub(super) fn refuse_unknown(
        &mut self,
        exchange: &Exchange,
        message: &Message<'_>,
        refusal: Refusal,
        reason: Reason,
    ) -> Result<(), ProtocolError> {
        let mut builder = message::echo(&self.profile, message)?;
        builder.set(39, self.profile.code(refusal))?;
        let outgoing = Outgoing::Reply { to: None, refusal: Some(refusal), authentic: false };
        self.send(&builder, outgoing, exchange.tpdu.map(Tpdu::swapped), exchange.header)?;
        self.counts.note_refusal(refusal);
        self.events.push_back(HostEvent::Refused { function: None, refusal, reason });
        Ok(())
    }

    /// Answers bytes that are no message of the dialect, if at least their MTI asks for a reply.
    pub(super) fn answer_unreadable(
        &mut self,
        body: &[u8],
        tpdu: Option<Tpdu>,
        header: Option<Header>,
        reason: Reason,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        if let Some(mut builder) = message::echo_part(&profile, body) {
            if let Some(peer) = &self.peer {
                builder.set_bytes(41, peer.terminal.as_bytes())?;
            }
            builder.set(39, profile.code(Refusal::FormatError))?;
            let refusal = Some(Refusal::FormatError);
            let outgoing = Outgoing::Reply { to: None, refusal, authentic: false };
            self.send(&builder, outgoing, tpdu.map(Tpdu::swapped), header)?;
        }
        let refusal = Refusal::FormatError;
        self.counts.note_refusal(refusal);
        self.events.push_back(HostEvent::Refused { function: None, refusal, reason });
        Ok(())
    }

    pub(super) fn send(
        &mut self,
        builder: &Builder<'_>,
        outgoing: Outgoing,
        tpdu: Option<Tpdu>,
        header: Option<Header>,
    ) -> Result<usize, ProtocolError> {
        let digit = match self.profile.pending_place() {
            PendingPlace::Header => self.pending_digit(),
            PendingPlace::Field(_) => None,
        };
        let header = header.map(|header| header.with_processing_requirement(digit.unwrap_or(0)));
        let gate = &self.gate;
        self.outbox.push(self.framing, tpdu, header, |body| gate.seal(builder, outgoing, body))
    }

    fn pending_digit(&self) -> Option<u8> {
        self.pending.and_then(|work| self.profile.pending_digit(work))
    }
}

fn put_parts(builder: &mut Builder<'_>, parts: &Parts) -> Result<(), ProtocolError> {
    for (n, value) in &parts.fields {
        builder.set_bytes(*n, value)?;
    }
    Ok(())
}
