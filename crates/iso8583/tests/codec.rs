//! The codec finds what the pure functions find, without copying.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod framings;

use bytes::{Bytes, BytesMut};
use framings::{Outcome, VENDOR, at_once, carries_any_byte, delimiting, encoded, every, frame};
use futures::{SinkExt, StreamExt};
use iso8583::codec::{CodecError, FrameCodec, OwnedFrame};
use iso8583::framing::{Frame, FrameError, Framing};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder, Framed, FramedRead};

/// What the codec finds when bytes arrive in these chunks; the end of the stream is not told.
fn decoded<'a>(framing: Framing, chunks: impl Iterator<Item = &'a [u8]>, max_bytes: usize) -> Outcome {
    let (mut codec, mut received) = (FrameCodec::new(framing, max_bytes), BytesMut::new());
    let mut outcome = Outcome::default();
    for chunk in chunks {
        received.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut received) {
                Ok(Some(frame)) => outcome.bodies.push(frame.body.to_vec()),
                Ok(None) => break,
                Err(CodecError::Frame(error)) => {
                    outcome.error = Some(error);
                    return outcome;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    outcome.left_bytes = received.len();
    outcome
}

fn owned(frame: Frame<'_>) -> OwnedFrame {
    OwnedFrame {
        tpdu: frame.tpdu,
        header: frame.header,
        vendor: Bytes::copy_from_slice(frame.vendor),
        body: Bytes::copy_from_slice(frame.body),
    }
}

#[test]
fn every_split_point_gives_the_frames_of_the_pure_functions() {
    for framing in delimiting() {
        let stream = [encoded(framing, b"first"), encoded(framing, b"second message")].concat();
        let expected = at_once(framing, &stream, 4096);
        assert_eq!(expected.bodies, [&b"first"[..], b"second message"]);
        for at in 0..=stream.len() {
            let found = decoded(framing, [&stream[..at], &stream[at..]].into_iter(), 4096);
            assert_eq!(found, expected, "{framing} {at}");
        }
        assert_eq!(decoded(framing, stream.chunks(1), 4096), expected, "{framing}");
    }
}

#[test]
fn a_frame_comes_with_its_parts_and_goes_out_as_the_same_bytes() {
    for framing in every() {
        let stream = encoded(framing, b"0800");
        let mut codec = FrameCodec::new(framing, 100);
        let found = codec.decode_eof(&mut BytesMut::from(&stream[..])).unwrap().unwrap();
        assert_eq!(found.as_frame(), frame(framing, b"0800"), "{framing}");

        let (mut borrowed, mut out) = (BytesMut::new(), BytesMut::new());
        codec.encode(found.as_frame(), &mut borrowed).unwrap();
        codec.encode(found, &mut out).unwrap();
        assert_eq!((&borrowed[..], &out[..]), (&stream[..], &stream[..]), "{framing}");
    }
}

#[test]
fn bodies_and_vendor_headers_are_not_copied() {
    for framing in delimiting() {
        let mut received = BytesMut::from(&encoded(framing, b"0800 and so on")[..]);
        let within = received.as_ptr_range();
        let found = FrameCodec::new(framing, 100).decode(&mut received).unwrap().unwrap();
        assert!(within.contains(&found.body.as_ptr()), "{framing}");
        assert!(found.vendor.is_empty() || within.contains(&found.vendor.as_ptr()), "{framing}");
    }
}

#[test]
fn a_buffer_with_room_for_the_frame_is_not_moved() {
    for framing in delimiting() {
        let total = encoded(framing, b"0800 and so on").len();
        let mut out = BytesMut::with_capacity(total);
        let at = out.as_ptr();
        FrameCodec::new(framing, 100).encode(frame(framing, b"0800 and so on"), &mut out).unwrap();
        assert_eq!((out.len(), out.as_ptr(), out.capacity()), (total, at, total), "{framing}");
    }
}

#[test]
fn the_limit_holds_both_ways_and_leaves_the_buffer_alone() {
    for framing in every() {
        let parts = encoded(Framing { bounds: Framing::NONE.bounds, ..framing }, b"0123456789").len();
        let mut out = BytesMut::from(&b"before"[..]);
        let mut codec = FrameCodec::new(framing, parts - 1);
        let error = codec.encode(frame(framing, b"0123456789"), &mut out).unwrap_err();
        let refused = FrameError::TooLong { length_bytes: parts, max_bytes: parts - 1 };
        assert!(matches!(error, CodecError::Frame(error) if error == refused), "{framing}: {error}");
        assert_eq!(&out[..], b"before");

        let mut received = BytesMut::from(&encoded(framing, b"0123456789")[..]);
        let error = codec.decode(&mut received).unwrap_err();
        assert!(matches!(error, CodecError::Frame(error) if error == refused), "{framing}: {error}");
    }
}

#[test]
fn nothing_is_reserved_for_a_frame_that_is_only_announced() {
    let mut received = BytesMut::from(&[0x00, 0xFF, 0xFF, 0xFF][..]);
    let capacity = received.capacity();
    let mut codec = FrameCodec::new("len4".parse().unwrap(), usize::MAX);
    assert!(codec.decode(&mut received).unwrap().is_none());
    assert_eq!(received.capacity(), capacity);
}

#[test]
fn an_end_inside_a_frame_is_an_error_once_and_an_end_between_two_is_none() {
    for framing in delimiting() {
        let stream = encoded(framing, b"0800");
        let mut codec = FrameCodec::new(framing, 100);
        assert!(codec.decode_eof(&mut BytesMut::new()).unwrap().is_none());
        for at in 1..stream.len() {
            let mut received = BytesMut::from(&stream[..at]);
            let error = codec.decode_eof(&mut received).unwrap_err();
            assert_eq!(error.to_string(), format!("the stream ended {at} bytes into a frame"), "{framing}");
            assert!(codec.decode_eof(&mut received).unwrap().is_none());
            // What comes after it, as from a file that grows, is searched from its beginning.
            let again = codec.decode(&mut BytesMut::from(&stream[..])).unwrap().unwrap();
            assert_eq!(&again.body[..], b"0800");
        }
    }
}

#[test]
fn without_bounds_the_end_of_the_stream_ends_the_message() {
    let mut codec = FrameCodec::new(Framing::NONE, 8);
    let mut received = BytesMut::from(&b"0800"[..]);
    assert!(codec.decode(&mut received).unwrap().is_none());
    received.extend_from_slice(b"abcd");
    assert!(codec.decode(&mut received).unwrap().is_none());
    assert_eq!(&codec.decode_eof(&mut received).unwrap().unwrap().body[..], b"0800abcd");
    assert!(codec.decode_eof(&mut received).unwrap().is_none());
    received.extend_from_slice(b"0800abcde");
    assert!(matches!(codec.decode(&mut received), Err(CodecError::Frame(FrameError::TooLong { .. }))));
}

#[test]
fn a_reply_echoes_what_the_request_had() {
    for framing in every() {
        let request = owned(frame(framing, b"0800"));
        let reply = request.reply(Bytes::from_static(b"0810")).requiring(5);
        assert_eq!(reply.as_frame(), request.as_frame().reply(b"0810").requiring(5));
        assert_eq!(reply.vendor.len(), framing.vendor_len());
    }
}

#[test]
fn debug_output_has_no_byte_of_message_or_vendor_header() {
    let card = Bytes::from_static(b"6212345678901232");
    let text = format!("{:?}", OwnedFrame { vendor: card.clone(), ..OwnedFrame::from(card) });
    assert_eq!(text, "OwnedFrame { tpdu: None, header: None, vendor: 16 bytes, body: 16 bytes }");
}

#[tokio::test]
async fn messages_cross_a_connection_in_both_directions() {
    for framing in delimiting() {
        let (client, host) = tokio::io::duplex(7);
        let mut client = Framed::new(client, FrameCodec::new(framing, 100));
        let mut host = Framed::new(host, FrameCodec::new(framing, 100));
        let echo = async {
            while let Some(request) = host.next().await {
                let request = request.unwrap();
                let body = Bytes::from([b"re: ", &request.body[..]].concat());
                host.send(request.reply(body)).await.unwrap();
            }
        };
        let ask = async {
            for body in [&b"0800"[..], b"0820", b"0500"] {
                client.send(frame(framing, body)).await.unwrap();
                let reply = client.next().await.unwrap().unwrap();
                assert_eq!(&reply.body[..], [b"re: ", body].concat());
                assert_eq!(reply.tpdu, frame(framing, body).tpdu.map(iso8583::framing::Tpdu::swapped));
                assert_eq!(reply.vendor, if framing.vendor_len() > 0 { &VENDOR[..] } else { &[] });
            }
            drop(client);
        };
        tokio::join!(echo, ask);
    }
}

#[tokio::test]
async fn a_connection_that_ends_inside_a_frame_says_how_far_it_came() {
    let stream = &encoded(Framing::LEN2_TPDU_HEADER, b"0800")[..9];
    let mut frames = FramedRead::new(stream, FrameCodec::new(Framing::LEN2_TPDU_HEADER, 100));
    let error = frames.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CodecError::Truncated { received_bytes: 9 }), "{error}");
    assert!(frames.next().await.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_and_noise_are_judged_as_by_the_pure_functions(
        framing in proptest::sample::select(delimiting()),
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..4),
        noise in proptest::collection::vec(prop_oneof![0u8..6, b'0'..=b'3', any::<u8>()], 0..60),
        chunk in 1usize..40,
    ) {
        let mut stream = Vec::new();
        for body in bodies.iter().filter(|body| carries_any_byte(framing) || !body.contains(&3)) {
            stream.extend(encoded(framing, body));
        }
        stream.extend(noise);
        let expected = at_once(framing, &stream, 64);
        prop_assert_eq!(decoded(framing, stream.chunks(chunk), 64), expected, "{}", framing);
    }
}
