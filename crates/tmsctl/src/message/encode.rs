//! `tmsctl message encode`: JSON to hexadecimal.

use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Dialect};

use super::input;
use super::shape::{FramingShape, MessageShape};
use crate::cli::Encode;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Encode) -> Result<(), Failure> {
    let dialect = super::dialect(&options.dialect)?;
    let text = input::argument_or_stdin(options.message.as_deref())?;
    let message: MessageShape = serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("the input is not a message in JSON: {}", without_values(&error.to_string())))
            .next(r#"give it like {"mti":"0800","fields":{"11":"000001"}}, as `decode --json` prints it"#)
    })?;
    let body = build(&dialect, &message)?;
    let FramingShape { tpdu, header, vendor } = message.framing;
    let vendor = hex::decode(vendor.unwrap_or_default())
        .map_err(|_| Failure::new("the vendor's header is not pairs of hexadecimal digits"))?;
    let framing = options.framing.unwrap_or(match (tpdu, header) {
        (None, None) => Framing::NONE,
        (Some(_), None) => Framing::LEN2_TPDU,
        (_, Some(_)) => Framing::LEN2_TPDU_HEADER,
    });
    let mut frame = Vec::new();
    framing.encode(&mut frame, &Frame { tpdu, header, vendor: &vendor, body: &body }).map_err(|error| {
        Failure::new(error.to_string()).next("make --framing and `framing` in the JSON agree")
    })?;
    output::line(&hex::encode_upper(frame))
}

/// What is wrong with JSON, without the text that stands where something else should.
fn without_values(error: &str) -> String {
    let Some((before, rest)) = error.split_once("string \"") else { return error.to_owned() };
    let after = rest.rfind('"').and_then(|end| rest.get(end + 1..)).unwrap_or_default();
    format!("{before}string{after}")
}

fn build(dialect: &Dialect, message: &MessageShape) -> Result<Vec<u8>, Failure> {
    if let Some(deviation) = message.deviations.first() {
        return Err(Failure::new(format!(
            "the message was read although it breaks the dialect, so it cannot be made again: {}",
            deviation.reason
        ))
        .next("correct the fields and leave out `deviations`"));
    }
    let mut builder = Builder::new(dialect, message.mti);
    for (number, text) in &message.fields.0 {
        // Without looking at other fields, every rule that could mask this one counts.
        let looks_masked = dialect.sensitivity_of(*number, message.mti, |_| None::<&str>).is_masked(text);
        if looks_masked || message.masked.contains(&number.to_string()) {
            return Err(Failure::new(format!(
                "field {number} is masked, so the message cannot be made from it"
            ))
            .next("decode again with --reveal and give that JSON"));
        }
        builder.set(*number, text).map_err(|error| Failure::new(error.to_string()))?;
    }
    builder.build().map_err(|error| Failure::new(error.to_string()))
}
