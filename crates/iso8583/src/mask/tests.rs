use super::*;

const CARD: &str = "4111111111111111";

fn hidden_in(text: &str) -> bool {
    scrub_text(text).contains('*')
}

/// A number with its check digit.
fn card(digits: &str) -> String {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .chars()
        .rev()
        .map(|digit| digit.to_digit(10).unwrap())
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { doubled(digit) } else { digit })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[test]
fn card_numbers_of_every_length_keep_six_and_four() {
    for length in 13..=19 {
        let number = card(&"62123456789012345678"[..length - 1]);
        let stars = "*".repeat(length - 10);
        let masked = format!("{}{stars}{}", &number[..6], &number[length - 4..]);
        assert_eq!(scrub_text(&number), masked);
        assert_eq!(scrub_text(&format!("paid with {number}, ok")), format!("paid with {masked}, ok"));
    }
}

#[test]
fn a_wrong_check_digit_is_no_card_number() {
    assert!(!hidden_in("4111111111111112"));
    assert!(matches!(scrub_text("4111111111111112"), Cow::Borrowed(_)));
}

#[test]
fn short_numbers_and_dates_and_controls_stay() {
    for text in [
        "000000010000",
        "632512123456",
        "20261121",
        "20261121 123456",
        "2026-11-21 12:34:56",
        "000000010000 978 632512123456 000042",
        "2600000000000000",
        "00000000000000000000000000000000",
        "fields 2 3 4 7 11 12 13 14 18 22 25 26 32 35 37 41 42 49 52 53 60 61 62 63",
        "SN=1234567890;FW=4.12.7;MODEL=DX8000;OS=9",
        "A0000000031010",
        "192.168.100.200",
    ] {
        assert_eq!(scrub_text(text), text);
    }
}

#[test]
fn a_card_number_printed_in_groups_is_hidden() {
    for (text, masked) in [
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("4111-1111-1111-1111", "4111-11**-****-1111"),
        ("3782 822463 10005", "3782 82**** *0005"),
        ("3056 930902 5904", "3056 93**** 5904"),
        ("622202 1234567890128", "622202 *********0128"),
        ("41111111 11111111", "411111** ****1111"),
        ("4111\u{A0}1111\u{2013}1111\u{3000}1111", "4111\u{A0}11**\u{2013}****\u{3000}1111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 * * * * * * 1 1 1 1"),
        ("41 11 11 11 11 11 11 11", "41 11 11 ** ** ** 11 11"),
        ("ref 12, 4111 1111 1111 1111.", "ref 12, 4111 11** **** 1111."),
    ] {
        assert_eq!(scrub_text(text), masked);
    }
}

#[test]
fn a_longer_run_with_a_card_number_inside_is_hidden_as_a_whole() {
    let run = format!("0000001{CARD}99");
    assert_eq!(scrub_text(&run), format!("000000{}1199", "*".repeat(run.len() - 10)));
    assert!(!scrub_text(&run).contains("41111111"));
}

#[test]
fn a_card_number_behind_its_own_length_is_hidden() {
    assert_eq!(scrub_text("164111111111111111"), "164111********1111");
    assert_eq!(scrub_text("02164111111111111111"), "021641**********1111");
    // Sixteen digits do not announce themselves with 15.
    assert!(hidden_in("169876543210123452") && !hidden_in("159876543210123452"));
}

#[test]
fn a_card_number_of_a_known_issuer_is_hidden_behind_a_tag_and_before_a_check_value() {
    for text in ["0174111111111111111", "1701378282246310005", "4111111111111111123", "37828224631000512"] {
        assert!(hidden_in(text), "{text}");
    }
    // No issuer in wide use has numbers that begin with 9.
    assert!(!hidden_in("0179876543210123452"));
}

#[test]
fn the_rest_of_a_track_is_hidden_with_its_card_number() {
    for (text, masked) in [
        ("4111111111111111=28122010000012345?", "411111******1111=*****************?"),
        ("4111111111111111D2812201000001", "411111******1111D*************"),
        ("%B4111111111111111^DOE/JANE^2812201?", "%B411111******1111^*****************"),
        // Some tracks have no valid check digit; the date tells.
        ("4111111111111112=2812201", "411111******1112=*******"),
        ("4111 1111 1111 1111=2812", "4111 11** **** 1111=****"),
        ("4111111111111111 DEBIT", "411111******1111 DEBIT"),
        ("4111111111111111DEBIT", "411111******1111DEBIT"),
    ] {
        assert_eq!(scrub_text(text), masked);
    }
}

