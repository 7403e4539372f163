//! Every framing there is, for tests.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "helpers of several tests")]

use iso8583::framing::{Bounds, Frame, FrameError, Framing, Header, Heading, Lrc, Prefix, PrefixForm, Tpdu};

/// A vendor's header with STX and ETX among its bytes.
pub(crate) const VENDOR: [u8; 12] = *b"ISO\x0214\x03000\x00\xff";

/// The whole product, with one constant byte and one length of vendor headers.
pub(crate) fn every() -> Vec<Framing> {
    let prefixes: Vec<Prefix> =
        PrefixForm::ALL.into_iter().flat_map(|form| [Prefix::new(form), Prefix::inclusive(form)]).collect();
    let mut bounds = vec![Bounds::Whole];
    for lrc in [Lrc::Xor, Lrc::Sum] {
        bounds.push(Bounds::StxEtx { prefix: None, lrc });
        bounds.extend(prefixes.iter().map(|prefix| Bounds::StxEtx { prefix: Some(*prefix), lrc }));
    }
    for lead in [None, Some(0x02)] {
        bounds.extend(prefixes.iter().map(|prefix| Bounds::Length { lead, prefix: *prefix }));
    }
    let mut framings = Vec::new();
    for bounds in bounds {
        for tpdu in [false, true] {
            for heading in [Heading::None, Heading::UnionPay, Heading::vendor(12)] {
                framings.push(Framing { bounds, tpdu, heading });
            }
        }
    }
    framings
}

/// Those that can tell the end of a frame on a stream.
pub(crate) fn delimiting() -> Vec<Framing> {
    every().into_iter().filter(|framing| framing.delimits()).collect()
}

/// Whether a message may have any byte in it.
pub(crate) fn carries_any_byte(framing: Framing) -> bool {
    !matches!(framing.bounds, Bounds::StxEtx { prefix: None, .. })
}

/// A frame of this framing, with ETX in all that may have one.
pub(crate) fn frame(framing: Framing, body: &[u8]) -> Frame<'_> {
    Frame {
        tpdu: framing.has_tpdu().then_some(Tpdu([0x60, 0x00, 0x03, 0x05, 0x25])),
        header: framing.has_header().then_some(Header([0x60, 0x31, 0x03, 0x31, 0x00, 0x01])),
        vendor: if framing.vendor_len() > 0 { &VENDOR } else { &[] },
        body,
    }
}

pub(crate) fn encoded(framing: Framing, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    framing.encode(&mut out, &frame(framing, body)).unwrap();
    out
}

/// What a whole stream holds: the bodies of its frames, and the error or what is left over at its
/// end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) error: Option<FrameError>,
    pub(crate) left_bytes: usize,
}

/// What [`Framing::split`] finds when all bytes are there at once.
pub(crate) fn at_once(framing: Framing, mut stream: &[u8], max_bytes: usize) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match framing.split(stream, max_bytes) {
            Ok(Some((frame, consumed))) => {
                outcome.bodies.push(frame.body.to_vec());
                stream = &stream[consumed..];
            }
            Ok(None) => {
                outcome.left_bytes = stream.len();
                return outcome;
            }
            Err(error) => {
                outcome.error = Some(error);
                return outcome;
            }
        }
    }
}
