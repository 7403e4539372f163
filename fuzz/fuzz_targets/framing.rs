//! Streams in every framing: splitting never panics, never waits for more than the limit, what was
//! split encodes to the same bytes, and bytes that arrive one by one, in pieces or all at once are
//! judged the same by the pure function, by the splitter and by the codec.
//!
//! The first byte chooses what delimits, the second TPDU, header and check byte, the third the
//! length of a vendor's header, the fourth the limit in units of two bytes, the fifth the pieces.
#![no_main]

use bytes::BytesMut;
use iso8583::codec::{CodecError, FrameCodec};
use iso8583::framing::{Bounds, Frame, FrameError, Framing, Heading, Lrc, Prefix, PrefixForm, Splitter};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder, Encoder};

const MAX_STREAM_BYTES: usize = 320;

fuzz_target!(|data: &[u8]| {
    let [bounds, parts, vendor_len, limit, piece_len, stream @ ..] = data else { return };
    // Longer streams have more of the same frames and take their time, byte by byte.
    if stream.len() > MAX_STREAM_BYTES {
        return;
    }
    let framing = framing(*bounds, *parts, *vendor_len);
    let max_bytes = usize::from(*limit) * 2;
    assert_eq!(framing.to_string().parse(), Ok(framing));

    let whole = at_once(framing, stream, max_bytes);
    if framing.delimits() {
        for piece_len in [1, usize::from(*piece_len).max(1)] {
            assert_eq!(by_splitter(framing, stream.chunks(piece_len), max_bytes), whole);
            assert_eq!(by_codec(framing, stream.chunks(piece_len), max_bytes), whole);
        }
    }
});

/// One of all framings: 3 bits for the form of a length and one for what it counts, then what
/// stands around it.
fn framing(bounds: u8, parts: u8, vendor_len: u8) -> Framing {
    let form = PrefixForm::ALL.get(usize::from(bounds & 7));
    let prefix = form.map(|form| Prefix { form: *form, inclusive: bounds & 8 != 0 });
    let lrc = if parts & 8 == 0 { Lrc::Xor } else { Lrc::Sum };
    let bounds = match (bounds >> 4 & 3, prefix) {
        (0 | 1, None) => Bounds::Whole,
        (0, Some(prefix)) => Bounds::Length { lead: None, prefix },
        (1, Some(prefix)) => Bounds::Length { lead: Some(parts & 0xF0), prefix },
        (_, prefix) => Bounds::StxEtx { prefix, lrc },
    };
    let heading = match parts >> 1 & 3 {
        0 | 1 => Heading::None,
        2 => Heading::UnionPay,
        _ => Heading::vendor(vendor_len),
    };
    Framing { bounds, tpdu: parts & 1 != 0, heading }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    frames: Vec<(usize, Vec<u8>)>,
    end: Result<usize, FrameError>,
}

fn at_once(framing: Framing, stream: &[u8], max_bytes: usize) -> Outcome {
    let (mut rest, mut frames) = (stream, Vec::new());
    let end = loop {
        match framing.split(rest, max_bytes) {
            Ok(Some((frame, consumed))) => {
                assert!(!frame.body.is_empty() && frame.body.len() <= max_bytes);
                check_encoded(framing, &frame, &rest[..consumed], max_bytes);
                // The same frame is found only once all of it is there.
                if framing.delimits() {
                    assert_eq!(framing.split(&rest[..consumed - 1], max_bytes), Ok(None));
                }
                frames.push((consumed, frame.body.to_vec()));
                rest = &rest[consumed..];
            }
            Ok(None) => {
                // A constant byte or STX, a length, the content, ETX.
                assert!(rest.len() <= 1 + 4 + max_bytes + 1);
                break Ok(rest.len());
            }
            Err(error) => {
                let _ = error.to_string();
                break Err(error);
            }
        }
    };
    Outcome { frames, end }
}

/// The function and the codec both write the bytes that the frame was read from.
fn check_encoded(framing: Framing, frame: &Frame<'_>, bytes: &[u8], max_bytes: usize) {
    let mut again = Vec::new();
    framing.encode(&mut again, frame).unwrap();
    assert_eq!(again, bytes);
    let mut again = BytesMut::new();
    FrameCodec::new(framing, max_bytes).encode(*frame, &mut again).unwrap();
    assert_eq!(again, bytes);
    // An answer fits wherever its request came from.
    framing.encode(&mut Vec::new(), &frame.reply(b"0810").requiring(3)).unwrap();
}

fn by_splitter<'a>(framing: Framing, pieces: impl Iterator<Item = &'a [u8]>, max_bytes: usize) -> Outcome {
    let (mut splitter, mut received, mut frames) =
        (Splitter::new(framing, max_bytes), Vec::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            match splitter.split(&received) {
                Ok(Some((frame, consumed))) => {
                    frames.push((consumed, frame.body.to_vec()));
                    received.drain(..consumed);
                }
                Ok(None) => break,
                Err(error) => return Outcome { frames, end: Err(error) },
            }
        }
    }
    Outcome { frames, end: Ok(received.len()) }
}

fn by_codec<'a>(framing: Framing, pieces: impl Iterator<Item = &'a [u8]>, max_bytes: usize) -> Outcome {
    let (mut codec, mut received, mut frames) =
        (FrameCodec::new(framing, max_bytes), BytesMut::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        loop {
            let before = received.len();
            match codec.decode(&mut received) {
                Ok(Some(frame)) => frames.push((before - received.len(), frame.body.to_vec())),
                Ok(None) => break,
                Err(CodecError::Frame(error)) => return Outcome { frames, end: Err(error) },
                Err(error) => panic!("{error}"),
            }
        }
    }
    let left = received.len();
    // An end between frames is one; an end inside a frame says how much of it had come.
    match codec.decode_eof(&mut received) {
        Ok(None) => assert_eq!(left, 0),
        Err(CodecError::Truncated { received_bytes }) => assert_eq!(received_bytes, left),
        other => panic!("{other:?}"),
    }
    Outcome { frames, end: Ok(left) }
}
