//! Streams in every framing: splitting never panics, never asks for more than the limit, and what
//! was split encodes to the same bytes.
//!
//! The first byte chooses the framing, the second the limit in units of 16 bytes.
#![no_main]

use iso8583::framing::Framing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [choice, limit, stream @ ..] = data else { return };
    let framing = Framing::ALL[usize::from(*choice) % Framing::ALL.len()];
    let max_bytes = usize::from(*limit) * 16;
    let mut rest = stream;
    loop {
        match framing.split(rest, max_bytes) {
            Ok(Some((frame, consumed))) => {
                let mut again = Vec::new();
                framing.encode(&mut again, frame.tpdu, frame.header, frame.body).unwrap();
                assert_eq!(again, &rest[..consumed]);
                // The same frame is found only once all of it is there.
                if framing != Framing::None {
                    assert_eq!(framing.split(&rest[..consumed - 1], max_bytes), Ok(None));
                }
                rest = &rest[consumed..];
            }
            Ok(None) => {
                assert!(rest.len() < max_bytes + 4 || rest.is_empty());
                return;
            }
            Err(error) => {
                let _ = error.to_string();
                return;
            }
        }
    }
});
