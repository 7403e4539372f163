//! `tmsctl message`: decode, encode and everything that can be wrong with their input.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;

use common::{run, tmsctl};

/// A sign-on request: length, TPDU, header, message.
const SIGN_ON: &str = "0057600501000061310031110808000020000000C00016000001393939393939303630303134333031373031313939393900110000000000300025\
53657175656E6365204E6F31323330363039393939393930360003303031";

const SIGN_ON_JSON: &str = concat!(
    r#"{"mti":"0800","fields":{"11":"000001","41":"99999906","42":"001430170119999","60":"00000000003","#,
    r#""62":"53657175656e6365204e6f3132333036303939393939393036","63":"001"},"#,
    r#""framing":{"tpdu":"6005010000","header":"613100311108"}}"#,
    "\n"
);

const FRAMED: [&str; 3] = ["--dialect=unionpay", "--framing=len2-tpdu-header", "--json"];

#[test]
fn decode_prints_the_message_as_json_and_encode_takes_it_back() {
    let decoded = tmsctl(&[&["message", "decode"], &FRAMED[..], &[SIGN_ON]].concat());
    assert_eq!((decoded.code, decoded.out.as_str()), (0, SIGN_ON_JSON), "{}", decoded.err);
    for framing in [&["--framing", "len2-tpdu-header"][..], &[]] {
        let encoded = run(&[&["message", "encode"], framing].concat(), &[], &decoded.out);
        assert_eq!(
            (encoded.code, encoded.out.as_str()),
            (0, format!("{SIGN_ON}\n").as_str()),
            "{}",
            encoded.err
        );
    }
}

#[test]
fn decode_reads_standard_input_and_ignores_white_space() {
    let spaced = SIGN_ON
        .to_lowercase()
        .as_bytes()
        .chunks(7)
        .map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
        .collect::<Vec<_>>()
        .join(" \n");
    let decoded = run(&[&["message", "decode"], &FRAMED[..]].concat(), &[], &spaced);
    assert_eq!((decoded.code, decoded.out.as_str()), (0, SIGN_ON_JSON));
}

#[test]
fn decode_shows_a_table_with_subfields() {
    let decoded = tmsctl(&["message", "decode", "--framing", "len2-tpdu-header", SIGN_ON]);
    assert_eq!(decoded.code, 0, "{}", decoded.err);
    for text in
        ["6005010000", "613100311108", "0800", "99999906", "60.3", "Network management code", "003", "ans8"]
    {
        assert!(decoded.out.contains(text), "{text} is not in\n{}", decoded.out);
    }
}

#[test]
fn every_framing_decodes_and_encodes() {
    let body = "0800002000000000000000 0001".replace(' ', "");
    for (framing, before) in
        [("none", ""), ("len2", "000D"), ("ascii4", "30303133"), ("len2-tpdu", "00126000030000")]
    {
        let hex = format!("{before}{body}");
        let decoded =
            tmsctl(&["message", "decode", "--dialect=iso87-binary", "--framing", framing, "--json", &hex]);
        assert_eq!(decoded.json()["fields"]["11"], "000001", "{framing}: {}", decoded.err);
        let encoded =
            tmsctl(&["message", "encode", "--dialect=iso87-binary", "--framing", framing, &decoded.out]);
        assert_eq!(encoded.out.trim(), hex, "{framing}: {}", encoded.err);
    }
}

#[test]
fn sensitive_values_are_masked_until_revealed_and_masked_json_is_not_encoded() {
    let json = r#"{"mti":"0810","fields":{"2":"4111111111111111","60":"00000001003","62":"00112233"}}"#;
    let hex = tmsctl(&["message", "encode", json]).out;
    let masked = tmsctl(&["message", "decode", "--json", hex.trim()]);
    assert_eq!(masked.json()["fields"]["2"], "411111******1111");
    assert_eq!(masked.json()["fields"]["62"], "********");
    let table = tmsctl(&["message", "decode", hex.trim()]).out;
    assert!(!table.contains("00112233") && !table.contains("4111111111111111"), "{table}");
    assert!(table.contains("--reveal"), "{table}");

    let refused = tmsctl(&["message", "encode", &masked.out]);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.err,
        "error: field 2 is masked, so the message cannot be made from it\n  next: decode again with --reveal and give that JSON\n"
    );
    let revealed = tmsctl(&["message", "decode", "--json", "--reveal", hex.trim()]);
    assert_eq!(revealed.out.trim(), json);
    assert_eq!(tmsctl(&["message", "encode", &revealed.out]).out, hex);
}

