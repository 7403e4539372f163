//! What a terminal says of its batch, and of its transactions.

use jiff::Timestamp;

use super::{Asked, Content, TerminalSession};
use crate::{error::ProtocolError, profile::Function, settlement::Message, upload::Chunk};

impl TerminalSession {
    /// Says what [`crate::settlement::Settle::next_message`] gives of batch `batch`.
    ///
    /// # Errors
    /// As for every request.
    pub fn settle(&mut self, batch: u32, message: &Message, now: Timestamp) -> Result<(), ProtocolError> {
        let profile = std::sync::Arc::clone(&self.profile);
        let function = message.function();
        let rule = profile.rule(function).ok_or(ProtocolError::NotInProfile(function))?;
        let parts = message.request(&profile, rule, batch)?;
        let asked = Asked::Batch { batch, message: Box::new(message.clone()) };
        let content = Content {
            code: message.code(),
            fields: &parts.fields,
            body: parts.body.as_deref(),
            data: &[],
            trace: parts.trace,
            batch: Some(batch),
        };
        self.ask_with(function, asked, &content, now)
    }

    /// Sends a piece of the transaction journal ([`crate::transactions`]).
    ///
    /// # Errors
    /// As for every request.
    pub fn upload_journal(&mut self, chunk: &Chunk, now: Timestamp) -> Result<(), ProtocolError> {
        let Chunk { operation, offset, total_bytes, .. } = *chunk;
        let asked = Asked::Journal { operation, offset, total_bytes };
        self.request(Function::JournalUpload, asked, Some(&chunk.encode()), &[], now)
    }
}
