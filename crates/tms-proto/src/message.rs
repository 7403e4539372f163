//! What requests and replies of both sides share: standard fields filled from one context,
//! and bytes spread over the profile's private fields.

use iso8583::{
    BuildError, Builder, Length, Message,
    framing::{Frame, Header, Tpdu},
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};

use crate::{
    error::ProtocolError,
    label::Label,
    profile::{MacRule, Piece, Profile, Rule},
};

/// Most bytes that one LLL field holds.
pub(crate) const FIELD_ROOM_BYTES: usize = 999;
/// Time after which a request counts as unanswered, on either side.
const REPLY_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);

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
    /// DE63.1 of sign-ons and settlements, the operator in three characters (`01 `), where the profile lists the field.
    pub operator: Option<String>,
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
            operator: Some("01 ".to_owned()),
        }
    }
}

/// Values that standard fields are filled from.
pub(crate) struct Standard<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) rule: &'a Rule,
    pub(crate) code: &'a str,
    /// `None` in the reply to a request that had none.
    pub(crate) stan: Option<u32>,
    pub(crate) batch: u32,
    pub(crate) terminal: &'a [u8],
    pub(crate) merchant: &'a [u8],
    pub(crate) response: Option<&'a str>,
    /// DE7 of the request, which its reply echoes: with the STAN it says which request that was.
    pub(crate) transmitted: Option<u64>,
    /// A field that announces waiting work, and its digit.
    pub(crate) pending: Option<(u8, u8)>,
    pub(crate) now: Timestamp,
}

impl Standard<'_> {
    /// Sets every listed field that has a standard meaning, in ascending order. Nothing here allocates.
    pub(crate) fn fill(&self, builder: &mut Builder<'_>, fields: &[u8]) -> Result<(), ProtocolError> {
        let listed = fields.iter().copied().chain(self.pending.map(|(field, _)| field));
        let mut wanted = listed.fold(0u128, |set, n| set | 1u128.checked_shl(n.into()).unwrap_or(0));
        let local = civil(self.now, self.profile.utc_offset_minutes());
        while wanted != 0 {
            // At most 127, the highest bit.
            let n = u8::try_from(wanted.trailing_zeros()).unwrap_or(0);
            wanted &= wanted.wrapping_sub(1);
            self.put(builder, n, local)?;
        }
        Ok(())
    }

    fn put(&self, builder: &mut Builder<'_>, n: u8, local: DateTime) -> Result<(), ProtocolError> {
        let time = [local.hour(), local.minute(), local.second()];
        let since_year = || {
            let year = i8::try_from(local.year().rem_euclid(100)).unwrap_or(0);
            run(&[year]).saturating_mul(10_000_000_000).saturating_add(month_to_second(local))
        };
        match n {
            7 => {
                let at = self.transmitted.unwrap_or_else(|| month_to_second(civil(self.now, 0)));
                builder.set_bytes(n, &digits::<10>(at))?
            }
            11 => match self.stan {
                Some(stan) => builder.set_bytes(n, &digits::<6>(stan.into()))?,
                None => return Ok(()),
            },
            // From :1993 on with the date.
            12 if builder.dialect().field(12).is_some_and(|f| f.length() == Length::Fixed(12)) => {
                builder.set_bytes(n, &digits::<12>(since_year()))?
            }
            12 => builder.set_bytes(n, &digits::<6>(run(&time)))?,
            13 | 15 => builder.set_bytes(n, &digits::<4>(run(&[local.month(), local.day()])))?,
            // yymmddhhmmss is unique enough for a reference that nobody clears against.
            37 => builder.set_bytes(n, &digits::<12>(since_year()))?,
            39 => match self.response {
                Some(code) => builder.set_bytes(n, code.as_bytes())?,
                None => return Ok(()),
            },
            41 if !self.terminal.is_empty() => builder.set_bytes(n, self.terminal)?,
            42 if !self.merchant.is_empty() => builder.set_bytes(n, self.merchant)?,
            101 => match self.rule.files.first() {
                Some(name) => builder.set_bytes(n, name.as_bytes())?,
                None => return Ok(()),
            },
            n if self.pending.is_some_and(|(field, _)| field == n) => {
                let digit = self.pending.map_or(0, |(_, digit)| digit);
                builder.set_bytes(n, &digits::<2>(digit.into()))?
            }
            n => match self.profile.selector_pieces(n) {
                Some(pieces) => builder.set_bytes(n, self.selector(pieces).as_bytes())?,
                None if self.rule.select.parse() == Ok(n) => builder.set_bytes(n, self.code.as_bytes())?,
                None => return Ok(()),
            },
        };
        Ok(())
    }

    /// The selector's field, filled in.
    fn selector(&self, pieces: &[Piece]) -> Label<64> {
        let mut out = Label::default();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push(text.as_bytes()),
                Piece::Batch => out.push(&digits::<6>(self.batch.into())),
                Piece::Code => out.push(self.code.as_bytes()),
            }
        }
        out
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

