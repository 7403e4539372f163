//! The terminal's side of pushes: one file's records, and what each push does to them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Action, Base, Outcome, Part, Push, PushAnswer, PushRefusal, RecordFile, Values, content_hash,
    records::{pages, part_count},
};
use crate::emv::{Aid, AidParameters, Capk, CapkId, CardPrefix, EmvError, MAX_ENTRIES};

/// Most records of one file.
const MAX_RECORDS: usize = 1000;
/// Most bytes of the names and values of one file.
const MAX_BYTES: usize = 256 * 1024;
/// Bytes of an answer's elements before the records.
const HEAD_BYTES: usize = 64;

/// The records that a terminal has of one file. Keep it durable; what is kept of unfinished pushes is not, and need
/// not be: the host begins again. `Debug` prints how many records there are, not what is in them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    file: RecordFile,
    revision: u64,
    values: Values,
    /// The last operation that took effect.
    #[serde(default)]
    last: Option<Uuid>,
    #[serde(skip)]
    coming: Option<Coming>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("file", &self.file)
            .field("revision", &self.revision)
            .field("records", &self.values.len())
            .field("last", &self.last)
            .field("coming", &self.coming)
            .finish()
    }
}

/// What is there of a push in several messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Coming {
    whole: Push,
    next: u16,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing changed: answer.
    Same,
    /// Records changed: make them durable, then answer.
    Store,
}

impl Held {
    /// The records in force.
    #[must_use]
    pub fn new(file: RecordFile, revision: u64, values: Values) -> Self {
        Self { file, revision, values, last: None, coming: None }
    }

