//! `tmsctl message describe`, `diff` and `doctor`, and the forms in which messages can be given.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{run, tmsctl};

/// A sign-on request: length, TPDU, header, message.
const SIGN_ON: &str = "0057600501000061310031110808000020000000C00016000001393939393939303630303134333031373031313939393900110000000000300025\
53657175656E6365204E6F31323330363039393939393930360003303031";

const FRAMED: &str = "--framing=len2-tpdu-header";

const CARD: &str = "4111111111111111";

/// A sale as hexadecimal.
fn sale(card: &str, amount: &str) -> String {
    let json = format!(
        r#"{{"mti":"0200","fields":{{"2":"{card}","4":"{amount}","11":"000042","52":"0123456789abcdef","63":"001PAN {CARD}"}}}}"#
    );
    tmsctl(&["message", "encode", &json]).out.trim().to_owned()
}

#[test]
fn describe_explains_type_bitmap_fields_and_subfields() {
    let described = tmsctl(&["message", "describe", FRAMED, SIGN_ON]);
    assert_eq!(described.code, 0, "{}", described.err);
    for text in [
        "TPDU 6005010000",
        "header 613100311108",
        "0800  ISO 8583:1987, network management, request, from the acquirer",
        "11 41 42 60 62 63",
        "60.3",
        "Network management code",
    ] {
        assert!(described.out.contains(text), "{text} is not in\n{}", described.out);
    }
    // Standard output is no terminal here.
    assert!(!described.out.contains('\x1b'));
    let coloured = tmsctl(&["message", "describe", "--color=always", FRAMED, SIGN_ON]);
    assert!(coloured.out.contains("\x1b[1m60"), "{}", coloured.out);
    let rows = tmsctl(&["message", "describe", "--json", FRAMED, SIGN_ON]).json();
    let row = rows.as_array().unwrap().iter().find(|row| row["path"] == "41").unwrap();
    assert_eq!((row["value"].as_str(), row["start"].as_u64()), (Some("99999906"), Some(13)));
}

#[test]
fn describe_marks_what_strict_reading_refuses_and_masks() {
    let hex = sale(CARD, "000000010000");
    let broken = format!("{hex}FF");
    let described = tmsctl(&["message", "describe", &broken]);
    assert_eq!(described.code, 0, "{}", described.err);
    assert!(described.out.contains("1 bytes follow the last field"), "{}", described.out);
    assert!(described.out.contains("Strict reading refuses this message"), "{}", described.out);
    assert!(described.out.contains("--reveal shows them"), "{}", described.out);
    for secret in [CARD, "0123456789abcdef"] {
        assert!(!described.out.contains(secret), "{}", described.out);
        assert!(tmsctl(&["message", "describe", "--reveal", &broken]).out.contains(secret));
    }
}

#[test]
fn decode_is_strict_unless_asked_and_its_lenient_json_is_not_encoded() {
    let broken = format!("{}FF", sale(CARD, "000000010000"));
    let strict = tmsctl(&["message", "decode", &broken]);
    assert_eq!(strict.code, 1);
    let lenient = tmsctl(&["message", "decode", "--lenient", &broken]);
    assert_eq!(lenient.code, 0, "{}", lenient.err);
    assert!(lenient.out.contains("Against the dialect: end of message at byte"), "{}", lenient.out);
    let json = tmsctl(&["message", "decode", "--lenient", "--reveal", "--json", &broken]);
    assert_eq!(json.json()["deviations"][0]["reason"], "1 bytes follow the last field");
    let refused = tmsctl(&["message", "encode", &json.out]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("it breaks the dialect"), "{}", refused.err);
}

