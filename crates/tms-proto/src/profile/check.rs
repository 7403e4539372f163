//! What a profile file must say beyond being well formed.

use std::collections::BTreeMap;

use iso8583::{Builder, Dialect, Message, Mti};

use super::{
    TagPlace,
    file::{KeyRule, PendingTable, PlaceName, ProfileFile},
    load::invalid,
};
use crate::{emv::Forms, error::ProfileError, message::FIELD_ROOM_BYTES};

/// Bytes that every body must have room for.
const LEAST_BODY_BYTES: usize = 255;
/// Most minutes between a place's time and UTC: UTC+14, with some room.
const MAX_OFFSET_MINUTES: i32 = 18 * 60;

/// Bytes that each of the data fields holds.
pub(super) fn data_room(file: &ProfileFile, dialect: &Dialect) -> Result<usize, ProfileError> {
    let mut room = FIELD_ROOM_BYTES;
    for n in &file.data_fields {
        if *n == file.body_field || file.data_fields.iter().filter(|other| *other == n).count() > 1 {
            return Err(invalid("data_fields", format!("DE{n} is there twice, or is the body_field too")));
        }
        let holds = room_of(*n, dialect);
        if holds == 0 {
            return Err(invalid("data_fields", no_bytes(*n, dialect)));
        }
        room = room.min(holds);
    }
    let holds = room_of(file.body_field, dialect);
    if holds < LEAST_BODY_BYTES.min(room) || holds == 0 {
        return Err(invalid("body_field", no_bytes(file.body_field, dialect)));
    }
    let most = room.saturating_mul(file.data_fields.len());
    if file.block_bytes == 0 || file.block_bytes as usize > most {
        return Err(invalid("block_bytes", format!("must be 1 to {most}, what the data fields hold")));
    }
    Ok(room)
}

fn no_bytes(n: u8, dialect: &Dialect) -> String {
    match dialect.field(n) {
        None => format!("DE{n} is not in dialect {}", dialect.name()),
        Some(format) => {
            let shape = format.notation();
            format!("DE{n} ({shape}) of dialect {} does not hold bytes of any value", dialect.name())
        }
    }
}

/// Most bytes of any value that a field holds; zero when it holds none.
fn room_of(n: u8, dialect: &Dialect) -> usize {
    // 0x01 is a control character, so no text may have it.
    let fits = |bytes: usize| {
        let value = vec![0x01; bytes];
        let read = Mti::new(800).and_then(|mti| {
            let mut builder = Builder::new(dialect, mti);
            builder.set_bytes(n, &value).ok()?.build().ok()
        });
        read.is_some_and(|wire| {
            Message::parse(dialect, &wire).is_ok_and(|message| {
                message.field(n).is_some_and(|field| field.value().as_ref() == value.as_slice())
            })
        })
    };
    let mut room = 0;
    for step in (0..10).rev().map(|bit| 1_usize << bit) {
        let more = room | step;
        if more <= FIELD_ROOM_BYTES && fits(more) {
            room = more;
        }
    }
    room
}

pub(super) fn pending(table: &PendingTable, dialect: &Dialect) -> Result<(), ProfileError> {
    let most = match (table.place, table.field) {
        // One digit of the header, a nibble.
        (PlaceName::Header, None) => 15,
        (PlaceName::Header, Some(_)) => {
            return Err(invalid("pending", "field goes with place = \"field\"".into()));
        }
        (PlaceName::Field, None) => {
            return Err(invalid("pending", "place = \"field\" needs a field".into()));
        }
        (PlaceName::Field, Some(n)) => {
            let built = Mti::new(810).and_then(|mti| {
                let mut builder = Builder::new(dialect, mti);
                builder.set(n, "99").ok()?.build().ok()
            });
            let reads = built.is_some_and(|wire| {
                Message::parse(dialect, &wire)
                    .is_ok_and(|message| message.text(&n.to_string()).as_deref() == Some("99"))
            });
            if !reads {
                return Err(invalid(
                    "pending",
                    format!("DE{n} of dialect {} cannot hold two digits", dialect.name()),
                ));
            }
            99
        }
    };
    let mut known = BTreeMap::new();
    for (work, digit) in &table.work {
        let place = "pending.work";
        if *digit == 0 || *digit > most {
            return Err(invalid(
                place,
                format!("{work} = {digit} must be 1 to {most}; 0 means that nothing waits"),
            ));
        }
        if let Some(other) = known.insert(*digit, work) {
            return Err(invalid(place, format!("{digit} cannot mean both {other} and {work}")));
        }
    }
    Ok(())
}

/// The template of the selector's field, and the tags.
pub(super) fn others(file: &ProfileFile, dialect: &Dialect) -> Result<(), ProfileError> {
    let (least, most) = (Forms::MIN_BODY_BYTES, Forms::MAX_BODY_BYTES);
    if !(least..=most).contains(&file.download.body_bytes) {
        return Err(invalid("download", format!("body_bytes must be {least} to {most}")));
    }
    if let Some(keys) = &file.keys {
        let (least, most) = (KeyRule::AGES_S.start(), KeyRule::AGES_S.end());
        if !KeyRule::AGES_S.contains(&keys.renew_after_s) {
            return Err(invalid("keys", format!("renew_after_s must be {least} to {most}")));
        }
    }
    if let Some(template) = &file.selector_template {
        let place = "selector_template";
        if dialect.field(template.field).is_none() {
            let reason = format!("DE{} is not in dialect {}", template.field, dialect.name());
            return Err(invalid(place, reason));
        }
        let rest = template.template.replace("{batch}", "").replace("{code}", "");
        if !template.template.contains("{code}") || rest.contains(['{', '}']) {
            let reason = "template needs {code}, and knows {batch} (six digits) besides".to_owned();
            return Err(invalid(place, reason));
        }
    }
    if file.utc_offset_minutes.saturating_abs() > MAX_OFFSET_MINUTES {
        return Err(invalid("utc_offset_minutes", format!("must be within {MAX_OFFSET_MINUTES}")));
    }
    for (index, tag) in file.tag.iter().enumerate() {
        let place = format!("tag {}", tag.tag);
        if tag.tag.len() != 2 || !tag.tag.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid(&place, "must be two digits".into()));
        }
        if tag.length == 0 || tag.length > FIELD_ROOM_BYTES {
            return Err(invalid(&place, format!("length must be 1 to {FIELD_ROOM_BYTES}")));
        }
        let before = file.tag.get(..index).unwrap_or_default();
        let meets = |other: &[TagPlace]| other.iter().any(|place| tag.place.contains(place));
        if before.iter().any(|other| other.tag == tag.tag && meets(&other.place)) {
            return Err(invalid(&place, "stands twice in one message".into()));
        }
    }
    Ok(())
}
