//! Messages of every built-in dialect: reading never panics, and what is read builds to the same
//! bytes, also as text, masked or as the reply that echoes everything.
//!
//! The first byte chooses the dialect.
#![no_main]

use iso8583::{Builder, Dialect, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let names = Dialect::builtin_names();
    let dialect = Dialect::builtin(names[usize::from(choice) % names.len()]).unwrap();
    let message = match Message::parse(dialect, body) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.offset() <= body.len(), "{error}");
            return;
        }
    };
    let mut builder = Builder::new(dialect, message.mti());
    for field in message.fields() {
        builder.set(field.number(), &field.text()).unwrap();
        let _ = field.to_string();
        for part in 0..=9 {
            let _ = field.part(part);
        }
    }
    assert_eq!(builder.build().unwrap(), body);

    let every: Vec<u8> = (0..=u8::MAX).collect();
    if let Ok(reply) = Builder::reply_to(&message, &every) {
        let reply = reply.build().unwrap();
        let reply = Message::parse(dialect, &reply).unwrap();
        assert!(message.fields().map(|field| field.bytes()).eq(reply.fields().map(|field| field.bytes())));
    }
});
