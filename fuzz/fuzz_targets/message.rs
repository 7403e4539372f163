//! Messages of every built-in dialect, read strictly: never a panic, an error is inside the
//! message, and what is accepted builds to the same bytes, field by field and as a reply.
//!
//! The first byte chooses the dialect.
#![no_main]

use iso8583::{Builder, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let dialect = tms_fuzz::dialect(choice);
    let message = match Message::parse(dialect, body) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.offset() <= body.len(), "{error}");
            return;
        }
    };
    tms_fuzz::check_accepted(&message, body);

    let every: Vec<u8> = (0..=u8::MAX).collect();
    if let Ok(reply) = Builder::reply_to(&message, &every) {
        let reply = reply.build().unwrap();
        let reply = Message::parse(dialect, &reply).unwrap();
        assert!(message.fields().map(|field| field.bytes()).eq(reply.fields().map(|field| field.bytes())));
    }
});
