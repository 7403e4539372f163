use super::*;

const TPDU: Tpdu = Tpdu([0x60, 0x00, 0x03, 0x00, 0x00]);
const HEADER: Header = Header([0x60, 0x31, 0x03, 0x31, 0x00, 0x01]);

fn encoded(framing: Framing, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let tpdu = framing.has_tpdu().then_some(TPDU);
    let header = framing.has_header().then_some(HEADER);
    framing.encode(&mut out, tpdu, header, body).unwrap();
    out
}

#[test]
fn a_frame_is_found_at_every_split_point_and_not_before() {
    for framing in Framing::ALL.into_iter().skip(1) {
        let mut stream = encoded(framing, b"first");
        let first_len = stream.len();
        stream.extend(encoded(framing, b"second message"));
        for at in 0..stream.len() {
            let split = framing.split(&stream[..at], 4096).unwrap();
            match split {
                None => assert!(at < first_len, "{framing} {at}"),
                Some((frame, consumed)) => {
                    assert!(at >= first_len);
                    assert_eq!((frame.body, consumed), (&b"first"[..], first_len));
                    assert_eq!(frame.tpdu.is_some(), framing.has_tpdu());
                    assert_eq!(frame.header.is_some(), framing.has_header());
                }
            }
        }
        let (second, consumed) = framing.split(&stream[first_len..], 4096).unwrap().unwrap();
        assert_eq!((second.body, consumed), (&b"second message"[..], stream.len() - first_len));
    }
}

#[test]
fn without_framing_the_buffer_is_the_message() {
    assert_eq!(Framing::None.split(b"", 10), Ok(None));
    let (frame, consumed) = Framing::None.split(b"0800", 10).unwrap().unwrap();
    assert_eq!((frame.body, consumed), (&b"0800"[..], 4));
}

#[test]
fn a_length_above_the_limit_is_refused_from_the_length_alone() {
    let refused = FrameError::TooLong { length_bytes: 0x2000, max_bytes: 4096 };
    assert_eq!(Framing::Len2.split(&[0x20, 0x00], 4096), Err(refused));
    assert_eq!(
        Framing::Ascii4.split(b"9999", 4096),
        Err(FrameError::TooLong { length_bytes: 9999, max_bytes: 4096 })
    );
}

#[test]
fn a_length_without_room_for_tpdu_header_and_message_is_refused() {
    for length in [0, 5, 11] {
        assert_eq!(
            Framing::Len2TpduHeader.split(&[0, length], 4096),
            Err(FrameError::TooShort { length_bytes: usize::from(length), needed_bytes: 12 })
        );
    }
    assert!(matches!(Framing::Len2.split(&[0, 0], 4096), Err(FrameError::TooShort { .. })));
    assert!(matches!(Framing::Ascii4.split(b"0000", 4096), Err(FrameError::TooShort { .. })));
}

#[test]
fn a_decimal_length_is_refused_at_its_first_wrong_byte() {
    assert_eq!(Framing::Ascii4.split(b"\x16", 4096), Err(FrameError::NotADigit(0x16)));
    assert_eq!(Framing::Ascii4.split(b"00G", 4096), Err(FrameError::NotADigit(b'G')));
}

#[test]
fn parts_must_fit_the_framing_and_nothing_is_written_otherwise() {
    let mut out = vec![1];
    for (framing, tpdu, header) in [
        (Framing::Len2Tpdu, None, None),
        (Framing::Len2TpduHeader, Some(TPDU), None),
        (Framing::Len2, Some(TPDU), None),
        (Framing::Len2Tpdu, Some(TPDU), Some(HEADER)),
    ] {
        assert!(framing.encode(&mut out, tpdu, header, b"x").is_err(), "{framing}");
    }
    assert!(Framing::Len2.encode(&mut out, None, None, b"").is_err());
    assert!(Framing::Ascii4.encode(&mut out, None, None, &[0; 10_000]).is_err());
    assert!(Framing::Len2.encode(&mut out, None, None, &[0; 65_536]).is_err());
    assert_eq!(out, [1]);
}

#[test]
fn a_reply_goes_back_where_the_request_came_from() {
    let request: Tpdu = "6005250000".parse().unwrap();
    assert_eq!(request.swapped().to_string(), "6000000525");
}

#[test]
fn the_header_gives_its_digits() {
    let header: Header = "613215320205".parse().unwrap();
    assert_eq!((header.application_class(), header.software_version()), (0x61, 0x32));
    assert_eq!((header.terminal_state(), header.processing_requirement()), (1, 5));
    assert_eq!(header.software_sub_version(), [0x32, 0x02, 0x05]);
    assert_eq!(header.with_processing_requirement(0x0A).to_string(), "61321a320205");
}

#[test]
fn names_and_hexadecimal_forms_read_back() {
    for framing in Framing::ALL {
        assert_eq!(framing.name().parse(), Ok(framing));
    }
    assert!("len4".parse::<Framing>().unwrap_err().to_string().contains("len2-tpdu-header"));
    assert_eq!(
        "60000300".parse::<Tpdu>().unwrap_err().to_string(),
        "a TPDU is written as 10 hexadecimal digits"
    );
    assert!("60000300zz".parse::<Tpdu>().is_err());
    assert_eq!(serde_json::to_string(&TPDU).unwrap(), "\"6000030000\"");
    assert_eq!(serde_json::from_str::<Header>("\"603103310001\"").unwrap(), HEADER);
}