    /// Takes records that came into force in another way, such as a terminal's own request. What is there of a push
    /// stays.
    pub fn set(&mut self, revision: u64, values: Values) {
        if revision != self.revision || values != self.values {
            (self.revision, self.values, self.last) = (revision, values, None);
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> RecordFile {
        self.file
    }

    /// The records in force.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Revision and hash of the records in force.
    #[must_use]
    pub fn standing(&self) -> Base {
        Base { revision: self.revision, hash: content_hash(&self.values) }
    }

    /// Takes a push for this file, and says what to answer. `room_bytes` is what an answer may have of data.
    pub fn take(&mut self, push: &Push, room_bytes: usize) -> (PushAnswer, Progress) {
        match self.carry_out(push, room_bytes) {
            Ok((answer, progress)) => (answer, progress),
            Err(refusal) => {
                // What is there of a push is worth nothing once a part of it was refused.
                if refusal != PushRefusal::WrongPart {
                    self.coming = None;
                }
                (self.answer(Outcome::Refused(refusal)), Progress::Same)
            }
        }
    }

    fn carry_out(&mut self, push: &Push, room_bytes: usize) -> Result<(PushAnswer, Progress), PushRefusal> {
        if push.action == Action::Inquire {
            return Ok((self.show(push, room_bytes)?, Progress::Same));
        }
        if self.last == Some(push.operation) {
            return Ok((self.answer(Outcome::Done), Progress::Same));
        }
        let Some(whole) = self.collect(push)? else {
            return Ok((self.answer(Outcome::Kept), Progress::Same));
        };
        let values = self.applied(&whole)?;
        // A host may replace what it finds changed without a revision of its own.
        if whole.revision < self.revision || (whole.action.is_difference() && whole.revision == self.revision)
        {
            return Err(PushRefusal::Stale);
        }
        check(self.file, &values)?;
        if whole.revision == self.revision && values == self.values {
            // The same again from a host that forgot which operation that was.
            return Ok((self.answer(Outcome::Done), Progress::Same));
        }
        self.revision = whole.revision;
        self.values = values;
        self.last = Some(whole.operation);
        Ok((self.answer(Outcome::Done), Progress::Store))
    }

    /// The whole push, once its last part is there.
    fn collect(&mut self, push: &Push) -> Result<Option<Push>, PushRefusal> {
        let Part { number, count } = push.part;
        if number == 1 {
            let coming = Coming { whole: push.clone(), next: 2 };
            if count <= 1 {
                self.coming = None;
                return Ok(Some(coming.whole));
            }
            self.coming = Some(coming);
            return Ok(None);
        }
        let coming =
            self.coming.as_mut().filter(|coming| coming.is_of(push)).ok_or(PushRefusal::WrongPart)?;
        if number != coming.next {
            // A part that is there already came again.
            return if number < coming.next { Ok(None) } else { Err(PushRefusal::WrongPart) };
        }
        for (name, value) in &push.values {
            if coming.whole.values.insert(name.clone(), value.clone()).is_some() {
                return Err(PushRefusal::Unusable);
            }
        }
        fits(self.file, &coming.whole.values)?;
        if number < count {
            coming.next = coming.next.saturating_add(1);
            return Ok(None);
        }
        Ok(self.coming.take().map(|coming| coming.whole))
    }

    /// The records as they are after a push.
    fn applied(&self, push: &Push) -> Result<Values, PushRefusal> {
        if push.action == Action::ReplaceAll {
            return Ok(push.values.clone());
        }
        if push.base != Some(self.standing()) {
            return Err(PushRefusal::WrongBase);
        }
        let mut values = self.values.clone();
        for (name, value) in &push.values {
            let there = values.contains_key(name);
            match (push.action, there) {
                (Action::Add, true) => return Err(PushRefusal::RecordExists),
                (Action::Change | Action::Delete, false) => return Err(PushRefusal::NoSuchRecord),
                (Action::Delete, true) => {
                    values.remove(name);
                }
                _ => {
                    values.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(values)
    }

    fn show(&self, push: &Push, room_bytes: usize) -> Result<PushAnswer, PushRefusal> {
        let named: Values =
            push.values.keys().filter_map(|n| self.values.get_key_value(n)).map(copy).collect();
        if named.len() < push.values.len() {
            return Err(PushRefusal::NoSuchRecord);
        }
        let values = if push.values.is_empty() { &self.values } else { &named };
        let pages = pages(self.file, values, room_bytes.saturating_sub(HEAD_BYTES));
        let mut pages = pages.map_err(|_| PushRefusal::TooMuch)?;
        let count = part_count(pages.len()).map_err(|_| PushRefusal::TooMuch)?;
        let number = push.part.number;
        let index = usize::from(number).checked_sub(1).filter(|index| *index < pages.len());
        let values = pages.swap_remove(index.ok_or(PushRefusal::WrongPart)?);
        Ok(PushAnswer { part: Part { number, count }, values, ..self.answer(Outcome::Done) })
    }

    fn answer(&self, outcome: Outcome) -> PushAnswer {
        PushAnswer { outcome, standing: self.standing(), part: Part::WHOLE, values: Values::new() }
    }
}

impl Coming {
    fn is_of(&self, push: &Push) -> bool {
        let whole = &self.whole;
        (whole.operation, whole.action, whole.revision, whole.base, whole.part.count)
            == (push.operation, push.action, push.revision, push.base, push.part.count)
    }
}

fn copy((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn fits(file: RecordFile, values: &Values) -> Result<(), PushRefusal> {
    let bytes: usize = values.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    let most = match file {
        RecordFile::Capk | RecordFile::Aid => MAX_ENTRIES,
        RecordFile::Parameters | RecordFile::Blacklist => MAX_RECORDS,
    };
    if values.len() > most || bytes > MAX_BYTES { Err(PushRefusal::TooMuch) } else { Ok(()) }
}

/// Whether every record makes sense in its file, under its own name.
fn check(file: RecordFile, values: &Values) -> Result<(), PushRefusal> {
    fits(file, values)?;
    let sound = values.iter().all(|(name, value)| match file {
        RecordFile::Parameters => !name.is_empty() && !name.contains('='),
        RecordFile::Capk => {
            let key = Capk::try_from(value.clone());
            key.is_ok_and(|key| name.parse::<CapkId>().is_ok_and(|id| id == key.id()))
        }
        RecordFile::Aid => {
            let parameters = AidParameters::try_from(value.clone());
            parameters.is_ok_and(|one| name.parse::<Aid>().is_ok_and(|aid| aid == one.aid))
        }
        RecordFile::Blacklist => value.is_empty() && CardPrefix::new(name).is_ok(),
    });
    if sound { Ok(()) } else { Err(PushRefusal::Unusable) }
}

/// Sets as records of their files, and back.
mod sets {
    use super::{EmvError, Values};
    use crate::emv::{AidSet, Blacklist, CapkSet, CardPrefix};

    impl From<&CapkSet> for Values {
        fn from(set: &CapkSet) -> Self {
            set.iter().map(|key| (key.id().to_string(), String::from(key.clone()))).collect()
        }
    }

    impl TryFrom<&Values> for CapkSet {
        type Error = EmvError;

        fn try_from(values: &Values) -> Result<Self, EmvError> {
            let mut set = Self::default();
            values.values().try_for_each(|value| set.insert(value.clone().try_into()?))?;
            Ok(set)
        }
    }

    impl From<&AidSet> for Values {
        fn from(set: &AidSet) -> Self {
            set.iter().map(|one| (one.aid.to_string(), String::from(one.clone()))).collect()
        }
    }

    impl TryFrom<&Values> for AidSet {
        type Error = EmvError;

        fn try_from(values: &Values) -> Result<Self, EmvError> {
            let mut set = Self::default();
            values.values().try_for_each(|value| set.insert(value.clone().try_into()?))?;
            Ok(set)
        }
    }

    impl TryFrom<&Values> for Blacklist {
        type Error = EmvError;

        fn try_from(values: &Values) -> Result<Self, EmvError> {
            let cards: Result<Vec<_>, _> = values.keys().map(|digits| CardPrefix::new(digits)).collect();
            Self::try_from(cards?)
        }
    }
}

#[cfg(test)]
mod tests;
