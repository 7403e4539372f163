//! The wire form of pushes: what a host does to the records of a terminal's file, and what the terminal says to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Values;
use crate::{
    body::{self, Body, put, tag},
    error::ProtocolError,
    profile::Refusal,
};

/// Most bytes of a record's name.
const MAX_NAME_BYTES: usize = 64;
/// Most bytes of a record's value on the wire: the longest application or parameter.
const MAX_VALUE_BYTES: usize = 512;
/// Most records of one message; a body has other elements too.
const MAX_RECORDS_IN_A_MESSAGE: usize = 100;
/// Most messages of one push.
pub(super) const MAX_PARTS: u16 = 99;
/// Bytes of the elements before the records: operation, revision, base, part.
const HEAD_BYTES: usize = 80;

/// The files whose records a host may push: DE101 of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFile {
    /// Parameters: name and value.
    Parameters,
    /// Public keys: [`crate::emv::CapkId`] and the key's data objects in hex, with a packed expiry.
    Capk,
    /// Applications: AID and its data objects, in hex.
    Aid,
    /// Blocked cards: the digits, and an empty value.
    Blacklist,
}

impl RecordFile {
    /// Every file.
    pub const ALL: [Self; 4] = [Self::Parameters, Self::Capk, Self::Aid, Self::Blacklist];

    /// Its name in DE101.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parameters => "PARAMETERS",
            Self::Capk => "CAPK",
            Self::Aid => "AID",
            Self::Blacklist => "BLACKLIST",
        }
    }

    /// The file with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name.trim_end())
    }

    /// Whether values are hex of binary data, which travels as it is.
    fn is_binary(self) -> bool {
        matches!(self, Self::Capk | Self::Aid)
    }
}

impl fmt::Display for RecordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a push does. A profile's codes of `parameter_push` stand in this order (DE91 of :1987, DE24 of :1993).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Adds records, none of which may be there.
    Add,
    /// Changes records, all of which must be there.
    Change,
    /// Deletes records, all of which must be there. Values are empty.
    Delete,
    /// Replaces all records, whatever was there.
    ReplaceAll,
    /// Asks for records: those that are named, or all. Changes nothing.
    Inquire,
}

impl Action {
    /// Every action, in the order of a profile's codes.
    pub const ALL: [Self; 5] = [Self::Add, Self::Change, Self::Delete, Self::ReplaceAll, Self::Inquire];

    /// Its place among a profile's codes.
    #[must_use]
    pub fn place(self) -> usize {
        match self {
            Self::Add => 0,
            Self::Change => 1,
            Self::Delete => 2,
            Self::ReplaceAll => 3,
            Self::Inquire => 4,
        }
    }

    /// Whether it only makes sense for the set that the host believes the terminal to have.
    #[must_use]
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Add | Self::Change | Self::Delete)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::ReplaceAll => "replace all",
            Self::Inquire => "inquire",
        })
    }
}

/// Which set of records a side has: its revision, and its [`content_hash`](super::content_hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Revision, growing with each change.
    pub revision: u64,
    /// Hash of the records.
    pub hash: [u8; 32],
}

impl Base {
    fn encode(&self) -> Vec<u8> {
        [&self.revision.to_be_bytes()[..], &self.hash].concat()
    }

    fn decode(bytes: &[u8], name: &'static str) -> Result<Self, ProtocolError> {
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

    fn encode(self) -> [u8; 4] {
        (u32::from(self.number) << 16 | u32::from(self.count)).to_be_bytes()
    }

    fn decode(bytes: Option<&[u8]>, name: &'static str) -> Result<Self, ProtocolError> {
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

/// Records in as few messages as hold them; one when there are none.
pub(super) fn pages(
    file: RecordFile,
    values: &Values,
    room_bytes: usize,
) -> Result<Vec<Values>, ProtocolError> {
    let mut pages = vec![Values::new()];
    let mut used = 0usize;
    for (name, value) in values {
        let mut record = Vec::new();
        put_record(&mut record, file, name, value)?;
        let full = used.saturating_add(record.len()) > room_bytes;
        if full || pages.last().is_some_and(|page| page.len() >= MAX_RECORDS_IN_A_MESSAGE) {
            pages.push(Values::new());
            used = 0;
        }
        if record.len() > room_bytes {
            return Err(ProtocolError::body("record", "does not fit a message"));
        }
        used = used.saturating_add(record.len());
        if let Some(page) = pages.last_mut() {
            page.insert(name.clone(), value.clone());
        }
    }
    Ok(pages)
}

pub(super) fn part_count(pages: usize) -> Result<u16, ProtocolError> {
    let count = u16::try_from(pages).ok().filter(|count| *count <= MAX_PARTS);
    count.ok_or_else(|| ProtocolError::body("records", format!("need more than {MAX_PARTS} messages")))
}

fn put_records(out: &mut Vec<u8>, file: RecordFile, values: &Values) -> Result<(), ProtocolError> {
    if values.len() > MAX_RECORDS_IN_A_MESSAGE {
        let most = format!("more than {MAX_RECORDS_IN_A_MESSAGE} in one message");
        return Err(ProtocolError::body("records", most));
    }
    values.iter().try_for_each(|(name, value)| put_record(out, file, name, value))
}

fn put_record(out: &mut Vec<u8>, file: RecordFile, name: &str, value: &str) -> Result<(), ProtocolError> {
    let value = if file.is_binary() {
        hex::decode(value).map_err(|_| ProtocolError::body("record", "its value is not hex"))?
    } else {
        value.as_bytes().to_vec()
    };
    if value.len() > MAX_VALUE_BYTES {
        // A parameter's name may be told; a card's may not.
        let name = if file == RecordFile::Blacklist { "a record" } else { name };
        return Err(ProtocolError::body("record", format!("{name} is longer than {MAX_VALUE_BYTES} bytes")));
    }
    let length = u8::try_from(name.len()).ok().filter(|length| usize::from(*length) <= MAX_NAME_BYTES);
    let length = length.ok_or_else(|| ProtocolError::body("record", "its name is too long"))?;
    put(out, tag::RECORD, &[&[length], name.as_bytes(), &value].concat());
    Ok(())
}

fn records(body: &Body<'_>, file: RecordFile) -> Result<Values, ProtocolError> {
    const NAME: &str = "record";
    let mut values = Values::new();
    for element in body.all(tag::RECORD) {
        let short = || ProtocolError::body(NAME, "ends early");
        let (length, rest) = element.split_first().ok_or_else(short)?;
        let (name, value) = rest.split_at_checked(usize::from(*length)).ok_or_else(short)?;
        let name = body::text(name, NAME, MAX_NAME_BYTES)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(ProtocolError::body(NAME, "its value is too long"));
        }
        let value =
            if file.is_binary() { hex::encode(value) } else { body::text(value, NAME, MAX_VALUE_BYTES)? };
        if values.insert(name, value).is_some() {
            return Err(ProtocolError::body(NAME, "is there twice"));
        }
    }
    Ok(values)
}
