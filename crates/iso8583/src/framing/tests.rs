use super::*;

const TPDU: Tpdu = Tpdu([0x60, 0x00, 0x03, 0x00, 0x00]);
const HEADER: Header = Header([0x60, 0x31, 0x03, 0x31, 0x00, 0x01]);
/// A request of a UnionPay TMS test client, with a serial number and no card data.
const TMS_REQUEST: &str = "02012460666688883030373030314432303137303732302020202020202020202020\
    2020202020202020202020202020202020202020202020202020202020203636363636383838383835353535353230\
    3137303732303030323031373132313638343631343531363834363134353136383436313435313638343631343503A0";

fn framing(name: &str) -> Framing {
    name.parse().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    ::hex::decode(hex).unwrap()
}

fn too_short(length_bytes: usize, needed_bytes: usize) -> FrameError {
    FrameError::TooShort { length_bytes, needed_bytes }
}

#[test]
fn every_kind_of_length_stands_as_its_name_says() {
    let body = [0x41; 300];
    for (name, before) in [
        ("len2", "012C"),
        ("len2-incl", "012E"),
        ("len2le", "2C01"),
        ("len2le-incl", "2E01"),
        ("len4", "0000012C"),
        ("len4-incl", "00000130"),
        ("len4le", "2C010000"),
        ("len4le-incl", "30010000"),
        ("ascii4", "30333030"),
        ("ascii4-incl", "30333034"),
        ("bcd2", "0300"),
        ("bcd2-incl", "0302"),
        ("cmf3", "00012C"),
        ("cmf3-incl", "00012F"),
        ("x02-len2", "02012C"),
        ("x02-len2-incl", "02012E"),
        ("stx-len2-etx-lrc", "02012C"),
    ] {
        let mut out = Vec::new();
        framing(name).encode(&mut out, &Frame::from(&body[..])).unwrap();
        assert_eq!(::hex::encode_upper(&out[..out.len().min(before.len() / 2)]), before, "{name}");
        let (frame, consumed) = framing(name).split(&out, 300).unwrap().unwrap();
        assert_eq!((frame.body, consumed), (&body[..], out.len()), "{name}");
        assert_eq!(
            framing(name).split(&out, 299),
            Err(FrameError::TooLong { length_bytes: 300, max_bytes: 299 }),
            "{name}"
        );
    }
}

#[test]
fn parts_stand_in_the_order_of_the_name() {
    let vendor = *b"ISO014000000";
    let frame = Frame { tpdu: Some(TPDU), header: None, vendor: &vendor, body: b"0800" };
    let mut out = Vec::new();
    framing("x02-len2-tpdu-header12").encode(&mut out, &frame).unwrap();
    assert_eq!(out, [&[2, 0, 21, 0x60, 0, 3, 0, 0], &vendor[..], b"0800"].concat());
    assert_eq!(framing("x02-len2-tpdu-header12").split(&out, 21), Ok(Some((frame, out.len()))));

    let frame = Frame { tpdu: None, header: None, vendor: b"ISO70100000", body: b"1804" };
    let mut out = Vec::new();
    framing("ascii4-header11").encode(&mut out, &frame).unwrap();
    assert_eq!(out, b"0015ISO701000001804");
}

#[test]
fn a_frame_of_the_unionpay_tms_interface_reads_and_is_written_again() {
    let stream = bytes(TMS_REQUEST);
    assert_eq!(stream.len(), 129);
    let (frame, consumed) = Framing::UNIONPAY_TMS.split(&stream, 1024).unwrap().unwrap();
    assert_eq!(consumed, 129);
    assert_eq!(frame.tpdu.unwrap().to_string(), "6066668888");
    assert_eq!((frame.body.len(), &frame.body[..6]), (119, &b"007001"[..]));
    let mut again = Vec::new();
    Framing::UNIONPAY_TMS.encode(&mut again, &frame).unwrap();
    assert_eq!(again, stream);

    let mut changed = stream.clone();
    changed[40] ^= 1;
    assert_eq!(
        Framing::UNIONPAY_TMS.split(&changed, 1024),
        Err(FrameError::Lrc { computed: 0x9F, received: 0xA0 })
    );
    let by_xor = framing("stx-bcd2-tpdu-etx-lrc").split(&stream, 1024);
    assert!(matches!(by_xor, Err(FrameError::Lrc { received: 0xA0, .. })), "{by_xor:?}");
}