#[test]
fn a_card_number_in_free_text_is_masked_and_masked_text_is_not_encoded() {
    let hex = sale(CARD, "000000010000");
    let decoded = tmsctl(&["message", "decode", "--json", &hex]);
    assert_eq!(decoded.json()["fields"]["63"], "001PAN 411111******1111");
    assert_eq!(decoded.json()["masked"], serde_json::json!(["2", "52", "63"]));
    let free_text = decoded.out.replace(r#""2":"411111******1111","#, "").replace(r#""52":"********","#, "");
    let refused = tmsctl(&["message", "encode", &free_text]);
    assert!(refused.err.contains("field 63 is masked"), "{}", refused.err);
}

#[test]
fn diff_tells_what_changed_also_where_it_is_masked() {
    let (first, second) = (sale(CARD, "000000010000"), sale("4111110000001111", "000000020000"));
    let found = tmsctl(&["message", "diff", &first, &second]);
    assert_eq!(found.code, 0, "{}", found.err);
    assert!(found.out.contains("they differ where they are masked"), "{}", found.out);
    assert!(found.out.contains("000000010000 → 000000020000"), "{}", found.out);
    assert!(!found.out.contains(CARD) && !found.out.contains("4111110000001111"), "{}", found.out);
    let json = tmsctl(&["message", "diff", "--json", &first, &second]).json();
    assert_eq!(
        (&json["changes"][0]["path"], &json["changes"][0]["masked_alike"]),
        (&"2".into(), &true.into())
    );
    let same = tmsctl(&["message", "diff", &first, &first]);
    assert_eq!(same.out, "The messages have the same type and the same values.\n");
    let half = run(&["message", "diff", &first, "-"], &[], &second);
    assert!(half.out.contains("000000020000"), "{}", half.err);
    let wrong = tmsctl(&["message", "diff", &first, "zz"]);
    assert!(wrong.err.starts_with("error: the second message: character 1"), "{}", wrong.err);
    assert_eq!(tmsctl(&["message", "diff", "-", "-"]).code, 1);
}

#[test]
fn doctor_finds_framing_and_dialect() {
    let found = tmsctl(&["message", "doctor", SIGN_ON]);
    assert_eq!(found.code, 0, "{}", found.err);
    assert!(found.out.starts_with("1. framing len2-tpdu-header, dialect unionpay: fits"), "{}", found.out);
    assert!(found.out.contains("the first two bytes say 87 and 87 bytes follow"), "{}", found.out);
    let json = tmsctl(&["message", "doctor", "--json", SIGN_ON]).json();
    assert_eq!((&json[0]["framing"], &json[0]["fits"]), (&"len2-tpdu-header".into(), &true.into()));
    let nothing = tmsctl(&["message", "doctor", "FFFFFF"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.err.contains("no dialect finds as much as"), "{}", nothing.err);
}

#[test]
fn doctor_gives_the_lines_of_a_dialect_file_and_tries_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "name = \"mine\"\nextends = \"iso87-ascii\"\n[encoding]\nbitmap = \"binary\"\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let json = r#"{"mti":"0800","fields":{"7":"1121123456","11":"000001","41":"TERM0001"}}"#;
    let hex = tmsctl(&["message", "encode", "--dialect", file, json]).out;
    let found = tmsctl(&["message", "doctor", hex.trim()]);
    assert!(
        found.out.contains("extends = \"iso87-ascii\"\n     [encoding]\n     bitmap = \"binary\""),
        "{}",
        found.out
    );
    let found = tmsctl(&["message", "doctor", "--dialect", file, hex.trim()]);
    assert!(found.out.starts_with("1. framing none, dialect mine: fits"), "{}", found.out);
}

#[test]
fn messages_are_taken_from_files_and_standard_input_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = hex::decode(SIGN_ON).unwrap();
    let base64 = "AFdgBQEAAGExADERCAgAACAAAADAABYAAAE5OTk5OTkwNjAwMTQzMDE3MDExOTk5OQARAAAAAAAwACVTZXF1ZW5jZSBObzEyMzA2\nMDk5OTk5OTA2AAMwMDE=\n";
    for (name, content) in
        [("raw", bytes.as_slice()), ("hex", SIGN_ON.as_bytes()), ("base64", base64.as_bytes())]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap();
        for form in ["auto", name] {
            let decoded = tmsctl(&["message", "decode", FRAMED, "--json", "--input", form, file]);
            assert_eq!(decoded.json()["fields"]["41"], "99999906", "{name} {form}");
        }
        let described = run(&["message", "describe", FRAMED, "-"], &[], content);
        assert!(described.out.contains("99999906"), "{name}: {}", described.err);
        let doctored = run(&["message", "doctor"], &[], content);
        assert!(doctored.out.contains("1. framing len2-tpdu-header"), "{name}: {}", doctored.err);
    }
    let decoded = tmsctl(&["message", "decode", FRAMED, "--json", &base64.replace('\n', "")]);
    assert_eq!(decoded.json()["fields"]["41"], "99999906");
}

#[test]
fn a_file_of_digits_is_a_message_of_text_to_the_doctor() {
    let json = r#"{"mti":"0800","fields":{"7":"1121123456","11":"000001","70":"301"}}"#;
    let hex = tmsctl(&["message", "encode", "--dialect=iso87-ascii", json]).out;
    let text = hex::decode(hex.trim()).unwrap();
    assert!(text.iter().all(u8::is_ascii_hexdigit));
    let found = run(&["message", "doctor", "--json"], &[], &text);
    assert_eq!(found.json()[0]["dialect"], "iso87-ascii", "{}", found.out);
    let decoded = run(&["message", "decode", "--dialect=iso87-ascii", "--input=raw", "--json"], &[], &text);
    assert_eq!(decoded.json()["fields"]["70"], "301", "{}", decoded.err);
}

#[test]
fn errors_do_not_quote_card_numbers() {
    let wrong_json = format!(r#"{{"mti":"0800","fields":"{CARD}"}}"#);
    let packed = format!("0200{CARD}");
    let grouped = "4111 1111 1111 1111";
    for args in [
        &["encode", &wrong_json][..],
        &["encode", &format!(r#"{{"mti":"0800","fields":{{"{CARD}":"1"}}}}"#)],
        &["encode", &format!(r#"{{"mti":"0800","fields":{{"11":"{CARD}"}}}}"#)],
        &["decode", "--framing", CARD, "00"],
        &["decode", "--dialect", CARD, "00"],
        &["diff", "00", "00", &packed],
        &["describe", &format!("{grouped}x")],
        &["decode", &packed],
    ] {
        let refused = tmsctl(&[&["message"], args].concat());
        assert_ne!(refused.code, 0, "{args:?}");
        assert!(!refused.err.contains(CARD) && !refused.err.contains(grouped), "{args:?}: {}", refused.err);
        assert!(refused.err.contains("error: "), "{args:?}: {}", refused.err);
    }
}
