//! `tmsctl message encode`: JSON to hexadecimal.

use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Dialect};

use super::shape::{FramingShape, MessageShape};
use crate::cli::Encode;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Encode) -> Result<(), Failure> {
    let dialect = super::dialect(&options.dialect)?;
    let text = super::argument_or_stdin(options.message.as_deref())?;
    let message: MessageShape = serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("the input is not a message in JSON: {error}"))
            .next(r#"give it like {"mti":"0800","fields":{"11":"000001"}}, as `decode --json` prints it"#)
    })?;
    let body = build(&dialect, &message)?;
    let FramingShape { tpdu, header } = message.framing;
    let framing = options.framing.unwrap_or(match (tpdu, header) {
        (None, None) => Framing::NONE,
        (Some(_), None) => Framing::LEN2_TPDU,
        (_, Some(_)) => Framing::LEN2_TPDU_HEADER,
    });
    let mut frame = Vec::new();
    framing.encode(&mut frame, &Frame { tpdu, header, vendor: &[], body: &body }).map_err(|error| {
        Failure::new(error.to_string()).next("make --framing and `framing` in the JSON agree")
    })?;
    output::line(&hex::encode_upper(frame))
}

fn build(dialect: &Dialect, message: &MessageShape) -> Result<Vec<u8>, Failure> {
    let mut builder = Builder::new(dialect, message.mti);
    for (number, text) in &message.fields.0 {
        // Without looking at other fields, every rule that could mask this one counts.
        if dialect.sensitivity_of(*number, message.mti, |_| None::<&str>).is_masked(text) {
            return Err(Failure::new(format!(
                "field {number} is masked, so the message cannot be made from it"
            ))
            .next("decode again with --reveal and give that JSON"));
        }
        builder.set(*number, text).map_err(|error| Failure::new(error.to_string()))?;
    }
    builder.build().map_err(|error| Failure::new(error.to_string()))
}
