//! Data objects: reading never panics and ends; what was read, written and read again is the same.
#![no_main]

#[cfg(not(feature = "canary"))]
use iso8583::tlv::read;
use iso8583::tlv::write;
use libfuzzer_sys::fuzz_target;
#[cfg(feature = "canary")]
use tms_fuzz::canary::read;

fuzz_target!(|data: &[u8]| {
    let mut written = Vec::new();
    let mut objects = Vec::new();
    for object in read(data) {
        match object {
            Ok(object) => {
                write(&mut written, object.tag, object.value);
                objects.push(object);
            }
            Err(error) => {
                assert!(error.offset < data.len(), "{error}");
                break;
            }
        }
    }
    assert!(written.len() <= data.len());
    let mut again = read(&written);
    for object in objects {
        assert_eq!(again.next(), Some(Ok(object)));
    }
    assert_eq!(again.next(), None);
});
