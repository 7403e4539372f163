//! What requests and replies of both sides share: standard fields filled from one context,
//! and bytes spread over the profile's private fields.

use iso8583::{
    Builder, Message,
    framing::{Frame, Header, Tpdu},
};
use jiff::{Timestamp, civil::DateTime, tz::Offset};

use crate::{
    error::ProtocolError,
    profile::{MacRule, Profile, Rule},
};

/// Most bytes that one LLL field holds.
pub(crate) const FIELD_ROOM_BYTES: usize = 999;

/// Who a terminal is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// DE41, the terminal identification (TID), 8 characters.
    pub terminal: String,
    /// DE42, the merchant identification (MID), 15 characters.
    pub merchant: String,
    /// TPDU of requests where the framing has one.
    pub tpdu: Tpdu,
    /// UnionPay header of requests where the framing has one.
    pub header: Header,
    /// DE60.2, the current batch number.
    pub batch: u32,
}

impl Identity {
    /// An identity with the usual TPDU, header and batch 000001.
    #[must_use]
    pub fn new(terminal: &str, merchant: &str) -> Self {
        Self {
            terminal: terminal.to_owned(),
            merchant: merchant.to_owned(),
            tpdu: Tpdu([0x60, 0x00, 0x03, 0x00, 0x00]),
            header: Header([0x60, 0x31, 0x00, 0x31, 0x00, 0x01]),
            batch: 1,
        }
    }
}

/// Values that standard fields are filled from.
pub(crate) struct Standard<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) rule: &'a Rule,
    pub(crate) code: &'a str,
    pub(crate) stan: u32,
    pub(crate) batch: u32,
    pub(crate) terminal: &'a str,
    pub(crate) merchant: &'a str,
    pub(crate) response: Option<&'a str>,
    /// DE7 of the request, which its reply echoes: with the STAN it says which request that was.
    pub(crate) transmitted: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl Standard<'_> {
    /// Sets every listed field that has a standard meaning and is not set yet.
    pub(crate) fn fill(&self, builder: &mut Builder<'_>, fields: &[u8]) -> Result<(), ProtocolError> {
        let utc = civil(self.now, 0);
        let local = civil(self.now, self.profile.utc_offset_minutes());
        let selector = self.profile.selector_template();
        for &n in fields {
            let value = match n {
                7 => self.transmitted.map_or_else(|| month_to_second(utc), str::to_owned),
                11 => format!("{:06}", self.stan),
                12 => match self.profile.local_time_digits() {
                    14 => format!("{:04}{}", local.year(), month_to_second(local)),
                    12 => format!("{:02}{}", local.year().rem_euclid(100), month_to_second(local)),
                    _ => format!("{:02}{:02}{:02}", local.hour(), local.minute(), local.second()),
                },
                13 => format!("{:02}{:02}", local.month(), local.day()),
                // yymmddhhmmss is unique enough for a reference that nobody clears against.
                37 => format!("{:02}{}", local.year().rem_euclid(100), month_to_second(local)),
                39 => match self.response {
                    Some(code) => code.to_owned(),
                    None => continue,
                },
                41 => self.terminal.to_owned(),
                42 => self.merchant.to_owned(),
                101 => match self.rule.files.first() {
                    Some(name) => name.clone(),
                    None => continue,
                },
                n if selector.is_some_and(|(field, _)| field == n) => {
                    let template = selector.map_or("", |(_, template)| template);
                    template.replace("{batch}", &format!("{:06}", self.batch)).replace("{code}", self.code)
                }
                n if self.rule.select == n.to_string() => self.code.to_owned(),
                _ => continue,
            };
            builder.set(n, &value)?;
        }
        Ok(())
    }
}

/// Puts `data` into the profile's data fields, as many as it needs.
pub(crate) fn put_spread(
    profile: &Profile,
    builder: &mut Builder<'_>,
    data: &[u8],
) -> Result<(), ProtocolError> {
    let fields = profile.data_fields();
    let room = profile.data_room();
    if data.len() > fields.len().saturating_mul(room) {
        return Err(ProtocolError::body("data fields", format!("{} bytes do not fit", data.len())));
    }
    for (n, chunk) in fields.iter().zip(data.chunks(room.max(1))) {
        builder.set_bytes(*n, chunk)?;
    }
    Ok(())
}

/// Joins the profile's data fields; empty when there is none.
pub(crate) fn take_spread(profile: &Profile, message: &Message<'_>) -> Vec<u8> {
    let mut data = Vec::new();
    for n in profile.data_fields() {
        match message.bytes(*n) {
            Some(bytes) => data.extend_from_slice(bytes),
            None => break,
        }
    }
    data
}

/// One whole frame out of bytes that hold exactly one.
pub(crate) fn whole_frame(
    profile_framing: iso8583::framing::Framing,
    bytes: &[u8],
) -> Result<Frame<'_>, ProtocolError> {
    match profile_framing.split(bytes, bytes.len())? {
        Some((frame, used)) if used == bytes.len() => Ok(frame),
        Some(_) => Err(ProtocolError::body("frame", "more than one frame was given")),
        None => Err(ProtocolError::body("frame", "only part of a frame was given")),
    }
}

/// Parses a STAN (DE11).
pub(crate) fn stan(message: &Message<'_>) -> Option<u32> {
    message.text("11")?.parse().ok()
}

/// DE7 that the reply to a request made now must echo, where the function's MACs are to prove which
/// request a reply is for: a STAN alone comes back after 999,999 requests.
pub(crate) fn echoed_time(profile: &Profile, rule: &Rule, now: Timestamp) -> Option<String> {
    let protected = profile.mac().is_some_and(|mac| mac.request(rule.function) == MacRule::Required);
    let listed = rule.request.always(7) && rule.reply.always(7);
    (protected && listed).then(|| month_to_second(civil(now, 0)))
}

/// DE7 of a message, if it has one.
pub(crate) fn transmitted(message: &Message<'_>) -> Option<String> {
    message.text("7").map(|text| text.into_owned())
}

/// Whether DE41 is this terminal.
pub(crate) fn names_terminal(message: &Message<'_>, terminal: &str) -> bool {
    message.text("41").is_some_and(|tid| tid.trim_end() == terminal.trim_end())
}

/// DE11 runs from 1 to 999999.
pub(crate) fn next_stan(stan: u32) -> u32 {
    if stan >= 999_999 { 1 } else { stan.saturating_add(1) }
}

/// Where a session's STANs begin: elsewhere each time, so that a reply that was recorded on an earlier
/// connection answers nothing on this one.
pub(crate) fn stan_before_the_first(now: Timestamp) -> u32 {
    u32::try_from(now.as_second().rem_euclid(999_999)).unwrap_or(0)
}

fn civil(now: Timestamp, offset_minutes: i32) -> DateTime {
    let offset = Offset::from_seconds(offset_minutes.saturating_mul(60)).unwrap_or(Offset::UTC);
    offset.to_datetime(now)
}

fn month_to_second(at: DateTime) -> String {
    format!("{:02}{:02}{:02}{:02}{:02}", at.month(), at.day(), at.hour(), at.minute(), at.second())
}
