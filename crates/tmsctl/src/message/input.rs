//! Messages from the command line, from files and from standard input.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cli::{Form, Given};
use crate::failure::Failure;
use crate::output;

/// The largest input, in bytes: hexadecimal of the largest message, generously spaced.
const MAX_INPUT_BYTES: u64 = 1 << 20;

/// The bytes of what was given.
pub(super) fn bytes(given: &Given) -> Result<Vec<u8>, Failure> {
    readings(given)?.into_iter().next().unwrap_or_else(|| Err(no_message()))
}

/// The bytes of one argument, as `diff` has two.
pub(super) fn bytes_of(argument: &str, form: Form) -> Result<Vec<u8>, Failure> {
    bytes(&Given { message: vec![argument.to_owned()], input: form })
}

/// The bytes of what was given, in all ways in which it can be read; the likeliest first. There is
/// more than one when a file's bytes happen to be hexadecimal digits.
pub(super) fn readings(given: &Given) -> Result<Vec<Result<Vec<u8>, Failure>>, Failure> {
    let content = match given.message.as_slice() {
        [] => standard_input()?,
        [one] if one == "-" => standard_input()?,
        [one] if !is_hex(one.as_bytes()) && Path::new(one).is_file() => file(one)?,
        pieces => return Ok(vec![text(&pieces.concat(), given.input)]),
    };
    if content.is_empty() {
        return Err(no_message());
    }
    let as_text = std::str::from_utf8(&content).unwrap_or_default();
    Ok(match given.input {
        Form::Raw => vec![Ok(content)],
        Form::Hex => vec![unhex(as_text)],
        Form::Base64 => vec![unbase64(as_text)],
        Form::Auto if is_hex(&content) => vec![unhex(as_text), Ok(content)],
        Form::Auto => base64_in(as_text).into_iter().chain([content]).map(Ok).collect(),
    })
}

/// A text, such as an argument: the argument itself, or standard input when there is none or `-`.
pub(super) fn argument_or_stdin(argument: Option<&str>) -> Result<String, Failure> {
    match argument.filter(|text| *text != "-") {
        Some(text) => Ok(text.to_owned()),
        None => String::from_utf8(standard_input()?)
            .map_err(|_| Failure::new("standard input cannot be read as text: it is not UTF-8")),
    }
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    limited("standard input", std::io::stdin())
}

fn file(name: &str) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::new(format!("file {name} cannot be read: {error}"));
    limited(&format!("file {name}"), std::fs::File::open(name).map_err(unreadable)?)
}

fn limited(name: &str, source: impl Read) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    source
        .take(MAX_INPUT_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
    if content.len() as u64 > MAX_INPUT_BYTES {
        return Err(Failure::new(format!("{name} is longer than 1 MiB")).next("give one message at a time"));
    }
    Ok(content)
}

fn text(text: &str, form: Form) -> Result<Vec<u8>, Failure> {
    match form {
        Form::Base64 => unbase64(text),
        Form::Raw => Ok(text.as_bytes().to_vec()),
        Form::Auto if !is_hex(text.as_bytes()) => base64_in(text).map_or_else(|| unhex(text), Ok),
        Form::Auto | Form::Hex => unhex(text),
    }
}

fn is_hex(content: &[u8]) -> bool {
    let mut digits = content.iter().filter(|byte| !byte.is_ascii_whitespace()).peekable();
    digits.peek().is_some() && digits.all(u8::is_ascii_hexdigit)
}

/// The bytes of a text that can only be meant as base64. A message of text begins with the four
/// digits of its type, which no message has as base64.
fn base64_in(text: &str) -> Option<Vec<u8>> {
    let begins_with_type = text.bytes().take(4).all(|byte| byte.is_ascii_digit());
    let bytes = if begins_with_type { None } else { unbase64(text).ok() };
    bytes.filter(|bytes| bytes.len() >= 10)
}

fn unbase64(text: &str) -> Result<Vec<u8>, Failure> {
    let packed: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    if packed.is_empty() {
        return Err(no_message());
    }
    STANDARD.decode(packed).map_err(|_| Failure::new("the input is not base64"))
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    if let Some(at) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        let digit = digits.get(at).map_or(String::new(), |digit| output::printable(&digit.to_string()));
        return Err(Failure::new(format!(
            "character {} of the input, `{digit}`, is not a hexadecimal digit",
            at + 1
        ))
        .next("give the message as hexadecimal digits, such as 0800…, as base64 or as a file"));
    }
    if digits.is_empty() {
        return Err(no_message());
    }
    hex::decode(digits.iter().collect::<String>()).map_err(|_| {
        Failure::new(format!("the input has {} hexadecimal digits, an odd number", digits.len()))
    })
}

fn no_message() -> Failure {
    Failure::new("there is no message in the input").next("give it as an argument or on standard input")
}
