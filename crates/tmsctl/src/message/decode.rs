//! `tmsctl message decode`: a message as a table or JSON.

use iso8583::describe::Row;
use iso8583::framing::Frame;
use iso8583::mask::hex_scrubbed;
use iso8583::{Lenient, Message};

use super::frame::{advise, not_a_message, unframe};
use super::input;
use super::shape::{Deviation, Fields, FramingShape, MessageShape};
use crate::cli::Decode;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Decode) -> Result<(), Failure> {
    let dialect = super::dialect(&options.wire.dialect)?;
    let bytes = input::bytes(&options.given)?;
    let advised = |failure| advise(failure, options.wire.framing, &dialect, &bytes);
    let frame = unframe(options.wire.framing, &bytes).map_err(advised)?;
    let read = if options.lenient {
        Message::parse_lenient(&dialect, frame.body)
    } else {
        Message::parse(&dialect, frame.body).map(|message| Lenient {
            message,
            deviations: Vec::new(),
            rest: &[],
        })
    };
    let lenient = read.map_err(|error| advised(not_a_message(&dialect, &error)))?;
    if options.json {
        print_json(&lenient, &frame, options.reveal)
    } else {
        print_table(&lenient, &frame, options)
    }
}

fn print_json(lenient: &Lenient<'_>, frame: &Frame<'_>, reveal: bool) -> Result<(), Failure> {
    let mut shape = MessageShape {
        mti: lenient.message.mti(),
        fields: Fields(Vec::new()),
        masked: Vec::new(),
        framing: FramingShape {
            tpdu: frame.tpdu,
            header: frame.header,
            vendor: (!frame.vendor.is_empty()).then(|| vendor(frame, reveal)),
        },
        deviations: lenient.deviations.iter().map(Deviation::from).collect(),
    };
    for field in lenient.message.fields() {
        let text = field.text();
        let shown = if reveal { text.clone() } else { field.masked() };
        if shown != text {
            shape.masked.push(field.number().to_string());
        }
        shape.fields.0.push((field.number(), shown.into_owned()));
    }
    output::json(&shape)
}

fn vendor(frame: &Frame<'_>, reveal: bool) -> String {
    if reveal { hex::encode(frame.vendor) } else { hex_scrubbed(frame.vendor) }
}

fn print_table(lenient: &Lenient<'_>, frame: &Frame<'_>, options: &Decode) -> Result<(), Failure> {
    let mut table = output::table(&["field", "name", "format", "value"]);
    if let Some(tpdu) = frame.tpdu {
        table.add_row(["", "TPDU", "", &tpdu.to_string()]);
    }
    if let Some(header) = frame.header {
        table.add_row(["", "header", "", &header.to_string()]);
        table.add_row([
            "",
            "· processing requirement",
            "",
            &format!("{:x}", header.processing_requirement()),
        ]);
    }
    if !frame.vendor.is_empty() {
        table.add_row(["", "vendor header", "", &vendor(frame, options.reveal)]);
    }
    table.add_row(["", "message type", "", &lenient.message.mti().to_string()]);
    let describe = lenient.describe();
    let rows = if options.reveal { describe.unmasked().rows() } else { describe.rows() };
    for row in rows.iter().filter(|row| !matches!(row.path.as_str(), "type" | "bitmap")) {
        table.add_row([&row.path, &name(row), &row.notation, &row.value]);
    }
    output::line(&table.to_string())?;
    for deviation in &lenient.deviations {
        output::line(&format!("Against the dialect: {deviation}."))?;
    }
    if rows.iter().any(|row| row.masked) {
        output::line("Some values are masked; --reveal shows them.")?;
    }
    Ok(())
}

fn name(row: &Row) -> String {
    if row.depth == 0 { row.name.clone() } else { format!("{}· {}", "  ".repeat(row.depth - 1), row.name) }
}
