//! Requests of a terminal with their bodies read.

use std::sync::Arc;

use super::{Exchange, HostEvent};
use crate::{
    alarm::Alarm,
    authentic::Admitted,
    emv::DownloadRequest,
    error::ProtocolError,
    file::BlockRequest,
    message,
    parameters::TagValues,
    profile::{Function, Profile, TagPlace},
    report::Report,
    settlement,
    task::TaskResult,
    terminal::KeyBlock,
    upload::Chunk,
};

/// A request with its body read.
pub(super) enum Request {
    SignOn { serial: Vec<u8> },
    SignOff,
    Status(TagValues),
    Report(Box<Report>),
    Parameters,
    Download(DownloadRequest),
    FileRead(BlockRequest),
    TaskPoll,
    TaskResult(TaskResult),
    LogChunk(Chunk),
    Keys,
    MasterKey(KeyBlock),
    Alarm(Alarm),
    Batch { batch: u32, message: settlement::Message },
    JournalChunk(Chunk),
}

impl Request {
    /// `last_alarm` is the sequence of the alarm that was approved last.
    pub(super) fn into_event(self, mut exchange: Exchange, last_alarm: Option<u64>) -> HostEvent {
        match self {
            Self::SignOn { serial } => HostEvent::SignOn {
                terminal: exchange.terminal.as_str().trim_end().to_owned(),
                merchant: exchange.merchant.as_str().trim_end().to_owned(),
                serial,
                exchange,
            },
            Self::SignOff => HostEvent::SignOff { exchange },
            Self::Status(values) => HostEvent::Status { exchange, values },
            Self::Report(report) => HostEvent::Report { exchange, report },
            Self::Parameters => HostEvent::ParametersRequested { exchange },
            Self::Download(request) => HostEvent::Download { exchange, request },
            Self::FileRead(request) => HostEvent::FileRead { exchange, request },
            Self::TaskPoll => HostEvent::TaskPoll { exchange },
            Self::TaskResult(result) => HostEvent::TaskResult { exchange, result },
            Self::LogChunk(chunk) => HostEvent::LogChunk { exchange, chunk },
            Self::Batch { batch, message } => match message {
                settlement::Message::Totals(totals) => {
                    HostEvent::Totals { exchange, batch, totals: Box::new(totals) }
                }
                settlement::Message::Batch(message) => HostEvent::Batch { exchange, batch, message },
            },
            Self::JournalChunk(chunk) => HostEvent::JournalChunk { exchange, chunk },
            Self::Keys => HostEvent::KeysRequested { exchange },
            Self::MasterKey(content) => HostEvent::MasterKey { exchange, content },
            Self::Alarm(alarm) => {
                exchange.alarm = Some(alarm.sequence);
                exchange.repeated = last_alarm == exchange.alarm;
                HostEvent::Alarm { exchange, alarm }
            }
        }
    }
}

pub(super) fn read_request(
    profile: &Arc<Profile>,
    function: Function,
    admitted: &Admitted<'_, '_>,
) -> Result<Request, ProtocolError> {
    let message = admitted.message();
    let body = message.bytes(profile.body_field()).unwrap_or_default();
    Ok(match function {
        Function::SignOn => Request::SignOn { serial: body.to_vec() },
        Function::SignOff => Request::SignOff,
        Function::Status => Request::Status(TagValues::read(profile, TagPlace::Status, body)?),
        Function::Report => {
            Request::Report(Box::new(Report::decode(body, &message::take_spread(profile, message))?))
        }
        Function::Parameters => Request::Parameters,
        Function::FileRead => Request::FileRead(BlockRequest::decode(body)?),
        Function::TaskPoll => Request::TaskPoll,
        Function::TaskResult => Request::TaskResult(TaskResult::decode(body)?),
        Function::LogUpload => Request::LogChunk(Chunk::decode(body)?),
        Function::KeyRequest => Request::Keys,
        Function::TmkKey | Function::TmkRequest | Function::TmkActivate => {
            Request::MasterKey(KeyBlock(body.to_vec()))
        }
        Function::Alarm => Request::Alarm(Alarm::decode(body)?),
        Function::JournalUpload => Request::JournalChunk(Chunk::decode(body)?),
        Function::Settlement | Function::BatchUpload | Function::BatchEnd => {
            let rule = profile.rule(function).ok_or(ProtocolError::NotInProfile(function))?;
            let (batch, message) = settlement::Message::read(profile, rule, message)?;
            Request::Batch { batch, message }
        }
        // An echo is answered by the session itself; the others are the host's own, or not served.
        _ => match DownloadRequest::decode(function, body) {
            Some(request) => Request::Download(request?),
            None => return Err(ProtocolError::Unexpected(function.to_string())),
        },
    })
}
