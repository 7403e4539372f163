//! Firmware packages: reading one never panics, and nothing verifies that the key did not sign.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tms_firmware::{Envelope, PackageReader, SigningKey, TrustRoot};

/// A key made anew for each run, so that no input can hold its signature.
static ROOT: LazyLock<TrustRoot> = LazyLock::new(|| {
    let key = SigningKey::generate().expect("a key");
    TrustRoot::new(vec![key.public()], 1).expect("a root")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(reader) = PackageReader::open(data) {
        assert!(reader.envelope().verify(&ROOT).is_err());
    }
    if let Ok(envelope) = Envelope::from_json(data) {
        assert!(envelope.verify(&ROOT).is_err());
    }
});
