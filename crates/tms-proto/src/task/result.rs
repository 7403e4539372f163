//! The answer to a task.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(doc)]
use super::{Command, Task};
use super::{MAX_REASON_BYTES, Outcome};
use crate::{
    body::{self, Body, put, put_text, tag},
    error::ProtocolError,
    parameters::Values,
};

/// Most values in a result.
pub const MAX_RESULT_VALUES: usize = 32;
/// Longest `name=value` in a result, in bytes.
pub const MAX_RESULT_VALUE_BYTES: usize = 96;
/// Most bytes of values in a result, so that it fits into one message.
const MAX_RESULT_BYTES: usize = 720;

/// The answer to a [`Task`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The operation.
    pub operation: Uuid,
    /// The step answered.
    pub step: u8,
    /// How it went.
    pub outcome: Outcome,
    /// A sentence for people; empty when there is nothing to add.
    pub reason: String,
    /// Proof of a credential, in answer to [`Command::CredentialVerify`].
    pub proof: Option<[u8; 32]>,
    /// What [`Command::SelfTest`] and [`Command::Diagnose`] found. On the wire at most
    /// [`MAX_RESULT_VALUES`], each of at most [`MAX_RESULT_VALUE_BYTES`]; more is left out.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

impl TaskResult {
    /// A result without reason, proof or values.
    #[must_use]
    pub fn new(operation: Uuid, step: u8, outcome: Outcome) -> Self {
        Self { operation, step, outcome, reason: String::new(), proof: None, values: Values::new() }
    }

    /// The same result with a sentence for people.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same result with values.
    #[must_use]
    pub fn with_values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// The body of a task-result message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::STEP, &[self.step]);
        put(&mut out, tag::OUTCOME, &[self.outcome.0]);
        if !self.reason.is_empty() {
            put_text(&mut out, tag::REASON, &self.reason, MAX_REASON_BYTES);
        }
        if let Some(proof) = &self.proof {
            put(&mut out, tag::PROOF, proof);
        }
        let room = out.len().saturating_add(MAX_RESULT_BYTES);
        for (name, value) in self.values.iter().take(MAX_RESULT_VALUES) {
            let pair = format!("{name}={value}");
            let fits = out.len().saturating_add(pair.len()) < room && name.len() < MAX_RESULT_VALUE_BYTES;
            if fits {
                put_text(&mut out, tag::ITEM, &pair, MAX_RESULT_VALUE_BYTES);
            }
        }
        out
    }

    /// Reads the body of a task-result message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "task result";
        let body = Body::parse(bytes)?;
        let mut values = Values::new();
        for element in body.all(tag::ITEM) {
            let pair = body::text(element, NAME, MAX_RESULT_VALUE_BYTES)?;
            let (name, value) =
                pair.split_once('=').ok_or_else(|| ProtocolError::body(NAME, "a value is not name=value"))?;
            values.insert(name.to_owned(), value.to_owned());
            if values.len() > MAX_RESULT_VALUES {
                return Err(ProtocolError::body(NAME, format!("more than {MAX_RESULT_VALUES} values")));
            }
        }
        Ok(Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            step: body.u8(tag::STEP, NAME)?,
            outcome: Outcome(body.u8(tag::OUTCOME, NAME)?),
            reason: body.optional_text(tag::REASON, NAME, MAX_REASON_BYTES)?.unwrap_or_default(),
            proof: body.optional_array(tag::PROOF, NAME)?,
            values,
        })
    }
}
