//! Message types in words.

use crate::mti::Mti;

/// Edition, class, function and origin of a message type (ISO 8583-1, clause 4.1).
pub(super) fn of(mti: Mti) -> String {
    let edition = match mti.version() {
        0 => "ISO 8583:1987",
        1 => "ISO 8583:1993",
        2 => "ISO 8583:2003",
        8 => "national use",
        9 => "private use",
        _ => "reserved edition",
    };
    let class = match mti.class() {
        1 => "authorization",
        2 => "financial",
        3 => "file action",
        4 => "reversal or chargeback",
        5 => "reconciliation",
        6 => "administrative",
        7 => "fee collection",
        8 => "network management",
        _ => "reserved class",
    };
    let function = match mti.function() {
        0 => "request",
        1 => "request response",
        2 => "advice",
        3 => "advice response",
        4 => "notification",
        5 => "notification acknowledgement",
        6 => "instruction",
        7 => "instruction acknowledgement",
        _ => "reserved function",
    };
    // An answer has the origin of what it answers.
    let origin = match (mti.origin(), mti.is_response()) {
        (0 | 1, false) => "from the acquirer",
        (0 | 1, true) => "to the acquirer",
        (2 | 3, false) => "from the issuer",
        (2 | 3, true) => "to the issuer",
        (4 | 5, false) => "from another party",
        (4 | 5, true) => "to another party",
        _ => "reserved origin",
    };
    let repeat = if mti.is_repeat() { ", repeat" } else { "" };
    format!("{edition}, {class}, {function}, {origin}{repeat}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_sentences() {
        for (mti, words) in [
            (800, "ISO 8583:1987, network management, request, from the acquirer"),
            (810, "ISO 8583:1987, network management, request response, to the acquirer"),
            (1421, "ISO 8583:1993, reversal or chargeback, advice, from the acquirer, repeat"),
            (2644, "ISO 8583:2003, administrative, notification, from another party"),
            (9999, "private use, reserved class, reserved function, reserved origin"),
        ] {
            assert_eq!(of(Mti::new(mti).unwrap()), words);
        }
    }
}
