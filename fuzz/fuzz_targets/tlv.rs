//! Data objects: reading never panics and ends; what was read, written and read again is the same.
#![no_main]

use iso8583::tlv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut written = Vec::new();
    let mut read = Vec::new();
    for object in tlv::read(data) {
        match object {
            Ok(object) => {
                tlv::write(&mut written, object.tag, object.value);
                read.push(object);
            }
            Err(error) => {
                assert!(error.offset < data.len(), "{error}");
                break;
            }
        }
    }
    let again: Vec<_> = tlv::read(&written).map(Result::unwrap).collect();
    assert_eq!(again, read);
    assert!(written.len() <= data.len());
});