/// The STAN (DE11), if there is one.
pub(crate) fn stan(message: &Message<'_>) -> Option<u32> {
    u32::try_from(message.number(11)?.0).ok()
}

/// DE60.2, the batch number, which replies echo: digits 3 to 8 of the field.
pub(crate) fn batch(message: &Message<'_>) -> u32 {
    let digits = message.number(60).and_then(|(number, length)| {
        let behind = u32::try_from(length.checked_sub(8)?).ok()?;
        number.checked_div(10u64.checked_pow(behind)?)
    });
    digits.and_then(|digits| u32::try_from(digits % 1_000_000).ok()).unwrap_or(0)
}

/// DE7 that the reply to a request made now must echo, where the function's MACs are to prove which
/// request a reply is for: a STAN alone comes back after 999,999 requests.
pub(crate) fn echoed_time(profile: &Profile, rule: &Rule, now: Timestamp) -> Option<u64> {
    let protected = profile.mac().is_some_and(|mac| mac.request(rule.function) == MacRule::Required);
    let listed = rule.request.always(7) && rule.reply.always(7);
    (protected && listed).then(|| month_to_second(civil(now, 0)))
}

/// DE7 of a message, if it has one.
pub(crate) fn transmitted(message: &Message<'_>) -> Option<u64> {
    Some(message.number(7)?.0)
}

/// A field of a message, empty when it has none.
pub(crate) fn label<const N: usize>(message: &Message<'_>, n: u8) -> Label<N> {
    message.value(n).map(|value| Label::new(&value)).unwrap_or_default()
}

/// Whether DE41 is this terminal.
pub(crate) fn names_terminal(message: &Message<'_>, terminal: &[u8]) -> bool {
    message.value(41).is_some_and(|tid| tid.trim_ascii_end() == terminal.trim_ascii_end())
}

/// The reply to a request that is not understood: what of it tells the requester which one that was.
pub(crate) fn echo<'d>(profile: &Profile, message: &Message<'d>) -> Result<Builder<'d>, BuildError> {
    let selector = profile.selector_template().map_or(0, |(field, _)| field);
    let mut fields = [3, 7, 11, 24, 41, 42, 70, selector];
    fields.sort_unstable();
    Builder::reply_to(message, &fields)
}

/// As [`echo`], of bytes that can be read in part or only as far as their type; `None` when that asks for
/// no reply.
pub(crate) fn echo_part<'d>(profile: &Profile, body: &'d [u8]) -> Option<Builder<'d>> {
    let dialect = profile.dialect();
    let part = Message::parse_partial(dialect, body).message;
    let from_part = part.and_then(|message| echo(profile, &message).ok());
    from_part.or_else(|| Some(Builder::new(dialect, Message::peek_mti(dialect, body)?.response()?)))
}

/// The first of `fields` that a message lacks.
pub(crate) fn lacks(message: &Message<'_>, fields: &[u8]) -> Option<u8> {
    fields.iter().copied().find(|n| !message.has(*n))
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

/// When a request that is sent now counts as unanswered.
pub(crate) fn deadline(now: Timestamp) -> Timestamp {
    now.saturating_add(REPLY_TIMEOUT).unwrap_or(Timestamp::MAX)
}

fn civil(now: Timestamp, offset_minutes: i32) -> DateTime {
    let offset = Offset::from_seconds(offset_minutes.saturating_mul(60)).unwrap_or(Offset::UTC);
    offset.to_datetime(now)
}

fn month_to_second(at: DateTime) -> u64 {
    run(&[at.month(), at.day(), at.hour(), at.minute(), at.second()])
}

/// Two digits each, one after the other.
fn run(parts: &[i8]) -> u64 {
    parts
        .iter()
        .fold(0, |run: u64, part| run.saturating_mul(100).saturating_add(u64::from(part.unsigned_abs())))
}

/// `N` decimal digits with leading zeros; the last ones of a number that has more.
pub(crate) fn digits<const N: usize>(mut value: u64) -> [u8; N] {
    let mut out = [b'0'; N];
    // Two at a time: a division of 64 bits is dearer than one of 8.
    for places in out.rchunks_mut(2) {
        let two = u8::try_from(value % 100).unwrap_or(0);
        value /= 100;
        let both = [b'0'.saturating_add(two / 10), b'0'.saturating_add(two % 10)];
        if let Some(both) = both.get(2usize.saturating_sub(places.len())..) {
            places.copy_from_slice(both);
        }
    }
    out
}