#[test]
fn exclusive_or_leaves_stx_out_and_counts_etx() {
    assert_eq!(Lrc::Xor.of(b"0800\x03"), b'0' ^ b'8' ^ b'0' ^ b'0' ^ 3);
    assert_eq!(Lrc::Sum.of(b"A\x03"), 0u8.wrapping_sub(2 + b'A' + 3));
    let mut out = Vec::new();
    Framing::STX_ETX_LRC.encode(&mut out, &Frame::from(&b"0800"[..])).unwrap();
    assert_eq!(out, b"\x020800\x03\x0b");
}

#[test]
fn an_etx_inside_tpdu_and_header_does_not_end_a_frame() {
    let frame = Frame { tpdu: Some(TPDU), header: Some(HEADER), vendor: &[], body: b"0800" };
    let mut out = Vec::new();
    framing("stx-tpdu-header-etx-lrc").encode(&mut out, &frame).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == ETX).count(), 3);
    assert_eq!(framing("stx-tpdu-header-etx-lrc").split(&out, 15), Ok(Some((frame, out.len()))));
}

#[test]
fn a_message_with_etx_in_it_needs_a_length() {
    let frame = Frame::from(&b"\x08\x00\x03"[..]);
    let mut out = Vec::new();
    assert_eq!(
        Framing::STX_ETX_LRC.encode(&mut out, &frame),
        Err(FrameError::EtxInside { framing: Framing::STX_ETX_LRC, offset: 2 })
    );
    framing("stx-len2-etx-lrc").encode(&mut out, &frame).unwrap();
    assert_eq!(framing("stx-len2-etx-lrc").split(&out, 3), Ok(Some((frame, out.len()))));
}

#[test]
fn without_a_length_the_search_for_etx_ends_at_the_limit() {
    let noise = [&[STX][..], &[b'0'; 11]].concat();
    let refused = Err(FrameError::TooLong { length_bytes: 11, max_bytes: 10 });
    assert_eq!(Framing::STX_ETX_LRC.split(&noise[..11], 10), Ok(None));
    assert_eq!(Framing::STX_ETX_LRC.split(&noise, 10), refused);
    let late = [&noise[..], &[ETX, 3]].concat();
    assert_eq!(Framing::STX_ETX_LRC.split(&late, 10), refused);
    assert_eq!(Framing::STX_ETX_LRC.split(&[STX, ETX], 10), Err(too_short(0, 1)));
    assert_eq!(framing("stx-tpdu-etx-lrc").split(&[STX, 0x60, 0, 0, 0, 0, ETX], 10), Err(too_short(5, 6)));
}

#[test]
fn a_byte_that_no_frame_has_there_is_refused_at_once() {
    let wrong = |part, expected, found| Err(FrameError::WrongByte { part, expected, found });
    assert_eq!(Framing::STX_ETX_LRC.split(b"0", 10), wrong("STX", STX, b'0'));
    assert_eq!(framing("x02-len2").split(&[0], 10), wrong("the constant byte", 2, 0));
    assert_eq!(framing("stx-len2-etx-sum").split(&[STX, 0, 1, b'A', b'B'], 10), wrong("ETX", ETX, b'B'));
    assert_eq!(Framing::ASCII4.split(b"\x16", 4096), Err(FrameError::NotADigit(0x16)));
    assert_eq!(Framing::ASCII4.split(b"00G", 4096), Err(FrameError::NotADigit(b'G')));
    assert_eq!(framing("bcd2").split(&[0x0A], 4096), Err(FrameError::NotADigit(0x0A)));
    assert_eq!(framing("bcd2").split(&[0, 0xA0], 4096), Err(FrameError::NotADigit(0xA0)));
}

#[test]
fn without_bounds_the_buffer_is_the_message() {
    assert_eq!(Framing::NONE.split(b"", 10), Ok(None));
    assert_eq!(Framing::NONE.split(b"0800", 10), Ok(Some((Frame::from(&b"0800"[..]), 4))));
    assert!(matches!(Framing::NONE.split(b"0800", 3), Err(FrameError::TooLong { .. })));
    assert_eq!(framing("tpdu-header").split(&[0; 11], 100), Err(too_short(11, 12)));
    let (frame, _) = framing("tpdu").split(b"\x60\x00\x03\x00\x000800", 100).unwrap().unwrap();
    assert_eq!((frame.tpdu, frame.body), (Some(TPDU), &b"0800"[..]));
}

