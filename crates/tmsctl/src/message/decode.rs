//! `tmsctl message decode`: hexadecimal to a table or JSON.

use iso8583::framing::{Frame, FrameError, Framing};
use iso8583::{Dialect, Field, MAX_MESSAGE_BYTES, Message};

use super::shape::{Fields, FramingShape, MessageShape};
use crate::cli::Decode;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Decode) -> Result<(), Failure> {
    let dialect = super::dialect(&options.dialect)?;
    let given = (!options.hex.is_empty()).then(|| options.hex.concat());
    let bytes = unhex(&super::argument_or_stdin(given.as_deref())?)?;
    let frame = unframe(options.framing, &bytes)
        .map_err(|failure| advise_framing(failure, options, &dialect, &bytes))?;
    let message = Message::parse(&dialect, frame.body).map_err(|error| {
        let failure = Failure::new(format!("not a message of dialect {}: {error}", dialect.name()));
        advise_framing(failure, options, &dialect, &bytes)
    })?;
    if options.json {
        print_json(&message, &frame, options.reveal)
    } else {
        print_table(&message, &frame, options)
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    if let Some(at) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        let digit = digits.get(at).map_or(String::new(), |digit| output::printable(&digit.to_string()));
        return Err(Failure::new(format!(
            "character {} of the input, `{digit}`, is not a hexadecimal digit",
            at + 1
        ))
        .next("give the message as hexadecimal digits, such as 0800…"));
    }
    if digits.is_empty() {
        return Err(Failure::new("there is no message in the input")
            .next("give it as an argument or on standard input"));
    }
    hex::decode(digits.iter().collect::<String>()).map_err(|_| {
        Failure::new(format!("the input has {} hexadecimal digits, an odd number", digits.len()))
    })
}

fn unframe(framing: Framing, bytes: &[u8]) -> Result<Frame<'_>, Failure> {
    match framing.split(bytes, MAX_MESSAGE_BYTES) {
        Ok(Some((frame, consumed))) if consumed == bytes.len() => Ok(frame),
        Ok(Some((_, consumed))) => {
            Err(Failure::new(format!("{} bytes follow the frame", bytes.len() - consumed))
                .next("give one message at a time"))
        }
        Ok(None) => Err(Failure::new(format!("the frame is longer than the {} bytes given", bytes.len()))
            .next("give the whole frame, its length included")),
        Err(error @ FrameError::TooLong { .. }) => {
            Err(Failure::new(error.to_string())
                .next("check --framing: these bytes do not begin with its length"))
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// Bytes that decode in another framing were given the wrong --framing; says so.
fn advise_framing(failure: Failure, options: &Decode, dialect: &Dialect, bytes: &[u8]) -> Failure {
    let fits = |framing: &Framing| {
        *framing != options.framing
            && unframe(*framing, bytes).is_ok_and(|frame| Message::parse(dialect, frame.body).is_ok())
    };
    match Framing::COMMON.iter().find(|framing| fits(framing)) {
        Some(framing) => {
            failure.next(format!("the bytes are a message in another framing: give --framing {framing}"))
        }
        None => failure,
    }
}

fn print_json(message: &Message<'_>, frame: &Frame<'_>, reveal: bool) -> Result<(), Failure> {
    output::json(&MessageShape {
        mti: message.mti(),
        fields: Fields(message.fields().map(|field| (field.number(), shown(&field, reveal))).collect()),
        framing: FramingShape { tpdu: frame.tpdu, header: frame.header },
    })
}

fn shown(field: &Field<'_>, reveal: bool) -> String {
    if reveal { field.text().into_owned() } else { field.masked().into_owned() }
}

fn print_table(message: &Message<'_>, frame: &Frame<'_>, options: &Decode) -> Result<(), Failure> {
    let mut table = output::table(&["field", "name", "format", "value"]);
    let mut masked = false;
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
    table.add_row(["", "message type", "", &message.mti().to_string()]);
    for field in message.fields() {
        let format = field.format();
        let value = output::printable(&shown(&field, options.reveal));
        table.add_row([&field.number().to_string(), format.name(), &format.notation(), &value]);
        if field.sensitivity().is_sensitive() && !options.reveal {
            masked = true;
            continue;
        }
        for (index, part) in (1..=u8::MAX).zip(format.parts()) {
            if let Some(text) = field.part(index) {
                let path = format!("{}.{index}", field.number());
                table.add_row([&path, &format!("· {}", part.name()), "", &output::printable(&text)]);
            }
        }
    }
    output::line(&table.to_string())?;
    if masked {
        output::line("Some values are masked; --reveal shows them.")?;
    }
    Ok(())
}
