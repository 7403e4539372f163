//! A frame in one line: type, the fields that say what it is about, and how it was answered.

use iso8583::Message;

use crate::varieties::Variety;

/// Fields that say what a message is about, in the order of most use.
const TELLING: [&str; 8] = ["3", "24", "70", "60.3", "91", "101", "11", "39"];

/// The frame in one line.
pub(crate) fn frame(variety: Option<&Variety>, bytes: &[u8]) -> String {
    let Some(variety) = variety else { return String::new() };
    let Ok(Some((frame, _))) = variety.profile.framing().split(bytes, usize::MAX) else {
        return "no frame".to_owned();
    };
    let Ok(message) = Message::parse(variety.profile.dialect(), frame.body) else {
        return "no message".to_owned();
    };
    let mut line = message.mti().to_string();
    for field in TELLING {
        if let Some(value) = message.text(field) {
            line += &format!(" {field}={value}");
        }
    }
    line
}
