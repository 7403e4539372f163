//! Sending the log or the journal: a bundle is cut once, kept, and sent from wherever the host has it.

use jiff::Timestamp;
use tms_crypto::sha256;
use tms_proto::{Function, Refusal, task::Outcome, upload::Chunk};
use uuid::Uuid;

use super::{Connection, Exit, RETRY_AFTER_MS};
use crate::{machine::BUNDLE, state::TaskKey};

/// Answers in a row that ask for what was sent before, after which a host is believed not to keep anything.
/// One that started again and lost what it had not saved yet asks once.
const MAX_IN_VAIN: u8 = 16;

/// A bundle on its way on this connection.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) task: TaskKey,
    journal: bool,
    bytes: Vec<u8>,
    sha256: [u8; 32],
    /// The host has everything before.
    at: usize,
    /// Answers in a row after which the host had no more than before.
    in_vain: u8,
    waiting: bool,
    pub(super) due: Timestamp,
}

impl Sending {
    pub(super) fn retry_due(&self) -> Timestamp {
        if self.waiting { Timestamp::MAX } else { self.due }
    }
}

impl Connection {
    /// Takes up the bundle that the state knows of, if there is one.
    pub(super) fn resume_upload(&mut self, now: Timestamp) -> Result<(), Exit> {
        let (upload, bytes) = {
            let machine = self.machine();
            let Some(upload) = machine.state.upload.clone() else { return Ok(()) };
            (upload, machine.kept(BUNDLE)?)
        };
        let hash = sha256(&bytes);
        if hex::encode(hash) != upload.sha256 {
            return self.finish_upload(Outcome::INTERNAL, "the bundle was lost on the terminal", now);
        }
        self.sending = Some(Sending {
            task: upload.task,
            journal: upload.journal,
            bytes,
            sha256: hash,
            at: 0,
            in_vain: 0,
            waiting: false,
            due: now,
        });
        Ok(())
    }

    pub(super) fn pump_upload(&mut self, now: Timestamp) -> Result<(), Exit> {
        let Some(sending) = self.sending.as_mut().filter(|sending| now >= sending.retry_due()) else {
            return Ok(());
        };
        sending.waiting = true;
        let end = sending.at.saturating_add(Chunk::MAX_BYTES).min(sending.bytes.len());
        let chunk = Chunk {
            operation: sending.task.operation,
            offset: sending.at as u64,
            total_bytes: sending.bytes.len() as u64,
            sha256: sending.sha256,
            data: sending.bytes.get(sending.at..end).unwrap_or_default().to_vec(),
        };
        if sending.journal && self.session.supports(Function::JournalUpload) {
            return Ok(self.session.upload_journal(&chunk, now)?);
        }
        Ok(self.session.upload(&chunk, now)?)
    }

    pub(super) fn on_uploaded(&mut self, operation: Uuid, next: u64, now: Timestamp) -> Result<(), Exit> {
        let Some(sending) = self.sending.as_mut().filter(|sending| sending.task.operation == operation)
        else {
            return Ok(());
        };
        sending.waiting = false;
        sending.due = now;
        // The host decides where to go on; it may have parts from an earlier connection.
        let at = usize::try_from(next).unwrap_or(usize::MAX).min(sending.bytes.len());
        sending.in_vain = if at > sending.at { 0 } else { sending.in_vain.saturating_add(1) };
        sending.at = at;
        if sending.at < sending.bytes.len() {
            if sending.in_vain < MAX_IN_VAIN {
                return Ok(());
            }
            let reason = "the host asks for the same bytes again and again";
            return self.finish_upload(Outcome::FETCH_FAILED, reason, now);
        }
        self.machine().note(now, 'I', "log", "bundle sent");
        self.finish_upload(Outcome::DONE, "", now)
    }

    pub(super) fn on_upload_refused(&mut self, refusal: Refusal, now: Timestamp) -> Result<(), Exit> {
        if refusal.may_retry() {
            self.on_chunk_missing(now);
            return Ok(());
        }
        self.finish_upload(Outcome::FETCH_FAILED, &format!("the host refused it: {refusal}"), now)
    }

    pub(super) fn on_chunk_missing(&mut self, now: Timestamp) {
        let due = self.after(RETRY_AFTER_MS, now);
        if let Some(sending) = &mut self.sending {
            sending.waiting = false;
            sending.due = due;
        }
    }

    fn finish_upload(&mut self, outcome: Outcome, reason: &str, now: Timestamp) -> Result<(), Exit> {
        self.sending = None;
        let mut machine = self.machine();
        let Some(upload) = machine.state.upload.take() else { return Ok(()) };
        Ok(machine.finish(upload.task.result(outcome).because(reason), now)?)
    }
}
