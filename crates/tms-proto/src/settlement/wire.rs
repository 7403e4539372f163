//! Where a profile puts what a batch has to say.

use iso8583::{Length, Message as Wire};

use super::{
    BatchMessage, Message, Totals,
    detail::{Found, Parts, Place},
};
use crate::{
    error::ProtocolError,
    profile::{Function, Profile, Rule},
};

const NAME: &str = "batch number";
/// Digits of a batch number.
const BATCH: usize = 6;

impl Message {
    /// The function that says it.
    #[must_use]
    pub fn function(&self) -> Function {
        match self {
            Self::Totals(_) => Function::Settlement,
            Self::Batch(message) if message.is_end() => Function::BatchEnd,
            Self::Batch(_) => Function::BatchUpload,
        }
    }

    /// Index of its code among those of its function.
    pub(crate) fn code(&self) -> usize {
        match self {
            Self::Totals(_) => 0,
            Self::Batch(message) => message.place().index(),
        }
    }

    /// Its fields in a request.
    pub(crate) fn request(&self, profile: &Profile, rule: &Rule, batch: u32) -> Result<Parts, ProtocolError> {
        let mut parts = match self {
            Self::Totals(totals) => {
                let currency = format!("{:03}", totals.currency % 1_000);
                let fields = vec![(48, totals.encode()?.into_bytes()), (49, currency.into_bytes())];
                Parts { fields, ..Parts::default() }
            }
            Self::Batch(message) => message.parts()?,
        };
        let short = profile.dialect().field(22).is_some_and(|format| format.length() == Length::Fixed(3));
        parts.fields.retain(|(n, _)| rule.request.lists(*n) && (*n != 22 || short));
        put_batch(profile, rule, &mut parts, batch);
        Ok(parts)
    }

    /// Its fields in the reply to it.
    pub(crate) fn reply(&self, profile: &Profile, rule: &Rule, batch: u32) -> Result<Parts, ProtocolError> {
        let mut parts = self.request(profile, rule, batch)?;
        parts.body = None;
        parts.fields.retain(|(n, _)| rule.reply.lists(*n));
        Ok(parts)
    }

    /// Reads a request.
    pub(crate) fn read(
        profile: &Profile,
        rule: &Rule,
        message: &Wire<'_>,
    ) -> Result<(u32, Self), ProtocolError> {
        let details = message.text("48");
        let (batch, details) = split_batch(profile, message, details.as_deref())?;
        if rule.function == Function::Settlement {
            return Ok((
                batch,
                Self::Totals(Totals::decode(details.unwrap_or_default(), currency(message))?),
            ));
        }
        let mut codes = 0..rule.codes.len();
        let index = codes.find(|index| profile.has_code(rule.function, *index, message) == Some(true));
        let place = index.and_then(|index| Place::at(rule.function == Function::BatchEnd, index));
        let place = place.ok_or_else(|| ProtocolError::body(NAME, "has a code of no known meaning"))?;
        let [pan, amount, entry_mode, sequence] = ["2", "4", "22", "23"].map(|path| message.text(path));
        let found = Found {
            details,
            trace: crate::message::stan(message),
            pan: pan.as_deref(),
            amount: amount.as_deref(),
            entry_mode: entry_mode.as_deref(),
            sequence: sequence.as_deref(),
            chip_data: message.bytes(55),
            body: message.bytes(profile.body_field()).unwrap_or_default(),
        };
        Ok((batch, Self::Batch(BatchMessage::read(place, &found)?)))
    }
}

/// Reads the totals of a reply, which must be of the batch that was asked about.
pub(crate) fn read_totals(
    profile: &Profile,
    message: &Wire<'_>,
    asked: u32,
) -> Result<Totals, ProtocolError> {
    check_batch(profile, message, asked)?;
    let details = message.text("48");
    let (_, details) = split_batch(profile, message, details.as_deref())?;
    Totals::decode(details.unwrap_or_default(), currency(message))
}

/// A reply is of the batch that was asked about, as far as it says: a transaction's number comes again in
/// another batch, and an old reply must not.
pub(crate) fn check_batch(profile: &Profile, message: &Wire<'_>, asked: u32) -> Result<(), ProtocolError> {
    let details = message.text("48");
    let says = has_batch(profile) || details.is_some();
    if says && split_batch(profile, message, details.as_deref())?.0 != asked {
        return Err(ProtocolError::body(NAME, "is another than was asked about"));
    }
    Ok(())
}

fn has_batch(profile: &Profile) -> bool {
    profile.selector_template().is_some_and(|(_, template)| template.contains("{batch}"))
}

fn put_batch(profile: &Profile, rule: &Rule, parts: &mut Parts, batch: u32) {
    if has_batch(profile) || !rule.request.lists(48) {
        return;
    }
    let mut details = format!("{batch:06}").into_bytes();
    match parts.fields.iter_mut().find(|(n, _)| *n == 48) {
        Some((_, value)) => {
            details.extend_from_slice(value);
            *value = details;
        }
        None => parts.fields.push((48, details)),
    }
}

/// The batch number, and what else DE48 says.
fn split_batch<'a>(
    profile: &Profile,
    message: &Wire<'_>,
    details: Option<&'a str>,
) -> Result<(u32, Option<&'a str>), ProtocolError> {
    let wrong = || ProtocolError::body(NAME, "is missing");
    if has_batch(profile) {
        let batch = message.text("60.2").and_then(|text| text.parse().ok());
        return Ok((batch.ok_or_else(wrong)?, details));
    }
    let (batch, details) = details.and_then(|text| text.split_at_checked(BATCH)).ok_or_else(wrong)?;
    Ok((batch.parse().map_err(|_| wrong())?, Some(details)))
}

fn currency(message: &Wire<'_>) -> u16 {
    message.text("49").and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
