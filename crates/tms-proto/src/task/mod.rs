//! What a terminal is told to do, and what it answers.
//!
//! A [`Task`] is one step of an operation. Its operation id and step together are its identity:
//! a terminal that meets the same pair again answers from its [journal](crate::journal) and does
//! nothing twice. What it does with one that a crash cut short is in [`Command::repeat`].

mod clock;
mod command;
mod outcome;
mod result;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use uuid::Uuid;

use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
    message::FIELD_ROOM_BYTES,
};

pub use clock::{MAX_CLOCK_STEP_S, MAX_UTC_OFFSET_S, check_clock};
pub use command::{Command, Repeat};
pub use outcome::Outcome;
pub use result::{MAX_RESULT_VALUE_BYTES, MAX_RESULT_VALUES, TaskResult};

/// Longest name of a file, role or version on the wire, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest reason text on the wire, in bytes.
pub const MAX_REASON_BYTES: usize = 120;
/// Longest text for people that a command brings, in bytes: 80 Chinese characters.
pub const MAX_TEXT_BYTES: usize = 240;

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The operation.
    pub operation: Uuid,
    /// The step within it, from 1.
    pub step: u8,
    /// What to do.
    pub command: Command,
}

impl Task {
    /// The body of a command message. Texts are cut where the receiver would refuse them;
    /// [`Task::check`] says so beforehand.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::STEP, &[self.step]);
        self.command.put(&mut out);
        out
    }

    /// Reads the body of a command message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed. An unknown command code is not an error:
    /// it becomes [`Command::Unknown`], which a terminal refuses by name.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "task";
        let body = Body::parse(bytes)?;
        Ok(Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            step: step(&body, NAME)?,
            command: Command::read(&body, NAME)?,
        })
    }

    /// Reads the body of an answer to a poll. Where only the command's content is wrong the task is one with
    /// [`Command::Unusable`]: it has a name, and its operation can end with a result.
    ///
    /// # Errors
    /// When not even the name of the task can be read.
    pub fn decode_named(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "task";
        Self::decode(bytes).or_else(|error| {
            let body = Body::parse(bytes)?;
            Ok(Self {
                operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
                step: step(&body, NAME)?,
                command: Command::Unusable { code: body.u8(tag::COMMAND, NAME)?, reason: error.to_string() },
            })
        })
    }

    /// Whether the task arrives as it is: for whoever takes commands from people.
    ///
    /// # Errors
    /// Says what is too long, out of range or not allowed.
    pub fn check(&self) -> Result<(), ProtocolError> {
        const NAME: &str = "command";
        let bytes = self.encode();
        if bytes.len() > FIELD_ROOM_BYTES {
            let reason = format!("takes {} bytes, a message has room for {FIELD_ROOM_BYTES}", bytes.len());
            return Err(ProtocolError::body(NAME, reason));
        }
        if Self::decode(&bytes)? != *self {
            return Err(ProtocolError::body(NAME, "a text is too long or has control characters"));
        }
        Ok(())
    }
}

/// Steps are numbered from 1; 0 is what the journal knows whole operations by.
fn step(body: &Body<'_>, name: &'static str) -> Result<u8, ProtocolError> {
    match body.u8(tag::STEP, name)? {
        0 => Err(ProtocolError::body(name, "steps are numbered from 1, this step is 0")),
        step => Ok(step),
    }
}