#[test]
fn a_length_above_the_limit_is_refused_from_the_length_alone() {
    let refused = FrameError::TooLong { length_bytes: 0x2000, max_bytes: 4096 };
    assert_eq!(Framing::LEN2.split(&[0x20, 0x00], 4096), Err(refused));
    assert_eq!(framing("stx-len2-etx-sum").split(&[STX, 0x20, 0x00], 4096), Err(refused));
    assert_eq!(
        Framing::ASCII4.split(b"9999", 4096),
        Err(FrameError::TooLong { length_bytes: 9999, max_bytes: 4096 })
    );
    let most = u32::MAX as usize;
    assert_eq!(
        framing("len4").split(&[0xFF; 4], most - 1),
        Err(FrameError::TooLong { length_bytes: most, max_bytes: most - 1 })
    );
    assert_eq!(framing("len4").split(&[0xFF; 4], usize::MAX), Ok(None));
}

#[test]
fn a_length_without_room_for_tpdu_header_and_message_is_refused() {
    for length in [0, 5, 11] {
        assert_eq!(
            Framing::LEN2_TPDU_HEADER.split(&[0, length], 4096),
            Err(too_short(usize::from(length), 12))
        );
    }
    assert_eq!(Framing::LEN2.split(&[0, 0], 4096), Err(too_short(0, 1)));
    assert_eq!(Framing::ASCII4.split(b"0000", 4096), Err(too_short(0, 1)));
    assert_eq!(framing("cmf3").split(&[0, 0, 0], 4096), Err(too_short(0, 1)));
    assert_eq!(framing("ascii4-header12").split(b"0012", 4096), Err(too_short(12, 13)));
}

#[test]
fn an_inclusive_length_smaller_than_itself_and_a_message_is_refused() {
    for length in 0..=2 {
        assert_eq!(framing("len2-incl").split(&[0, length], 99), Err(too_short(usize::from(length), 3)));
        assert_eq!(framing("bcd2-incl").split(&[0, length], 99), Err(too_short(usize::from(length), 3)));
    }
    for length in 0..=4 {
        assert_eq!(
            framing("len4le-incl").split(&[length, 0, 0, 0], 99),
            Err(too_short(usize::from(length), 5))
        );
        assert_eq!(
            framing("ascii4-incl-tpdu").split(&[b'0', b'0', b'0', b'0' + length], 99),
            Err(too_short(usize::from(length), 10))
        );
    }
    for length in 0..=3 {
        assert_eq!(framing("cmf3-incl").split(&[0, 0, length], 99), Err(too_short(usize::from(length), 4)));
    }
    assert_eq!(framing("len2-incl").split(&[0, 3, 7], 1).unwrap().unwrap().0.body, [7]);
}

