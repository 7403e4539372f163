//! This project's codec.

use std::hint::black_box;

use iso8583::{Builder, Dialect, Message, Mti};

use super::{case, same_bytes, take};
use crate::messages::Sample;
use crate::{Case, Operation};

/// As it stands in the table.
pub const NAME: &str = "iso8583";

/// Strict reading, and building with every check that reading has.
pub(super) fn cases(
    dialect: &str,
    wire: &'static str,
    sample: &Sample,
    bytes: &'static [u8],
) -> Result<Vec<Case>, String> {
    let Sample { fields, .. } = *sample;
    let dialect = Dialect::builtin(dialect).ok_or_else(|| format!("no dialect {dialect}"))?;
    let mti: Mti = sample.mti.parse().map_err(|error| format!("{}: {error}", sample.name))?;

    let message = Message::parse(dialect, bytes).map_err(|error| format!("{}: {error}", sample.name))?;
    let numbers: &'static [u8] = fields.iter().map(|(number, _)| *number).collect::<Vec<_>>().leak();
    if !message.fields().map(|field| field.number()).eq(numbers.iter().copied()) {
        return Err(format!("{NAME} reads other fields from {}", sample.name));
    }
    let (mut builder, mut out) = (Builder::new(dialect, mti), Vec::new());
    build(&mut builder, mti, fields, &mut out);
    same_bytes(NAME, sample, bytes, &out)?;

    Ok(vec![
        case(sample, wire, Operation::Parse, NAME, move || {
            take(&Message::parse(dialect, black_box(bytes)).unwrap());
        }),
        case(sample, wire, Operation::ParseAndRead, NAME, move || {
            let message = Message::parse(dialect, black_box(bytes)).unwrap();
            for (number, content) in message.contents() {
                black_box(number);
                black_box(content);
            }
        }),
        case(sample, wire, Operation::ParseAndGet, NAME, move || {
            let message = Message::parse(dialect, black_box(bytes)).unwrap();
            for number in black_box(numbers) {
                black_box(message.bytes(*number));
            }
        }),
        case(sample, wire, Operation::Build, NAME, move || {
            build(&mut builder, mti, black_box(fields), &mut out);
            take(&out);
        }),
    ])
}

/// One builder for all messages: its values are copies, so that it outlives each of them.
fn build(builder: &mut Builder<'_>, mti: Mti, fields: &[(u8, &[u8])], out: &mut Vec<u8>) {
    builder.clear(mti);
    builder.set_all(fields.iter().map(|(number, value)| (*number, *value))).unwrap();
    out.clear();
    builder.build_into(out).unwrap();
}
