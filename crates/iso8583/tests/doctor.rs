//! Unknown bytes are recognised: their framing and their dialect.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;

use serde_json::Value;

use iso8583::doctor::{Diagnosis, Doctor};
use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Dialect, Mti};

fn examine(bytes: &[u8]) -> Vec<Diagnosis> {
    Doctor::default().examine(bytes)
}

fn best(bytes: &[u8]) -> Diagnosis {
    examine(bytes).into_iter().next().unwrap()
}

fn sign_on() -> Vec<u8> {
    let mut builder = Builder::new(Dialect::builtin("unionpay").unwrap(), Mti::new(800).unwrap());
    for (number, text) in [(11, "000001"), (41, "99999906"), (42, "001430170119999"), (60, "00000000003")] {
        builder.set(number, text).unwrap();
    }
    builder.build().unwrap()
}

fn framed(framing: Framing, body: &[u8]) -> Vec<u8> {
    let frame = Frame {
        tpdu: framing.has_tpdu().then(|| "6005010000".parse().unwrap()),
        header: framing.has_header().then(|| "613100311108".parse().unwrap()),
        vendor: b"ISO014000000".get(..framing.vendor_len()).unwrap(),
        body,
    };
    let mut out = Vec::new();
    framing.encode(&mut out, &frame).unwrap();
    out
}

#[test]
fn a_unionpay_frame_is_recognised_with_reasons() {
    let bytes = framed(Framing::LEN2_TPDU_HEADER, &sign_on());
    let found = best(&bytes);
    assert_eq!(
        (found.framing, found.dialect.as_str(), found.fits),
        (Framing::LEN2_TPDU_HEADER, "unionpay", true)
    );
    assert!(found.score >= 80, "{found:?}");
    assert_eq!(
        found.reasons[..4],
        [
            format!("the first two bytes say {0} and {0} bytes follow", bytes.len() - 2),
            "byte 2 is 60, with which a TPDU begins".to_owned(),
            "bytes 7 to 12 can be a UnionPay header: class 61, generation 31".to_owned(),
            "len2-tpdu-header is how dialect unionpay usually travels".to_owned(),
        ]
    );
    assert_eq!(found.reasons[4], "message 0800 reads strictly to its last byte: fields 11, 41, 42 and 60");
}

#[test]
fn every_common_framing_is_recognised() {
    for framing in Framing::COMMON {
        // A message of text, as STX and ETX need.
        let mut builder = Builder::new(Dialect::builtin("iso87-ascii").unwrap(), Mti::new(200).unwrap());
        for (number, text) in [(3, "000000"), (4, "000000010000"), (11, "000042"), (41, "TERM0001")] {
            builder.set(number, text).unwrap();
        }
        let found = best(&framed(framing, &builder.build().unwrap()));
        assert_eq!((found.framing, found.dialect.as_str()), (framing, "iso87-ascii"), "{framing}: {found:?}");
    }
}

#[test]
fn a_stream_of_frames_and_a_beginning_of_one_are_recognised() {
    let mut bytes = framed(Framing::LEN2_TPDU_HEADER, &sign_on()).repeat(3);
    let found = best(&bytes);
    assert_eq!((found.frames, found.fits, found.framing), (3, true, Framing::LEN2_TPDU_HEADER));
    assert!(found.reasons.contains(&"2 of the 2 frames after it read strictly".to_owned()), "{found:?}");

    bytes.truncate(bytes.len() - 7);
    let found = best(&bytes);
    assert_eq!((found.frames, found.fits, found.framing), (3, false, Framing::LEN2_TPDU_HEADER));
    assert!(found.reasons.iter().any(|reason| reason.contains("beginning of another frame")), "{found:?}");

    let one = framed(Framing::LEN2_TPDU_HEADER, &sign_on());
    let found = best(&one[..one.len() - 5]);
    assert_eq!((found.framing, found.dialect.as_str()), (Framing::LEN2_TPDU_HEADER, "unionpay"), "{found:?}");
    assert!(found.reasons[0].contains("the end may be missing"), "{found:?}");
}

#[test]
fn a_strict_error_is_told_with_its_place_in_the_input() {
    let mut bytes = framed(Framing::LEN2_TPDU_HEADER, &sign_on());
    let at = bytes.len() - 1;
    bytes[at] = 0xFA;
    let found = best(&bytes);
    assert_eq!(
        (found.framing, found.dialect.as_str(), found.fits),
        (Framing::LEN2_TPDU_HEADER, "unionpay", false)
    );
    let said =
        format!("strict reading stops at field 60, byte {} of the message and {at} of the input", at - 13);
    assert!(found.reasons.iter().any(|reason| reason.starts_with(&said)), "{said}: {found:?}");
}

