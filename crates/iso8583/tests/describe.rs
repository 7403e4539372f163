//! What a description and a comparison of messages say.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::diff::{ChangeKind, diff, diff_unmasked};
use iso8583::{Builder, Dialect, MASK, Message, Mti};

const CARD: &str = "4111111111111111";

fn unionpay() -> &'static Dialect {
    Dialect::builtin("unionpay").unwrap()
}

fn build(mti: u16, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(unionpay(), Mti::new(mti).unwrap());
    for (number, value) in fields {
        builder.set(*number, value).unwrap();
    }
    builder.build().unwrap()
}

fn sale() -> Vec<u8> {
    build(
        200,
        &[
            (2, CARD),
            (4, "000000010000"),
            (11, "000042"),
            (35, "4111111111111111=28122010000000000000"),
            (52, "0123456789abcdef"),
            (60, "22000001000"),
            (63, "01 PAN 4111111111111111"),
        ],
    )
}

#[test]
fn a_description_has_a_line_for_each_field_and_subfield_in_aligned_columns() {
    let bytes = build(800, &[(11, "000001"), (41, "99999906"), (60, "00000001003")]);
    let text = Message::parse(unionpay(), &bytes).unwrap().describe().to_string();
    let lines: Vec<&str> = text.lines().collect();
    println!("{text}");
    assert!(
        lines[0].ends_with("0800  ISO 8583:1987, network management, request, from the acquirer"),
        "{text}"
    );
    assert!(lines[1].contains("2..10") && lines[1].ends_with("11 41 60"), "{text}");
    assert!(lines[2].starts_with("11") && lines[2].ends_with("000001"), "{text}");
    assert!(lines[7].starts_with("  60.3") && lines[7].ends_with("003"), "{text}");
    assert_eq!(lines.len(), 8);
    // Chinese names take two columns for each character.
    let columns = |line: &str| {
        let value = line.rsplit("  ").next().unwrap();
        unicode_width::UnicodeWidthStr::width(line.strip_suffix(value).unwrap())
    };
    assert_eq!(columns(lines[2]), columns(lines[3]));
    assert_eq!(columns(lines[3]), columns(lines[7]));
}

#[test]
fn a_description_shows_nothing_sensitive_until_asked() {
    let bytes = sale();
    let message = Message::parse(unionpay(), &bytes).unwrap();
    let text = message.describe().colour(true).to_string();
    for secret in [CARD, "0123456789abcdef", "=2812"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    assert!(text.contains("01 PAN 411111******1111"), "{text}");
    assert!(text.contains("\x1b[33m411111******1111\x1b[0m"), "{text}");
    let text = message.describe().unmasked().to_string();
    for secret in [CARD, "0123456789abcdef", "=2812"] {
        assert!(text.contains(secret), "{secret} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'));
    let rows = message.describe().rows();
    let track = rows.iter().find(|row| row.path == "35").unwrap();
    assert_eq!((track.value.as_str(), track.masked, track.notation.as_str()), (MASK, true, "z..37"));
}

#[test]
fn a_deviation_is_told_at_its_field_with_its_byte() {
    let mut bytes = build(800, &[(11, "000001"), (41, "99999906"), (60, "00000001003")]);
    bytes[11] = 0xAB;
    bytes.extend([1, 2, 3]);
    let lenient = Message::parse_lenient(unionpay(), &bytes).unwrap();
    let rows = lenient.describe().rows();
    let trace = rows.iter().find(|row| row.path == "11").unwrap();
    assert_eq!((trace.problems[0].offset, trace.start, trace.end), (11, 10, 13));
    let rest = rows.last().unwrap();
    assert_eq!((rest.path.as_str(), rest.value.as_str()), ("rest", "010203"));
    assert_eq!(rest.problems[0].reason, "3 bytes follow the last field");
    let text = lenient.describe().to_string();
    assert!(text.contains("^ byte 11: 0xab does not hold two decimal digits"), "{text}");
}

#[test]
fn a_strict_error_keeps_the_fields_before_it_and_hides_what_may_be_a_pin() {
    let bytes = sale();
    // Field 35 says more than it may.
    let at = bytes.windows(2).position(|pair| pair == [0x37, 0x41]).unwrap();
    let mut broken = bytes.clone();
    broken[at] = 0x99;
    let partial = Message::parse_partial(unionpay(), &broken);
    let text = partial.describe().unwrap().to_string();
    assert!(text.contains("000042"), "{text}");
    assert!(text.contains(&format!("^ byte {at}: the length says 99 where at most 37 is allowed")), "{text}");
    assert!(text.contains("Not read, with field 35, 52"), "{text}");
    assert!(!text.contains("123456789abcde") && !text.contains("11111111"), "{text}");
}

#[test]
fn a_message_without_type_has_no_description() {
    assert!(Message::parse_partial(unionpay(), b"\x08").describe().is_none());
}

#[test]
fn control_characters_of_values_do_not_reach_the_terminal() {
    let bytes = build(800, &[(63, "001text")]);
    let at = bytes.len() - 4;
    let mut wrong = bytes.clone();
    wrong[at] = 0x1B;
    let lenient = Message::parse_lenient(unionpay(), &wrong).unwrap();
    assert!(!lenient.describe().to_string().contains('\x1b'));
}

#[test]
fn a_diff_names_what_was_added_removed_and_changed_down_to_subfields() {
    let before = build(800, &[(11, "000001"), (41, "99999906"), (60, "00000001003")]);
    let after = build(810, &[(11, "000001"), (39, "00"), (60, "00000002003")]);
    let (before, after) =
        (Message::parse(unionpay(), &before).unwrap(), Message::parse(unionpay(), &after).unwrap());
    let found = diff(&before, &after);
    let short: Vec<_> = found
        .changes
        .iter()
        .map(|change| (change.path.as_str(), change.kind, change.before.as_deref(), change.after.as_deref()))
        .collect();
    assert_eq!(
        short,
        [
            ("type", ChangeKind::Changed, Some("0800"), Some("0810")),
            ("39", ChangeKind::Added, None, Some("00")),
            ("41", ChangeKind::Removed, Some("99999906"), None),
            ("60.2", ChangeKind::Changed, Some("000001"), Some("000002")),
        ]
    );
    let text = found.to_string();
    assert!(text.contains("~ 60.2") && text.contains("000001 → 000002"), "{text}");
    assert!(diff(&before, &before).changes.is_empty());
    assert!(found.colour(true).to_string().contains("\x1b[32m00\x1b[0m"));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["changes"][1]["kind"], "added");
}

#[test]
fn card_numbers_that_mask_alike_are_still_told_apart() {
    let before = build(200, &[(2, "4111110000001111"), (52, "0011223344556677")]);
    let after = build(200, &[(2, "4111119999991111"), (52, "8899aabbccddeeff")]);
    let (before, after) =
        (Message::parse(unionpay(), &before).unwrap(), Message::parse(unionpay(), &after).unwrap());
    let found = diff(&before, &after);
    assert_eq!(found.changes.len(), 2);
    assert!(found.changes.iter().all(|change| change.masked_alike && change.before == change.after));
    assert!(
        found.to_string().contains("411111******1111 → 411111******1111 (they differ where they are masked)")
    );
    assert!(diff_unmasked(&before, &after).to_string().contains("4111110000001111 → 4111119999991111"));
}
