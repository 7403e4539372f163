//! What a dialect makes of messages, and what speaks for it.

use crate::describe::announced;
use crate::dialect::Dialect;
use crate::error::ParseError;
use crate::format::Length;
use crate::message::Message;
use crate::mti::Mti;
use crate::path::Path;

use super::cut::Piece;

/// How a dialect reads the messages.
pub(super) struct Reading {
    /// Whether all of them read strictly.
    pub(super) strict: bool,
    pub(super) points: i32,
    pub(super) reasons: Vec<String>,
}

/// Reads all messages; `None` when the first has no type or no bitmap in this dialect.
pub(super) fn read(dialect: &Dialect, pieces: &[Piece<'_>]) -> Option<Reading> {
    let (first, others) = pieces.split_first()?;
    let mut reading = read_one(dialect, first)?;
    let alike = others.iter().filter_map(|piece| read_one(dialect, piece)).collect::<Vec<_>>();
    let strict = alike.iter().filter(|other| other.strict).count();
    if !others.is_empty() {
        let all: i32 = alike.iter().map(|other| other.points).sum();
        let count = i32::try_from(pieces.len()).unwrap_or(i32::MAX);
        reading.points = (reading.points + all) / count.max(1);
        reading.reasons.push(format!("{strict} of the {} frames after it read strictly", others.len()));
    }
    // A frame that was cut off cannot read strictly and says nothing against the dialect.
    let whole = others.iter().filter(|piece| piece.whole).count();
    reading.strict &= strict >= whole;
    Some(reading)
}

fn read_one(dialect: &Dialect, piece: &Piece<'_>) -> Option<Reading> {
    let partial = Message::parse_partial(dialect, piece.body);
    let message = partial.message?;
    let mut reading = Reading { strict: partial.error.is_none(), points: 0, reasons: Vec::new() };
    let announced: Vec<String> = announced(&message).iter().map(u8::to_string).collect();
    let fields = match announced.as_slice() {
        [] => "no field".to_owned(),
        [one] => format!("field {one}"),
        [others @ .., last] => format!("fields {} and {last}", others.join(", ")),
    };
    match partial.error {
        None => {
            reading.points += 50;
            reading
                .reasons
                .push(format!("message {} reads strictly to its last byte: {fields}", message.mti()));
        }
        Some(error) => {
            reading.points += partly(dialect, piece, &error);
            reading.reasons.push(format!("the bitmap of message {} announces {fields}", message.mti()));
            reading.reasons.push(format!(
                "strict reading stops at {}, byte {} of the message and {} of the input: {}",
                error.path(),
                error.offset(),
                piece.at + error.offset(),
                error.reason()
            ));
        }
    }
    // A few bytes that happen to read say little.
    reading.points -= match announced.len() {
        0 => 20,
        1 | 2 => 8,
        _ => 0,
    };
    reading.judge_type(dialect, message.mti());
    reading.judge_dates(&message);
    Some(reading)
}

/// Points for a message that strict reading refuses: up to 25 for what comes before the error, and
/// some more when everything can be told apart in spite of it.
fn partly(dialect: &Dialect, piece: &Piece<'_>, error: &ParseError) -> i32 {
    let share = error.offset().saturating_mul(25) / piece.body.len().max(1);
    let mut points = i32::try_from(share.min(25)).unwrap_or_default();
    if let Ok(lenient) = Message::parse_lenient(dialect, piece.body) {
        let wrong = i32::try_from(lenient.deviations.len()).unwrap_or(i32::MAX).min(10);
        if lenient.rest.is_empty() {
            points += 10;
        }
        points -= wrong;
    }
    if matches!(error.path(), Path::End) {
        points += 3;
    }
    points
}

impl Reading {
    fn judge_type(&mut self, dialect: &Dialect, mti: Mti) {
        let [version, class, function, origin] = mti.digits();
        if !matches!(version, 0..=2 | 8 | 9) || !matches!(class, 1..=8) || function > 7 || origin > 5 {
            self.points -= 25;
            self.reasons.push(format!("{mti} is not a message type of any edition"));
            return;
        }
        let Some((edition, year)) = edition(dialect) else { return };
        if version == edition {
            self.points += 5;
        } else if version <= 2 {
            self.points -= 12;
            let theirs = ["1987", "1993", "2003"].get(usize::from(version)).copied().unwrap_or_default();
            self.reasons.push(format!(
                "message type {mti} is one of ISO 8583:{theirs}, the dialect's fields are those of :{year}"
            ));
        }
    }

    fn judge_dates(&mut self, message: &Message<'_>) {
        let wrong: Vec<String> = message
            .fields()
            .filter(|field| field.format().date().is_some() && field.date().is_err())
            .map(|field| field.number().to_string())
            .collect();
        if !wrong.is_empty() {
            self.points -= 4 * i32::try_from(wrong.len()).unwrap_or(i32::MAX).min(4);
            self.reasons.push(format!(
                "no date or time stands where the dialect has one: field {}",
                wrong.join(", ")
            ));
        }
    }
}

/// The edition whose fields a dialect has, told by its response code: two characters in 1987,
/// three digits in 1993, four in 2003.
fn edition(dialect: &Dialect) -> Option<(u8, &'static str)> {
    match dialect.field(39)?.length() {
        Length::Fixed(2) => Some((0, "1987")),
        Length::Fixed(3) => Some((1, "1993")),
        Length::Fixed(4) => Some((2, "2003")),
        _ => None,
    }
}