#[test]
fn digits_in_disguise_are_hidden() {
    let shifted = |zero: u32| -> String {
        CARD.chars().map(|digit| char::from_u32(zero + digit.to_digit(10).unwrap()).unwrap()).collect()
    };
    let escaped = |base: u8, prefix: &str| -> String {
        CARD.bytes().map(|digit| format!("{prefix}{:02X}", base | digit & 0x0F)).collect()
    };
    for text in [
        shifted(0xFF10),
        shifted(0x660),
        shifted(0x1D7CE),
        escaped(0x30, "\\x"),
        escaped(0xF0, "\\x"),
        escaped(0x30, "\\x5Cx"),
        escaped(0x30, "\\u00"),
        escaped(0xB0, "\\xA3\\x"),
        escaped(0x30, "%"),
        "4111\u{200B}111111111111".to_owned(),
        escaped(0x30, ""),
        escaped(0xF0, ""),
        format!("5a08{CARD}"),
        format!("9f5a08{CARD}df"),
        format!("{CARD}d28122010000f"),
        format!("f{}f", &card("62123456789012345")),
    ] {
        let scrubbed = scrub_text(&text);
        assert!(scrubbed.matches('*').count() > 4, "{text}: {scrubbed}");
    }
    assert_eq!(scrub_text(&shifted(0xFF10)), "４１１１１１******１１１１");
}

#[test]
fn a_card_number_beside_digits_of_another_kind_is_hidden() {
    let card = "9876543210123452";
    for text in
        [format!("{card}\\xF1"), format!("４{card}"), format!("{card}\u{200B}7"), format!("\\x34{card}")]
    {
        let scrubbed = scrub_text(&text);
        assert!(!scrubbed.contains(card) && scrubbed.contains("******3452"), "{text}: {scrubbed}");
    }
    // Half of what looks like an escape may be the number's beginning.
    assert_eq!(scrub_text("<%417804451263299"), "<%417804*****3299");
    assert!(hex_scrubbed(&[card.as_bytes(), b"\xF1"].concat()).contains(&"*".repeat(12)));
}

#[test]
fn bytes_hide_digits_of_every_kind_in_their_places() {
    let hex = |text: &str| hex_scrubbed(&hex::decode(text).unwrap());
    // ASCII, EBCDIC, one to a byte.
    assert_eq!(
        hex(&hex::encode(CARD)),
        "343131313131************31313131".replace("************", &"*".repeat(12))
    );
    assert_eq!(hex("00f4f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1c1"), "00f4f1f1f1f1f1************f1f1f1f1c1");
    assert!(hex("ff04010101010101010101010101010101").contains(&"*".repeat(12)));
    // Packed: aligned, at the lower half, with a filler F or 0, behind its length, with a track.
    assert_eq!(hex("4111111111111111"), "411111******1111");
    assert_eq!(hex("c4111111111111111c"), "c411111******1111c");
    assert_eq!(hex("374245001751006f"), "374245*****1006f");
    assert_eq!(hex("3742450017510060"), "374245******0060");
    assert_eq!(hex("ff084111111111111111"), "ff084111********1111");
    assert_eq!(hex("4111111111111111d28122010000f0"), "411111******1111d***********f0");
    assert_eq!(hex("57104111111111111111d281220100000f"), "571041**********1111d************f");
    // UTF-16.
    assert!(hex(&hex::encode(CARD).replace('3', "003")).contains(&"*".repeat(24)));
}

#[test]
fn ordinary_bytes_stay() {
    for text in [
        "53657175656e6365204e6f3132333036303939393939393030",
        "9f3704aabbccdd9f02060000000100009f03060000000000009a03261121",
        "25d7e3ebf28280cd",
        "00000000000000000000",
        "0000000000010000",
        "30303030303130303030",
    ] {
        assert_eq!(hex_scrubbed(&hex::decode(text).unwrap()), text);
    }
    assert_eq!(hex_scrubbed(b""), "");
}

#[test]
fn long_input_takes_linear_time() {
    // A quadratic search would need minutes for each of these.
    let started = std::time::Instant::now();
    for text in [
        "1".repeat(1 << 18),
        "4111111111111111=".repeat(1 << 14),
        "1 ".repeat(1 << 17),
        "411 ".repeat(1 << 16),
    ] {
        let _ = scrub_text(&text);
        let _ = hex_scrubbed(text.as_bytes());
    }
    assert!(started.elapsed().as_secs() < 60);
}
