//! Messages of every built-in dialect, read leniently and as far as strict reading gets: never a
//! panic, deviations are inside the message, and a message has none exactly when strict reading
//! accepts it.
//!
//! The first byte chooses the dialect.
#![no_main]

use iso8583::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let dialect = tms_fuzz::dialect(choice);
    let strict = Message::parse(dialect, body);
    let lenient = match Message::parse_lenient(dialect, body) {
        Ok(lenient) => lenient,
        Err(error) => {
            assert!(error.offset() <= body.len(), "{error}");
            assert!(strict.is_err(), "refused leniently, accepted strictly: {error}");
            return;
        }
    };
    assert!(body.ends_with(lenient.rest));
    assert_eq!(lenient.deviations.is_empty(), strict.is_ok(), "{:?}", lenient.deviations);
    for deviation in &lenient.deviations {
        assert!(deviation.offset() <= body.len(), "{deviation}");
    }
    for field in lenient.message.fields() {
        tms_fuzz::ask(&field);
        for inner in field.subfields() {
            match inner {
                Ok(inner) => tms_fuzz::ask(&inner),
                Err(error) => assert!(error.offset() <= body.len(), "{error}"),
            }
        }
    }

    let partial = Message::parse_partial(dialect, body);
    assert_eq!(partial.error, strict.as_ref().err().copied());
    let Some(kept) = partial.message else { return };
    // What was kept is the beginning of what lenient reading finds.
    let found = lenient.message.fields().map(|field| (field.number(), field.bytes()));
    assert!(kept.fields().zip(found).all(|(kept, found)| (kept.number(), kept.bytes()) == found));
});
