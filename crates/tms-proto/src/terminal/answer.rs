//! What the terminal says to requests of the host.

use iso8583::framing::Tpdu;
use jiff::Timestamp;

use super::{HostRequest, TerminalSession};
use crate::{
    authentic::Outgoing,
    error::ProtocolError,
    message::{self, Standard},
    parameters::{PushAnswer, PushRefusal, RecordFile},
    profile::Refusal,
};

impl TerminalSession {
    /// Answers a request of the host: taken, or refused.
    ///
    /// # Errors
    /// When the answer does not fit the dialect.
    pub fn answer(
        &mut self,
        request: HostRequest,
        refusal: Option<Refusal>,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        self.answer_with(request, refusal, &[], now)
    }

    /// Answers a push of records with what [`Held::take`](crate::parameters::Held::take) says to it.
    ///
    /// # Errors
    /// When the answer does not fit the dialect.
    pub fn answer_push(
        &mut self,
        request: HostRequest,
        answer: &PushAnswer,
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let data = answer.encode(request.file.unwrap_or(RecordFile::Parameters))?;
        self.answer_with(request, answer.refused().map(PushRefusal::refusal), &data, now)
    }

    fn answer_with(
        &mut self,
        request: HostRequest,
        refusal: Option<Refusal>,
        data: &[u8],
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let rule = profile.rule(request.function).ok_or(ProtocolError::NotInProfile(request.function))?;
        let mti = request.mti.response().ok_or_else(|| ProtocolError::Unexpected(request.mti.to_string()))?;
        let mut builder = self.outbox.builder(profile.dialect(), mti);
        Standard {
            profile: &profile,
            rule,
            code: request.code.as_str(),
            stan: request.stan,
            batch: self.identity.batch,
            terminal: self.identity.terminal.as_bytes(),
            merchant: self.identity.merchant.as_bytes(),
            response: Some(match refusal {
                Some(refusal) => profile.code_of(request.function, refusal),
                None => profile.approval(request.function),
            }),
            transmitted: request.transmitted,
            pending: None,
            now,
        }
        .fill(&mut builder, &rule.reply.mandatory)?;
        if let Some(file) = request.file {
            builder.set(101, file.name())?;
        }
        message::put_spread(&profile, &mut builder, data)?;
        let outgoing = Outgoing::Reply { to: Some(request.function), refusal, authentic: request.authentic };
        let body_bytes = self.send(&builder, outgoing, request.tpdu.map(Tpdu::swapped), request.header)?;
        self.outbox.keep(builder, body_bytes);
        if let Some(refusal) = refusal {
            self.counts.note_refusal(refusal);
        }
        Ok(())
    }
}