#[test]
fn a_dialect_file_works_like_a_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "name = \"mine\"\nextends = \"iso87-ascii\"\n[field.11]\nformat = \"n8\"\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let hex =
        tmsctl(&["message", "encode", "--dialect", file, r#"{"mti":"0800","fields":{"11":"00000001"}}"#]);
    assert_eq!(hex.out.trim(), hex::encode_upper("0800002000000000000000000001"), "{}", hex.err);

    std::fs::write(
        folder.path().join("mine.toml"),
        "name = \"mine\"\nextends = \"iso87-ascii\"\n[field.11]\nformat = \"k8\"\n",
    )
    .unwrap();
    let refused = tmsctl(&["message", "decode", "--dialect", file, "00"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("mine.toml: line 4, field 11: `k8` begins with no known class"),
        "{}",
        refused.err
    );
}

#[test]
fn wrong_input_gets_a_sentence_and_a_next_step() {
    for (args, sentence) in [
        (&["decode", "zz"][..], "character 1 of the input, `z`, is not a hexadecimal digit"),
        (&["decode", "080"], "the input has 3 hexadecimal digits, an odd number"),
        (&["decode", ""], "there is no message in the input"),
        (
            &["decode", "0800"],
            "not a message of dialect unionpay: bitmap at byte 2: 8 bytes are needed and 0 are left",
        ),
        (&["decode", "--dialect=iso88", "0800"], "`iso88` is neither a built-in dialect nor a file"),
        (&["decode", "--framing=len2", "0057"], "the frame is longer than the 2 bytes given"),
        (&["decode", "--framing=len2", "000108FF"], "1 bytes follow the frame"),
        (&["encode", "{"], "the input is not a message in JSON"),
        (&["encode", r#"{"mti":"800","fields":{}}"#], "a message type is four decimal digits"),
        (&["encode", r#"{"mti":"0800","fields":{"1":"x"}}"#], "`1` is no field number from 2 to 128"),
        (&["encode", r#"{"mti":"0800","fields":{"011":"000001"}}"#], "`011` is no field number"),
        (&["encode", r#"{"mti":"0800","fields":{"11":"000001","11":"000002"}}"#], "field 11 stands twice"),
        (&["encode", r#"{"mti":"0800","fields":{},"frame":{}}"#], "unknown field `frame`"),
        (&["encode", r#"{"mti":"0800","fields":{"11":"1"}}"#], "field 11: needs exactly 6 digits and has 1"),
        (
            &["encode", "--framing=len2-tpdu", r#"{"mti":"0800","fields":{}}"#],
            "framing len2-tpdu needs a TPDU",
        ),
    ] {
        let refused = tmsctl(&[&["message"], args].concat());
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{args:?}");
        assert!(
            refused.err.starts_with("error: ") && refused.err.contains(sentence),
            "{args:?}: {}",
            refused.err
        );
    }
}

#[test]
fn a_message_in_another_framing_is_recognised() {
    let refused = tmsctl(&["message", "decode", SIGN_ON]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .err
            .ends_with("next: the bytes are a message in another framing: give --framing len2-tpdu-header\n"),
        "{}",
        refused.err
    );
}

#[test]
fn a_wrong_command_line_ends_with_two() {
    assert_eq!(tmsctl(&["message", "decode", "--framing=len3", "00"]).code, 2);
    assert_eq!(tmsctl(&["message", "transmute"]).code, 2);
    assert_eq!(tmsctl(&[]).code, 2);
}

#[test]
fn every_unionpay_vector_goes_through_json_and_back() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/unionpay.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var("TMS_REQUIRE_VECTORS").is_err(), "{} is required", path.display());
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    for vector in vectors {
        let (id, hex) = (vector["id"].as_str().unwrap(), vector["hex"].as_str().unwrap());
        let framing = if vector["fields"].get("len").is_some() { "len2-tpdu-header" } else { "none" };
        let decoded = tmsctl(&["message", "decode", "--reveal", "--json", "--framing", framing, hex]);
        for (number, value) in vector["fields"].as_object().unwrap() {
            if number.parse::<u8>().is_ok() {
                assert_eq!(&decoded.json()["fields"][number], value, "{id} {number}");
            }
        }
        let encoded = tmsctl(&["message", "encode", "--framing", framing, &decoded.out]);
        assert_eq!(encoded.out.trim(), hex.to_uppercase(), "{id}: {}", encoded.err);
    }
}

#[test]
fn a_message_may_be_given_in_several_pieces() {
    let (head, tail) = SIGN_ON.split_at(40);
    let decoded = tmsctl(&[&["message", "decode"], &FRAMED[..], &[head, tail]].concat());
    assert_eq!((decoded.code, decoded.out.as_str()), (0, SIGN_ON_JSON), "{}", decoded.err);
}
