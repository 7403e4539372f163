//! A frame, byte for byte, with what each part is.

use std::fmt::Write;

use iso8583::{Class, Message, tlv};
use tms_proto::{Profile, profile::BodyLayout};

use super::words;

const BYTES_A_LINE: usize = 16;

/// The lines of a frame: bytes in hexadecimal, `|`, and what they are.
pub(crate) fn annotate(profile: &Profile, frame: &[u8]) -> String {
    let (split, used) = profile.framing().split(frame, frame.len()).unwrap().unwrap();
    assert_eq!(used, frame.len());
    let body = split.body;
    let message = Message::parse(profile.dialect(), body).unwrap();
    let mut out = String::new();
    let (before, _) = frame.split_at(frame.len() - body.len());
    line(&mut out, &before[..2], &format!("length: {} bytes follow", frame.len() - 2));
    if let Some(tpdu) = split.tpdu {
        line(&mut out, &tpdu.0, "TPDU");
    }
    if let Some(header) = split.header {
        let waits = header.processing_requirement();
        line(&mut out, &header.0, &format!("header, 处理要求 {waits:X}"));
    }
    line(&mut out, &body[..2], &format!("message type {}", message.mti()));
    let bitmap = if body[2] & 0x80 == 0 { 8 } else { 16 };
    let fields: Vec<_> = message.fields().map(|field| field.number().to_string()).collect();
    line(&mut out, &body[2..2 + bitmap], &format!("bitmap: {}", fields.join(", ")));
    let mut at = 2 + bitmap;
    let rule = profile.classify(&message);
    for field in message.fields() {
        let n = field.number();
        let (start, bytes) = (field.offset(), field.bytes());
        let name = name(field.format().name());
        let prefix = &body[at..start];
        at = start + bytes.len();
        if field.format().class() != Class::Binary {
            line(&mut out, &[prefix, bytes].concat(), &format!("{n} {name}: {}", field.masked().trim_end()));
            continue;
        }
        let tlv = rule.is_none_or(|rule| rule.body != BodyLayout::SignOn);
        let parts = if tlv { elements(bytes) } else { None };
        if !prefix.is_empty() {
            line(&mut out, prefix, &format!("{n} {name}, {} bytes", bytes.len()));
        }
        match parts {
            Some(parts) => {
                for (bytes, what) in parts {
                    line(&mut out, &bytes, &format!("  {what}"));
                }
            }
            None => line(&mut out, bytes, &format!("  {}", shown(bytes))),
        }
    }
    assert_eq!(at, body.len(), "every byte is explained");
    out
}

/// The English part of a name that has a Chinese one too.
fn name(name: &str) -> &str {
    name.rsplit_once(|c: char| !c.is_ascii()).map_or(name, |(_, english)| english.trim())
}

fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => format!("\"{text}\""),
        _ => format!("{} bytes", bytes.len()),
    }
}

/// The elements of a BER-TLV body, perhaps after a control character of a download.
fn elements(bytes: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
    let (control, rest) = match bytes {
        [control @ b'0'..=b'9', rest @ ..] if !rest.is_empty() => (Some(*control), rest),
        _ => (None, bytes),
    };
    let mut parts = Vec::new();
    if let Some(control) = control {
        parts.push((vec![control], format!("control character '{}'", char::from(control))));
    }
    let mut again = Vec::new();
    for element in tlv::read(rest) {
        let element = element.ok()?;
        let mut wire = Vec::new();
        tlv::write(&mut wire, element.tag, element.value);
        again.extend_from_slice(&wire);
        // Bytes of a file may look like elements, but hardly like known ones.
        let what = words::element(element.tag)?;
        let value = match element.value {
            [keyboard, .., battery] if element.tag == 0xDF56 => {
                format!("keyboard {keyboard}, …, battery {battery} percent")
            }
            value if value.len() <= 8 && !value.is_empty() && value[0] < 0x20 => {
                let number = value.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                number.to_string()
            }
            value => shown(value),
        };
        parts.push((wire, format!("{:X} {what}: {value}", element.tag)));
    }
    (again == rest && !again.is_empty()).then_some(parts)
}

fn line(out: &mut String, bytes: &[u8], what: &str) {
    for (index, chunk) in bytes.chunks(BYTES_A_LINE).enumerate() {
        let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02X}")).collect();
        let hex = hex.join(" ");
        match index {
            0 => writeln!(out, "{hex:<47} | {what}").unwrap(),
            _ => writeln!(out, "{hex}").unwrap(),
        }
    }
}
