//! Dialect files: reading never panics, and no dialect makes reading or building messages panic.
//!
//! The file ends at the first zero byte; a message for the dialect follows.
#![no_main]

use iso8583::{Builder, Dialect, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return };
    let dialect = match Dialect::from_toml(text) {
        Ok(dialect) => dialect,
        Err(error) => {
            assert!(error.line().is_none_or(|line| line <= text.split('\n').count()), "{error}");
            return;
        }
    };
    let Some(body) = parts.next() else { return };
    let Ok(message) = Message::parse(&dialect, body) else { return };
    let mut builder = Builder::new(&dialect, message.mti());
    for field in message.fields() {
        builder.set(field.number(), &field.text()).unwrap();
        let _ = field.to_string();
    }
    assert_eq!(builder.build().unwrap(), body);
});
