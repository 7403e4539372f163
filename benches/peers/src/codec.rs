//! What each codec does for each operation.
//!
//! Inputs go through [`black_box`] in every turn, and so does every result: the parsed message by
//! reference, so that it has to exist in memory but is not copied once more; every field's number
//! and value; the built bytes.

use std::hint::black_box;

use crate::messages::Sample;
use crate::{Case, Operation};

mod fastest_peer;
mod i8583;
mod json_peer;
mod ours;

pub use fastest_peer::NAME as FASTEST_PEER;
pub use ours::NAME as OURS;

/// Everything there is to measure, cases that are compared with each other side by side.
///
/// # Errors
///
/// A sentence about what cannot be loaded, or about a codec that does not give the message back.
pub fn cases(benchmark: &[Sample], sign_on: &Sample) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let fastest = fastest_peer::load()?;
    let json = json_peer::load()?;
    for sample in benchmark {
        cases.extend(fastest_peer::cases(fastest, sample)?);
        cases.extend(ours::cases("iso87-ascii", "ascii", sample, sample.ascii)?);
        cases.extend(ours::cases("iso87-binary", "packed", sample, sample.packed)?);
        cases.extend(i8583::cases(sample)?);
        cases.extend(json_peer::cases(json, sample)?);
    }
    cases.extend(fastest_peer::cases(fastest, sign_on)?);
    cases.extend(ours::cases("unionpay", "unionpay", sign_on, sign_on.packed)?);
    // Stable, so that codecs stay in the order above within an operation on a message.
    cases.sort_by_key(|case| (case.message, case.operation as u8));
    Ok(cases)
}

fn case(
    sample: &Sample,
    wire: &'static str,
    operation: Operation,
    codec: &'static str,
    mut once: impl FnMut() + 'static,
) -> Case {
    let run = Box::new(move |times| {
        for _ in 0..times {
            once();
        }
    });
    Case { message: sample.name, wire, operation, codec, run }
}

/// Fails unless a codec has found exactly these fields: otherwise its time means nothing.
fn same_fields<'a>(
    codec: &str,
    sample: &Sample,
    found: impl Iterator<Item = (u8, &'a [u8])>,
) -> Result<(), String> {
    if found.eq(sample.fields.iter().copied()) {
        return Ok(());
    }
    Err(format!("{codec} reads other fields from {}", sample.name))
}

fn same_bytes(codec: &str, sample: &Sample, expected: &[u8], built: &[u8]) -> Result<(), String> {
    if built == expected {
        return Ok(());
    }
    Err(format!("{codec} writes other bytes for {}: {}", sample.name, hex::encode(built)))
}

fn take<T: ?Sized>(value: &T) {
    black_box(value);
}
