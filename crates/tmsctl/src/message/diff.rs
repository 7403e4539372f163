//! `tmsctl message diff`: what is different between two messages.

use iso8583::diff::{diff, diff_unmasked};
use iso8583::{Lenient, Message};

use super::frame::{advise, not_a_message, unframe};
use super::input;
use crate::cli::Diff;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Diff) -> Result<(), Failure> {
    if options.first == "-" && options.second == "-" {
        return Err(Failure::new("only one of the two messages can come from standard input"));
    }
    let dialect = super::dialect(&options.wire.dialect)?;
    let first = input::bytes_of(&options.first, options.input)
        .map_err(|failure| failure.about("the first message"))?;
    let second = input::bytes_of(&options.second, options.input)
        .map_err(|failure| failure.about("the second message"))?;
    let read = |bytes, which| -> Result<Lenient<'_>, Failure> {
        let advised = |failure| advise(failure, options.wire.framing, &dialect, bytes).about(which);
        let frame = unframe(options.wire.framing, bytes).map_err(advised)?;
        Message::parse_lenient(&dialect, frame.body).map_err(|error| advised(not_a_message(&dialect, &error)))
    };
    let (before, after) = (read(&first, "the first message")?, read(&second, "the second message")?);
    let compare = if options.reveal { diff_unmasked } else { diff };
    let found = compare(&before.message, &after.message);
    if options.json {
        return output::json(&found);
    }
    if found.changes.is_empty() {
        output::line("The messages have the same type and the same values.")?;
    } else {
        output::line(found.colour(output::coloured(options.color)).to_string().trim_end())?;
    }
    for (which, lenient) in [("first", &before), ("second", &after)] {
        for deviation in &lenient.deviations {
            output::line(&format!("The {which} message is against the dialect: {deviation}."))?;
        }
    }
    Ok(())
}