#[test]
fn parts_must_fit_the_framing_and_nothing_is_written_otherwise() {
    let mut out = vec![1];
    let whole = Frame { tpdu: Some(TPDU), header: Some(HEADER), vendor: b"abc", body: b"x" };
    let bare = Frame::from(&b"x"[..]);
    for (name, frame, says) in [
        ("len2-tpdu", bare, "needs a TPDU"),
        ("len2-tpdu-header", Frame { tpdu: Some(TPDU), ..bare }, "needs a header"),
        ("len2-header3", bare, "needs a vendor header"),
        ("len2", Frame { tpdu: Some(TPDU), ..bare }, "no place for a TPDU"),
        ("len2-tpdu-header3", whole, "no place for a header"),
        ("len2-tpdu-header", whole, "no place for a vendor header"),
        ("len2-header4", Frame { vendor: b"abc", ..bare }, "of 4 bytes and 3 are given"),
        ("len2", Frame::default(), "needs at least 1"),
        ("ascii4", Frame { body: &[0; 10_000], ..bare }, "at most 9999"),
        ("ascii4-incl", Frame { body: &[0; 9_996], ..bare }, "at most 9995"),
        ("bcd2", Frame { body: &[0; 10_000], ..bare }, "at most 9999"),
        ("len2", Frame { body: &[0; 65_536], ..bare }, "at most 65535"),
        ("len2le-incl", Frame { body: &[0; 65_534], ..bare }, "at most 65533"),
        ("stx-len2-etx-sum", Frame { body: &[0; 65_536], ..bare }, "at most 65535"),
    ] {
        let error = framing(name).encode(&mut out, &frame).unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
    assert_eq!(out, [1]);
    framing("ascii4-incl").encode(&mut out, &Frame { body: &[0; 9_995], ..bare }).unwrap();
    assert_eq!(&out[..5], b"\x019999");
}

#[test]
fn a_long_text_that_arrives_byte_by_byte_is_searched_once() {
    let stream = [&[STX][..], &[b'0'; 20_000], &[ETX, 3]].concat();
    let mut splitter = Splitter::new(Framing::STX_ETX_LRC, 20_000);
    for received in 1..stream.len() {
        assert_eq!(splitter.split(&stream[..received]), Ok(None));
        assert_eq!(splitter.searched, (received - 1).min(20_000));
    }
    assert_eq!(splitter.split(&stream).unwrap().unwrap().1, stream.len());
    assert_eq!(splitter.searched, 0);
}

#[test]
fn a_reply_goes_back_where_the_request_came_from() {
    let request: Tpdu = "6005250000".parse().unwrap();
    assert_eq!(request.swapped().to_string(), "6000000525");

    let request = Frame { tpdu: Some(request), header: Some(HEADER), vendor: b"abc", body: b"request" };
    let reply = request.reply(b"reply");
    assert_eq!(reply.tpdu.unwrap().to_string(), "6000000525");
    assert_eq!(reply.header.unwrap().to_string(), "603100310001");
    assert_eq!((reply.vendor, reply.body), (&b"abc"[..], &b"reply"[..]));
    assert_eq!(reply.requiring(6).header.unwrap().to_string(), "603106310001");
    assert_eq!(Frame::from(&b"request"[..]).reply(b"reply").requiring(6), Frame::from(&b"reply"[..]));
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
fn hexadecimal_forms_read_back() {
    assert_eq!(
        "60000300".parse::<Tpdu>().unwrap_err().to_string(),
        "a TPDU is written as 10 hexadecimal digits"
    );
    assert!("60000300zz".parse::<Tpdu>().is_err());
    assert_eq!(serde_json::to_string(&TPDU).unwrap(), "\"6000030000\"");
    assert_eq!(serde_json::from_str::<Header>("\"603103310001\"").unwrap(), HEADER);
}

#[test]
fn names_say_their_framing() {
    for (constant, name) in [
        (Framing::NONE, "none"),
        (Framing::LEN2, "len2"),
        (Framing::LEN2_TPDU, "len2-tpdu"),
        (Framing::LEN2_TPDU_HEADER, "len2-tpdu-header"),
        (Framing::ASCII4, "ascii4"),
        (Framing::STX_ETX_LRC, "stx-etx-lrc"),
        (Framing::UNIONPAY_TMS, "stx-bcd2-tpdu-etx-sum"),
    ] {
        assert_eq!((framing(name), constant.to_string().as_str()), (constant, name));
        assert_eq!(format!("{constant:?}"), format!("Framing({name})"));
    }
    assert_eq!(framing("len2le-incl-tpdu-header255").vendor_len(), 255);
}

#[test]
fn a_wrong_name_is_told_how_names_are_made() {
    for wrong in [
        "",
        "-",
        "len3",
        "len2-",
        "-len2",
        "LEN2",
        "len2_tpdu",
        "tpdu-len2",
        "len2-header-tpdu",
        "incl",
        "len2-incl-incl",
        "none-tpdu",
        "len2-header0",
        "len2-header256",
        "len2-header012",
        "len2-header+9",
        "x2-len2",
        "x0A-len2",
        "x+2-len2",
        "x002-len2",
        "x02",
        "x02-tpdu",
        "x02-stx-etx-lrc",
        "stx",
        "stx-etx",
        "stx-lrc",
        "stx-etx-lrc-tpdu",
        "stx-etx-xor",
        "len2-etx-lrc",
        "len2 ",
        "len2-tpdu-header-x",
    ] {
        let error = wrong.parse::<Framing>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{wrong}` is no framing; a name lists the parts")), "{error}");
        for word in
            PrefixForm::ALL.map(PrefixForm::name).iter().chain(&["incl", "x02", "tpdu", "stx", "none"])
        {
            assert!(error.contains(word), "{error}");
        }
    }
    let long = "9".repeat(100).parse::<Framing>().unwrap_err().to_string();
    assert!(long.starts_with(&format!("`{}` ", "9".repeat(40))), "{long}");
}
