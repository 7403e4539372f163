//! The wire form of records, and how many fit a message.

use super::{RecordFile, Values};
use crate::{
    body::{self, Body, put, tag},
    error::ProtocolError,
};

/// Most bytes of a record's name.
const MAX_NAME_BYTES: usize = 64;
/// Most bytes of a record's value on the wire: the longest application or parameter.
const MAX_VALUE_BYTES: usize = 512;
/// Most records of one message; a body has other elements too.
const MAX_RECORDS_IN_A_MESSAGE: usize = 100;
/// Most messages of one push.
pub(super) const MAX_PARTS: u16 = 99;

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

pub(super) fn put_records(out: &mut Vec<u8>, file: RecordFile, values: &Values) -> Result<(), ProtocolError> {
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

pub(super) fn records(body: &Body<'_>, file: RecordFile) -> Result<Values, ProtocolError> {
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
