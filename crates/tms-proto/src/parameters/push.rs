//! The wire form of pushes: what a host does to the records of a terminal's file.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Action, RecordFile, Values,
    records::{MAX_PARTS, pages, part_count, put_records, records},
};
use crate::{
    body::{Body, put, tag},
    error::ProtocolError,
};

/// Bytes of the elements before the records: operation, revision, base, part.
const HEAD_BYTES: usize = 80;

/// Which set of records a side has: its revision, and its [`content_hash`](super::content_hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Revision, growing with each change.
    pub revision: u64,
    /// Hash of the records.
    pub hash: [u8; 32],
}

impl Base {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.revision.to_be_bytes()[..], &self.hash].concat()
    }

    pub(super) fn decode(bytes: &[u8], name: &'static str) -> Result<Self, ProtocolError> {
        let malformed = || ProtocolError::body(name, "a revision and hash have 40 bytes");
        let (revision, hash) = bytes.split_at_checked(8).ok_or_else(malformed)?;
        Ok(Self {
            revision: u64::from_be_bytes(revision.try_into().map_err(|_| malformed())?),
            hash: hash.try_into().map_err(|_| malformed())?,
        })
    }
}

/// Which message of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u16,
    /// How many there are, up to 99.
    pub count: u16,
}

impl Part {
    /// The only one.
    pub const WHOLE: Self = Self { number: 1, count: 1 };

    pub(super) fn encode(self) -> [u8; 4] {
        (u32::from(self.number) << 16 | u32::from(self.count)).to_be_bytes()
    }

    pub(super) fn decode(bytes: Option<&[u8]>, name: &'static str) -> Result<Self, ProtocolError> {
        let Some(bytes) = bytes else { return Ok(Self::WHOLE) };
        match bytes {
            [a, b, c, d] => {
                let (number, count) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                if (1..=count).contains(&number) && count <= MAX_PARTS {
                    return Ok(Self { number, count });
                }
                Err(ProtocolError::body(name, format!("part {number} of {count} cannot be")))
            }
            _ => Err(ProtocolError::body(name, "a part has 4 bytes")),
        }
    }
}

/// What a host does to a file of a terminal, in one message or, when it is larger, in several of the same operation.
/// `Debug` prints how many records there are, not what is in them.
#[derive(Clone, PartialEq, Eq)]
pub struct Push {
    /// The operation: a push that comes again with it takes effect once.
    pub operation: Uuid,
    /// The file.
    pub file: RecordFile,
    /// What is done.
    pub action: Action,
    /// Revision of the set after it, growing with each change.
    pub revision: u64,
    /// The set that a difference is for; without it only all can be replaced or asked for.
    pub base: Option<Base>,
    /// Which message of how many.
    pub part: Part,
    /// The records, by name.
    pub values: Values,
}

impl Push {
    /// A whole set of parameters in the place of what the terminal has.
    #[must_use]
    pub fn parameters(operation: Uuid, revision: u64, values: Values) -> Self {
        Self::replace_all(operation, RecordFile::Parameters, revision, values)
    }

    /// A whole set of records in the place of what the terminal has.
    #[must_use]
    pub fn replace_all(operation: Uuid, file: RecordFile, revision: u64, values: Values) -> Self {
        let (action, base, part) = (Action::ReplaceAll, None, Part::WHOLE);
        Self { operation, file, action, revision, base, part, values }
    }

    /// A question for all records. Ask for the next part with [`Push::part`] set, until there are all.
    #[must_use]
    pub fn inquire(operation: Uuid, file: RecordFile) -> Self {
        let (action, base, part) = (Action::Inquire, None, Part::WHOLE);
        Self { operation, file, action, revision: 0, base, part, values: Values::new() }
    }

    /// What makes `new` of `old`, as few pushes as there are kinds of change: none when both are the same. Each
    /// stands on the one before, and all have `operation`s of their own, which `operation` makes.
    #[must_use]
    pub fn difference(
        mut operation: impl FnMut() -> Uuid,
        file: RecordFile,
        old_revision: u64,
        old: &Values,
        new: &Values,
    ) -> Vec<Self> {
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        let deleted: Values = gone.map(|name| (name.clone(), String::new())).collect();
        let of = |wanted: &dyn Fn(Option<&String>, &String) -> bool| -> Values {
            let changed = new.iter().filter(|(name, value)| wanted(old.get(*name), value));
            changed.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let changed = of(&|old, value| old.is_some_and(|old| old != value));
        let added = of(&|old, _| old.is_none());
        let mut set = old.clone();
        let mut revision = old_revision;
        let mut pushes = Vec::new();
        for (action, values) in [(Action::Delete, deleted), (Action::Change, changed), (Action::Add, added)] {
            if values.is_empty() {
                continue;
            }
            let base = Some(Base { revision, hash: super::content_hash(&set) });
            for (name, value) in &values {
                match action {
                    Action::Delete => set.remove(name),
                    _ => set.insert(name.clone(), value.clone()),
                };
            }
            revision = revision.saturating_add(1);
            pushes.push(Self {
                operation: operation(),
                file,
                action,
                revision,
                base,
                part: Part::WHOLE,
                values,
            });
        }
        pushes
    }

    /// The messages that carry it, each with at most `room_bytes` of data.
    ///
    /// # Errors
    /// When a record does not fit, or there are more than 99 messages.
    pub fn split(self, room_bytes: usize) -> Result<Vec<Self>, ProtocolError> {
        let pages = pages(self.file, &self.values, room_bytes.saturating_sub(HEAD_BYTES))?;
        let count = part_count(pages.len())?;
        let numbers = 1..=count;
        Ok(pages
            .into_iter()
            .zip(numbers)
            .map(|(values, number)| Self { part: Part { number, count }, values, ..self.clone_head() })
            .collect())
    }

    fn clone_head(&self) -> Self {
        let (operation, file, action, revision) = (self.operation, self.file, self.action, self.revision);
        Self { operation, file, action, revision, base: self.base, part: self.part, values: Values::new() }
    }

    /// The bytes of the data fields of one message.
    ///
    /// # Errors
    /// When a record does not fit the wire.
    pub fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::with_capacity(256);
        put(&mut out, tag::OPERATION, self.operation.as_bytes());
        put(&mut out, tag::REVISION, &self.revision.to_be_bytes());
        if let Some(base) = &self.base {
            put(&mut out, tag::STANDING, &base.encode());
        }
        if self.part != Part::WHOLE {
            put(&mut out, tag::PART, &self.part.encode());
        }
        put_records(&mut out, self.file, &self.values)?;
        Ok(out)
    }

    /// Reads the bytes of the data fields of one message.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(file: RecordFile, action: Action, bytes: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "parameter push";
        let body = Body::parse(bytes)?;
        let base = body.find(tag::STANDING).map(|bytes| Base::decode(bytes, NAME)).transpose()?;
        if action.is_difference() && base.is_none() {
            return Err(ProtocolError::body(NAME, format!("{action} does not say of which revision")));
        }
        Ok(Self {
            operation: Uuid::from_bytes(body.array(tag::OPERATION, NAME)?),
            file,
            action,
            revision: body.u64(tag::REVISION, NAME)?,
            base,
            part: Part::decode(body.find(tag::PART), NAME)?,
            values: records(&body, file)?,
        })
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("operation", &self.operation)
            .field("file", &self.file)
            .field("action", &self.action)
            .field("revision", &self.revision)
            .field("base", &self.base.map(|base| base.revision))
            .field("part", &self.part)
            .field("records", &self.values.len())
            .finish()
    }
}