#[test]
fn a_dialect_of_the_callers_own_is_tried() {
    let own = Dialect::from_toml(
        "name = \"acquirer-7\"\nextends = \"iso87-ascii\"\nframing = \"ascii4\"\n[field]\n11 = { format = \"n9\" }\n",
    )
    .unwrap();
    let mut builder = Builder::new(&own, Mti::new(800).unwrap());
    builder.set(11, "000000001").unwrap().set(41, "TERM0001").unwrap();
    let bytes = framed(Framing::ASCII4, &builder.build().unwrap());
    let found = Doctor::default().with_dialect(&own).examine(&bytes);
    assert_eq!(
        (found[0].dialect.as_str(), found[0].framing, found[0].fits),
        ("acquirer-7", Framing::ASCII4, true)
    );
    assert!(examine(&bytes).iter().all(|diagnosis| !diagnosis.fits), "{:?}", examine(&bytes));
}

#[test]
fn a_bitmap_in_another_form_gives_the_lines_for_a_dialect_file() {
    let own =
        Dialect::from_toml("name = \"own\"\nextends = \"iso87-ascii\"\n[encoding]\nbitmap = \"binary\"\n")
            .unwrap();
    let mut builder = Builder::new(&own, Mti::new(800).unwrap());
    builder.set(7, "1121123456").unwrap().set(11, "000001").unwrap().set(41, "TERM0001").unwrap();
    let found = best(&builder.build().unwrap());
    assert_eq!(
        (found.dialect.as_str(), found.changes.as_str()),
        ("iso87-ascii", "[encoding]\nbitmap = \"binary\"\n")
    );
}

#[test]
fn noise_has_no_diagnosis_that_fits() {
    for bytes in [&b""[..], b"\0", b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 300], &[0; 300]] {
        assert!(examine(bytes).iter().all(|diagnosis| !diagnosis.fits), "{:?}", examine(bytes));
    }
    // As long as one likes: the work is bounded.
    let long = framed(Framing::LEN2_TPDU_HEADER, &sign_on()).repeat(20_000);
    let found = best(&long);
    assert_eq!((found.framing, found.fits), (Framing::LEN2_TPDU_HEADER, false));
}

#[test]
fn reasons_quote_no_values() {
    let mut builder = Builder::new(Dialect::builtin("unionpay").unwrap(), Mti::new(200).unwrap());
    builder.set(2, "4111111111111111").unwrap().set(52, "0123456789abcdef").unwrap();
    let bytes = framed(Framing::LEN2_TPDU_HEADER, &builder.build().unwrap());
    let text = format!("{:?}", examine(&bytes));
    assert!(!text.contains("4111111111111111") && !text.contains("0123456789abcdef"), "{text}");
}

/// The vectors lie beside a checkout of the project, not in it. Without them this test says so and
/// passes, unless `TMS_REQUIRE_VECTORS=1` demands them.
fn vectors(name: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) if std::env::var("TMS_REQUIRE_VECTORS").is_ok_and(|value| value == "1") => {
            panic!("{} is required and cannot be read: {error}", path.display())
        }
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
    }
}

/// The dialect a generic vector belongs to, from how its source describes it.
fn family(described: &str) -> &'static str {
    match (described.get(..2), described.contains("BCD"), described.contains("ASCII")) {
        (Some("87"), true, _) => "iso87-binary",
        (Some("87"), _, true) => "iso87-ascii",
        (Some("93"), true, _) => "iso93-binary",
        _ => "iso93-ascii",
    }
}

#[test]
fn every_vector_is_diagnosed_right() {
    let (Some(unionpay), Some(generic)) = (vectors("unionpay.json"), vectors("generic.json")) else {
        return;
    };
    let unionpay: Vec<Value> = serde_json::from_slice(&unionpay).unwrap();
    let generic: Vec<Value> = serde_json::from_slice(&generic).unwrap();
    let mut cases: Vec<(String, Vec<u8>, Framing, &str)> = Vec::new();
    for vector in &unionpay {
        let framing =
            if vector["fields"].get("len").is_some() { Framing::LEN2_TPDU_HEADER } else { Framing::NONE };
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        cases.push((vector["id"].to_string(), bytes, framing, "unionpay"));
    }
    for vector in &generic {
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        cases.push((
            vector["name"].to_string(),
            bytes,
            Framing::NONE,
            family(vector["dialect"].as_str().unwrap()),
        ));
    }
    for name in ["A_0200", "B_0800"] {
        for (form, dialect) in
            [("ascii_hexbm", "iso87-ascii"), ("ascii_binbm", "iso87-ascii"), ("bcd", "iso87-binary")]
        {
            let file = format!("{name}.{form}.bin");
            let bytes = vectors(&file).unwrap();
            cases.push((file, bytes, Framing::NONE, dialect));
        }
    }
    let (mut right, mut wrong) = (0, Vec::new());
    for (name, bytes, framing, dialect) in &cases {
        let found = examine(bytes);
        match found.first() {
            Some(best) if best.framing == *framing && best.dialect == *dialect => right += 1,
            _ => wrong.push(format!("{name} is {framing} {dialect}: {:#?}", found.get(..3.min(found.len())))),
        }
    }
    println!("{right} of {} vectors are diagnosed right", cases.len());
    assert!(wrong.is_empty(), "{right} of {}\n{}", cases.len(), wrong.join("\n"));
}
