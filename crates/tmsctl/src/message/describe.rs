//! `tmsctl message describe`: a message explained byte by byte.

use iso8583::Message;

use super::frame::{advise, not_a_message, unframe};
use super::input;
use crate::cli::Describe;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Describe) -> Result<(), Failure> {
    let dialect = super::dialect(&options.wire.dialect)?;
    let bytes = input::bytes(&options.given)?;
    let advised = |failure| advise(failure, options.wire.framing, &dialect, &bytes);
    let frame = unframe(options.wire.framing, &bytes).map_err(advised)?;
    let lenient = Message::parse_lenient(&dialect, frame.body)
        .map_err(|error| advised(not_a_message(&dialect, &error)))?;
    let mut describe = lenient.describe().colour(output::coloured(options.color));
    if options.reveal {
        describe = describe.unmasked();
    }
    let rows = describe.rows();
    if options.json {
        return output::json(&rows);
    }
    if let Some(tpdu) = frame.tpdu {
        output::line(&format!("TPDU {tpdu}"))?;
    }
    if let Some(header) = frame.header {
        output::line(&format!("header {header}"))?;
    }
    output::line(describe.to_string().trim_end())?;
    match lenient.deviations.len() {
        0 => {}
        1 => output::line("Strict reading refuses this message, for the reason above.")?,
        count => output::line(&format!("Strict reading refuses this message, for {count} reasons above."))?,
    }
    if rows.iter().any(|row| row.masked) {
        output::line("Some values are masked; --reveal shows them.")?;
    }
    Ok(())
}
