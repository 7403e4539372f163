//! Frames come out of a stream the same however its bytes arrive, in every framing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod framings;

use std::path::PathBuf;

use framings::{Outcome, VENDOR, at_once, carries_any_byte, delimiting, encoded, every, frame};
use iso8583::framing::{Frame, Framing, Header, Splitter, Tpdu};
use proptest::prelude::*;

/// What a [`Splitter`] finds when bytes arrive in these chunks.
fn in_chunks<'a>(framing: Framing, chunks: impl Iterator<Item = &'a [u8]>, max_bytes: usize) -> Outcome {
    let (mut splitter, mut received) = (Splitter::new(framing, max_bytes), Vec::new());
    let mut outcome = Outcome::default();
    for chunk in chunks {
        received.extend_from_slice(chunk);
        loop {
            match splitter.split(&received) {
                Ok(Some((frame, consumed))) => {
                    outcome.bodies.push(frame.body.to_vec());
                    received.drain(..consumed);
                }
                Ok(None) => break,
                Err(error) => {
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
    }
    outcome.left_bytes = received.len();
    outcome
}

#[test]
fn every_name_reads_back_and_no_two_are_the_same() {
    let mut names: Vec<String> = every().iter().map(ToString::to_string).collect();
    for (framing, name) in every().into_iter().zip(&names) {
        assert_eq!(name.parse(), Ok(framing));
        assert_eq!(serde_json::to_string(&framing).unwrap(), format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Framing>(&format!("\"{name}\"")).unwrap(), framing);
    }
    for framing in Framing::COMMON {
        assert_eq!(framing.to_string().parse(), Ok(framing));
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), every().len());
    assert!(names.len() > 350);
}

#[test]
fn every_example_of_the_user_documentation_is_a_framing() {
    for page in ["framing.md", "framing.zh-CN.md"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, examples) = text.split_once("|---|---|").unwrap().1.split_once("|---|---|").unwrap();
        let rows = examples.lines().filter(|line| line.starts_with('|'));
        let names: Vec<&str> =
            rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
        assert!(names.len() >= 15, "{page}: {names:?}");
        for name in names {
            assert!(name.parse::<Framing>().is_ok(), "{page}: {name}");
        }
    }
}

#[test]
fn a_frame_is_found_at_every_split_point_and_not_before() {
    for framing in delimiting() {
        let first = encoded(framing, b"first");
        let stream = [&first[..], &encoded(framing, b"second message")].concat();
        for at in 0..=stream.len() {
            match framing.split(&stream[..at], 4096).unwrap() {
                None => assert!(at < first.len(), "{framing} {at}"),
                Some(found) => assert_eq!(found, (frame(framing, b"first"), first.len()), "{framing} {at}"),
            }
            let both = in_chunks(framing, [&stream[..at], &stream[at..]].into_iter(), 4096);
            assert_eq!(both.bodies, [&b"first"[..], b"second message"], "{framing} {at}");
            assert_eq!((both.error, both.left_bytes), (None, 0), "{framing} {at}");
        }
        assert_eq!(at_once(framing, &stream, 4096), in_chunks(framing, stream.chunks(1), 4096));
    }
}

#[test]
fn every_truncated_stream_waits_for_the_rest() {
    for framing in delimiting() {
        let stream = encoded(framing, b"0800 and so on");
        for at in 0..stream.len() {
            assert_eq!(framing.split(&stream[..at], 4096), Ok(None), "{framing} {at}");
        }
    }
}

#[test]
fn a_limit_of_exactly_the_frame_holds_and_one_less_refuses() {
    for framing in every() {
        let stream = encoded(framing, b"0800 and so on");
        let longest = (0..).find(|limit| framing.split(&stream, *limit).is_ok()).unwrap();
        let parts = 5 * usize::from(framing.has_tpdu())
            + 6 * usize::from(framing.has_header())
            + framing.vendor_len();
        assert_eq!(longest, parts + 14, "{framing}");
    }
}

#[test]
fn debug_output_has_no_byte_of_message_or_vendor_header() {
    const PAN: &[u8] = b"6212345678901232";
    let packed = [0x62, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x32];
    for secret in [PAN, &packed] {
        let frame = Frame { tpdu: None, header: None, vendor: secret, body: secret };
        for text in
            [format!("{frame:?}"), format!("{frame:#?}"), format!("{:?}", Ok::<_, ()>(Some((frame, 3))))]
        {
            assert!(text.contains(&format!("body: {} bytes", secret.len())), "{text}");
            assert!(text.contains(&format!("vendor: {} bytes", secret.len())), "{text}");
            for form in ["6212345678901232", "36323132", "62123456", "54, 50", "98, 18"] {
                assert!(!text.contains(form), "{text}");
            }
        }
    }
    let addressed = Frame { tpdu: Some(Tpdu([0x60, 0, 3, 0, 0])), ..Frame::default() };
    assert!(format!("{addressed:?}").contains("tpdu: Some(Tpdu(6000030000))"));
}

#[test]
fn real_frames_are_found_at_every_split_point_and_answered() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/unionpay.json");
    let Ok(bytes) = std::fs::read(&path) else {
        let required = std::env::var("TMS_REQUIRE_VECTORS").is_ok_and(|value| value == "1");
        assert!(!required, "{} is required and cannot be read", path.display());
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let vectors: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    let framed: Vec<_> = vectors.iter().filter(|vector| vector["has_len"] == true).collect();
    assert!(framed.len() >= 26);
    let mut stream = Vec::new();
    let mut bodies = Vec::new();
    for vector in &framed {
        let bytes = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        let (frame, consumed) = Framing::LEN2_TPDU_HEADER.split(&bytes, 1024).unwrap().unwrap();
        assert_eq!(consumed, bytes.len());
        assert_eq!(frame.tpdu.unwrap().to_string(), vector["fields"]["TPDU"]);
        for at in 0..bytes.len() {
            assert_eq!(Framing::LEN2_TPDU_HEADER.split(&bytes[..at], 1024), Ok(None));
        }
        let mut again = Vec::new();
        Framing::LEN2_TPDU_HEADER.encode(&mut again, &frame).unwrap();
        assert_eq!(again, bytes);

        let reply = frame.reply(b"\x08\x10");
        let (Tpdu(request), Tpdu(reply_tpdu)) = (frame.tpdu.unwrap(), reply.tpdu.unwrap());
        assert_eq!([&reply_tpdu[3..], &reply_tpdu[1..3]].concat(), request[1..]);
        let (Header(request), Header(reply)) = (frame.header.unwrap(), reply.header.unwrap());
        assert_eq!((&reply[..2], reply[2], &reply[3..]), (&request[..2], request[2] & 0xF0, &request[3..]));

        bodies.push(frame.body.to_vec());
        stream.extend(bytes);
    }
    for chunk in [1, 2, 3, 7, 64, stream.len()] {
        let found = in_chunks(Framing::LEN2_TPDU_HEADER, stream.chunks(chunk), 1024);
        assert_eq!((found.bodies, found.error, found.left_bytes), (bodies.clone(), None, 0));
    }
}

/// Bytes that get further into a frame than noise would.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![0u8..6, b'0'..=b'3', any::<u8>()], 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_splits_into_its_frames_at_any_chunking(
        framing in proptest::sample::select(delimiting()),
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 1..5),
        chunk in 1usize..40,
    ) {
        let bodies: Vec<Vec<u8>> = bodies
            .into_iter()
            .map(|mut body| {
                if !carries_any_byte(framing) {
                    body.iter_mut().filter(|byte| **byte == 3).for_each(|byte| *byte = b'0');
                }
                body
            })
            .collect();
        let stream: Vec<u8> = bodies.iter().flat_map(|body| encoded(framing, body)).collect();
        let expected = Outcome { bodies, ..Outcome::default() };
        prop_assert_eq!(&at_once(framing, &stream, 100), &expected);
        prop_assert_eq!(&in_chunks(framing, stream.chunks(chunk), 100), &expected);
    }

    #[test]
    fn noise_never_panics_and_is_judged_the_same_in_pieces(noise in likely(), chunk in 1usize..9) {
        for framing in every() {
            let whole = at_once(framing, &noise, 60);
            if framing.delimits() {
                prop_assert_eq!(&in_chunks(framing, noise.chunks(1), 60), &whole, "{}", framing);
                prop_assert_eq!(&in_chunks(framing, noise.chunks(chunk), 60), &whole, "{}", framing);
            }
            prop_assert!(whole.left_bytes <= 60 + 1 + 4 + 2 || whole.error.is_some());
        }
    }

    #[test]
    fn what_is_split_is_written_the_same(noise in likely(), framing in proptest::sample::select(every())) {
        // The noise behind a frame's first bytes, so that some of it is frames.
        let stream = [&encoded(framing, b"0800")[..], &noise].concat();
        let mut rest = &stream[..];
        while let Ok(Some((frame, consumed))) = framing.split(rest, 300) {
            let mut again = Vec::new();
            framing.encode(&mut again, &frame).unwrap();
            prop_assert_eq!(framing.encoded_len(&frame), Ok(consumed));
            prop_assert_eq!(&again, &rest[..consumed]);
            rest = &rest[consumed..];
        }
    }

    #[test]
    fn every_changed_byte_of_a_checked_frame_is_noticed(
        framing in proptest::sample::select(delimiting()),
        at in any::<prop::sample::Index>(),
        change in 1u8..,
    ) {
        prop_assume!(framing.to_string().starts_with("stx"));
        let mut stream = encoded(framing, b"0800 and so on");
        let at = at.index(stream.len());
        stream[at] ^= change;
        // A longer length is not wrong yet; the bytes behind it never come.
        let noticed = !matches!(framing.split(&stream, 4096), Ok(Some((_, consumed))) if consumed == stream.len());
        prop_assert!(noticed, "{} {}", framing, at);
    }

    #[test]
    fn any_text_is_a_name_of_one_framing_or_of_none(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "none", "len2", "len4le", "ascii4", "bcd2", "cmf3", "incl", "tpdu", "header", "header12",
                "x02", "xff", "stx", "etx", "lrc", "sum", "", "len5",
            ]),
            1..7,
        ),
    ) {
        let name = words.join("-");
        if let Ok(framing) = name.parse::<Framing>() {
            prop_assert_eq!(framing.to_string(), name);
        }
    }
}

#[test]
fn a_vendor_header_is_given_as_it_stands() {
    let framing: Framing = "stx-etx-lrc".parse().unwrap();
    let framing = Framing { heading: "len2-header12".parse::<Framing>().unwrap().heading, ..framing };
    let stream = encoded(framing, b"0800");
    let (frame, _) = framing.split(&stream, 100).unwrap().unwrap();
    assert_eq!(frame.vendor, VENDOR);
    assert_eq!(frame.reply(b"0810").vendor, VENDOR);
}
