//! What a terminal says to a push.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Base, Part, RecordFile, Values,
    records::{put_records, records},
};
use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
    profile::Refusal,
};

/// How a push went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force, or was already; an inquiry is answered.
    Done,
    /// This part is kept; nothing is in force before the last.
    Kept,
    /// Nothing changed.
    Refused(PushRefusal),
}

/// Why a push changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PushRefusal {
    /// The terminal has another set than the difference is for: replace all.
    #[error("the terminal has another set than the difference is for")]
    WrongBase,
    /// The terminal has a newer revision; of a difference, this one.
    #[error("the terminal has a newer revision")]
    Stale,
    /// A record to add is there.
    #[error("a record to add is there already")]
    RecordExists,
    /// A record to change, delete or show is not there.
    #[error("a record is not there")]
    NoSuchRecord,
    /// Another part is wanted first: begin again with part 1.
    #[error("another part is wanted first")]
    WrongPart,
    /// More records or bytes than the terminal holds.
    #[error("the terminal does not hold that much")]
    TooMuch,
    /// A record makes no sense in its file: a key whose check value is wrong, a card that is none.
    #[error("a record is malformed")]
    Unusable,
    /// A reason that this version does not know.
    #[error("another reason")]
    Other,
}

impl PushRefusal {
    const ALL: [(u8, Self); 7] = [
        (1, Self::WrongBase),
        (2, Self::Stale),
        (3, Self::RecordExists),
        (4, Self::NoSuchRecord),
        (5, Self::WrongPart),
        (6, Self::TooMuch),
        (7, Self::Unusable),
    ];

    /// What DE39 says of it, less exactly.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::WrongBase | Self::NoSuchRecord => Refusal::NotFound,
            Self::Stale | Self::WrongPart | Self::TooMuch => Refusal::OutOfRange,
            Self::RecordExists => Refusal::Duplicate,
            Self::Unusable | Self::Other => Refusal::FormatError,
        }
    }

    fn byte(self) -> u8 {
        Self::ALL.iter().find(|(_, refusal)| *refusal == self).map_or(u8::MAX, |(byte, _)| *byte)
    }

    fn of(byte: u8) -> Self {
        Self::ALL.iter().find(|(b, _)| *b == byte).map_or(Self::Other, |(_, refusal)| *refusal)
    }
}

/// What a terminal says to a push. `Debug` prints how many records there are, not what is in them.
#[derive(Clone, PartialEq, Eq)]
pub struct PushAnswer {
    /// How it went.
    pub outcome: Outcome,
    /// What the terminal has now.
    pub standing: Base,
    /// Which message of how many, of an inquiry's answer.
    pub part: Part,
    /// The records, of an inquiry's answer.
    pub values: Values,
}

impl PushAnswer {
    /// Why nothing changed; `None` when it went well.
    #[must_use]
    pub fn refused(&self) -> Option<PushRefusal> {
        match self.outcome {
            Outcome::Refused(refusal) => Some(refusal),
            Outcome::Done | Outcome::Kept => None,
        }
    }

    /// The bytes of the reply's data fields.
    ///
    /// # Errors
    /// When a record does not fit the wire.
    pub fn encode(&self, file: RecordFile) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::with_capacity(64);
        let outcome = match self.outcome {
            Outcome::Done => 0,
            Outcome::Kept => 0x80,
            Outcome::Refused(refusal) => refusal.byte(),
        };
        put(&mut out, tag::PUSH_OUTCOME, &[outcome]);
        put(&mut out, tag::STANDING, &self.standing.encode());
        if self.part != Part::WHOLE {
            put(&mut out, tag::PART, &self.part.encode());
        }
        put_records(&mut out, file, &self.values)?;
        Ok(out)
    }

    /// Reads the bytes of the reply's data fields.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(file: RecordFile, bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "answer to a push";
        let body = Body::parse(bytes)?;
        let outcome = match body.u8(tag::PUSH_OUTCOME, NAME)? {
            0 => Outcome::Done,
            0x80 => Outcome::Kept,
            byte => Outcome::Refused(PushRefusal::of(byte)),
        };
        Ok(Self {
            outcome,
            standing: Base::decode(body.bytes(tag::STANDING, NAME)?, NAME)?,
            part: Part::decode(body.find(tag::PART), NAME)?,
            values: records(&body, file)?,
        })
    }
}

impl fmt::Debug for PushAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushAnswer")
            .field("outcome", &self.outcome)
            .field("revision", &self.standing.revision)
            .field("part", &self.part)
            .field("records", &self.values.len())
            .finish()
    }
}
